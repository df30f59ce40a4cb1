//! Tests of the PostgreSQL store, against a real server: `cargo test --test postgres`. They need Linux and the packages
//! postgresql, pgbouncer and util-linux of Debian.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/nexus.rs"]
#[macro_use]
mod nexus;

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/browsers.rs"]
mod browsers;

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/stored.rs"]
mod stored;

mod server;

/// The library's client: outages, wrong clocks, many owners.
mod client;
/// The commands with a PostgreSQL store.
mod commands;
/// Connections that break before and after each statement.
mod connections;
/// The contract of a store, with and without a pooler.
mod contract;
/// Keys that many hosts share, and what they protect.
mod keys;
/// Many processes and one expired session; holders that are killed; a server that is restarted.
mod races;
/// Two instances of `examples/web_app.rs` on one database.
mod web_app;
