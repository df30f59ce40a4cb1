//! A provider with the Chat Completions API.

use nexus::sandbox::{Endpoint, Piece, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, sandbox};

const NOTE: &str = "(This is the nexus sandbox: no model is behind it.)";

fn signed_in() -> (Sandbox, Nexus) {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "dialect = \"openai\"");
    (sandbox, nexus)
}

/// What the last question asked.
fn asked(sandbox: &Sandbox) -> Value {
    sandbox.requests_to(Endpoint::Completions).last().unwrap().json()
}

fn chunk(data: &Value) -> Piece {
    Piece::text(&format!("data: {data}\n\n"))
}

fn delta(text: &str) -> Piece {
    chunk(&json!({ "model": "m", "choices": [{ "index": 0, "delta": { "content": text } }] }))
}

fn finish(reason: &str) -> Piece {
    chunk(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }))
}

fn done() -> Piece {
    Piece::text("data: [DONE]\n\n")
}

#[test]
fn an_answer_is_printed_and_nothing_else() {
    let (sandbox, nexus) = signed_in();
    assert_output!(
        nexus.run(&["chat", "--system", "Be brief.", "Hello"]), 0,
        stdout: format!("You said: Hello (Your system prompt: Be brief.) {NOTE}\n"), stderr: "",
    );
    assert_eq!(
        asked(&sandbox),
        json!({
            "model": "sandbox-large", "max_tokens": 8_192, "stream": true, "stream_options": { "include_usage": true },
            "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hello" }],
        }),
        "nothing is sent that some gateway could refuse"
    );
    for seen in sandbox.requests() {
        let foreign = seen.headers.iter().any(|(name, _)| name.starts_with("anthropic-"));
        assert!(!foreign, "{:?}", seen.headers);
    }
}

#[test]
fn effort_and_schema_have_the_names_of_the_api() {
    let (sandbox, nexus) = signed_in();
    for level in ["low", "medium", "high", "xhigh", "max"] {
        nexus.run(&["chat", "x", "--effort", level]).ok();
        let asked = asked(&sandbox);
        assert_eq!((&asked["reasoning_effort"], asked.get("output_config")), (&json!(level), None));
    }
    let schema = json!({ "type": "object", "required": ["age"], "properties": {}, "minProperties": 1 });
    let written = r#"{"type":"object","required":["age"],"properties":{},"minProperties":1}"#;
    sandbox.script(Endpoint::Completions, [Scripted::stream([delta("{\"age\":7}"), finish("stop"), done()])]);
    assert_output!(
        nexus.run(&["chat", "x", "--schema", written]), 0, stdout: "{\"age\":7}\n", stderr: "",
    );
    let format = json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema } });
    let asked = asked(&sandbox);
    assert_eq!((&asked["response_format"], asked.get("output_config")), (&format, None));
    let sent = sandbox.requests_to(Endpoint::Completions).last().unwrap().text();
    assert!(sent.contains(&format!("\"schema\":{written}")), "in another order: {sent}");
}

#[test]
fn the_object_for_programs_is_the_same() {
    let (_sandbox, nexus) = signed_in();
    let mut object = nexus.run(&["chat", "--json", "--max-tokens", "3", "x"]).json();
    assert!(object["request_id"].take().as_str().unwrap().starts_with("req_sandbox_"));
    let object = |name: &str| object[name].clone();
    assert_eq!(object("answer"), "You said: x ");
    assert_eq!((object("model"), object("stop_reason")), (json!("sandbox-large"), json!("max_tokens")));
    assert_eq!((&object("usage")["input_tokens"], &object("usage")["output_tokens"]), (&json!(1), &json!(3)));
}

#[test]
fn models_are_listed_with_their_dates() {
    let (_sandbox, nexus) = signed_in();
    assert_output!(nexus.run(&["models"]), 0, stdout: "sandbox-large\nsandbox-small\nsandbox-old\n", stderr: "");
    let object = nexus.run(&["models", "--json"]).json();
    assert_eq!(object["models"][0]["created_at"], "2026-10-01T00:00:00Z");
}

#[test]
fn an_answer_is_complete_with_a_finish_reason_or_done() {
    let (sandbox, nexus) = signed_in();
    for (pieces, whole) in [
        (vec![delta("text"), finish("stop"), done()], true),
        (vec![delta("text"), finish("stop")], true),
        (vec![delta("text"), finish("stop"), Piece::Break], true),
        (vec![delta("text"), done(), Piece::Hang], true),
        (vec![delta("text")], false),
        (vec![delta("text"), Piece::Break], false),
    ] {
        let expected = format!("{pieces:?}");
        sandbox.script(Endpoint::Completions, [Scripted::stream(pieces)]);
        let output = nexus.run(&["chat", "x"]);
        if whole {
            assert_output!(output, 0, stdout: "text\n", stderr: "");
        } else {
            assert_eq!((output.code, &*output.stdout), (Some(75), "text"), "{expected}: {output}");
            let expected = "note: the answer above is incomplete\nerror: the answer from [SERVER] was cut off: ";
            assert!(output.stderr.starts_with(expected), "{output}");
        }
    }
}

#[test]
fn the_ways_an_answer_ends_are_reported() {
    let (sandbox, nexus) = signed_in();
    let error = || chunk(&json!({ "error": { "message": "Slow down", "type": "rate_limit_exceeded" } }));
    for (pieces, code, expected) in [
        (vec![delta("text"), finish("length"), done()], 0, "note: the answer is incomplete: it reached --max-tokens\n"),
        (
            vec![delta("text"), finish("content_filter"), done()],
            1,
            "note: the text above is not an answer\nerror: the model declined to answer\n  rephrase the question, or try another --model\n",
        ),
        (
            vec![delta("text"), error()],
            75,
            "note: the answer above is incomplete\nerror: [SERVER] answered rate_limit_exceeded in the middle of its answer: Slow down\n  ",
        ),
    ] {
        sandbox.script(Endpoint::Completions, [Scripted::stream(pieces)]);
        let output = nexus.run(&["chat", "x"]);
        assert_eq!(output.code, Some(code), "{output}");
        assert!(output.stderr.starts_with(expected), "{output}");
        assert_eq!(output.stdout.trim_end(), "text", "{output}");
    }
}

#[test]
fn a_json_answer_is_accepted() {
    let (sandbox, nexus) = signed_in();
    let body = json!({ "choices": [{ "message": { "content": "whole" }, "finish_reason": "stop" }] });
    sandbox.script(Endpoint::Completions, [Scripted::json(200, &body)]);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: "whole\n", stderr: "");
}

#[test]
fn the_messages_api_is_recognized() {
    let (sandbox, nexus) = signed_in();
    let start = json!({ "type": "message_start", "message": { "model": "m", "usage": { "input_tokens": 1 } } });
    let stop = json!({ "type": "message_stop" });
    let whole = json!({ "type": "message", "content": [], "usage": { "input_tokens": 1 } });
    for script in [Scripted::stream([Piece::event(&start), Piece::event(&stop)]), Scripted::json(200, &whole)] {
        sandbox.script(Endpoint::Completions, [script]);
        assert_output!(nexus.run(&["chat", "x"]), 1, stdout: "", stderr:
            "error: [SERVER] answered in the format of the Messages API: set `dialect = \"anthropic\"` for this \
             provider\n  check the provider's URLs in config.toml\n");
    }
}

#[test]
fn a_rejected_parameter_is_replaced_once() {
    let (sandbox, nexus) = signed_in();
    let error = |param: &str, message: &str| {
        let error =
            json!({ "message": message, "type": "invalid_request_error", "param": param, "code": "unsupported" });
        Scripted::json(400, &json!({ "error": error }))
    };
    let limit = || error("max_tokens", "Unsupported parameter. Use 'max_completion_tokens' instead.");
    sandbox.script(Endpoint::Completions, [limit(), error("stream_options", "Extra inputs are not permitted")]);
    nexus.run(&["chat", "x"]).ok();
    let sent: Vec<_> = sandbox.requests_to(Endpoint::Completions).iter().map(|seen| seen.json()).collect();
    let names =
        |body: &Value| ["max_tokens", "max_completion_tokens", "stream_options"].map(|name| body.get(name).is_some());
    assert_eq!(
        sent.iter().map(names).collect::<Vec<_>>(),
        [[true, false, true], [false, true, true], [false, true, false]]
    );

    sandbox.script(Endpoint::Completions, [limit(), limit()]);
    assert_output!(nexus.run(&["chat", "x"]), 1, stdout: "", stderr:
        "error: [SERVER] answered 400 invalid_request_error: max_tokens: Unsupported parameter. Use \
         'max_completion_tokens' instead\n  see the server's message\n");
}

#[test]
fn api_url_may_be_the_whole_url_of_completions() {
    let sandbox = sandbox(Settings { prefix: "/gateway".into(), ..Settings::default() });
    let nexus = Nexus::new();
    let config = crate::nexus::config(&sandbox, "dialect = 'openai'");
    for base in ["/gateway", "/gateway/v1/", "/gateway/v1/chat/completions"] {
        nexus.configure(&config.replace(
            &format!("api_url = \"{}\"", sandbox.origin()),
            &format!("api_url = \"{}{base}\"", sandbox.origin()),
        ));
        nexus.sign_in();
        nexus.run(&["chat", "x"]).ok();
        nexus.run(&["models"]).ok();
        let paths = |endpoint| sandbox.requests_to(endpoint).last().unwrap().path.clone();
        assert_eq!(paths(Endpoint::Completions), "/gateway/v1/chat/completions", "{base}");
        assert_eq!(paths(Endpoint::Models), "/gateway/v1/models", "{base}");
    }
}
