//! `nexus chat`: settle what is asked, look at the session, ask, print what comes.
//!
//! One command in several files: [`asked`] is what is asked ([`input`] what is said, [`template`] what
//! it is said in, [`attachment`] what is sent along), [`settle`] whom and how, [`output`] what becomes
//! of the answer, [`shown`] how a person sees it, [`object`] what programs are told, [`schema`] what
//! the answer is held against, [`spent`] what it cost, [`keep`] what the history is told. A
//! conversation at a terminal is a [`talk`], its lines read by an [`editor`], some with a [`slash`] in
//! front. [`batch`] does it with many questions.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::commands::Done;
use crate::cli::commands::chat::asked::Asked;
use crate::cli::context::Context;
use crate::cli::error::Result;
use nexus::internal::time;
use nexus::{Client, Session};

pub(crate) use object::Form;

mod asked;
mod attachment;
mod batch;
mod editor;
mod input;
mod keep;
mod object;
mod output;
mod schema;
mod settle;
mod shown;
mod slash;
mod spent;
mod talk;
mod template;

/// Ask a question and stream the answer
///
/// What is piped in follows the words after a blank line: `nexus chat "why does this fail?" <
/// build.log`. Without a question, a terminal gets a conversation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The question, its words joined by spaces; `-` alone reads it from stdin
    prompt: Vec<String>,

    /// What the model is told before the question
    #[arg(long, short, value_name = "TEXT")]
    system: Option<String>,

    /// The same, kept in a file
    #[arg(long, value_name = "FILE", conflicts_with = "system")]
    system_file: Option<PathBuf>,

    /// Send a file along: text, PNG, JPEG, GIF, WebP or PDF, by its content; `-` is stdin
    #[arg(long, short, value_name = "FILE")]
    attach: Vec<PathBuf>,

    /// Ask with templates/NAME.toml, which lies beside config.toml
    ///
    /// It may have `prompt`, `system`, `model`, `max_tokens` and, under [vars], defaults for its variables. In its
    /// texts {{name}} stands for a variable, and {{input}} for the words and what is piped in, which else
    /// follow the prompt. Flags beat it.
    #[arg(long, short, value_name = "NAME")]
    template: Option<String>,

    /// Give a variable of the template its value
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "template", value_parser = template::variable)]
    vars: Vec<(String, String)>,

    /// The model or an alias of one; else the template's, else the configured one, else the newest that the session may use
    #[arg(long, short, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    model: Option<String>,

    /// The longest answer, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,

    /// Use this provider of config.toml; else a conversation goes on with its own
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Go on with the conversation that was used last
    #[arg(long = "continue", short = 'c', conflicts_with = "conversation")]
    goes_on: bool,

    /// Go on with this conversation: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,

    /// Keep this in the history, also where stdout is no terminal
    #[arg(long)]
    history: bool,

    /// Keep nothing of this in the history
    #[arg(long, conflicts_with_all = ["history", "goes_on", "conversation"])]
    no_history: bool,

    /// Leave stdin alone, whatever it is
    #[arg(long)]
    no_stdin: bool,

    /// How often to ask again when the service is busy or out of reach
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,

    /// How long all of it may take until the answer begins (90s, 5m, 1h)
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = time::parse_duration)]
    deadline: Duration,

    /// Show the answer as it was written, without laying out its Markdown; in a pipe it always is
    #[arg(long)]
    raw: bool,

    /// Tell on stderr what the answer cost: tokens and time
    #[arg(long)]
    usage: bool,

    /// Show on stderr what the model thinks, where the service tells
    #[arg(long)]
    thinking: bool,

    /// How much the model should do for the answer
    #[arg(long, value_name = "LEVEL", value_parser = ["low", "medium", "high", "xhigh", "max"])]
    effort: Option<String>,

    /// A JSON Schema, or the file of one, that the answer must fit
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,

    /// What stdout gets
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    output: Form,

    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,

    #[command(flatten)]
    batch: batch::Batch,
}

/// Asks, or talks.
///
/// # Errors
/// Why there is no answer, or no whole one.
pub(crate) fn run(mut args: Args, context: &Context) -> Done {
    if let Some(input) = args.batch.input()? {
        return batch::run(&args, input, context);
    }
    let form = if args.json { Form::Json } else { args.output };
    let mut output = output::Output::new(form, &args, context);
    if form == Form::Text && args.schema.is_none() && input::is_conversation(&args, context) {
        let client = settled(&args, form, &mut output, context)?;
        return talk::run(&mut args, &client, &mut output, context);
    }
    once(&args, form, &mut output, context)
}

fn once(args: &Args, form: Form, output: &mut output::Output<'_>, context: &Context) -> Done {
    let mut settled = || -> Result<_> {
        output.schema = args.schema.as_deref().map(schema::Schema::read).transpose()?;
        let asked = asked::settle(args, context)?;
        let client = settled(args, form, output, context)?;
        let seen = context.session(&client)?;
        Ok((asked, client, seen))
    };
    let (asked, client, seen) = match settled() {
        Ok(settled) => settled,
        Err(failure) => return output.end_unasked(failure),
    };
    context.block_on_with_signals(async |signals| {
        let done = tokio::select! {
            done = ask(args, asked, &client, seen, output) => done,
            signal = signals.next() => Err(signal.into()),
        };
        tokio::select! {
            ended = output.end(done) => ended,
            signal = signals.next() => Err(signal.into()),
        }
    })
}

/// Whose account is asked, and how far the conversation is.
fn settled(args: &Args, form: Form, output: &mut output::Output<'_>, context: &Context) -> Result<Client> {
    let kept = keep::Kept::named(args, context)?;
    let provider = args.provider.as_deref().or(kept.as_ref().map(keep::Kept::provider));
    let (client, keeps) = context.client_and_history(provider)?;
    output.keep = keep::Keep::settle(args, kept, &client.provider().name, keeps, context)?;
    let retry_policy = settle::retry_policy(args, form, &client, context);
    Ok(client.with_retry_policy(retry_policy))
}

async fn ask(
    args: &Args,
    mut asked: Asked,
    client: &Client,
    seen: Session,
    output: &mut output::Output<'_>,
) -> Result<()> {
    asked.model = asked.model.or(output.keep.model.take());
    asked.system = asked.system.or(output.keep.system.take());
    let named = settle::is_named(args, &asked, client);
    let mut question = settle::question(args, asked, output.schema.as_ref(), (client, &seen), output.context).await?;
    output.keep.ask(&mut question, &client.provider().name);
    let answer = match client.ask("", seen, &question).await {
        Err(failure) if !named && settle::is_gone(&failure) => {
            let question = settle::anew(client, question, failure).await?;
            client.ask("", client.load("").await?, &question).await?
        }
        answered => answered.map_err(|failure| settle::misnamed(failure, &question.model, client))?,
    };
    output.follow(answer).await
}

/// What programs are told of words that make no sense.
pub(crate) fn misunderstood(form: Form, error: &serde_json::Value) -> String {
    match form {
        Form::Text => String::new(),
        form => object::Known::default().told(form, Some(error)),
    }
}
