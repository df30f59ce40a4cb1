//! What is known about an answer besides its text, and the events every dialect's stream is read into.

use serde::{Deserialize, Deserializer, Serialize};

use super::error::{ApiError, Result};
use super::excerpt;

/// What is known about an answer besides its text. It is complete when the answer is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AnswerMeta {
    /// The model that answered. An alias in the question is resolved here.
    pub model: Option<String>,
    /// Why the model stopped, in the words of the Messages API: `end_turn`, `max_tokens` and so on. New reasons may
    /// be added by the service.
    pub stop_reason: Option<String>,
    /// The tokens used.
    pub usage: Usage,
    /// The service's id of this request, for support.
    pub request_id: Option<String>,
}

impl AnswerMeta {
    /// Checks that a complete answer answers the question. `description` is the service's reason for declining, if
    /// it gave one.
    ///
    /// # Errors
    /// [`ApiError::Declined`] or [`ApiError::ContextFull`].
    pub(super) fn verdict(&self, description: &str) -> Result<()> {
        match self.stop_reason.as_deref() {
            Some("refusal") => Err(ApiError::Declined { description: description.to_owned() }),
            Some("model_context_window_exceeded") => Err(ApiError::ContextFull),
            _ => Ok(()),
        }
    }
}

/// The tokens that a question and its answer used. A figure that the service does not report is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the question, without those read from or written to the cache.
    #[serde(deserialize_with = "figure")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, thinking included.
    #[serde(deserialize_with = "figure")]
    pub output_tokens: Option<u64>,
    /// Tokens of the question that were written to the cache.
    #[serde(deserialize_with = "figure")]
    pub cache_creation_input_tokens: Option<u64>,
    /// Tokens of the question that were read from the cache.
    #[serde(deserialize_with = "figure")]
    pub cache_read_input_tokens: Option<u64>,
}

impl Usage {
    /// Takes over newer figures. Those of a stream are running totals, so they replace the older ones.
    pub(super) fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
    }
}

/// Reads a count. Any other type becomes `None`: no figure is worth failing for.
pub(super) fn figure<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    excerpt::value(deserializer).map(|value| value.as_u64())
}

/// What one event of a stream means for the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamEvent {
    /// It adds nothing to the text.
    Nothing,
    /// The next part of the text.
    Text(String),
    /// The next part of the thinking.
    Thinking(String),
    /// The answer is complete.
    Stop,
}
