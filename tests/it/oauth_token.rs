//! `nexus oauth token`: prints the token and a newline.

use nexus::sandbox::{Answer, Endpoint, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, lifetime, newest};
use crate::stored::Stored;

#[test]
fn a_fresh_token_is_printed_without_a_request() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let asked = sandbox.requests().len();
    assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: format!("{}\n", newest(&sandbox, "access")), stderr: "");
    assert_eq!(sandbox.requests().len(), asked);
}

#[test]
fn the_formats_are_the_token_and_the_header_that_carries_it() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let token = newest(&sandbox, "access");
    for (format, printed) in [("bare", format!("{token}\n")), ("header", format!("Authorization: Bearer {token}\n"))] {
        assert_output!(nexus.run(&["oauth", "token", "--format", format]), 0, stdout: printed, stderr: "");
    }
    for wrong in [&["--format", "refresh"][..], &["--format", "header", "--json"]] {
        assert_eq!(nexus.run(&[&["oauth", "token"], wrong].concat()).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_token_below_its_minimum_is_refreshed_once() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(300));
    sandbox.change(|settings| settings.token_lifetime = Some(json!(360)));
    let output = nexus.run(&["oauth", "token", "--min-ttl", "2h"]);
    assert_output!(
        output, 0,
        stdout: format!("{}\n", newest(&sandbox, "access")),
        stderr: "note: the token expires in 6 minutes; the server issues no longer-lived token\n",
    );
    assert_eq!(sandbox.refreshes(), 1);
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "half of 360 s is left, which is enough");
}

#[test]
fn a_token_is_not_replaced_by_one_that_lives_shorter() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(864_000));
    let first = newest(&sandbox, "access");
    sandbox.change(|settings| {
        settings.token_lifetime = Some(json!(3_600));
        settings.token_extra.insert("scope".into(), "model.read".into());
    });
    Stored::open(nexus.home()).pass(60);
    for refreshes in [1, 2] {
        let output = nexus.run(&["oauth", "token", "--min-ttl", "240h"]);
        let note = "note: the token expires in 10 days; the server issues no longer-lived token\n";
        assert_output!(output, 0, stdout: format!("{first}\n"), stderr: note);
        assert_eq!(sandbox.refreshes(), refreshes, "the rotated refresh token is kept");
    }
    let object = nexus.run(&["oauth", "status", "--json"]).json();
    assert_eq!(object["scopes"], json!(["model.request", "model.read"]), "those of the kept token");
    assert!(object["expires_in"].as_i64().unwrap() > 863_000, "{object}");
    // A token that has expired is replaced by any.
    Stored::open(nexus.home()).pass(864_000);
    assert_eq!(nexus.run(&["oauth", "token", "--min-ttl", "240h"]).ok(), format!("{}\n", newest(&sandbox, "access")));
}

#[test]
fn json_has_the_token_and_its_expiry() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let mut object = nexus.run(&["oauth", "token", "--json"]).json();
    assert!(object["expires_in"].take().as_i64().unwrap() > 3_000);
    assert!(object["expires_at"].take().is_string());
    assert_eq!(
        object,
        json!({
            "version": 1, "provider": "work", "access_token": newest(&sandbox, "access"), "token_type": "Bearer",
            "expires_at": null, "expires_in": null,
        })
    );
}

#[test]
fn an_expired_session_is_refreshed_and_both_tokens_are_saved() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    let first = nexus.run(&["oauth", "token"]).ok();
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), first);
    assert_eq!(sandbox.refreshes(), 1);
    // The second refresh needs the rotated refresh token.
    nexus.run(&["oauth", "token", "--min-ttl", "2h"]).ok();
    assert_eq!(sandbox.refreshes(), 2);
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
}

#[test]
fn values_that_a_refresh_response_omits_are_kept() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let bare = json!({ "access_token": "sandbox-access-bare", "token_type": "bearer", "expires_in": "3600" });
    sandbox.script(Endpoint::Token, [Scripted::json(200, &bare)]);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "sandbox-access-bare\n");
    let object = nexus.run(&["oauth", "status", "--json"]).json();
    assert_eq!(object["account"], "you@sandbox.example");
    assert_eq!(object["scopes"], json!(["model.request", "model.read"]));
    assert_eq!(object["auto_refresh"], true);
}

#[test]
fn narrowed_scopes_are_kept_and_shown() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let narrowed = json!({ "access_token": "sandbox-access-narrow", "expires_in": 3600, "scope": "model.read" });
    sandbox.script(Endpoint::Token, [Scripted::json(200, &narrowed)]);
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["scopes"], json!(["model.read"]));
    // A response without scopes keeps them.
    sandbox.script(Endpoint::Token, [Scripted::json(200, &json!({ "access_token": "sandbox-access-same" }))]);
    nexus.run(&["oauth", "token", "--min-ttl", "9h"]).ok();
    assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["scopes"], json!(["model.read"]));
}

fn failing_refresh(answer: Scripted) -> (Sandbox, Nexus, Output) {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    sandbox.script(Endpoint::Token, [answer]);
    let output = nexus.run(&["oauth", "token"]);
    (sandbox, nexus, output)
}

#[test]
fn no_other_error_ends_the_session() {
    let text = |status, body| Scripted::text(status, "text/html", body);
    let later = "  try again in a minute\n";
    for (answer, why) in [
        (text(500, "<html>"), "sent no usable response (status 500)"),
        (text(503, ""), "sent no usable response (status 503)"),
        (text(429, ""), "answered 429"),
        (text(425, ""), "answered 425"),
        (Scripted::json(400, &json!({ "error": "slow_down" })), "answered 400: slow_down"),
        (text(200, "<html>"), "sent no usable response (not a JSON object)"),
        (Scripted::json(200, &json!({})), "sent no usable response (no `access_token`)"),
        (
            Scripted::json(200, &json!({ "access_token": "a", "token_type": "mac" })),
            "sent no usable response (a `token_type` other than Bearer)",
        ),
        (
            text(302, "").header("location", "/elsewhere"),
            "sent no usable response (a redirect (302 Found), which is not followed)",
        ),
        (text(200, &"x".repeat(1_100_000)), "sent no usable response (more than 1 MiB)"),
        (Scripted::Close, "sent no usable response (connection closed before message completed)"),
    ] {
        let (sandbox, nexus, output) = failing_refresh(answer);
        let sentence =
            format!("error: the access token could not be refreshed: [SERVER] {why}; the session is kept\n{later}");
        assert_output!(output, 75, stdout: "", stderr: sentence);
        assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["state"], "refreshable", "{why}");
        nexus.run(&["oauth", "token"]).ok();
        assert_eq!(sandbox.refreshes(), 1, "{why}: the same refresh token is tried again");
    }
}

#[test]
fn a_rejected_client_does_not_end_the_session() {
    let refusal = json!({ "error": "invalid_client", "error_description": "unknown" });
    let (_sandbox, nexus, output) = failing_refresh(Scripted::Answer(Answer::json(401, &refusal)));
    assert_output!(
        output, 2, stdout: "",
        stderr: "error: [SERVER] rejected the client id `sandbox-client`: unknown\n  compare `client_id`, `client_secret` and `client_auth` under [provider.work] in config.toml with the registered client, then run `nexus oauth start`\n",
    );
    assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["state"], "refreshable");
}

#[test]
fn a_failed_refresh_is_a_note_while_the_old_token_is_valid() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let token = newest(&sandbox, "access");
    sandbox.script(Endpoint::Token, [Scripted::text(503, "text/plain", "busy")]);
    let output = nexus.run(&["oauth", "token", "--min-ttl", "2h"]);
    assert_eq!((output.code, &*output.stdout), (Some(0), &*format!("{token}\n")));
    let note = "note: the token was not refreshed ([SERVER] sent no usable response (status 503)); using the old token, valid for ";
    assert!(output.stderr.starts_with(note), "{output}");
    assert_eq!(output.stderr.lines().count(), 1, "nothing is said of a token that the server did not give: {output}");
}

#[test]
fn json_has_the_status_of_the_token_endpoint() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    sandbox.script(Endpoint::Token, [Scripted::text(503, "text/plain", "").header("retry-after", "120")]);
    let output = nexus.run(&["oauth", "token", "--json"]);
    let error = &output.json()["error"];
    assert_eq!((&error["reason"], &error["exit_code"]), (&json!("refresh_failed"), &json!(75)), "{output}");
    assert_eq!((&error["http_status"], &error["retry_after"]), (&json!(503), &json!(120)), "{output}");
    assert!(output.stderr.ends_with("\n  try again in 2 minutes\n"), "{output}");
}

#[test]
fn a_token_without_a_refresh_token_is_reported() {
    let settings = Settings { refresh_tokens: false, token_lifetime: Some(json!(3_600)), ..Settings::default() };
    let (_sandbox, nexus) = Nexus::signed_in(settings);
    let output = nexus.run(&["oauth", "token", "--min-ttl", "2h"]);
    assert!(output.stderr.ends_with("; there is no refresh token to get a new one\n"), "{output}");
    assert_eq!((output.code, output.stderr.lines().count()), (Some(0), 1));
}

#[test]
fn an_expired_session_without_a_refresh_token_asks_to_sign_in() {
    let (sandbox, nexus) =
        Nexus::signed_in(Settings { refresh_tokens: false, token_lifetime: Some(json!(0)), ..Settings::default() });
    let output = nexus.run(&["oauth", "token", "--json"]);
    assert_eq!(output.code, Some(4), "{output}");
    let error = &output.json()["error"];
    assert_eq!((&error["reason"], &error["exit_code"]), (&json!("no_refresh_token"), &json!(4)));
    assert!(output.stderr.ends_with("there is no refresh token\n  run `nexus oauth start`\n"), "{output}");
    assert_eq!(sandbox.refreshes_asked(), 0);
}
