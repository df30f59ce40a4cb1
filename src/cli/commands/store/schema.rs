//! `nexus store schema`: the SQL that creates the tables of a PostgreSQL store.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::store::PostgresStore;

const EXAMPLES: &str = "\
Examples:
  nexus store schema > schema.sql";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context) -> Done {
    // The user that migrates owns the tables.
    let grants: String = PostgresStore::grants("nexus_app").lines().map(|line| format!("-- {line}\n")).collect();
    let schema = PostgresStore::schema();
    context
        .print(&format!("BEGIN;\n{schema}COMMIT;\n\n-- For each user of the hosts that use the store:\n{grants}"))?;
    Ok(0)
}
