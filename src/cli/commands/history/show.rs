//! `nexus history show`: prints one conversation.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::history::export;

const EXAMPLES: &str = "\
Examples:
  nexus history show         # the most recent conversation
  nexus history show 1wq3    # the one whose id begins with 1wq3";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Id of the conversation, or a unique prefix; the most recently used one if omitted
    id: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let history = context.history()?;
    let conversation = match &args.id {
        Some(id) => history.find(id)?,
        None => history.newest()?.ok_or_else(|| CliError::NoConversation { wanted: String::new(), several: 0 })?,
    };
    let turns = history.turns(&conversation.id)?;
    match args.json {
        true => {
            context.print_object(&json!({ "version": 1, "conversation": export::object(&conversation, &turns) }))?
        }
        false => context.print(&export::markdown(&conversation, &turns))?,
    }
    Ok(0)
}
