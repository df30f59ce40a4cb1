//! `nexus history delete`: deletes conversations.

use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::history::store::{History, Selection};
use nexus::internal::time;

const EXAMPLES: &str = "\
Examples:
  nexus history delete 1wq3
  nexus history delete --older-than 30d";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[group(required = true, multiple = false)]
struct Which {
    /// Ids of the conversations, or unique prefixes
    #[arg(value_name = "ID")]
    #[arg(add = ArgValueCandidates::new(candidates::conversations))]
    ids: Vec<String>,

    /// Delete all conversations
    #[arg(long)]
    all: bool,

    /// Delete conversations not used for this long (90s, 5m, 1h, 30d)
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,

    /// Delete all conversations without asking
    #[arg(long, short, conflicts_with_all = ["ids", "older_than"])]
    yes: bool,
}

/// A duration with its unit. A number alone means seconds elsewhere, and would delete more than who forgot the `d`
/// wants.
fn age(text: &str) -> std::result::Result<Duration, String> {
    if text.ends_with(|last: char| last.is_ascii_digit()) {
        return Err(format!("the unit is missing; write `{text}d` for days"));
    }
    match time::parse_duration(text)? {
        Duration::ZERO => Err("every conversation is older; `--all` deletes all".into()),
        age => Ok(age),
    }
}

/// Deletes them. If an id is unknown, none is deleted.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let Which { ids, all, older_than } = &args.which;
    let history = context.history()?;
    if *all && !args.yes && !may_delete_all(&history, context)? {
        context.say("Nothing was deleted");
        return Ok(1);
    }
    let which = match older_than {
        Some(age) => Selection::Before(nexus::now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX))),
        None if *all => Selection::All,
        None => Selection::Ids(ids),
    };
    context.say(&match history.delete(which)? {
        0 => "Nothing to delete".to_owned(),
        1 => "Deleted 1 conversation".to_owned(),
        deleted => format!("Deleted {deleted} conversations"),
    });
    Ok(0)
}

/// Whether the user wants all conversations to be deleted. Without any, nothing is asked.
fn may_delete_all(history: &History, context: &Context) -> Result<bool> {
    if !context.is_attended() {
        return Err(CliError::Usage {
            message: "--all deletes every conversation, and there is no terminal to ask at".into(),
            hint: "to delete them without being asked, run `nexus history delete --all --yes`".into(),
        });
    }
    match history.list(None)?.len() {
        0 => Ok(true),
        1 => context.confirm("Delete the only saved conversation permanently?"),
        many => context.confirm(&format!("Delete all {many} saved conversations permanently?")),
    }
}
