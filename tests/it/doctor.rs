//! `nexus doctor`: each prepared fault is found, with its cure.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, config, lifetime, sandbox};
use crate::stored::Stored;
use crate::trust::{STRANGER, by_root, run_as_stranger, skipped};

/// The reasons of all findings, and the exit code.
fn found(nexus: &Nexus, words: &[&str]) -> (Vec<String>, i32) {
    let output = nexus.run(&[&["doctor", "--json"], words].concat());
    let object = output.json();
    let findings = object["findings"].as_array().unwrap_or_else(|| panic!("{output}"));
    for finding in findings {
        for member in ["problem", "cure"] {
            assert!(!finding[member].as_str().unwrap().is_empty(), "{finding}");
        }
    }
    let reasons = findings.iter().map(|finding| finding["reason"].as_str().unwrap().to_owned());
    (reasons.collect(), output.code.unwrap())
}

#[track_caller]
fn assert_found(nexus: &Nexus, words: &[&str], reason: &str, code: i32) {
    assert_eq!(found(nexus, words), (vec![reason.to_owned()], code));
}

fn signed_in() -> (Sandbox, Nexus) {
    Nexus::signed_in(Settings::default())
}

fn mode(nexus: &Nexus, name: &str, mode: u32) {
    fs::set_permissions(nexus.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_healthy_home_has_nothing_to_say() {
    let (sandbox, nexus) = signed_in();
    for words in [&["doctor"][..], &["doctor", "--offline"], &["doctor", "--provider", "work"]] {
        assert_output!(nexus.run(words), 0, stdout: "", stderr: "");
    }
    assert_eq!(nexus.run(&["doctor", "--json"]).json(), json!({ "version": 1, "findings": [] }));
    let asked = sandbox.requests().len();
    nexus.run(&["doctor", "--offline"]).ok();
    assert_eq!(sandbox.requests().len(), asked);
    nexus.run(&["chat", "--history", "hi"]).ok();
    assert_output!(nexus.run(&["doctor"]), 0, stdout: "", stderr: "");
}

/// All files below the home, with mode, content and time of change.
fn tree(nexus: &Nexus) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![nexus.home().to_owned()];
    while let Some(folder) = ahead.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let changed = metadata.modified().unwrap();
            found.push(format!("{} {:o} {changed:?} {content:?}", path.display(), metadata.permissions().mode()));
            if metadata.is_dir() {
                ahead.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn doctor_changes_nothing() {
    let empty = Nexus::new();
    assert_eq!(empty.run(&["doctor", "--offline"]).code, Some(2));
    assert!(tree(&empty).is_empty(), "nothing is created");
    let (_sandbox, nexus) = signed_in();
    mode(&nexus, "data/sessions.db", 0o644);
    mode(&nexus, "key", 0o755);
    for words in [&["doctor"][..], &["doctor", "--offline"]] {
        let before = tree(&nexus);
        let output = nexus.run(words);
        assert_eq!((output.code, output.stderr.as_str()), (Some(2), ""), "{output}");
        assert_eq!(tree(&nexus), before, "{words:?}");
    }
}

#[test]
fn a_cause_is_told_once() {
    let (_sandbox, nexus) = signed_in();
    nexus.run(&["chat", "--history", "hi"]).ok();
    mode(&nexus, ".", 0o777);
    assert_output!(
        nexus.run(&["doctor"]), 2,
        stdout: "other users can write to the folder [HOME]\n  run `chmod go-w [HOME]`, then run the command again\n",
        stderr: "",
    );
    mode(&nexus, ".", 0o700);
    mode(&nexus, "data", 0o777);
    assert_found(&nexus, &[], "open_file", 2);
    fs::rename(nexus.path("data"), nexus.path("moved")).unwrap();
    fs::write(nexus.path("data"), "").unwrap();
    let (reasons, code) = found(&nexus, &[]);
    assert_eq!((reasons.len(), code), (1, 1), "{reasons:?}");
}

#[test]
fn a_cure_is_quoted_for_the_shell() {
    let (_sandbox, nexus) = signed_in();
    nexus.write("data/my file", "", 0o644);
    let output = nexus.run(&["doctor", "--offline"]);
    assert!(output.stdout.contains("run `chmod 600 '[HOME]/data/my file'`"), "{output}");
}

#[test]
fn a_command_that_prints_tokens_needs_no_client() {
    let (sandbox, mut nexus) = signed_in();
    nexus.set("PATH", "/usr/bin:/bin");
    let url = sandbox.origin();
    nexus.configure(&format!(
        "default = 'cmd'\n[provider.cmd]\ntoken_command = ['echo', 'printed']\napi_url = '{url}'\n"
    ));
    assert_output!(nexus.run(&["doctor", "--offline"]), 0, stdout: "", stderr: "");
}

#[test]
fn a_missing_program_that_prints_tokens_is_found() {
    let mut nexus = Nexus::new();
    nexus.set("PATH", "/nowhere");
    assert_found(&nexus, &["--offline", "--provider", "ant"], "configuration", 2);
    nexus.write("ant", "#!/bin/sh\n", 0o755);
    nexus.set("PATH", &nexus.home().display().to_string());
    assert_eq!(found(&nexus, &["--offline", "--provider", "ant"]), (vec![], 0));
}

#[test]
fn a_busy_api_is_not_asked_again() {
    let (sandbox, nexus) = signed_in();
    let busy = json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } });
    sandbox.script(Endpoint::Models, vec![Scripted::json(529, &busy); 2]);
    assert_eq!(found(&nexus, &[]).1, 75);
}

#[test]
fn a_finding_is_a_line_with_its_cure_below() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    assert_output!(
        nexus.run(&["doctor"]), 4,
        stdout: "not signed in to work\n  run `nexus oauth start`\n",
        stderr: "",
    );
}

#[test]
fn faults_of_the_configuration_are_found() {
    let (sandbox, nexus) = signed_in();
    let good = config(&sandbox, "");
    for (text, reason) in [
        ("[provider.work", "configuration"),
        ("histori = true\n", "configuration"),
        ("default = 'other'\n", "configuration"),
        ("default = 7\n", "configuration"),
    ] {
        nexus.configure(text);
        let (reasons, code) = found(&nexus, &["--offline"]);
        assert_eq!((&*reasons[0], code), (reason, 2), "{text} {reasons:?}");
    }
    for lines in ["ca_file = 'none.pem'\n", "client_secret_file = 'none'\n"] {
        nexus.configure(&format!("{good}{lines}"));
        assert_found(&nexus, &["--offline"], "configuration", 2);
    }
    nexus.configure(&good.replace(&format!("token_url = \"{}", sandbox.origin()), "token_url = \"http://203.0.113.1"));
    assert_found(&nexus, &["--offline"], "configuration", 2);
    nexus.configure(&good);
    assert_found(&nexus, &["--offline", "--provider", "nobody"], "configuration", 2);
    fs::rename(nexus.path("config.toml"), nexus.path("moved")).unwrap();
    std::os::unix::fs::symlink("/nowhere/config.toml", nexus.path("config.toml")).unwrap();
    assert_found(&nexus, &["--offline"], "configuration", 2);
    fs::rename(nexus.path("moved"), nexus.path("config.toml")).unwrap();
    nexus.configure(&good.replace(&format!("api_url = \"{}\"\n", sandbox.origin()), ""));
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(code == 2 && reasons.contains(&"configuration".to_owned()), "{reasons:?}");
}

#[test]
fn files_that_others_can_read_or_change_are_found() {
    let (sandbox, nexus) = signed_in();
    for (name, open, private) in [("data/sessions.db", 0o644, 0o600), ("key", 0o755, 0o700), ("data", 0o710, 0o700)] {
        mode(&nexus, name, open);
        let output = nexus.run(&["doctor", "--offline"]);
        assert!(output.code == Some(2) && output.stdout.contains(&format!("run `chmod {private:o} ")), "{output}");
        mode(&nexus, name, private);
    }
    mode(&nexus, "config.toml", 0o666);
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(code == 2 && reasons.contains(&"untrusted_file".to_owned()), "{reasons:?}");
    mode(&nexus, "config.toml", 0o600);
    nexus.write("secret", "s3cret", 0o644);
    nexus.configure(&config(&sandbox, "client_secret_file = 'secret'\n"));
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(code == 2 && reasons.contains(&"warning".to_owned()), "{reasons:?}");
}

#[test]
fn faults_of_the_store_and_its_key_are_found() {
    let (_sandbox, nexus) = signed_in();
    let key = fs::read(nexus.path("key/session.key")).unwrap();
    fs::remove_file(nexus.path("key/session.key")).unwrap();
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(!reasons.is_empty() && code != 0, "{reasons:?}");
    nexus.write("key/session.key", "nexus-key-1 damaged", 0o600);
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(!reasons.is_empty() && code != 0, "{reasons:?}");
    fs::write(nexus.path("key/session.key"), key).unwrap();
    nexus.write("data/history.db", "this is no database, although it is long enough to be one", 0o600);
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(!reasons.is_empty() && code != 0, "{reasons:?}");
    fs::remove_file(nexus.path("data/history.db")).unwrap();
    nexus.write("data/sessions.db", "this is no database, although it is long enough to be one", 0o600);
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(!reasons.is_empty() && code != 0, "{reasons:?}");
}

#[test]
fn faults_of_the_session_are_found() {
    let (sandbox, nexus) = Nexus::signed_in(Settings { refresh_tokens: false, ..lifetime(1_800) });
    assert_found(&nexus, &[], "token_ends", 4);
    Stored::open(nexus.home()).pass(3_600);
    assert_found(&nexus, &[], "token_expired", 4);
    nexus.configure(&config(&sandbox, "").replace("sandbox-client", "another"));
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(code != 0 && reasons.len() == 1, "{reasons:?}");

    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    sandbox.end_session();
    nexus.run(&["oauth", "token"]);
    assert_found(&nexus, &[], "session_ended", 4);

    let (_sandbox, nexus) = signed_in();
    Stored::open(nexus.home()).pass(-7_200);
    assert_found(&nexus, &["--offline"], "clock", 1);
}

#[test]
fn faults_of_the_servers_are_found() {
    let (sandbox, nexus) = signed_in();
    sandbox.script(
        Endpoint::Token,
        [Scripted::text(405, "text/plain", "").header("date", "Thu, 01 Jan 2026 00:00:00 GMT")],
    );
    assert_found(&nexus, &[], "clock", 1);
    sandbox.end_session();
    let (reasons, code) = found(&nexus, &[]);
    assert!(code == 4 && reasons.len() == 1, "{reasons:?}");

    let (sandbox, nexus) = signed_in();
    drop(sandbox);
    let (reasons, code) = found(&nexus, &[]);
    assert_eq!((reasons.len(), code), (1, 75), "{reasons:?}");
    assert_eq!(found(&nexus, &["--offline"]), (vec![], 0));
}

#[test]
fn urls_that_are_not_the_endpoints_are_found() {
    let (sandbox, nexus) = signed_in();
    let origin = sandbox.origin();
    let good = config(&sandbox, "");
    let page = |status| Scripted::text(status, "text/html", "<html>Sign in</html>");
    for (endpoint, answer, code) in [
        (Endpoint::Revoke, page(200), 2),
        (Endpoint::Revoke, page(404), 2),
        (Endpoint::Revoke, page(503), 75),
        (Endpoint::Authorize, page(404), 2),
        (Endpoint::Authorize, page(400), 0),
        (Endpoint::Token, page(200), 2),
        (Endpoint::Token, page(302), 2),
        (Endpoint::Token, Scripted::text(404, "text/plain", ""), 2),
        (Endpoint::Models, page(200), 1),
    ] {
        sandbox.script(endpoint, [answer]);
        let (reasons, found) = found(&nexus, &[]);
        assert_eq!((reasons.len(), found), (usize::from(code != 0), code), "{endpoint:?} {reasons:?}");
    }
    nexus.configure(&good.replace(&format!("api_url = \"{origin}\""), &format!("api_url = \"{origin}/nowhere\"")));
    assert_found(&nexus, &[], "endpoint", 2);
    nexus.configure(&good.replace(&sandbox.url(Endpoint::Revoke).to_string(), &format!("{origin}/nowhere")));
    assert_found(&nexus, &[], "endpoint", 2);
}

#[test]
fn an_api_without_a_list_of_models_is_healthy() {
    let (sandbox, nexus) = signed_in();
    sandbox.script(Endpoint::Models, [Scripted::text(404, "text/plain", "")]);
    assert_output!(nexus.run(&["doctor"]), 0, stdout: "", stderr: "");
    assert_eq!(sandbox.requests_to(Endpoint::Messages).pop().unwrap().body, b"{}");
}

#[test]
fn an_unrelated_finding_does_not_keep_the_api_from_being_asked() {
    let (sandbox, mut nexus) = signed_in();
    nexus.set("ANTHROPIC_API_KEY", "k");
    let before = sandbox.requests_to(Endpoint::Models).len();
    assert_found(&nexus, &[], "shadowed", 2);
    assert_eq!(sandbox.requests_to(Endpoint::Models).len(), before + 1);
}

#[test]
fn a_proxy_that_leads_nowhere_is_found_though_loopback_bypasses_it() {
    let (_sandbox, mut nexus) = signed_in();
    nexus.set("HTTPS_PROXY", "http://127.0.0.1:1");
    let output = nexus.run(&["doctor"]);
    assert!(output.code == Some(75) && output.stdout.contains("the proxy 127.0.0.1:1"), "{output}");
    assert_eq!(found(&nexus, &["--offline"]), (vec![], 0));
}

#[test]
fn a_proxy_that_does_not_answer_is_named() {
    let (_sandbox, mut nexus) = signed_in();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = silent.local_addr().unwrap();
    nexus.set("HTTPS_PROXY", &format!("http://{proxy}"));
    nexus.set("NO_PROXY", "localhost");
    nexus.configure("default = 'far'\n[provider.far]\napi_url = 'https://api.invalid'\ntoken_command = ['true']\n");
    let output = nexus.run(&["doctor"]);
    let told = format!("cannot reach api.invalid: through the proxy {proxy}: ");
    assert!(output.stdout.contains(&told), "{output}");
}

#[test]
fn faults_of_the_environment_are_found() {
    let (_sandbox, mut nexus) = signed_in();
    nexus.set("ANTHROPIC_API_KEY", "k");
    assert_found(&nexus, &["--offline"], "shadowed", 2);
    nexus.set("ANTHROPIC_API_KEY", "");
    for name in ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"] {
        nexus.set(name, "https://elsewhere.example");
        assert_found(&nexus, &["--offline"], "shadowed", 2);
        nexus.set(name, "");
    }
    // As `nexus proxy` printed them.
    nexus.set("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080");
    nexus.set("ANTHROPIC_AUTH_TOKEN", "key");
    assert_eq!(found(&nexus, &["--offline"]), (vec![], 0));
    nexus.set("ANTHROPIC_BASE_URL", "");
    nexus.set("ANTHROPIC_AUTH_TOKEN", "");
    nexus.set("HTTPS_PROXY", "nonsense://127.0.0.1");
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(code == 2 && reasons.len() == 1, "{reasons:?}");
    nexus.set("HTTPS_PROXY", "");
    for (name, value) in [("SSL_CERT_FILE", "/no/such/file.pem"), ("SSL_CERT_DIR", "/no/such/folder")] {
        nexus.set(name, value);
        assert_found(&nexus, &["--offline"], "certificate_authorities", 2);
        nexus.set(name, "");
    }
    nexus.set("NEXUS_PROVIDER", "claude_code");
    let (reasons, code) = found(&nexus, &["--offline"]);
    assert!(code == 2 && reasons.contains(&"shadowed".to_owned()), "{reasons:?}");
}

#[test]
fn variables_over_the_file_are_found() {
    let mut nexus = Nexus::new();
    nexus
        .configure("[provider.claude_code]\nclient_id = 'of-the-file'\nredirect_uri = 'http://localhost:1/callback'\n");
    nexus.set("CLAUDE_CODE_CLIENT_ID", "of-the-variable");
    nexus.set("CLAUDE_CODE_REDIRECT_URI", "http://localhost:2/callback");
    let output = nexus.run(&["doctor", "--offline", "--json"]);
    let object: Value = output.json();
    let problems = object["findings"].to_string();
    for name in ["CLAUDE_CODE_CLIENT_ID", "CLAUDE_CODE_REDIRECT_URI"] {
        assert!(problems.contains(&format!("{name} is set")), "{problems}");
    }
    nexus.set("CLAUDE_CODE_CLIENT_ID", "of-the-file");
    nexus.set("CLAUDE_CODE_REDIRECT_URI", "");
    assert_found(&nexus, &["--offline"], "not_signed_in", 4);
}

/// Files of another user's, such as those of a `sudo nexus`.
#[test]
fn files_that_the_user_cannot_open_are_found() {
    let test = "files_that_the_user_cannot_open_are_found";
    if !by_root(test) {
        return;
    }
    let (_sandbox, nexus) = signed_in();
    let mut chown = Command::new("chown");
    chown.arg("-R").arg(STRANGER.to_string()).arg(nexus.home());
    assert!(chown.status().unwrap().success());
    let healthy = run_as_stranger(&nexus, &["doctor", "--offline"]);
    if healthy.stderr.contains("failed to execute") {
        return skipped(test, "other users cannot run the program here");
    }
    assert_output!(healthy, 0, stdout: "", stderr: "");
    let lock = fs::read_dir(nexus.path("state/locks")).unwrap().next().unwrap().unwrap().file_name();
    let lock = format!("state/locks/{}", lock.to_str().unwrap());
    for (name, problem) in [
        ("data/sessions.db", "you cannot write to [HOME]/data/sessions.db"),
        (&lock, &*format!("you cannot write to [HOME]/{lock}")),
        ("key/session.key", "[HOME]/key/session.key: Permission denied (os error 13)"),
    ] {
        let open = if name.ends_with(".db") { 0o400 } else { 0o000 };
        mode(&nexus, name, open);
        let cure = format!("  make sure that you own it, and run `chmod 600 [HOME]/{name}`\n");
        assert_output!(
            run_as_stranger(&nexus, &["doctor", "--offline"]), 1,
            stdout: format!("{problem}\n{cure}"), stderr: ""
        );
        mode(&nexus, name, 0o600);
    }
}
