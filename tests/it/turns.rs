//! Many processes use one session: one refresh serves them all.

use std::process::Child;
use std::time::Duration;

use nexus::sandbox::{Answer, Endpoint, Gate, Piece, Sandbox, Scripted, Settings};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, block_on, lifetime, signal};
use crate::stored::Stored;

/// The note after a second of waiting.
const WAITS: &[u8] = b"note: waiting for another nexus process that is refreshing this session";

/// Reads stderr until the command says that it waits.
fn until_it_waits(child: &mut Child) {
    let mut note = [0; WAITS.len()];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut note).unwrap();
    assert_eq!(&note[..], WAITS);
}

/// A hundred processes with an expired session: one has sent its request, and all others wait for it.
fn a_hundred(nexus: &Nexus, gate: &Gate) -> Vec<Child> {
    let mut all: Vec<_> = (0..100).map(|_| nexus.command(&["oauth", "token"]).spawn().unwrap()).collect();
    block_on(gate.arrived(1));
    // The one that does not wait prints nothing, so each is read on a thread.
    let (send, waiting) = std::sync::mpsc::channel();
    for (at, child) in all.iter_mut().enumerate() {
        let (mut stderr, send) = (child.stderr.take().unwrap(), send.clone());
        std::thread::spawn(move || {
            let mut note = [0; WAITS.len()];
            let waits = std::io::Read::read_exact(&mut stderr, &mut note).is_ok() && &note[..] == WAITS;
            // The last one is not received.
            let _ = send.send((at, waits, stderr));
        });
    }
    for _ in 0..99 {
        let (at, waits, stderr) = waiting.recv_timeout(Duration::from_secs(100)).expect("all but one wait");
        assert!(waits, "process {at} said something else");
        all[at].stderr = Some(stderr);
    }
    all
}

#[test]
fn a_hundred_processes_share_one_slow_refresh() {
    let (sandbox, nexus) = Nexus::expired();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let all = a_hundred(&nexus, &gate);
    gate.open();
    let tokens: Vec<_> = all.into_iter().map(|child| nexus.finish(child).ok()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "all were given the same token");
    assert_eq!(sandbox.refreshes_asked(), 1);
}

#[test]
fn a_hundred_chats_share_one_refresh() {
    let (sandbox, nexus) = Nexus::expired();
    let all: Vec<_> = (0..100).map(|_| nexus.command(&["chat", "x"]).spawn().unwrap()).collect();
    for child in all {
        assert_eq!(nexus.finish(child).ok(), "You said: x (This is the nexus sandbox: no model is behind it.)\n");
    }
    assert_eq!((sandbox.refreshes_asked(), sandbox.counts().messages), (1, 100));
}

#[test]
fn a_hundred_processes_share_one_failure_and_the_session_is_kept() {
    for (end, why) in [
        (Piece::text("busy"), "sent no usable response (status 503)"),
        (Piece::Break, "sent no usable response (the connection broke)"),
    ] {
        let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
        let gate = Gate::new();
        let late = Answer { status: 503, headers: Vec::new(), body: vec![Piece::Wait(gate.clone()), end] };
        sandbox.script(Endpoint::Token, [Scripted::Answer(late)]);
        let all = a_hundred(&nexus, &gate);
        gate.open();
        let message = format!("error: the access token could not be refreshed: [SERVER] {why}; the session is kept\n");
        let outputs: Vec<_> = all.into_iter().map(|child| nexus.finish(child)).collect();
        assert!(outputs.iter().all(|output| output.code == Some(75)), "{outputs:?}");
        // The stderr of the one that sent the request is not read here.
        let told = outputs.iter().filter(|output| output.stderr.contains(&message)).count();
        assert_eq!(told, 99, "{outputs:?}");
        assert_eq!(sandbox.refreshes_asked(), 1, "the failure was shared");
        nexus.run(&["oauth", "token"]).ok();
        assert_eq!(sandbox.refreshes(), 1, "the refresh token was kept, and is good");
    }
}

#[test]
fn waiting_processes_report_the_failure_instead_of_retrying() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let gate = Gate::new();
    let refusal = Scripted::text(503, "text/plain", "busy").header("retry-after", "120");
    sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone()), refusal]);
    // The first process is killed before its response.
    let mut first = nexus.command(&["oauth", "token"]).spawn().unwrap();
    block_on(gate.arrived(1));
    let mut waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut child = nexus.command(&["oauth", "token"]).spawn().unwrap();
            until_it_waits(&mut child);
            child
        })
        .collect();
    first.kill().unwrap();
    first.wait().unwrap();
    for child in waiting.drain(..) {
        let output = nexus.finish(child);
        assert_eq!(output.code, Some(75), "{output}");
        let message = "\nerror: the access token could not be refreshed: [SERVER] sent no usable response (status 503); the session \
                    is kept\n  try again in 2 minutes\n";
        assert_eq!(output.stderr, message);
    }
    assert_eq!(sandbox.refreshes_asked(), 2, "the one that was killed, and one more for all who waited");
}

#[test]
fn a_killed_refresh_is_repeated_by_the_next_process() {
    let (sandbox, nexus) =
        Nexus::signed_in(Settings { token_lifetime: Some(json!(0)), grace: 1, ..Settings::default() });
    let (mut first, _gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    first.kill().unwrap();
    first.wait().unwrap();
    // The server accepts the spent refresh token once more.
    nexus.run(&["oauth", "token"]).ok();
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
}

#[test]
fn a_killed_refresh_is_reported_if_the_session_is_lost() {
    // The server rejects spent refresh tokens.
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let (mut first, _gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    first.kill().unwrap();
    first.wait().unwrap();
    for words in [&["oauth", "token"][..], &["chat", "x"]] {
        let output = nexus.run(words);
        assert_eq!(output.code, Some(4), "{output}");
        let (at, cut_off) = output
            .stderr
            .strip_prefix("error: the session with work was ended by the server at ")
            .and_then(|message| message.split_once(", probably because a refresh at "))
            .unwrap_or_else(|| panic!("{output}"));
        let end = " was cut off before its response was saved\n  run `nexus oauth start`\n";
        let cut_off = cut_off.strip_suffix(end).unwrap_or_else(|| panic!("{output}"));
        let times = [cut_off, at].map(|time| nexus::internal::time::parse_rfc3339(time).unwrap());
        assert!(times.is_sorted(), "{output}");
    }
    assert_eq!(sandbox.refreshes_asked(), 2, "an ended session is not refreshed");
}

/// A copy of the home has no lock in common with it. While a refresh waits, the copy does `first` and its database is
/// copied back; then the refresh gets `invalid_grant`.
fn overtaken(first: impl FnOnce(&Sandbox, &Nexus)) -> (Sandbox, Nexus, Output) {
    let (sandbox, nexus) = Nexus::expired();
    let copy = Nexus::at(&sandbox);
    for name in ["data", "key"] {
        let copied = std::process::Command::new("cp").args(["-a"]).arg(nexus.path(name)).arg(copy.home()).status();
        assert!(copied.unwrap().success());
    }
    let (late, gate) = nexus.held(&sandbox, Scripted::Wait, &["oauth", "token"]);
    first(&sandbox, &copy);
    std::fs::copy(copy.path("data/sessions.db"), nexus.path("data/sessions.db")).unwrap();
    gate.open();
    let output = nexus.finish(late);
    (sandbox, nexus, output)
}

/// Changes the sealed record.
fn change(nexus: &Nexus, members: &[(&str, Value)]) {
    let mut stored = Stored::open(nexus.home());
    for (name, value) in members {
        stored.session[*name] = value.clone();
    }
    stored.save();
}

/// Marks the stored session as ended.
fn end(nexus: &Nexus) {
    let store = Connection::open(nexus.path("data/sessions.db")).unwrap();
    assert_eq!(store.execute("UPDATE session SET ended_at = 1761575400", []).unwrap(), 1);
}

#[test]
fn a_newer_stored_session_is_used_after_invalid_grant() {
    let mut token = String::new();
    let (sandbox, nexus, late) = overtaken(|_, copy| token = copy.run(&["oauth", "token"]).ok());
    assert_eq!(late.ok(), token);
    assert_eq!((sandbox.refreshes_asked(), sandbox.refreshes()), (2, 1), "the second one was refused");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0), "and nothing is marked as ended");
}

#[test]
fn a_newer_stored_session_that_has_expired_is_refreshed() {
    let (sandbox, nexus, late) = overtaken(|sandbox, copy| {
        // Otherwise the reuse of the spent token would end this session.
        sandbox.end_session();
        copy.sign_in();
        change(copy, &[("issued_at", 1.into()), ("expires_at", 2.into())]);
    });
    late.ok();
    assert_eq!((sandbox.refreshes_asked(), sandbox.refreshes()), (2, 1), "once with each generation's token");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
}

#[test]
fn a_newer_stored_session_that_is_invalid_is_not_used() {
    let elsewhere = "https://elsewhere.example/token";
    let moved = |copy: &Nexus| change(copy, &[("token_url", elsewhere.into())]);
    let ended = "error: the session with work was ended by the server at 2025-10-27T14:30:00Z";
    for (spoil, code, message) in [(&end as &dyn Fn(&Nexus), 4, ended), (&moved, 4, elsewhere)] {
        let (sandbox, _, late) = overtaken(|_, copy| {
            copy.run(&["oauth", "token"]).ok();
            spoil(copy);
        });
        assert!(late.code == Some(code) && late.stdout.is_empty() && late.stderr.contains(message), "{late}");
        assert_eq!((sandbox.refreshes_asked(), sandbox.refreshes()), (2, 1));
    }
}

#[test]
fn an_answered_refresh_is_not_reported_as_cut_off() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    // A failed refresh, a successful one, then the server ends the session.
    sandbox.script(Endpoint::Token, [Scripted::text(503, "text/plain", "busy")]);
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(75));
    nexus.run(&["oauth", "token"]).ok();
    sandbox.end_session();
    let output = nexus.run(&["oauth", "token"]);
    assert!(output.code == Some(4) && !output.stderr.contains("cut off"), "{output}");
}

#[test]
fn an_interrupted_refresh_is_saved_before_the_process_ends() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (sandbox, nexus) = Nexus::expired();
        let (child, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
        signal(child.id(), name);
        gate.open();
        assert_output!(nexus.finish(child), code, stdout: "", stderr: "");
        nexus.run(&["oauth", "token"]).ok();
        assert_eq!(sandbox.refreshes(), 1, "what the interrupted process was given is in the store");
    }
}

#[test]
fn a_second_signal_ends_a_refresh_at_once() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let (mut child, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    // Pending signals of one kind merge, so they are sent until the process ends.
    while child.try_wait().unwrap().is_none() {
        signal(child.id(), "INT");
    }
    assert_eq!(nexus.finish(child).code, Some(130));
    gate.open();
}
