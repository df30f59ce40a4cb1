//! `nexus history search`: searches the text of conversations.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::history::store::Found;
use crate::cli::history::{export, layout};
use nexus::internal::{clean, time};

const EXAMPLES: &str = "\
Examples:
  nexus history search \"port taken\"
  nexus history search -n 5 -- --verbose";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Words to search for; all must occur
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,

    /// Maximum number of results
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the matches, latest first.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let found = context.history()?.search(&args.words, args.limit)?;
    if args.json {
        let found: Vec<_> = found.iter().map(export::found).collect();
        context.print_object(&json!({ "version": 1, "found": found }))?;
        return Ok(0);
    }
    match context.screen() {
        Some(screen) => context.print_laid_out(&layout::matches(&found, screen))?,
        None => {
            let line = |found: &Found| {
                let (id, at) = (&found.conversation.id, time::rfc3339(found.at));
                format!("{id}  {at}  {}: {}\n", found.speaker(), clean::visible(&found.excerpt))
            };
            context.print(&found.iter().map(line).collect::<String>())?;
        }
    }
    if found.is_empty() {
        context.say("No matches");
    }
    Ok(0)
}
