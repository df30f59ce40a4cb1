//! `nexus key`: where the key to the stored session is, and moving it between backends.

use std::fs;
use std::process::Command;

use nexus::sandbox::{Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, SECRET_VARIABLES, config, sandbox, search_path};

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
    assert_output!(nexus.run(SHOW), 0, stdout: one_key(&nexus, "file"), stderr: "");
    let shown = nexus.run(&["key", "show", "--json"]).json();
    let count = json!({ "sessions": 1, "pending_sign_ins": 0, "clients": 0 });
    assert_eq!(
        shown,
        json!({
            "version": 1, "key": "file", "path": "[HOME]/key/session.key", "entry": null, "configured": null,
            "keys": [{ "id": shown["keys"][0]["id"], "active": true, "here": true, "values": count }],
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
    assert_output!(nexus.run(SHOW), 0, stdout: one_key(&nexus, "passphrase"), stderr: "");
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
    assert_output!(nexus.run(SHOW), 0, stdout: one_key(&nexus, "passphrase"), stderr: "");
    assert_signed_in(&nexus);
}

/// Checks the error about a session that is sealed with a key that is not there.
#[track_caller]
fn assert_not_here(output: &Output) {
    let start = "error: the key `";
    let problem = "`, which a stored value is sealed with, is not in [HOME]/key/session.key\n  restore the right key, or \
                   run `nexus oauth start` to sign in again";
    let is_right = output.stderr.starts_with(start) && output.stderr.contains(problem);
    assert!(output.code == Some(1) && is_right, "{output}");
}

#[test]
fn a_move_leaves_nothing_to_old_copies() {
    let (_sandbox, nexus) = signed_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    let database = nexus.path("data/sessions.db");
    let (old_key, old_database) = (key_line(&nexus), fs::read(&database).unwrap());
    nexus.run(&to("passphrase")).ok();
    let (new_key, new_database) = (key_line(&nexus), fs::read(&database).unwrap());

    nexus.write(KEY, &old_key, 0o600);
    assert_not_here(&nexus.run(&["oauth", "status"]));
    nexus.write(KEY, &new_key, 0o600);
    fs::write(&database, old_database).unwrap();
    assert_not_here(&nexus.run(&["oauth", "status"]));
    assert_not_here(&nexus.run(&to("file")));
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
    assert_output!(nexus.run(SHOW), 0, stdout: one_key(&nexus, "passphrase"), stderr: "");
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
    assert_not_here(&nexus.run(&["oauth", "status"]));
}

/// What `key show` prints for one key that seals one session.
fn one_key(nexus: &Nexus, backend: &str) -> String {
    format!("{backend}: [HOME]/key/session.key\n{}: active, seals 1 session\n", ids(nexus)[0])
}

/// The ids of the keys that `key show` lists, the active one first.
fn ids(nexus: &Nexus) -> Vec<String> {
    let shown = nexus.run(&["key", "show", "--json"]).json();
    let mut keys = shown["keys"].as_array().unwrap().clone();
    keys.sort_by_key(|key| key["active"] != true);
    keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_is_replaced_step_by_step() {
    let (_sandbox, nexus) = signed_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    let (old_file, old_database) = (key_line(&nexus), fs::read(nexus.path("data/sessions.db")).unwrap());
    let old = ids(&nexus).remove(0);

    let added = nexus.run(&["key", "add"]);
    let new = added.stdout.trim().to_owned();
    assert!(added.stderr.contains(&format!("run `nexus key activate {new}`")), "{added}");
    let lines = key_line(&nexus);
    assert_eq!(lines.lines().next(), Some(old_file.trim()));
    assert!(lines.lines().nth(1).unwrap().starts_with(&format!("{new} ")), "one `ID BASE64` a line");
    assert_output!(
        nexus.run(SHOW), 0,
        stdout: format!("file: [HOME]/key/session.key\n{old}: active, seals 1 session\n{new}: seals nothing\n"), stderr: "",
    );

    let active = nexus.run(&["key", "retire", &old]);
    assert!(
        active.code == Some(1) && active.stderr.contains(&format!("the key `{old}` is the active one")),
        "{active}"
    );
    assert_output!(
        nexus.run(&["key", "activate", &new]), 0, stdout: "",
        stderr: format!("The key `{new}` is active now; run `nexus key reseal` to seal what is stored with it\n"),
    );
    assert_output!(
        nexus.run(&["key", "activate", &new]), 0, stdout: "", stderr: format!("The key `{new}` is active already\n"),
    );
    let used = nexus.run(&["key", "retire", &old]);
    assert_output!(
        used, 1, stdout: "",
        stderr: format!("error: the key `{old}` is still needed by 1 session\n  run `nexus key reseal`, then run the command \
                         again\n"),
    );
    assert_eq!(ids(&nexus), [new.clone(), old.clone()]);
    assert_output!(
        nexus.run(&["key", "reseal"]), 0,
        stdout: format!("Sealed again with key {new}: 1 session; sealed with it already: nothing\n"), stderr: "",
    );
    assert_output!(
        nexus.run(&["key", "reseal"]), 0,
        stdout: format!("Sealed again with key {new}: nothing; sealed with it already: 1 session\n"), stderr: "",
    );
    assert_output!(
        nexus.run(&["key", "retire", &old]), 0, stdout: "",
        stderr: format!("Removed the key `{old}` from [HOME]/key/session.key\n"),
    );
    assert_eq!(ids(&nexus), [new.as_str()]);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
    nexus.sign_in();
    assert_eq!(ids(&nexus), [new.as_str()], "a new session has the new key");

    let unknown = nexus.run(&["key", "retire", &old]);
    assert!(
        unknown.code == Some(1) && unknown.stderr.contains(&format!("there is no key `{old}` in [HOME]/key")),
        "{unknown}"
    );
    let unknown = nexus.run(&["key", "activate", "none"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("there is no key `none` in [HOME]/key"), "{unknown}");
    fs::write(nexus.path("data/sessions.db"), old_database).unwrap();
    let output = nexus.run(&["oauth", "token"]);
    assert_not_here(&output);
    assert!(output.stderr.contains(&old), "{output}");
}

#[test]
fn a_key_that_was_added_is_kept_as_the_first_one_is() {
    let (_sandbox, nexus) = signed_in();
    nexus.run(&to("passphrase")).ok();
    let new = nexus.run(&["key", "add", "--json"]).json();
    let id = new["id"].as_str().unwrap().to_owned();
    assert!(key_line(&nexus).lines().nth(1).unwrap().starts_with(&format!("nexus-key-2 passphrase {id} ")));
    let old = ids(&nexus).remove(0);
    nexus.run(&["key", "activate", &id]).ok();
    let counts = nexus.run(&["key", "reseal", "--json"]).json();
    let none = json!({ "sessions": 0, "pending_sign_ins": 0, "clients": 0 });
    let one = json!({ "sessions": 1, "pending_sign_ins": 0, "clients": 0 });
    assert_eq!(counts, json!({ "version": 1, "key": id, "resealed": one, "already": none, "left": none }));
    nexus.run(&["key", "retire", &old]).ok();
    assert_eq!(key_line(&nexus).lines().count(), 1);
    assert_signed_in(&nexus);
}

#[test]
fn a_distributed_file_may_have_been_written_by_any_program() {
    let (a, b) = ("A".repeat(43), format!("{}=", "B".repeat(42) + "A"));
    let sandbox = sandbox(Settings::default());
    for text in [format!("a {a}\r\nb {b}\r\n"), format!("\n a\t{a}\n\n\nb {b}"), format!("\u{feff}a {a}\nb {b}\n")] {
        let nexus = Nexus::at(&sandbox);
        fs::create_dir(nexus.path("key")).unwrap();
        nexus.write(KEY, &text, 0o600);
        nexus.sign_in();
        assert_eq!(ids(&nexus), ["a", "b"]);
        assert_signed_in(&nexus);
    }
}

#[test]
fn an_invalid_key_file_names_its_line() {
    let (_sandbox, nexus) = signed_in();
    let a = "A".repeat(43);
    for (text, why) in [
        (format!("a {a}\na {a}\n"), "line 2 has the id `a`, which another line has"),
        (format!("a {a}\n\nb AAAA\n"), "line 3 has a key of 3 bytes instead of 32"),
        (format!("a {a}!\n"), "line 1 has no valid base64"),
        (format!("a b {a}\n"), "line 1 is not a nexus key"),
        (format!("a/b {a}\n"), "line 1 has an id that is not 1 to 64 letters, digits"),
        (format!("{a}\n"), "line 1 is not a nexus key"),
        (String::new(), "line 1 is not a nexus key"),
    ] {
        nexus.write(KEY, &text, 0o600);
        let output = nexus.run(&["oauth", "token"]);
        let message = format!("error: [HOME]/key/session.key: {why}");
        assert!(output.code == Some(1) && output.stderr.starts_with(&message), "{output}");
        assert!(!output.stderr.contains(&a), "no key in an error");
    }
}

/// A home whose keys come from a command that prints this file.
fn with_key_command(text: &str) -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    nexus.set("PATH", &search_path());
    nexus.write("keys", text, 0o600);
    configure(&nexus, &sandbox, "key = \"command\"\nkey_command = [\"cat\", \"keys\"]");
    (sandbox, nexus)
}

#[test]
fn a_command_prints_the_keys() {
    let (_sandbox, nexus) = with_key_command(&format!("old {}\n", "A".repeat(43)));
    nexus.sign_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    assert!(!nexus.path(KEY).exists(), "no key is kept here");
    assert_output!(nexus.run(SHOW), 0, stdout: "command: cat\nold: active, seals 1 session\n", stderr: "");

    let output = nexus.run(&["key", "add"]);
    assert!(output.code == Some(2) && output.stderr.contains("`nexus key add --out FILE`"), "{output}");
    let line = nexus.run(&["key", "add", "--out", "-"]).ok();
    let (id, key) = line.trim().split_once(' ').unwrap();
    assert!(line.lines().count() == 1 && id.len() == 16 && key.len() == 43, "one line `ID BASE64`");
    let new = nexus.run(&["key", "add", "--out", &nexus.path("new").to_string_lossy()]).ok().trim().to_owned();
    let written = fs::read_to_string(nexus.path("new")).unwrap();
    assert!(written.starts_with(&format!("{new} ")) && written.lines().count() == 1, "one line `ID BASE64`");
    let again = nexus.run(&["key", "add", "--out", &nexus.path("new").to_string_lossy()]);
    assert_eq!((again.code, fs::read_to_string(nexus.path("new")).unwrap()), (Some(2), written.clone()), "it is kept");

    let output = nexus.run(&["key", "activate", &new]);
    assert!(
        output.code == Some(1) && output.stderr.contains(&format!("there is no key `{new}` in key_command `cat`")),
        "{output}"
    );
    let keys = fs::read_to_string(nexus.path("keys")).unwrap();
    nexus.write("keys", &(keys.clone() + &written), 0o600);
    let output = nexus.run(&["key", "activate", &new]);
    assert!(output.code == Some(2) && output.stderr.contains("nexus cannot change them"), "{output}");
    nexus.write("keys", &(written.clone() + &keys), 0o600);
    nexus.run(&["key", "activate", &new]).ok();
    nexus.run(&["key", "reseal"]).ok();
    assert_output!(
        nexus.run(&["key", "retire", "old"]), 0, stdout: "",
        stderr: "Nothing is sealed with the key `old`; key_command `cat` need not print it any more\n",
    );
    nexus.write("keys", &written, 0o600);
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
    nexus.write("keys", &keys, 0o600);
    let output = nexus.run(&["oauth", "token"]);
    let message = format!(
        "error: the key `{new}`, which a stored value is sealed with, is not in key_command `cat`\n  make \
                           key_command print this key too"
    );
    assert!(output.code == Some(1) && output.stderr.starts_with(&message), "{output}");
    let output = nexus.run(&to("file"));
    assert!(output.code == Some(2) && output.stderr.contains("nexus cannot change them"), "{output}");
}

#[test]
fn a_command_that_prints_no_keys_has_a_hint() {
    let (sandbox, nexus) = with_key_command(&format!("old {}\n", "A".repeat(43)));
    nexus.sign_in();
    nexus.write("nonsense", "nonsense\n", 0o600);
    for (command, why) in [
        ("[\"false\"]", "cannot get the key: key_command `false` failed (exit status: 1)"),
        ("[\"true\"]", "cannot get the key: key_command `true` prints nothing"),
        ("[\"nowhere\"]", "cannot get the key: key_command `nowhere` cannot be started: No such file"),
        ("[\"cat\", \"nonsense\"]", "key_command `cat`: line 1 is not a nexus key"),
        (
            "[\"echo\", \"nexus-key-2 keyring 0011223344556677\"]",
            "cannot get the key: key_command `echo` prints a line without",
        ),
    ] {
        configure(&nexus, &sandbox, &format!("key = \"command\"\nkey_command = {command}"));
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(1) && output.stderr.starts_with(&format!("error: {why}")), "{output}");
        assert!(output.stderr.contains("\n  make key_command print the keys, one `ID BASE64` a line"), "{output}");
    }
    for (top, why) in [
        ("key = \"command\"", "is \"command\", but `key_command` is not set"),
        ("key_command = [\"cat\"]", "is set, but `key` is not \"command\""),
        ("key = \"command\"\nkey_command = \"cat keys\"", "must be"),
        ("key = \"command\"\nkey_command = []", "is empty"),
    ] {
        configure(&nexus, &sandbox, top);
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
    }
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
fn a_sign_in_replaces_a_session_whose_key_is_lost() {
    let (_sandbox, nexus) = signed_in();
    nexus.write(KEY, "nexus-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 0o600);
    assert_not_here(&nexus.run(&["oauth", "token"]));
    nexus.sign_in();
    assert_signed_in(&nexus);
    fs::remove_file(nexus.path(KEY)).unwrap();
    nexus.sign_in();
    assert_signed_in(&nexus);
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
    let shown = nexus.run(SHOW);
    assert!(shown.code == Some(4) && shown.stderr == missing, "{shown}");
    assert!(shown.stdout.ends_with(": not on this machine, seals 1 session\n"), "{shown}");
    assert_output!(nexus.run(&to("passphrase")), 4, stdout: "", stderr: missing);
    assert!(!path.exists(), "no new key hides that the old one is missing");

    nexus.write(KEY, "nexus-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 0o600);
    assert_not_here(&status(&nexus));
    assert_not_here(&nexus.run(SHOW));

    nexus.write(KEY, "nonsense\n", 0o600);
    let nonsense = "error: [HOME]/key/session.key: line 1 is not a nexus key\n  correct the line, or restore the file \
                    from a backup or another machine; if there is none, move [HOME]/key/session.key away and run `nexus \
                    oauth start` to sign in again\n";
    assert_output!(status(&nexus), 1, stdout: "", stderr: nonsense);
    let object = nexus.run(&["key", "show", "--json"]);
    assert_eq!((object.code, &object.json()["error"]["reason"]), (Some(1), &json!("store")));

    // The hint names a provider that is not the default.
    let configured = fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.write("config.toml", &configured.replace("default = \"work\"", ""), 0o600);
    for (line, cure) in [
        (
            Some("nonsense\n"),
            "correct the line, or restore the file from a backup or another machine; if there is none, move \
             [HOME]/key/session.key away and run `nexus oauth start --provider work` to",
        ),
        (
            Some("nexus-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
            "restore the right key, or run `nexus oauth start --provider work` to",
        ),
        (None, "restore the key file, or run `nexus oauth start --provider work` to"),
    ] {
        match line {
            Some(line) => nexus.write(KEY, line, 0o600),
            None => fs::remove_file(&path).unwrap(),
        }
        let output = nexus.run(&["oauth", "status", "--provider", "work"]);
        let cure = format!("\n  {cure} sign in again\n");
        assert!(output.stderr.ends_with(&cure), "{output}");
    }
    nexus.write("config.toml", &configured, 0o600);

    #[cfg(unix)]
    {
        nexus.write("mounted", &key, 0o600);
        std::os::unix::fs::symlink(nexus.path("mounted"), &path).unwrap();
        let linked = "error: [HOME]/key/session.key: this is a symbolic link, which could point to another user's file\n  \
                      replace [HOME]/key/session.key with a file of your own, or set `key = \"command\"` and \
                      `key_command = [\"cat\", \"FILE\"]` with the file that is meant\n";
        assert_output!(status(&nexus), 1, stdout: "", stderr: linked);
        fs::remove_file(&path).unwrap();
    }

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
    for words in [&["oauth", "status"][..], &["oauth", "token"], &to("file")] {
        assert_output!(nexus.run(words), 1, stdout: "", stderr: message);
    }
    let shown = nexus.run(SHOW);
    assert!(shown.code == Some(1) && shown.stderr == message, "{shown}");
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
    // The sessions are in a file.
    nexus.set("NEXUS_STORE", "");
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
