//! `nexus store status`: where the sessions are stored, and whether the store can be used.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::store::SessionStore as _;

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
    let postgres = context.store_config()?.postgres.map(|url| context.postgres_store(&url));
    let (schema, active_key) = context.block_on(async {
        sessions.check().await?;
        let schema = match &postgres {
            // A SQLite store would create its file.
            Some(postgres) => {
                postgres.check_writable().await?;
                Some(postgres.schema_version().await?)
            }
            None => None,
        };
        Ok((schema, store.active_key().await?))
    })?;
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
