//! Slow tests that need Linux, root, Python, util-linux and btrfs-progs: `cargo test --test hard`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a test tells how much it has covered")]

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/nexus.rs"]
#[macro_use]
mod nexus;

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/stored.rs"]
mod stored;

/// Full and read-only disks.
mod disks;
/// A kill before every system call that changes something.
mod kills;
/// A server that never answers.
mod patience;
