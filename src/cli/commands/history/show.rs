//! `nexus history show`: prints one conversation.

use serde_json::json;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::history::export;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the conversation, or a unique prefix; the most recently used one if omitted
    #[arg(add = ArgValueCandidates::new(candidates::conversations))]
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
