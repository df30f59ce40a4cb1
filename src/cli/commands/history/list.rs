//! `nexus history list`: lists conversations, one per line.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::history::{Conversation, export, layout};
use nexus::internal::{clean, time};

const EXAMPLES: &str = "\
Examples:
  nexus history list -n 10
  nexus history list --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Maximum number of results
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let listed = context.history()?.list(args.limit)?;
    if args.json {
        let conversations: Vec<_> = listed
            .iter()
            .map(|(conversation, turns)| {
                let mut object = export::summary(conversation);
                object["turns"] = (*turns).into();
                object
            })
            .collect();
        context.print_object(&json!({ "version": 1, "conversations": conversations }))?;
        return Ok(0);
    }
    let conversations = listed.iter().map(|(conversation, _)| conversation);
    match context.screen() {
        Some(screen) => context.print_laid_out(&layout::list(conversations, screen))?,
        None => {
            // A title comes from a question, which may have quoted anything, and a pipe may lead to a terminal.
            let line = |one: &Conversation| {
                format!("{}  {}  {}\n", one.id, time::rfc3339(one.updated_at), clean::visible(&one.title))
            };
            context.print(&conversations.map(line).collect::<String>())?;
        }
    }
    if listed.is_empty() {
        context.say("No saved conversations");
    }
    Ok(0)
}
