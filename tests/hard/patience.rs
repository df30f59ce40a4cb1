//! What never answers: a server that accepts a refresh, a stopped process, a command that prints the key.

use nexus::sandbox::{Endpoint, Gate, Scripted};

use crate::nexus::{Nexus, lifetime, signal};

#[test]
fn an_interrupted_refresh_still_ends_at_the_timeout() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let (child, _gate) = nexus.held(&sandbox, Scripted::Wait, &["oauth", "token"]);
    signal(child.id(), "TERM");
    assert_eq!(nexus.finish(child).code, Some(143));
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "the session was kept");
}

#[test]
fn ten_processes_wait_one_timeout_together_and_the_session_is_kept() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    // The server has not spent the refresh token.
    sandbox.script(Endpoint::Token, [Scripted::Wait(Gate::new())]);
    let all: Vec<_> = (0..10).map(|_| nexus.command(&["oauth", "token"]).spawn().unwrap()).collect();
    for child in all {
        let output = nexus.finish(child);
        assert_eq!(output.code, Some(75), "{output}");
        assert!(output.stderr.contains("did not answer within 30 seconds; the session is kept\n"), "{output}");
    }
    assert_eq!(sandbox.refreshes_asked(), 1, "thirty seconds once, not for each");
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1);
}

#[test]
fn waiting_for_a_stopped_process_times_out() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(0));
    let (mut stopped, _gate) = nexus.held(&sandbox, Scripted::Wait, &["oauth", "token"]);
    // As Ctrl-Z does.
    signal(stopped.id(), "STOP");
    let output = nexus.run(&["oauth", "token"]);
    let message = "error: another nexus process has been refreshing this session for 2 minutes\n";
    assert!(output.code == Some(75) && output.stderr.contains(message), "{output}");
    stopped.kill().unwrap();
    stopped.wait().unwrap();
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "the lock went with its holder");
}

#[test]
fn a_command_that_prints_no_key_in_time_is_a_temporary_failure() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3600));
    nexus.write("passphrase", "correct horse\n", 0o600);
    let own = std::fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!("passphrase_file = \"passphrase\"\n{own}"));
    nexus.run(&["key", "move", "passphrase"]).ok();
    let silent = "[\"/bin/sleep\", \"60\"]";
    for (lines, setting) in [
        (format!("key = \"passphrase\"\npassphrase_command = {silent}"), "passphrase_command"),
        (format!("key = \"command\"\nkey_command = {silent}"), "key_command"),
    ] {
        nexus.configure(&format!("{lines}\n{own}"));
        let output = nexus.run(&["oauth", "token"]);
        let message = format!("error: cannot get the key: {setting} `/bin/sleep` did not finish within 30 seconds\n");
        assert!(output.code == Some(75) && output.stderr.contains(&message), "{output}");
    }
    assert_eq!(sandbox.refreshes_asked(), 0);
}
