//! `nexus store ...`: the store of the sessions.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod migrate;
pub(crate) mod schema;
pub(crate) mod status;

const EXAMPLES: &str = "\
Examples:
  nexus store status
  nexus store migrate";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show where the sessions are stored and whether the store can be used
    Status(status::Args),
    /// Create the tables of a PostgreSQL store, or migrate them to the version of this program
    ///
    /// Run it once for each database, as a user that may create a schema, and again after an upgrade of nexus that needs
    /// it. The other hosts need only the rights that `nexus store schema` names. Any number of hosts may run it at once.
    Migrate(migrate::Args),
    /// Print the SQL that `nexus store migrate` runs on an empty database
    Schema(schema::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Status(args) => args.json,
            Self::Migrate(_) | Self::Schema(_) => false,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Status(args) => status::run(&args, context),
        Command::Migrate(_) => migrate::run(context),
        Command::Schema(_) => schema::run(context),
    }
}
