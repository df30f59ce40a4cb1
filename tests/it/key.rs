//! `nexus key`: where the key to the stored session is, and moving it between backends.

use std::fs;
use std::process::Command;

use nexus::sandbox::{Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, SECRET_VARIABLES, config, sandbox};

pub(crate) const KEY: &str = "key/session.key";
pub(crate) const SHOW: &[&str] = &["key", "show"];

pub(crate) fn to(keeper: &str) -> [&str; 3] {
    ["key", "move", keeper]
}

/// A home that is signed in, with a passphrase in a file.
pub(crate) fn signed_in() -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.write("pass", "correct horse\n", 0o600);
    nexus.configure(&format!("passphrase_file = \"pass\"\n{}", config(&sandbox, "")));
    nexus.sign_in();
    (sandbox, nexus)
}

/// Puts lines before everything else in the configuration.
fn configure(nexus: &Nexus, sandbox: &Sandbox, top: &str) {
    nexus.configure(&format!("{top}\n{}", config(sandbox, "")));
}

#[track_caller]
fn assert_signed_in(nexus: &Nexus) {
    let output = nexus.run(&["oauth", "status"]);
    assert_eq!(output.code, Some(0), "{output}");
}

pub(crate) fn key_line(nexus: &Nexus) -> String {
    fs::read_to_string(nexus.path(KEY)).unwrap()
}

#[test]
fn the_key_is_in_a_file_by_default() {
    let nexus = Nexus::new();
    assert_output!(
        nexus.run(SHOW), 0, stdout: "no key yet: the first sign-in creates one (file)\n", stderr: "",
    );
    let (_sandbox, nexus) = signed_in();
    assert_output!(nexus.run(SHOW), 0, stdout: "file: [HOME]/key/session.key\n", stderr: "");
    assert_eq!(
        nexus.run(&["key", "show", "--json"]).json(),
        json!({
            "version": 1, "key": "file", "path": "[HOME]/key/session.key", "entry": null, "configured": null,
        })
    );
    assert!(key_line(&nexus).starts_with("nexus-key-1 "));
}

#[test]
fn a_session_survives_key_moves_between_file_and_passphrase() {
    let (_sandbox, nexus) = signed_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    let plain = key_line(&nexus);
    assert_output!(
        nexus.run(&to("passphrase")), 0, stdout: "",
        stderr: "The key is now in [HOME]/key/session.key, wrapped with the passphrase\n\
                 Sealed again: work (you@sandbox.example)\n\
                 Set `key = \"passphrase\"` at the top of config.toml\n",
    );
    assert!(!key_line(&nexus).contains(plain.split(' ').nth(1).unwrap().trim()), "the key is no longer plain");
    assert_output!(nexus.run(SHOW), 0, stdout: "passphrase: [HOME]/key/session.key\n", stderr: "");
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
    let wrapped = key_line(&nexus);
    assert_output!(
        nexus.run(&to("passphrase")), 0, stdout: "",
        stderr: "The key is already in [HOME]/key/session.key, wrapped with the passphrase\n\
                 Set `key = \"passphrase\"` at the top of config.toml\n",
    );
    assert_eq!(key_line(&nexus), wrapped);
    assert_output!(
        nexus.run(&to("file")), 0, stdout: "", stderr: "The key is now in [HOME]/key/session.key\nSealed again: work (you@sandbox.example)\n",
    );
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
    assert_ne!(key_line(&nexus), plain, "each move makes a new key");
}

#[test]
fn a_first_sign_in_creates_the_key_in_the_configured_backend() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.write("pass", "correct horse", 0o600);
    configure(&nexus, &sandbox, "key = \"passphrase\"\npassphrase_command = [\"cat\", \"pass\"]");
    nexus.sign_in();
    assert!(key_line(&nexus).starts_with("nexus-key-2 passphrase "));
    assert_output!(nexus.run(SHOW), 0, stdout: "passphrase: [HOME]/key/session.key\n", stderr: "");
    assert_signed_in(&nexus);
}

/// The error about a session of another key than the one that is there.
const DOES_NOT_OPEN: &str = "error: [HOME]/data/sessions.db: the stored session cannot be decrypted with the key in \
                             [HOME]/key/session.key\n  restore the right key, or run `nexus oauth start` to sign in again\n";

#[test]
fn a_move_leaves_nothing_to_old_copies() {
    let (_sandbox, nexus) = signed_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    let database = nexus.path("data/sessions.db");
    let (old_key, old_database) = (key_line(&nexus), fs::read(&database).unwrap());
    nexus.run(&to("passphrase")).ok();
    let (new_key, new_database) = (key_line(&nexus), fs::read(&database).unwrap());

    nexus.write(KEY, &old_key, 0o600);
    assert_output!(nexus.run(&["oauth", "status"]), 1, stdout: "", stderr: DOES_NOT_OPEN);
    nexus.write(KEY, &new_key, 0o600);
    fs::write(&database, old_database).unwrap();
    assert_output!(nexus.run(&["oauth", "status"]), 1, stdout: "", stderr: DOES_NOT_OPEN);
    assert_output!(nexus.run(&to("file")), 1, stdout: "", stderr: DOES_NOT_OPEN);
    assert_eq!(key_line(&nexus), new_key, "what does not open stops a move");
    fs::write(&database, new_database).unwrap();
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
}

#[test]
fn a_key_in_another_backend_than_configured_is_not_opened() {
    let (sandbox, nexus) = signed_in();
    let plain = key_line(&nexus);
    configure(&nexus, &sandbox, "key = \"passphrase\"\npassphrase_file = \"pass\"");
    let why = "[HOME]/key/session.key: the key is in the backend `file`, but `passphrase` is configured; the key was \
               not opened\n  if you changed `key` in config.toml, run `nexus key move passphrase` and check the \
               accounts that it shows, or set `key = \"file\"`; if you did not put this file there, remove [HOME]/key/session.key and run `nexus oauth \
               start` to sign in again\n";
    for words in [&["oauth", "status"][..], &["oauth", "token"], &["chat", "x"], &["models"], &["oauth", "start"]] {
        assert_output!(nexus.run(words), 2, stdout: "", stderr: format!("error: {why}"));
    }
    let object = nexus.run(&["oauth", "status", "--json"]).json();
    assert_eq!(object["error"]["reason"], "key_mismatch");
    assert_output!(
        nexus.run(SHOW), 0, stdout: "file: [HOME]/key/session.key\n", stderr: format!("warning: {why}"),
    );
    for words in [&["history", "list"][..], &["help", "config"], &["demo", "--yes"]] {
        let output = nexus.run(words);
        assert!(output.code == Some(0) && !output.stderr.contains("session.key"), "{output}");
    }
    assert_eq!(key_line(&nexus), plain);

    // A stranger could have put it there, so the accounts are shown, and nothing is written unasked.
    let output = nexus.run(&to("passphrase"));
    assert!(output.code == Some(2) && output.stderr.contains("\n  work (you@sandbox.example)\n"), "{output}");
    assert!(output.stderr.contains("run `nexus key move passphrase --yes`"), "{output}");
    assert_eq!(key_line(&nexus), plain);
    assert_output!(
        nexus.run(&["key", "move", "passphrase", "--yes"]), 0, stdout: "",
        stderr: "The key is now in [HOME]/key/session.key, wrapped with the passphrase\n\
                 Sealed again: work (you@sandbox.example)\n",
    );
    assert_output!(nexus.run(SHOW), 0, stdout: "passphrase: [HOME]/key/session.key\n", stderr: "");
    assert_signed_in(&nexus);
    configure(&nexus, &sandbox, "key = \"file\"\npassphrase_file = \"pass\"");
    let output = nexus.run(&["oauth", "token"]);
    assert!(output.code == Some(2) && output.stderr.contains("run `nexus key move file`"), "{output}");
}

#[test]
fn a_sign_out_needs_no_key_and_leaves_none_that_was_put_there() {
    let (sandbox, nexus) = signed_in();
    configure(&nexus, &sandbox, "key = \"passphrase\"\npassphrase_file = \"pass\"");
    assert_output!(
        nexus.run(&["oauth", "logout"]), 0, stdout: "",
        stderr: "Not revoked: the stored session cannot be read: [HOME]/key/session.key: the key is in the backend \
                 `file`, but `passphrase` is configured; the key was not opened; its tokens stay valid until they \
                 expire\nDeleted the local session\n",
    );
    assert_eq!(sandbox.counts().revocations, 0);
    nexus.sign_in();
    assert!(key_line(&nexus).starts_with("nexus-key-2 passphrase "));
    assert_signed_in(&nexus);
}

#[test]
fn a_session_after_the_last_sign_out_has_a_new_key() {
    let (sandbox, nexus) = signed_in();
    let play = config(&sandbox, "").replace("default = \"work\"\n[provider.work]", "[provider.play]");
    nexus.configure(&(config(&sandbox, "") + &play));
    nexus.sign_in_to("play");
    let key = key_line(&nexus);
    let old = fs::read(nexus.path("data/sessions.db")).unwrap();
    nexus.run(&["oauth", "logout"]).ok();
    assert_eq!(key_line(&nexus), key, "the other session needs it");
    nexus.run(&["oauth", "logout", "--all"]).ok();
    assert_output!(
        nexus.run(SHOW), 0, stdout: "no key yet: the first sign-in creates one (file)\n", stderr: "",
    );
    nexus.sign_in();
    assert_signed_in(&nexus);
    assert_ne!(key_line(&nexus), key);
    fs::write(nexus.path("data/sessions.db"), old).unwrap();
    assert_output!(nexus.run(&["oauth", "status"]), 1, stdout: "", stderr: DOES_NOT_OPEN);
}

#[test]
fn processes_that_refresh_while_the_key_is_moved_lose_no_session() {
    let (sandbox, nexus) = signed_in();
    for backend in ["passphrase", "file"] {
        sandbox.change(|settings| settings.token_lifetime = Some(0.into()));
        nexus.sign_in();
        sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
        let (refresh, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
        let moving = nexus.command(&to(backend)).spawn().unwrap();
        gate.open();
        let token = nexus.finish(refresh).ok();
        assert_eq!(nexus.finish(moving).code, Some(0));
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), token, "the session that was refreshed during the move");
    }
}

#[test]
fn a_missing_or_wrong_key_has_a_hint() {
    let (_sandbox, nexus) = signed_in();
    let path = nexus.path(KEY);
    let key = key_line(&nexus);
    let status = |nexus: &Nexus| nexus.run(&["oauth", "status"]);

    fs::remove_file(&path).unwrap();
    let missing = "error: [HOME]/key/session.key: the key to the stored session is missing\n  restore the key file, or \
                   run `nexus oauth start` to sign in again\n";
    assert_output!(status(&nexus), 4, stdout: "", stderr: missing);
    assert_output!(nexus.run(SHOW), 4, stdout: "", stderr: missing);
    assert_output!(nexus.run(&to("passphrase")), 4, stdout: "", stderr: missing);
    assert!(!path.exists(), "no new key hides that the old one is missing");

    nexus.write(KEY, "nexus-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 0o600);
    let wrong = "error: [HOME]/data/sessions.db: the stored session cannot be decrypted with the key in \
                 [HOME]/key/session.key\n  restore the right key, or run `nexus oauth start` to sign in again\n";
    assert_output!(status(&nexus), 1, stdout: "", stderr: wrong);
    assert_output!(nexus.run(SHOW), 1, stdout: "", stderr: wrong);

    nexus.write(KEY, "nonsense\n", 0o600);
    let nonsense = "error: [HOME]/key/session.key: this is not a nexus key\n  restore the right key, or remove \
                    [HOME]/key/session.key and run `nexus oauth start` to sign in again\n";
    assert_output!(status(&nexus), 1, stdout: "", stderr: nonsense);
    let object = nexus.run(&["key", "show", "--json"]);
    assert_eq!((object.code, &object.json()["error"]["reason"]), (Some(1), &json!("store")));

    // The hint names a provider that is not the default.
    let configured = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.write("config.toml", &configured.replace("default = \"work\"", ""), 0o600);
    for (line, cure) in [
        (Some("nonsense\n"), "restore the right key, or remove [HOME]/key/session.key and run"),
        (Some("nexus-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"), "restore the right key, or run"),
        (None, "restore the key file, or run"),
    ] {
        match line {
            Some(line) => nexus.write(KEY, line, 0o600),
            None => fs::remove_file(&path).unwrap(),
        }
        let output = nexus.run(&["oauth", "status", "--provider", "work"]);
        let cure = format!("\n  {cure} `nexus oauth start --provider work` to sign in again\n");
        assert!(output.stderr.ends_with(&cure), "{output}");
    }
    nexus.write("config.toml", &configured, 0o600);

    nexus.write(KEY, &key, 0o600);
    assert_signed_in(&nexus);
}

#[test]
fn a_wrong_passphrase_has_a_hint() {
    let (_sandbox, nexus) = signed_in();
    nexus.run(&to("passphrase")).ok();
    nexus.write("pass", "wrong horse\n", 0o600);
    let message = "error: [HOME]/key/session.key: the passphrase is wrong\n  fix `passphrase_file` or \
                `passphrase_command` in config.toml; if the passphrase is lost, remove [HOME]/key/session.key and run \
                `nexus oauth start` to sign in again\n";
    for words in [&["oauth", "status"][..], &["oauth", "token"], SHOW, &to("file")] {
        assert_output!(nexus.run(words), 1, stdout: "", stderr: message);
    }
    nexus.write("pass", "correct horse", 0o600);
    assert_signed_in(&nexus);
}

#[test]
fn a_missing_passphrase_has_a_hint() {
    let (sandbox, nexus) = signed_in();
    nexus.run(&to("passphrase")).ok();
    for (top, why) in [
        ("passphrase_command = [\"false\"]", "passphrase_command `false` failed (exit status: 1)"),
        ("passphrase_command = [\"true\"]", "passphrase_command `true` gives an empty passphrase"),
        ("passphrase_command = [\"echo\"]", "passphrase_command `echo` gives an empty passphrase"),
        (
            "passphrase_command = [\"nowhere\", \"at\", \"all\"]",
            "passphrase_command `nowhere` cannot be started: No such file or directory (os error 2)",
        ),
        (
            "passphrase_file = \"gone\"",
            "passphrase_file [HOME]/gone cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        configure(&nexus, &sandbox, top);
        assert_output!(
            nexus.run(&["oauth", "status"]), 1, stdout: "",
            stderr: format!(
                "error: [HOME]/key/session.key: cannot get the key's passphrase: {why}\n  fix `passphrase_file` or \
                 `passphrase_command` in config.toml, then run the command again\n"
            ),
        );
    }
    configure(&nexus, &sandbox, "");
    assert_output!(
        nexus.run(&["oauth", "status"]), 2, stdout: "",
        stderr: "error: no passphrase source is configured\n  \
                 set `passphrase_file = \"...\"` or `passphrase_command = [\"...\"]` at the top of config.toml\n",
    );
}

#[test]
fn a_passphrase_command_runs_without_shell_stdin_and_secrets() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    nexus.set("PATH", &search_path());
    for name in SECRET_VARIABLES {
        nexus.set(name, "hush");
    }
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" >words\nenv >variables\ncat >input\necho told you >&2\necho pass\n";
    nexus.write("ask", script, 0o600);
    let command = "[\"sh\", \"ask\", \"$HOME ;id\", \"a b\", \"\"]";
    configure(&nexus, &sandbox, &format!("key = \"passphrase\"\npassphrase_command = {command}"));
    let output = nexus.run(&to("passphrase"));
    assert_eq!(
        (output.code, &*output.stderr),
        (
            Some(0),
            "told you\nThere was no key; created a new one in [HOME]/key/session.key, wrapped with the passphrase\n"
        )
    );
    let read = |name| fs::read_to_string(nexus.path(name)).unwrap();
    assert_eq!(read("words"), "$HOME ;id\na b\n\n");
    assert_eq!(read("input"), "");
    let variables = read("variables");
    assert!(variables.contains("NEXUS_HOME=") && !variables.contains("hush"), "{variables}");
    fs::remove_file(nexus.path(KEY)).unwrap();
    for (command, why) in
        [("[]", "is empty"), ("[\"\", \"a\"]", "is empty"), ("[\"a\", 1]", "must be"), ("\"a b\"", "must be")]
    {
        configure(&nexus, &sandbox, &format!("passphrase_command = {command}"));
        let output = nexus.run(SHOW);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
    }
}

#[test]
fn a_passphrase_command_that_takes_long_is_named_and_asks_once() {
    let (sandbox, mut nexus) = signed_in();
    nexus.set("PATH", &search_path());
    assert!(Command::new("mkfifo").arg(nexus.path("pipe")).status().unwrap().success());
    configure(&nexus, &sandbox, "passphrase_command = [\"cat\", \"pipe\"]");
    let mut moving = nexus.watch(&mut nexus.command(&to("passphrase")));
    moving.line_that(|line| line == "note: waiting for passphrase_command `cat`");
    fs::write(nexus.path("pipe"), "correct horse").unwrap();
    let output = moving.finish();
    assert_eq!(output.code, Some(0), "{output}");
    // Creating the first key asks once, too.
    fs::remove_file(nexus.path(KEY)).unwrap();
    fs::remove_file(nexus.path("data/sessions.db")).unwrap();
    nexus.write("ask", "#!/bin/sh\necho asked >>asked\necho pass\n", 0o600);
    configure(&nexus, &sandbox, "key = \"passphrase\"\npassphrase_command = [\"sh\", \"ask\"]");
    nexus.sign_in();
    assert_eq!(fs::read_to_string(nexus.path("asked")).unwrap(), "asked\n");
}

#[test]
fn a_wait_for_a_process_that_uses_the_key_is_reported() {
    let (_sandbox, nexus) = signed_in();
    let lock = fs::File::open(nexus.path("state/locks/key.lock")).unwrap();
    lock.lock_shared().unwrap();
    let mut moving = nexus.watch(&mut nexus.command(&to("passphrase")));
    moving.line_that(|line| line == "note: waiting for another nexus process that is using the key");
    drop(lock);
    let output = moving.finish();
    assert_eq!(output.code, Some(0), "{output}");
}

/// `PATH` of this process.
#[expect(clippy::disallowed_methods, reason = "a test finds the programs of the machine it runs on")]
pub(crate) fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}
