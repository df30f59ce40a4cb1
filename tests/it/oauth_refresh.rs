//! `nexus oauth refresh`.

use nexus::sandbox::{Endpoint, Scripted};
use serde_json::json;

use crate::nexus::{Nexus, config, lifetime, newest};
use crate::stored::Stored;

#[test]
fn a_token_past_half_its_life_is_refreshed() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    for (age, refreshes) in [(1_700, 0), (200, 1), (0, 1)] {
        Stored::open(nexus.home()).pass(age);
        assert_output!(nexus.run(&["oauth", "refresh"]), 0, stdout: "", stderr: "");
        assert_eq!(sandbox.refreshes(), refreshes, "after {age} seconds");
    }
    assert_eq!(nexus.run(&["oauth", "token"]).ok().trim(), newest(&sandbox, "access"));
}

#[test]
fn any_token_is_refreshed_by_force() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    for refreshes in 1..3 {
        assert_output!(nexus.run(&["oauth", "refresh", "--force"]), 0, stdout: "", stderr: "");
        assert_eq!(sandbox.refreshes(), refreshes);
    }
}

#[test]
fn many_processes_refresh_a_token_once() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    Stored::open(nexus.home()).pass(2_000);
    let started: Vec<_> = (0..20).map(|_| nexus.command(&["oauth", "refresh"]).spawn().unwrap()).collect();
    for child in started {
        assert_eq!(nexus.finish(child).code, Some(0));
    }
    assert_eq!(sandbox.refreshes(), 1);
}

#[test]
fn the_exit_codes_are_those_of_oauth_token() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    assert_eq!(Nexus::at(&sandbox).run(&["oauth", "refresh"]).code, Some(4), "not signed in");
    assert_eq!(nexus.run(&["oauth", "refresh", "--provider", "nobody"]).code, Some(2));
    Stored::open(nexus.home()).pass(3_700);
    sandbox.script(Endpoint::Token, [Scripted::json(503, &json!({}))]);
    assert_eq!(nexus.run(&["oauth", "refresh"]).code, Some(75));
    sandbox.end_session();
    let output = nexus.run(&["oauth", "refresh"]);
    assert!(output.code == Some(4) && output.stdout.is_empty(), "{output}");
}

#[test]
fn a_token_without_refresh_token_is_left_alone() {
    let mut settings = lifetime(3_600);
    settings.refresh_tokens = false;
    let (_sandbox, nexus) = Nexus::signed_in(settings);
    Stored::open(nexus.home()).pass(3_000);
    assert_output!(nexus.run(&["oauth", "refresh"]), 0, stdout: "", stderr: "");
    let why = "work: there is no refresh token, so the token cannot be refreshed\n";
    assert_output!(nexus.run(&["oauth", "refresh", "--force"]), 4, stdout: "", stderr: why);
}

#[test]
fn all_sessions_are_refreshed_and_the_worst_result_counts() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    assert_eq!(Nexus::new().run(&["oauth", "refresh", "--all"]).code, Some(4));
    let second = config(&sandbox, "").replace("default = \"work\"\n", "").replace("provider.work", "provider.play");
    nexus.configure(&(config(&sandbox, "") + &second));
    nexus.sign_in_to("play");
    assert_output!(nexus.run(&["oauth", "refresh", "--all", "--force"]), 0, stdout: "", stderr: "");
    assert_eq!(sandbox.refreshes(), 2);
    sandbox.script(
        Endpoint::Token,
        [Scripted::json(503, &json!({})), Scripted::json(400, &json!({ "error": "invalid_grant" }))],
    );
    let output = nexus.run(&["oauth", "refresh", "--all", "--force"]);
    assert!(output.code == Some(4) && output.stdout.is_empty(), "4 is worse than 75: {output}");
    assert_eq!(nexus.run(&["oauth", "refresh", "--all", "--provider", "play"]).code, Some(2));
}

#[test]
#[cfg(unix)]
fn sessions_without_a_user_are_refreshed_too() {
    let nexus = Nexus::new();
    let script = "echo >>\"$NEXUS_HOME/runs\"; echo token-$(wc -l <\"$NEXUS_HOME/runs\" | tr -d ' ')";
    let words = json!(["/bin/sh", "-c", script]);
    nexus.configure(&format!("default = 'cmd'\n[provider.cmd]\ntoken_command = {words}\n"));
    for n in 1..3 {
        assert_output!(nexus.run(&["oauth", "refresh"]), 0, stdout: "", stderr: "");
        assert_eq!(nexus.run(&["oauth", "token"]).ok(), format!("token-{n}\n"));
        Stored::open(nexus.home()).pass(160);
    }
}
