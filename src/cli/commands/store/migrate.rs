//! `nexus store migrate`: creates or migrates the tables of a PostgreSQL store.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::store::SessionStore as _;

const EXAMPLES: &str = "\
Examples:
  nexus store migrate";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context) -> Done {
    let Some(url) = context.store_config()?.postgres else {
        context.say("The sessions are in a SQLite file, which is migrated when it is used");
        return Ok(0);
    };
    let store = context.postgres_store(&url);
    let (sessions, _) = context.sessions()?;
    let (before, after) = context.block_on(async { Ok(sessions.waiting(store.migrate()).await?) })?;
    let name = store.name();
    context.say(&match before {
        0 => format!("Created the tables in {name} (version {after})"),
        before if before == after => format!("The tables in {name} are up to date (version {after})"),
        before => format!("Migrated the tables in {name} from version {before} to version {after}"),
    });
    Ok(0)
}
