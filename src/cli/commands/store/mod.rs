//! `nexus store ...`: the store of the sessions.

use clap::Subcommand;

use crate::cli::commands::Done;
use crate::cli::context::Context;

pub(crate) mod migrate;
pub(crate) mod r#move;
pub(crate) mod schema;
pub(crate) mod status;

const EXAMPLES: &str = "\
Examples:
  nexus store status
  nexus store migrate
  nexus store move --from ~/.local/share/nexus/sessions.db";

#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub(crate) enum Command {
    /// Show where the sessions are stored and whether the store can be used
    Status(status::Args),
    /// Create the tables of a PostgreSQL store, or migrate them to the version of this program
    ///
    /// Run it once for each database, as a user that may create a schema, and again after an upgrade of nexus that
    /// needs it. The other hosts need only the rights that `nexus store schema` names. Any number of hosts may run it
    /// at once.
    Migrate(migrate::Args),
    /// Move all sessions and registered clients to another store
    ///
    /// STORE is the URL of a PostgreSQL database, the path of a SQLite file, or `env:NAME` for one of the two in the
    /// environment variable NAME. A URL with a password must be in a variable, because other users can read the command
    /// line.
    ///
    /// Other programs may go on using both stores: each session is locked while it is moved, and refused in the old
    /// store afterwards. An interrupted move loses nothing: run it again. Both stores need the same key; the sessions
    /// stay sealed with it. Sessions of a SQLite file that have no owner get the one that is configured. A session that
    /// the other store already has is not replaced: then nothing is moved. Sign-ins that are not finished are not
    /// moved.
    Move(r#move::Args),
    /// Print the SQL that `nexus store migrate` runs on an empty database
    Schema(schema::Args),
}

impl Command {
    /// Whether errors are printed as JSON to stdout too.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Status(args) => args.json,
            Self::Move(args) => args.json,
            Self::Migrate(_) | Self::Schema(_) => false,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Done {
    match command {
        Command::Status(args) => status::run(&args, context),
        Command::Migrate(_) => migrate::run(context),
        Command::Move(args) => r#move::run(&args, context),
        Command::Schema(_) => schema::run(context),
    }
}
