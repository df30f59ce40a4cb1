//! `nexus store status`: where the sessions are stored, and whether the store can be used.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
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
    let active_key = context.block_on(async {
        store.check().await?;
        Ok(store.active_key().await?)
    })?;
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
            "active_key": active_key,
        }))?,
        false => {
            let schema = schema.map_or_else(String::new, |version| format!(", tables of version {version}"));
            let key = active_key.map_or_else(String::new, |id| format!(", active key {id}"));
            context.print_prose(&format!("{}{schema}{key}\n", store.name()))?;
        }
    }
    Ok(0)
}
