//! `nexus models`: which models the session may use.

use serde_json::json;

use crate::commands::Done;
use crate::world::World;

/// List the models that the session may use, one id a line
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use this provider of config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists them, newest first.
///
/// # Errors
/// Why they cannot be listed.
pub(crate) fn run(args: &Args, world: &World) -> Done {
    let accounts = world.accounts(args.provider.as_deref())?;
    let seen = accounts.look("")?;
    let models = world.wait(async { Ok(accounts.models("", seen).await?) })?;
    world.print(&match args.json {
        true => format!("{}\n", json!({ "version": 1, "models": models })),
        false => models.iter().map(|model| format!("{}\n", world.shown(&model.id))).collect(),
    })?;
    Ok(0)
}
