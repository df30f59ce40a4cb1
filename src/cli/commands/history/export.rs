//! `nexus history export`: prints all conversations.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::history::export;

const EXAMPLES: &str = "\
Examples:
  nexus history export > conversations.json
  nexus history export --format markdown > conversations.md";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Json)]
    format: Format,

    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One object with all conversations, each as in `nexus history show --json`
    Json,
    /// One document, with a section per conversation
    Markdown,
}

impl Args {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        self.json || self.format == Format::Json
    }
}

/// Prints them, with one conversation in memory at a time.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let history = context.history()?;
    let json = args.wants_json();
    // Oldest first.
    let conversations = history.list(None)?.into_iter().rev().enumerate();
    if json {
        context.print("{\"conversations\":[")?;
    }
    for (count, (conversation, _)) in conversations {
        let turns = history.turns(&conversation.id)?;
        let separator = match (count, json) {
            (0, _) => "",
            (_, true) => ",",
            (_, false) => "\n",
        };
        match json {
            true => context.print_json(&format!("{separator}{}", export::object(&conversation, &turns)))?,
            false => context.print(&format!("{separator}{}", export::markdown(&conversation, &turns)))?,
        }
    }
    if json {
        context.print("],\"version\":1}\n")?;
    }
    Ok(0)
}
