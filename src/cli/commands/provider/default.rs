//! `nexus provider default`: chooses the default provider.

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::config;
use crate::cli::config::document::line;
use crate::cli::config::edit::{Edited, edit};
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::paths::Paths;
use nexus::internal::invisible;

const KEY: &str = "default";

const EXAMPLES: &str = "\
Examples:
  nexus provider default work";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider, as named in config.toml
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    name: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let paths = Paths::find()?;
    let name = invisible::trim(&args.name);
    config::check_name(&paths.config, name)?;
    let edited = edit(&paths, |document| {
        if document.text_at_top(KEY) != Some(name) {
            document.set_at_top(KEY, name);
        }
        Ok(())
    })?;
    let path = paths.config.display();
    context.say(&match edited {
        Edited::Unchanged => format!("{name} is already the default provider"),
        Edited::Written => format!("The default provider is now {name}: set `{}` in {path}", line(KEY, name)),
        Edited::Refused(why) => {
            format!("{path} {why}\nSet this line at its top:\n\n{}\n", line(KEY, name))
        }
    });
    if let Some(other) = variable("NEXUS_PROVIDER").filter(|other| other != name) {
        context.note(&format!("NEXUS_PROVIDER is set and takes precedence: {other} is used"));
    }
    Ok(0)
}
