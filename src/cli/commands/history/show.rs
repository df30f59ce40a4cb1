//! `nexus history show`: prints one conversation.

use serde_json::json;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::history::{export, layout};

const EXAMPLES: &str = "\
Examples:
  nexus history show         # the most recent conversation
  nexus history show 1wq3    # the one whose id begins with 1wq3";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Id of the conversation, or a unique prefix; the most recently used one if omitted
    #[arg(add = ArgValueCandidates::new(candidates::conversations))]
    id: Option<String>,

    /// Do not render Markdown (piped output is never rendered)
    #[arg(long)]
    raw: bool,

    /// Do not show it in the pager: the program of PAGER, or less
    #[arg(long)]
    no_pager: bool,

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
    if args.json {
        context.print_object(&json!({ "version": 1, "conversation": export::object(&conversation, &turns) }))?;
        return Ok(0);
    }
    let text = match context.screen().filter(|_| !args.raw) {
        Some(screen) => layout::conversation(&conversation, &turns, screen),
        None => context.fit(&export::markdown(&conversation, &turns)).into_owned(),
    };
    match context.stdout_is_terminal() && !args.no_pager {
        true => context.page(&text)?,
        false => context.print_laid_out(&text)?,
    }
    Ok(0)
}
