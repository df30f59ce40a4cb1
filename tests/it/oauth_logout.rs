//! `nexus oauth logout`: revokes the session, deletes it here, and reports both.

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted, Settings};

use crate::nexus::{Nexus, block_on, config, sandbox};

#[test]
fn a_session_is_revoked_and_deleted() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let token = nexus.run(&["oauth", "token"]).ok();
    assert_output!(
        nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Revoked the session at [SERVER]\nDeleted the local session\n",
    );
    assert_eq!(sandbox.counts().revocations, 1, "the refresh token takes its family along");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4));
    let database = std::fs::read(nexus.path("data/sessions.db")).unwrap();
    let nothing_of = |text: &str| !database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(nothing_of(token.trim()) && nothing_of("sandbox-client"), "what is deleted does not linger");
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Not signed in\n");
}

#[test]
fn a_session_is_deleted_even_if_revocation_fails() {
    for (answer, message) in [
        (Scripted::text(503, "text/plain", "busy"), "answered 503"),
        (Scripted::Close, "sent no usable response (connection closed before message completed)"),
    ] {
        let (sandbox, nexus) = Nexus::signed_in(Settings::default());
        sandbox.script(Endpoint::Revoke, [answer]);
        assert_output!(
            nexus.run(&["oauth", "logout"]), 0, stdout: "",
            stderr: format!("Not revoked: [SERVER] {message}; its tokens stay valid until they expire\nDeleted the local session\n"),
        );
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4));
    }
}

#[test]
fn a_sign_out_killed_before_the_revocation_deletes_the_session() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let gate = Gate::new();
    sandbox.script(Endpoint::Revoke, [Scripted::Wait(gate.clone())]);
    let mut logout = nexus.command(&["oauth", "logout"]).spawn().unwrap();
    block_on(gate.arrived(1));
    logout.kill().unwrap();
    let message = nexus.finish(logout);
    assert_eq!((message.stderr.as_str(), message.code), ("", None), "nothing is claimed before it is done");
    assert_output!(
        nexus.run(&["oauth", "status"]), 4, stdout: "Not signed in: run nexus oauth start\n", stderr: "",
    );
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Not signed in\n");
    nexus.sign_in();
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn a_missing_revocation_endpoint_is_reported() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let config = crate::nexus::config(&sandbox, "");
    nexus.configure(&config.lines().filter(|line| !line.starts_with("revoke_url")).collect::<Vec<_>>().join("\n"));
    nexus.sign_in();
    assert_output!(
        nexus.run(&["oauth", "logout"]), 0, stdout: "",
        stderr: "Not revoked: this provider has no revocation endpoint; its tokens stay valid until they expire\nDeleted the local session\n",
    );
}

/// Another provider at the same sandbox.
fn play(sandbox: &Sandbox) -> String {
    config(sandbox, "").replace("default = \"work\"\n", "").replace("[provider.work]", "[provider.play]")
}

#[test]
fn a_session_is_revoked_even_if_the_configuration_is_broken() {
    for (name, broken, warning) in [
        ("work", "", ""),
        ("play", "", ""),
        ("play", "default = 'play'", ""),
        ("play", "default = ", "warning: `default` in [HOME]/config.toml, line 1, must be a quoted string\n"),
        (
            "play",
            "[provider.play]\ntoken_ulr = 'x'",
            "warning: [HOME]/config.toml, line 2: unknown key `token_ulr` in ",
        ),
        (
            "play",
            "[provider.play]\ntoken_url = 'ftp://x'",
            "warning: `provider.play.token_url` in [HOME]/config.toml, line 2, is ftp, but must be https\n",
        ),
    ] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        nexus.configure(&(config(&sandbox, "") + &play(&sandbox)));
        nexus.sign_in();
        nexus.sign_in_to("play");
        nexus.configure(broken);
        let output = nexus.run(&["oauth", "logout", "--provider", name]);
        assert!(output.stderr.starts_with(warning), "{output}");
        assert!(output.stderr.ends_with("Revoked the session at [SERVER]\nDeleted the local session\n"), "{output}");
        assert_eq!(
            (output.code, output.stderr.matches("warning").count()),
            (Some(0), usize::from(!warning.is_empty()))
        );
        assert_eq!(sandbox.counts().revocations, 1, "{broken}");
        let output = nexus.run(&["oauth", "logout", "--all"]);
        assert!(!output.stderr.contains(":\nwarning"), "{output}");
        let left = if name == "work" { "play" } else { "work" };
        assert!(
            output.stderr.ends_with(&format!("{left}:\nRevoked the session at [SERVER]\nDeleted the local session\n")),
            "{output}"
        );
        assert_eq!((output.code, sandbox.counts().revocations), (Some(0), 2));
    }
}

#[test]
fn a_session_that_cannot_be_deleted_does_not_stop_the_others() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&(config(&sandbox, "") + &play(&sandbox)));
    nexus.sign_in_to("play");
    let before = lock_files(&nexus);
    nexus.sign_in();
    // The first lock cannot be taken.
    let [lock] = &before[..] else { panic!("{before:?}") };
    std::fs::remove_file(lock).unwrap();
    std::fs::create_dir(lock).unwrap();
    let output = nexus.run(&["oauth", "logout", "--all"]);
    assert!(output.stderr.starts_with("play:\nerror: [HOME]/state/locks/session-"), "{output}");
    assert!(output.stderr.ends_with("work:\nRevoked the session at [SERVER]\nDeleted the local session\n"), "{output}");
    assert_eq!(output.code, Some(1), "{output}");
}

fn lock_files(nexus: &Nexus) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(nexus.path("state/locks")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("session-")).collect()
}

/// A limit on the size of files acts like a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_session_that_cannot_be_deleted_is_revoked() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let full = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"].map(String::from);
    let output = nexus.run_after(&full, &["oauth", "logout"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(
        output.stderr.starts_with("Revoked the session at [SERVER]\nerror: the local session could not be deleted: "),
        "{output}"
    );
    assert!(output.stderr.contains("sessions.db: "), "{output}");
    assert!(!output.stderr.contains("Forgotten"), "{output}");
    assert_eq!(sandbox.counts().revocations, 1);
    assert_output!(
        nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Revoked the session at [SERVER]\nDeleted the local session\n",
    );
}

#[test]
fn a_session_without_its_key_is_deleted_and_reported() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    std::fs::remove_file(nexus.path("key/session.key")).unwrap();
    let output = nexus.run(&["oauth", "logout"]);
    assert!(
        output.stderr.starts_with("Not revoked: the stored session cannot be read: [HOME]/key/session.key: "),
        "{output}"
    );
    assert!(
        output.stderr.ends_with("; its tokens stay valid until they expire\nDeleted the local session\n"),
        "{output}"
    );
    assert_eq!(output.code, Some(0));
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4));
}
