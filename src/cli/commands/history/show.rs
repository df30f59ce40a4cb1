//! `nexus history show`: one conversation, whole.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::history::telling;

/// What `nexus history show` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the conversation, or a unique prefix; the most recently used one if omitted
    id: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows it.
///
/// # Errors
/// No such conversation, or a history that cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let history = context.history()?;
    let conversation = match &args.id {
        Some(id) => history.find(id)?,
        None => history.newest()?.ok_or_else(|| CliError::NoConversation { wanted: String::new(), several: 0 })?,
    };
    let turns = history.turns(&conversation.id)?;
    match args.json {
        true => {
            context.print_object(&json!({ "version": 1, "conversation": telling::object(&conversation, &turns) }))?
        }
        false => context.print(&telling::markdown(&conversation, &turns))?,
    }
    Ok(0)
}
