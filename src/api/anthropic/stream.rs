//! Reads the events of a Messages stream, or a message that comes in one piece. No I/O.
//!
//! Unknown events, block types, delta types and fields are skipped, as the API's versioning policy asks: they are added
//! without notice. Gateways leave fields out or write null, so only the text itself is required.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::content::Content;
use crate::api::dialect::StreamParser;
use crate::api::each::{Gather, append, each};
use crate::api::error::Result;
use crate::api::exchange::Exchange;
use crate::api::meta::{AnswerMeta, StreamEvent, Usage};
use crate::api::sse::Event;
use crate::api::{refusal, unexpected};
use crate::error_info::detail;

/// A message as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Parser {
    pub(super) meta: AnswerMeta,
    /// Why the model declined, if it says so.
    explanation: String,
    held: Option<StreamEvent>,
    /// An event of the Messages API came.
    recognized: bool,
    /// Another event came.
    skipped: bool,
    /// The message in the last of these that had one.
    skipped_message: String,
    /// One of these was the Chat Completions API's.
    foreign: bool,
}

/// The description of an answer of the other API.
const FOREIGN: &str = "in the format of the Chat Completions API: set `dialect = \"openai\"` for this provider";

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
        const NAMES: &[&str] = &["message_start", "content_block_start", "content_block_delta", "message_delta"];
        let block = |block: Block| block.event().ok_or_else(|| unexpected::event("Messages", event.data, exchange));
        let mut name = Cow::Borrowed(event.name);
        if !NAMES.contains(&event.name) {
            // The name may be missing, but the JSON says the same.
            match serde_json::from_str::<Probe<'_>>(event.data) {
                // A field `error` is an error, whatever the type in it.
                Ok(Probe { kind: Some(kind), .. }) if event.name != "error" => name = kind,
                Ok(probe) if probe.error.is_some() || probe.object.as_deref() == Some("error") => name = "error".into(),
                _ => {}
            }
        }
        let meaning = match &*name {
            "message_start" => {
                let start: Start = read(event.data, exchange)?;
                self.meta.model = start.message.model.map(|model| exchange.words(&model));
                self.meta.usage.update(start.message.usage.unwrap_or_default());
                StreamEvent::Nothing
            }
            "content_block_start" => block(read::<BlockStart>(event.data, exchange)?.content_block)?,
            "content_block_delta" => block(read::<BlockDelta>(event.data, exchange)?.delta)?,
            "message_delta" => {
                let delta: MessageDelta = read(event.data, exchange)?;
                self.stopped(delta.delta.unwrap_or_default(), exchange);
                self.meta.usage.update(delta.usage.unwrap_or_default());
                StreamEvent::Nothing
            }
            "message_stop" if self.meta.stop_reason.is_none() && !self.skipped_message.is_empty() => {
                return Err(exchange.cut(format!("it ended without a stop reason{}", detail(&self.skipped_message))));
            }
            "message_stop" => StreamEvent::Stop,
            "error" => return Err(refusal::read::event(event.data, &self.meta, exchange)),
            "ping" | "content_block_stop" => StreamEvent::Nothing,
            _ => {
                self.skipped = true;
                self.foreign |= event.data.contains("\"choices\"");
                if event.data.trim() != "[DONE]" {
                    refusal::read::note_message(&mut self.skipped_message, event.data, exchange);
                }
                return Ok(StreamEvent::Nothing);
            }
        };
        self.recognized = true;
        Ok(meaning)
    }

    fn whole(&mut self, body: &[u8], exchange: &Exchange) -> Result<StreamEvent> {
        if body.trim_ascii().is_empty() {
            return Err(exchange.empty());
        }
        let message: Message = serde_json::from_slice(body).map_err(|error| match error.is_eof() {
            true => exchange.cut("its JSON is incomplete"),
            false => unexpected::json("message", body, exchange),
        })?;
        if message.error.is_some() {
            return Err(refusal::read::event(&unexpected::text(body), &self.meta, exchange));
        }
        let Some(words) = message.content.filter(|words| !words.is_invalid) else {
            if message.choices.is_some() {
                return Err(exchange.invalid(FOREIGN));
            }
            return Err(unexpected::json("message", body, exchange));
        };
        self.meta.model = message.model.map(|model| exchange.words(&model));
        self.meta.usage = message.usage.unwrap_or_default();
        self.stopped(Stopped { stop_reason: message.stop_reason, stop_details: message.stop_details }, exchange);
        let Words { text, thinking, .. } = words;
        let text = if text.is_empty() { StreamEvent::Stop } else { StreamEvent::Text(text) };
        if thinking.is_empty() {
            return Ok(text);
        }
        self.held = Some(text);
        Ok(StreamEvent::Thinking(thinking))
    }

    fn held(&mut self) -> Option<StreamEvent> {
        self.held.take()
    }

    fn ended(&self, between_events: bool, exchange: &Exchange) -> Result<StreamEvent> {
        let skipped = detail(&self.skipped_message);
        Err(match (self.recognized, self.skipped, between_events) {
            (false, true, _) if self.foreign => exchange.invalid(FOREIGN),
            (false, true, true) => {
                exchange.invalid(format!("with a stream that has no event of the Messages API{skipped}"))
            }
            (false, false, true) => exchange.empty(),
            (_, _, true) => exchange.cut(format!("it ended without the event message_stop{skipped}")),
            (_, _, false) => exchange.cut(format!("it ended inside an event{skipped}")),
        })
    }

    fn verdict(&self, _exchange: &Exchange) -> Result<()> {
        self.meta.verdict(&self.explanation)
    }
}

impl Parser {
    fn stopped(&mut self, stopped: Stopped, exchange: &Exchange) {
        if let Some(reason) = stopped.stop_reason {
            self.meta.stop_reason = Some(exchange.words(&reason));
        }
        if let Some(details) = stopped.stop_details {
            let explanation = details.explanation.filter(|explanation| !explanation.is_empty()).or(details.category);
            self.explanation = exchange.words(&explanation.unwrap_or_default());
        }
    }
}

fn read<'a, T: Deserialize<'a>>(data: &'a str, exchange: &Exchange) -> Result<T> {
    serde_json::from_str(data).map_err(|_| unexpected::event("Messages", data, exchange))
}

#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Start {
    message: Message,
}

#[derive(Deserialize)]
struct BlockStart {
    content_block: Block,
}

#[derive(Deserialize)]
struct BlockDelta {
    delta: Block,
}

/// A block, its beginning or one of its deltas.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(default)]
    text: Content,
    #[serde(default)]
    thinking: Content,
}

/// The type of a block or a delta.
#[derive(Deserialize)]
enum Kind {
    #[serde(rename = "text", alias = "text_delta")]
    Text,
    #[serde(rename = "thinking", alias = "thinking_delta")]
    Thinking,
    #[serde(other)]
    Other,
}

impl Block {
    /// Its part of the message. `None` if its text is not a string. A block of another type adds nothing.
    fn event(self) -> Option<StreamEvent> {
        let (content, event): (_, fn(String) -> StreamEvent) = match self.kind {
            Some(Kind::Text) => (self.text, StreamEvent::Text),
            Some(Kind::Thinking) => (self.thinking, StreamEvent::Thinking),
            Some(Kind::Other) | None => return Some(StreamEvent::Nothing),
        };
        match content {
            Content::Text(text) if !text.is_empty() => Some(event(text)),
            Content::Text(_) | Content::Null => Some(StreamEvent::Nothing),
            _ => None,
        }
    }
}

/// The text and the thinking of the blocks of a message.
#[derive(Default)]
struct Words {
    text: String,
    thinking: String,
    /// The text of a block is not a string.
    is_invalid: bool,
}

impl Gather<Block> for Words {
    fn add(&mut self, block: Block) {
        match block.event() {
            Some(StreamEvent::Text(text)) => append(&mut self.text, text),
            Some(StreamEvent::Thinking(text)) => append(&mut self.thinking, text),
            Some(_) => {}
            None => self.is_invalid = true,
        }
    }
}

#[derive(Deserialize)]
struct MessageDelta {
    delta: Option<Stopped>,
    usage: Option<Usage>,
}

/// Not `flatten`: it would collect every unknown member.
#[derive(Deserialize)]
struct Message {
    model: Option<String>,
    #[serde(default, deserialize_with = "each::<_, Block, _>")]
    content: Option<Words>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
    choices: Option<IgnoredAny>,
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
}

#[derive(Default, Deserialize)]
struct Stopped {
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
}

#[derive(Deserialize)]
struct StopDetails {
    category: Option<String>,
    explanation: Option<String>,
}
