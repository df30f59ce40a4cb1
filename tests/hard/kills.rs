//! `kill -9` before every system call that writes, syncs, renames, removes, makes, connects, sends or
//! receives, of every command that changes a session. Afterwards the store opens, and the next command
//! works or says what was lost and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use nexus::sandbox::{Endpoint, Sandbox, Settings};
use nexus::{Client, Folders, OAuthClient, ProviderConfig};
use serde_json::json;

use crate::nexus::{Nexus, Output, approve, block_on, config, sandbox};
use crate::stored::Stored;

/// A run that was killed, or not.
struct Run {
    output: Output,
    /// The calls it came to that change something, here or there.
    calls: Vec<String>,
}

/// Runs a command that is killed right before it makes this call for the n-th time; 0 is never.
fn run(nexus: &Nexus, words: &[&str], call: &str, n: usize) -> Run {
    let log = tempfile::NamedTempFile::new().unwrap();
    let tracer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hard/kill_at.py");
    let before = ["python3", tracer, &log.path().to_string_lossy(), call, &n.to_string()].map(String::from);
    let mut command = nexus.command_after(&before, words);
    let output = match words {
        // A sign-in wants somebody to approve.
        ["oauth", "start", ..] => {
            let mut started = nexus.watch(&mut command);
            if let Some(url) = started.url_or_end() {
                let back = approve(&url);
                // Whoever is killed while the browser waits leaves it without a page.
                drop(block_on(Sandbox::visit(&back)));
            }
            started.finish()
        }
        _ => nexus.finish(command.spawn().expect("Python is installed")),
    };
    let calls = fs::read_to_string(&log).unwrap().lines().map(String::from).collect();
    Run { output, calls }
}

/// Kills a command at each of its steps. Each time everything is prepared anew, and looked at after.
fn kill_at_every_step<T>(
    title: &str,
    words: &[&str],
    prepare: impl Fn() -> (Nexus, T),
    check: impl Fn(&Nexus, T, &str),
) {
    let (nexus, _kept) = prepare();
    let whole = run(&nexus, words, "none", 0);
    assert_eq!(whole.output.code, Some(0), "{title}: {}", whole.output);
    let mut points = BTreeMap::<&str, usize>::new();
    for call in whole.calls.iter().collect::<BTreeSet<_>>() {
        for n in 1.. {
            let (nexus, kept) = prepare();
            let Run { output, calls } = run(&nexus, words, call, n);
            if output.code == Some(0) && calls.iter().filter(|made| *made == call).count() < n {
                break;
            }
            let at = format!("{title}, killed before its {n}. {call}: {output}");
            assert_eq!(output.code, Some(137), "{at}");
            *points.entry(call).or_default() += 1;
            check(&nexus, kept, &at);
        }
    }
    let all: usize = points.values().sum();
    println!("{title}: killed at {all} points: {points:?}");
    assert!(all >= 10, "{title}: {all} points");
}

/// A session at a server that honours no spent token, made by the library, which is faster.
fn session(settings: Settings) -> (Nexus, Sandbox) {
    let sandbox = sandbox(settings);
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&format!("passphrase_file = \"pass\"\n{}", config(&sandbox, "")));
    fs::write(nexus.path("pass"), "correct horse").unwrap();
    fs::set_permissions(nexus.path("pass"), fs::Permissions::from_mode(0o600)).unwrap();
    let provider = ProviderConfig::named("work")
        .with_client(OAuthClient::public("sandbox-client"))
        .with_redirect_uri("http://127.0.0.1:1/callback")
        .with_authorize_url(&sandbox.url(Endpoint::Authorize))
        .and_then(|provider| provider.with_token_url(&sandbox.url(Endpoint::Token)))
        .and_then(|provider| provider.with_revoke_url(&sandbox.url(Endpoint::Revoke)))
        .and_then(|provider| provider.with_api_url(&sandbox.origin()))
        .unwrap();
    let client = Client::new(provider, &Folders::under(nexus.home()), nexus::now, Arc::new(|_| {}));
    block_on(async {
        let attempt = client.authorization_url().unwrap();
        let back = Sandbox::approve(attempt.url().as_str()).await.unwrap();
        client.exchange_code("", attempt, back.split_once('?').unwrap().1).await.unwrap();
    });
    (nexus, sandbox)
}

/// One whose access token is dead; from now on the server gives living ones.
fn expired() -> (Nexus, Sandbox) {
    let (nexus, sandbox) = session(Settings { token_lifetime: Some(json!(0)), ..Settings::default() });
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    (nexus, sandbox)
}

/// What must be true after a refresh was killed: the session goes on, unless the server has given the
/// new tokens to nobody, and then that is said.
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
    // A journal that was not finished is nothing to SQLite, which removes it with the next one.
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".room")).collect();
    assert!(left.is_empty() || (spent && !saved), "{at}\nleft behind: {left:?}");
}

#[test]
fn a_refresh_that_is_killed() {
    kill_at_every_step("refresh", &["oauth", "token"], expired, refreshed_or_told);
}

#[test]
fn a_chat_that_is_killed_while_it_refreshes() {
    kill_at_every_step("chat", &["chat", "x"], expired, refreshed_or_told);
}

/// The database of the first version becomes a current one, and the session is sealed anew.
#[test]
fn a_migration_that_is_killed() {
    let prepare = || {
        let (nexus, sandbox) = session(Settings::default());
        let token = nexus.run(&["oauth", "token"]).ok();
        Stored::open(nexus.home()).as_version_1("busy");
        (nexus, (sandbox, token))
    };
    kill_at_every_step("a migration", &["oauth", "token"], prepare, |nexus, (sandbox, token), at| {
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), token, "{at}");
        assert_eq!(sandbox.refreshes_asked(), 0, "{at}");
        Stored::open(nexus.home());
    });
}

#[test]
fn a_sign_out_that_is_killed() {
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
        let said = nexus.run(&["oauth", "logout"]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), logout), "{at}");
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4), "{at}");
    });
}

#[test]
fn a_first_sign_in_that_is_killed() {
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
fn a_sign_in_over_another_that_is_killed() {
    let prepare = || session(Settings::default());
    kill_at_every_step("start", &["oauth", "start", "--no-browser"], prepare, |nexus, _sandbox, at| {
        // Either the one before or the new one, and it is good.
        let chat = nexus.run(&["chat", "x"]);
        assert_eq!(chat.code, Some(0), "{at}\n{chat}");
        nexus.sign_in();
        assert_eq!(nexus.run(&["chat", "x"]).code, Some(0), "{at}");
    });
}

#[test]
fn a_key_that_is_killed_on_its_way() {
    for (from, to) in [("file", "passphrase"), ("passphrase", "file")] {
        let prepare = || {
            let (nexus, sandbox) = session(Settings::default());
            assert_eq!(nexus.run(&["key", "move", from]).code, Some(0));
            (nexus, sandbox)
        };
        let title = format!("key move {to}");
        kill_at_every_step(&title, &["key", "move", to], prepare, |nexus, _sandbox, at| {
            let token = nexus.run(&["oauth", "token"]);
            assert_eq!(token.code, Some(0), "{at}\n{token}");
            let again = nexus.run(&["key", "move", to]);
            assert_eq!(again.code, Some(0), "{at}\n{again}");
            assert!(!nexus.path("key/session.key.draft").exists(), "{at}\na draft is left");
            assert_eq!(nexus.run(&["oauth", "token"]).stdout, token.stdout, "{at}");
        });
    }
}
