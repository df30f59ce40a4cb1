//! The memory of a running command: hidden from other programs of its user, and independent of an answer's length.

use std::fs;
use std::process::Command;

use nexus::sandbox::{Endpoint, Gate, Piece, Scripted, Settings};

use crate::chat::{delta, signed_in, stop, stop_reason};
use crate::nexus::{Nexus, sandbox};

/// A process that is not dumpable has files in `/proc/PID` that belong to root.
#[test]
fn the_memory_of_a_sign_in_is_hidden_from_its_user() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;

    /// A user id that no system uses.
    const STRANGER: u32 = 54_321;

    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let root = fs::metadata(format!("/proc/{}", std::process::id())).unwrap().uid() == 0;
    let user = if root { STRANGER } else { fs::metadata(nexus.home()).unwrap().uid() };
    // A readable copy: the kernel always hides a program that its user cannot read.
    let program = nexus.path("program");
    fs::copy(env!("CARGO_BIN_EXE_nexus"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |mut command: Command| {
        if root {
            command.uid(user).gid(user);
        }
        command
    };
    if root {
        for path in [nexus.home().to_owned(), nexus.path("config.toml")] {
            chown(path, Some(user), Some(user)).unwrap();
        }
    }
    let owner = |id: u32| fs::metadata(format!("/proc/{id}/environ")).unwrap().uid();

    let mut other = as_user(Command::new("sleep")).arg("600").spawn().unwrap();
    let seen = owner(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(seen, user, "any other process is open to its user");

    let mut command = as_user(Command::new(program));
    command.env_clear().env("NEXUS_HOME", nexus.home()).args(["oauth", "start", "--no-browser"]);
    let mut started = nexus.watch(&mut command);
    started.url();
    assert_ne!(owner(started.id()), user);
    started.kill();
}

#[test]
fn a_long_answer_takes_no_more_memory_than_a_short_one() {
    use std::io::Read as _;

    const MIB: usize = 1024 * 1024;
    const PIECE: usize = 16 * 1024;
    const MORE: usize = 8 * MIB;

    let (sandbox, nexus) = signed_in();
    let peak = |mib: usize| {
        let gate = Gate::new();
        let text = std::iter::repeat_n(delta(&"x".repeat(PIECE)), mib * MIB / PIECE);
        let end = [Piece::Wait(gate.clone()), stop_reason("end_turn"), stop()];
        sandbox.script(Endpoint::Messages, [Scripted::stream(text.chain(end))]);
        let mut child = nexus.command(&["chat", "x"]).spawn().unwrap();
        let (mut stdout, mut piece, mut left) = (child.stdout.take().unwrap(), vec![0; PIECE], mib * MIB);
        while left > 0 {
            let read = stdout.read(&mut piece).unwrap();
            assert!(read > 0, "it ended {left} bytes too early");
            left = left.saturating_sub(read);
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        gate.open();
        nexus.finish(child);
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    };
    let (short, long) = (peak(1), peak(64));
    assert!(long < short + MORE, "{short} and {long} bytes");
}
