//! `nexus key ...`: the keys to the stored sessions.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod activate;
pub(crate) mod add;
pub(crate) mod r#move;
pub(crate) mod reseal;
pub(crate) mod retire;
pub(crate) mod show;

const EXAMPLES: &str = "\
Examples:
  nexus key show
  nexus key move keyring
  nexus key add";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show where the key is kept, and check that it opens the stored sessions
    ///
    /// By default the key is in a file. `key = "keyring"` or `key = "passphrase"` at the top of config.toml
    /// decides where a new key is created; `nexus key move` replaces an existing one. A key that is elsewhere than
    /// config.toml says is not opened.
    ///
    /// Several keys are listed with what is sealed with them. One of them is active and seals new values: the one that
    /// a PostgreSQL store names, or else the first one.
    Show(show::Args),
    /// Make a new key, and print its id
    ///
    /// To replace the key of a store without a pause, run `nexus key add`, copy the new line of the key file to every
    /// machine that shares the store, and run on one of them `nexus key activate ID`, `nexus key reseal` and
    /// `nexus key retire OLD_ID`. Then remove the old line from the key file of the other machines.
    ///
    /// The line, `ID BASE64`, is added to the key file. Where key_command prints the keys, `--out` says where to
    /// write it.
    Add(add::Args),
    /// Make a key the active one, which seals new values
    ///
    /// It is refused if this machine does not have the key. With a PostgreSQL store, the key is active for all
    /// machines.
    Activate(activate::Args),
    /// Seal everything that is stored with the active key
    ///
    /// Other processes and machines may go on. An interrupted run loses nothing: run it again.
    Reseal(reseal::Args),
    /// Remove a key that nothing is sealed with any more
    ///
    /// It is refused for the active key, and while a session, a pending sign-in or a registered client is sealed with
    /// the key. It removes the key from this machine only.
    Retire(retire::Args),
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
            Self::Add(args) => args.json,
            Self::Reseal(args) => args.json,
            Self::Activate(_) | Self::Retire(_) | Self::Move(_) => false,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Show(args) => show::run(&args, context),
        Command::Add(args) => add::run(&args, context),
        Command::Activate(args) => activate::run(&args, context),
        Command::Reseal(args) => reseal::run(&args, context),
        Command::Retire(args) => retire::run(&args, context),
        Command::Move(args) => r#move::run(&args, context),
    }
}
