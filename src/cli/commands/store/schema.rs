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

/// The rights that a host needs. The user that migrates owns the tables.
const RIGHTS: &str = "
-- For each user of the hosts that use the store:
-- GRANT USAGE ON SCHEMA nexus TO nexus_app;
-- GRANT SELECT ON nexus.version TO nexus_app;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON nexus.session, nexus.pending, nexus.client TO nexus_app;
-- GRANT SELECT, INSERT, UPDATE ON nexus.active_key TO nexus_app;
";

pub(crate) fn run(context: &Context) -> Done {
    context.print(&format!("BEGIN;\n{}COMMIT;\n{RIGHTS}", PostgresStore::schema()))?;
    Ok(0)
}
