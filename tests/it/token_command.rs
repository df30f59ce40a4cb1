//! `token_command`: tokens that a command prints (Unix).

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus::sandbox::{Endpoint, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, config, lifetime, sandbox};
use crate::proxy::Proxy;
use crate::stored::Stored;

/// A home whose only provider `cmd` runs this script with `/bin/sh`. Each run adds a line to the file `runs`.
fn printing(script: &str, lines: &str) -> Nexus {
    let nexus = Nexus::new();
    nexus.configure(&section(script, lines));
    nexus
}

fn section(script: &str, lines: &str) -> String {
    let words = json!(["/bin/sh", "-c", format!("echo >>\"$NEXUS_HOME/runs\"; {script}")]);
    format!("default = 'cmd'\n[provider.cmd]\napi_url = 'http://127.0.0.1:9'\ntoken_command = {words}\n{lines}\n")
}

fn runs(nexus: &Nexus) -> usize {
    fs::read_to_string(nexus.path("runs")).map_or(0, |runs| runs.lines().count())
}

fn jwt(claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "none" })), part(claims))
}

/// Prints `token-1`, then `token-2` and so on.
const COUNTING: &str = "echo token-$(wc -l <\"$NEXUS_HOME/runs\" | tr -d ' ')";

/// The message and the hint of a script that fails with this.
fn no_token(why: &str) -> String {
    format!(
        "error: no access token for cmd: the command `/bin/sh` {why}\n  run that command yourself to see why it prints no \
         token\n"
    )
}

#[test]
fn the_first_use_runs_the_command_and_later_ones_use_its_token() {
    let nexus = printing(COUNTING, "");
    assert_output!(nexus.run(&["oauth", "status"]), 0, stdout: "No token yet, one is fetched on next use\n", stderr: "");
    let object = nexus.run(&["oauth", "status", "--json"]).json();
    assert_eq!((&object["state"], &object["auto_refresh"]), (&json!("refreshable"), &json!(true)));
    assert_eq!(runs(&nexus), 0);
    for _ in 0..2 {
        assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: "token-1\n", stderr: "");
    }
    let active = "Token active, expires in 5 minutes, auto-refresh enabled\n";
    assert_eq!(nexus.run(&["oauth", "status"]).ok(), active);
    assert_eq!(nexus.run(&["oauth", "status", "--all"]).ok(), format!("cmd: {active}"));
    Stored::open(nexus.home()).pass(300);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "token-2\n");
    let output = nexus.run(&["oauth", "logout"]);
    assert!(output.code == Some(0) && output.stderr.ends_with("Deleted the local session\n"), "{output}");
    assert_eq!(nexus.run(&["oauth", "status"]).ok(), "No token yet, one is fetched on next use\n");
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "token-3\n");
}

#[test]
fn a_token_is_used_until_it_ends() {
    let now = nexus::now();
    for (token, lines, expected) in [
        ("opaque".to_owned(), "", 300),
        ("opaque".to_owned(), "token_ttl = '2h'", 7_200),
        ("opaque".to_owned(), "token_ttl = 90", 90),
        (jwt(&json!({ "exp": now + 3_600 })), "", 3_600),
        (jwt(&json!({ "exp": now + 3_600 })), "token_ttl = '2h'", 3_600),
        (jwt(&json!({ "exp": now + 3_600 })), "token_ttl = '10m'", 600),
        (jwt(&json!({ "sub": "me" })), "", 300),
        ("not.a.jwt".to_owned(), "", 300),
    ] {
        let nexus = printing(&format!("echo {token}"), lines);
        let object = nexus.run(&["oauth", "token", "--json"]).json();
        assert_eq!(object["access_token"], token);
        let left = object["expires_in"].as_i64().unwrap();
        assert!((expected - 60..=expected).contains(&left), "{token} {lines}: {left}");
    }
    let ended = jwt(&json!({ "exp": now - 120 }));
    let output = printing(&format!("echo {ended}"), "").run(&["oauth", "token"]);
    let why = "prints a token that expired 2 minutes ago";
    assert_output!(output, 4, stdout: "", stderr: no_token(why));
}

#[test]
fn the_same_token_again_is_used_until_it_ends() {
    let nexus = printing(&format!("echo {}", jwt(&json!({ "exp": nexus::now() + 20 }))), "");
    let token = nexus.run(&["oauth", "token"]).ok();
    assert_eq!(nexus.run(&["oauth", "token", "--min-ttl", "1h"]).code, Some(0));
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
    assert_eq!(runs(&nexus), 2, "the first use, and the wish for a longer one");
}

#[test]
fn the_command_has_no_input_and_no_secrets_and_its_messages_are_passed_on() {
    let script =
        "read line || echo no input >&2; echo ${ANTHROPIC_API_KEY-unset}-${CLAUDE_CODE_CLIENT_SECRET-unset}-$KEPT";
    let mut nexus = printing(script, "");
    for name in ["ANTHROPIC_API_KEY", "CLAUDE_CODE_CLIENT_SECRET", "KEPT"] {
        nexus.set(name, "value");
    }
    let output = nexus.run_with(&["oauth", "token"], "input\n");
    assert_output!(output, 0, stdout: "unset-unset-value\n", stderr: "no input\n");
}

#[test]
fn a_command_without_a_usable_token_is_named_with_the_reason() {
    for (script, why, code) in [
        ("exit 3", "failed (exit status: 3)", 4),
        ("true", "prints nothing", 4),
        ("echo one; echo two", "prints more than one line", 4),
        ("echo two words", "prints a text that does not fit into a header", 4),
        ("printf '\\377'", "prints no UTF-8 text", 4),
        ("head -c 16385 /dev/zero | tr '\\0' a", "prints more than 16384 bytes", 4),
    ] {
        let nexus = printing(script, "");
        assert_output!(nexus.run(&["oauth", "token"]), code, stdout: "", stderr: no_token(why));
        assert_eq!(nexus.run(&["oauth", "status"]).ok(), "No token yet, one is fetched on next use\n", "{script}");
        // A command that works by now is not held back.
        nexus.configure(&section(COUNTING, ""));
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), "token-2\n", "{script}");
    }
    let slow = printing("exec sleep 600", "token_command_timeout = '1s'").run(&["oauth", "token"]);
    let why = "error: no access token for cmd: the command `/bin/sh` did not finish within 1 seconds\n  try again in a minute\n";
    assert_output!(slow, 75, stdout: "", stderr: why);
    let nexus = Nexus::new();
    nexus.configure("default = 'cmd'\n[provider.cmd]\ntoken_command = ['/nowhere/vault', 'read']\n");
    let missing = "error: the command `/nowhere/vault` of the provider cmd cannot be started: No such file or directory (os \
                   error 2)\n  install `/nowhere/vault`, or configure another command\n";
    assert_output!(nexus.run(&["oauth", "token"]), 2, stdout: "", stderr: missing);
}

#[test]
fn a_failing_command_does_not_end_the_session() {
    let nexus = printing(COUNTING, "");
    nexus.run(&["oauth", "token"]).ok();
    let failing = "[ -e \"$NEXUS_HOME/works\" ] || exit 1; echo again";
    nexus.configure(&section(failing, ""));
    for _ in 0..3 {
        assert_eq!(nexus.run(&["oauth", "token"]).code, Some(4));
    }
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
    nexus.write("works", "", 0o600);
    // Failures in a row are paused for five seconds.
    Stored::open(nexus.home()).pass(10);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "again\n");
}

#[test]
fn a_first_request_that_fails_leaves_no_session() {
    for (script, words) in [("exit 3", ["chat", "x"]), ("exit 3", ["oauth", "token"]), ("exit 3", ["oauth", "start"])] {
        let nexus = printing(script, "");
        assert_eq!(nexus.run(&words).code, Some(4), "{words:?}");
        let none = "Not signed in: run nexus oauth start\n";
        assert_output!(nexus.run(&["oauth", "status", "--all"]), 4, stdout: none, stderr: "");
        let listed = nexus.run(&["provider", "list"]).ok();
        assert!(listed.contains("cmd          default, needs no sign-in\n"), "{listed}");
        assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Not signed in\n");
        assert_output!(nexus.run(&["oauth", "logout", "--all"]), 0, stdout: "", stderr: "Not signed in\n");
    }
    // One that is built in, and not installed.
    let mut nexus = Nexus::new();
    nexus.set("PATH", "/nowhere");
    assert_eq!(nexus.run(&["chat", "-p", "ant", "x"]).code, Some(2));
    let output = nexus.run(&["chat", "x"]);
    assert!(!output.stderr.contains("ant"), "{output}");
}

#[test]
fn many_processes_run_the_command_once() {
    for script in [&format!("sleep 1; {COUNTING}"), "sleep 1; exit 1"] {
        let nexus = printing(script, "");
        let started: Vec<_> = (0..20).map(|_| nexus.command(&["oauth", "token"]).spawn().unwrap()).collect();
        let outputs: Vec<_> = started.into_iter().map(|child| nexus.finish(child)).collect();
        match outputs[0].code {
            Some(0) => assert!(outputs.iter().all(|output| output.stdout == "token-1\n"), "{outputs:?}"),
            code => assert!(outputs.iter().all(|output| output.code == code), "{outputs:?}"),
        }
        assert_eq!(runs(&nexus), 1, "{script}");
    }
}

#[test]
fn a_killed_request_for_a_token_is_repeated_by_the_next_process() {
    let hanging = "[ -e \"$NEXUS_HOME/works\" ] || { echo begun >&2; exec sleep 600; }; echo token";
    let nexus = printing(hanging, "");
    let mut running = nexus.watch(&mut nexus.command(&["oauth", "token"]));
    running.line_that(|line| line == "begun");
    running.kill();
    nexus.write("works", "", 0o600);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "token\n");
}

#[test]
fn a_changed_command_replaces_its_token() {
    let nexus = printing("echo one", "");
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "one\n");
    nexus.configure(&section("echo two", ""));
    assert_eq!(nexus.run(&["oauth", "status"]).ok(), "No token yet, one is fetched on next use\n");
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "two\n");
    nexus.configure(&section("echo two", "").replace("127.0.0.1:9", "127.0.0.1:7"));
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(runs(&nexus), 3, "its token is not sent to another API");
}

#[test]
fn a_session_that_a_person_signed_in_to_is_not_replaced_by_itself() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    nexus.configure(&config(&sandbox, "token_command = ['/bin/echo', 'printed']"));
    let output = nexus.run(&["oauth", "token"]);
    let elsewhere = "error: the session with work belongs to grant `authorization_code`, but the configuration now names \
                     `token_command`; the token was not sent\n  undo the change, or run `nexus oauth start` to sign in there\n";
    assert_output!(output, 4, stdout: "", stderr: elsewhere);
    assert_eq!(nexus.run(&["oauth", "start"]).code, Some(0));
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "printed\n");
}

#[test]
fn oauth_start_runs_the_command_once_and_reports_it() {
    let nexus = printing(COUNTING, "");
    let expected = "There is nothing to click: cmd gets its tokens from the command `/bin/sh`.\n\
                    Got a token, which expires in 5 minutes\n";
    for n in 1..3 {
        assert_output!(nexus.run(&["oauth", "start"]), 0, stdout: "", stderr: expected);
        assert_eq!(runs(&nexus), n);
    }
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), "token-2\n");
    nexus.configure(&section("exit 1", ""));
    let expected = "There is nothing to click: cmd gets its tokens from the command `/bin/sh`.\n".to_owned();
    let output = nexus.run(&["oauth", "start"]);
    assert_output!(output, 4, stdout: "", stderr: expected + &no_token("failed (exit status: 1)"));
}

/// A home whose provider `cmd` has the tokens of another one, `work`, that is signed in at a sandbox.
pub(crate) fn borrowing(lines: &str) -> (nexus::sandbox::Sandbox, Nexus) {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let words = json!([env!("CARGO_BIN_EXE_nexus"), "oauth", "token", "--provider", "work"]);
    let cmd = format!("[provider.cmd]\napi_url = '{}'\ntoken_command = {words}\n{lines}\n", sandbox.origin());
    nexus.configure(&(config(&sandbox, "") + &cmd));
    (sandbox, nexus)
}

#[test]
fn chat_models_and_batch_work_with_the_token() {
    let (_sandbox, nexus) = borrowing("");
    for words in [&["chat", "-p", "cmd", "Hello"][..], &["models", "-p", "cmd"]] {
        let output = nexus.run(words);
        assert!(output.code == Some(0) && !output.stdout.is_empty(), "{output}");
    }
    let output = nexus.run_with(&["batch", "-", "-p", "cmd"], "{\"id\": \"1\", \"prompt\": \"Hello\"}\n");
    assert!(output.code == Some(0) && output.stdout.contains("\"id\":\"1\""), "{output}");
}

#[test]
fn a_rejected_token_is_fetched_once_more() {
    let (sandbox, nexus) = borrowing("");
    nexus.run(&["oauth", "token", "-p", "cmd"]).ok();
    let refusal =
        json!({ "type": "error", "error": { "type": "authentication_error", "message": "Invalid bearer token" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(401, &refusal)]);
    assert_eq!(nexus.run(&["chat", "-p", "cmd", "Hello"]).code, Some(0));
    sandbox.script(Endpoint::Messages, [Scripted::json(401, &refusal), Scripted::json(401, &refusal)]);
    let asked = sandbox.requests_to(Endpoint::Messages).len();
    let output = nexus.run(&["chat", "-p", "cmd", "Hello"]);
    assert!(output.code == Some(4) && output.stderr.contains("rejected a fresh access token"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).len(), asked + 2);
}

#[test]
fn the_token_goes_into_the_configured_header() {
    let (sandbox, nexus) = borrowing("token_header = \"x-api-key\"");
    let output = nexus.run(&["--verbose", "chat", "-p", "cmd", "-m", "m", "Hello"]);
    let request = sandbox.requests_to(Endpoint::Messages).pop().unwrap();
    let token = nexus.run(&["oauth", "token", "-p", "cmd"]).ok();
    assert_eq!((request.header("x-api-key"), request.header("authorization")), (Some(token.trim()), None));
    assert!(output.stderr.contains("> x-api-key: "), "{output}");
    assert!(!output.stderr.contains(token.trim()), "{output}");
    // Other programs get it there, too.
    let header = nexus.run(&["oauth", "token", "-p", "cmd", "--format", "header"]).ok();
    assert_eq!(header, format!("x-api-key: {token}"));
    let proxy = Proxy::start(&nexus, &["-p", "cmd"]);
    assert_eq!(proxy.send("GET /v1/models", &[], b"").status, 401, "the sandbox knows bearers only");
    let request = sandbox.requests_to(Endpoint::Models).pop().unwrap();
    assert_eq!((request.header("x-api-key"), request.header("authorization")), (Some(token.trim()), None));
    let output = nexus.run(&["exec", "-p", "cmd", "--env", "--", "true"]);
    assert!(output.code == Some(2) && output.stderr.contains("takes the token in the header `x-api-key`"), "{output}");
}

#[test]
fn the_official_program_is_a_built_in_provider() {
    let mut nexus = Nexus::new();
    nexus.write(
        "ant",
        "#!/bin/sh\n[ \"$*\" = 'auth print-credentials --access-token' ] && echo sk-ant-oat01-x\n",
        0o700,
    );
    let missing = nexus.run(&["oauth", "token", "--provider", "ant"]);
    assert_eq!(missing.code, Some(2), "{missing}");
    nexus.set("PATH", &format!("{}:/usr/bin:/bin", nexus.home().display()));
    assert_output!(nexus.run(&["oauth", "token", "--provider", "ant"]), 0, stdout: "sk-ant-oat01-x\n", stderr: "");
    let status = "Token active, expires in 5 minutes, auto-refresh enabled\n";
    assert_eq!(nexus.run(&["oauth", "status", "--provider", "ant"]).ok(), status);
    assert_eq!(
        nexus.run(&["provider", "list"]).ok(),
        "claude_code  default, built in, not signed in\nant          built in, signed in\n"
    );
    // A section changes single values of it.
    let sandbox = sandbox(Settings::default());
    nexus.configure(&format!("[provider.ant]\napi_url = '{}'\ntoken_ttl = '1h'\n", sandbox.origin()));
    nexus.run(&["chat", "-p", "ant", "-m", "m", "Hello"]);
    let request = sandbox.requests_to(Endpoint::Messages).pop().unwrap();
    assert_eq!(request.header("authorization"), Some("Bearer sk-ant-oat01-x"));
    assert_eq!(request.header("anthropic-beta"), Some("oauth-2025-04-20"));
}

#[test]
fn without_a_folder_to_write_the_token_is_in_memory() {
    let nexus = printing(COUNTING, "");
    nexus.write("data", "no folder", 0o600);
    for n in 1..3 {
        assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: format!("token-{n}\n"), stderr: "");
    }
    let output = nexus.run(&["--verbose", "oauth", "token"]);
    let note = "note: [HOME]/data cannot be written, so the token is kept in memory only\n";
    assert_output!(output, 0, stdout: "token-3\n", stderr: note);
    assert_eq!(nexus.run(&["oauth", "start"]).code, Some(0));
}

#[test]
fn wrong_settings_are_named() {
    for (lines, message) in [
        ("token_command = 'ant auth'", "must be a list of quoted strings: [\"program\", \"argument\"]"),
        ("token_command = []", "is empty"),
        ("token_ttl = '1h'", "requires `token_command`"),
        ("token_command_timeout = '1h'", "requires `token_command`"),
        ("token_command = ['a']\ntoken_ttl = 'soon'", "is not a duration: write it as 90s, 5m, 1h or 2d"),
        ("token_command = ['a']\ntoken_ttl = 0", "is not a duration: must be more than 0"),
        ("token_command = ['a']\ntoken_header = 'x y'", "is not a valid header name"),
        ("token_command = ['a']\ntoken_header = 'Host'", "is set by nexus itself"),
    ] {
        let nexus = Nexus::new();
        nexus.configure(&format!("default = 'cmd'\n[provider.cmd]\n{lines}\n"));
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(2) && output.stderr.contains(message), "{lines}: {output}");
    }
}
