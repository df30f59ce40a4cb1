//! What other users and other programs of this machine can get at: files and their modes, the
//! browser and its surroundings.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Settings};
use serde_json::json;

use crate::nexus::{Nexus, approve, sandbox, visit};

const CLIENT_SECRET: &str = "hush-hush-end";

#[cfg(unix)]
#[test]
fn files_and_folders_are_private_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    for umask in ["000", "022", "077"] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        sign_in_under(umask, &nexus);
        under(umask, &nexus, &["oauth", "token", "--min-ttl", "9h"]);
        let mut seen = Vec::new();
        let mut unvisited = vec![nexus.home().to_owned()];
        while let Some(folder) = unvisited.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                let wanted = if path.is_dir() { 0o700 } else { 0o600 };
                assert_eq!(mode, wanted, "{} under umask {umask}: {mode:o}", path.display());
                seen.push(path.file_name().unwrap().to_string_lossy().into_owned());
                unvisited.extend(path.is_dir().then_some(path));
            }
        }
        for name in ["data", "sessions.db", "key", "session.key", "state", "locks"] {
            assert!(seen.iter().any(|seen| seen == name), "{name} among {seen:?}");
        }
    }
}

/// Where a token lay is overwritten, even sealed: a key that is stolen later must open nothing of it.
#[test]
fn tokens_that_were_replaced_or_forgotten_lie_in_no_free_page() {
    let long = "x".repeat(9_000);
    let sandbox = sandbox(Settings::default());
    sandbox.change(|settings| settings.token_extra = json!({ "note": long }).as_object().unwrap().clone());
    let nexus = Nexus::at(&sandbox);
    let store = || rusqlite::Connection::open(nexus.path("data/sessions.db")).unwrap();
    let sealed =
        || -> Vec<Vec<u8>> { vec![store().query_row("SELECT sealed FROM session", [], |row| row.get(0)).unwrap()] };
    let lie = |values: &[Vec<u8>]| {
        let file = fs::read(nexus.path("data/sessions.db")).unwrap();
        // The beginning and the end of each: a long one lies on several pages.
        let parts = values.iter().flat_map(|value| [&value[..24], &value[value.len() - 24..]]);
        parts.filter(|part| file.windows(24).any(|window| window == *part)).count()
    };
    nexus.sign_in();
    let first = sealed();
    assert_eq!(lie(&first), 2, "what is there is found");
    nexus.run(&["oauth", "token", "--min-ttl", "9h"]).ok();
    let second = sealed();
    assert_eq!((lie(&first), lie(&second)), (0, 2), "the refreshed ones are gone");
    nexus.run(&["oauth", "logout"]).ok();
    assert_eq!((lie(&first), lie(&second)), (0, 0));
    let journal = fs::read(nexus.path("data/sessions.db-journal"));
    assert!(journal.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound));
}

/// The program with these words, begun by a shell that sets the umask.
#[cfg(unix)]
fn command_under(umask: &str, nexus: &Nexus, words: &[&str]) -> Command {
    let command = nexus.command(words);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(command.get_program());
    shell.args(command.get_args()).env_clear().current_dir(nexus.home());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[cfg(unix)]
fn under(umask: &str, nexus: &Nexus, words: &[&str]) {
    let output = nexus.finish(command_under(umask, nexus, words).spawn().unwrap());
    assert_eq!(output.code, Some(0), "{output}");
}

#[cfg(unix)]
fn sign_in_under(umask: &str, nexus: &Nexus) {
    let mut child = command_under(umask, nexus, &["oauth", "start", "--no-browser"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.find(|line| line.starts_with("http")).unwrap();
    visit(&approve(&url));
    let rest: Vec<_> = lines.collect();
    let output = nexus.finish(child);
    assert_eq!(output.code, Some(0), "{rest:?}");
}

/// What any process of this account can read of the browser, and the browser of us.
#[cfg(target_os = "linux")]
#[test]
fn the_browser_is_given_no_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = sandbox(Settings {
        client_secret: Some(CLIENT_SECRET.into()),
        client_auth: ClientAuth::Post,
        state_at_exchange: true,
        ..Settings::default()
    });
    let mut nexus = Nexus::new();
    nexus.configure(&format!(
        "[provider.claude_code]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\napi_url = \"{}\"\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
        sandbox.origin(),
    ));
    let (script, told) = (nexus.path("browser"), nexus.path("told"));
    let text = format!(
        "#!/bin/sh\n\
         {{ printf '%s\\n' \"$@\"; env; tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; }} >{}\n",
        told.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    // A pipe with a name: reading it waits for the browser, and ends with it.
    assert!(Command::new("mkfifo").arg(&told).status().unwrap().success());
    nexus.set("CLAUDE_CODE_CLIENT_ID", "sandbox-client");
    nexus.set("CLAUDE_CODE_CLIENT_SECRET", CLIENT_SECRET);
    nexus.set("CLAUDE_CODE_REDIRECT_URI", "http://127.0.0.1:0/callback");
    nexus.set("BROWSER", &script.to_string_lossy());
    nexus.set("PATH", "/usr/bin:/bin");

    let mut started = nexus.start(&[]);
    let url = started.url();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(fs::read_to_string(told).unwrap()));
    let told = receive.recv_timeout(Duration::from_secs(60)).expect("the browser was opened");
    visit(&approve(&url));
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");

    assert!(told.contains(&url), "the browser was sent to the authorization URL: {told}");
    assert!(told.contains("CLAUDE_CODE_CLIENT_ID=sandbox-client"), "what is no secret is inherited: {told}");
    for secret in sandbox.issued() {
        assert!(!told.contains(&secret), "{secret} in {told}");
    }
    assert!(!told.contains("CLAUDE_CODE_CLIENT_SECRET"), "{told}");
}
