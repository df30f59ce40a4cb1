//! The parser of completions, without a network.

use proptest::prelude::*;

use super::stream::Parser;
use crate::api::dialect::StreamParser as _;
use crate::api::error::ApiError;
use crate::api::meta::{AnswerMeta, StreamEvent, Usage};
use crate::api::replay::Replayed;
use crate::api::tests::{exchange, parse};

const STREAM: &str = concat!(
    ": a comment\r\n\r\n",
    r#"data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[{"index":0,"#,
    r#""delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
    "\r\n\r\n",
    r#"data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm","reasoning":"Hm"}}]}"#,
    "\n\n",
    // The end of the one and the beginning of the other at once.
    r#"data: {"choices":[{"index":0,"delta":{"reasoning":"m","content":"Gr"},"finish_reason":""}]}"#,
    "\n\n",
    "event: ping\ndata: not even JSON\n\n",
    "data: {\"type\":\"ping\"}\n\n",
    "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"üße 😀\"}}]}\n\n",
    r#"data: {"choices":[{"index":7,"delta":{"content":"!"}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"content":[{"type":"text","text":"\u001b\n"},{"type":"image"}]}}],"error":null}"#,
    "\r\r",
    r#"data: {"model":"","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
    "\n\n",
    r#"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":15,"prompt_tokens_details":{"cached_tokens":3}}}"#,
    "\n\n",
    "data: [DONE]\n\n",
);

fn follow<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Replayed {
    parse(Parser::default(), chunks)
}

fn ended(stream: &str) -> Option<ApiError> {
    follow([stream.as_bytes()]).failure
}

#[test]
fn wherever_a_stream_is_cut_into_chunks_it_says_the_same() {
    let stream = STREAM.as_bytes();
    let check = |outcome: Replayed, at: usize| {
        assert!(outcome.complete, "cut at {at}");
        assert_eq!(outcome.failure, None, "cut at {at}");
        assert_eq!(outcome.text, "Grüße 😀!\u{1b}\n", "cut at {at}");
        assert_eq!(outcome.thinking, "Hmm", "cut at {at}");
        let usage = Usage {
            input_tokens: Some(7),
            output_tokens: Some(15),
            cache_read_input_tokens: Some(3),
            ..Usage::default()
        };
        let (model, stop_reason) = (Some("m-1".into()), Some("max_tokens".into()));
        assert_eq!(outcome.meta, AnswerMeta { model, stop_reason, usage, request_id: None }, "cut at {at}");
    };
    for at in 0..=stream.len() {
        check(follow([&stream[..at], &stream[at..]]), at);
    }
    check(follow(stream.chunks(1)), 1);
}

#[test]
fn a_stream_is_whole_from_its_finish_reason_on_and_never_before() {
    let reason = STREAM.find(r#""length""#).unwrap();
    let whole = reason + STREAM[reason..].find("\n\n").unwrap();
    for at in 0..STREAM.len() {
        let outcome = follow([&STREAM.as_bytes()[..at]]);
        if at < whole {
            assert!(matches!(outcome.failure, Some(ApiError::AnswerCut { .. })), "cut at {at}: {:?}", outcome.failure);
        } else {
            assert_eq!(outcome.failure, None, "cut at {at}");
        }
    }
}

#[test]
fn done_alone_ends_an_answer_that_has_begun() {
    let text = r#"data: {"choices":[{"delta":{"content":"x"}}]}"#;
    assert_eq!(ended(&format!("{text}\n\ndata: [DONE]\n\n")), None);
    let cut = |stream: &str| match ended(stream) {
        Some(ApiError::AnswerCut { reason: why, .. }) => why,
        other => panic!("{stream}: {other:?}"),
    };
    assert_eq!(cut(&format!("{text}\n\n")), "it ended without a finish_reason and without [DONE]");
    assert_eq!(cut(&format!("{text}\n\ndata: [DO")), "it ended inside an event");
    assert_eq!(cut("data: [DONE]\n\n"), "it ended before its first chunk");
    assert_eq!(cut(""), "");
    let gave_up = r#"data: {"choices":[{"delta":{},"finish_reason":"error"}]}"#;
    assert_eq!(cut(&format!("{text}\n\n{gave_up}\n\n")), "its finish_reason is `error`");
    let whole = br#"{"choices":[{"message":{"content":"half"},"finish_reason":"error"}]}"#;
    let cut = Parser::default().whole(whole, &exchange());
    assert_eq!(cut, Err(exchange().cut("its finish_reason is `error`")));
}

#[test]
fn an_error_in_the_middle_is_a_refusal() {
    for (data, kind, message) in [
        (r#"{"error":{"message":"sk-token?","type":"server_error","code":500}}"#, Some("server_error"), "(secret)?"),
        (
            r#"{"error":{"message":"Slow","type":null,"code":429},"choices":[{"finish_reason":"error"}]}"#,
            Some("rate_limit_error"),
            "Slow",
        ),
        (r#"{"error":{"message":"Gone","type":"None","code":"502"}}"#, Some("api_error"), "Gone"),
        (r#"{"error":{"message":"No","code":"model_gone"}}"#, Some("model_gone"), "No"),
        (r#"{"error":"plain words"}"#, None, "plain words"),
        (r#"{"object":"error","message":"Bad","type":"BadRequestError","code":400}"#, Some("BadRequestError"), "Bad"),
        (r#"{"type":"error","message":"Busy","code":"503"}"#, Some("overloaded_error"), "Busy"),
    ] {
        let Some(ApiError::Refused(refusal)) = ended(&format!("data: {data}\n\n")) else { panic!("{data}") };
        assert_eq!((refusal.status, refusal.kind.as_deref(), &*refusal.message), (None, kind, message), "{data}");
    }
    let Some(ApiError::Refused(refusal)) = ended("event: error\ndata: upstream gone\n\n") else { panic!("no refusal") };
    assert_eq!(refusal.message, "upstream gone");
}

#[test]
fn events_of_no_api_are_told_if_the_end_is_missing() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    for (event, message) in [
        ("data: {\"detail\":\"quota\"}", ": quota"),
        ("data: {\"message\":\"quota\"}", ": quota"),
        ("data: {\"errors\":[{\"message\":\"quota\"}]}", ": quota"),
        ("event: warning\ndata: quota", ": quota"),
        ("data: {\"unknown\":1}", ""),
    ] {
        let end = "it ended without a finish_reason, after an unknown event";
        let cut = Some(exchange().cut(format!("{end}{message}")));
        assert_eq!(ended(&format!("{text}{event}\n\ndata: [DONE]\n\n")), cut, "{event}");
        assert_eq!(ended(&format!("{text}{event}\n\n")), cut, "{event}");
        let end = "with a stream that has no event of the Chat Completions API";
        let none = Some(exchange().invalid(format!("{end}{message}")));
        assert_eq!(ended(&format!("{event}\n\ndata: [DONE]\n\n")), none, "{event}");
        let finish = r#"data: {"choices":[{"finish_reason":"stop"}]}"#;
        for whole in [format!("{event}\n\n{finish}"), format!("{finish}\n\n{event}")] {
            assert_eq!(ended(&format!("{text}{whole}\n\ndata: [DONE]\n\n")), None, "{event}");
        }
    }
    for keep_alive in ["event: ping\ndata: 1", "data: {\"type\":\"ping\"}", "event: heartbeat\ndata: {}"] {
        assert_eq!(ended(&format!("{text}{keep_alive}\n\ndata: [DONE]\n\n")), None, "{keep_alive}");
    }
    for (data, message) in [("quota exceeded", ": quota exceeded"), ("\"quota\"", ": quota"), ("[]", "")] {
        let what = format!("with an event that is not of the Chat Completions API{message}");
        assert_eq!(ended(&format!("{text}data: {data}\n\n")), Some(exchange().invalid(what)));
    }
}

#[test]
fn a_finished_answer_is_not_failed_by_what_follows() {
    let finished = r#"data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    for rest in ["error: {\"code\":500}", "data: {\"error\":\"late\"}", "event: error\ndata: late", "data: {\"cho"] {
        let outcome = follow([format!("{finished}\n\n{rest}\n\n").as_bytes()]);
        assert_eq!((&*outcome.text, outcome.failure), ("x", None), "{rest}");
    }
    // An empty field is no error.
    let blank = r#"data: {"error":"","choices":[{"delta":{"content":"y"}}]}"#;
    assert_eq!(ended(&format!("{blank}\n\ndata: [DONE]")), None);
}

#[test]
fn only_one_choice_is_read() {
    let two = r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#;
    let error = exchange().invalid("with 2 choices at once, although one was asked for");
    assert_eq!(ended(&format!("data: {two}\n\n")), Some(error.clone()));
    assert_eq!(Parser::default().whole(two.as_bytes(), &exchange()), Err(error));
}

#[test]
fn halves_of_characters_are_joined() {
    let delta = |delta: &str| format!(r#"data: {{"choices":[{{"delta":{{{delta}}}}}]}}"#) + "\n\n";
    let stream = [
        delta(r#""reasoning_content":"a\ud83d""#),
        delta(r#""reasoning_content":"\ude00""#),
        delta(r#""content":"a\ud83d""#),
        delta(r#""content":"\ude00b","role":"\ud83d""#),
        delta(r#""content":"\ud83d""#),
    ];
    let outcome = follow([(stream.concat() + "data: [DONE]\n\n").as_bytes()]);
    assert_eq!((&*outcome.thinking, &*outcome.text, outcome.failure), ("a😀", "a😀b\u{fffd}", None));
    let error = "data: {\"error\":{\"message\":\"cut \\ud83d\"}}\n\n";
    let Some(ApiError::Refused(refusal)) = ended(error) else { panic!("no refusal") };
    assert_eq!(refusal.message, "cut \u{fffd}");
}

#[test]
fn what_is_none_of_the_apis_is_nonsense() {
    for stream in [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
        "data: {\"choices\":[{\"delta\":{\"con\n\n",
        "data: {\"choices\":\"none\"}\n\n",
    ] {
        assert!(matches!(ended(stream), Some(ApiError::InvalidResponse { .. })), "{stream}: {:?}", ended(stream));
    }
}

#[test]
fn finish_reasons_are_told_in_the_words_of_the_other_dialect() {
    let declined = |expected: &str| Some(ApiError::Declined { description: expected.into() });
    for (choice, stop_reason, verdict) in [
        (r#""finish_reason":"stop""#, "end_turn", None),
        (r#""finish_reason":"length""#, "max_tokens", None),
        (r#""finish_reason":"tool_calls""#, "tool_use", None),
        (r#""finish_reason":"end_turn""#, "end_turn", None),
        (r#""finish_reason":"invented\u0007later""#, "invented later", None),
        (r#""finish_reason":"content_filter""#, "refusal", declined("")),
        (
            r#""finish_reason":"model_context_window_exceeded""#,
            "model_context_window_exceeded",
            Some(ApiError::ContextFull),
        ),
        (r#""delta":{"refusal":"I will not."},"finish_reason":"stop""#, "refusal", declined("I will not")),
    ] {
        let outcome = follow([format!("data: {{\"choices\":[{{{choice}}}]}}\n\n").as_bytes()]);
        assert_eq!((outcome.meta.stop_reason.as_deref(), outcome.verdict), (Some(stop_reason), verdict), "{choice}");
    }
}

#[test]
fn what_a_model_says_while_it_declines_is_bounded() {
    let piece = format!(r#"data: {{"choices":[{{"delta":{{"refusal":"{}"}}}}]}}"#, "no ".repeat(1000));
    let outcome = follow([format!("{piece}\n\n").repeat(100).as_bytes()]);
    let Some(ApiError::Declined { description: expected }) = outcome.verdict else { panic!("{:?}", outcome.verdict) };
    assert!(expected.len() < 400, "{expected}");
}

#[test]
fn a_completion_in_one_piece_is_read() {
    let mut parser = Parser::new(Some("req_1".into()));
    let body = r#"{"object":"chat.completion","model":"m-2","choices":[{"index":0,"finish_reason":"stop","message":
        {"role":"assistant","content":"One two","reasoning_content":"Hm","refusal":null}}],
        "usage":{"prompt_tokens":"many","completion_tokens":2}}"#;
    assert_eq!(parser.whole(body.as_bytes(), &exchange()), Ok(StreamEvent::Thinking("Hm".into())));
    assert_eq!((parser.held(), parser.held()), (Some(StreamEvent::Text("One two".into())), None));
    assert_eq!(parser.verdict(&exchange()), Ok(()));
    let usage = Usage { output_tokens: Some(2), ..Usage::default() };
    let (model, stop_reason) = (Some("m-2".into()), Some("end_turn".into()));
    assert_eq!(parser.meta, AnswerMeta { model, stop_reason, usage, request_id: Some("req_1".into()) });
    let silent = br#"{"choices":[{"message":{"content":null}}]}"#;
    assert_eq!(Parser::default().whole(silent, &exchange()), Ok(StreamEvent::Stop));
}

#[test]
fn a_completion_in_one_piece_is_whole_or_a_failure() {
    let body = r#"{"choices":[{"message":{"content":"One"},"finish_reason":"stop"}]}"#;
    for at in 0..body.len() {
        let cut = Parser::default().whole(&body.as_bytes()[..at], &exchange());
        assert!(matches!(cut, Err(ApiError::AnswerCut { .. })), "cut at {at}: {cut:?}");
    }
    for (body, expected) in [
        (r#"{"choices":[]}"#, "with JSON that is not a chat completion"),
        (r#"{"choices":[{}]}"#, "with JSON that is not a chat completion"),
        (r#"{"content":[]}"#, "with JSON that is not a chat completion"),
        (r#"{"detail":"Try sk-token later."}"#, "with JSON that is not a chat completion: Try (secret) later"),
    ] {
        let read = Parser::default().whole(body.as_bytes(), &exchange());
        let Err(ApiError::InvalidResponse { description: what, .. }) = read else { panic!("{body}: {read:?}") };
        assert_eq!(what, expected);
    }
    let refused = Parser::new(Some("req_1".into())).whole(br#"{"error":{"message":"Broken","code":503}}"#, &exchange());
    let Err(ApiError::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        refusal.to_string(),
        "llm.example.com answered overloaded_error instead of an answer: Broken (request req_1)"
    );
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic_or_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".*") {
        let outcome = follow([&bytes[..], text.as_bytes()]);
        prop_assert!(outcome.failure.is_some());
        drop(Parser::default().whole(&bytes, &exchange()));
    }

    #[test]
    fn no_damage_to_a_stream_is_a_panic(at in 0..STREAM.len(), byte in any::<u8>()) {
        let mut stream = STREAM.as_bytes().to_vec();
        stream[at] = byte;
        follow([&stream[..]]);
    }
}
