//! A short hash of what a line asks, which stands beside its result. By it, a later run knows whether the question has
//! changed since.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::cli::question::PromptInput;
use crate::cli::question::schema::Schema;
use nexus::{Api, Part};

/// The first bytes of a hash over the prompt, the attachments, the system prompt, the schema, and the model and the
/// maximum length if something names them: the newest model changes, and the question does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// The fingerprint of a question that was put together, for an API with these settings.
    pub(super) fn of(input: &PromptInput, schema: Option<&Schema>, api: &Api) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: Option<&str>| {
            // With their lengths, no two lists of texts are the same bytes.
            hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
            hash.update(text.unwrap_or_default());
        };
        let named = input.model.as_ref().or(api.model.as_ref());
        add(named.map(|model| api.model_called(model)).as_deref());
        add(input.max_tokens.or(api.max_tokens).map(|most| most.to_string()).as_deref());
        add(input.system.as_deref());
        add(schema.map(|schema| schema.value().to_string()).as_deref());
        for part in &input.parts {
            let (kind, name, content) = match part {
                Part::Text(text) => ("text", "", text),
                Part::Image { media_type, data } => ("image", *media_type, data),
                Part::Pdf { title, data } => ("pdf", &**title, data),
                Part::Document { title, text } => ("document", &**title, text),
            };
            for text in [kind, name, content] {
                add(Some(text));
            }
        }
        Self(hash.finalize().first_chunk().copied().unwrap_or_default())
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:016x}", u64::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(|hash| Self(hash.to_be_bytes())).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Fingerprint {
        pub(crate) fn of_text(text: &str) -> Self {
            Self::of(&input(text), None, &Api::default())
        }
    }

    fn input(text: &str) -> PromptInput {
        PromptInput { model: None, max_tokens: None, system: None, parts: vec![Part::Text(text.into())] }
    }

    #[test]
    fn every_part_of_a_question_counts() {
        let file = |title: &str, text: &str| Part::Document { title: title.into(), text: text.into() };
        let whole = || PromptInput {
            model: Some("fast".into()),
            max_tokens: Some(1),
            system: Some("c".into()),
            parts: vec![file("e", "f"), Part::Text("ab".into())],
        };
        let api = |model: &str| Api { aliases: [("fast".to_owned(), model.to_owned())].into(), ..Api::default() };
        let of = |input: &PromptInput| Fingerprint::of(input, None, &api("m"));
        let parts = |parts: [Part; 2]| PromptInput { parts: parts.into(), ..whole() };
        for other in [
            input("ab"),
            PromptInput { model: None, ..whole() },
            PromptInput { max_tokens: Some(2), ..whole() },
            PromptInput { system: None, ..whole() },
            PromptInput { system: Some("m".into()), model: Some("c".into()), ..whole() },
            parts([file("e", "f"), Part::Text("a".into())]),
            parts([file("ef", ""), Part::Text("ab".into())]),
            parts([Part::Text("ab".into()), file("e", "f")]),
            parts([Part::Pdf { title: "e".into(), data: "f".into() }, Part::Text("ab".into())]),
        ] {
            assert_ne!(of(&other), of(&whole()), "{other:?}");
        }
        assert_eq!(of(&PromptInput { model: Some("m".into()), ..whole() }), of(&whole()), "an alias of the same model");
        assert_ne!(Fingerprint::of(&whole(), None, &api("n")), of(&whole()), "another model behind the alias");
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        for hash in [[0; 8], [0, 1, 2, 3, 4, 5, 6, 7], [0xff; 8]].map(Fingerprint) {
            let written = serde_json::to_string(&hash).unwrap();
            assert_eq!(written.len(), 18);
            assert_eq!(serde_json::from_str::<Fingerprint>(&written).unwrap(), hash);
        }
    }
}
