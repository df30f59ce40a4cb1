//! A server that refuses a refresh without `invalid_grant`: the session stays, and only signing in helps.

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted};
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, lifetime, newest};
use crate::stored::Stored;

fn refused() -> Scripted {
    Scripted::json(400, &json!({ "error": "invalid_request", "error_description": "no such session" }))
}

/// Signed in with a token that lives this many seconds. The server refuses the next refreshes with this answer, and
/// would issue tokens of an hour.
fn refusing(seconds: i64, answer: &Scripted) -> (Sandbox, Nexus) {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(seconds));
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    sandbox.script(Endpoint::Token, [answer.clone()]);
    (sandbox, nexus)
}

fn state(nexus: &Nexus) -> (Value, Value, Option<i32>) {
    let output = nexus.run(&["oauth", "status", "--json"]);
    let object = output.json();
    (object["state"].clone(), object["auto_refresh"].clone(), output.code)
}

/// The message with `#` for the number of seconds.
fn without_number(output: &Output) -> String {
    let Some((before, after)) = output.stderr.split_once("last tried ") else { return output.stderr.clone() };
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}last tried #{}", after.replacen(" seconds", " second", 1))
}

#[test]
fn any_refusal_of_an_expired_session_asks_to_sign_in_with_the_servers_words() {
    let json = |status, body: Value| Scripted::json(status, &body);
    let text = |status, kind, body| Scripted::text(status, kind, body);
    for (answer, why) in [
        (json(403, json!({ "error": "invalid_grant" })), "answered 403: invalid_grant"),
        (
            json(400, json!({ "error": { "code": "invalid_grant", "message": "It is used up." } })),
            "answered 400: invalid_grant: It is used up",
        ),
        (
            json(401, json!({ "errorCode": "E0000011", "errorSummary": "Invalid token" })),
            "answered 401: E0000011: Invalid token",
        ),
        (json(400, json!({ "code": "session_gone", "detail": "Sign in" })), "answered 400: session_gone: Sign in"),
        (json(400, json!({ "error": "invalid_request" })), "answered 400: invalid_request"),
        (json(400, json!({ "error": "Invalid refresh token" })), "answered 400: Invalid refresh token"),
        (
            json(404, json!({ "error": { "type": "not_found_error", "message": "no\u{1b}" } })),
            "answered 404: not_found_error: no",
        ),
        (json(200, json!({ "error": "bad_refresh_token" })), "answered 200: bad_refresh_token"),
        (json(422, json!({ "message": "unknown token" })), "answered 422: unknown token"),
        (text(400, "text/plain", ""), "answered 400"),
        (text(401, "text/plain", ""), "answered 401"),
        (text(403, "text/html", "<html>Forbidden</html>"), "answered 403"),
        (text(403, "text/plain", "RBAC: access denied\n"), "answered 403: RBAC: access denied"),
        (text(403, "text/html", "<title>Access denied</title>"), "answered 403"),
        (text(403, "text/plain", "no token aGVsbG8="), "answered 403"),
        (text(404, "text/html", "<html>"), "answered 404"),
        (text(405, "text/plain", ""), "answered 405"),
    ] {
        let (sandbox, nexus) = refusing(0, &answer);
        let message = format!(
            "error: the access token could not be refreshed: [SERVER] {why}; the session is kept\n  run `nexus oauth \
             start`\n"
        );
        assert_output!(nexus.run(&["oauth", "token"]), 4, stdout: "", stderr: message);
        assert_eq!(state(&nexus), (json!("refused"), json!(false), Some(4)), "{why}");
        // The session is stored: it can be revoked.
        assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at"), "{why}");
        assert_eq!(sandbox.refreshes_asked(), 1, "{why}");
    }
}

#[test]
fn the_servers_reason_for_the_end_of_a_session_is_told_at_once_and_later() {
    for (description, told) in [("It is\u{1b} used up.", ": It is used up\n"), ("", "\n")] {
        let ended = Scripted::json(400, &json!({ "error": "invalid_grant", "error_description": description }));
        let (sandbox, nexus) = refusing(0, &ended);
        for _ in 0..2 {
            let output = nexus.run(&["oauth", "token"]);
            let (sentence, _) = output.stderr.split_once("  run `nexus oauth start`").unwrap();
            assert!(sentence.starts_with("error: the session with work was ended by the server at "), "{output}");
            assert!(sentence.ends_with(&format!("Z{told}")) && output.code == Some(4), "{output}");
        }
        assert_eq!(state(&nexus), (json!("dead"), json!(false), Some(4)));
        assert_eq!(sandbox.refreshes_asked(), 1);
    }
}

#[test]
fn status_reports_a_refusal_once_the_token_has_expired() {
    let (_sandbox, nexus) = refusing(0, &refused());
    nexus.run(&["oauth", "token"]);
    let output = nexus.run(&["oauth", "status"]);
    let (before, at) = output.stdout.split_once(", and the server refused to refresh it at ").unwrap();
    assert!(before.starts_with("Token expired "), "{output}");
    let at = at.strip_suffix(": run nexus oauth start\n").unwrap();
    assert!(nexus::internal::time::parse_rfc3339(at).is_some(), "{at}");
    assert_eq!((output.code, &*output.stderr), (Some(4), ""));
}

#[test]
fn a_token_that_lives_is_used_and_status_says_that_it_will_not_be_refreshed() {
    let (sandbox, nexus) = refusing(12_270, &refused());
    let token = newest(&sandbox, "access");
    let output = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert_eq!((output.code, &*output.stdout), (Some(0), &*format!("{token}\n")));
    let note = "note: the token was not refreshed ([SERVER] answered 400: invalid_request: no such session); using the old token, valid for 3.4 hours\n";
    assert_eq!(output.stderr, note);
    let line = "Token active, expires in 3.4 hours, but the server refused to refresh it: sign in again before that\n";
    assert_output!(nexus.run(&["oauth", "status"]), 0, stdout: line, stderr: "");
    assert_eq!(state(&nexus), (json!("active"), json!(false), Some(0)));
    nexus.run(&["chat", "x"]).ok();
    assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: format!("{token}\n"), stderr: "");
    assert_eq!(sandbox.refreshes_asked(), 1);
    // Near its end too, in the pause after the refusal and after it.
    for (seconds, asked) in [(12_230, 1), (0, 1)] {
        Stored::open(nexus.home()).pass(seconds);
        let mut stored = Stored::open(nexus.home());
        stored.session["failed"]["refresh"]["at"] = nexus::now().into();
        stored.save();
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), format!("{token}\n"));
        assert_eq!(sandbox.refreshes_asked(), asked);
    }
    sandbox.script(Endpoint::Token, [refused()]);
    let mut stored = Stored::open(nexus.home());
    stored.session["failed"]["refresh"]["at"] = (nexus::now() - 60).into();
    stored.save();
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), format!("{token}\n"));
    assert_eq!(sandbox.refreshes_asked(), 2);
}

#[test]
fn after_a_refusal_no_refresh_is_sent_for_a_minute() {
    let (sandbox, nexus) = refusing(0, &refused());
    nexus.run(&["oauth", "token"]);
    for (seconds, ago) in [(0, "# second"), (20, "# second"), (30, "# second")] {
        Stored::open(nexus.home()).pass(seconds);
        for words in [&["oauth", "token"][..], &["chat", "x"], &["models"]] {
            let output = nexus.run(words);
            let message = format!(
                "error: the access token could not be refreshed: [SERVER] answered 400: invalid_request: no such session \
                 (last tried {ago} ago); the session is kept\n  run `nexus oauth start`\n"
            );
            assert_eq!((without_number(&output), output.code), (message, Some(4)), "{words:?}");
        }
        assert_eq!(sandbox.refreshes_asked(), 1);
    }
    let json = nexus.run(&["oauth", "token", "--json"]).json();
    assert_eq!((&json["error"]["exit_code"], &json["error"]["http_status"]), (&json!(4), &json!(400)));
    Stored::open(nexus.home()).pass(60);
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!((sandbox.refreshes_asked(), sandbox.refreshes()), (2, 1), "the server has recovered");
    assert_eq!(state(&nexus), (json!("active"), json!(true), Some(0)));
}

#[test]
fn signing_in_again_ends_the_refusal() {
    let (_sandbox, nexus) = refusing(0, &refused());
    nexus.run(&["oauth", "token"]);
    nexus.sign_in();
    assert_eq!(state(&nexus), (json!("active"), json!(true), Some(0)));
    nexus.run(&["oauth", "token", "--min-ttl", "9h"]).ok();
}

#[test]
fn a_temporary_failure_does_not_undo_a_refusal() {
    let (sandbox, nexus) = refusing(0, &refused());
    nexus.run(&["oauth", "token"]);
    Stored::open(nexus.home()).pass(61);
    sandbox.script(Endpoint::Token, [Scripted::text(503, "text/plain", "")]);
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(75));
    assert_eq!(state(&nexus), (json!("refused"), json!(false), Some(4)));
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(state(&nexus), (json!("active"), json!(true), Some(0)));
}

#[test]
fn processes_that_wait_share_a_refusal() {
    for (answer, code) in [
        (Scripted::json(403, &json!({ "error": "invalid_grant" })), 4),
        (Scripted::json(401, &json!({ "error": "invalid_client" })), 2),
    ] {
        let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone()), answer]);
        let mut first = nexus.command(&["oauth", "token"]).spawn().unwrap();
        crate::nexus::block_on(gate.arrived(1));
        let waiting: Vec<_> = (0..3).map(|_| nexus.watch(&mut nexus.command(&["oauth", "token"]))).collect();
        let waiting: Vec<_> = waiting
            .into_iter()
            .map(|mut running| {
                running.line_that(|line| line.starts_with("note: waiting for another nexus process"));
                running
            })
            .collect();
        first.kill().unwrap();
        first.wait().unwrap();
        for running in waiting {
            let output = running.finish();
            assert_eq!(output.code, Some(code), "{output}");
            assert!(!output.stderr.contains("last tried"), "{output}");
        }
        assert_eq!(sandbox.refreshes_asked(), 2, "the one that was killed, and one for all who waited");
    }
}

#[test]
fn a_token_that_the_api_rejects_and_the_server_does_not_refresh_asks_to_sign_in() {
    let (sandbox, nexus) = refusing(3_600, &refused());
    sandbox.expire_access();
    for asked in [1, 1] {
        let output = nexus.run(&["chat", "x"]);
        assert_eq!(output.code, Some(4), "{output}");
        assert!(output.stderr.contains("answered 400: invalid_request: no such session"), "{output}");
        assert_eq!(sandbox.refreshes_asked(), asked);
    }
}

#[test]
fn an_answer_without_a_usable_token_is_not_called_an_interrupted_refresh() {
    let empty = json!({});
    for (answer, why) in [
        (Scripted::json(200, &empty), "sent no usable response (no `access_token`)"),
        (Scripted::text(200, "text/html", "<html>"), "sent no usable response (not a JSON object)"),
        (Scripted::text(502, "text/html", "<html>"), "sent no usable response (status 502)"),
    ] {
        let (sandbox, nexus) = refusing(0, &answer);
        assert_eq!(nexus.run(&["oauth", "token"]).code, Some(75));
        // Another failure in between hides nothing.
        sandbox.script(Endpoint::Token, [Scripted::text(429, "text/plain", "")]);
        assert_eq!(nexus.run(&["oauth", "token"]).code, Some(75));
        Stored::open(nexus.home()).pass(5);
        sandbox.end_session();
        for words in [&["oauth", "token"][..], &["oauth", "token"], &["chat", "x"]] {
            let output = nexus.run(words);
            assert_eq!(output.code, Some(4), "{output}");
            let (_, reason) = output.stderr.split_once(", probably because ").unwrap_or_else(|| panic!("{output}"));
            assert!(reason.starts_with(&format!("it {why} to a refresh at 2")), "{output}");
        }
        assert_eq!(state(&nexus), (json!("dead"), json!(false), Some(4)));
    }
}

#[test]
fn a_list_of_scopes_is_read_like_words() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let answer = json!({ "access_token": "sandbox-access-x", "expires_in": "3600", "scope": ["model.read", "x"] });
    sandbox.script(Endpoint::Token, [Scripted::json(200, &answer)]);
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["scopes"], json!(["model.read", "x"]));
}

#[test]
fn a_background_refresh_that_is_refused_is_silent() {
    let (sandbox, nexus) = refusing(3_600, &refused());
    Stored::open(nexus.home()).pass(3_400);
    let output = nexus.run(&["chat", "x"]);
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output}");
    assert_eq!(sandbox.refreshes_asked(), 1);
    nexus.run(&["chat", "x"]).ok();
    assert_eq!(sandbox.refreshes_asked(), 1, "and not repeated at once");
    assert_eq!(state(&nexus), (json!("active"), json!(false), Some(0)));
}
