//! The parser of messages, without a network.

use proptest::prelude::*;

use super::stream::Parser;
use crate::api::dialect::StreamParser as _;
use crate::api::error::ApiError;
use crate::api::meta::{AnswerMeta, StreamEvent, Usage};
use crate::api::reader::AnswerReader;
use crate::api::refusal;
use crate::api::replay::Replayed;
use crate::api::sse::Event;
use crate::api::tests::{exchange, parse};

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

fn follow<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Replayed {
    parse(Parser::default(), chunks)
}

fn failure(stream: &str) -> Option<ApiError> {
    follow([stream.as_bytes()]).failure
}

#[test]
fn wherever_a_stream_is_cut_into_chunks_it_says_the_same() {
    let stream = STREAM.as_bytes();
    let check = |outcome: Replayed, at: usize| {
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
        assert_eq!(outcome.meta, AnswerMeta { model, stop_reason, usage, request_id: None }, "cut at {at}");
    };
    for at in 0..=stream.len() {
        check(follow([&stream[..at], &stream[at..]]), at);
    }
    check(follow(stream.chunks(1)), 1);
}

#[test]
fn a_stream_is_complete_from_the_end_of_its_last_line_on_and_never_before() {
    let whole = STREAM.trim_end().len();
    for at in 0..STREAM.len() {
        let outcome = follow([&STREAM.as_bytes()[..at]]);
        assert_eq!(outcome.complete, at >= whole, "cut at {at}");
        if outcome.complete {
            continue;
        }
        assert!(matches!(outcome.failure, Some(ApiError::AnswerCut { .. })), "cut at {at}: {:?}", outcome.failure);
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
            Some("api_error"),
            "(secret)?",
        ),
        ("event: error\ndata: upstream gone\n\n", None, "upstream gone"),
        ("error: {\"code\":503,\"message\":\"Loading model\"}\n\n", Some("overloaded_error"), "Loading model"),
        ("error: {\"code\":400,\"message\":\"Bad\",\"type\":\"x\"}", Some("x"), "Bad"),
        ("event: error\ndata: {\"type\":\"x\",\"message\":\"Bad\"}\n\n", Some("x"), "Bad"),
        ("data: {\"object\":\"error\",\"message\":\"Bad\",\"code\":404}\n\n", Some("not_found_error"), "Bad"),
    ] {
        let Some(ApiError::Refused(refusal)) = failure(stream) else { panic!("{stream}") };
        assert_eq!((refusal.status, refusal.kind.as_deref(), &*refusal.message), (None, kind, message), "{stream}");
    }
}

#[test]
fn events_of_no_api_are_told_if_the_end_is_missing() {
    let text = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n";
    for (data, message) in [
        (r#"{"detail":"quota"}"#, ": quota"),
        (r#"{"detail":[{"loc":["body","model"],"msg":"missing"}]}"#, ": body.model: missing"),
        (r#"{"errors":[{"message":"quota"}]}"#, ": quota"),
        (r#""quota""#, ": quota"),
        ("quota", ": quota"),
        (r#"{"unknown":1}"#, ""),
        ("[DONE]", ""),
    ] {
        let end = "it ended without the event message_stop";
        assert_eq!(failure(&format!("{text}data: {data}\n\n")), Some(exchange().cut(format!("{end}{message}"))));
        let end = "with a stream that has no event of the Messages API";
        assert_eq!(failure(&format!("data: {data}\n\n")), Some(exchange().invalid(format!("{end}{message}"))));
        let stop = "data: {\"type\":\"message_stop\"}\n\n";
        let end = "it ended without a stop reason";
        let cut = (!message.is_empty()).then(|| exchange().cut(format!("{end}{message}")));
        assert_eq!(failure(&format!("{text}data: {data}\n\n{stop}")), cut);
        let reason = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
        assert_eq!(failure(&format!("{text}data: {data}\n\n{reason}{stop}")), None);
    }
}

#[test]
fn halves_of_characters_are_joined() {
    let delta = |kind: &str, text: &str| {
        format!(r#"data: {{"type":"content_block_delta","delta":{{"type":"{kind}_delta","{kind}":"{text}"}}}}"#)
            + "\n\n"
    };
    let stop = "data: {\"type\":\"message_stop\"}\n\n";
    let halves = |kind| [delta(kind, r"a\ud83d"), delta(kind, r"\ude00b\ud83d"), delta(kind, "c")].concat();
    let outcome = follow([(halves("thinking") + &halves("text") + &delta("text", r"\uD83D") + stop).as_bytes()]);
    assert_eq!((&*outcome.thinking, &*outcome.text), ("a😀b\u{fffd}c", "a😀b\u{fffd}c\u{fffd}"));
    assert!(outcome.complete);
    let body = r#"{"content":[{"type":"text","text":"a\ud83d"},{"type":"text","text":"\ude00b"}],"id":"\ud83d"}"#;
    let mut reader = AnswerReader::new(Box::new(Parser::default()));
    assert_eq!(reader.whole(body.as_bytes().to_vec(), &exchange()), Ok(StreamEvent::Text("a😀b".into())));
}

#[test]
fn what_is_none_of_the_apis_is_nonsense() {
    for stream in [
        "data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\ndata: [DONE]\n\n",
        "event: message_start\ndata: {}\n\n",
        "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"te\n\n",
    ] {
        assert!(matches!(failure(stream), Some(ApiError::InvalidResponse { .. })), "{stream}: {:?}", failure(stream));
    }
}

#[test]
fn a_message_in_one_piece_is_read() {
    let mut parser = Parser::default();
    let body = r#"{"type":"message","model":"m-2","content":[{"type":"thinking","thinking":"Hm"},
        {"type":"text","text":"One "},{"type":"later"},{"type":"text","text":"two"}],
        "stop_reason":"max_tokens","usage":{"input_tokens":"many","output_tokens":2}}"#;
    assert_eq!(parser.whole(body.as_bytes(), &exchange()), Ok(StreamEvent::Thinking("Hm".into())));
    assert_eq!((parser.held(), parser.held()), (Some(StreamEvent::Text("One two".into())), None));
    assert_eq!(parser.verdict(&exchange()), Ok(()));
    assert_eq!(parser.meta.stop_reason.as_deref(), Some("max_tokens"));
    assert_eq!(parser.meta.model.as_deref(), Some("m-2"));
    assert_eq!(parser.meta.usage, Usage { output_tokens: Some(2), ..Usage::default() });
    assert_eq!(Parser::default().whole(br#"{"content":[]}"#, &exchange()), Ok(StreamEvent::Stop));
}

#[test]
fn a_message_in_one_piece_is_whole_or_a_failure() {
    let body = r#"{"type":"message","content":[{"type":"text","text":"One"}],"stop_reason":"end_turn"}"#;
    for at in 0..body.len() {
        let cut = Parser::default().whole(&body.as_bytes()[..at], &exchange());
        assert!(matches!(cut, Err(ApiError::AnswerCut { .. })), "cut at {at}: {cut:?}");
    }
    for body in [r#"{"choices":[]}"#, r#"{"content":"text"}"#, "[]", "{}", "<p>"] {
        let read = Parser::default().whole(body.as_bytes(), &exchange());
        assert!(matches!(read, Err(ApiError::InvalidResponse { .. })), "{body}: {read:?}");
    }
    let error = br#"{"type":"error","error":{"type":"api_error","message":"Broken"}}"#;
    let refused = Parser::new(Some("req_1".into())).whole(error, &exchange());
    let Err(ApiError::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.to_string(), "llm.example.com answered api_error instead of an answer: Broken (request req_1)");
}

#[test]
fn stop_reasons_decide_whether_it_is_an_answer() {
    let declined = |expected: &str| Err(ApiError::Declined { description: expected.into() });
    for (stopped, verdict) in [
        (r#""stop_reason":"end_turn""#, Ok(())),
        (r#""stop_reason":"invented_later""#, Ok(())),
        (r#""stop_reason":null"#, Ok(())),
        (r#""stop_reason":"model_context_window_exceeded""#, Err(ApiError::ContextFull)),
        (r#""stop_reason":"refusal","stop_details":null"#, declined("")),
        (r#""stop_reason":"refusal","stop_details":{"category":"cyber","explanation":null}"#, declined("cyber")),
        (r#""stop_reason":"refusal","stop_details":{"category":"cyber","explanation":"No\u0007."}"#, declined("No")),
    ] {
        let mut streamed = Parser::default();
        let data = format!(r#"{{"type":"message_delta","delta":{{{stopped}}}}}"#);
        assert_eq!(streamed.event(Event { name: "", data: &data }, &exchange()), Ok(StreamEvent::Nothing));
        assert_eq!(streamed.verdict(&exchange()), verdict, "{stopped}");
        let mut whole = Parser::default();
        let body = format!(r#"{{"content":[],{stopped}}}"#);
        assert_eq!(whole.whole(body.as_bytes(), &exchange()), Ok(StreamEvent::Stop));
        assert_eq!(whole.verdict(&exchange()), verdict, "{stopped}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic_or_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".*") {
        prop_assert!(!follow([&bytes[..], text.as_bytes()]).complete);
        refusal::read::parse(&text, &exchange());
    }

    #[test]
    fn no_damage_to_a_stream_is_a_panic(at in 0..STREAM.len(), byte in any::<u8>()) {
        let mut stream = STREAM.as_bytes().to_vec();
        stream[at] = byte;
        let outcome = follow([&stream[..]]);
        prop_assert!(outcome.complete || outcome.failure.is_some());
    }
}
