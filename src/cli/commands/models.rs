//! `nexus models`: which models the session may use.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;

/// List the available models, one id per line
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Provider to use, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists them, newest first.
///
/// # Errors
/// Why they cannot be listed.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    let seen = context.session(&client)?;
    let models = context.wait(async {
        let _seen = context.progress();
        context.waiting("listing the models");
        Ok(client.models("", seen).await?)
    })?;
    match args.json {
        true => context.print_object(&json!({ "version": 1, "models": models }))?,
        false => {
            let lines: String =
                models.iter().map(|model| format!("{}\n", on_one_line(&context.shown(&model.id)))).collect();
            context.print(&lines)?;
        }
    }
    Ok(0)
}

/// An id that would begin a line of its own would pass for two.
fn on_one_line(id: &str) -> String {
    id.replace('\n', "\u{240a}").replace('\r', "\u{240d}")
}
