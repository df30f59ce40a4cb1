//! `nexus key ...`: where the key to the stored sessions is kept.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod r#move;
pub(crate) mod show;

/// What can be done with the key.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell who keeps the key, and make sure that it opens what is stored
    ///
    /// The key is in a file of its own by default; `key = "keyring"` or `key = "passphrase"` at the
    /// top of config.toml says where a new one goes, and `nexus key move` moves one that exists.
    Show(show::Args),
    /// Hand the key to another keeper, losing nothing
    ///
    /// `file` is a file that only you may read; `keyring` is the operating system's; `passphrase`
    /// wraps the key with what `passphrase_file` or `passphrase_command` at the top of config.toml
    /// gives. The keyring costs every command that reads the session some milliseconds, the
    /// passphrase some tenths of a second. Killed midway, nothing is lost: run it again.
    ///
    /// A new passphrase: move to `file`, change the configuration, move back.
    Move(r#move::Args),
}

impl Command {
    /// Whether failures are wanted as an object on stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Show(args) => args.json,
            Self::Move(_) => false,
        }
    }
}

/// Does it.
///
/// # Errors
/// Whatever the command meets.
pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Show(args) => show::run(&args, context),
        Command::Move(args) => r#move::run(&args, context),
    }
}
