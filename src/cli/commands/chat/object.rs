//! What programs are told: one object, or one a line as it happens. `examples/schemas/` holds the
//! JSON Schemas of both.

use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::commands::chat::batch::prompts::Id;
use crate::cli::context::Context;
use crate::cli::error::json;
use nexus::{AnswerMeta, ProgressEvent, ProgressFn, Retry, Usage};

/// How an answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The text, as it comes
    Text,
    /// One object, at the end
    Json,
    /// One object a line, as it happens; the last is a result or an error
    StreamJson,
}

impl Form {
    /// What words that make no sense together ask for, as far as that can be seen.
    pub(crate) fn in_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut form = Self::Text;
        let mut named = false;
        for word in words {
            let name = if named { Some(word) } else { word.strip_prefix("--output=") };
            named = word == "--output";
            form = match name {
                Some(name) => Self::from_str(name, false).unwrap_or(form),
                None if word == "--json" => Self::Json,
                None => form,
            };
        }
        form
    }
}

/// What is known of an answer, whether there is one or not.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The text that came.
    pub(super) text: String,
    /// How it ended, as far as it has.
    pub(super) ending: AnswerMeta,
    /// The conversation it belongs to, where one is kept.
    pub(super) conversation: Option<String>,
}

/// The object; it has the same members whatever happened.
#[derive(Serialize)]
struct Object<'a> {
    version: u8,
    /// A batch's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Option<&'a Id>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
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

impl Known {
    /// The last object, on a line of its own: an answer, or what went wrong and the text that came
    /// all the same.
    pub(super) fn told(&self, form: Form, error: Option<&Value>) -> String {
        let kind = (form == Form::StreamJson).then_some(if error.is_some() { "error" } else { "result" });
        self.object(kind, None, error)
    }

    /// The same as a line of a batch; without an id where its line had none.
    pub(super) fn result(&self, id: Option<&Id>, error: Option<&Value>) -> String {
        self.object(None, Some(id), error)
    }

    fn object(&self, kind: Option<&'static str>, id: Option<Option<&Id>>, error: Option<&Value>) -> String {
        let AnswerMeta { model, stop_reason, usage, request_id } = &self.ending;
        let text = Some(&*self.text);
        let object = Object {
            version: 1,
            id,
            kind,
            answer: text.filter(|_| error.is_none()),
            partial: text.filter(|text| error.is_some() && !text.is_empty()),
            model: model.as_deref(),
            stop_reason: stop_reason.as_deref(),
            usage: Some(*usage).filter(|usage| *usage != Usage::default()),
            conversation: self.conversation.as_deref(),
            request_id: request_id.as_deref().or_else(|| error?.get("request_id")?.as_str()),
            error,
        };
        // Text, numbers and an object can always be written.
        serde_json::to_string(&object).unwrap_or_default() + "\n"
    }

    /// That an answer begins.
    pub(super) fn start(&self) -> String {
        let AnswerMeta { model, request_id, .. } = &self.ending;
        let members = json!({ "model": model, "request_id": request_id, "conversation": self.conversation });
        line("start", members)
    }
}

/// The object of a piece of the answer.
pub(super) fn piece(kind: &str, text: &str) -> String {
    line(kind, json!({ "text": text }))
}

/// Tells of every wait before another try, as it begins.
pub(super) fn retries(context: &Context) -> ProgressFn {
    let context = context.clone();
    Arc::new(move |waiting| {
        if let ProgressEvent::Retrying(retry) = waiting {
            context.say(&format!("note: {retry}"));
            // A stdout that takes nothing is found out with the next object.
            let _ = context.print_json(&self::retry(retry));
        }
    })
}

fn retry(retry: &Retry) -> String {
    let error = json::object(&retry.error.clone().into());
    let members = json!({ "retry": retry.number, "of": retry.of, "wait": retry.wait.as_secs_f64(), "error": error });
    line("retry", members)
}

fn line(kind: &str, mut members: Value) -> String {
    members["version"] = 1.into();
    members["type"] = kind.into();
    format!("{members}\n")
}
