//! What takes longer or needs more of the machine than `cargo test` should: a kill at every step of
//! every command that changes a session, disks that are full or cannot be written, a server that hangs
//! for as long as nexus waits.
//!
//! `cargo test --test hard` runs them. They need Linux, root, strace and util-linux, and fail without.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/nexus.rs"]
#[macro_use]
mod nexus;

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/stored.rs"]
mod stored;

/// Disks without room, and disks that nobody may write to.
mod disks;
/// A kill before every call that changes something.
mod kills;
/// A server that never answers.
mod patience;
