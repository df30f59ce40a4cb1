//! What other users and programs of this machine can read: files, and the environment of the browser.

use std::fs;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nexus::ClientAuth;
use nexus::sandbox::Settings;
use serde_json::json;

use crate::nexus::{Nexus, SECRET_VARIABLES, approve, sandbox, visit};
use crate::oauth_start::built_in;

const CLIENT_SECRET: &str = "hush-hush-end";

#[cfg(unix)]
#[test]
fn files_and_folders_are_private_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    for umask in ["000", "022", "077"] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        let under = ["sh", "-c", &format!("umask {umask}; exec \"$@\""), "sh"].map(String::from);
        let mut started = nexus.watch(&mut nexus.command_after(&under, &["oauth", "start", "--no-browser"]));
        visit(&approve(&started.url()));
        assert_eq!(started.finish().code, Some(0));
        nexus.run_after(&under, &["oauth", "token", "--min-ttl", "9h"]).ok();
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

/// The key is in a folder of the state folder, unless `NEXUS_HOME` is set.
#[cfg(target_os = "linux")]
#[test]
fn loose_folders_and_locks_of_nexus_are_closed_with_a_notice_at_any_depth() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    for (name, folder) in [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "share"), ("XDG_STATE_HOME", "state")] {
        nexus.set(name, &nexus.path(folder).to_string_lossy());
    }
    fs::create_dir_all(nexus.path("config/nexus")).unwrap();
    fs::rename(nexus.path("config.toml"), nexus.path("config/nexus/config.toml")).unwrap();
    nexus.set("NEXUS_HOME", "");
    nexus.sign_in();
    let loosen = |name: &str, mode| fs::set_permissions(nexus.path(name), fs::Permissions::from_mode(mode)).unwrap();
    for name in ["share/nexus", "state/nexus", "state/nexus/key", "state/nexus/locks"] {
        loosen(name, 0o777);
    }
    loosen("state/nexus/locks/key.lock", 0o666);
    let output = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
    let closed =
        |name: &str, mode| format!("note: [HOME]/{name} was open to other users (mode {mode}); it is private now\n");
    for (name, mode) in [
        ("share/nexus", 777),
        ("state/nexus", 777),
        ("state/nexus/key", 777),
        ("state/nexus/locks", 777),
        ("state/nexus/locks/key.lock", 666),
    ] {
        assert_eq!(output.stderr.matches(&closed(name, mode)).count(), 1, "{name}: {output}");
    }
    assert_eq!(output.code, Some(0), "{output}");
    // A command that takes no lock.
    loosen("state/nexus", 0o777);
    let output = nexus.run(&["oauth", "token"]);
    assert_eq!((output.code, output.stderr), (Some(0), closed("state/nexus", 777)));
}

/// Free pages are overwritten: with a key that is stolen later, no old token can be decrypted.
#[test]
fn replaced_and_deleted_tokens_are_erased_from_the_file() {
    let long = "x".repeat(9_000);
    let sandbox = sandbox(Settings::default());
    sandbox.change(|settings| settings.token_extra = json!({ "note": long }).as_object().unwrap().clone());
    let nexus = Nexus::at(&sandbox);
    let store = || rusqlite::Connection::open(nexus.path("data/sessions.db")).unwrap();
    let sealed =
        || -> Vec<Vec<u8>> { vec![store().query_row("SELECT sealed FROM session", [], |row| row.get(0)).unwrap()] };
    let lie = |values: &[Vec<u8>]| {
        let file = fs::read(nexus.path("data/sessions.db")).unwrap();
        // The beginning after the names of the session and of its key, and the end, which are on different pages.
        let parts = values.iter().flat_map(|value| [&value[40..64], &value[value.len() - 24..]]);
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

/// The arguments and the environment of the browser are readable by other processes.
#[cfg(target_os = "linux")]
#[test]
fn the_browser_is_given_no_secret() {
    let sandbox = sandbox(Settings {
        client_secret: Some(CLIENT_SECRET.into()),
        client_auth: ClientAuth::Post,
        state_at_exchange: true,
        ..Settings::default()
    });
    let mut nexus = built_in(&sandbox, "http://127.0.0.1:0/callback");
    let told = nexus.path("told");
    let text = format!(
        "#!/bin/sh\n\
         {{ printf '%s\\n' \"$@\"; env; tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; }} >{}\n",
        told.display()
    );
    nexus.write("browser", &text, 0o700);
    // A named pipe: reading it waits for the browser.
    assert!(Command::new("mkfifo").arg(&told).status().unwrap().success());
    for name in SECRET_VARIABLES {
        nexus.set(name, CLIENT_SECRET);
    }
    // The sessions are in a file.
    nexus.set("NEXUS_STORE", "");
    nexus.set("BROWSER", &nexus.path("browser").to_string_lossy());
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
    for name in SECRET_VARIABLES {
        assert!(!told.contains(name), "{name} in {told}");
    }
}
