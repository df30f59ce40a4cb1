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
    let models = world.wait(async {
        let _seen = world.progress();
        world.waiting("asking which models there are");
        Ok(accounts.models("", seen).await?)
    })?;
    match args.json {
        true => world.print_object(&json!({ "version": 1, "models": models }))?,
        false => {
            let lines: String =
                models.iter().map(|model| format!("{}\n", on_one_line(&world.shown(&model.id)))).collect();
            world.print(&lines)?;
        }
    }
    Ok(0)
}

/// An id that would begin a line of its own would pass for two.
fn on_one_line(id: &str) -> String {
    id.replace('\n', "\u{240a}").replace('\r', "\u{240d}")
}
