//! `nexus store`: moving the sessions from one SQLite file to another.

use std::fs;

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Registration, Sandbox, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, config, newest, sandbox};

/// A home that is signed in, and another one at the same sandbox with the same key.
fn homes() -> (Sandbox, Nexus, Nexus) {
    let (sandbox, old) = Nexus::signed_in(Settings::default());
    let mut new = Nexus::at(&sandbox);
    new.name(&old.home().to_string_lossy(), "[OLD]");
    copy_key(&old, &new);
    (sandbox, old, new)
}

fn copy_key(from: &Nexus, to: &Nexus) {
    fs::create_dir(to.path("key")).unwrap();
    to.write("key/session.key", &fs::read_to_string(from.path("key/session.key")).unwrap(), 0o600);
    // Makes the new folder private.
    to.run(&["key", "show"]).ok();
}

fn file(nexus: &Nexus) -> String {
    nexus.path("data/sessions.db").to_string_lossy().into_owned()
}

/// Moves the sessions of `old` to the configured store of `new`.
fn moved(old: &Nexus, new: &Nexus) -> Output {
    new.run(&["store", "move", "--from", &file(old)])
}

#[test]
fn a_moved_session_is_used_in_the_new_store_only() {
    let (sandbox, old, new) = homes();
    assert_output!(
        moved(&old, &new), 0, stdout: "",
        stderr: "Moved 1 session from [OLD]/data/sessions.db to [HOME]/data/sessions.db\n\
            Sign-ins that were not finished in the old store have to be started again\n",
    );
    assert_eq!(new.run(&["oauth", "token"]).ok().trim(), newest(&sandbox, "access"));
    new.run(&["oauth", "refresh", "--force"]).ok();
    assert_eq!(sandbox.refreshes(), 1, "the refresh token was moved");
    let refused = old.run(&["oauth", "token"]);
    let expected =
        format!("error: the session with work was moved to {}\n  use that store: unset NEXUS_STORE, ", file(&new));
    assert!(refused.code == Some(2) && refused.stderr.starts_with(&expected), "{refused}");
}

#[test]
fn a_sign_in_replaces_the_mark_of_a_session_whose_store_is_gone() {
    let (sandbox, old, new) = homes();
    moved(&old, &new).ok();
    fs::remove_file(new.path("data/sessions.db")).unwrap();
    old.sign_in();
    assert_eq!(old.run(&["oauth", "token"]).ok().trim(), newest(&sandbox, "access"));
    old.run(&["oauth", "refresh", "--force"]).ok();
    // It can be moved again.
    moved(&old, &new).ok();
    new.run(&["oauth", "token"]).ok();
}

#[test]
fn a_sign_out_deletes_the_mark_of_a_moved_session_and_leaves_the_session_where_it_is() {
    for words in [&["oauth", "logout"][..], &["oauth", "logout", "--all"], &["provider", "remove", "work"]] {
        let (sandbox, old, new) = homes();
        moved(&old, &new).ok();
        let signed_out = old.run(words);
        let expected = "Not revoked: the session was moved to ";
        assert!(signed_out.code == Some(0) && signed_out.stderr.contains(expected), "{words:?}: {signed_out}");
        let token = old.run(&["oauth", "token"]);
        assert!(token.code != Some(0) && !token.stderr.contains("was moved to"), "{words:?}: {token}");
        assert_eq!(sandbox.requests_to(Endpoint::Revoke).len(), 0, "{words:?}");
        new.run(&["oauth", "refresh", "--force"]).ok();
    }
}

#[test]
fn no_command_uses_a_moved_session() {
    let (sandbox, old, new) = homes();
    moved(&old, &new).ok();
    for words in [
        &["oauth", "token"][..],
        &["oauth", "refresh", "--force"],
        &["oauth", "status"],
        &["chat", "Hello"],
        &["models"],
        &["exec", "--", "true"],
    ] {
        let refused = old.run(words);
        assert!(refused.code == Some(2) && refused.stderr.contains("was moved to"), "{words:?}: {refused}");
    }
    let status = old.run(&["oauth", "status", "--json"]);
    assert_eq!((status.code, &status.json()["error"]["reason"]), (Some(2), &json!("session_moved")));
    assert_eq!(sandbox.refreshes_asked(), 0);
    new.run(&["oauth", "token"]).ok();
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_open_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_sandbox, old, _new) = homes();
    fs::create_dir(old.path("web")).unwrap();
    old.write("web/sessions.db", "", 0o600);
    fs::set_permissions(old.path("web"), fs::Permissions::from_mode(0o1777)).unwrap();
    for flag in ["--to", "--from"] {
        let output = old.run(&["store", "move", flag, "web/sessions.db"]);
        assert!(output.code == Some(2) && output.stderr.contains("other users can open this folder"), "{output}");
    }
    assert_eq!(fs::metadata(old.path("web")).unwrap().permissions().mode() & 0o7777, 0o1777);
    old.run(&["oauth", "token"]).ok();
}

#[test]
fn a_session_can_be_moved_back() {
    let (_sandbox, old, new) = homes();
    moved(&old, &new).ok();
    new.run(&["oauth", "refresh", "--force"]).ok();
    let token = new.run(&["oauth", "token"]).ok();
    old.run(&["store", "move", "--from", &file(&new)]).ok();
    assert_eq!(old.run(&["oauth", "token"]).ok(), token);
    assert_eq!(new.run(&["oauth", "token"]).code, Some(2));
}

#[test]
fn a_second_move_finds_what_the_first_one_moved() {
    let (_sandbox, old, new) = homes();
    let object = json!({
        "version": 1, "from": "[OLD]/data/sessions.db", "to": "[HOME]/data/sessions.db", "owner": null, "sessions": 1,
        "earlier": 0, "elsewhere": 0, "clients": 0,
    });
    let words = ["store", "move", "--json", "--from", &file(&old)];
    assert_eq!(new.run(&words).json(), object);
    let again = new.run(&words).json();
    assert_eq!((&again["sessions"], &again["earlier"]), (&json!(0), &json!(1)));
}

#[test]
fn a_registered_client_is_moved_too() {
    let sandbox =
        sandbox(Settings { registration: Some(Registration::open(ClientAuth::Basic)), ..Settings::default() });
    let configured = |nexus: &Nexus| {
        let registration = format!("registration_url = \"{}\"", sandbox.url(Endpoint::Register));
        nexus.configure(&config(&sandbox, "").replace("client_id = \"sandbox-client\"", &registration));
    };
    let (old, new) = (Nexus::at(&sandbox), Nexus::at(&sandbox));
    configured(&old);
    configured(&new);
    old.sign_in();
    copy_key(&old, &new);
    let output = moved(&old, &new);
    assert!(output.stderr.contains("Moved 1 session and 1 registered client from "), "{output}");
    new.run(&["oauth", "refresh", "--force"]).ok();
    new.sign_in();
    assert_eq!(sandbox.requests_to(Endpoint::Register).len(), 1, "the next sign-in uses the client that was moved");
}

#[test]
fn a_session_of_the_target_is_not_replaced() {
    let (_sandbox, old, new) = homes();
    new.sign_in();
    let token = new.run(&["oauth", "token"]).ok();
    assert_output!(
        moved(&old, &new), 2, stdout: "",
        stderr: "error: [HOME]/data/sessions.db already has another session with work; it was not replaced\n  \
            sign out in one of the two stores with `nexus oauth logout`, then run the command again\n",
    );
    assert_eq!(new.run(&["oauth", "token"]).ok(), token);
    old.run(&["oauth", "token"]).ok();
}

#[test]
fn a_store_with_another_key_is_refused_before_anything_is_moved() {
    let (sandbox, old, _) = homes();
    let without_key = Nexus::at(&sandbox);
    let mut with_other_key = Nexus::at(&sandbox);
    with_other_key.set("NEXUS_OWNER", "grace");
    with_other_key.sign_in();
    for new in [without_key, with_other_key] {
        let refused = new.run(&["store", "move", "--from", &file(&old)]);
        assert!(refused.code == Some(2) && refused.stderr.contains("both stores need one key"), "{refused}");
    }
    old.run(&["oauth", "token"]).ok();
}

#[test]
fn a_move_that_makes_no_sense_is_a_usage_error() {
    let mut nexus = Nexus::new();
    nexus.set("URL", "mysql://ada:hush@db.example.com/n");
    let own = file(&nexus);
    for (words, why) in [
        (&[][..], "needs --from or --to"),
        (&["--from", &*own], "there is no such file"),
        (&["--from", "/nowhere/sessions.db"], "/nowhere/sessions.db: there is no such file"),
        (&["--from", ""], "--from is empty"),
        (&["--from", "env:NONE"], "--from names the environment variable `NONE`, which is not set"),
        (&["--to", "env:URL"], "the URL of --to does not begin with `postgres://`"),
        (&["--to", "postgres://ada:hush@127.0.0.1/n"], "the URL of --to contains a password"),
        (&["--to", "postgres://ada@127.0.0.1/n?password=hush"], "the URL of --to contains a password"),
        (&["--to", "postgres://ada:hush@db.example.com/n?sslmode=require"], "has an `sslmode` that does not verify"),
        // A password with a character that has to be escaped, and parameters without a `?`.
        (&["--to", "postgres://ada:h@hush@127.0.0.1/n"], "the URL of --to is not a valid PostgreSQL URL"),
        (&["--to", "postgres://ada@127.0.0.1/n&password=hush"], "the URL of --to is not a valid PostgreSQL URL"),
        (&["--to", "host=db.example.com password=hush"], "the URL of --to does not begin with `postgres://`"),
    ] {
        let refused = nexus.run(&[&["store", "move"], words].concat());
        assert!(refused.code == Some(2) && refused.stderr.contains(why), "{words:?}: {refused}");
        assert!(!refused.stderr.contains("hush"), "{words:?}: {refused}");
    }
    nexus.write("config.toml", "", 0o600);
    fs::create_dir(nexus.path("data")).unwrap();
    nexus.write("data/sessions.db", "", 0o600);
    let same = nexus.run(&["store", "move", "--from", &own]);
    assert!(same.code == Some(2) && same.stderr.contains("--from and --to are both "), "{same}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_does_not_count_as_unset() {
    use std::os::unix::ffi::OsStrExt as _;
    let nexus = Nexus::new();
    let odd = std::ffi::OsStr::from_bytes(b"postgres://ada@\xff127.0.0.1/n");
    for name in ["NEXUS_STORE", "NEXUS_OWNER", "NEXUS_HOME", "NEXUS_PROVIDER", "CLAUDE_CODE_CLIENT_ID"] {
        for words in ["store status", "oauth token", "oauth token --json", "chat x", "provider list", "history list"] {
            let words: Vec<_> = words.split(' ').collect();
            let refused = nexus.finish(nexus.command(&words).env(name, odd).spawn().unwrap());
            let message = format!("the environment variable {name} is not UTF-8 text");
            let told = format!("{}{}", refused.stdout, refused.stderr);
            assert!(refused.code == Some(2) && told.contains(&message), "{words:?}: {refused}");
        }
    }
}
