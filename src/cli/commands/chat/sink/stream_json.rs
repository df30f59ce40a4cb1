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
    context: &'a Context,
    /// Lines that are not written yet.
    lines: Vec<u8>,
}

impl<'a> StreamJsonSink<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context, lines: Vec::new() }
    }

    pub(super) async fn begin(&self, answer: &AnswerState) -> Result<()> {
        let AnswerMeta { model, request_id, .. } = &answer.meta;
        let start = json!({ "model": model, "request_id": request_id, "conversation": answer.conversation });
        self.context.send_json(&line("start", start)).await
    }

    pub(super) fn delta(&mut self, delta: &Delta) {
        let (kind, text) = match delta {
            Delta::Text(text) => ("text", text),
            Delta::Thinking(text) => ("thinking", text),
        };
        // Not `line`: a whole answer can be one delta, and a value would be one more copy of it.
        // Text and numbers can always be written.
        let _ = serde_json::to_writer(&mut self.lines, &TextLine { text, kind, version: 1 });
        self.lines.push(b'\n');
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        // JSON is UTF-8.
        let lines = String::from_utf8(std::mem::take(&mut self.lines)).unwrap_or_default();
        self.context.send_json(&lines).await
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
