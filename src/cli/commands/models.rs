//! `nexus models`: lists the available models.

use serde_json::json;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::question::RetryArgs;
use crate::cli::question::progress::progress_callback;
use nexus::{Model, RetryPolicy};

const EXAMPLES: &str = "\
Examples:
  nexus models
  nexus models --provider work --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to use, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    retry: RetryArgs,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    let seen = context.session(&client)?;
    let models = context.block_on(async {
        let _progress = context.progress();
        let policy = RetryPolicy { progress: progress_callback("", &client, context), ..args.retry.policy() };
        let client = client.with_retry_policy(policy);
        Ok(client.models("", seen).await?)
    })?;
    match args.json {
        true => context.print_json(&object(&models))?,
        false => {
            let lines: String = models.iter().map(|model| format!("{}\n", on_one_line(&model.id))).collect();
            context.print(&lines)?;
        }
    }
    Ok(0)
}

/// The list as one line of JSON. The models are written one by one: as values, all of them would take much memory.
fn object(models: &[Model]) -> String {
    let models: Vec<_> = models.iter().map(|model| json!(model).to_string()).collect();
    format!("{{\"models\":[{}],\"version\":1}}\n", models.join(","))
}

/// Makes line breaks in an id visible: each line of the output is one id.
fn on_one_line(id: &str) -> String {
    id.replace('\n', "\u{240a}").replace('\r', "\u{240d}")
}
