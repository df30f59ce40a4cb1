//! `nexus chat`: settle the prompt, look at the session, ask, print what comes.
//!
//! One command in several files: [`input`] is what is asked, [`settle`] whom and how, [`output`] what
//! becomes of the answer, [`object`] what programs are told.

use std::time::Duration;

use crate::commands::Done;
use crate::moment;
use crate::world::World;

pub(crate) use object::Form;

mod input;
mod object;
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

    /// Leave stdin alone, whatever it is
    #[arg(long)]
    no_stdin: bool,

    /// How often to ask again when the service is busy or out of reach
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,

    /// How long all of it may take until the answer begins (90s, 5m, 1h)
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = moment::parse_duration)]
    deadline: Duration,

    /// What stdout gets
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    output: Form,

    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

/// Asks.
///
/// # Errors
/// Why there is no answer, or no whole one.
pub(crate) fn run(args: Args, world: &World) -> Done {
    let form = if args.json { Form::Json } else { args.output };
    let mut output = output::Output::new(form, world);
    let done = ask(&args, form, &mut output, world);
    output.end(done)
}

fn ask(args: &Args, form: Form, output: &mut output::Output<'_>, world: &World) -> anyhow::Result<()> {
    let prompt = input::prompt(args, world)?;
    let accounts = world.accounts(args.provider.as_deref())?.with_patience(settle::patience(args, form, world));
    let seen = accounts.look("")?;
    world.wait(async {
        let question = settle::question(args, prompt, &accounts, &seen).await?;
        let answer = accounts.ask("", seen, &question).await?;
        output.follow(answer).await
    })
}

/// What programs are told of words that make no sense.
pub(crate) fn misunderstood(form: Form, error: &serde_json::Value) -> String {
    match form {
        Form::Text => String::new(),
        form => object::Known::default().told(form, Some(error)),
    }
}
