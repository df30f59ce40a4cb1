//! Files that another user can change are not trusted: the configuration, templates, secrets, keys and databases.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use nexus::ClientAuth;
use nexus::sandbox::{Sandbox, Settings};

use crate::nexus::{Nexus, Output, config, sandbox};

/// A user id that no system uses.
pub(crate) const STRANGER: u32 = 54_321;

/// A command that reads the configuration and needs no session.
const READ: &[&str] = &["key", "show"];
const NO_KEY: &str = "no key yet: the first sign-in creates one (file)\n";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Reports a test that cannot run here. The harness hides the output of a test that passes.
pub(crate) fn skipped(test: &str, why: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {test}: {why}\n").as_bytes()).unwrap();
}

/// Whether files of other users can be made here.
pub(crate) fn by_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(test, "it needs root, to make files of another user");
    }
    root
}

/// A home with a valid configuration.
fn home() -> Nexus {
    let nexus = Nexus::new();
    nexus.configure("default = 'work'\n[provider.work]\n");
    nexus
}

#[track_caller]
fn assert_trusted(nexus: &Nexus) {
    assert_output!(nexus.run(READ), 0, stdout: NO_KEY, stderr: "");
}

/// The command ends with this error and this hint, and prints nothing else.
#[track_caller]
fn assert_refused(nexus: &Nexus, words: &[&str], error: &str, fix: &str) {
    let refused = nexus.run(words);
    assert_refusal(&refused, error, fix);
}

#[track_caller]
fn assert_refusal(output: &Output, error: &str, fix: &str) {
    let hint = output.stderr.split_once(&format!("error: {error}\n  ")).map(|(_, hint)| hint);
    assert!(hint.is_some_and(|hint| hint.contains(&format!("`{fix}`"))), "expected {error} and {fix}\ngot {output}");
    assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output}");
}

/// A second folder beside the home, for the targets of links. It is private.
fn outside(nexus: &mut Nexus) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    nexus.name(&folder.path().to_string_lossy(), "[OUTSIDE]");
    folder
}

#[test]
fn a_configuration_that_others_can_write_runs_no_program() {
    let nexus = home();
    nexus.configure("key = 'passphrase'\npassphrase_command = ['touch', 'ran']\n[provider.work]\n");
    for (loose, fix) in [(0o666, "chmod go-w [HOME]/config.toml"), (0o602, "chmod go-w [HOME]/config.toml")] {
        mode(&nexus.path("config.toml"), loose);
        for words in [READ, &["key", "move", "passphrase"], &["chat", "x"], &["models"], &["oauth", "start"]] {
            assert_refused(&nexus, words, "[HOME]/config.toml: other users can write to this file", fix);
        }
    }
    let error = nexus.run(&["models", "--json"]).json();
    assert_eq!((&error["error"]["reason"], &error["error"]["exit_code"]), (&"untrusted_file".into(), &2.into()));
    assert!(!nexus.path("ran").exists());
    mode(&nexus.path("config.toml"), 0o644);
    nexus.run(READ).ok();
}

#[test]
fn a_folder_that_others_can_write_is_refused_unless_it_is_sticky() {
    let mut nexus = home();
    let (error, fix) = ("other users can write to its folder [HOME]", "chmod go-w [HOME]");
    for loose in [0o777, 0o703] {
        mode(nexus.home(), loose);
        assert_refused(&nexus, READ, &format!("[HOME]/config.toml: {error}"), fix);
    }
    mode(nexus.home(), 0o1777);
    assert_trusted(&nexus);
    // Folders further up count, too, and relative paths lead through them.
    fs::create_dir_all(nexus.path("a b/c")).unwrap();
    fs::copy(nexus.path("config.toml"), nexus.path("a b/c/config.toml")).unwrap();
    nexus.set("NEXUS_HOME", "a b/x/../c");
    fs::create_dir(nexus.path("a b/x")).unwrap();
    assert_trusted(&nexus);
    mode(&nexus.path("a b/c/config.toml"), 0o666);
    let error = "[HOME]/a b/x/../c/config.toml: other users can write to this file";
    assert_refused(&nexus, READ, error, "chmod go-w '[HOME]/a b/c/config.toml'");
    mode(&nexus.path("a b/c/config.toml"), 0o600);
    mode(&nexus.path("a b"), 0o777);
    let error = "[HOME]/a b/x/../c/config.toml: other users can write to its folder [HOME]/a b";
    assert_refused(&nexus, READ, error, "chmod go-w '[HOME]/a b'");
}

#[test]
fn without_a_configuration_the_folder_of_the_session_is_checked() {
    let nexus = Nexus::new();
    mode(nexus.home(), 0o777);
    nexus.run(&["history", "list"]).ok();
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    fs::rename(nexus.path("config.toml"), nexus.path("aside")).unwrap();
    mode(nexus.home(), 0o777);
    let asked = sandbox.requests().len();
    let error = "[HOME]/data/sessions.db: other users can write to its folder [HOME]";
    assert_refused(&nexus, &["oauth", "token", "--provider", "claude_code"], error, "chmod go-w [HOME]");
    assert_eq!(sandbox.requests().len(), asked);
}

#[test]
fn links_are_followed_and_every_folder_on_the_way_is_checked() {
    let mut nexus = home();
    let outside = outside(&mut nexus);
    let at = |name: &str| outside.path().join(name);
    // As stow does it (a relative link), as home-manager does (a chain), and as Kubernetes does (a linked folder).
    fs::create_dir_all(at("data/real")).unwrap();
    fs::rename(nexus.path("config.toml"), at("data/real/config.toml")).unwrap();
    symlink("real", at("data/current")).unwrap();
    symlink("../data/current/config.toml", at("data/chain")).unwrap();
    symlink(at("data/chain"), nexus.path("config.toml")).unwrap();
    assert_trusted(&nexus);
    for (folder, name) in [("data", "[OUTSIDE]/data"), ("data/real", "[OUTSIDE]/data/real"), ("", "[OUTSIDE]")] {
        let folder = if folder.is_empty() { outside.path().to_owned() } else { at(folder) };
        mode(&folder, 0o777);
        let error = format!("[HOME]/config.toml: other users can write to its folder {name}");
        assert_refused(&nexus, READ, &error, &format!("chmod go-w {name}"));
        mode(&folder, 0o755);
    }
    mode(&at("data/real/config.toml"), 0o666);
    let error = "[HOME]/config.toml: other users can write to its target [OUTSIDE]/data/real/config.toml";
    assert_refused(&nexus, READ, error, "chmod go-w [OUTSIDE]/data/real/config.toml");
    // A link to nothing is an error, and so is a circle.
    fs::remove_file(at("data/real/config.toml")).unwrap();
    let dangling = nexus.run(READ);
    assert!(dangling.code == Some(2) && dangling.stderr.contains("which does not exist"), "{dangling}");
    symlink("chain", at("data/real/config.toml")).unwrap();
    symlink("config.toml", at("data/real/chain")).unwrap();
    assert_eq!(nexus.run(READ).code, Some(2));
}

fn signed_in(top: &str, lines: &str) -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings {
        client_secret: Some("hush-4711".into()),
        client_auth: ClientAuth::Basic,
        ..Settings::default()
    });
    let nexus = Nexus::at(&sandbox);
    nexus.write("secret", "hush-4711\n", 0o600);
    nexus.write("pass", "correct horse\n", 0o600);
    nexus.configure(&format!("{top}\n{}", config(&sandbox, lines)));
    (sandbox, nexus)
}

#[test]
fn every_file_that_the_configuration_names_is_checked() {
    let (sandbox, nexus) = signed_in(
        "key = 'passphrase'\npassphrase_file = 'pass'",
        "client_secret_file = 'secret'\napi_headers = { x-key = { file = 'header' } }\nca_file = 'ca.pem'",
    );
    nexus.write("header", "key of the gateway", 0o600);
    let authority = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap();
    nexus.write("ca.pem", &authority.cert.pem(), 0o600);
    nexus.sign_in();
    fs::create_dir(nexus.path("templates")).unwrap();
    nexus.write("templates/joke.toml", "prompt = 'Tell a joke.'", 0o600);
    let asked = sandbox.requests().len();
    let chat = ["chat", "--model", "sandbox-small", "-t", "joke"];
    for (name, words) in [
        ("pass", &["oauth", "token"][..]),
        ("secret", &["chat", "--model", "sandbox-small", "x"]),
        ("header", &["chat", "--model", "sandbox-small", "x"]),
        ("ca.pem", &["chat", "--model", "sandbox-small", "x"]),
        ("templates/joke.toml", &chat),
    ] {
        let path = nexus.path(name);
        mode(&path, 0o666);
        let error = format!("[HOME]/{name}: other users can write to this file");
        assert_refused(&nexus, words, &error, &format!("chmod go-w [HOME]/{name}"));
        // A pipe could keep the command waiting.
        fs::rename(&path, nexus.path("aside")).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let output = nexus.run(words);
        assert!(output.stderr.contains("not a regular file") && output.stdout.is_empty(), "{output}");
        assert_ne!(output.code, Some(0));
        fs::remove_file(&path).unwrap();
        nexus.write(name, &"x".repeat(1024 * 1024 + 1), 0o600);
        let output = nexus.run(words);
        assert!(output.stderr.contains("larger than 1 MiB") || output.stderr.contains("more than 4096"), "{output}");
        fs::rename(nexus.path("aside"), &path).unwrap();
        mode(&path, 0o600);
    }
    mode(&nexus.path("templates"), 0o777);
    let error = "[HOME]/templates/joke.toml: other users can write to its folder [HOME]/templates";
    assert_refused(&nexus, &chat, error, "chmod go-w [HOME]/templates");
    assert_eq!(sandbox.requests().len(), asked);
    mode(&nexus.path("templates"), 0o700);
    nexus.run(&chat).ok();
}

#[test]
fn files_of_other_users_and_groups_are_refused() {
    if !by_root("files_of_other_users_and_groups_are_refused") {
        return;
    }
    let otherwise = format!("\n  run nexus as the user {STRANGER}, or run `");
    let owned = |nexus: &Nexus, error: &str, fix: &str| {
        assert_refused(nexus, READ, error, fix);
        assert!(nexus.run(READ).stderr.contains(&otherwise));
    };
    let mut nexus = home();
    let path = nexus.path("config.toml");
    chown(&path, Some(STRANGER), None).unwrap();
    let error = "[HOME]/config.toml: this file belongs to another user";
    owned(&nexus, error, "chown 0 [HOME]/config.toml");
    chown(&path, Some(0), None).unwrap();
    chown(nexus.home(), Some(STRANGER), None).unwrap();
    owned(&nexus, "[HOME]/config.toml: its folder [HOME] belongs to another user", "chown 0 [HOME]");
    // The owner of a sticky folder can replace what is in it.
    mode(nexus.home(), 0o1777);
    owned(&nexus, "[HOME]/config.toml: its folder [HOME] belongs to another user", "chown 0 [HOME]");
    chown(nexus.home(), Some(0), None).unwrap();
    mode(nexus.home(), 0o700);
    // The user's own group has no other member.
    mode(&path, 0o660);
    assert_trusted(&nexus);
    chown(&path, None, Some(STRANGER)).unwrap();
    let error = "[HOME]/config.toml: other users can write to this file";
    assert_refused(&nexus, READ, error, "chmod go-w [HOME]/config.toml");
    chown(&path, None, Some(0)).unwrap();
    mode(&path, 0o600);
    // A link can be replaced by its owner in a sticky folder.
    let outside = outside(&mut nexus);
    fs::rename(&path, outside.path().join("config.toml")).unwrap();
    symlink(outside.path().join("config.toml"), &path).unwrap();
    assert_trusted(&nexus);
    lchown(&path, Some(STRANGER), None).unwrap();
    let error = "[HOME]/config.toml: the link [HOME]/config.toml belongs to another user";
    owned(&nexus, error, "chown -h 0 [HOME]/config.toml");
}

/// An access control list grants a user what the mode shows for the group.
#[cfg(target_os = "linux")]
#[test]
fn an_access_control_list_is_no_own_group() {
    use rustix::fs::{XattrFlags, setxattr};
    if !by_root("an_access_control_list_is_no_own_group") {
        return;
    }
    let nexus = home();
    // Version 2; the owner, a named user, the group, the mask, others: tag, permissions, id.
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in
        [(1u16, 6u16, u32::MAX), (2, 6, STRANGER), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    if let Err(error) = setxattr(nexus.path("config.toml"), "system.posix_acl_access", &list, XattrFlags::empty()) {
        skipped("an_access_control_list_is_no_own_group", &error.to_string());
        return;
    }
    let error = "[HOME]/config.toml: other users can write to this file";
    assert_refused(&nexus, READ, error, "chmod go-w [HOME]/config.toml");
    mode(&nexus.path("config.toml"), 0o640);
    assert_trusted(&nexus);
}

/// Runs the program as another user.
pub(crate) fn run_as_stranger(nexus: &Nexus, words: &[&str]) -> Output {
    let id = STRANGER.to_string();
    let before = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"].map(String::from);
    nexus.run_after(&before, words)
}

#[test]
fn a_user_trusts_root_and_no_other_user() {
    if !by_root("a_user_trusts_root_and_no_other_user") {
        return;
    }
    let mut nexus = home();
    nexus.set("PATH", "/usr/bin:/bin");
    mode(&nexus.path("config.toml"), 0o644);
    mode(nexus.home(), 0o755);
    let output = run_as_stranger(&nexus, READ);
    if output.stderr.contains("failed to execute") {
        skipped("a_user_trusts_root_and_no_other_user", "other users cannot run the program here");
        return;
    }
    assert_output!(output, 0, stdout: NO_KEY, stderr: "");
    let sudo = |error: &str, fix: &str| assert_refusal(&run_as_stranger(&nexus, READ), error, fix);
    mode(nexus.home(), 0o777);
    let error = "[HOME]/config.toml: other users can write to its folder [HOME]";
    sudo(error, "sudo chmod go-w [HOME]");
    mode(nexus.home(), 0o755);
    chown(nexus.path("config.toml"), Some(STRANGER + 1), None).unwrap();
    let error = "[HOME]/config.toml: this file belongs to another user";
    sudo(error, &format!("sudo chown {STRANGER} [HOME]/config.toml"));
    chown(nexus.path("config.toml"), Some(STRANGER), None).unwrap();
    chown(nexus.home(), Some(STRANGER), Some(STRANGER)).unwrap();
    assert_output!(run_as_stranger(&nexus, READ), 0, stdout: NO_KEY, stderr: "");
    // The members of a group that /etc/group does not list are not known.
    mode(nexus.home(), 0o775);
    sudo("[HOME]/config.toml: other users can write to its folder [HOME]", "chmod go-w [HOME]");
}

/// A user namespace shows the owners outside of it, such as root, as one id.
#[cfg(target_os = "linux")]
#[test]
fn folders_of_the_users_outside_a_namespace_pass_if_no_one_can_write_to_them() {
    let test = "folders_of_the_users_outside_a_namespace_pass_if_no_one_can_write_to_them";
    if !by_root(test) {
        return;
    }
    let mut nexus = home();
    nexus.set("PATH", "/usr/bin:/bin");
    let inside = ["unshare", "--user", "--map-root-user"].map(String::from);
    let output = nexus.run_after(&inside, READ);
    if output.stderr.contains("unshare") {
        skipped(test, &output.stderr);
        return;
    }
    assert_output!(output, 0, stdout: NO_KEY, stderr: "");
    mode(nexus.home(), 0o755);
    chown(nexus.home(), Some(STRANGER), None).unwrap();
    assert_output!(nexus.run_after(&inside, READ), 0, stdout: NO_KEY, stderr: "");
    assert_eq!(nexus.run(READ).code, Some(2), "outside, this is another user");
    chown(nexus.home(), Some(65_534), None).unwrap();
    assert_eq!(nexus.run(READ).code, Some(2), "outside, 65534 is a user");
    mode(nexus.home(), 0o775);
    assert_eq!(nexus.run_after(&inside, READ).code, Some(2), "a group can write");
    mode(nexus.home(), 0o1777);
    assert_output!(nexus.run_after(&inside, READ), 0, stdout: NO_KEY, stderr: "");
    mode(nexus.home(), 0o755);
    mode(&nexus.path("config.toml"), 0o644);
    chown(nexus.path("config.toml"), Some(STRANGER), None).unwrap();
    assert_eq!(nexus.run_after(&inside, READ).code, Some(2), "a file is not a folder");
}

#[test]
fn the_demo_runs_whatever_the_umask() {
    for umask in ["000", "027", "777"] {
        let mut nexus = Nexus::new();
        fs::create_dir(nexus.path("tmp")).unwrap();
        nexus.set("TMPDIR", &nexus.path("tmp").to_string_lossy());
        let before = ["/bin/sh", "-c", &format!("umask {umask}; exec \"$@\""), "sh"].map(String::from);
        let output = nexus.run_after(&before, &["demo", "--yes"]);
        assert_eq!(output.code, Some(0), "umask {umask}: {output}");
    }
}

#[test]
fn a_history_with_another_trigger_is_refused() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.run(&["chat", "--history", "--model", "sandbox-small", "hello"]).ok();
    nexus.run(&["history", "search", "hello"]).ok();
    let history = rusqlite::Connection::open(nexus.path("data/history.db")).unwrap();
    history.execute_batch("CREATE TRIGGER later AFTER INSERT ON turn BEGIN DELETE FROM conversation; END").unwrap();
    let asked = sandbox.requests().len();
    for words in [&["history", "list"][..], &["history", "delete", "--all", "--yes"], &["chat", "-c", "x"]] {
        let output = nexus.run(words);
        let error = "error: [HOME]/data/history.db: the tables, triggers or views in the file are not those that nexus \
                     creates; it was not changed\n  move it away to start a new history\n";
        assert!(output.stderr.contains(error), "{output}");
        assert_eq!(output.code, Some(1), "{output}");
    }
    assert_eq!(sandbox.requests().len(), asked);
}
