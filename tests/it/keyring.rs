//! The key in the operating system's keyring.

use std::fs;

use crate::key::{KEY, SHOW, key_line, signed_in, to};
use crate::nexus::{Nexus, Output, installed, search_path};

/// Whether a missing keyring is a failure.
#[expect(clippy::disallowed_methods, reason = "who runs the tests says so")]
fn wanted() -> bool {
    std::env::var_os("NEXUS_KEYRING_WANTED").is_some()
}

/// A command that kills `nexus` at its n-th call of this name.
fn killed_at(call: &str, n: u32) -> Vec<String> {
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]
        .map(String::from)
        .into_iter()
        .chain([format!("inject={call}:signal=SIGKILL:when={n}")])
        .collect()
}

/// Calls that change a file.
const CHANGES: &[&str] = &["write", "fsync", "rename", "unlink", "ftruncate", "mkdir"];

/// Kills a move at each of its steps; the session stays readable, and the next move succeeds. Returns the number of
/// kills. `tests/hard/kills.rs` kills the moves that need no keyring.
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

fn in_session(nexus: &Nexus, before: &[String], words: &[&str]) -> Output {
    let session = ["dbus-run-session", "--", "sh", "-c", SESSION, "sh"].map(String::from);
    nexus.run_after(&[&session[..], before].concat(), words)
}

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
    let shown = in_session(&nexus, &[], SHOW).stdout;
    assert!(shown.starts_with(&format!("keyring: service nexus, user {id}\n")), "{shown}");
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
    let id = key_id(&nexus);
    nexus.write(KEY, &format!("nexus-key-2 keyring {id}\n"), 0o600);
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

/// The id of the key, which is in a file.
fn key_id(nexus: &Nexus) -> String {
    nexus.run(&["key", "show", "--json"]).json()["keys"][0]["id"].as_str().unwrap().to_owned()
}

#[cfg(feature = "keyring")]
#[test]
fn a_keyring_that_does_not_answer_times_out() {
    let (_sandbox, mut nexus) = signed_in();
    nexus.write(KEY, &format!("nexus-key-2 keyring {}\n", key_id(&nexus)), 0o600);
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
