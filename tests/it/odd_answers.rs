//! Answers of servers that differ from the APIs: half ones that look whole, whole ones that look broken, and refusals
//! of fields that the user did not set.

use nexus::sandbox::{Endpoint, Piece, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output};

/// The two APIs: the configuration, and the endpoint of questions.
const MESSAGES: (&str, Endpoint) = ("", Endpoint::Messages);
const COMPLETIONS: (&str, Endpoint) = ("dialect = 'openai'", Endpoint::Completions);

fn signed_in(api: (&str, Endpoint)) -> (Sandbox, Nexus) {
    Nexus::signed_in_with(Settings::default(), &format!("model = 'm'\n{}", api.0))
}

/// The output for one answer, which is not asked for again.
fn answered(api: (&str, Endpoint), answer: Scripted, words: &[&str]) -> Output {
    let (sandbox, nexus) = signed_in(api);
    sandbox.script(api.1, [answer]);
    nexus.run(&[&["chat", "x", "--retries", "0"], words].concat())
}

fn stream(text: &str) -> Scripted {
    Scripted::stream([Piece::text(text)])
}

fn chunk(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn content(text: &str) -> String {
    chunk(&json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }))
}

const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn delta(kind: &str, text: &str) -> String {
    event(&json!({ "type": "content_block_delta", "delta": { "type": format!("{kind}_delta"), kind: text } }))
}

fn stop(reason: &str) -> String {
    event(&json!({ "type": "message_delta", "delta": { "stop_reason": reason } })) + STOP
}

const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A cut answer: its text, and what is told about the reason.
fn assert_cut(output: &Output, text: &str, reason: &str) {
    assert_eq!((output.code, &*output.stdout), (Some(75), text), "{output}");
    assert!(output.stderr.contains(reason), "{output}");
}

#[test]
fn the_only_choice_counts_whatever_its_index() {
    let choice =
        |index: u32, text: &str| chunk(&json!({ "choices": [{ "index": index, "delta": { "content": text } }] }));
    let text = format!("{}{}{}{FINISH}{DONE}", choice(0, "a"), choice(1, "b"), choice(2, "c"));
    assert_output!(answered(COMPLETIONS, stream(&text), &[]), 0, stdout: "abc\n", stderr: "");
}

#[test]
fn several_choices_in_one_chunk_are_an_error() {
    let both = chunk(&json!({ "choices": [{ "index": 0, "delta": { "content": "a" } }, { "index": 1, "delta": {} }] }));
    let output = answered(COMPLETIONS, stream(&format!("{both}{FINISH}{DONE}")), &[]);
    assert!(output.code != Some(0) && output.stderr.contains("choices"), "{output}");
}

#[test]
fn an_error_in_a_field_of_its_own_is_an_error() {
    let error = "error: {\"code\":400,\"message\":\"the context is full of words\"}\n\n";
    for (api, text) in [(COMPLETIONS, content("half")), (MESSAGES, delta("text", "half"))] {
        assert_cut(
            &answered(api, stream(&format!("{text}{error}{DONE}")), &[]),
            "half",
            "the context is full of words",
        );
        let output = answered(api, stream(error), &[]);
        assert!(output.code == Some(1) && output.stderr.contains("the context is full of words"), "{output}");
    }
}

#[test]
fn done_after_events_that_are_no_chunks_is_a_cut_answer() {
    for (data, words) in [
        (json!({ "detail": "the worker died" }), "the worker died"),
        (json!({ "object": "error", "message": "the worker died" }), "the worker died"),
        (json!({ "message": "the worker died" }), "the worker died"),
        (json!({ "errors": [{ "message": "the worker died" }] }), "the worker died"),
    ] {
        let text = format!("{}{}{DONE}", content("half"), chunk(&data));
        assert_cut(&answered(COMPLETIONS, stream(&text), &[]), "half", words);
        let text = format!("{}{}{STOP}", delta("text", "half"), chunk(&data));
        assert_cut(&answered(MESSAGES, stream(&text), &[]), "half", words);
    }
}

#[test]
fn an_answer_without_text_is_an_error() {
    let thinking = |reason: &str| delta("thinking", "Hm.") + &stop(reason);
    let reasoning = chunk(&json!({ "choices": [{ "delta": { "reasoning_content": "Hm." } }] }));
    let error = "error: the answer from [SERVER] is empty";
    for (api, text, expected) in [
        (MESSAGES, thinking("end_turn"), format!("{error}: there is no text after the thinking\n  ask again, or ")),
        (MESSAGES, stop("end_turn"), format!("{error}\n")),
        (MESSAGES, STOP.into(), format!("{error}\n")),
        (MESSAGES, stop("tool_use"), format!("{error}\n")),
        (MESSAGES, delta("text", "\n\n") + &stop("end_turn"), format!("{error}\n")),
        (
            MESSAGES,
            thinking("max_tokens"),
            format!(
                "{error}: there is no text after the thinking, which reached the limit of tokens\n  raise --max-tokens\n"
            ),
        ),
        (COMPLETIONS, format!("{reasoning}{FINISH}{DONE}"), format!("{error}: there is no text after the thinking\n")),
        (COMPLETIONS, format!("{FINISH}{DONE}"), format!("{error}\n")),
    ] {
        let output = answered(api, stream(&text), &[]);
        assert_eq!((output.code, output.stdout.trim()), (Some(75), ""), "{text}: {output}");
        assert!(output.stderr.contains(&expected), "{text}: {output}");
        let object = answered(api, stream(&text), &["--json"]).json();
        assert_eq!(object["error"]["reason"], "answer_empty", "{text}");
    }
    let output = answered(MESSAGES, stream(&thinking("end_turn")), &["--thinking=always"]);
    assert!(output.code == Some(75) && output.stderr.contains("Hm."), "thinking is shown: {output}");
    let whole =
        json!({ "type": "message", "content": [{ "type": "thinking", "thinking": "Hm." }], "stop_reason": "end_turn" });
    assert_eq!(answered(MESSAGES, Scripted::json(200, &whole), &[]).code, Some(75));
    let empty = answered(MESSAGES, stream(&stop("stop_sequence")), &[]);
    assert_eq!(empty.code, Some(0), "the user wanted it to stop there: {empty}");
}

#[test]
fn the_last_event_needs_no_blank_line() {
    for (api, text) in [
        (COMPLETIONS, format!("{}{FINISH}{DONE}", content("whole"))),
        (MESSAGES, { delta("text", "whole") + &stop("end_turn") }),
    ] {
        assert_output!(answered(api, stream(text.trim_end()), &[]), 0, stdout: "whole\n", stderr: "");
    }
    let half = delta("text", "half") + STOP.trim_end().strip_suffix('}').unwrap();
    assert_cut(&answered(MESSAGES, stream(&half), &[]), "half", "cut off");
}

#[test]
fn a_stream_without_a_fitting_content_type_is_read_as_one() {
    for kind in ["", "text/plain", "application/octet-stream"] {
        for (api, text) in [
            (COMPLETIONS, format!("{}{FINISH}{DONE}", content("whole"))),
            (MESSAGES, format!(": hello\n\n{}{}", delta("text", "whole"), stop("end_turn"))),
        ] {
            assert_output!(answered(api, Scripted::text(200, kind, &text), &[]), 0, stdout: "whole\n", stderr: "");
        }
    }
    let page = "<!doctype html><title>Sign in</title>";
    let output = answered(MESSAGES, Scripted::text(200, "text/html", page), &[]);
    assert!(output.code == Some(1) && output.stderr.contains("Sign in"), "{output}");
}

/// A gzip file (RFC 1952) whose content is not compressed.
fn gzip(text: &str) -> Vec<u8> {
    let crc = !text.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    let size = u16::try_from(text.len()).unwrap();
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend(size.to_le_bytes());
    file.extend((!size).to_le_bytes());
    file.extend(text.as_bytes());
    file.extend(crc.to_le_bytes());
    file.extend(u32::from(size).to_le_bytes());
    file
}

#[test]
fn gzip_is_decoded_though_it_was_not_asked_for() {
    let text = delta("text", "whole") + &stop("end_turn");
    let (sandbox, nexus) = signed_in(MESSAGES);
    let zipped = |text: &str| Scripted::stream([Piece::Bytes(gzip(text))]).header("content-encoding", "gzip");
    sandbox.script(Endpoint::Messages, [zipped(&text)]);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: "whole\n", stderr: "");
    assert_eq!(sandbox.requests_to(Endpoint::Messages)[0].header("accept-encoding"), Some("identity"));
    // An unsupported coding is named.
    sandbox.script(Endpoint::Messages, [stream(&text).header("content-encoding", "br")]);
    let output = nexus.run(&["chat", "x"]);
    assert!(output.code == Some(1) && output.stderr.contains("`br`"), "{output}");
}

#[test]
fn halves_of_a_character_are_joined() {
    let (one, two) = ("\\ud83d", "\\ude00");
    let chunk = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let delta = |text: &str| {
        format!(
            "data: {{\"type\":\"content_block_delta\",\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    };
    for (api, text) in [
        (COMPLETIONS, format!("{}{}{FINISH}{DONE}", chunk(one), chunk(two))),
        (MESSAGES, format!("{}{}{}", delta(one), delta(two), stop("end_turn"))),
    ] {
        assert_output!(answered(api, stream(&text), &[]), 0, stdout: "\u{1f600}\n", stderr: "");
    }
    let alone = format!("{}{}{FINISH}{DONE}", chunk(one), chunk("b"));
    assert_output!(answered(COMPLETIONS, stream(&alone), &[]), 0, stdout: "\u{fffd}b\n", stderr: "");
}

#[test]
fn a_bare_list_of_models_is_read_and_no_default_is_guessed_without_a_claude() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "dialect = 'openai'");
    let bare = Scripted::json(200, &json!([{ "id": "claude-x" }, { "id": "dall-e-3" }]));
    sandbox.script(Endpoint::Models, [bare]);
    assert_output!(nexus.run(&["models"]), 0, stdout: "claude-x\ndall-e-3\n", stderr: "");

    let others = || Scripted::json(200, &json!({ "data": [{ "id": "dall-e-3" }, { "id": "text-embedding-3" }] }));
    sandbox.script(Endpoint::Models, [others(), others()]);
    nexus.run(&["models"]).ok();
    let output = nexus.run(&["chat", "x", "--json"]);
    assert_eq!((output.code, &output.json()["error"]["reason"]), (Some(2), &json!("no_model")), "{output}");
    let message = output.json()["error"]["message"].to_string();
    assert!(message.contains("dall-e-3") && message.contains("text-embedding-3"), "{message}");
}

/// The bodies of the requests, in order.
fn sent(sandbox: &Sandbox, api: (&str, Endpoint)) -> Vec<Value> {
    sandbox.requests_to(api.1).iter().map(|request| request.json()).collect()
}

#[test]
fn a_model_that_may_not_be_streamed_is_asked_without_streaming() {
    for status in [400, 403, 404] {
        let (sandbox, nexus) = signed_in(COMPLETIONS);
        let message = "Your organization must be verified to stream this model";
        let refusal = json!({ "error": { "message": message, "param": "stream", "code": "unsupported_value" } });
        sandbox.script(Endpoint::Completions, [Scripted::json(status, &refusal)]);
        nexus.run(&["chat", "x", "-m", "sandbox-large"]).ok();
        let streamed: Vec<_> = sent(&sandbox, COMPLETIONS).iter().map(|body| body["stream"] == true).collect();
        assert_eq!(streamed, [true, false]);
    }
}

#[test]
fn a_field_that_the_user_did_not_set_is_left_out_where_it_is_refused() {
    for refusal in [
        json!({ "error": { "message": "no", "param": "stream_options" } }),
        json!({ "detail": [{ "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted" }] }),
        json!({ "message": "Unrecognized request argument supplied: stream_options" }),
        json!({ "error": { "message": "unknown field include_usage" } }),
    ] {
        let (sandbox, nexus) = signed_in(COMPLETIONS);
        sandbox.script(Endpoint::Completions, [Scripted::json(400, &refusal)]);
        nexus.run(&["chat", "x", "-m", "sandbox-large"]).ok();
        let has: Vec<_> = sent(&sandbox, COMPLETIONS).iter().map(|body| body.get("stream_options").is_some()).collect();
        assert_eq!(has, [true, false], "{refusal}");
    }
    // The default is more than the oldest models write.
    let (sandbox, nexus) = signed_in(MESSAGES);
    let message = "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for this model";
    let refusal = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } });
    sandbox.script(Endpoint::Messages, [Scripted::json(400, &refusal)]);
    nexus.run(&["chat", "x", "-m", "unlisted"]);
    let limits: Vec<_> = sent(&sandbox, MESSAGES).iter().map(|body| body["max_tokens"].clone()).collect();
    assert_eq!(limits, [8_192, 4_096]);
}

#[test]
fn a_field_that_the_user_set_is_never_dropped() {
    let (sandbox, nexus) = signed_in(COMPLETIONS);
    let refusal = json!({ "error": { "message": "Unsupported parameter", "param": "reasoning_effort" } });
    sandbox.script(Endpoint::Completions, [Scripted::json(400, &refusal)]);
    let output = nexus.run(&["chat", "x", "--effort", "low"]);
    assert!(output.code == Some(1) && output.stderr.contains("--effort"), "{output}");
    assert_eq!(sent(&sandbox, COMPLETIONS).len(), 1);
}

#[test]
fn a_refused_system_role_is_written_in_another_way() {
    let (sandbox, nexus) = signed_in(COMPLETIONS);
    let refusal = json!({ "error": { "message": "System role not supported", "param": "messages[0].role" } });
    sandbox.script(Endpoint::Completions, [Scripted::json(400, &refusal), Scripted::json(400, &refusal)]);
    nexus.run(&["chat", "x", "-m", "sandbox-large", "-s", "Be brief."]).ok();
    let first: Vec<_> = sent(&sandbox, COMPLETIONS).iter().map(|body| body["messages"][0].clone()).collect();
    let roles: Vec<_> = first.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "developer", "user"]);
    assert!(first.iter().all(|message| message["content"].as_str().unwrap().starts_with("Be brief.")), "{first:?}");
}
