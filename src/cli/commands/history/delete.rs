//! `nexus history delete`: deletes conversations.

use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::history::store::Selection;
use nexus::internal::time;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Args {
    /// Ids of the conversations, or unique prefixes
    #[arg(value_name = "ID")]
    #[arg(add = ArgValueCandidates::new(candidates::conversations))]
    ids: Vec<String>,

    /// Delete all conversations
    #[arg(long)]
    all: bool,

    /// Delete conversations not used for this long (90s, 5m, 1h, 30d)
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    older_than: Option<Duration>,
}

/// Deletes them. If an id is unknown, none is deleted.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let which = match args.older_than {
        Some(age) => Selection::Before(nexus::now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX))),
        None if args.all => Selection::All,
        None => Selection::Ids(&args.ids),
    };
    context.say(&match context.history()?.delete(which)? {
        0 => "Nothing to delete".to_owned(),
        1 => "Deleted 1 conversation".to_owned(),
        deleted => format!("Deleted {deleted} conversations"),
    });
    Ok(0)
}
