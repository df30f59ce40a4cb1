//! When a token is refreshed, and what nexus reports when the clock is wrong.

use nexus::sandbox::{Endpoint, Gate, Piece, Scripted};

use crate::nexus::{Nexus, block_on, lifetime, signal};
use crate::stored::Stored;

/// Lets this many seconds pass for the stored session; a negative number sets the clock back.
fn pass(nexus: &Nexus, seconds: i64) {
    Stored::open(nexus.home()).pass(seconds);
}

const ANSWER: &str = "You said: x (This is the nexus sandbox: no model is behind it.)\n";

#[test]
fn a_token_near_expiry_is_used_and_refreshed_in_the_background() {
    // A refresh starts in the last tenth of the lifetime, but at most 5 minutes before its end.
    for (passed, refreshes) in [(3_600 - 310, 0), (3_600 - 290, 1)] {
        let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
        pass(&nexus, passed);
        let old = nexus.run(&["oauth", "token", "--min-ttl", "0"]).ok();
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
        // The answer comes before the refresh ends.
        let mut child = nexus.command(&["chat", "x"]).spawn().unwrap();
        let mut answer = [0; ANSWER.len()];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut answer).unwrap();
        assert_eq!(std::str::from_utf8(&answer), Ok(ANSWER));
        gate.open();
        assert_output!(nexus.finish(child), 0, stdout: "", stderr: "");
        assert_eq!(sandbox.refreshes(), refreshes, "{passed}: not abandoned at the end");
        let bearer = sandbox.requests_to(Endpoint::Messages)[0].header("authorization").unwrap().to_owned();
        assert_eq!(bearer, format!("Bearer {}", old.trim()), "the old token was used");
        let new = nexus.run(&["oauth", "token", "--min-ttl", "0"]).ok();
        assert_eq!(new != old, refreshes == 1);
    }
}

#[test]
fn a_failed_background_refresh_is_silent() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    pass(&nexus, 3_500);
    sandbox.script(Endpoint::Token, [Scripted::text(503, "text/plain", "busy")]);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: ANSWER, stderr: "");
    assert_eq!(sandbox.refreshes_asked(), 1);
    nexus.run(&["chat", "x"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "the next one tries again");
}

#[test]
fn an_interrupted_chat_saves_its_background_refresh() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    pass(&nexus, 3_500);
    let (renewal, answer) = (Gate::new(), Gate::new());
    sandbox.script(Endpoint::Token, [Scripted::Paused(renewal.clone())]);
    sandbox.script(Endpoint::Messages, [Scripted::stream([Piece::Wait(answer.clone())])]);
    let child = nexus.command(&["chat", "x"]).spawn().unwrap();
    block_on(async { tokio::join!(renewal.arrived(1), answer.arrived(1)) });
    signal(child.id(), "TERM");
    renewal.open();
    assert_eq!(nexus.finish(child).code, Some(143));
    nexus.run(&["chat", "x"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "the rotated token was saved, and is fresh");
}

#[test]
fn the_first_signal_waits_for_a_background_refresh_and_the_second_does_not() {
    for (signals, saved) in [(&["INT"][..], true), (&["INT", "TERM"], false)] {
        let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
        pass(&nexus, 3_500);
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone())]);
        let mut child = nexus.command(&["chat", "x"]).spawn().unwrap();
        let mut answer = [0; ANSWER.len()];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut answer).unwrap();
        // It waits, and says why: now, and at the first signal.
        for name in signals {
            let mut message = [0; SETTLING.len()];
            std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut message).unwrap();
            assert_eq!(String::from_utf8_lossy(&message), SETTLING);
            signal(child.id(), name);
        }
        if saved {
            gate.open();
        }
        // The answer is complete.
        assert_eq!(nexus.finish(child).code, Some(0));
        gate.open();
        assert_eq!(Stored::open(nexus.home()).generation == 2, saved);
    }
}

const SETTLING: &str =
    "note: waiting for the server's answer, to save the session; a second Ctrl-C quits at once and may lose it\n";

#[test]
fn a_clock_that_was_set_back_is_reported_without_a_network() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let token = nexus.run(&["oauth", "token"]).ok();
    drop(sandbox);
    let status = || nexus.run(&["oauth", "status"]);
    // Within its lifetime the token seems younger than it is.
    pass(&nexus, 1_800);
    pass(&nexus, -900);
    assert_output!(
        status(), 0, stdout: "Token active, expires in 45 minutes, auto-refresh enabled\n", stderr: "",
    );
    assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: token.clone(), stderr: "");
    // If it was issued in the future, its age is unknown.
    pass(&nexus, -900 - 3_600);
    assert_output!(
        status(), 0, stdout: "Token dated ahead of this machine's clock, will refresh on next use\n", stderr: "",
    );
    let output = nexus.run(&["oauth", "token"]);
    assert!(output.code == Some(75) && output.stdout.is_empty(), "{output}");
    assert!(
        output.stderr.contains("could not be reached") && output.stderr.contains("the session is kept"),
        "{output}"
    );
    // With the right time again, the token is valid.
    pass(&nexus, 3_600);
    assert_output!(nexus.run(&["oauth", "token"]), 0, stdout: token, stderr: "");
}
