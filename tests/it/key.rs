//! `nexus key`: where the key to the stored session is, and moving it between backends.

use std::fs;

use nexus::sandbox::{Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, SECRET_VARIABLES, config, sandbox};

const KEY: &str = "key/session.key";
const SHOW: &[&str] = &["key", "show"];

fn to(keeper: &str) -> [&str; 3] {
    ["key", "move", keeper]
}

/// A home that is signed in, with a passphrase in a file.
fn signed_in() -> (Sandbox, Nexus) {
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

fn key_line(nexus: &Nexus) -> String {
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
    configure(&nexus, &sandbox, "key = \"passphrase\"\npassphrase_command = \"cat pass\"");
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
        ("passphrase_command = \"false\"", "passphrase_command `false` failed (exit status: 1)"),
        ("passphrase_command = \"true\"", "passphrase_command `true` gives an empty passphrase"),
        ("passphrase_command = \"echo\"", "passphrase_command `echo` gives an empty passphrase"),
        (
            "passphrase_command = \"nowhere at all\"",
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
                 set `passphrase_file = \"...\"` or `passphrase_command = \"...\"` at the top of config.toml\n",
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
    for (command, words) in [
        ("\"sh ask $HOME ;id 'a b'\"", "$HOME\n;id\n'a\nb'\n"),
        ("[\"sh\", \"ask\", \"$HOME ;id\", \"a b\", \"\"]", "$HOME ;id\na b\n\n"),
    ] {
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
        assert_eq!(read("words"), words);
        assert_eq!(read("input"), "");
        let variables = read("variables");
        assert!(variables.contains("NEXUS_HOME=") && !variables.contains("hush"), "{variables}");
        fs::remove_file(nexus.path(KEY)).unwrap();
    }
    for (command, why) in [("[]", "is empty"), ("[\"\", \"a\"]", "is empty"), ("[\"a\", 1]", "must be")] {
        configure(&nexus, &sandbox, &format!("passphrase_command = {command}"));
        let output = nexus.run(SHOW);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
    }
}

/// `PATH` of this process.
#[expect(clippy::disallowed_methods, reason = "a test finds the programs of the machine it runs on")]
fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// Whether a missing keyring is a failure.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "who runs the tests says so")]
fn wanted() -> bool {
    std::env::var_os("NEXUS_KEYRING_WANTED").is_some()
}

/// Whether a program is installed.
fn installed(program: &str) -> bool {
    std::env::split_paths(&search_path()).any(|folder| folder.join(program).is_file())
}

/// A command that kills `nexus` at its n-th call of this name.
#[cfg(target_os = "linux")]
fn killed_at(call: &str, n: u32) -> Vec<String> {
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]
        .map(String::from)
        .into_iter()
        .chain([format!("inject={call}:signal=SIGKILL:when={n}")])
        .collect()
}

/// Calls that change a file.
#[cfg(target_os = "linux")]
const CHANGES: &[&str] = &["write", "fsync", "rename", "unlink", "ftruncate", "mkdir"];

/// Kills a move at each of its steps; the session stays readable, and the next move succeeds. Returns the number of
/// kills. `tests/hard/kills.rs` kills the moves that need no keyring.
#[cfg(target_os = "linux")]
fn kill_at_every_step(nexus: &Nexus, run: &dyn Fn(&[String], &[&str]) -> Output, from: &str, keeper: &str) -> usize {
    let mut kills = 0;
    for call in CHANGES {
        for n in 1.. {
            assert!(n < 100, "{call} is called without end");
            assert_eq!(run(&[], &to(from)).code, Some(0));
            let before = fs::read_dir(nexus.path("key")).unwrap().count();
            let output = run(&killed_at(call, n), &to(keeper));
            if output.code == Some(0) {
                break;
            }
            kills += 1;
            let at = format!("killed at {call} {n} on the way from {from} to {keeper}");
            assert!(output.code.is_none_or(|code| code == 137), "{at}: {output}");
            let status = run(&[], &["oauth", "status"]);
            assert_eq!(status.code, Some(0), "{at}: {status}");
            let again = run(&[], &to(keeper));
            assert_eq!(again.code, Some(0), "{at}: {again}");
            assert!(!again.stderr.contains("could not be removed"), "{at}: {again}");
            let left = |name| nexus.path(name).exists();
            assert!(!left("key/session.key.draft"), "{at}: a draft is left of {before}");
            assert_eq!(left("key/session.key.entry"), keeper == "keyring", "{at}: the note of an entry");
        }
    }
    kills
}

/// Starts a session bus with a real Secret Service for one command. Its entries stay in the home.
const SESSION: &str = "printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null; exec \"$@\"";

#[cfg(target_os = "linux")]
fn in_session(nexus: &Nexus, before: &[String], words: &[&str]) -> Output {
    let session = ["dbus-run-session", "--", "sh", "-c", SESSION, "sh"].map(String::from);
    nexus.run_after(&[&session[..], before].concat(), words)
}

#[cfg(target_os = "linux")]
#[test]
fn the_key_moves_to_the_keyring_and_back() {
    let (_sandbox, mut nexus) = signed_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    let home = nexus.home().to_string_lossy().into_owned();
    nexus.set("HOME", &home);
    nexus.set("XDG_RUNTIME_DIR", &home);
    nexus.set("PATH", &search_path());
    // Without a session bus the move changes nothing.
    let output = nexus.run(&to("keyring"));
    assert_eq!(output.code, Some(1));
    let message = "error: [HOME]/key/session.key: the key was not moved: the operating system's keyring ";
    assert!(output.stderr.starts_with(message), "{output}");
    let cure = match cfg!(feature = "keyring") {
        true => "unlock the keyring, then run the command again",
        false => {
            "install nexus with keyring support: `cargo install --locked --features keyring --path .` in its source, \
             then run the command again"
        }
    };
    let cure = format!("\n  {cure}; or run `nexus key move passphrase`\n");
    assert!(output.stderr.ends_with(&cure), "{output}");
    assert_eq!(nexus.run(&["oauth", "token"]).ok(), token);
    assert_output!(nexus.run(&to("file")), 0, stdout: "", stderr: "The key is already in [HOME]/key/session.key\n");
    if !installed("gnome-keyring-daemon") || !installed("dbus-run-session") || cfg!(not(feature = "keyring")) {
        // `tests/real/keyring.sh` installs both.
        assert!(!wanted(), "there is no keyring to test with");
        // The harness hides the output of a test that passes.
        let message =
            "SKIPPED: no keyring was tested, for want of the feature or a daemon: tests/real/keyring.sh does\n";
        std::io::Write::write_all(&mut std::io::stderr(), message.as_bytes()).unwrap();
        return;
    }

    let output = in_session(&nexus, &[], &to("keyring"));
    assert!(output.code == Some(0) && output.stderr.contains("The key is now in the operating system's keyring\n"));
    let line = key_line(&nexus);
    let id = line.strip_prefix("nexus-key-2 keyring ").unwrap().trim();
    assert_eq!(in_session(&nexus, &[], SHOW).stdout, format!("keyring: service nexus, user {id}\n"));
    assert_eq!(in_session(&nexus, &[], &["oauth", "token"]).stdout, token);

    // Outside of the session the keyring is unreachable, and nothing is lost.
    let output = nexus.run(&["oauth", "token"]);
    assert_eq!(output.code, Some(1));
    let message = "error: [HOME]/key/session.key: the key is in the operating system's keyring, which cannot be used: ";
    assert!(output.stderr.starts_with(message), "{output}");

    // Back by way of the third backend.
    for (keeper, show) in [
        ("passphrase", "passphrase: [HOME]/key/session.key\n"),
        ("keyring", "keyring: service nexus, user "),
        ("file", "file: [HOME]/key/session.key\n"),
    ] {
        let moved = in_session(&nexus, &[], &to(keeper));
        assert_eq!(moved.code, Some(0), "{moved}");
        let shown = in_session(&nexus, &[], SHOW).stdout;
        assert!(shown.starts_with(show) && !shown.contains(id), "{shown}");
        assert_eq!(in_session(&nexus, &[], &["oauth", "token"]).stdout, token);
    }
    let plain = key_line(&nexus);
    assert!(!nexus.path("key/session.key.entry").exists(), "the keyring's entry is gone");

    // A missing entry is reported differently from a missing keyring.
    nexus.write(KEY, &line, 0o600);
    let output = in_session(&nexus, &[], &["oauth", "status"]);
    let message = format!(
        "error: [HOME]/key/session.key: the operating system's keyring has no entry for the key (service `nexus`, user `{id}`)\n"
    );
    assert!(output.code == Some(1) && output.stderr.contains(&message), "{output}");
    nexus.write(KEY, &plain, 0o600);

    assert!(installed("strace") || !wanted(), "there is no strace");
    if installed("strace") {
        let run = |before: &[String], words: &[&str]| in_session(&nexus, before, words);
        assert!(kill_at_every_step(&nexus, &run, "file", "keyring") > 8);
        assert!(kill_at_every_step(&nexus, &run, "keyring", "file") > 4);
    }
}

#[cfg(all(target_os = "linux", feature = "keyring"))]
#[test]
fn a_keyring_that_does_not_answer_times_out() {
    let (_sandbox, mut nexus) = signed_in();
    nexus.write(KEY, "nexus-key-2 keyring 0011223344556677\n", 0o600);
    let socket = nexus.path("bus");
    // It accepts calls and never answers.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    nexus.set("DBUS_SESSION_BUS_ADDRESS", &format!("unix:path={}", socket.display()));
    assert_output!(
        nexus.run(&["oauth", "token"]), 1, stdout: "",
        stderr: "error: [HOME]/key/session.key: the key is in the operating system's keyring, which did not answer within 5 \
                 seconds; it may be locked or asking for its password\n  unlock the keyring, then run the command \
                 again; or remove [HOME]/key/session.key and run `nexus oauth start` to sign in again\n",
    );
}
