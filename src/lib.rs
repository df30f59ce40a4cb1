//! `nexus` signs a person in once, with OAuth, and then lets every shell, script and program on
//! that account use Claude without an API key.
//!
//! This crate is the program; `src/main.rs` is three lines. Another Rust program, such as a web
//! application, comes in by [`account`], where there is an example to begin with.
//!
//! # How a sign-in travels
//!
//! 1. [`oauth::callback`] binds the listener, so that the redirect URI exists before anybody is sent
//!    there;
//! 2. [`oauth::attempt`] begins: a fresh `state`, a fresh PKCE verifier, the authorization URL;
//! 3. the browser is opened, and the URL printed either way;
//! 4. the listener waits for the one callback that carries our state; whatever else knocks is turned
//!    away and the wait goes on;
//! 5. the session's lock is taken and its store proven writable, and only then
//! 6. the attempt redeems the code at the token [`oauth::endpoint`]: both are spent, and
//!    [`session::vault`] keeps the session, sealed;
//! 7. the browser and the terminal are told.
//!
//! # How a chat travels
//!
//! 1. words become `cli` values, and the prompt is settled before anything is asked of the network;
//! 2. one read of the store gives the session; if its token serves, nothing is locked or written;
//! 3. else [`session::renew`] holds the session, looks again, and refreshes once for everybody who
//!    waits;
//! 4. [`api`] asks, and gives back an answer before any text of it;
//! 5. piece, write, flush, until the terminal event: without it the answer is a failure, so half an
//!    answer never passes for a whole one.
//!
//! The one backward step: a 401 before the first byte renews *that generation* of the session, once.
//!
//! # Who knows whom
//!
//! Words become values (`cli`), values become verbs (`commands`), verbs use rooms. A room never looks
//! up: [`session`] knows [`oauth`], [`oauth`] and [`api`] do not know each other, and what comes from
//! outside (the clock, the environment, the browser) is handed down as values by `world`. A test
//! holds the rooms to it.

use std::ffi::OsString;

use clap::Parser as _;

mod cli;
mod commands;
mod world;

pub mod account;

pub mod oauth;
pub mod session;

pub mod api;
pub mod batch;
pub mod history;

pub mod loopback;
pub mod markdown;
pub mod sandbox;

mod database;
pub mod failure;
pub mod http;
pub mod moment;
mod private;
pub mod provider;
pub mod secret;
pub mod terminal;

#[doc(inline)]
pub use account::{Accounts, Folders};
pub use failure::Failure;
pub use provider::Provider;
pub use world::now;

/// The grammar of the command line, for the test that draws the completion scripts.
#[doc(hidden)]
pub fn grammar() -> clap::Command {
    <cli::Cli as clap::CommandFactory>::command()
}

/// Does what the words say, the program's name first, and gives the process's exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    world::hide_memory();
    world::hush_panics();
    let words = cli::asked_for_help(words.into_iter().collect());
    match cli::Cli::try_parse_from(&words) {
        Ok(cli) => commands::run(cli),
        Err(error) => commands::misunderstood(error, &words),
    }
}
