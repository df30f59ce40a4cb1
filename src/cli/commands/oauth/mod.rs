//! `nexus oauth ...`: the session.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod logout;
pub(crate) mod refresh;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod token;

const EXAMPLES: &str = "\
Examples:
  nexus oauth start
  nexus oauth status --all";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// Sign in: open the browser and wait for approval
    #[command(alias = "login")]
    Start(start::Args),
    /// Show the session and when its token expires, without network access; --all for every session
    Status(status::Args),
    /// Sign out: revoke the session if `revoke_url` is set, then delete it locally
    Logout(logout::Args),
    /// Print a fresh access token
    ///
    /// The token has at least 330 seconds or half its lifetime left, whichever is less. It is refreshed
    /// first if necessary.
    Token(token::Args),
    /// Refresh the token if it is past half its lifetime, for a timer; --all for every session
    ///
    /// Nothing is printed to stdout. The exit codes are those of `nexus oauth token`.
    Refresh(refresh::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Start(_) | Self::Logout(_) | Self::Refresh(_) => false,
            Self::Status(args) => args.json,
            Self::Token(args) => args.json,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Start(args) => start::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Logout(args) => logout::run(&args, context),
        Command::Token(args) => token::run(&args, context),
        Command::Refresh(args) => refresh::run(&args, context),
    }
}
