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

#[allow(dead_code, reason = "the other tests need all of it")]
#[path = "../it/network/tls.rs"]
mod authority;
mod fleet;

#[allow(dead_code, reason = "not every test needs all of it")]
mod proxy;
mod server;

/// The library's client: outages, wrong clocks, many owners; what a stolen or changed database is worth.
mod client;
/// The commands with a PostgreSQL store.
mod commands;
/// Servers that have no free connection, take no writes or say nothing; calls that are abandoned.
mod connections;
/// The contract of a store, with and without a pooler.
mod contract;
/// Kills, broken connections and crashes of the server at every step of a refresh.
mod faults;
/// Keys that many hosts share, and what they protect.
mod keys;
/// `nexus store move`, killed at every message, and while other hosts work.
mod moves;
/// Many processes and one expired session.
mod races;
/// URLs, owners, users and databases that cannot be used.
mod refusals;
/// TLS to the server and to a pooler.
mod tls;
/// Spans and counters.
mod tracing;
/// Two instances of `examples/web_app.rs` on one database.
mod web_app;
