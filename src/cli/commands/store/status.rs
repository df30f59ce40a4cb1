//! `nexus store status`: where the sessions are stored, and whether the store can be used.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::{Context, runtime};
use nexus::store::PostgresStore;

const EXAMPLES: &str = "\
Examples:
  nexus store status
  nexus store status --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, _) = context.sessions()?;
    let store = sessions.store();
    runtime()?.block_on(store.check())?;
    let schema = match context.store_config()?.postgres {
        Some(url) => Some(context.block_on(async { Ok(PostgresStore::new(&url).usable_schema_version().await?) })?),
        None => None,
    };
    match args.json {
        true => context.print_object(&json!({
            "version": 1,
            "kind": if schema.is_some() { "postgres" } else { "sqlite" },
            "store": store.name(),
            "schema": schema,
        }))?,
        false => {
            let schema = schema.map_or_else(String::new, |version| format!(", tables of version {version}"));
            context.print(&format!("{}{schema}\n", store.name()))?;
        }
    }
    Ok(0)
}
