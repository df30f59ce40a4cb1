//! What is asked: plain values, whatever words the service's dialect has for them.

use super::ordered::Ordered;

/// A question, and what is wanted of the answer. What is not said here is not sent: models refuse
/// parameters they do not know, and each generation knows others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Question {
    /// Who is asked.
    pub model: String,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// The system prompt.
    pub system: Option<String>,
    /// The conversation so far, a person's words last.
    pub messages: Vec<Message>,
    /// How much the model should do for it, in the service's words: `low`, `medium`, `high`, ...
    pub effort: Option<String>,
    /// Whether the model should show a summary of what it thinks. Only newer models can.
    pub thinking: bool,
    /// The JSON Schema that the answer should fit. It is sent as the service understands it; only whoever asks can tell
    /// whether the answer fits.
    pub schema: Option<Ordered>,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown, in order.
    pub parts: Vec<Part>,
}

/// The two sides of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// A part of what a turn says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image {
        /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
        media_type: &'static str,
        /// Its bytes, in base64.
        data: String,
    },
    /// A PDF.
    Pdf {
        /// What the file is called.
        title: String,
        /// Its bytes, in base64.
        data: String,
    },
    /// The text of a file.
    Document {
        /// What the file is called.
        title: String,
        /// Its text.
        text: String,
    },
}

impl Message {
    /// A person's words.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, parts: vec![Part::Text(text.into())] }
    }

    /// A model's words.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, parts: vec![Part::Text(text.into())] }
    }
}

impl Role {
    /// The word that both dialects have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}
