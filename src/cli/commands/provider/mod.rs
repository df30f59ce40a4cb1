//! `nexus provider ...`: the configured providers.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod default;
pub(crate) mod list;
pub(crate) mod remove;

const EXAMPLES: &str = "\
Examples:
  nexus provider list
  nexus provider default work";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// List the configured providers, which one is the default, and who is signed in
    List(list::Args),
    /// Sign out of a provider and remove its section from config.toml
    ///
    /// The session is revoked if the provider has a `revoke_url`. Comments above the section are removed with it;
    /// the rest of config.toml stays as it is. A config.toml that is a link or read-only is not changed.
    Remove(remove::Args),
    /// Choose the provider that commands use without --provider
    ///
    /// Sets `default` at the top of config.toml. NEXUS_PROVIDER takes precedence. A config.toml that is a
    /// link or read-only is not changed: the line to add is printed.
    Default(default::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::List(args) => args.json,
            Self::Remove(_) | Self::Default(_) => false,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::List(args) => list::run(&args, context),
        Command::Remove(args) => remove::run(&args, context),
        Command::Default(args) => default::run(&args, context),
    }
}
