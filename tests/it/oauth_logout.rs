//! `nexus oauth logout`: revoke there, forget here, and say which of the two happened.

use nexus::sandbox::{Endpoint, Scripted, Settings};

use crate::nexus::{Nexus, sandbox};

#[test]
fn a_session_is_revoked_and_forgotten() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let token = nexus.run(&["oauth", "token"]).ok();
    assert_output!(
        nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Revoked at [SERVER]\nForgotten here\n",
    );
    assert_eq!(sandbox.counts().revocations, 1, "the refresh token takes its family along");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4));
    let database = std::fs::read(nexus.path("data/sessions.db")).unwrap();
    let nothing_of = |text: &str| !database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(nothing_of(token.trim()) && nothing_of("sandbox-client"), "what is deleted does not linger");
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Nothing to forget\n");
}

#[test]
fn a_session_is_forgotten_whatever_the_server_says() {
    for (answer, said) in [
        (Scripted::text(503, "text/plain", "busy"), "answered 503"),
        (Scripted::Close, "gave no usable answer (connection closed before message completed)"),
    ] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        nexus.sign_in();
        sandbox.script(Endpoint::Revoke, [answer]);
        assert_output!(
            nexus.run(&["oauth", "logout"]), 0, stdout: "",
            stderr: format!("Not revoked: [SERVER] {said}; its tokens live until they expire\nForgotten here\n"),
        );
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4));
    }
}

#[test]
fn without_a_revocation_endpoint_the_person_is_told() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let config = crate::nexus::config(&sandbox, "");
    nexus.configure(&config.lines().filter(|line| !line.starts_with("revoke_url")).collect::<Vec<_>>().join("\n"));
    nexus.sign_in();
    assert_output!(
        nexus.run(&["oauth", "logout"]), 0, stdout: "",
        stderr: "Not revoked: this provider has no revocation endpoint; its tokens live until they expire\n\
                 Forgotten here\n",
    );
}

#[test]
fn all_providers_are_signed_out_at_once() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    assert_output!(nexus.run(&["oauth", "logout", "--all"]), 0, stdout: "", stderr: "Nothing to forget\n");
    nexus.sign_in();
    assert_output!(
        nexus.run(&["oauth", "logout", "--all"]), 0, stdout: "",
        stderr: "work:\nRevoked at [SERVER]\nForgotten here\n",
    );
    assert_eq!(nexus.run(&["oauth", "logout", "--all", "--provider", "work"]).code, Some(2));
}
