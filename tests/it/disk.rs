//! A limit on the size of files. Its signal (SIGXFSZ) must not end a process between a request and its save.

#![cfg(target_os = "linux")]

use nexus::sandbox::Settings;

use crate::nexus::{Nexus, Output, sandbox};

/// Runs a command whose files have at most this many bytes.
fn limited(nexus: &Nexus, bytes: u64, words: &[&str]) -> Output {
    nexus.run_after(&["prlimit".into(), format!("--fsize={bytes}"), "--".into()], words)
}

#[test]
fn a_file_size_limit_stops_a_refresh_before_the_token_is_spent() {
    let (sandbox, nexus) = Nexus::expired();
    let (mut refused, mut refreshed) = (0, 0);
    for bytes in [0, 1, 511, 512, 4_096, 8_191, 8_192, 12_288, 65_536, 262_144, 393_216, 409_600, 450_000, 1 << 20] {
        let asked = sandbox.refreshes_asked();
        let output = limited(&nexus, bytes, &["oauth", "token", "--min-ttl", "9h"]);
        match output.code {
            Some(0) if sandbox.refreshes_asked() > asked => {
                refreshed += 1;
                assert_eq!(nexus.run(&["oauth", "token"]).stdout, output.stdout, "{bytes}: it was saved");
            }
            // A valid old token is printed with a note; the first time there is none.
            Some(0 | 1) => {
                refused += 1;
                assert!(output.stderr.contains("the limit on file sizes is too low for [HOME]/"), "{bytes}: {output}");
                assert_eq!(sandbox.refreshes_asked(), asked, "{bytes}: nothing was spent");
            }
            _ => panic!("{bytes}: {output}"),
        }
    }
    assert!(refused > 5 && refreshed > 1, "{refused} refused, {refreshed} refreshed");
}

#[test]
fn a_file_size_limit_stops_a_sign_in_before_the_browser_opens() {
    for bytes in [0, 10, 4_096] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        let output = limited(&nexus, bytes, &["oauth", "start", "--no-browser"]);
        assert_eq!(output.code, Some(1), "{bytes}: {output}");
        assert!(output.stderr.contains("the limit on file sizes is too low for [HOME]/"), "{bytes}: {output}");
        assert!(output.stderr.ends_with("raise the file size limit (`ulimit -f`), then run the command again\n"));
        assert_eq!(sandbox.requests().len(), 0);
        // The next sign-in works.
        nexus.sign_in();
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
    }
}

#[test]
fn a_file_size_limit_stops_a_key_move_and_keeps_the_key() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    std::fs::write(nexus.path("pass"), "correct horse").unwrap();
    let config = std::fs::read_to_string(nexus.path("config.toml")).unwrap();
    nexus.configure(&format!("passphrase_file = \"pass\"\n{config}"));
    for bytes in [20, 4_096] {
        let output = limited(&nexus, bytes, &["key", "move", "passphrase"]);
        assert!(output.code == Some(1) && output.stderr.contains("the limit on file sizes is too low"), "{output}");
        assert_eq!(nexus.run(&["oauth", "token"]).code, Some(0));
    }
    nexus.run(&["key", "move", "passphrase"]).ok();
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(0));
}
