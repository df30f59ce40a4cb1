//! Full and read-only disks: small file systems in a mount namespace of their own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, approve, block_on, lifetime, sandbox, visit};

/// A mount namespace in which a folder of the home is a separate file system.
struct Disk<'a> {
    nexus: &'a Nexus,
    folder: PathBuf,
    keeper: Child,
}

impl<'a> Disk<'a> {
    /// A tmpfs with these options and the folder's files.
    fn under(nexus: &'a Nexus, folder: &str, options: &str) -> Self {
        let mounted = Self::mounted(nexus, folder, "mount -t tmpfs -o \"$1\" disk \"$0\"", options);
        mounted.expect("only root can mount")
    }

    /// A Btrfs with this quota, if the kernel has loop devices and Btrfs.
    fn shared(nexus: &'a Nexus, folder: &str, share: &str) -> Option<Self> {
        let mount = "image=$(mktemp); truncate -s 128M \"$image\"; mkfs.btrfs -q \"$image\" >/dev/null 2>&1; \
                     mount -o loop \"$image\" \"$0\"; rm \"$image\"; \
                     btrfs quota enable \"$0\"; btrfs qgroup limit \"$1\" \"$0\"";
        Self::mounted(nexus, folder, mount, share)
    }

    fn mounted(nexus: &'a Nexus, folder: &str, mount: &str, options: &str) -> Option<Self> {
        let folder = nexus.path(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let script = format!(
            "set -e; spare=$(mktemp -d); cp -a \"$0/.\" \"$spare\"; {mount}; cp -a \"$spare/.\" \"$0\"; rm -r \"$spare\"; \
             echo ready; read -r end || true"
        );
        let mut keeper = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .arg(&folder)
            .arg(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is installed");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let disk = Self { nexus, folder, keeper };
        (line == "ready\n").then_some(disk)
    }

    fn enter(&self) -> Vec<String> {
        let id = self.keeper.id().to_string();
        ["nsenter", "-t", &id, "-m", "--"].map(String::from).into()
    }

    fn run(&self, words: &[&str]) -> Output {
        self.nexus.run_after(&self.enter(), words)
    }

    fn spawn(&self, words: &[&str]) -> Child {
        self.nexus.command_after(&self.enter(), words).spawn().unwrap()
    }

    /// A path on the disk, from outside the namespace.
    fn path(&self, name: &str) -> PathBuf {
        let inside = self.folder.join(name);
        PathBuf::from(format!("/proc/{}/root{}", self.keeper.id(), inside.display()))
    }

    /// Fills the disk to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.path("filler")).unwrap();
        for size in [1 << 16, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }

    fn remount(&self, options: &str) {
        let enter = self.enter();
        let (program, arguments) = enter.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(arguments).args(["mount", "-o", &format!("remount,{options}")]).arg(&self.folder);
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

const FULL: &str = "error: [HOME]/data/sessions.db: the disk is full\n  free some space, then run the command again\n";

/// Fills the disk: a refresh fails before the token is spent, and works when there is space again.
fn assert_no_refresh_until_free(sandbox: &Sandbox, disk: &Disk<'_>, message: &str) {
    disk.fill();
    assert_output!(disk.run(&["oauth", "token"]), 1, stdout: "", stderr: message);
    assert_eq!(disk.run(&["oauth", "status"]).code, Some(0), "reading needs no space");
    assert_eq!(sandbox.refreshes_asked(), 0);
    disk.free();
    disk.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.refreshes_asked(), 1);
}

#[test]
fn a_full_disk_is_found_before_the_refresh_token_is_spent() {
    let (sandbox, nexus) = Nexus::expired();
    let disk = Disk::under(&nexus, "data", "size=1m");
    assert_no_refresh_until_free(&sandbox, &disk, FULL);
}

#[test]
fn a_used_up_quota_is_reported_differently_from_a_full_disk() {
    let (sandbox, nexus) = Nexus::expired();
    let Some(disk) = Disk::shared(&nexus, "data", "640K") else {
        // The harness hides the output of a test that passes.
        let text = "SKIPPED: no share of a disk was used up, for want of mkfs.btrfs, a loop device or Btrfs\n";
        return std::io::stderr().write_all(text.as_bytes()).unwrap();
    };
    let text = "error: [HOME]/data/sessions.db: the disk quota is used up\n  delete some of your files, then \
                run the command again\n";
    assert_no_refresh_until_free(&sandbox, &disk, text);
}

#[test]
fn a_full_disk_is_a_note_while_the_old_token_is_valid() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let disk = Disk::under(&nexus, "data", "size=1m");
    disk.fill();
    let output = disk.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert!(output.code == Some(0) && output.stdout.starts_with("sandbox-access-"), "{output}");
    let note = "note: the token was not refreshed, because the result could not be saved: [HOME]/data/sessions.db: the \
                disk is full\n";
    assert!(output.stderr.starts_with(note), "{output}");
    assert_eq!(sandbox.refreshes_asked(), 0);
    assert_eq!(disk.run(&["chat", "x"]).code, Some(0));
}

#[test]
fn a_disk_that_fills_up_during_a_refresh_has_space_for_the_new_tokens() {
    let large = "x".repeat(16 << 10);
    for tokens in [json!({}), json!({ "access_token": large, "refresh_token": large })] {
        let (sandbox, nexus) = Nexus::expired();
        let tokens = tokens.as_object().unwrap().clone();
        sandbox.change(|settings| settings.token_extra = tokens);
        let disk = Disk::under(&nexus, "data", "size=1m");
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
        let child = disk.spawn(&["oauth", "token"]);
        block_on(gate.arrived(1));
        disk.fill();
        gate.open();
        let output = nexus.finish(child);
        assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
        assert_eq!(disk.run(&["oauth", "token"]).stdout, output.stdout, "it was saved");
        assert_eq!(sandbox.refreshes_asked(), 1);
    }
}

#[test]
fn a_disk_that_fills_up_during_a_sign_in_has_space_for_the_session() {
    let (sandbox, nexus) = Nexus::expired();
    let disk = Disk::under(&nexus, "data", "size=1m");
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let mut started = nexus.watch(&mut nexus.command_after(&disk.enter(), &["oauth", "start", "--no-browser"]));
    let back = approve(&started.url());
    let browser = std::thread::spawn(move || visit(&back));
    block_on(gate.arrived(1));
    disk.fill();
    gate.open();
    assert!(browser.join().unwrap().2.contains("Signed in"));
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(disk.run(&["oauth", "status"]).stdout.starts_with("Token active"));
}

#[test]
fn a_full_disk_fails_before_the_browser_opens() {
    let sandbox = sandbox(Settings::default());
    for folder in ["data", "key"] {
        let nexus = Nexus::at(&sandbox);
        let disk = Disk::under(&nexus, folder, "size=16k");
        disk.fill();
        let output = disk.run(&["oauth", "start", "--no-browser"]);
        assert_eq!(output.code, Some(1), "{folder}: {output}");
        assert!(
            output.stderr.starts_with("error: [HOME]/") && output.stderr.contains("the disk is full\n"),
            "{output}"
        );
        disk.free();
        drop(disk);
    }
    assert_eq!(sandbox.requests().len(), 0);
}

#[test]
fn a_disk_without_inodes_is_found_before_the_refresh_token_is_spent() {
    let (sandbox, nexus) = Nexus::expired();
    let disk = Disk::under(&nexus, "data", "size=1m,nr_inodes=2");
    let output = disk.run(&["oauth", "token"]);
    assert_eq!((output.code, &*output.stderr), (Some(1), FULL), "{output}");
    assert_eq!(sandbox.refreshes_asked(), 0);
}

#[test]
fn a_read_only_disk_serves_the_token_and_spends_none() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let disk = Disk::under(&nexus, "data", "size=1m");
    disk.remount("ro");
    assert_eq!(disk.run(&["oauth", "token"]).code, Some(0));
    assert_eq!(disk.run(&["chat", "x"]).code, Some(0));
    let output = disk.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert!(
        output.code == Some(0) && output.stderr.starts_with("note: the token was not refreshed, because"),
        "{output}"
    );
    sandbox.expire_access();
    let output = disk.run(&["chat", "x"]);
    assert_eq!(output.code, Some(1), "{output}");
    let text = "error: [HOME]/data/sessions.db: the file or its folder is not writable\n  make both writable, ";
    assert!(output.stderr.starts_with(text), "{output}");
    assert_eq!(sandbox.refreshes_asked(), 0);
    disk.remount("rw");
    assert_eq!(disk.run(&["chat", "x"]).code, Some(0));
    assert_eq!(sandbox.refreshes_asked(), 1);
    // A session that cannot be deleted is still revoked.
    disk.remount("ro");
    let output = disk.run(&["oauth", "logout"]);
    assert!(output.code == Some(1) && output.stderr.contains("the local session could not be deleted: "), "{output}");
    assert!(
        output.stderr.contains("Revoked the session at [SERVER]\n") && sandbox.counts().revocations == 1,
        "{output}"
    );
}

#[test]
fn a_disk_that_becomes_read_only_during_a_refresh_is_reported() {
    let (sandbox, nexus) = Nexus::expired();
    let disk = Disk::under(&nexus, "data", "size=1m");
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let child = disk.spawn(&["oauth", "token"]);
    block_on(gate.arrived(1));
    disk.remount("ro");
    gate.open();
    let output = nexus.finish(child);
    assert!(output.code == Some(0) && output.stdout.starts_with("sandbox-access-"), "this request is served: {output}");
    let text = "note: the refreshed session could not be saved and will be lost when this command ends: \
                [HOME]/data/sessions.db: ";
    assert!(output.stderr.contains(text), "{output}");
    disk.remount("rw");
    let next = disk.run(&["oauth", "token"]);
    assert!(next.code == Some(4) && next.stderr.contains(" was cut off before its response was saved\n"), "{next}");
}

#[test]
fn a_disk_that_is_writable_again_in_time_gets_the_new_tokens() {
    let (sandbox, nexus) = Nexus::expired();
    let disk = Disk::under(&nexus, "data", "size=1m");
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let child = disk.spawn(&["oauth", "token"]);
    block_on(gate.arrived(1));
    disk.remount("ro");
    gate.open();
    block_on(sandbox.until(|sandbox| sandbox.refreshes() == 1));
    disk.remount("rw");
    let output = nexus.finish(child);
    assert!(output.code == Some(0) && output.stderr.is_empty(), "{output}");
    assert_eq!(disk.run(&["oauth", "token"]).stdout, output.stdout);
}
