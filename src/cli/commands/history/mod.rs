//! `nexus history ...`: saved conversations.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod delete;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod search;
pub(crate) mod show;

const EXAMPLES: &str = "\
Examples:
  nexus history list -n 10
  nexus history search \"port taken\"";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// List conversations, most recently used first
    List(list::Args),
    /// Show a conversation: rendered and in the pager on a terminal, else as Markdown
    Show(show::Args),
    /// Search the text of conversations
    ///
    /// All words must occur, in any order. A word also matches longer words that begin with it; case and
    /// accents are ignored. Quote a phrase: `nexus history search "port taken"`. Text in scripts without
    /// spaces between words, such as Chinese, matches anywhere.
    Search(search::Args),
    /// Delete conversations permanently
    Delete(delete::Args),
    /// Print all conversations
    Export(export::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::List(args) => args.json,
            Self::Show(args) => args.json,
            Self::Search(args) => args.json,
            Self::Delete(_) => false,
            Self::Export(args) => args.wants_json(),
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::List(args) => list::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Search(args) => search::run(&args, context),
        Command::Delete(args) => delete::run(&args, context),
        Command::Export(args) => export::run(&args, context),
    }
}
