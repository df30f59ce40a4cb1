//! Kills every command that changes a session before each of its system calls that changes a file or uses the
//! network. Afterwards the store opens, and the next command works or reports what was lost and why.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use nexus::sandbox::{Sandbox, Settings};
use nexus::{Client, Folders};

use crate::nexus::{Nexus, Output, approve, block_on, config, lifetime, provider, sandbox, sign_in};
use crate::stored::Stored;

/// Runs a command and kills it before its n-th step. Returns the steps that it reached, too.
fn run(nexus: &Nexus, words: &[&str], n: usize) -> (Output, Vec<String>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let tracer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hard/kill_at.py");
    // Without the packages of the machine, Python starts faster.
    let before = ["python3", "-I", "-S", tracer, &log.path().to_string_lossy(), &n.to_string()].map(String::from);
    let mut command = nexus.command_after(&before, words);
    let output = match words {
        ["oauth", "start", ..] => {
            let mut started = nexus.watch(&mut command);
            if let Some(url) = started.url_or_end() {
                let back = approve(&url);
                // The browser gets no page if the command is killed now.
                drop(block_on(Sandbox::visit(&back)));
            }
            started.finish()
        }
        _ => nexus.finish(command.spawn().expect("Python is installed")),
    };
    (output, fs::read_to_string(&log).unwrap().lines().map(String::from).collect())
}

/// Kills a command at each of its steps, each time in a new home.
fn kill_at_every_step<T>(
    title: &str,
    words: &[&str],
    prepare: impl Fn() -> (Nexus, T),
    check: impl Fn(&Nexus, T, &str),
) {
    let mut points = BTreeMap::<String, usize>::new();
    for n in 1.. {
        let (nexus, kept) = prepare();
        let (output, steps) = run(&nexus, words, n);
        if output.code == Some(0) && steps.len() < n {
            break;
        }
        let step = steps.last().unwrap_or_else(|| panic!("{title} took no step: {output}"));
        let at = format!("{title}, killed before its {n}. step, {step}: {output}");
        assert_eq!(output.code, Some(137), "{at}");
        *points.entry(step.clone()).or_default() += 1;
        check(&nexus, kept, &at);
    }
    let all: usize = points.values().sum();
    println!("{title}: killed at {all} points: {points:?}");
    assert!(all >= 8, "{title}: {all} points");
}

/// A session at a server that rejects spent refresh tokens. The library signs in, which is faster.
fn session(settings: Settings) -> (Nexus, Sandbox) {
    let sandbox = sandbox(settings);
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&format!("passphrase_file = \"pass\"\n{}", config(&sandbox, "")));
    nexus.write("pass", "correct horse", 0o600);
    let client = Client::new(provider(&sandbox), &Folders::under(nexus.home()), nexus::now, Arc::new(|_| {}));
    block_on(sign_in(&client, "")).unwrap();
    (nexus, sandbox)
}

/// A session whose access token has expired; the server issues valid ones from now on.
fn expired() -> (Nexus, Sandbox) {
    let (nexus, sandbox) = session(lifetime(0));
    sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
    (nexus, sandbox)
}

/// After a killed refresh the session works, unless the new tokens were lost; then that is reported.
fn refreshed_or_told(nexus: &Nexus, sandbox: Sandbox, at: &str) {
    let status = nexus.run(&["oauth", "status"]);
    assert_eq!(status.code, Some(0), "{at}\nthe store does not open: {status}");
    let saved = status.stdout.starts_with("Token active");
    let spent = sandbox.refreshes() == 1;
    let next = nexus.run(&["oauth", "token"]);
    if spent && !saved {
        assert_eq!(next.code, Some(4), "{at}\n{next}");
        assert!(next.stderr.contains(" was cut off before its response was saved\n  run `nexus oauth start"), "{next}");
    } else {
        assert_eq!(next.code, Some(0), "{at}\n{next}");
        assert_eq!(sandbox.refreshes(), 1, "{at}\nonce and not again");
    }
    let left = fs::read_dir(nexus.path("data")).unwrap().map(|entry| entry.unwrap().file_name());
    // SQLite removes an unfinished journal later.
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".room")).collect();
    assert!(left.is_empty() || (spent && !saved), "{at}\nleft behind: {left:?}");
}

#[test]
fn a_killed_refresh() {
    kill_at_every_step("refresh", &["oauth", "token"], expired, refreshed_or_told);
}

#[test]
fn a_chat_killed_while_it_refreshes() {
    kill_at_every_step("chat", &["chat", "x"], expired, refreshed_or_told);
}

#[test]
fn a_killed_sign_out() {
    let prepare = || session(Settings::default());
    kill_at_every_step("logout", &["oauth", "logout"], prepare, |nexus, _sandbox, at| {
        let status = nexus.run(&["oauth", "status"]);
        let there = match status.code {
            Some(0) => true,
            Some(4) => false,
            _ => panic!("{at}\nthe store does not open: {status}"),
        };
        let logout = match there {
            true => {
                assert_eq!(nexus.run(&["oauth", "token"]).code, Some(0), "{at}");
                "Revoked the session at [SERVER]\nDeleted the local session\n"
            }
            false => {
                assert!(status.stdout.starts_with("Not signed in"), "{at}\n{status}");
                "Not signed in\n"
            }
        };
        let message = nexus.run(&["oauth", "logout"]);
        assert_eq!((message.code, message.stderr.as_str()), (Some(0), logout), "{at}");
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4), "{at}");
        // The key was removed or is still there; the next session opens.
        nexus.sign_in();
        assert_eq!(nexus.run(&["oauth", "token"]).code, Some(0), "{at}");
    });
}

#[test]
fn a_killed_first_sign_in() {
    let prepare = || {
        let sandbox = sandbox(Settings::default());
        (Nexus::at(&sandbox), sandbox)
    };
    kill_at_every_step("first start", &["oauth", "start", "--no-browser"], prepare, |nexus, _sandbox, at| {
        let status = nexus.run(&["oauth", "status"]);
        assert!(matches!(status.code, Some(0 | 4)), "{at}\nthe store does not open: {status}");
        assert!(status.code == Some(0) || status.stdout.starts_with("Not signed in"), "{at}\n{status}");
        nexus.sign_in();
        assert_eq!(nexus.run(&["chat", "x"]).code, Some(0), "{at}");
    });
}

#[test]
fn a_killed_second_sign_in() {
    let prepare = || session(Settings::default());
    kill_at_every_step("start", &["oauth", "start", "--no-browser"], prepare, |nexus, _sandbox, at| {
        // Either the old or the new session, and it is valid.
        let chat = nexus.run(&["chat", "x"]);
        assert_eq!(chat.code, Some(0), "{at}\n{chat}");
        nexus.sign_in();
        assert_eq!(nexus.run(&["chat", "x"]).code, Some(0), "{at}");
    });
}

/// A new home with the same files, where the server's side need not be new.
fn copy(of: &Nexus, sandbox: &Sandbox) -> Nexus {
    let nexus = Nexus::at(sandbox);
    let copied = Command::new("cp").arg("-a").arg(of.path(".")).arg(nexus.home()).status();
    assert!(copied.unwrap().success());
    nexus
}

#[test]
fn a_killed_store_move() {
    let (first, sandbox) = session(Settings::default());
    let token = first.run(&["oauth", "token"]).ok();
    let file = |nexus: &Nexus| nexus.path("data/sessions.db").to_string_lossy().into_owned();
    let private = fs::Permissions::from_mode(0o700);
    let target = tempfile::Builder::new().permissions(private).tempdir().unwrap();
    let to = target.path().join("sessions.db").to_string_lossy().into_owned();
    let words = ["store", "move", "--to", &to];
    let prepare = || {
        let _ = fs::remove_file(&to);
        (copy(&first, &sandbox), ())
    };
    kill_at_every_step("store move", &words, prepare, |nexus, (), at| {
        let usable = nexus.run(&["oauth", "token"]).code == Some(0);
        let again = nexus.run(&words);
        assert_eq!(again.code, Some(0), "{at}\n{again}");
        assert_eq!(nexus.run(&["oauth", "token"]).code, Some(2), "{at}\nusable in both stores");
        // If it was usable here before, it was moved only now.
        let moved = again.stderr.contains("Moved 1 session");
        assert!(moved || !usable, "{at}\n{again}");
        nexus.run(&["store", "move", "--from", &to, "--to", &file(nexus)]).ok();
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), token, "{at}");
    });
}

/// The keys in the key file.
fn keys(nexus: &Nexus) -> Vec<String> {
    let text = fs::read_to_string(nexus.path("key/session.key")).unwrap();
    text.lines().map(String::from).collect()
}

/// Migrates a database of the first version.
#[test]
fn a_killed_migration() {
    let (first, sandbox) = session(Settings::default());
    let token = first.run(&["oauth", "token"]).ok();
    Stored::open(first.home()).as_version_1("busy");
    let prepare = || (copy(&first, &sandbox), ());
    kill_at_every_step("a migration", &["oauth", "token"], prepare, |nexus, (), at| {
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), token, "{at}");
        assert_eq!(sandbox.refreshes_asked(), 0, "{at}");
        Stored::open(nexus.home());
    });
}

#[test]
fn a_killed_key_move() {
    for (from, to) in [("file", "passphrase"), ("passphrase", "file")] {
        let (first, sandbox) = session(Settings::default());
        let token = first.run(&["oauth", "token"]).ok();
        first.run(&["key", "move", from]).ok();
        let old = keys(&first);
        let prepare = || (copy(&first, &sandbox), ());
        kill_at_every_step(&format!("key move {to}"), &["key", "move", to], prepare, |nexus, (), at| {
            assert_eq!(nexus.run(&["oauth", "token"]).stdout, token, "{at}");
            let again = nexus.run(&["key", "move", to]);
            assert_eq!(again.code, Some(0), "{at}\n{again}");
            assert!(!nexus.path("key/session.key.draft").exists(), "{at}\na draft is left");
            let new = keys(nexus);
            assert!(new.len() == 1 && new != old, "{at}\nthe old key is left");
            assert_eq!(nexus.run(&["oauth", "token"]).stdout, token, "{at}");
        });
    }
}

/// A move that is killed after a killed move, in both directions.
#[test]
fn a_key_move_killed_twice() {
    let (first, sandbox) = session(Settings::default());
    let token = first.run(&["oauth", "token"]).ok();
    let plain = keys(&first);
    first.run(&["key", "move", "passphrase"]).ok();
    // As a move leaves it that is killed after everything was sealed again.
    let both = format!("{}\n{}\n", plain[0], keys(&first)[0]);
    fs::write(first.path("key/session.key"), both).unwrap();
    for back in ["file", "passphrase"] {
        let prepare = || (copy(&first, &sandbox), ());
        kill_at_every_step(&format!("again {back}"), &["key", "move", back], prepare, |nexus, (), at| {
            assert_eq!(nexus.run(&["oauth", "token"]).stdout, token, "{at}");
            let again = nexus.run(&["key", "move", "file"]);
            assert_eq!(again.code, Some(0), "{at}\n{again}");
            assert_eq!(keys(nexus).len(), 1, "{at}");
            assert_eq!(nexus.run(&["oauth", "token"]).stdout, token, "{at}");
        });
    }
}
