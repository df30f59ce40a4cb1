//! Many processes on one session: they take turns, and one refresh serves them all.

use std::time::Duration;

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, block_on, sandbox};

fn expired() -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    (sandbox, nexus)
}

/// Starts so many at once and waits for all.
fn at_once(nexus: &Nexus, count: usize, words: &[&str]) -> Vec<Output> {
    let started: Vec<_> = (0..count).map(|_| nexus.command(words).spawn().unwrap()).collect();
    started.into_iter().map(|child| nexus.finish(child)).collect()
}

#[test]
fn twelve_processes_on_an_expired_session_refresh_once() {
    let (sandbox, nexus) = expired();
    for round in 1..=3 {
        // Long enough for all to find it fresh, and then over for the next round.
        sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
        let started: Vec<_> = (0..12).map(|_| nexus.command(&["oauth", "token"]).spawn().unwrap()).collect();
        block_on(gate.arrived(1));
        gate.open();
        let outputs: Vec<_> = started.into_iter().map(|child| nexus.finish(child).ok()).collect();
        assert_eq!(sandbox.refreshes(), 2 * round - 1);
        assert!(outputs.iter().all(|token| *token == outputs[0]), "all were given the same token");
        sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
        nexus.run(&["oauth", "token", "--min-ttl", "2h"]).ok();
        assert_eq!(sandbox.refreshes(), 2 * round);
    }
}

#[test]
fn twelve_chats_on_an_expired_session_are_all_answered() {
    let (sandbox, nexus) = expired();
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    for output in at_once(&nexus, 12, &["chat", "x"]) {
        assert_eq!(output.ok(), "You said: x (This is the nexus sandbox: no model is behind it.)\n");
    }
    assert_eq!((sandbox.refreshes(), sandbox.counts().messages), (1, 12));
}

#[test]
fn those_who_waited_adopt_a_failure_instead_of_trying_again() {
    let (sandbox, nexus) = expired();
    let gate = Gate::new();
    let refusal = Scripted::text(503, "text/plain", "busy");
    sandbox.script(Endpoint::Token, [Scripted::Held(gate.clone()), refusal]);
    // The first is held by the server; it is killed, and its answer lost.
    let mut first = nexus.command(&["oauth", "token"]).spawn().unwrap();
    block_on(gate.arrived(1));
    let mut waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut child = nexus.command(&["oauth", "token"]).spawn().unwrap();
            let mut note = [0; 61];
            // Each says so once it waits, which is how this test knows that it does.
            std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut note).unwrap();
            assert_eq!(&note[..], b"note: waiting for another nexus that is renewing this session");
            child
        })
        .collect();
    first.kill().unwrap();
    first.wait().unwrap();
    for child in waiting.drain(..) {
        let output = nexus.finish(child);
        assert_eq!(output.code, Some(75), "{output}");
        let said = "\nerror: the token could not be refreshed: [SERVER] gave no usable answer (status 503); the session \
                    is kept\n  try again in a minute\n";
        assert_eq!(output.stderr, said);
    }
    assert_eq!(sandbox.refreshes_asked(), 2, "the one that was killed, and one more for all who waited");
}

#[test]
fn a_killed_refresh_is_replayed_by_the_next_process() {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(0)), grace: 1, ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Held(gate.clone())]);
    let mut first = nexus.command(&["oauth", "token"]).spawn().unwrap();
    block_on(gate.arrived(1));
    first.kill().unwrap();
    first.wait().unwrap();
    // The server has spent the refresh token, and honours it once more for a moment.
    nexus.run(&["oauth", "token"]).ok();
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
}

#[test]
fn an_interrupted_refresh_is_saved_before_the_process_ends() {
    let (sandbox, nexus) = expired();
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Held(gate.clone())]);
    let child = nexus.command(&["oauth", "token"]).spawn().unwrap();
    block_on(gate.arrived(1));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    gate.open();
    assert_output!(nexus.finish(child), 130, stdout: "", stderr: "");
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "what the interrupted process was given is in the store");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (sandbox, nexus) = expired();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Held(gate.clone())]);
    let mut child = nexus.command(&["oauth", "token"]).spawn().unwrap();
    block_on(gate.arrived(1));
    // Signals of one kind merge when they come close together, so they are sent until one ended it.
    while child.try_wait().unwrap().is_none() {
        drop(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(nexus.finish(child).code, Some(130));
    gate.open();
}
