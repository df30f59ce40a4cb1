//! The stream of JSON objects: `start`, `text`, `thinking` and `retry`, then `result` or `error`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::{Result, json};
use crate::cli::question::answer_state::AnswerState;
use nexus::{AnswerMeta, Delta, ProgressEvent, ProgressFn};

/// A part of the answer. The members are in the order of [`line`].
#[derive(Serialize)]
struct TextLine<'a> {
    text: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
}

/// Writes one object per line.
pub(super) struct StreamJsonSink<'a> {
    pub(super) context: &'a Context,
}

impl StreamJsonSink<'_> {
    pub(super) async fn begin(&self, answer: &AnswerState) -> Result<()> {
        let AnswerMeta { model, request_id, .. } = &answer.meta;
        let start = json!({ "model": model, "request_id": request_id, "conversation": answer.conversation });
        self.context.send_json(&line("start", start)).await
    }

    pub(super) async fn delta(&self, delta: &Delta) -> Result<()> {
        let (kind, text) = match delta {
            Delta::Text(text) => ("text", text),
            Delta::Thinking(text) => ("thinking", text),
        };
        // Not `line`: a whole answer can be one delta, and a value would be one more copy of it.
        let line = serde_json::to_string(&TextLine { text, kind, version: 1 }).unwrap_or_default() + "\n";
        self.context.send_json(&line).await
    }

    /// Writes an object for each retry, as its wait begins.
    pub(super) fn retries(&self) -> ProgressFn {
        let context = self.context.clone();
        Arc::new(move |event| {
            let ProgressEvent::Retrying(retry) = event else { return };
            context.say(&format!("note: {retry}"));
            let error = json::object(&retry.error.clone().into());
            let members =
                json!({ "retry": retry.number, "of": retry.of, "wait": retry.wait.as_secs_f64(), "error": error });
            // A write error is reported by the next write.
            let _ = context.print_json(&line("retry", members));
        })
    }
}

fn line(kind: &str, mut members: Value) -> String {
    members["version"] = 1.into();
    members["type"] = kind.into();
    format!("{members}\n")
}
