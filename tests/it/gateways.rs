//! Responses of gateways that differ from the Messages API: each works, or fails with a message that names the
//! response.

use nexus::sandbox::{Answer, Endpoint, Piece, Scripted, Settings};
use serde_json::{Value, json};

use crate::chat::{delta, stop};
use crate::nexus::{Nexus, sandbox};

fn message(text: &str) -> Value {
    json!({ "type": "message", "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn" })
}

/// A response to a question, the exit code, stdout and stderr.
#[test]
fn each_unusual_response_works_or_is_reported() {
    const ITS_WORDS: &str = "  see the server's message\n";
    const NOTHING: &str = "error: [SERVER] sent an empty answer\n  ask again\n";
    const LATER: &str = "  try again in a minute\n";
    const URLS: &str = "  check the provider's URLs in config.toml\n";
    let page = |title: &str| format!("<!DOCTYPE html><html><head><title>{title}</title></head><p>x</p></html>");
    let openai = |status: u16, message: &str, kind: &str| {
        let error = json!({ "message": message, "type": kind, "param": null, "code": status.to_string() });
        Scripted::json(status, &json!({ "error": error }))
    };
    let no_answer = |quirk, kind, body: &str, described: &str| {
        let stderr = format!("error: [SERVER] answered with {described}\n{URLS}");
        (quirk, Scripted::text(200, kind, body), 1, "", stderr)
    };
    let table: Vec<(&str, Scripted, i32, &str, String)> = vec![
        // Responses that work.
        ("JSON to a stream request", Scripted::json(200, &message("whole")), 0, "whole\n", String::new()),
        (
            "a JSON kind of its own",
            Scripted::text(200, "application/vnd.llm+json; charset=utf-8", &message("whole").to_string()),
            0,
            "whole\n",
            String::new(),
        ),
        ("a stream without its frame", Scripted::stream([delta("bare"), stop()]), 0, "bare\n", String::new()),
        (
            "the other dialect's end after the own",
            Scripted::stream([delta("text"), stop(), Piece::text("data: [DONE]\n\n")]),
            0,
            "text\n",
            String::new(),
        ),
        (
            "pings without a name",
            Scripted::stream([Piece::text("data: {\"type\":\"ping\"}\n\n"), delta("text"), stop()]),
            0,
            "text\n",
            String::new(),
        ),
        // LiteLLM's statuses for a missing key and for a wrong one.
        (
            "a refusal as a 500",
            openai(500, "Authentication Error, No api key passed in.", "auth_error"),
            75,
            "",
            format!("error: [SERVER] answered 500 auth_error: Authentication Error, No api key passed in\n{LATER}"),
        ),
        (
            "a refusal as a 400",
            openai(400, "Authentication Error, Invalid proxy server token passed", "None"),
            1,
            "",
            format!(
                "error: [SERVER] answered 400: Authentication Error, Invalid proxy server token passed\n{ITS_WORDS}"
            ),
        ),
        (
            "FastAPI's detail",
            Scripted::json(
                422,
                &json!({ "detail": [{ "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted" }] }),
            ),
            1,
            "",
            format!("error: [SERVER] answered 422: body.top_k: Extra inputs are not permitted\n{ITS_WORDS}"),
        ),
        (
            "Kong's message",
            Scripted::json(404, &json!({ "message": "no Route matched with those values", "request_id": "k1" })),
            1,
            "",
            "error: [SERVER] answered 404: no Route matched with those values (request k1)\n  run `nexus models` to \
             list the models; if that fails too, check `api_url`, or set `dialect = \"openai\"`\n"
                .into(),
        ),
        (
            "an HTML error page",
            Scripted::text(503, "text/html", &page("503 Service Temporarily Unavailable")),
            75,
            "",
            format!("error: [SERVER] answered 503: 503 Service Temporarily Unavailable\n{LATER}"),
        ),
        (
            "an empty refusal",
            Scripted::text(403, "text/plain", ""),
            1,
            "",
            "error: [SERVER] answered 403\n  the account lacks this permission: try another --model, or ask its \
             administrator\n"
                .into(),
        ),
        (
            "no kind of content",
            Scripted::text(400, "", "upstream connect error"),
            1,
            "",
            format!("error: [SERVER] answered 400: upstream connect error\n{ITS_WORDS}"),
        ),
        (
            "a quota that is used up",
            openai(429, "You exceeded your current quota", "insufficient_quota"),
            1,
            "",
            "error: [SERVER] answered 429 insufficient_quota: You exceeded your current quota\n  check the credit and \
             the spend limit of the account\n"
                .into(),
        ),
        // Responses with status 200 that are no answers.
        no_answer(
            "a sign-in page",
            "text/html; charset=utf-8",
            &page("Sign in to Example"),
            "text/html instead of JSON or events: Sign in to Example",
        ),
        no_answer("plain words", "text/plain", "OK", "text/plain instead of JSON or events: OK"),
        no_answer("nothing at all", "text/plain", "", "text/plain instead of JSON or events"),
        (
            "an error that calls itself a success",
            Scripted::json(200, &json!({ "error": { "message": "No healthy upstream", "type": "api_error" } })),
            75,
            "",
            format!("error: [SERVER] answered 200 api_error: No healthy upstream\n{LATER}"),
        ),
        ("an empty stream", Scripted::text(200, "text/event-stream", ""), 75, "", NOTHING.into()),
        no_answer(
            "a page that is called a stream",
            "text/event-stream",
            &page("Login"),
            "text/event-stream that has no events: Login",
        ),
        no_answer(
            "words that are called a stream",
            "text/event-stream",
            "upstream down",
            "text/event-stream that has no events: upstream down",
        ),
        (
            "blank lines that are called a stream",
            Scripted::text(200, "text/event-stream", "\n\n"),
            75,
            "",
            NOTHING.into(),
        ),
        (
            "a stream that is cut in the first name",
            Scripted::text(200, "text/event-stream", "eve"),
            75,
            "",
            NOTHING.into(),
        ),
        ("empty JSON", Scripted::text(200, "application/json", ""), 75, "", NOTHING.into()),
        ("nothing, of no kind", Scripted::text(200, "", ""), 75, "", NOTHING.into()),
        (
            "JSON of another API",
            Scripted::json(200, &json!({ "status": "error", "detail": "tenant unknown" })),
            1,
            "",
            format!("error: [SERVER] answered with JSON that is not a message: tenant unknown\n{URLS}"),
        ),
        (
            "the other dialect",
            Scripted::stream([Piece::text(
                "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n",
            )]),
            1,
            "",
            format!(
                "error: [SERVER] answered in the format of the Chat Completions API: set `dialect = \"openai\"` for this \
                 provider\n{URLS}"
            ),
        ),
        (
            "the other dialect in one piece",
            Scripted::json(200, &json!({ "object": "chat.completion", "choices": [] })),
            1,
            "",
            format!(
                "error: [SERVER] answered in the format of the Chat Completions API: set `dialect = \"openai\"` for this \
                 provider\n{URLS}"
            ),
        ),
    ];
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "model = 'm'");
    for (quirk, script, code, stdout, stderr) in table {
        eprintln!("{quirk}");
        sandbox.script(Endpoint::Messages, [script]);
        assert_output!(nexus.run(&["chat", "x", "--retries", "0"]), code, stdout: stdout, stderr: stderr);
    }
}

#[test]
fn the_request_id_is_optional() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "model = 'm'");
    sandbox.script(Endpoint::Messages, [Scripted::json(200, &message("whole"))]);
    let object = nexus.run(&["chat", "--json", "x"]).json();
    assert_eq!((&object["answer"], &object["request_id"]), (&json!("whole"), &json!(null)));
}

#[test]
fn an_invalid_token_challenge_is_a_401_with_any_status() {
    let challenge = |status, challenge: &str| {
        Scripted::text(status, "text/html", "<title>Unauthorized</title>").header("www-authenticate", challenge)
    };
    let dead = "Bearer realm=\"x\", error=\"invalid_token\", error_description=\"expired\"";
    for status in [400, 401, 403, 404] {
        let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "");
        sandbox.script(Endpoint::Messages, [challenge(status, dead)]);
        nexus.run(&["chat", "x"]).ok();
        assert_eq!((sandbox.refreshes(), sandbox.requests_to(Endpoint::Messages).len()), (1, 2), "{status}");
        sandbox.script(Endpoint::Messages, [challenge(status, dead), challenge(status, dead)]);
        assert_output!(nexus.run(&["chat", "x"]), 4, stdout: "", stderr: format!(
            "error: the API rejected a fresh access token: [SERVER] answered {status}: expired\n  run `nexus oauth start`\n"));
        assert_eq!((sandbox.refreshes(), sandbox.requests_to(Endpoint::Messages).len()), (2, 4), "nothing loops");
        sandbox.script(Endpoint::Models, [challenge(status, dead)]);
        nexus.run(&["models"]).ok();
    }
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "");
    for answer in [challenge(403, "Bearer error=\"insufficient_scope\""), challenge(500, dead)] {
        sandbox.script(Endpoint::Messages, [answer]);
        nexus.run(&["chat", "x"]);
    }
    assert_eq!(sandbox.refreshes(), 0, "neither is cured by another token");
}

#[test]
fn what_a_challenge_describes_is_told_with_and_without_an_error_code() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "model = 'm'");
    for challenge in [
        "Bearer realm=\"x\", error_description=\"words here\"",
        "Basic realm=\"y\", Bearer error=\"insufficient_scope\", error_description=\"words here\"",
    ] {
        let answer = Scripted::text(400, "text/html", "<title>Bad</title>").header("www-authenticate", challenge);
        sandbox.script(Endpoint::Messages, [answer]);
        let output = nexus.run(&["chat", "x"]);
        assert!(output.stderr.starts_with("error: [SERVER] answered 400: words here\n"), "{output}");
    }
}

#[test]
fn a_403_about_the_audience_names_the_setting() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "model = 'm'");
    let words = |words: &str| Scripted::json(403, &json!({ "message": words }));
    let challenge = Scripted::text(403, "text/html", "")
        .header("www-authenticate", "Bearer error=\"insufficient_scope\", error_description=\"wrong aud\"");
    for (answer, named) in [
        (words("Token aud claim does not match"), true),
        (words("The audience is invalid"), true),
        (Scripted::json(403, &json!({ "error": "invalid_audience" })), true),
        (challenge, true),
        (words("an audit of fraud claims"), false),
        (words("not allowed"), false),
    ] {
        sandbox.script(Endpoint::Messages, [answer]);
        let output = nexus.run(&["chat", "x"]);
        let hint = "the token is for another audience: name the API's in `authorize_params` under [provider.work]";
        assert_eq!((output.code, output.stderr.contains(hint)), (Some(1), named), "{output}");
    }
}

#[test]
fn a_list_of_models_may_begin_with_a_byte_order_mark_and_break_off_after_its_end() {
    let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), "");
    let list = Piece::text("\u{feff}{\"data\":[{\"id\":\"a\"}]}");
    let answer = Answer { status: 200, headers: Vec::new(), body: vec![list, Piece::Break] };
    sandbox.script(Endpoint::Models, [Scripted::Answer(answer)]);
    assert_output!(nexus.run(&["models"]), 0, stdout: "a\n", stderr: "");
    let refusal = Scripted::text(400, "application/json", "\u{feff}{\"message\":\"no\"}");
    sandbox.script(Endpoint::Messages, [refusal]);
    let output = nexus.run(&["chat", "-m", "a", "x"]);
    assert!(output.stderr.starts_with("error: [SERVER] answered 400: no\n"), "{output}");
}

#[test]
fn a_missing_model_list_has_a_hint() {
    let cure = "  pass --model, or set `model = \"...\"` under [provider.work] in config.toml; if that fails too, \
                check `api_url`\n";
    for status in [404, 405, 501] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        let none = || Scripted::json(status, &json!({ "detail": "Nothing here" }));
        sandbox.script(Endpoint::Models, [none(), none(), none(), none(), none()]);
        nexus.sign_in();
        assert_output!(nexus.run(&["models"]), 1, stdout: "",
            stderr: format!("error: work has no list of models: [SERVER] answered {status}: Nothing here\n{cure}"));
        assert_output!(nexus.run(&["chat", "x"]), 2, stdout: "", stderr: format!(
            "error: no model is set for work, and it has no list of models: [SERVER] answered {status}: Nothing \
             here\n{cure}"));
        let object = nexus.run(&["models", "--json"]).json();
        assert_eq!(
            (&object["error"]["reason"], &object["error"]["http_status"]),
            (&json!("no_model_list"), &json!(status))
        );
        let asked = sandbox.requests_to(Endpoint::Models).len();
        nexus.run(&["chat", "--model", "sandbox-old", "x"]).ok();
        nexus.configure(&crate::nexus::config(&sandbox, "model = 'sandbox-small'"));
        nexus.run(&["chat", "x"]).ok();
        assert_eq!(sandbox.requests_to(Endpoint::Models).len(), asked, "a model that is named needs no list");
    }
}

#[test]
fn configured_headers_are_added_and_removed() {
    for (lines, headers) in [
        ("", &[("anthropic-version", Some("2023-06-01")), ("anthropic-beta", None)][..]),
        ("api_headers = { x-bf-vk = 'key' }", &[("anthropic-version", Some("2023-06-01")), ("x-bf-vk", Some("key"))]),
        ("api_headers = { Anthropic-Beta = 'a,b' }", &[("anthropic-beta", Some("a,b"))]),
    ] {
        let (sandbox, nexus) = Nexus::signed_in_with(Settings::default(), lines);
        nexus.run(&["chat", "x"]).ok();
        nexus.run(&["models"]).ok();
        for seen in [Endpoint::Messages, Endpoint::Models].map(|endpoint| sandbox.requests_to(endpoint).pop().unwrap())
        {
            for (name, value) in headers {
                assert_eq!(seen.header(name), *value, "{lines}: {name}");
            }
        }
    }
    // The built-in provider's beta header can be removed, because strict gateways reject it.
    let (sandbox, mut nexus) = (sandbox(Settings::default()), Nexus::new());
    nexus.set("CLAUDE_CODE_CLIENT_ID", "sandbox-client");
    nexus.set("CLAUDE_CODE_REDIRECT_URI", "http://127.0.0.1:0/callback");
    let config = crate::nexus::config(&sandbox, "api_headers = { anthropic-beta = '' }\nrefresh_request = 'form'");
    nexus.configure(&config.replace("default = \"work\"\n[provider.work]", "[provider.claude_code]"));
    nexus.sign_in();
    nexus.run(&["chat", "x"]).ok();
    let seen = sandbox.requests_to(Endpoint::Messages).pop().unwrap();
    assert_eq!((seen.header("anthropic-beta"), seen.header("anthropic-version")), (None, Some("2023-06-01")));
}

#[test]
fn api_url_may_have_a_prefix_or_be_the_whole_url() {
    let sandbox = sandbox(Settings { prefix: "/gw/anthropic".into(), ..Settings::default() });
    let nexus = Nexus::new();
    for base in ["", "/", "/v1", "/v1/", "/v1/messages"] {
        let (from, to) = (
            format!("api_url = \"{}\"", sandbox.origin()),
            format!("api_url = \"{}/gw/anthropic{base}\"", sandbox.origin()),
        );
        nexus.configure(&crate::nexus::config(&sandbox, "").replace(&from, &to));
        nexus.sign_in();
        nexus.run(&["chat", "x"]).ok();
        nexus.run(&["models"]).ok();
        let path = |endpoint| sandbox.requests_to(endpoint).pop().unwrap().path;
        assert_eq!(path(Endpoint::Messages), "/gw/anthropic/v1/messages", "{base}");
        assert_eq!(path(Endpoint::Models), "/gw/anthropic/v1/models", "{base}");
    }
}
