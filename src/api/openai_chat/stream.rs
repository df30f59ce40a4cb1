//! Reads the chunks of a Chat Completions stream, or a completion that comes in one piece. No I/O.
//!
//! Services agree only on `choices`, `delta`, `content` and `finish_reason`, so nothing else is required. Stop reasons,
//! usage and errors are translated into those of the Messages API.

use serde::Deserialize;
use serde_json::Value;

use crate::api::content::Content;
use crate::api::dialect::StreamParser;
use crate::api::each::{Gather, each};
use crate::api::error::{ApiError, Result};
use crate::api::excerpt;
use crate::api::exchange::Exchange;
use crate::api::meta::{AnswerMeta, StreamEvent, Usage};
use crate::api::sse::Event;
use crate::api::{refusal, unexpected};
use crate::error_info::detail;

/// The limit of the explanation of a model that declines, in bytes.
const MAX_DECLINED: usize = 4096;

/// A completion as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Parser {
    pub(super) meta: AnswerMeta,
    /// The model as the last chunk wrote it. Most services repeat it in every chunk.
    model: String,
    /// The explanation of a model that declines.
    declined: String,
    /// The text of an event that also brought thinking.
    held: Option<StreamEvent>,
    /// A `finish_reason` has come: nothing of the answer is missing.
    finished: bool,
    /// A chunk came.
    recognized: bool,
    /// Another event came that is not known to be harmless.
    skipped: bool,
    /// The message in the last of these that had one.
    skipped_message: String,
    /// One of these was the Messages API's.
    foreign: bool,
}

/// The description of an answer of the other API.
const FOREIGN: &str = "in the format of the Messages API: set `dialect = \"anthropic\"` for this provider";

#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    #[serde(default, deserialize_with = "each::<_, Choice, _>")]
    choices: Option<Choices>,
    #[serde(default, deserialize_with = "excerpt::optional")]
    usage: Option<Value>,
    #[serde(default, deserialize_with = "excerpt::optional")]
    error: Option<Value>,
    #[serde(default, rename = "type", deserialize_with = "excerpt::optional")]
    kind: Option<Value>,
    #[serde(default, deserialize_with = "excerpt::optional")]
    object: Option<Value>,
}

impl Chunk {
    /// Whether it is an error. vLLM sends one without a field `error`.
    fn is_error(&self) -> bool {
        let is_named = |name: &Option<Value>| name.as_ref().is_some_and(|name| name == "error");
        // An answer may have an empty field.
        let is_blank = |error: &Value| match error {
            Value::String(text) => text.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            error => *error == false,
        };
        self.error.as_ref().is_some_and(|error| self.choices.is_none() || !is_blank(error))
            || is_named(&self.kind)
            || is_named(&self.object)
    }
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Delta>,
    #[serde(default, deserialize_with = "excerpt::optional")]
    finish_reason: Option<Value>,
}

/// The last choice, and how many there are.
#[derive(Default)]
struct Choices {
    count: usize,
    last: Option<Choice>,
}

impl Gather<Choice> for Choices {
    fn add(&mut self, choice: Choice) {
        self.count += 1;
        self.last = Some(choice);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Content,
    /// DeepSeek's name for thinking, and that of most who followed.
    reasoning_content: Content,
    /// OpenRouter's name for it.
    reasoning: Content,
    refusal: Content,
}

impl Parser {
    pub(super) fn new(request_id: Option<String>) -> Self {
        Self { meta: AnswerMeta { request_id, ..AnswerMeta::default() }, ..Self::default() }
    }
}

impl StreamParser for Parser {
    fn meta(&self) -> &AnswerMeta {
        &self.meta
    }

    fn event(&mut self, event: Event<'_>, exchange: &Exchange) -> Result<StreamEvent> {
        let finished = self.finished;
        match self.read(event, exchange) {
            // Nothing of the answer is missing.
            Err(_) if finished => Ok(StreamEvent::Stop),
            read => read,
        }
    }

    fn whole(&mut self, body: &[u8], exchange: &Exchange) -> Result<StreamEvent> {
        let invalid = || unexpected::json("chat completion", body, exchange);
        if body.trim_ascii().is_empty() {
            return Err(exchange.empty());
        }
        let chunk: Chunk = serde_json::from_slice(body).map_err(|error| match error.is_eof() {
            true => exchange.cut("its JSON is incomplete"),
            false => invalid(),
        })?;
        if chunk.is_error() {
            return Err(refusal::read::event(&unexpected::text(body), &self.meta, exchange));
        }
        if chunk.choices.is_none() && chunk.kind.as_ref().is_some_and(|kind| kind == "message") {
            return Err(exchange.invalid(FOREIGN));
        }
        let choice = self.take(chunk, exchange)?.ok_or_else(invalid)?;
        self.finished = true;
        Ok(match self.content(choice.delta.ok_or_else(invalid)?) {
            StreamEvent::Nothing => StreamEvent::Stop,
            event => event,
        })
    }

    fn held(&mut self) -> Option<StreamEvent> {
        self.held.take()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn ended(&self, between_events: bool, exchange: &Exchange) -> Result<StreamEvent> {
        if self.finished { Ok(StreamEvent::Stop) } else { Err(self.cut(between_events, exchange)) }
    }

    fn verdict(&self, exchange: &Exchange) -> Result<()> {
        self.meta.verdict(&exchange.words(&self.declined))
    }
}

impl Parser {
    fn read(&mut self, event: Event<'_>, exchange: &Exchange) -> Result<StreamEvent> {
        if event.data.trim() == "[DONE]" {
            return match (self.recognized, self.skipped) {
                (true, false) => Ok(StreamEvent::Stop),
                (true, true) if self.finished => Ok(StreamEvent::Stop),
                (false, false) => Err(exchange.cut("it ended before its first chunk")),
                (_, true) => Err(self.cut(true, exchange)),
            };
        }
        let chunk = match serde_json::from_str::<Chunk>(event.data) {
            Ok(chunk) => chunk,
            Err(_) if event.name == "error" => return Err(refusal::read::event(event.data, &self.meta, exchange)),
            // The events of this API have no names: one with a name is an addition of the service.
            Err(_) if !event.name.is_empty() => {
                self.skip(event.name, event.data, exchange);
                return Ok(StreamEvent::Nothing);
            }
            Err(_) => return Err(unexpected::event("Chat Completions", event.data, exchange)),
        };
        if event.name == "error" || chunk.is_error() {
            return Err(refusal::read::event(event.data, &self.meta, exchange));
        }
        if chunk.choices.is_none() && (chunk.usage.is_none() || chunk.kind.is_some()) {
            self.foreign |= chunk.kind.as_ref().is_some_and(|kind| kind == "message_start");
            let name = chunk.kind.as_ref().and_then(Value::as_str).unwrap_or(event.name);
            self.skip(name, event.data, exchange);
            return Ok(StreamEvent::Nothing);
        }
        self.recognized = true;
        let choice = self.take(chunk, exchange)?;
        Ok(self.content(choice.and_then(|choice| choice.delta).unwrap_or_default()))
    }

    /// Notes an event that is not of the API, unless it is a keep-alive.
    fn skip(&mut self, name: &str, data: &str, exchange: &Exchange) {
        if !matches!(name, "ping" | "keepalive" | "keep-alive" | "heartbeat") {
            self.skipped = true;
            refusal::read::note_message(&mut self.skipped_message, data, exchange);
        }
    }

    fn cut(&self, between_events: bool, exchange: &Exchange) -> ApiError {
        let skipped = detail(&self.skipped_message);
        match (self.recognized, self.skipped, between_events) {
            (false, true, _) if self.foreign => exchange.invalid(FOREIGN),
            (false, true, true) => {
                exchange.invalid(format!("with a stream that has no event of the Chat Completions API{skipped}"))
            }
            (false, false, true) => exchange.empty(),
            (_, true, true) => {
                exchange.cut(format!("it ended without a finish_reason, after an unknown event{skipped}"))
            }
            (_, false, true) => exchange.cut("it ended without a finish_reason and without [DONE]"),
            (_, _, false) => exchange.cut(format!("it ended inside an event{skipped}")),
        }
    }

    /// Updates the metadata and returns the choice. Only one was asked for, so its index does not matter: some services
    /// count it up with every chunk.
    fn take(&mut self, chunk: Chunk, exchange: &Exchange) -> Result<Option<Choice>> {
        if let Some(model) = chunk.model.filter(|model| !model.is_empty() && *model != self.model) {
            self.meta.model = Some(exchange.words(&model));
            self.model = model;
        }
        if let Some(usage) = chunk.usage {
            self.meta.usage.update(used(&usage));
        }
        let Choices { count, last } = chunk.choices.unwrap_or_default();
        if count > 1 {
            return Err(exchange.invalid(format!("with {count} choices at once, although one was asked for")));
        }
        let Some(choice) = last else { return Ok(None) };
        let reason = choice.finish_reason.as_ref().and_then(Value::as_str).filter(|reason| !reason.is_empty());
        if reason == Some("error") {
            return Err(exchange.cut("its finish_reason is `error`"));
        }
        if let Some(reason) = reason {
            self.finished = true;
            // A model that declined ends with `stop` as well.
            if self.meta.stop_reason.as_deref() != Some("refusal") {
                self.meta.stop_reason = Some(stop_reason(reason, exchange));
            }
        }
        Ok(Some(choice))
    }

    fn content(&mut self, delta: Delta) -> StreamEvent {
        let refusal = delta.refusal.text();
        if !refusal.is_empty() {
            self.meta.stop_reason = Some("refusal".into());
            if self.declined.len() < MAX_DECLINED {
                self.declined.push_str(excerpt::beginning(&refusal));
            }
        }
        let (text, thoughts) = delta.content.words();
        // Some send both names with the same words.
        let thinking = [delta.reasoning_content.text(), delta.reasoning.text(), thoughts];
        let thinking = thinking.into_iter().find(|words| !words.is_empty());
        let text = (!text.is_empty()).then_some(StreamEvent::Text(text));
        match thinking {
            Some(thinking) => {
                self.held = text;
                StreamEvent::Thinking(thinking)
            }
            None => text.unwrap_or(StreamEvent::Nothing),
        }
    }
}

/// The `stop_reason` of the Messages API for a `finish_reason`. An unknown one is kept.
fn stop_reason(reason: &str, exchange: &Exchange) -> String {
    match reason {
        "stop" => "end_turn".into(),
        "length" => "max_tokens".into(),
        "content_filter" => "refusal".into(),
        "tool_calls" | "function_call" => "tool_use".into(),
        other => exchange.words(other),
    }
}

/// The usage as in the Messages API, whose `input_tokens` do not include cached tokens.
fn used(usage: &Value) -> Usage {
    let figure = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let cached = figure("/prompt_tokens_details/cached_tokens");
    Usage {
        input_tokens: figure("/prompt_tokens").map(|asked| asked.saturating_sub(cached.unwrap_or(0))),
        output_tokens: figure("/completion_tokens"),
        cache_creation_input_tokens: None,
        cache_read_input_tokens: cached,
    }
}
