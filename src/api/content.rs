//! Content that services send as a string, as a list of parts, or leave out.

use serde::Deserialize;
use serde::de::{DeserializeSeed as _, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde_json::Value;

use super::each::append;
use super::json::{FromJson, Json};

/// What is read of a content, and of everything in it. The parts of a list are joined while they are read.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Content {
    /// A string.
    Text(String),
    /// A list of parts: their text, and their thinking, as Mistral sends it.
    Parts {
        text: String,
        thinking: String,
    },
    /// One part.
    Part {
        kind: String,
        text: String,
        thinking: String,
    },
    /// `null`, or no content.
    #[default]
    Null,
    Other,
}

impl Content {
    /// Its text and its thinking.
    pub(super) fn words(self) -> (String, String) {
        match self {
            Self::Text(text) => (text, String::new()),
            Self::Parts { text, thinking } => (text, thinking),
            Self::Part { .. } | Self::Null | Self::Other => Default::default(),
        }
    }

    /// A string's text.
    fn string(self) -> String {
        match self {
            Self::Text(text) => text,
            _ => String::new(),
        }
    }

    /// Its text.
    pub(super) fn text(self) -> String {
        self.words().0
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json(AnyContent).deserialize(deserializer)
    }
}

/// The members of a part.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Type,
    Text,
    Thinking,
    #[serde(other)]
    Other,
}

struct AnyContent;

impl<'de> FromJson<'de> for AnyContent {
    type Value = Content;

    fn scalar(self, value: Value) -> Content {
        if value.is_null() { Content::Null } else { Content::Other }
    }

    fn text(self, text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    fn array<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
        let (mut all, mut all_thinking) = (String::new(), String::new());
        while let Some(item) = list.next_element()? {
            let Content::Part { kind, text, thinking } = item else { continue };
            match &*kind {
                "text" => append(&mut all, text),
                "thinking" => append(&mut all_thinking, thinking),
                _ => {}
            }
        }
        Ok(Content::Parts { text: all, thinking: all_thinking })
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Content, A::Error> {
        let (mut kind, mut text, mut thinking) = <(String, String, String)>::default();
        // Of a repeated name the last counts, as with other JSON readers.
        while let Some(name) = object.next_key()? {
            match name {
                Name::Type => kind = object.next_value::<Content>()?.string(),
                Name::Text => text = object.next_value::<Content>()?.string(),
                Name::Thinking => thinking = object.next_value::<Content>()?.text(),
                Name::Other => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Content::Part { kind, text, thinking })
    }
}
