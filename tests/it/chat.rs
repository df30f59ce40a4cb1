//! `nexus chat`: what is asked, what is printed, and the truth about how it ended.

use nexus::sandbox::{Answer, Endpoint, Gate, Piece, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, block_on, sandbox};

pub(crate) const NOTE: &str = "(This is the nexus sandbox: no model is behind it.)";

pub(crate) fn signed_in() -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    (sandbox, nexus)
}

/// What the last question asked.
fn asked(sandbox: &Sandbox) -> Value {
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
fn the_prompt_comes_from_words_stdin_or_both() {
    let (sandbox, nexus) = signed_in();
    for (words, stdin, prompt) in [
        (&["chat", "two", "words"][..], "", "two words"),
        (&["chat", "words"], "piped\n", "words\n\npiped\n"),
        (&["chat", "words"], " \n", "words"),
        (&["chat"], "piped\n", "piped\n"),
        (&["chat", "-"], "piped\n", "piped\n"),
        (&["chat", "--", "-x", "--json"], "", "-x --json"),
        (&["chat", "größer: \u{1F600}"], "", "größer: \u{1F600}"),
    ] {
        let output = nexus.run_with(words, stdin);
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(asked(&sandbox)["messages"][0]["content"], prompt, "{words:?}");
    }
}

#[test]
fn a_prompt_that_is_none_is_refused_before_anything_else() {
    let (sandbox, nexus) = signed_in();
    sandbox.expire_access();
    let before = sandbox.requests().len();
    let empty = "error: no question: pass one as an argument or pipe it in\n  see `nexus chat --help`\n";
    let dash = "error: `-` reads the question from stdin and must be the only argument\n  see `nexus chat --help`\n";
    let utf8 = "error: stdin is not text: invalid UTF-8 at byte 2\n  attach an image or a PDF with `-a -` and pass the \
                question as an argument; convert text with `iconv -t UTF-8`\n";
    for (words, stdin, expected) in [
        (&["chat"][..], &b""[..], empty),
        (&["chat", ""], b"", empty),
        (&["chat", " ", "\t"], b"", empty),
        (&["chat", "-"], b" \n", empty),
        (&["chat", "-", "words"], b"x", dash),
        (&["chat", "words"], b"ok\xff", utf8),
    ] {
        assert_output!(nexus.run_with(words, stdin), 2, stdout: "", stderr: expected);
    }
    assert_eq!(sandbox.requests().len(), before);
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
fn a_list_that_was_not_to_be_had_at_sign_in_is_asked_for_when_it_is_needed() {
    let sandbox = sandbox(Settings::default());
    sandbox.script(Endpoint::Models, [Scripted::text(503, "text/plain", "busy")]);
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    nexus.run(&["chat", "--model", "sandbox-old", "x"]).ok();
    assert_eq!(sandbox.counts().models, 0, "a model that is named needs no list");
    nexus.run(&["chat", "x"]).ok();
    nexus.run(&["chat", "x"]).ok();
    assert_eq!((&asked(&sandbox)["model"], sandbox.counts().models), (&json!("sandbox-large"), 1));
}

#[test]
fn a_list_of_models_is_asked_for_again_where_that_may_help() {
    let (sandbox, nexus) = signed_in();
    let busy = || Scripted::text(503, "text/plain", "").header("retry-after-ms", "1");
    sandbox.script(Endpoint::Models, [busy(), busy()]);
    let note = |number| format!("note: [SERVER] answered 503; retrying in 1 ms{number}\n");
    let listed = "sandbox-large\nsandbox-small\nsandbox-old\n";
    assert_output!(nexus.run(&["models"]), 0, stdout: listed, stderr: note("") + &note(""));
    sandbox.script(Endpoint::Models, [busy(), busy(), busy()]);
    assert_output!(nexus.run(&["models", "--retries", "2"]), 75, stdout: "",
        stderr: note(" (1 of 2)") + &note(" (2 of 2)") + "error: [SERVER] answered 503\n  try again in 1 second\n");
    let asked = sandbox.requests_to(Endpoint::Models).len();
    sandbox.script(Endpoint::Models, [Scripted::text(501, "text/plain", "")]);
    assert_eq!(nexus.run(&["models"]).code, Some(1));
    assert_eq!(sandbox.requests_to(Endpoint::Models).len(), asked + 1, "what is not made will not be in a moment");
    // Each may still fail once for its token.
    sandbox.expire_access();
    sandbox.script(Endpoint::Models, [Scripted::Normal, busy()]);
    assert_output!(nexus.run(&["models"]), 0, stdout: listed, stderr: note(""));
}

#[test]
fn without_a_known_model_nothing_is_asked() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let none = || Scripted::json(200, &json!({ "data": [], "has_more": false }));
    sandbox.script(Endpoint::Models, [none(), none()]);
    nexus.sign_in();
    assert_output!(
        nexus.run(&["chat", "x"]), 2, stdout: "",
        stderr: "error: no model is set for work, and it lists none\n  pass --model, or set `model = \"...\"` in \
                 config.toml\n",
    );
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 0);
    // An empty list is requested again.
    nexus.run(&["chat", "x"]).ok();
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

#[test]
fn models_are_listed_newest_first() {
    let (sandbox, nexus) = signed_in();
    assert_output!(nexus.run(&["models"]), 0, stdout: "sandbox-large\nsandbox-small\nsandbox-old\n", stderr: "");
    let object = nexus.run(&["models", "--json"]).json();
    assert_eq!((&object["version"], &object["models"][0]["id"]), (&json!(1), &json!("sandbox-large")));
    sandbox.script(Endpoint::Models, [Scripted::json(200, &json!({ "object": "list", "data": [{ "id": "gpt" }] }))]);
    assert_output!(nexus.run(&["models"]), 0, stdout: "gpt\n", stderr: "");
    sandbox.script(Endpoint::Models, [Scripted::text(404, "text/html", "")]);
    assert_eq!(nexus.run(&["models"]).code, Some(1));
}

#[test]
fn a_model_that_nexus_chose_and_the_server_retired_is_chosen_anew() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    sandbox.change(|settings| settings.models = vec!["sandbox-next".into(), "sandbox-small".into()]);
    nexus.run(&["chat", "x"]).ok();
    let models: Vec<_> =
        sandbox.requests_to(Endpoint::Messages).iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(models, ["sandbox-large", "sandbox-next"]);
    assert_eq!(sandbox.counts().models, 2);
    // What was learnt is kept.
    nexus.run(&["chat", "x"]).ok();
    assert_eq!((sandbox.requests_to(Endpoint::Messages).len(), sandbox.counts().models), (3, 2));
}

#[test]
fn a_model_that_was_named_is_the_one_that_is_asked() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    assert_eq!(nexus.run(&["chat", "--model", "gone", "x"]).code, Some(1));
    nexus.configure(&crate::nexus::config(&sandbox, "model = 'gone'"));
    assert_eq!(nexus.run(&["chat", "x"]).code, Some(1));
    assert_eq!((sandbox.requests_to(Endpoint::Messages).len(), sandbox.counts().models), (2, 1));
    // There is no second request if the list has no other model.
    nexus.configure(&crate::nexus::config(&sandbox, ""));
    let gone = json!({ "type": "error", "error": { "type": "not_found_error", "message": "not here" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(404, &gone)]);
    let output = nexus.run(&["chat", "x"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("answered 404 not_found_error: not here"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), 3);
}

#[test]
fn a_model_is_one_line_whatever_its_id_holds() {
    let sandbox = sandbox(Settings { models: vec!["one\ntwo\r".into(), "three".into()], ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    assert_output!(nexus.run(&["models"]), 0, stdout: "one\u{240a}two\u{240d}\nthree\n", stderr: "");
    assert_eq!(nexus.run(&["models", "--json"]).json()["models"][0]["id"], "one\ntwo\r");
}

#[test]
fn no_more_is_read_than_a_question_may_hold() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let asked = sandbox.requests().len();
    let output = nexus.run_with(&["chat", "-"], vec![b'x'; 32 * 1024 * 1024 + 1]);
    assert_output!(output, 2, stdout: "",
        stderr: "error: stdin has more than 32 MB, the limit of a request\n  see `nexus chat --help`\n");
    assert_eq!(sandbox.requests().len(), asked);
}
