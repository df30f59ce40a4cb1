//! A refresh, a sign-in and a sign-out at the same time.

use nexus::sandbox::{Endpoint, Gate, Scripted};

use crate::nexus::{Nexus, Running, approve, block_on, newest, visit};
use crate::stored::Stored;

/// A sign-in that was approved.
fn approved(nexus: &Nexus) -> Running {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let back = approve(&url);
    // The page comes when the sign-in has ended.
    std::thread::spawn(move || visit(&back));
    started
}

fn waits(line: &str) -> bool {
    line == "note: waiting for another nexus process that is refreshing this session"
}

#[test]
fn a_sign_out_waits_for_a_refresh_and_revokes_the_new_token() {
    let (sandbox, nexus) = Nexus::expired();
    let (refresh, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    let mut logout = nexus.watch(&mut nexus.command(&["oauth", "logout"]));
    logout.line_that(waits);
    gate.open();
    let token = nexus.finish(refresh).ok();
    let output = logout.finish();
    assert!(output.code == Some(0) && output.stderr.ends_with("Deleted the local session\n"), "{output}");
    assert!(output.stderr.contains("Revoked the session at [SERVER]\n"), "{output}");
    assert_eq!(token.trim(), newest(&sandbox, "access"), "the refresh was finished first");
    let revoked = sandbox.requests_to(Endpoint::Revoke)[0].field("token");
    assert_eq!(revoked, Some(newest(&sandbox, "refresh")), "the new token was revoked, not the spent one");
    assert!(nexus.run(&["oauth", "status"]).stdout.starts_with("Not signed in: "));
}

#[test]
fn a_refresh_that_waits_fails_after_a_sign_out() {
    let (sandbox, nexus) = Nexus::expired();
    let (mut refresh, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    let mut waiting = nexus.watch(&mut nexus.command(&["oauth", "token"]));
    waiting.line_that(waits);
    let mut logout = nexus.watch(&mut nexus.command(&["oauth", "logout"]));
    logout.line_that(waits);
    refresh.kill().unwrap();
    refresh.wait().unwrap();
    gate.open();
    // Either of the two may get the lock first; the result is the same.
    let (waited, forgotten) = (waiting.finish(), logout.finish());
    assert!(forgotten.code == Some(0) && forgotten.stderr.ends_with("Deleted the local session\n"), "{forgotten}");
    assert_eq!(waited.code, Some(4), "its answer was lost, or the session is gone: {waited}");
    assert!(nexus.run(&["oauth", "status"]).stdout.starts_with("Not signed in: "));
}

#[test]
fn a_sign_in_waits_for_a_refresh_and_replaces_its_session() {
    let (sandbox, nexus) = Nexus::expired();
    let (refresh, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    let mut start = approved(&nexus);
    start.line_that(waits);
    assert_eq!(sandbox.counts().exchanges, 1, "the code is not spent before its session has its turn");
    gate.open();
    let refreshed = nexus.finish(refresh).ok();
    let output = start.finish();
    assert!(output.code == Some(0) && output.stderr.contains("Signed in as "), "{output}");
    assert_eq!(Stored::open(nexus.home()).generation, 3, "signed in, refreshed, signed in again");
    let kept = nexus.run(&["oauth", "token"]).ok();
    assert!(kept != refreshed && kept.trim() == newest(&sandbox, "access"));
    assert_eq!((sandbox.refreshes(), sandbox.counts().revocations), (1, 1));
    let replaced = sandbox.requests_to(Endpoint::Revoke).last().unwrap().field("token");
    assert_eq!(
        replaced.as_deref(),
        Some(refreshed.trim()),
        "what the refresh brought goes, not what the store had before"
    );
}

#[test]
fn a_refresh_that_waits_for_a_sign_in_takes_its_token() {
    let (sandbox, nexus) = Nexus::expired();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone())]);
    let start = approved(&nexus);
    block_on(gate.arrived(1));
    let mut waiting = nexus.watch(&mut nexus.command(&["oauth", "token"]));
    waiting.line_that(waits);
    gate.open();
    assert_eq!(start.finish().code, Some(0));
    assert_eq!(waiting.finish().ok().trim(), newest(&sandbox, "access"));
    assert_eq!((sandbox.refreshes_asked(), Stored::open(nexus.home()).generation), (0, 2));
}

#[test]
fn of_two_simultaneous_sign_ins_the_last_exchanged_is_kept() {
    let (sandbox, nexus) = Nexus::expired();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone())]);
    let first = approved(&nexus);
    block_on(gate.arrived(1));
    let mut second = approved(&nexus);
    second.line_that(waits);
    gate.open();
    for started in [first, second] {
        let output = started.finish();
        assert!(output.code == Some(0) && output.stderr.contains("Signed in as "), "{output}");
    }
    assert_eq!((sandbox.counts().exchanges, Stored::open(nexus.home()).generation), (3, 3));
    assert_eq!(nexus.run(&["oauth", "token"]).ok().trim(), newest(&sandbox, "access"));
}
