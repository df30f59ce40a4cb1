//! `nexus chat`: settle the prompt, look at the session, ask, print what comes.
//!
//! One command in several files: [`input`] is what is asked, [`settle`] whom and how, [`output`] what
//! becomes of the answer.

use crate::commands::Done;
use crate::world::World;

mod input;
mod output;
mod settle;

/// Ask a question and stream the answer
///
/// What is piped in follows the words after a blank line: `nexus chat "why does this fail?" <
/// build.log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The question, its words joined by spaces; `-` alone reads it from stdin
    prompt: Vec<String>,

    /// What the model is told before the question
    #[arg(long, short, value_name = "TEXT")]
    system: Option<String>,

    /// The model; else the configured one, else the newest that the session may use
    #[arg(long, short, value_name = "ID")]
    model: Option<String>,

    /// The longest answer, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,

    /// Use this provider of config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Print one object for programs, when the answer is whole
    #[arg(long)]
    pub(crate) json: bool,
}

/// Asks.
///
/// # Errors
/// Why there is no answer, or no whole one.
pub(crate) fn run(args: Args, world: &World) -> Done {
    let prompt = input::prompt(&args.prompt, world)?;
    let accounts = world.accounts(args.provider.as_deref())?;
    let seen = accounts.look("")?;
    world.wait(async {
        let question = settle::question(&args, prompt, &accounts, &seen).await?;
        let answer = accounts.ask("", seen, &question).await?;
        if args.json { output::whole(answer, world).await } else { output::streamed(answer, world).await }
    })
}
