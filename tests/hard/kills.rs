//! `kill -9` before every system call that writes, syncs, renames, removes, makes, connects, sends or
//! receives, of every command that changes a session. Afterwards the store opens, and the next command
//! works or says what was lost and why.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nexus::provider::Client;
use nexus::sandbox::{Endpoint, Sandbox, Settings};
use nexus::{Accounts, Folders, Provider};
use serde_json::json;

use crate::nexus::{Nexus, Output, approve, block_on, config, sandbox};

/// What changes something, here or there. A kill before each of them is a kill between any two.
const CALLS: &str = "write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,mkdir,\
                     flock,socket,connect,sendto,sendmsg,recvfrom,recvmsg,execve";

/// A run that was killed, or not.
struct Run {
    output: Output,
    /// The calls it made, in their order.
    calls: Vec<String>,
}

/// Runs a command that is killed when one of its threads comes to make this call the n-th time.
fn run(nexus: &Nexus, words: &[&str], kill: Option<(&str, usize)>, log: &std::path::Path) -> Run {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-e"]).arg(format!("trace={CALLS}"));
    command.args(["--status=!none"]).arg("-o").arg(log);
    if let Some((call, n)) = kill {
        command.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={n}"));
    }
    let plain = nexus.command(words);
    command.arg("--").arg(plain.get_program()).args(plain.get_args());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(nexus.home()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
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
        _ => nexus.finish(command.spawn().expect("strace is installed")),
    };
    let text = fs::read_to_string(log).unwrap();
    // What strace says of the end of a call that was interrupted by another thread's is no new call.
    let calls = text.lines().filter_map(|line| {
        let (_, call) = line.split_once(' ')?;
        let (name, _) = call.trim_start().split_once('(')?;
        CALLS.split(',').any(|known| known == name).then(|| name.to_owned())
    });
    Run { output, calls: calls.collect() }
}

/// Kills a command at each of its steps. Each time everything is prepared anew, and looked at after.
fn kill_at_every_step<T>(
    title: &str,
    words: &[&str],
    prepare: impl Fn() -> (Nexus, T),
    check: impl Fn(&Nexus, T, &str),
) {
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("calls");
    let (nexus, _kept) = prepare();
    let whole = run(&nexus, words, None, &log);
    assert_eq!(whole.output.code, Some(0), "{title}: {}", whole.output);
    let names: BTreeSet<&String> = whole.calls.iter().filter(|name| *name != "execve").collect();
    assert!(names.len() > 5, "{title}: the calls are seen: {names:?}");
    let (mut kills, mut points) = (0, BTreeSet::new());
    for name in names {
        for n in 1.. {
            assert!(n < 500, "{title}: {name} is called without end");
            let (nexus, kept) = prepare();
            let Run { output, calls } = run(&nexus, words, Some((name, n)), &log);
            if output.code == Some(0) {
                break;
            }
            let at = format!("{title}, killed at {name} {n}, the {}. call: {output}", calls.len());
            assert!(output.code.is_none_or(|code| code == 137), "{at}");
            kills += 1;
            points.insert(calls.len());
            check(&nexus, kept, &at);
        }
    }
    println!("{title}: {kills} kills at {} different points, of {} calls", points.len(), whole.calls.len());
    assert!(points.len() * 10 >= whole.calls.len() * 7, "{title}: too many calls were never reached");
}

/// A session at a server that honours no spent token, made by the library, which is faster.
fn session(settings: Settings) -> (Nexus, Sandbox) {
    let sandbox = sandbox(settings);
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&format!("passphrase_file = \"pass\"\n{}", config(&sandbox, "")));
    fs::write(nexus.path("pass"), "correct horse").unwrap();
    let provider = Provider::named("work")
        .with_client(Client::public("sandbox-client"))
        .with_redirect_uri("http://127.0.0.1:1/callback")
        .with_authorize_url(&sandbox.url(Endpoint::Authorize))
        .and_then(|provider| provider.with_token_url(&sandbox.url(Endpoint::Token)))
        .and_then(|provider| provider.with_revoke_url(&sandbox.url(Endpoint::Revoke)))
        .and_then(|provider| provider.with_api_url(&sandbox.origin()))
        .unwrap();
    let accounts = Accounts::new(provider, &Folders::under(nexus.home()), nexus::now, Arc::new(|_| {}));
    block_on(async {
        let attempt = accounts.authorization_url().unwrap();
        let back = Sandbox::approve(attempt.url().as_str()).await.unwrap();
        accounts.exchange_code("", attempt, back.split_once('?').unwrap().1).await.unwrap();
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
        assert!(
            next.stderr.contains(" was cut off before its answer could be saved\n  run `nexus oauth start"),
            "{next}"
        );
    } else {
        assert_eq!(next.code, Some(0), "{at}\n{next}");
        assert_eq!(sandbox.refreshes(), 1, "{at}\nonce and not again");
    }
    let left = fs::read_dir(nexus.path("data")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name != "sessions.db").collect();
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

#[test]
fn a_sign_out_that_is_killed() {
    let prepare = || session(Settings::default());
    kill_at_every_step("logout", &["oauth", "logout"], prepare, |nexus, _sandbox, at| {
        let status = nexus.run(&["oauth", "status"]);
        match status.code {
            Some(0) => assert_eq!(nexus.run(&["oauth", "token"]).code, Some(0), "{at}"),
            Some(4) => assert!(status.stdout.starts_with("Not signed in"), "{at}\n{status}"),
            _ => panic!("{at}\nthe store does not open: {status}"),
        }
        assert_eq!(nexus.run(&["oauth", "logout"]).code, Some(0), "{at}");
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
