//! `nexus chat`: what is asked, what is printed, and the truth about how it ended.

use nexus::sandbox::{Answer, Endpoint, Gate, Piece, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, block_on, sandbox};

pub(crate) const NOTE: &str = "(This is the nexus sandbox: no model is behind it.)";

pub(crate) fn signed_in() -> (Sandbox, Nexus) {
    Nexus::signed_in(Settings::default())
}

/// What the last question asked.
pub(crate) fn asked(sandbox: &Sandbox) -> Value {
    sandbox.requests_to(Endpoint::Messages).last().unwrap().json()
}

pub(crate) fn event(kind: &str, fields: Value) -> Piece {
    let mut data = json!({ "type": kind });
    data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Piece::event(&data)
}

pub(crate) fn delta(text: &str) -> Piece {
    event("content_block_delta", json!({ "index": 0, "delta": { "type": "text_delta", "text": text } }))
}

pub(crate) fn stop_reason(reason: &str) -> Piece {
    event("message_delta", json!({ "delta": { "stop_reason": reason }, "usage": { "output_tokens": 3 } }))
}

pub(crate) fn stop() -> Piece {
    event("message_stop", json!({}))
}

#[test]
fn an_answer_is_printed_and_nothing_else() {
    let (sandbox, nexus) = signed_in();
    assert_output!(
        nexus.run(&["chat", "Hello, Claude!"]), 0,
        stdout: format!("You said: Hello, Claude! {NOTE}\n"), stderr: "",
    );
    assert_eq!(
        asked(&sandbox),
        json!({
            "model": "sandbox-large", "max_tokens": 4_096, "stream": true,
            "messages": [{ "role": "user", "content": "Hello, Claude!" }],
        }),
        "nothing is sent that some model could refuse"
    );
}

#[test]
fn flags_say_what_is_asked() {
    let (sandbox, nexus) = signed_in();
    nexus.run(&["chat", "--system", "Be brief.", "--model", "sandbox-small", "--max-tokens", "99", "x"]).ok();
    let asked = asked(&sandbox);
    assert_eq!(
        (&asked["system"], &asked["model"], &asked["max_tokens"]),
        (&json!("Be brief."), &json!("sandbox-small"), &json!(99))
    );
}

#[test]
fn pieces_are_flushed_as_they_come() {
    let (sandbox, nexus) = signed_in();
    let gate = Gate::new();
    sandbox.script(
        Endpoint::Messages,
        [Scripted::stream([delta("one "), Piece::Wait(gate.clone()), delta("two"), stop_reason("end_turn"), stop()])],
    );
    let mut child = nexus.command(&["chat", "x"]).spawn().unwrap();
    let mut first = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"one ", "before the second piece exists");
    gate.open();
    assert_output!(nexus.finish(child), 0, stdout: "two\n", stderr: "");
}

#[test]
fn bytes_go_through_a_pipe_untouched() {
    let (sandbox, nexus) = signed_in();
    let text = "a\u{1b}[31mred\u{202e}\r\n\ttab \u{7f}\n";
    sandbox.script(Endpoint::Messages, [Scripted::stream([delta(text), stop_reason("end_turn"), stop()])]);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: text, stderr: "");
}

#[test]
fn half_an_answer_never_passes_for_a_whole_one() {
    let (sandbox, nexus) = signed_in();
    let ended = "it ended without the event message_stop";
    for (script, why) in [
        (Scripted::stream([delta("half")]), ended),
        (Scripted::stream([delta("half"), stop_reason("end_turn")]), ended),
        (Scripted::stream([delta("half"), Piece::Break]), "the connection broke"),
    ] {
        sandbox.script(Endpoint::Messages, [script]);
        let output = nexus.run(&["chat", "x"]);
        assert_eq!((output.code, &*output.stdout), (Some(75), "half"), "{output}");
        let expected = format!(
            "note: the answer above is incomplete\nerror: the answer from [SERVER] was cut off: {why}\n  ask again\n"
        );
        assert_eq!(output.stderr, expected);
    }
    for events in 0..6 {
        sandbox.script(Endpoint::Messages, [Scripted::Cut(events)]);
        let output = nexus.run(&["chat", "x", "--retries", "0"]);
        assert_eq!(output.code, Some(75), "cut after {events} events: {output}");
    }
}

#[test]
fn an_error_event_fails_whenever_it_comes() {
    let (sandbox, nexus) = signed_in();
    let error = |kind: &str| event("error", json!({ "error": { "type": kind, "message": "Overloaded" } }));
    for (pieces, stdout, kind, code) in [
        (vec![error("overloaded_error")], "", "overloaded_error", 75),
        (vec![delta("half"), error("overloaded_error")], "half", "overloaded_error", 75),
        (vec![delta("half"), error("invalid_request_error")], "half", "invalid_request_error", 75),
    ] {
        sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
        let output = nexus.run(&["chat", "x", "--retries", "0"]);
        assert_eq!((output.code, &*output.stdout), (Some(code), stdout), "{output}");
        let note = if stdout.is_empty() { "" } else { "note: the answer above is incomplete\n" };
        let when = if stdout.is_empty() { "instead of an answer" } else { "in the middle of its answer" };
        let expected = format!("{note}error: [SERVER] answered {kind} {when}: Overloaded\n");
        assert!(output.stderr.starts_with(&expected), "{output}");
    }
}

#[test]
fn how_an_answer_ends_is_told_apart() {
    let (sandbox, nexus) = signed_in();
    for (reason, expected, code) in [
        ("end_turn", "", 0),
        ("stop_sequence", "", 0),
        ("something_new", "note: the answer is incomplete: unknown stop reason `something_new`\n", 0),
        (
            "tool_use",
            "note: the answer is incomplete: the model wants to use a tool (tool_use), and nexus offers none\n",
            0,
        ),
        ("pause_turn", "note: the answer is incomplete: the API paused it (pause_turn); ask it to continue\n", 0),
        ("max_tokens", "note: the answer is incomplete: it reached --max-tokens\n", 0),
        (
            "refusal",
            "note: the text above is not an answer\nerror: the model declined to answer\n  rephrase the question, or \
             try another --model\n",
            1,
        ),
        (
            "model_context_window_exceeded",
            "note: the answer above is incomplete\nerror: the conversation exceeds the model's context window\n  shorten the input, or use a model with a larger context\n",
            1,
        ),
    ] {
        sandbox.script(Endpoint::Messages, [Scripted::stream([delta("text"), stop_reason(reason), stop()])]);
        let output = nexus.run(&["chat", "x"]);
        assert_eq!((output.code, &*output.stderr), (Some(code), expected), "{reason}");
        assert_eq!(output.stdout.trim_end(), "text", "{reason}");
    }
}

#[test]
fn refusals_have_their_sentence_and_code() {
    let (sandbox, nexus) = signed_in();
    let own = |kind: &str, message: &str| json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" });
    let json = |status: u16, body: &Value| Scripted::json(status, body);
    for (script, sentence, hint, code) in [
        (
            json(429, &own("rate_limit_error", "slow down")).header("retry-after", "7"),
            "answered 429 rate_limit_error: slow down (request req_1)",
            "try again in 7 seconds",
            75,
        ),
        (
            json(529, &own("overloaded_error", "Overloaded")),
            "answered 529 overloaded_error: Overloaded (request req_1)",
            "try again in a minute",
            75,
        ),
        (
            Scripted::text(502, "text/html", "<html><title>Bad \u{1b}gateway</title>"),
            "answered 502: Bad gateway",
            "try again in a minute",
            75,
        ),
        (Scripted::text(500, "text/plain", ""), "answered 500", "try again in a minute", 75),
        (
            json(400, &own("invalid_request_error", "max_tokens: too many")),
            "answered 400 invalid_request_error: max_tokens: too many (request req_1)",
            "see the server's message",
            1,
        ),
        (
            json(404, &own("not_found_error", "model: x")),
            "answered 404 not_found_error: model: x (request req_1)",
            "run `nexus models` to list the models; if that fails too, check `api_url`",
            1,
        ),
        (
            json(403, &json!({ "error": { "message": "no access", "type": "insufficient_scope", "code": null } })),
            "answered 403 insufficient_scope: no access",
            "the account lacks this permission: try another --model, or ask its administrator",
            1,
        ),
        (json(413, &json!({ "detail": "too big" })), "answered 413: too big", "shorten the input", 1),
        (
            json(429, &own("billing_error", "no credit")),
            "answered 429 billing_error: no credit (request req_1)",
            "check the credit and the spend limit of the account",
            1,
        ),
        (
            json(400, &own("invalid_request_error", "prompt is too long: 212000 tokens > 200000 maximum")),
            "answered 400 invalid_request_error: prompt is too long: 212000 tokens > 200000 maximum (request req_1)",
            "shorten the input, or use a model with a larger context",
            1,
        ),
        (
            json(
                429,
                &json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "cap", "details": { "error_code": "enforced_spend_limit_reached" } } }),
            ),
            "answered 429 enforced_spend_limit_reached: cap",
            "check the credit and the spend limit of the account",
            1,
        ),
    ] {
        sandbox.script(Endpoint::Messages, [script]);
        let expected = format!("error: [SERVER] {sentence}\n  {hint}\n");
        assert_output!(nexus.run(&["chat", "x", "--retries", "0"]), code, stdout: "", stderr: expected);
    }
}

#[test]
fn an_expired_token_is_renewed_without_a_word() {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: format!("You said: x {NOTE}\n"), stderr: "");
    nexus.run(&["chat", "x"]).ok();
    assert_eq!((sandbox.refreshes(), sandbox.counts().messages), (1, 2));
}

#[test]
fn a_rejected_token_is_renewed_once_before_the_first_byte() {
    let (sandbox, nexus) = signed_in();
    sandbox.expire_access();
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: format!("You said: x {NOTE}\n"), stderr: "");
    assert_eq!((sandbox.refreshes(), sandbox.requests_to(Endpoint::Messages).len()), (1, 2));
}

#[test]
fn a_second_401_is_a_clear_failure() {
    let (sandbox, nexus) = signed_in();
    let refusal =
        json!({ "type": "error", "error": { "type": "authentication_error", "message": "Invalid bearer token" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(401, &refusal), Scripted::json(401, &refusal)]);
    assert_output!(
        nexus.run(&["chat", "x"]), 4, stdout: "",
        stderr: "error: the API rejected a fresh access token: [SERVER] answered 401 authentication_error: Invalid bearer \
                 token\n  run `nexus oauth start`\n",
    );
    assert_eq!((sandbox.refreshes(), sandbox.requests_to(Endpoint::Messages).len()), (1, 2), "nothing loops");
}

#[test]
fn a_token_that_another_process_renewed_meanwhile_is_adopted() {
    let (sandbox, nexus) = signed_in();
    let gate = Gate::new();
    let refusal = json!({ "type": "error", "error": { "type": "authentication_error", "message": "expired" } });
    let late = Answer::json(401, &refusal);
    let late = Answer { body: [vec![Piece::Wait(gate.clone())], late.body].concat(), ..late };
    sandbox.script(Endpoint::Messages, [Scripted::Answer(late)]);
    let child = nexus.command(&["chat", "x"]).spawn().unwrap();
    block_on(gate.arrived(1));
    nexus.run(&["oauth", "token", "--min-ttl", "20h"]).ok();
    assert_eq!(sandbox.refreshes(), 1);
    gate.open();
    assert_eq!(nexus.finish(child).code, Some(0));
    assert_eq!(sandbox.refreshes(), 1, "the newer token is used, not renewed again");
}

#[test]
fn a_prefixed_gateway_that_does_not_stream_is_understood() {
    let sandbox = sandbox(Settings { prefix: "/gateway".into(), ..Settings::default() });
    let nexus = Nexus::new();
    let config = crate::nexus::config(&sandbox, "model = 'm'");
    nexus.configure(&config.replace(
        &format!("api_url = \"{}\"", sandbox.origin()),
        &format!("api_url = \"{}/gateway/\"", sandbox.origin()),
    ));
    nexus.sign_in();
    let message = json!({
        "type": "message", "role": "assistant", "model": "m", "content": [{ "type": "text", "text": "whole" }],
        "stop_reason": "end_turn", "usage": { "input_tokens": 1, "output_tokens": 1 },
    });
    sandbox.script(Endpoint::Messages, [Scripted::json(200, &message)]);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: "whole\n", stderr: "");
    assert_eq!(sandbox.requests_to(Endpoint::Messages)[0].path, "/gateway/v1/messages");
}

#[test]
fn a_reader_who_has_enough_is_no_failure() {
    let (sandbox, nexus) = signed_in();
    let gate = Gate::new();
    let pieces = [delta("one\n"), Piece::Wait(gate.clone()), delta("two\n"), stop_reason("end_turn"), stop()];
    sandbox.script(Endpoint::Messages, [Scripted::stream(pieces)]);
    let mut child = nexus.command(&["chat", "x"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut stdout, &mut [0; 4]).unwrap();
    drop(stdout);
    gate.open();
    assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
}
