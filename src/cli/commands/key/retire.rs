//! `nexus key retire`: removes a key that nothing is sealed with.

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::key::Retired;

const EXAMPLES: &str = "\
Examples:
  nexus key retire 4f1c09a2b7d3e865";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The id of the key
    id: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, _) = context.sessions()?;
    let progress = context.progress();
    let retired = context.block_on(async {
        context.waiting("looking for values that are sealed with the key, and for refreshes that are in flight");
        Ok(sessions.retire_key(&args.id).await?)
    })?;
    drop(progress);
    let id = &args.id;
    match retired {
        Retired::Removed(left) => {
            context.say(&format!("Removed the key `{id}` from {}", sessions.keystore().origin()));
            if let Some(left) = left {
                context.say(&format!("warning: an old copy of the key could not be removed: {left}"));
            }
        }
        Retired::PrintedBy(program) => context
            .say(&format!("Nothing is sealed with the key `{id}`; key_command `{program}` need not print it any more")),
    }
    Ok(0)
}
