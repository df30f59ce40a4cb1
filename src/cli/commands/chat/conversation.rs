//! A conversation at a terminal: questions and answers until the user leaves.

use std::io::{self, Write as _};

use super::attached::{self, Attached};
use super::editor::{self, LineEditor};
use super::recorder::Recorder;
use super::slash::{self, HELP, Line};
use super::{Chat, model, unsaved};
use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Interrupted, Result};
use crate::cli::history::{Conversation, State, Turn, export};
use crate::cli::question::{PromptFrame, PromptInput};
use crate::cli::terminal::Signals;
use crate::cli::terminal::clipboard::NotCopied;
use nexus::internal::private_fs;
use nexus::{Client, Part, Role};

const PROMPT: &str = "> ";

/// Holds a conversation. An answer that fails or is stopped does not end it.
///
/// # Errors
/// A session or a model that is missing, a terminal that cannot be read, or a signal that ends the program.
pub(super) fn run(chat: &mut Chat<'_>, client: &Client) -> Done {
    let context = chat.context;
    let session = context.session(client)?;
    let frame = PromptFrame::read(&chat.args.question, context)?.complete()?;
    chat.recorder.note_missing("/attach");
    chat.recorder.keep_turns();
    context.block_on_with_signals(async |signals| {
        // Settings that cannot be used are reported before the first question.
        let input = empty_input(&frame, chat)?;
        chat.system.clone_from(&input.system);
        let question = tokio::select! {
            question = chat.question(input, client, &session) => question?,
            signal = signals.next() => return Err(signal.into()),
        };
        chat.model = Some(question.model);
        drop(session);
        chat.sink.hide_progress();
        greet(chat, client);
        let _restored = context.terminal_mode();
        let mut next = Next::of(&chat.recorder);
        let mut editor = LineEditor::open(chat.recorder.earlier_entries(LineEditor::REMEMBERED))?;
        loop {
            let line = tokio::select! {
                line = editor.read(PROMPT) => line?,
                signal = signals.next() => {
                    // Ends the line that was begun.
                    context.say("");
                    return Err(signal.into());
                }
            };
            let line = match line {
                editor::Line::Text(line) => line,
                editor::Line::Cleared => {
                    context.say("(Ctrl-D or /exit leaves)");
                    continue;
                }
                editor::Line::End => return Ok(0),
            };
            match slash::read(&line) {
                Line::Question(question) => {
                    chat.recorder.keep_typed(&line);
                    let attached = next.attached.take();
                    let input = frame.input(question.to_owned(), &[], |_| Ok(attached))?;
                    next.last = input.parts.clone();
                    next.lacks_attachments = false;
                    next.earlier = chat.recorder.turns().len();
                    chat.recorder.ask_after(next.earlier);
                    answer(input.parts, chat, &frame, client, signals).await?;
                }
                Line::Retry if next.last.is_empty() => context.say("Nothing to ask again yet"),
                Line::Retry if next.lacks_attachments => {
                    context
                        .say("What was attached to that question was not saved; attach it with /attach and ask again");
                }
                Line::Retry => {
                    chat.recorder.ask_after(next.earlier);
                    answer(next.last.clone(), chat, &frame, client, signals).await?;
                }
                Line::New => {
                    chat.recorder.begin_another();
                    next = Next::default();
                    greet(chat, client);
                }
                Line::Attach(file) => context.say(&attach(file, &mut next.attached, context)),
                Line::Exit => return Ok(0),
                line => obey(line, chat, client)?,
            }
        }
    })
}

/// What the next question is made of.
#[derive(Default)]
struct Next {
    attached: Attached,
    /// The last question.
    last: Vec<Part>,
    /// Whether it had attachments that are not known here.
    lacks_attachments: bool,
    /// How many turns came before that.
    earlier: usize,
}

impl Next {
    /// After the turns of a conversation that is continued.
    fn of(recorder: &Recorder) -> Self {
        let turns = recorder.turns();
        let Some(earlier) = turns.iter().rposition(|turn| turn.role == Role::User) else { return Self::default() };
        let text = turns[earlier].text.clone();
        let lacks_attachments = unsaved::missing(&text) > 0;
        Self { lacks_attachments, last: vec![Part::Text(text)], earlier, ..Self::default() }
    }
}

/// The settings of the next question, without its text.
fn empty_input(frame: &PromptFrame, chat: &Chat<'_>) -> Result<PromptInput> {
    let input = frame.input(String::new(), &[], |_| Ok(Vec::new()))?;
    Ok(PromptInput {
        model: input.model.or_else(|| chat.model.clone()),
        system: input.system.or_else(|| chat.system.clone()),
        ..input
    })
}

fn greet(chat: &Chat<'_>, client: &Client) {
    let begun = match chat.recorder.title() {
        Some(title) => format!("Continuing \"{title}\""),
        None if chat.recorder.is_on() => "New conversation".to_owned(),
        None => "New conversation (not saved)".to_owned(),
    };
    let model = chat.model.as_deref().unwrap_or_default();
    chat.context.say(&format!("{begun}: {model} at {}. /help lists commands, Ctrl-D leaves.", client.provider().name));
}

/// Asks, and prints the answer until it ends or Ctrl-C stops it.
async fn answer(
    parts: Vec<Part>,
    chat: &mut Chat<'_>,
    frame: &PromptFrame,
    client: &Client,
    signals: &mut Signals,
) -> Result<()> {
    chat.reset();
    let asking = async {
        let session = client.load("").await?;
        let input = empty_input(frame, chat)?;
        // The slash commands change both, so the flags no longer apply.
        let (model, system) = (chat.model.clone(), chat.system.clone());
        chat.ask(PromptInput { model, system, parts, ..input }, client, session).await
    };
    let done = tokio::select! {
        done = asking => done,
        signal = signals.next() => Err(signal.into()),
    };
    let Err(error) = chat.end(done).await else { return Ok(()) };
    match error {
        CliError::Interrupted(Interrupted::CTRL_C) => {
            // Ends the answer's last line, and the terminal's `^C`.
            chat.context.say("\n(stopped)");
            Ok(())
        }
        CliError::Interrupted(_) | CliError::Stdout(_) => Err(error),
        _ => {
            chat.context.fail(&error);
            Ok(())
        }
    }
}

/// Attaches a file to the next question, or says what is attached.
fn attach(file: Option<&str>, attached: &mut Attached, context: &Context) -> String {
    match file {
        Some("-") => {
            return match attached.take().is_empty() {
                true => "Nothing was attached".to_owned(),
                false => "Nothing is attached any more".to_owned(),
            };
        }
        Some(file) => {
            if let Err(error) = attached.add(file, context) {
                return format!("{error}\n  {}", error.hint());
            }
        }
        None => {}
    }
    match &*attached.names() {
        [] => "Nothing is attached; `/attach FILE` attaches a file to the next question".to_owned(),
        names => format!("Attached to the next question: {}", names.join(", ")),
    }
}

/// Copies the last answer.
fn copy(chat: &Chat<'_>) -> Result<String> {
    let Some(answer) = chat.recorder.turns().iter().rfind(|turn| turn.role == Role::Assistant) else {
        return Ok("Nothing to copy yet".to_owned());
    };
    let is_cut = matches!(answer.state, State::Cut | State::Refused)
        || chat.sink.stop_note(answer.stop_reason.as_deref().unwrap_or_default()).is_some();
    let incomplete = if is_cut { ", which is incomplete," } else { "" };
    Ok(match chat.context.copy(answer.text.trim_end())? {
        Ok(()) => format!(
            "Sent the last answer{incomplete} to the clipboard of the terminal (OSC 52); some terminals do not allow that"
        ),
        Err(NotCopied::TooLong) => {
            "The last answer is too long for the clipboard of a terminal; `/save FILE` writes it".to_owned()
        }
        Err(NotCopied::Unsupported) => {
            "This terminal has no clipboard that nexus can reach; `/save FILE` writes to a file".to_owned()
        }
    })
}

fn obey(line: Line<'_>, chat: &mut Chat<'_>, client: &Client) -> Result<()> {
    let context = chat.context;
    match line {
        Line::Model(None) => {
            context.say(&format!("{} (`nexus models` lists others)", chat.model.as_deref().unwrap_or_default()));
        }
        Line::Model(Some(model)) => {
            chat.model = Some(model.to_owned());
            context.say(&format!("Switched to {model}{}", model::remark(model, client)));
        }
        Line::System(None) => match &chat.system {
            Some(system) => context.say(system),
            None => context.say("No system prompt; /system TEXT sets one"),
        },
        Line::System(Some("-")) => {
            chat.system = None;
            context.say("System prompt removed");
        }
        Line::System(Some(system)) => {
            chat.system = Some(system.to_owned());
            context.say("System prompt set");
        }
        Line::Save(None) => context.say("/save needs a file name: /save notes.md"),
        Line::Save(Some(file)) => context.say(&save(file, chat, client)),
        Line::Copy => context.say(&copy(chat)?),
        Line::Help => context.say(HELP),
        Line::Surplus(word) => {
            context.say(&format!("`/{word}` takes no text; to send the line as a question, type `//{word}`"))
        }
        Line::Unknown(word) => context.say(&slash::unknown(word)),
        // Obeyed where the next question is known.
        Line::Empty | Line::Question(_) | Line::New | Line::Retry | Line::Attach(_) | Line::Exit => {}
    }
    Ok(())
}

/// Writes the conversation to a new file that only this user can read.
fn save(file: &str, chat: &Chat<'_>, client: &Client) -> String {
    let turns = chat.recorder.turns();
    let Some(first) = turns.first() else { return "Nothing to save yet".into() };
    let answered = |pair: &&[Turn]| pair[1].role == Role::Assistant && pair[1].state == State::Whole;
    let titled = turns.windows(2).find(answered).map_or(first, |pair| &pair[0]);
    let conversation = Conversation {
        id: chat.recorder.known_id().unwrap_or_default(),
        title: Conversation::title_of(&titled.text),
        provider: client.provider().name.clone(),
        model: client.provider().api.model_called(chat.model.as_deref().unwrap_or_default()),
        system: chat.system.clone(),
        created_at: first.at,
        updated_at: nexus::now(),
    };
    let text = export::markdown(&conversation, turns);
    match private_fs::create(&attached::path(file)).and_then(|mut made| made.write_all(text.as_bytes())) {
        Ok(()) => format!("Saved to {file}"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            format!("{file} already exists; name another file")
        }
        Err(error) => format!("{file} cannot be written: {error}"),
    }
}
