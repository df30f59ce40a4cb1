//! The request as plain data. Each dialect encodes it in its own way.

use serde_json::{Map, Value};

use super::ordered::Ordered;

/// The maximum length of the answer of [`Question::new`], in tokens. Every current model supports it.
const MAX_TOKENS: u32 = 8_192;

/// A question, and the parameters of its answer. A field that is not set is not sent: models refuse parameters they do
/// not know, and each generation knows others.
///
/// ```
/// use nexus::{Message, Question};
///
/// let question = Question::new("claude-sonnet-4-5", [Message::user("What is RFC 7636 about?")])
///     .with_system("Answer in one sentence.")
///     .with_max_tokens(200);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Question {
    /// The model's id.
    pub model: String,
    /// The maximum length of the answer, in tokens.
    pub max_tokens: u32,
    /// Whether `max_tokens` is only a default, and may be left out if the API refuses it and does not need one.
    pub max_tokens_is_default: bool,
    /// The system prompt. If the API refuses it as such, it is sent at the head of the first message of the user.
    pub system: Option<String>,
    /// The conversation so far. The last message is the user's.
    pub messages: Vec<Message>,
    /// The sampling temperature, usually from 0 to 1.
    pub temperature: Option<f32>,
    /// Texts that end the answer when the model writes one of them.
    pub stop_sequences: Vec<String>,
    /// How much effort the model should make, in the service's words: `low`, `medium`, `high`, ...
    pub effort: Option<String>,
    /// Whether the model should show a summary of what it thinks. Only newer models can.
    pub thinking: bool,
    /// The JSON Schema that the answer should fit. It is sent as far as the service understands it; the caller checks
    /// whether the answer fits.
    pub schema: Option<Ordered>,
    /// Further fields of the request body, sent as they are. A field that the question itself sets is refused
    /// ([`ApiError::ReservedField`](super::ApiError::ReservedField)).
    pub extra: Map<String, Value>,
}

impl Question {
    /// A question whose answer has at most 8,192 tokens.
    pub fn new(model: impl Into<String>, messages: impl Into<Vec<Message>>) -> Self {
        Self {
            model: model.into(),
            max_tokens: MAX_TOKENS,
            max_tokens_is_default: true,
            messages: messages.into(),
            ..Self::default()
        }
    }

    /// Sets the maximum length of the answer, in tokens.
    #[must_use]
    pub fn with_max_tokens(self, max_tokens: u32) -> Self {
        Self { max_tokens, max_tokens_is_default: false, ..self }
    }

    /// Sets the system prompt.
    #[must_use]
    pub fn with_system(self, system: impl Into<String>) -> Self {
        Self { system: Some(system.into()), ..self }
    }

    /// The question with its system prompt at the head of the first message of the user.
    pub(super) fn with_system_in_message(&self) -> Self {
        let mut question = self.clone();
        let Some(system) = question.system.take() else { return question };
        match question.messages.iter_mut().find(|message| message.role == Role::User) {
            Some(message) => match message.parts.first_mut() {
                Some(Part::Text(text)) => text.insert_str(0, &format!("{system}\n\n")),
                _ => message.parts.insert(0, Part::Text(system)),
            },
            None => question.messages.insert(0, Message::user(system)),
        }
        question
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The content, in order.
    pub parts: Vec<Part>,
}

/// The two sides of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text.
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
        /// The file's name.
        title: String,
        /// Its bytes, in base64.
        data: String,
    },
    /// The text of a file.
    Document {
        /// The file's name.
        title: String,
        /// Its text.
        text: String,
    },
}

impl Message {
    /// A message of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, parts: vec![Part::Text(text.into())] }
    }

    /// A message of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, parts: vec![Part::Text(text.into())] }
    }
}

impl Role {
    /// The name that the APIs have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}
