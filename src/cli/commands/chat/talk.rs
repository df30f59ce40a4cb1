//! A conversation at a terminal: a line, an answer, and again, until the person leaves.

use std::io::{self, Write as _};
use std::path::Path;

use crate::cli::commands::Done;
use crate::cli::commands::chat::asked::Asked;
use crate::cli::commands::chat::editor::{Line, LineEditor};
use crate::cli::commands::chat::output::Output;
use crate::cli::commands::chat::slash::{self, HELP, Said};
use crate::cli::commands::chat::{Args, ask, attachment, settle};
use crate::cli::context::Context;
use crate::cli::error::Interrupted;
use crate::cli::error::{CliError, Result};
use crate::cli::history::{Conversation, State, Turn, export};
use crate::cli::terminal::Signals;
use nexus::internal::private_fs;
use nexus::{Client, Part, Role};

/// What stands before a line that is typed.
const PROMPT: &str = "> ";

/// Talks until the person leaves. An answer that fails or is stopped does not end the conversation.
///
/// # Errors
/// What keeps it from beginning, a terminal that cannot be read, or a signal that ends the program.
pub(super) fn run(args: &mut Args, client: &Client, output: &mut Output<'_>, context: &Context) -> Done {
    // Who is not signed in is told before anything is typed.
    let seen = context.session(client)?;
    if let Some(path) = &args.system_file {
        args.system = Some(attachment::system_prompt(path, context)?);
    }
    args.system = args.system.take().or(output.keep.system.take());
    args.model = args.model.take().or(output.keep.model.take());
    output.keep.remember();
    context.block_on_with_signals(async |signals| {
        let unasked = tokio::select! {
            unasked = settle::question(args, asked(args, ""), None, (client, &seen), context) => unasked?,
            signal = signals.next() => return Err(signal.into()),
        };
        args.model = Some(unasked.model);
        drop(seen);
        output.rest();
        greet(args, client, output, context);
        let _sane = context.terminal_mode();
        let mut editor = LineEditor::open(output.keep.earlier_questions(LineEditor::REMEMBERED))?;
        loop {
            let line = tokio::select! {
                line = editor.read(PROMPT) => line?,
                signal = signals.next() => {
                    // The line that was begun is still open.
                    context.say("");
                    return Err(signal.into());
                }
            };
            let line = match line {
                Line::Text(line) => line,
                Line::Cleared => {
                    context.say("(Ctrl-D or /exit leaves)");
                    continue;
                }
                Line::End => return Ok(0),
            };
            match slash::read(&line) {
                Said::Nothing => {}
                Said::Question(question) => answer(question, args, client, output, signals, context).await?,
                Said::Exit => return Ok(0),
                said => obey(said, args, client, output, context),
            }
        }
    })
}

fn greet(args: &Args, client: &Client, output: &Output<'_>, context: &Context) {
    let model = args.model.as_deref().unwrap_or_default();
    let begun = match output.keep.title() {
        Some(title) => format!("Going on with \"{title}\""),
        None if output.keep.is_on() => "A new conversation".to_owned(),
        None => "A new conversation, which is not kept".to_owned(),
    };
    context.say(&format!("{begun}: {model} at {}. /help tells more, Ctrl-D leaves.", client.provider().name));
}

/// A question as a line of the conversation asks it.
fn asked(args: &Args, question: &str) -> Asked {
    let parts = vec![Part::Text(question.to_owned())];
    Asked { model: None, max_tokens: None, system: args.system.clone(), parts }
}

/// Asks, and prints what comes until it ends or Ctrl-C stops it.
async fn answer(
    question: &str,
    args: &Args,
    client: &Client,
    output: &mut Output<'_>,
    signals: &mut Signals,
    context: &Context,
) -> Result<()> {
    output.begin();
    let asking = async {
        let seen = client.load("").await?;
        ask(args, asked(args, question), client, seen, output).await
    };
    let done = tokio::select! {
        done = asking => done,
        signal = signals.next() => Err(signal.into()),
    };
    let Err(error) = output.end(done).await else { return Ok(()) };
    match error {
        CliError::Interrupted(Interrupted::CTRL_C) => {
            // The answer's last line and the terminal's `^C` are still open.
            context.say("\n(stopped)");
            Ok(())
        }
        // A signal that ends the program, or a terminal that has gone.
        CliError::Interrupted(_) | CliError::Stdout(_) => Err(error),
        _ => {
            context.fail(&error);
            Ok(())
        }
    }
}

fn obey(said: Said<'_>, args: &mut Args, client: &Client, output: &mut Output<'_>, context: &Context) {
    match said {
        Said::Model(None) => {
            let model = args.model.as_deref().unwrap_or_default();
            context.say(&format!("{model}; `nexus models` lists others"));
        }
        Said::Model(Some(model)) => {
            args.model = Some(model.to_owned());
            context.say(&format!("From here on {model} answers{}", settle::doubt(model, client)));
        }
        Said::System(None) => match &args.system {
            Some(system) => context.say(system),
            None => context.say("There is no system prompt; /system TEXT sets one"),
        },
        Said::System(Some("-")) => {
            args.system = None;
            context.say("There is no system prompt any more");
        }
        Said::System(Some(system)) => {
            args.system = Some(system.to_owned());
            context.say("The system prompt is set");
        }
        Said::Save(None) => context.say("/save wants a file: /save notes.md"),
        Said::Save(Some(file)) => context.say(&save(file, args, client, output)),
        Said::Help => context.say(HELP),
        Said::Unknown(word) => context.say(&format!("There is no /{word}; /help tells what there is")),
        Said::Nothing | Said::Question(_) | Said::Exit => {}
    }
}

/// Writes the conversation to a file that nobody else can read, and never over another.
fn save(file: &str, args: &Args, client: &Client, output: &mut Output<'_>) -> String {
    let id = output.keep.known_id().unwrap_or_default();
    let turns = output.keep.turns();
    let Some(first) = turns.first() else { return "Nothing was said yet".into() };
    let answered = |pair: &&[Turn]| pair[1].role == Role::Assistant && pair[1].state == State::Whole;
    let titled = turns.windows(2).find(answered).map_or(first, |pair| &pair[0]);
    let conversation = Conversation {
        id,
        title: Conversation::title_of(&titled.text),
        provider: client.provider().name.clone(),
        model: client.provider().api.model_called(args.model.as_deref().unwrap_or_default()),
        system: args.system.clone(),
        created_at: first.at,
        updated_at: nexus::now(),
    };
    let text = export::markdown(&conversation, turns);
    match private_fs::create(Path::new(file)).and_then(|mut made| made.write_all(text.as_bytes())) {
        Ok(()) => format!("Saved in {file}"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            format!("{file} exists already: name another file")
        }
        Err(error) => format!("{file} cannot be written: {error}"),
    }
}
