//! What is known of an answer, and its JSON object. `examples/schemas/` has the JSON Schemas.

use serde::Serialize;
use serde_json::Value;

use nexus::{AnswerMeta, Usage};

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct AnswerState {
    /// The text so far.
    pub(crate) text: String,
    /// Model, stop reason, usage and request id, as far as they are known.
    pub(crate) meta: AnswerMeta,
    /// The id of the saved conversation.
    pub(crate) conversation: Option<String>,
}

/// The JSON members of a result, with or without an answer.
#[derive(Serialize)]
pub(crate) struct AnswerObject<'a> {
    answer: Option<&'a str>,
    partial: Option<&'a str>,
    model: Option<&'a str>,
    stop_reason: Option<&'a str>,
    usage: Option<Usage>,
    conversation: Option<&'a str>,
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Value>,
}

impl AnswerState {
    /// The answer, or with an error the text that came before it.
    pub(crate) fn object<'a>(&'a self, error: Option<&'a Value>) -> AnswerObject<'a> {
        let AnswerMeta { model, stop_reason, usage, request_id } = &self.meta;
        let text = Some(&*self.text);
        AnswerObject {
            answer: text.filter(|_| error.is_none()),
            partial: text.filter(|text| error.is_some() && !text.is_empty()),
            model: model.as_deref(),
            stop_reason: stop_reason.as_deref(),
            usage: Some(*usage).filter(|usage| *usage != Usage::default()),
            conversation: self.conversation.as_deref(),
            request_id: request_id.as_deref().or_else(|| error?.get("request_id")?.as_str()),
            error,
        }
    }
}
