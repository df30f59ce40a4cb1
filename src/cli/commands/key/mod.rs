//! `nexus key ...`: the key to the stored sessions.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod r#move;
pub(crate) mod show;

const EXAMPLES: &str = "\
Examples:
  nexus key show
  nexus key move keyring";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show where the key is kept, and check that it opens the stored sessions
    ///
    /// By default the key is in a file. `key = "keyring"` or `key = "passphrase"` at the top of config.toml
    /// decides where a new key is created; `nexus key move` replaces an existing one. A key that is elsewhere than
    /// config.toml says is not opened.
    Show(show::Args),
    /// Move the key to another backend
    ///
    /// A move creates a new key, seals everything that is stored with it, and removes the old key. Old copies of
    /// the key and of the sessions do not open what is stored from then on.
    ///
    /// `file` is a file that only you can read. `keyring` is the operating system's keyring. `passphrase`
    /// is a file that is encrypted with the passphrase from `passphrase_file` or `passphrase_command` at
    /// the top of config.toml. Every command that reads a session takes a few milliseconds longer with
    /// `keyring`, and some tenths of a second longer with `passphrase`. An interrupted move loses nothing:
    /// run it again.
    ///
    /// To change the passphrase, move the key to `file`, change the configuration, and move it back.
    Move(r#move::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Show(args) => args.json,
            Self::Move(_) => false,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Show(args) => show::run(&args, context),
        Command::Move(args) => r#move::run(&args, context),
    }
}
