//! `nexus oauth status`: one line and an exit code, without a request.

use nexus::sandbox::{Endpoint, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, lifetime, sandbox};
use crate::stored::Stored;

#[test]
fn a_new_home_is_not_signed_in() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let line = "Not signed in: run nexus oauth start\n";
    assert_output!(nexus.run(&["oauth", "status"]), 4, stdout: line, stderr: "");
    assert_eq!(
        nexus.run(&["oauth", "status", "--json"]).json(),
        json!({
            "version": 1, "provider": "work", "state": "none", "expires_at": null, "expires_in": null,
            "auto_refresh": false, "scopes": [], "token_type": null, "account": null,
        })
    );
    assert_eq!(sandbox.requests().len(), 0, "status sends no request");
    assert!(!nexus.path("data").exists(), "status makes nothing");
}

#[test]
fn an_active_session_is_shown() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(12_270));
    let asked = sandbox.requests().len();
    let line = "Token active, expires in 3.4 hours, auto-refresh enabled\n";
    assert_output!(nexus.run(&["oauth", "status"]), 0, stdout: line, stderr: "");
    let mut object = nexus.run(&["oauth", "status", "--json"]).json();
    let left = object["expires_in"].take().as_i64().unwrap();
    assert!((12_000..=12_270).contains(&left), "{left}");
    let at = object["expires_at"].take();
    assert!(nexus::internal::time::parse_rfc3339(at.as_str().unwrap()).is_some(), "{at}");
    assert_eq!(
        object,
        json!({
            "version": 1, "provider": "work", "state": "active", "expires_at": null, "expires_in": null,
            "auto_refresh": true, "scopes": ["model.request", "model.read"], "token_type": "Bearer",
            "account": "you@sandbox.example",
        })
    );
    assert_eq!(sandbox.requests().len(), asked, "status sends no request");
}

/// The line with `#` for its number, which depends on the duration of the test.
fn without_number(line: &str) -> String {
    let line: String = line.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    line.replace("##", "#").replace("##", "#").replace("second ", "seconds ")
}

#[test]
fn an_expired_session_is_refreshable_with_a_refresh_token_only() {
    for (refresh_tokens, message, state, code) in [
        (true, "Token expired # seconds ago, will refresh on next use\n", "refreshable", 0),
        (false, "Token expired # seconds ago, no refresh token: run nexus oauth start\n", "expired", 4),
    ] {
        let (_sandbox, nexus) = Nexus::signed_in(Settings { refresh_tokens, ..lifetime(0) });
        let output = nexus.run(&["oauth", "status"]);
        assert_eq!((&*without_number(&output.stdout), output.code), (message, Some(code)));
        let output = nexus.run(&["oauth", "status", "--json"]);
        let object = output.json();
        assert_eq!((&object["state"], output.code), (&Value::from(state), Some(code)));
        assert_eq!(object["auto_refresh"], refresh_tokens);
    }
}

#[test]
fn a_session_that_the_server_ended_stays_dead() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    sandbox.end_session();
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(4));
    let output = nexus.run(&["oauth", "status"]);
    let at = output.stdout.strip_prefix("Session ended by the server at ").unwrap();
    let at = at.strip_suffix(": run nexus oauth start\n").unwrap();
    assert!(nexus::internal::time::parse_rfc3339(at).is_some(), "{at}");
    assert_eq!(output.code, Some(4));
    let object = nexus.run(&["oauth", "status", "--json"]).json();
    assert_eq!((&object["state"], &object["auto_refresh"]), (&json!("dead"), &json!(false)));

    let asked = sandbox.requests_to(Endpoint::Token).len();
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(4));
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), asked, "a dead session knocks no more");

    nexus.sign_in();
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0), "signing in again is the way out");
}

#[test]
fn a_configuration_that_was_edited_does_not_hide_the_session() {
    let line = "Token active, expires in 3.4 hours, auto-refresh enabled\n";
    for (edited, message) in [
        (
            "default = 'work'\n[provider.work]\nclient_id = 'another'",
            "warning: the session with work belongs to client_id `sandbox-client`, but the configuration now names \
             `another`; the token was not sent\n  undo the change, or run `nexus oauth start` to sign in there\n",
        ),
        (
            "default = 'work'\n[provider.work]\nclient_id = 'sandbox-client'\nclient_auth = 'basic'",
            "warning: `provider.work.client_auth` in [HOME]/config.toml, line 4, is basic, but there is no client secret\n  \
             add `client_secret` or `client_secret_file`\n",
        ),
        ("default = 'work'", ""),
        (
            "defualt = 'work'",
            "warning: [HOME]/config.toml, line 1: unknown key `defualt` at the top\n  did you mean `default`?\n",
        ),
    ] {
        let (sandbox, nexus) = Nexus::signed_in(lifetime(12_270));
        nexus.configure(edited);
        assert_output!(nexus.run(&["oauth", "status"]), 0, stdout: line, stderr: message);
        let output = nexus.run(&["oauth", "status", "--json", "--provider", "work"]);
        assert_eq!((output.code, &output.json()["state"]), (Some(0), &json!("active")), "{output}");
        assert_eq!(output.stderr, message);
        // No token can be had from a session with another client.
        let all = nexus.run(&["oauth", "status", "--all"]);
        assert_eq!(all.code, Some(if edited.contains("another") { 4 } else { 0 }), "{all}");
        sandbox.end_session();
    }
}

#[test]
fn without_a_configuration_the_only_session_is_shown() {
    let sandbox = sandbox(lifetime(12_270));
    let nexus = Nexus::at(&sandbox);
    let whole = crate::nexus::config(&sandbox, "");
    nexus.sign_in();
    nexus.configure("default = ");
    assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["provider"], "work", "there is one");
    nexus.configure(&whole.replace("work", "play"));
    nexus.sign_in();
    nexus.configure("default = ");
    let output = nexus.run(&["oauth", "status", "--json"]);
    assert_eq!((&output.json()["provider"], output.code), (&json!("claude_code"), Some(4)), "there are two");
}

#[test]
fn a_session_with_another_provider_is_named() {
    let sandbox = sandbox(lifetime(12_270));
    let nexus = Nexus::at(&sandbox);
    let whole = crate::nexus::config(&sandbox, "");
    nexus.sign_in();
    nexus.configure(&whole.replace("default = \"work\"\n", ""));
    let hint = "to use work, pass `--provider work`, or set `default = \"work\"` at the top of config.toml; otherwise \
                run `nexus oauth start`\n";
    let line = "Not signed in: run nexus oauth start\n";
    assert_output!(nexus.run(&["oauth", "status"]), 4, stdout: line, stderr: format!("note: {hint}"));
    let stderr = format!("error: not signed in to claude_code\n  {hint}");
    assert_output!(nexus.run(&["oauth", "token"]), 4, stdout: "", stderr: stderr.as_str());
    assert_output!(nexus.run(&["chat", "x"]), 4, stdout: "", stderr: stderr);
}

#[test]
fn a_hint_names_the_provider_if_it_is_not_the_default() {
    let nexus = Nexus::new();
    nexus.configure("default = 'work'\n[provider.work]\n[provider.play]");
    for (words, option) in [
        (&["oauth", "status"][..], ""),
        (&["oauth", "status", "--provider", "work"], ""),
        (&["oauth", "status", "--provider", "play"], " --provider play"),
        (&["oauth", "status", "--provider", "claude_code"], " --provider claude_code"),
    ] {
        assert_output!(nexus.run(words), 4, stdout: format!("Not signed in: run nexus oauth start{option}\n"), stderr: "");
    }
}

#[test]
fn the_sessions_of_an_earlier_version_are_listed() {
    for words in [&["oauth", "status", "--all"][..], &["provider", "list"], &["key", "show"]] {
        let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
        let current = nexus.run(words).ok();
        Stored::open(nexus.home()).as_version_1("");
        assert_eq!(nexus.run(words).ok(), current, "{words:?}");
    }
}

#[test]
fn a_session_of_the_first_version_is_read_and_its_file_migrated() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let store = rusqlite::Connection::open(nexus.path("data/sessions.db")).unwrap();
    Stored::open(nexus.home()).as_version_1("you@sandbox.example is locked");
    assert_output!(
        nexus.run(&["oauth", "status"]), 0,
        stdout: "Token active, expires in 8.0 hours, auto-refresh enabled\n", stderr: "",
    );
    let version: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 4);
    let bytes = std::fs::read(nexus.path("data/sessions.db")).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("is locked"), "what was said is sealed from now on");
}

/// A sandbox, and a home that is signed in there with `work`, the default, and `play`.
fn two_sessions(seconds: i64) -> (nexus::sandbox::Sandbox, Nexus) {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(seconds));
    nexus.configure(&crate::nexus::config(&sandbox, "").replace("work", "play"));
    nexus.sign_in();
    nexus.configure(&crate::nexus::config(&sandbox, ""));
    (sandbox, nexus)
}

#[test]
fn all_sessions_are_shown_with_provider_and_account() {
    let (sandbox, nexus) = two_sessions(12_270);
    let asked = sandbox.requests().len();
    let line = "(you@sandbox.example): Token active, expires in 3.4 hours, auto-refresh enabled\n";
    assert_output!(
        nexus.run(&["oauth", "status", "--all"]), 0, stdout: format!("play {line}work {line}"), stderr: "",
    );
    let mut object = nexus.run(&["oauth", "status", "--all", "--json"]).json();
    let sessions = object["sessions"].as_array_mut().unwrap();
    for session in &mut *sessions {
        assert!(session["expires_at"].take().is_string() && session["expires_in"].take().is_i64(), "{session}");
    }
    let session = |provider: &str| {
        json!({
            "provider": provider, "state": "active", "expires_at": null, "expires_in": null, "auto_refresh": true,
            "scopes": ["model.request", "model.read"], "token_type": "Bearer", "account": "you@sandbox.example",
        })
    };
    assert_eq!(object, json!({ "version": 1, "sessions": [session("play"), session("work")] }));
    assert_eq!(sandbox.requests().len(), asked, "status sends no request");
}

#[test]
fn one_session_that_needs_a_sign_in_decides_the_exit_code() {
    let (sandbox, nexus) = two_sessions(0);
    sandbox.end_session();
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(4));
    let output = nexus.run(&["oauth", "status", "--all"]);
    let (play, work) = output.stdout.split_once('\n').unwrap();
    assert!(play.starts_with("play (you@sandbox.example): Token expired "), "{output}");
    assert!(work.starts_with("work (you@sandbox.example): Session ended by the server at "), "{output}");
    assert_eq!((output.code, &*output.stderr), (Some(4), ""));
    let output = nexus.run(&["oauth", "status", "--all", "--json"]);
    assert_eq!((output.code, &output.json()["sessions"][1]["state"]), (Some(4), &json!("dead")));
}

#[test]
fn without_sessions_there_is_nothing_to_list() {
    let nexus = Nexus::new();
    assert_output!(
        nexus.run(&["oauth", "status", "--all"]), 4, stdout: "Not signed in: run nexus oauth start\n", stderr: "",
    );
    let output = nexus.run(&["oauth", "status", "--all", "--json"]);
    assert_eq!((output.json(), output.code), (json!({ "version": 1, "sessions": [] }), Some(4)));
    assert_eq!(std::fs::read_dir(nexus.home()).unwrap().count(), 0, "status makes nothing");
}

#[test]
fn a_session_that_cannot_be_read_hides_no_other() {
    let (_sandbox, nexus) = two_sessions(12_270);
    let store = rusqlite::Connection::open(nexus.path("data/sessions.db")).unwrap();
    store.execute("UPDATE session SET sealed = x'02' WHERE provider = 'play'", []).unwrap();
    let output = nexus.run(&["oauth", "status", "--all"]);
    assert!(output.stdout.starts_with("play: Session cannot be read\nwork (you@sandbox.example): Token "), "{output}");
    assert!(output.stderr.starts_with("error: "), "{output}");
    assert_eq!(output.code, Some(1));
    let output = nexus.run(&["oauth", "status", "--all", "--json"]);
    let sessions = output.json()["sessions"].clone();
    assert_eq!((output.code, &sessions[0]["state"], &sessions[1]["state"]), (Some(1), &Value::Null, &json!("active")));
    assert!(sessions[0]["error"]["reason"].is_string(), "{sessions}");
}
