//! `nexus config ...`: the configuration.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod show;

const EXAMPLES: &str = "\
Examples:
  nexus config show
  nexus help config     # describes every key of config.toml";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show each value of the configuration, and where it comes from
    ///
    /// Prints the paths of the files and folders, then the keys at the top of config.toml and those of a provider.
    /// Secrets are masked.
    Show(show::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Show(args) => args.json,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Show(args) => show::run(&args, context),
    }
}
