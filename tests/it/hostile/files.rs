//! Files that are damaged, replaced, or open to other users. nexus refuses them and does not change them; the session
//! works again once the files are back.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nexus::sandbox::{Sandbox, Settings};
use nexus::{Client, ErrorInfo as _, Folders};
use rusqlite::Connection;

use super::Left::Kept;
use super::{BEFORE, Ended, Row, every_row, signed_in};
use crate::nexus::{block_on, provider, sign_in};
use crate::stored::Stored;

/// A change to the files of a home, and the command that runs after it.
pub(super) struct Harm {
    does: fn(&Path),
    words: &'static [&'static str],
}

/// A command that only reads.
const READ: &[&str] = &["oauth", "token"];
/// A command that refreshes, and writes.
const WRITE: &[&str] = &["oauth", "token", "--min-ttl", "9h"];
const START: &[&str] = &["oauth", "start", "--no-browser"];

const fn row(
    name: &'static str,
    words: &'static [&'static str],
    does: fn(&Path),
    says: &'static str,
    code: i32,
) -> Row<Harm> {
    Row { name, does: Harm { does, words }, says, code, left: Kept }
}

const DATABASE: &str = "data/sessions.db";
const KEY: &str = "key/session.key";
const DAMAGED: &str = "error: [HOME]/data/sessions.db: the file is damaged; it was not changed\n  move it away, then run `nexus oauth start` to sign in again\n";
const LINK: &str = "this is a symbolic link, which could point to another user's file\n";
const CLOSED: &str = "was open to other users (mode 644); it is private now\n";
const LOGOUT: &[&str] = &["oauth", "logout"];
const FOREIGN: &str = "error: [HOME]/data/sessions.db: the tables, triggers or views in the file are not those that nexus creates; it was not changed\n  move it away, then run `nexus oauth start` to sign in again\n";
const TRIGGER: &str = "CREATE TRIGGER later AFTER INSERT ON session BEGIN DELETE FROM session; END";
const NEWER_TRIGGER: &str =
    "CREATE TRIGGER later AFTER INSERT ON session BEGIN SELECT 1; END; PRAGMA user_version = 99";
const OLDER_TRIGGER: &str = "CREATE TRIGGER later AFTER INSERT ON session BEGIN SELECT 1; END; PRAGMA user_version = 2";
const NEWER: &str = "the file was written by a newer nexus (version 99); it was not changed";
const SHUT: &str = "cannot be decrypted with the key in [HOME]/key/session.key\n";
/// The note of a command that cannot save, while the old token is valid.
const UNSAVED: &str = "note: the token was not refreshed, because the result could not be saved: ";

/// A user id that no system uses.
const STRANGER: u32 = 54_321;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn aside(path: &Path) {
    fs::rename(path, path.with_extension("aside")).unwrap();
}

fn linked(path: &Path) {
    aside(path);
    symlink(path.with_extension("aside"), path).unwrap();
}

/// Changes a member of the sealed record.
fn changed(home: &Path, name: &str, value: &str) {
    let mut stored = Stored::open(home);
    stored.session[name] = value.into();
    stored.save();
}

fn edited(home: &Path, statement: &str) {
    Connection::open(home.join(DATABASE)).unwrap().execute_batch(statement).unwrap();
}

/// The lock file of the session.
fn lock(home: &Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(home.join("state/locks")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("session-")).unwrap()
}

fn room(home: &Path) -> std::path::PathBuf {
    home.join("data").join(lock(home).with_extension("room").file_name().unwrap())
}

pub(super) const ROWS: &[Row<Harm>] = &[
    row("a database of text", READ, |home| fs::write(home.join(DATABASE), "nexus ".repeat(2_000)).unwrap(), DAMAGED, 1),
    row(
        "a database of text, before a sign-in",
        START,
        |home| fs::write(home.join(DATABASE), "text").unwrap(),
        DAMAGED,
        1,
    ),
    row(
        "half a database",
        READ,
        |home| {
            let file = fs::File::options().write(true).open(home.join(DATABASE)).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        },
        DAMAGED,
        1,
    ),
    row(
        "a database with a wrong beginning",
        READ,
        |home| {
            let path = home.join(DATABASE);
            let mut bytes = fs::read(&path).unwrap();
            bytes[3] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        DAMAGED,
        1,
    ),
    row(
        "empty database",
        READ,
        |home| fs::write(home.join(DATABASE), "").unwrap(),
        "error: not signed in to work\n",
        4,
    ),
    row("no database", READ, |home| aside(&home.join(DATABASE)), "error: not signed in to work\n", 4),
    row("a database that is a link", READ, |home| linked(&home.join(DATABASE)), LINK, 1),
    row(
        "a database that is a folder",
        READ,
        |home| {
            aside(&home.join(DATABASE));
            fs::create_dir(home.join(DATABASE)).unwrap();
        },
        "error: [HOME]/data/sessions.db: this is not a regular file\n",
        1,
    ),
    row(
        "a database that is a pipe",
        READ,
        |home| {
            aside(&home.join(DATABASE));
            assert!(Command::new("mkfifo").arg(home.join(DATABASE)).status().unwrap().success());
        },
        "error: [HOME]/data/sessions.db: this is not a regular file\n",
        1,
    ),
    row("a database that others can read", READ, |home| mode(&home.join(DATABASE), 0o644), CLOSED, 0),
    row(
        "a database of a newer nexus",
        WRITE,
        |home| edited(home, "PRAGMA user_version = 99"),
        "the file was written by a newer nexus (version 99); it was not changed",
        0,
    ),
    row(
        "a newer schema",
        READ,
        |home| edited(home, "PRAGMA user_version = 99; ALTER TABLE session RENAME COLUMN generation TO generations"),
        "error: [HOME]/data/sessions.db: the file was written by a newer nexus (version 99); it was not changed\n  upgrade nexus\n",
        1,
    ),
    row("an old generation", READ, |home| edited(home, "UPDATE session SET generation = generation + 1"), SHUT, 1),
    row(
        "a trigger that redirects a later sign-in",
        WRITE,
        |home| {
            edited(home, "CREATE TRIGGER later AFTER UPDATE ON session BEGIN DELETE FROM session; END");
        },
        FOREIGN,
        1,
    ),
    row("a trigger, when it is read", READ, |home| edited(home, TRIGGER), FOREIGN, 1),
    row("a trigger, before a sign-in", START, |home| edited(home, TRIGGER), FOREIGN, 1),
    row("a trigger, before a sign-out", LOGOUT, |home| edited(home, TRIGGER), "are not those that nexus creates", 1),
    row("a trigger in a database of a newer nexus", READ, |home| edited(home, NEWER_TRIGGER), NEWER, 1),
    row("a trigger in a database of an older nexus", READ, |home| edited(home, OLDER_TRIGGER), FOREIGN, 1),
    row(
        "a view in place of the table",
        READ,
        |home| {
            edited(home, "ALTER TABLE session RENAME TO own; CREATE VIEW session AS SELECT * FROM own");
        },
        FOREIGN,
        1,
    ),
    row("another index", READ, |home| edited(home, "CREATE INDEX other ON session(owner)"), FOREIGN, 1),
    row("another table", WRITE, |home| edited(home, "CREATE TABLE other(x)"), FOREIGN, 1),
    row(
        "a column with an expression",
        READ,
        |home| {
            edited(home, "ALTER TABLE session ADD COLUMN x TEXT AS (upper(owner))");
        },
        FOREIGN,
        1,
    ),
    row(
        "a changed record",
        READ,
        |home| edited(home, "UPDATE session SET sealed = CAST(sealed || x'00' AS BLOB)"),
        SHUT,
        1,
    ),
    row(
        "another token endpoint",
        WRITE,
        |home| changed(home, "token_url", "http://127.0.0.1:9/token"),
        "error: the session with work belongs to token_url `http://127.0.0.1:9/token`, but the configuration now names `[ORIGIN]/token`; the token was not sent\n",
        4,
    ),
    row(
        "another API",
        READ,
        |home| changed(home, "api_url", "http://127.0.0.1:9/"),
        "belongs to api_url `http://127.0.0.1:9/`",
        4,
    ),
    row(
        "no key",
        READ,
        |home| aside(&home.join(KEY)),
        "error: [HOME]/key/session.key: the key to the stored session is missing\n  restore the key file, or run `nexus oauth start` to sign in again",
        4,
    ),
    row("an empty key", READ, |home| fs::write(home.join(KEY), "").unwrap(), "line 1 is not a nexus key\n", 1),
    row("a key that is a link", READ, |home| linked(&home.join(KEY)), LINK, 1),
    row("a key that others can read", READ, |home| mode(&home.join(KEY), 0o644), CLOSED, 0),
    row("a lock that is a link", WRITE, |home| linked(&lock(home)), LINK, 1),
    row("a lock that others can open", WRITE, |home| mode(&lock(home), 0o644), CLOSED, 0),
    row(
        "a data folder that others can write to",
        WRITE,
        |home| mode(&home.join("data"), 0o777),
        "note: [HOME]/data was open to other users (mode 777); it is private now\n",
        0,
    ),
    row(
        "a state folder that others can write to",
        WRITE,
        |home| mode(&home.join("state"), 0o777),
        "note: [HOME]/state was open to other users (mode 777); it is private now\n",
        0,
    ),
    row(
        "a file in place of the data folder",
        READ,
        |home| {
            aside(&home.join("data"));
            fs::write(home.join("data"), "").unwrap();
        },
        "error: [HOME]/data/sessions.db: Not a directory",
        1,
    ),
    row(
        "a journal of nonsense",
        READ,
        |home| fs::write(home.join("data/sessions.db-journal"), "nonsense".repeat(600)).unwrap(),
        "sandbox-access-",
        0,
    ),
    row(
        "a folder of the key that others can write to",
        READ,
        |home| fs::set_permissions(home.join("key"), fs::Permissions::from_mode(0o777)).unwrap(),
        "note: [HOME]/key was open to other users (mode 777); it is private now\n",
        0,
    ),
    row(
        "a folder of the database that others can write to, when it is read",
        READ,
        |home| fs::set_permissions(home.join("data"), fs::Permissions::from_mode(0o777)).unwrap(),
        "note: [HOME]/data was open to other users (mode 777); it is private now\n",
        0,
    ),
    row("room that a killed process left", WRITE, |home| fs::write(room(home), "left").unwrap(), "sandbox-access-", 0),
    row("a folder where room is to be made", WRITE, |home| fs::create_dir(room(home)).unwrap(), UNSAVED, 0),
    row("a link where room is to be made", WRITE, |home| symlink(home.join(DATABASE), room(home)).unwrap(), UNSAVED, 0),
];

/// Cases that only root can set up.
const BY_ROOT: &[Row<Harm>] = &[
    row(
        "a database of another user",
        READ,
        |home| chown(home.join(DATABASE), Some(STRANGER), None).unwrap(),
        "error: [HOME]/data/sessions.db: this file belongs to another user\n  run nexus as the user 54321, or run `chown 0 [HOME]/data/sessions.db`",
        2,
    ),
    row(
        "a journal of another user, to be played back",
        READ,
        |home| {
            fs::write(home.join("data/sessions.db-journal"), [0; 512]).unwrap();
            chown(home.join("data/sessions.db-journal"), Some(STRANGER), None).unwrap();
        },
        "error: [HOME]/data/sessions.db-journal: this file belongs to another user\n",
        2,
    ),
    row(
        "a write-ahead log of another user, to be played back",
        READ,
        |home| {
            fs::write(home.join("data/sessions.db-wal"), [0; 512]).unwrap();
            chown(home.join("data/sessions.db-wal"), Some(STRANGER), None).unwrap();
        },
        "error: [HOME]/data/sessions.db-wal: this file belongs to another user\n",
        2,
    ),
    row(
        "a key of another user",
        READ,
        |home| chown(home.join(KEY), Some(STRANGER), None).unwrap(),
        "error: [HOME]/key/session.key: this file belongs to another user\n  run nexus as the user 54321, or run `chown 0 [HOME]/key/session.key`",
        2,
    ),
    row(
        "a data folder of another user",
        WRITE,
        |home| chown(home.join("data"), Some(STRANGER), None).unwrap(),
        "its folder [HOME]/data belongs to another user",
        2,
    ),
];

/// Copies a folder with its links and modes.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn no_file_problem_costs_the_session() {
    let root = is_root();
    let rows = ROWS.iter().map(|row| (row, true)).chain(BY_ROOT.iter().map(|row| (row, root)));
    for (row, possible) in rows {
        if possible {
            every_row(std::slice::from_ref(row), happens);
        }
    }
}

/// Whether this process is root: the owner of its entry in /proc.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

fn happens(row: &Row<Harm>) -> Ended {
    let (nexus, sandbox) = signed_in(Settings::default(), "");
    sandbox.change(|settings| settings.account = BEFORE.into());
    nexus.run(WRITE).ok();
    let (spare, work) = (tempfile::tempdir().unwrap(), ["data", "key", "state"]);
    for name in work {
        copy(&nexus.path(name), &spare.path().join(name));
    }
    let (refreshes, before) = (sandbox.refreshes_asked(), fs::read(nexus.path(DATABASE)).unwrap());
    let asked = sandbox.requests().len();
    (row.does.does)(nexus.home());
    // Reading a pipe would never end.
    let bytes = || {
        fs::symlink_metadata(nexus.path(DATABASE))
            .is_ok_and(|found| found.is_file())
            .then(|| fs::read(nexus.path(DATABASE)).unwrap())
    };
    let harmed = bytes();
    let output = nexus.run(row.does.words);
    if row.does.words == READ || output.stderr.contains(UNSAVED) || output.code != Some(0) {
        assert_eq!(bytes(), harmed, "{}: nothing is overwritten", row.name);
        assert_eq!(sandbox.refreshes_asked(), refreshes, "{}: nothing is spent", row.name);
    }
    if output.code != Some(0) {
        assert_eq!(sandbox.requests().len(), asked, "{}: nothing is sent", row.name);
    }
    // Put the files back, unless they were used and replaced.
    if sandbox.refreshes_asked() == refreshes {
        for name in work {
            let path = nexus.path(name);
            drop(if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
            copy(&spare.path().join(name), &path);
        }
        assert_eq!(fs::read(nexus.path(DATABASE)).unwrap(), before);
    }
    Ended { message: format!("{}{}", output.stdout, output.stderr), code: output.code, nexus }
}

/// The value of an earlier generation, in the row of the session that followed it.
#[test]
fn a_record_of_an_earlier_generation_does_not_open_and_nothing_is_sent() {
    let (nexus, sandbox) = signed_in(Settings::default(), "");
    let database = || Connection::open(nexus.path(DATABASE)).unwrap();
    let earlier: Vec<u8> = database().query_row("SELECT sealed FROM session", [], |row| row.get(0)).unwrap();
    nexus.run(WRITE).ok();
    database().execute("UPDATE session SET sealed = ?1", [earlier]).unwrap();
    let asked = sandbox.requests().len();
    for words in [READ, WRITE, &["oauth", "status"], &["chat", "--model", "m", "x"]] {
        let output = nexus.run(words);
        assert!(output.stderr.contains("error: [HOME]/data/sessions.db") && output.stderr.contains(SHUT), "{output}");
        assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{output}");
    }
    let output = nexus.run(LOGOUT);
    assert!(output.stderr.contains(SHUT.trim_end()), "{output}");
    assert_eq!(sandbox.requests().len(), asked, "no token was sent, not even to be revoked");
}

/// Truncates the database at many places and flips many of its bits. Each time the damage is reported, and no refresh
/// token is spent whose successor could not be saved.
#[test]
fn damage_anywhere_in_the_database_is_reported_and_spends_no_token() {
    block_on(async {
        let home = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings { rotate: false, ..Settings::default() }).await.unwrap();
        let folders = Folders::under(home.path());
        let client = Client::new(provider(&sandbox), &folders, nexus::now, Arc::new(|_| {}));
        sign_in(&client, "ada").await.unwrap();
        let path = home.path().join(DATABASE);
        let whole = fs::read(&path).unwrap();
        let cuts = (0..whole.len()).step_by(331).map(|at| whole[..at].to_vec());
        let bits = (0..whole.len()).step_by(173).map(|at| {
            let mut bent = whole.clone();
            bent[at] ^= 1 << (at % 8);
            bent
        });
        let (mut told, mut harmless) = (0, 0);
        for damaged in cuts.chain(bits) {
            fs::write(&path, &damaged).unwrap();
            match client.load("ada").await {
                // No bit of the session was flipped.
                Ok(session) => assert_eq!((session.generation, session.account().is_some()), (1, true)),
                // The provider or the owner may have changed.
                Err(error) if error.code() == "not_signed_in" => {
                    assert!([0, whole.len()].contains(&damaged.len()), "{} bytes are left", damaged.len());
                }
                Err(error) => assert_eq!(error.code(), "store", "{error}"),
            }
            assert_eq!(fs::read(&path).unwrap(), damaged, "looking changes nothing");
            let asked = sandbox.refreshes_asked();
            match client.refresh("ada").await {
                Ok(_) => {
                    harmless += 1;
                    assert_eq!(client.load("ada").await.unwrap().generation, 2, "it was saved");
                }
                Err(error) => {
                    told += 1;
                    assert!(matches!(error.code(), "store" | "not_signed_in"), "{error}");
                    assert_eq!(sandbox.refreshes_asked(), asked, "nothing was spent: {error}");
                }
            }
        }
        assert!(told > 20 && harmless > 20, "{told} told, {harmless} harmless");
    });
}
