//! Where an answer goes: as text, as one JSON object, or as a stream of JSON objects.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::Args;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, json};
use crate::cli::question::answer_state::{AnswerObject, AnswerState};
use crate::cli::question::progress::progress_callback;
use crate::cli::terminal::Progress;
use nexus::{Client, Delta, ProgressFn};

mod stream_json;
mod text;

use stream_json::StreamJsonSink;
use text::TextSink;

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// The text as it arrives
    Text,
    /// One object at the end
    Json,
    /// One object per line as it happens; the last is a result or an error
    StreamJson,
}

impl OutputFormat {
    /// The output format of a command line that clap has rejected.
    pub(crate) fn guess<'a>(arguments: impl Iterator<Item = &'a str>) -> Self {
        let mut format = Self::Text;
        let mut named = false;
        for argument in arguments {
            let name = if named { Some(argument) } else { argument.strip_prefix("--output=") };
            named = argument == "--output";
            format = match name {
                Some(name) => Self::from_str(name, false).unwrap_or(format),
                None if argument == "--json" => Self::Json,
                None => format,
            };
        }
        format
    }
}

/// The output of one answer.
pub(super) struct Sink<'a> {
    context: &'a Context,
    /// Shown on a terminal until there is output.
    progress: Option<Progress>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Text(TextSink<'a>),
    Json,
    StreamJson(StreamJsonSink<'a>),
}

impl<'a> Sink<'a> {
    pub(super) fn new(args: &'a Args, context: &'a Context) -> Self {
        let kind = match args.format() {
            OutputFormat::Text => Kind::Text(TextSink::new(args, context)),
            OutputFormat::Json => Kind::Json,
            OutputFormat::StreamJson => Kind::StreamJson(StreamJsonSink::new(context)),
        };
        let progress = (!matches!(kind, Kind::StreamJson(_))).then(|| context.progress());
        Self { context, progress, kind }
    }

    /// Reports progress and retries before the answer begins.
    pub(super) fn progress_callback(&self, client: &Client) -> Option<ProgressFn> {
        match &self.kind {
            Kind::StreamJson(sink) => Some(sink.retries()),
            Kind::Text(_) | Kind::Json => progress_callback(self.waiting_for(), client, self.context),
        }
    }

    fn waiting_for(&self) -> &'static str {
        match &self.kind {
            Kind::Text(sink) if !sink.is_held() => "waiting for the first words",
            _ => "waiting for the end of the answer",
        }
    }

    /// Whether the first output has the id of the conversation.
    pub(super) fn needs_conversation_id(&self) -> bool {
        matches!(self.kind, Kind::StreamJson(_))
    }

    /// Whether the text is needed at the end.
    pub(super) fn collects(&self) -> bool {
        match &self.kind {
            Kind::Text(sink) => sink.is_held(),
            Kind::Json | Kind::StreamJson(_) => true,
        }
    }

    /// Whether text was printed as it came.
    pub(super) fn has_printed(&self) -> bool {
        matches!(&self.kind, Kind::Text(sink) if sink.has_printed())
    }

    /// Whether the last line that was printed has no end yet.
    pub(super) fn has_open_line(&self) -> bool {
        matches!(&self.kind, Kind::Text(sink) if sink.has_open_line())
    }

    pub(super) fn hide_progress(&mut self) {
        self.progress = None;
    }

    /// The answer begins.
    ///
    /// # Errors
    /// A stdout that cannot be written.
    pub(super) async fn begin(&mut self, answer: &AnswerState) -> Result<()> {
        self.context.waiting(self.waiting_for());
        match &self.kind {
            Kind::Text(_) | Kind::Json => Ok(()),
            Kind::StreamJson(sink) => sink.begin(answer).await,
        }
    }

    /// The next piece of the answer. [`flush`](Self::flush) writes it.
    ///
    /// # Errors
    /// A stdout that cannot be written.
    pub(super) async fn delta(&mut self, delta: Delta) -> Result<()> {
        match &mut self.kind {
            Kind::Text(sink) => {
                if sink.shows(&delta) {
                    self.progress = None;
                }
                sink.delta(delta).await
            }
            Kind::Json => Ok(()),
            Kind::StreamJson(sink) => {
                sink.delta(&delta);
                Ok(())
            }
        }
    }

    /// Writes the pieces since the last flush.
    ///
    /// # Errors
    /// A stdout that cannot be written.
    pub(super) async fn flush(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Text(sink) => sink.flush().await,
            Kind::Json => Ok(()),
            Kind::StreamJson(sink) => sink.flush().await,
        }
    }

    /// The answer ended, completely or not. Ends the last line that was printed.
    ///
    /// # Errors
    /// A stdout that cannot be written.
    pub(super) async fn close(&mut self, complete: bool) -> Result<()> {
        match &mut self.kind {
            Kind::Text(sink) => {
                self.progress = None;
                sink.close(complete).await
            }
            Kind::Json | Kind::StreamJson(_) => Ok(()),
        }
    }

    /// Writes what comes after a complete answer.
    ///
    /// # Errors
    /// A stdout that cannot be written.
    pub(super) async fn finish(&self, answer: &AnswerState) -> Result<()> {
        match &self.kind {
            Kind::Text(sink) if sink.is_held() => self.context.send(&format!("{}\n", answer.text.trim_end())).await,
            Kind::Text(_) => Ok(()),
            Kind::Json | Kind::StreamJson(_) => self.context.send_json(&self.last(answer, None)).await,
        }
    }

    /// Writes an error. A failed write is ignored, because the error is also on stderr and in the exit code.
    pub(super) async fn fail(&self, answer: &AnswerState, error: &CliError) {
        let _ = self.context.send_json(&self.last(answer, Some(error))).await;
    }

    /// Writes an error without waiting for the reader of stdout.
    pub(super) fn interrupt(&mut self, answer: &AnswerState, error: &CliError) {
        let last = self.last(answer, Some(error));
        match &mut self.kind {
            Kind::Text(sink) => sink.interrupt(),
            Kind::Json | Kind::StreamJson(_) => {
                self.context.send_json_now(&last);
                self.context.say(&format!("error: {error}"));
            }
        }
    }

    /// Writes an error outside of a runtime.
    pub(super) fn fail_blocking(&self, answer: &AnswerState, error: &CliError) {
        let _ = self.context.print_json(&self.last(answer, Some(error)));
    }

    fn last(&self, answer: &AnswerState, error: Option<&CliError>) -> String {
        let format = match &self.kind {
            // There is no last object if stdout cannot be written.
            _ if matches!(error, Some(CliError::Stdout(_))) => OutputFormat::Text,
            Kind::Text(_) => OutputFormat::Text,
            Kind::Json => OutputFormat::Json,
            Kind::StreamJson(_) => OutputFormat::StreamJson,
        };
        final_object(format, answer, error.map(json::object).as_ref())
    }

    /// Why the answer stopped early. The JSON formats have `stop_reason`, so only `max_tokens`, which a flag changes,
    /// gets a note there.
    pub(super) fn stop_note(&self, stop_reason: &str) -> Option<String> {
        match (stop_reason, &self.kind) {
            ("max_tokens", _) => Some("it reached --max-tokens".into()),
            ("" | "end_turn" | "stop_sequence", _) | (_, Kind::Json | Kind::StreamJson(_)) => None,
            ("tool_use", _) => Some("the model wants to use a tool (tool_use), and nexus offers none".into()),
            ("pause_turn", _) => Some("the API paused it (pause_turn); ask it to continue".into()),
            (other, _) => Some(format!("unknown stop reason `{other}`")),
        }
    }
}

/// The last object of an answer, on a line of its own. Empty for text.
pub(super) fn final_object(format: OutputFormat, answer: &AnswerState, error: Option<&Value>) -> String {
    #[derive(Serialize)]
    struct Last<'a> {
        version: u8,
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<&'static str>,
        #[serde(flatten)]
        answer: AnswerObject<'a>,
    }
    let kind = match format {
        OutputFormat::Text => return String::new(),
        OutputFormat::Json => None,
        OutputFormat::StreamJson => Some(if error.is_some() { "error" } else { "result" }),
    };
    // Text, numbers and an object can always be written.
    serde_json::to_string(&Last { version: 1, kind, answer: answer.object(error) }).unwrap_or_default() + "\n"
}
