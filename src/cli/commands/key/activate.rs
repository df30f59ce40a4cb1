//! `nexus key activate`: makes a key of this machine the one that seals new values.

use crate::cli::commands::Done;
use crate::cli::context::Context;

const EXAMPLES: &str = "\
Examples:
  nexus key activate 4f1c09a2b7d3e865";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The id of the key
    id: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let (sessions, _) = context.sessions()?;
    let changed = context.block_on(async { Ok(sessions.activate_key(&args.id).await?) })?;
    let id = &args.id;
    context.say(&match changed {
        true => format!("The key `{id}` is active now; run `nexus key reseal` to seal what is stored with it"),
        false => format!("The key `{id}` is active already"),
    });
    Ok(0)
}
