//! What the events of a Messages stream, or a message that comes in one piece, mean.
//!
//! Pure: an event in, a step out. What is not known is skipped, as the API's versioning policy
//! asks: events, block types, delta types and fields are added without notice. Gateways leave
//! fields out or write null, so none but the text itself is required.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::sse::Event;
use super::{Peer, refusal};
use crate::failure::{Failure, Result};

/// How an answer ended, as far as it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Ending {
    /// The model that answered; an alias in the question is resolved here.
    pub model: Option<String>,
    /// Why it stopped: `end_turn`, `max_tokens` and so on. New reasons may come.
    pub stop_reason: Option<String>,
    /// What was used up.
    pub usage: Usage,
    /// The service's name for this exchange, for support.
    pub request_id: Option<String>,
}

impl Ending {
    /// Whether what has ended so is an answer; `said` is why the model declined, where it says so.
    ///
    /// # Errors
    /// [`Failure::Declined`] or [`Failure::ContextFull`]: what came is not what was asked for.
    pub(super) fn verdict(&self, said: &str) -> Result<()> {
        match self.stop_reason.as_deref() {
            Some("refusal") => Err(Failure::Declined { said: said.to_owned() }),
            Some("model_context_window_exceeded") => Err(Failure::ContextFull),
            _ => Ok(()),
        }
    }
}

/// What an answer used up, in tokens. Gateways leave out what they do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the question, without what came from or went to the cache.
    #[serde(deserialize_with = "figure")]
    pub input_tokens: Option<u64>,
    /// Of the answer, its thinking included.
    #[serde(deserialize_with = "figure")]
    pub output_tokens: Option<u64>,
    /// Of the question, written to the cache.
    #[serde(deserialize_with = "figure")]
    pub cache_creation_input_tokens: Option<u64>,
    /// Of the question, read from the cache.
    #[serde(deserialize_with = "figure")]
    pub cache_read_input_tokens: Option<u64>,
}

impl Usage {
    /// The figures of a stream are running totals: a newer one replaces the older.
    pub(super) fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
    }
}

/// A count, or nothing where something else stands: no figure is worth failing for.
pub(super) fn figure<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(|value| value.as_u64())
}

/// What an event brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing to show.
    Nothing,
    /// The next piece of text.
    Text(String),
    /// The next piece of thinking.
    Thinking(String),
    /// The message is complete.
    Stop,
}

/// A message as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) ending: Ending,
    /// Why the model declined, where it says so.
    explanation: String,
    held: Option<Step>,
    /// Whether any event came that the Messages API sends, and whether any other.
    recognized: bool,
    skipped: bool,
    /// Whether one of those was the other dialect's.
    foreign: bool,
}

/// What to say of an answer in the other dialect.
const FOREIGN: &str = "in the words of the Chat Completions API: write `dialect = \"openai\"` for this provider";

impl Reading {
    pub(super) fn new(request_id: Option<String>) -> Self {
        Self { ending: Ending { request_id, ..Ending::default() }, ..Self::default() }
    }

    /// Reads one event of a stream.
    ///
    /// # Errors
    /// [`Failure::Refused`] for an `error` event, [`Failure::Nonsense`] for JSON that is none.
    pub(super) fn event(&mut self, event: Event<'_>, peer: &Peer) -> Result<Step> {
        const NAMES: &[&str] = &["message_start", "content_block_start", "content_block_delta", "message_delta"];
        let mut name = Cow::Borrowed(event.name);
        if !NAMES.contains(&event.name) {
            // The name may be missing, but the JSON says the same.
            match serde_json::from_str::<Probe<'_>>(event.data) {
                Ok(Probe { kind: Some(kind), .. }) => name = kind,
                Ok(Probe { error: Some(_), .. }) => name = "error".into(),
                _ => {}
            }
        }
        let step = match &*name {
            "message_start" => {
                let start: Start = read(event.data, peer)?;
                self.ending.model = start.message.model.map(|model| peer.words(&model));
                self.ending.usage.update(start.message.usage.unwrap_or_default());
                Step::Nothing
            }
            "content_block_start" => read::<BlockStart>(event.data, peer)?.content_block.into(),
            "content_block_delta" => read::<BlockDelta>(event.data, peer)?.delta.into(),
            "message_delta" => {
                let delta: MessageDelta = read(event.data, peer)?;
                self.stopped(delta.delta.unwrap_or_default(), peer);
                self.ending.usage.update(delta.usage.unwrap_or_default());
                Step::Nothing
            }
            "message_stop" => Step::Stop,
            "error" => return Err(self.refused(event.data, peer)),
            "ping" | "content_block_stop" => Step::Nothing,
            _ => {
                self.skipped = true;
                self.foreign |= event.data.contains("\"choices\"");
                return Ok(Step::Nothing);
            }
        };
        self.recognized = true;
        Ok(step)
    }

    /// What to say of a stream that ended without `message_stop`.
    pub(super) fn cut(&self, between_events: bool, peer: &Peer) -> Failure {
        match (self.recognized, self.skipped, between_events) {
            (false, true, _) if self.foreign => peer.nonsense(FOREIGN),
            (false, true, true) => peer.nonsense("with a stream of events that are none of the Messages API's"),
            (false, false, true) => peer.empty(),
            (_, _, true) => peer.cut("it ended without the event message_stop"),
            (_, _, false) => peer.cut("it ended inside an event"),
        }
    }

    /// Reads a message that came in one piece: what it thinks, its text, or the end where it has neither.
    ///
    /// # Errors
    /// [`Failure::AnswerCut`] where it breaks off, [`Failure::Refused`] where it is an error after
    /// all, [`Failure::Nonsense`] where it is no message.
    pub(super) fn whole(&mut self, body: &[u8], peer: &Peer) -> Result<Step> {
        if body.trim_ascii().is_empty() {
            return Err(peer.empty());
        }
        let message: Message = serde_json::from_slice(body).map_err(|error| match error.is_eof() {
            true => peer.cut("its JSON is not complete"),
            false => peer.strange_json("no message", body),
        })?;
        if message.error.is_some() {
            return Err(self.refused(&String::from_utf8_lossy(body), peer));
        }
        let Some(blocks) = message.content else {
            if message.choices.is_some() {
                return Err(peer.nonsense(FOREIGN));
            }
            return Err(peer.strange_json("no message", body));
        };
        self.ending.model = message.model.map(|model| peer.words(&model));
        self.ending.usage = message.usage.unwrap_or_default();
        self.stopped(message.stopped, peer);
        let (mut thinking, mut text) = (String::new(), String::new());
        for block in blocks {
            match block.kind.as_deref() {
                Some("text") => text.push_str(block.text.as_deref().unwrap_or_default()),
                Some("thinking") => thinking.push_str(block.thinking.as_deref().unwrap_or_default()),
                _ => {}
            }
        }
        let text = if text.is_empty() { Step::Stop } else { Step::Text(text) };
        if thinking.is_empty() {
            return Ok(text);
        }
        self.held = Some(text);
        Ok(Step::Thinking(thinking))
    }

    /// What a message in one piece says after what it thinks.
    pub(super) fn held(&mut self) -> Option<Step> {
        self.held.take()
    }

    /// Whether the complete message is an answer.
    ///
    /// # Errors
    /// [`Failure::Declined`] or [`Failure::ContextFull`]: what came is not what was asked for.
    pub(super) fn verdict(&self) -> Result<()> {
        self.ending.verdict(&self.explanation)
    }

    fn stopped(&mut self, stopped: Stopped, peer: &Peer) {
        if let Some(reason) = stopped.stop_reason {
            self.ending.stop_reason = Some(peer.words(&reason));
        }
        if let Some(details) = stopped.stop_details {
            let said = details.explanation.filter(|said| !said.is_empty()).or(details.category);
            self.explanation = peer.words(&said.unwrap_or_default());
        }
    }

    fn refused(&self, data: &str, peer: &Peer) -> Failure {
        let mut refusal = refusal::said(data, peer);
        refusal.request_id = refusal.request_id.or_else(|| self.ending.request_id.clone());
        Failure::Refused(Box::new(refusal))
    }
}

fn read<'a, T: Deserialize<'a>>(data: &'a str, peer: &Peer) -> Result<T> {
    serde_json::from_str(data).map_err(|_| peer.nonsense("with an event that is not what the Messages API sends"))
}

#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Start {
    message: Message,
}

#[derive(Deserialize)]
struct BlockStart {
    content_block: Part,
}

#[derive(Deserialize)]
struct BlockDelta {
    delta: Part,
}

/// A block's beginning or one of its deltas.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Part {
    #[serde(rename = "text", alias = "text_delta")]
    Text { text: Option<String> },
    #[serde(rename = "thinking", alias = "thinking_delta")]
    Thinking { thinking: Option<String> },
    #[serde(other)]
    Other,
}

impl From<Part> for Step {
    fn from(part: Part) -> Self {
        match part {
            Part::Text { text: Some(text) } if !text.is_empty() => Self::Text(text),
            Part::Thinking { thinking: Some(text) } if !text.is_empty() => Self::Thinking(text),
            _ => Self::Nothing,
        }
    }
}

#[derive(Deserialize)]
struct MessageDelta {
    delta: Option<Stopped>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Message {
    model: Option<String>,
    content: Option<Vec<Block>>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
    choices: Option<IgnoredAny>,
    #[serde(flatten)]
    stopped: Stopped,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::api::sse::Decoder;
    use crate::provider::Url;
    use crate::secret::AccessToken;

    const STREAM: &str = concat!(
        ": a comment\r\n",
        "event: message_start\r\n",
        r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m-1","#,
        r#""content":[],"stop_reason":null,"usage":{"input_tokens":7,"cache_read_input_tokens":3,"output_tokens":1}}}   "#,
        "\r\n\r\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
        "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: content_block_start\n",
        r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Gr"}}"#,
        "\n\n",
        // No name, two data lines.
        "data: {\"type\":\"content_block_delta\",\"index\":1,\ndata: \"delta\":{\"type\":\"text_delta\",\"text\":\"üße 😀\"}}\n\n",
        "event: invented_later\ndata: not even JSON\n\n",
        "data: [DONE]\n\n",
        "event: content_block_delta\r",
        r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"invented_delta","text":5e0,"x":[1]}}"#,
        "\r\revent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\u001b\n\nend"}}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15,"input_tokens":null}}"#,
        "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    fn peer() -> Peer {
        let url = Url::parse("https://llm.example.com/").expect("a URL");
        Peer::new(&url, &AccessToken::new("sk-token".into()), Duration::from_secs(1))
    }

    struct Outcome {
        text: String,
        thinking: String,
        complete: bool,
        failure: Option<Failure>,
        ending: Ending,
    }

    fn follow<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let (mut decoder, mut reading, peer) = (Decoder::default(), Reading::default(), peer());
        let mut outcome = Outcome {
            text: String::new(),
            thinking: String::new(),
            complete: false,
            failure: None,
            ending: Ending::default(),
        };
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event().expect("no event is too large here") {
                match reading.event(event, &peer) {
                    Ok(Step::Text(text)) => outcome.text += &text,
                    Ok(Step::Thinking(text)) => outcome.thinking += &text,
                    Ok(Step::Stop) => outcome.complete = true,
                    Ok(Step::Nothing) => {}
                    Err(failure) => outcome.failure = Some(failure),
                }
            }
        }
        if !outcome.complete && outcome.failure.is_none() {
            outcome.failure = Some(reading.cut(decoder.is_between_events(), &peer));
        }
        outcome.ending = reading.ending;
        outcome
    }

    fn failure(stream: &str) -> Option<Failure> {
        follow([stream.as_bytes()]).failure
    }

    #[test]
    fn wherever_a_stream_is_cut_into_chunks_it_says_the_same() {
        let stream = STREAM.as_bytes();
        let check = |outcome: Outcome, at: usize| {
            assert!(outcome.complete, "cut at {at}");
            assert_eq!(outcome.failure, None, "cut at {at}");
            assert_eq!(outcome.text, "Grüße 😀\u{1b}\n\nend", "cut at {at}");
            assert_eq!(outcome.thinking, "Hm", "cut at {at}");
            let usage = Usage {
                input_tokens: Some(7),
                output_tokens: Some(15),
                cache_creation_input_tokens: None,
                cache_read_input_tokens: Some(3),
            };
            let (model, stop_reason) = (Some("m-1".into()), Some("end_turn".into()));
            assert_eq!(outcome.ending, Ending { model, stop_reason, usage, request_id: None }, "cut at {at}");
        };
        for at in 0..=stream.len() {
            check(follow([&stream[..at], &stream[at..]]), at);
        }
        check(follow(stream.chunks(1)), 1);
    }

    #[test]
    fn a_stream_that_lacks_its_last_byte_is_never_complete() {
        for at in 0..STREAM.len() {
            let outcome = follow([&STREAM.as_bytes()[..at]]);
            assert!(!outcome.complete, "cut at {at}");
            assert!(matches!(outcome.failure, Some(Failure::AnswerCut { .. })), "cut at {at}: {:?}", outcome.failure);
        }
    }

    #[test]
    fn an_error_in_the_middle_is_a_refusal() {
        for (stream, kind, message) in [
            (
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
                Some("overloaded_error"),
                "Overloaded",
            ),
            (
                "data: {\"error\":{\"message\":\"sk-token?\",\"type\":\"None\",\"code\":\"500\"}}\n\n",
                Some("500"),
                "(secret)?",
            ),
            ("event: error\ndata: upstream gone\n\n", None, "upstream gone"),
        ] {
            let Some(Failure::Refused(refusal)) = failure(stream) else { panic!("{stream}") };
            assert_eq!((refusal.status, refusal.kind.as_deref(), &*refusal.message), (None, kind, message), "{stream}");
        }
    }

    #[test]
    fn what_is_none_of_the_apis_is_nonsense() {
        for stream in [
            "data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\ndata: [DONE]\n\n",
            "event: message_start\ndata: {}\n\n",
            "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"te\n\n",
        ] {
            assert!(matches!(failure(stream), Some(Failure::Nonsense { .. })), "{stream}: {:?}", failure(stream));
        }
    }

    #[test]
    fn a_message_in_one_piece_is_read() {
        let mut reading = Reading::default();
        let body = r#"{"type":"message","model":"m-2","content":[{"type":"thinking","thinking":"Hm"},
            {"type":"text","text":"One "},{"type":"later"},{"type":"text","text":"two"}],
            "stop_reason":"max_tokens","usage":{"input_tokens":"many","output_tokens":2}}"#;
        assert_eq!(reading.whole(body.as_bytes(), &peer()), Ok(Step::Thinking("Hm".into())));
        assert_eq!((reading.held(), reading.held()), (Some(Step::Text("One two".into())), None));
        assert_eq!(reading.verdict(), Ok(()));
        assert_eq!(reading.ending.stop_reason.as_deref(), Some("max_tokens"));
        assert_eq!(reading.ending.model.as_deref(), Some("m-2"));
        assert_eq!(reading.ending.usage, Usage { output_tokens: Some(2), ..Usage::default() });
        assert_eq!(Reading::default().whole(br#"{"content":[]}"#, &peer()), Ok(Step::Stop));
    }

    #[test]
    fn a_message_in_one_piece_is_whole_or_a_failure() {
        let body = r#"{"type":"message","content":[{"type":"text","text":"One"}],"stop_reason":"end_turn"}"#;
        for at in 0..body.len() {
            let cut = Reading::default().whole(&body.as_bytes()[..at], &peer());
            assert!(matches!(cut, Err(Failure::AnswerCut { .. })), "cut at {at}: {cut:?}");
        }
        for body in [r#"{"choices":[]}"#, r#"{"content":"text"}"#, "[]", "{}", "<p>"] {
            let read = Reading::default().whole(body.as_bytes(), &peer());
            assert!(matches!(read, Err(Failure::Nonsense { .. })), "{body}: {read:?}");
        }
        let error = br#"{"type":"error","error":{"type":"api_error","message":"Broken"}}"#;
        let refused = Reading::new(Some("req_1".into())).whole(error, &peer());
        let Err(Failure::Refused(refusal)) = refused else { panic!("{refused:?}") };
        assert_eq!(
            refusal.to_string(),
            "llm.example.com answered api_error in the middle of its answer: Broken (request req_1)"
        );
    }

    #[test]
    fn stop_reasons_decide_whether_it_is_an_answer() {
        let declined = |said: &str| Err(Failure::Declined { said: said.into() });
        for (stopped, verdict) in [
            (r#""stop_reason":"end_turn""#, Ok(())),
            (r#""stop_reason":"invented_later""#, Ok(())),
            (r#""stop_reason":null"#, Ok(())),
            (r#""stop_reason":"model_context_window_exceeded""#, Err(Failure::ContextFull)),
            (r#""stop_reason":"refusal","stop_details":null"#, declined("")),
            (r#""stop_reason":"refusal","stop_details":{"category":"cyber","explanation":null}"#, declined("cyber")),
            (
                r#""stop_reason":"refusal","stop_details":{"category":"cyber","explanation":"No\u0007."}"#,
                declined("No"),
            ),
        ] {
            let mut streamed = Reading::default();
            let data = format!(r#"{{"type":"message_delta","delta":{{{stopped}}}}}"#);
            assert_eq!(streamed.event(Event { name: "", data: &data }, &peer()), Ok(Step::Nothing));
            assert_eq!(streamed.verdict(), verdict, "{stopped}");
            let mut whole = Reading::default();
            let body = format!(r#"{{"content":[],{stopped}}}"#);
            assert_eq!(whole.whole(body.as_bytes(), &peer()), Ok(Step::Stop));
            assert_eq!(whole.verdict(), verdict, "{stopped}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic_or_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".*") {
            prop_assert!(!follow([&bytes[..], text.as_bytes()]).complete);
            refusal::said(&text, &peer());
        }

        #[test]
        fn no_damage_to_a_stream_is_a_panic(at in 0..STREAM.len(), byte in any::<u8>()) {
            let mut stream = STREAM.as_bytes().to_vec();
            stream[at] = byte;
            let outcome = follow([&stream[..]]);
            prop_assert!(outcome.complete || outcome.failure.is_some());
        }
    }
}
