//! What the chunks of a Chat Completions stream, or a completion that comes in one piece, mean.
//!
//! Pure, as `message` is for the other dialect, and as lenient: hardly two services agree on more
//! than `choices`, `delta`, `content` and `finish_reason`. What it reads is told in the words of the
//! Messages API, so that nobody above it needs to know which dialect it was.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::api::message::{Ending, Step, Usage};
use crate::api::sse::Event;
use crate::api::{Peer, refusal};
use crate::failure::{Failure, Result};

/// As much of what a model says while it declines as is kept, in bytes.
const MAX_DECLINED: usize = 4096;

/// A completion as far as it has been read.
#[derive(Debug, Default)]
pub(in crate::api) struct Reading {
    pub(in crate::api) ending: Ending,
    /// What the model says instead of an answer.
    declined: String,
    /// The text of an event that also brought thinking.
    held: Option<Step>,
    /// A `finish_reason` has come: nothing of the answer is missing.
    finished: bool,
    /// Whether any chunk came, and whether anything else.
    recognized: bool,
    skipped: bool,
    /// Whether one of those was the other dialect's.
    foreign: bool,
}

/// What to say of an answer in the other dialect.
const FOREIGN: &str = "in the words of the Messages API: write `dialect = \"anthropic\"` for this provider";

#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// There is only ever one that was asked for.
    index: Option<u64>,
    #[serde(alias = "message")]
    delta: Option<Said>,
    finish_reason: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Said {
    content: Option<Value>,
    /// DeepSeek's name for thinking, and that of most who followed.
    reasoning_content: Option<Value>,
    /// OpenRouter's name for it.
    reasoning: Option<Value>,
    refusal: Option<Value>,
}

impl Reading {
    pub(in crate::api) fn new(request_id: Option<String>) -> Self {
        Self { ending: Ending { request_id, ..Ending::default() }, ..Self::default() }
    }

    /// Reads one event of a stream.
    ///
    /// # Errors
    /// [`Failure::Refused`] for an error, [`Failure::Nonsense`] for JSON that is none.
    pub(in crate::api) fn event(&mut self, event: Event<'_>, peer: &Peer) -> Result<Step> {
        if event.data.trim() == "[DONE]" {
            return match self.recognized {
                true => Ok(Step::Stop),
                false if self.skipped => Err(self.cut(true, peer)),
                false => Err(peer.cut("it ended before it began")),
            };
        }
        let chunk = match serde_json::from_str::<Chunk>(event.data) {
            Ok(chunk) => chunk,
            Err(_) if event.name == "error" => return Err(self.refused(event.data, peer)),
            // This dialect's events have no names: one with a name is somebody's addition.
            Err(_) if !event.name.is_empty() => return Ok(self.skip()),
            Err(_) => return Err(peer.nonsense("with an event that is not what the Chat Completions API sends")),
        };
        if chunk.error.is_some() || event.name == "error" {
            return Err(self.refused(event.data, peer));
        }
        if chunk.choices.is_none() && (chunk.usage.is_none() || chunk.kind.is_some()) {
            self.foreign |= chunk.kind.is_some_and(|kind| kind == "message_start");
            return Ok(self.skip());
        }
        self.recognized = true;
        let choice = self.take(chunk, peer);
        if choice.as_ref().and_then(|choice| choice.finish_reason.as_ref()).is_some_and(|reason| reason == "error") {
            return Err(peer.cut("it gave up with the finish_reason error"));
        }
        Ok(self.said(choice.and_then(|choice| choice.delta).unwrap_or_default()))
    }

    /// Reads a completion that came in one piece: what it says, or the end where that is nothing.
    ///
    /// # Errors
    /// As the other dialect's.
    pub(in crate::api) fn whole(&mut self, body: &[u8], peer: &Peer) -> Result<Step> {
        let nonsense = || peer.strange_json("no chat completion", body);
        if body.trim_ascii().is_empty() {
            return Err(peer.empty());
        }
        let chunk: Chunk = serde_json::from_slice(body).map_err(|error| match error.is_eof() {
            true => peer.cut("its JSON is not complete"),
            false => nonsense(),
        })?;
        if chunk.error.is_some() {
            return Err(self.refused(&String::from_utf8_lossy(body), peer));
        }
        if chunk.choices.is_none() && chunk.kind.as_ref().is_some_and(|kind| kind == "message") {
            return Err(peer.nonsense(FOREIGN));
        }
        let choice = self.take(chunk, peer).ok_or_else(nonsense)?;
        self.finished = true;
        Ok(match self.said(choice.delta.ok_or_else(nonsense)?) {
            Step::Nothing => Step::Stop,
            step => step,
        })
    }

    /// What one event brought beside what it was read as.
    pub(in crate::api) fn held(&mut self) -> Option<Step> {
        self.held.take()
    }

    /// Whether nothing of the answer is missing, though the stream may go on.
    pub(in crate::api) fn is_finished(&self) -> bool {
        self.finished
    }

    /// What it means that the stream has ended.
    ///
    /// # Errors
    /// [`Failure::AnswerCut`] and [`Failure::Nonsense`] where it ended too early.
    pub(in crate::api) fn ended(&self, between_events: bool, peer: &Peer) -> Result<Step> {
        if self.finished { Ok(Step::Stop) } else { Err(self.cut(between_events, peer)) }
    }

    /// Whether the complete completion is an answer.
    ///
    /// # Errors
    /// [`Failure::Declined`] or [`Failure::ContextFull`].
    pub(in crate::api) fn verdict(&self, peer: &Peer) -> Result<()> {
        self.ending.verdict(&peer.words(&self.declined))
    }

    fn cut(&self, between_events: bool, peer: &Peer) -> Failure {
        match (self.recognized, self.skipped, between_events) {
            (false, true, _) if self.foreign => peer.nonsense(FOREIGN),
            (false, true, true) => peer.nonsense("with a stream of events that are none of the Chat Completions API's"),
            (false, false, true) => peer.empty(),
            (_, _, true) => peer.cut("it ended without a finish_reason and without [DONE]"),
            (_, _, false) => peer.cut("it ended inside an event"),
        }
    }

    fn skip(&mut self) -> Step {
        self.skipped = true;
        Step::Nothing
    }

    /// Takes in how things stand, and gives the choice that was asked for.
    fn take(&mut self, chunk: Chunk, peer: &Peer) -> Option<Choice> {
        if let Some(model) = chunk.model.filter(|model| !model.is_empty()) {
            self.ending.model = Some(peer.words(&model));
        }
        if let Some(usage) = chunk.usage {
            self.ending.usage.update(used(&usage));
        }
        let choice = chunk.choices?.into_iter().find(|choice| choice.index.unwrap_or(0) == 0)?;
        let reason = choice.finish_reason.as_ref().and_then(Value::as_str).filter(|reason| !reason.is_empty());
        if let Some(reason) = reason {
            self.finished = true;
            // A model that declined ends with `stop`, as if nothing were.
            if self.ending.stop_reason.as_deref() != Some("refusal") {
                self.ending.stop_reason = Some(stop_reason(reason, peer));
            }
        }
        Some(choice)
    }

    fn said(&mut self, said: Said) -> Step {
        let refusal = said.refusal.map(|refusal| words(&refusal)).unwrap_or_default();
        if !refusal.is_empty() {
            self.ending.stop_reason = Some("refusal".into());
            if self.declined.len() < MAX_DECLINED {
                self.declined.push_str(&refusal);
            }
        }
        let text = said.content.as_ref().map(words).unwrap_or_default();
        // Some send both names with the same words.
        let thinking = [&said.reasoning_content, &said.reasoning].into_iter().flatten().map(words);
        let thinking = thinking.chain(said.content.as_ref().map(thoughts)).find(|words| !words.is_empty());
        let text = (!text.is_empty()).then_some(Step::Text(text));
        match thinking {
            Some(thinking) => {
                self.held = text;
                Step::Thinking(thinking)
            }
            None => text.unwrap_or(Step::Nothing),
        }
    }

    fn refused(&self, data: &str, peer: &Peer) -> Failure {
        let mut refusal = refusal::said(data, peer);
        refusal.request_id = refusal.request_id.or_else(|| self.ending.request_id.clone());
        // A bare number is the status that it could no longer send as one.
        if refusal.kind.as_ref().is_none_or(|kind| kind.parse::<u16>().is_ok()) {
            refusal.kind = code(data).and_then(kind).map(String::from).or(refusal.kind);
        }
        Failure::Refused(Box::new(refusal))
    }
}

/// A `finish_reason` in the words of the Messages API; one that has none there stays as it is.
fn stop_reason(reason: &str, peer: &Peer) -> String {
    match reason {
        "stop" => "end_turn".into(),
        "length" => "max_tokens".into(),
        "content_filter" => "refusal".into(),
        "tool_calls" | "function_call" => "tool_use".into(),
        other => peer.words(other),
    }
}

/// The figures under the names of the Messages API, whose input does not count what came from the
/// cache.
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

/// A text, or the texts of a list of parts.
fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part["type"] == "text");
            texts.filter_map(|part| part["text"].as_str()).collect()
        }
        _ => String::new(),
    }
}

/// The thinking in a list of parts, as Mistral writes it: parts of a part.
fn thoughts(content: &Value) -> String {
    let parts = content.as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter(|part| part["type"] == "thinking").map(|part| words(&part["thinking"])).collect()
}

/// The number in an error's `code`.
fn code(data: &str) -> Option<u64> {
    let error = serde_json::from_str::<Value>(data).ok()?;
    let code = error.pointer("/error/code")?;
    code.as_u64().or_else(|| code.as_str()?.parse().ok())
}

/// The Messages API's name for what a status says.
fn kind(status: u64) -> Option<&'static str> {
    Some(match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500..=599 => "api_error",
        _ => return None,
    })
}
