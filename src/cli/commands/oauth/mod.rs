//! `nexus oauth ...`: the session's life.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod logout;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod token;

/// What can be done with a session.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in: open the browser and wait for approval
    Start(start::Args),
    /// Show the session and when its token expires, without network access
    Status(status::Args),
    /// Sign out: revoke the session if `revoke_url` is set, then delete it locally
    Logout(logout::Args),
    /// Print a fresh access token
    Token(token::Args),
}

impl Command {
    /// Whether failures are wanted as an object on stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Start(_) | Self::Logout(_) => false,
            Self::Status(args) => args.json,
            Self::Token(args) => args.json,
        }
    }
}

/// Does it.
///
/// # Errors
/// Whatever the command meets.
pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Start(args) => start::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Logout(args) => logout::run(&args, context),
        Command::Token(args) => token::run(&args, context),
    }
}
