//! What is kept of a conversation, and when: the question while it is on its way, the answer once it
//! has ended. Whatever goes wrong here is a note; it never costs anybody an answer.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cli::commands::chat::Args;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::history::store::{History, NewQuestion};
use crate::cli::history::{self, Conversation, State, Turn};
use nexus::internal::clean::clean;
use nexus::{AnswerMeta, Part, Question, Role};

/// How much of an answer is kept, in bytes: more than any model writes at once.
const LONGEST: usize = 16 * 1024 * 1024;

/// How long whoever wants to know what a conversation is called waits for it to be written: many times as long as that
/// takes, unless another program keeps the history locked.
const SHORTLY: Duration = Duration::from_millis(250);

/// Keeps a conversation, or does not.
pub(super) struct Keep {
    context: Context,
    history: Option<History>,
    /// What goes on here: its id and what was said, once there is something.
    id: Option<String>,
    title: Option<String>,
    /// Whom it was had with, and what was said first, until somebody takes that over.
    pub(super) model: Option<String>,
    pub(super) system: Option<String>,
    turns: Vec<Turn>,
    /// The question whose answer is awaited.
    asked: Option<Turn>,
    writing: Option<oneshot::Receiver<Result<String>>>,
    answer: String,
    too_long: bool,
    /// Whether another question follows, with all of this before it.
    remembers: bool,
}

/// A conversation that was kept and is gone on with.
pub(super) struct Kept {
    history: History,
    conversation: Conversation,
}

impl Kept {
    /// The one that these words go on with, if they do.
    ///
    /// # Errors
    /// [`CliError::NoConversation`], or a history that cannot be read.
    pub(super) fn named(args: &Args, context: &Context) -> Result<Option<Self>> {
        if !args.goes_on && args.conversation.is_none() {
            return Ok(None);
        }
        let history = context.history()?;
        let none = || CliError::NoConversation { wanted: String::new(), several: 0 };
        let conversation = match &args.conversation {
            Some(id) => history.find(id)?,
            None => history.newest()?.ok_or_else(none)?,
        };
        Ok(Some(Self { history, conversation }))
    }

    /// With whose account it was had last: what was said there is not for others to read unless somebody says so.
    pub(super) fn provider(&self) -> &str {
        &self.conversation.provider
    }
}

impl Keep {
    /// What these words, this terminal and the configuration want, and how far the conversation is
    /// that they go on with.
    ///
    /// # Errors
    /// A history that cannot be read but has to be.
    pub(super) fn settle(
        args: &Args,
        kept: Option<Kept>,
        provider: &str,
        configured: bool,
        context: &Context,
    ) -> Result<Self> {
        let Some(Kept { history, conversation }) = kept else {
            let by_default = context.stdout_is_terminal() && configured && !args.no_history;
            let history = if args.history || by_default { Some(context.history()?) } else { None };
            return Ok(Self { history, ..Self::off(context) });
        };
        let turns = history.turns(&conversation.id)?;
        let here = conversation.provider == provider;
        if !here {
            let so_far = clean(&conversation.provider);
            context
                .note(&format!("the conversation so far was had with {so_far}, and all of it is sent to {provider}"));
        }
        // Whoever sends files along knows what they are for.
        match missing(&turns) {
            0 => {}
            _ if !args.attach.is_empty() => {}
            1 => context.note("an attachment of this conversation was not kept; attach it again with -a"),
            many => {
                context
                    .note(&format!("{many} attachments of this conversation were not kept; attach them again with -a"));
            }
        }
        Ok(Self {
            history: Some(history),
            id: Some(conversation.id),
            title: Some(conversation.title),
            system: conversation.system,
            turns,
            // Another account may not have that model.
            model: Some(conversation.model).filter(|_| here),
            ..Self::off(context)
        })
    }

    /// One that keeps nothing.
    pub(super) fn off(context: &Context) -> Self {
        Self {
            context: context.clone(),
            history: None,
            id: None,
            title: None,
            model: None,
            system: None,
            turns: Vec::new(),
            asked: None,
            writing: None,
            answer: String::new(),
            too_long: false,
            remembers: false,
        }
    }

    /// Remembers what is said until the program ends, whether it is kept or not.
    pub(super) fn remember(&mut self) {
        self.remembers = true;
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.history.is_some()
    }

    /// The beginning of its first question.
    pub(super) fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The last questions of all conversations that are kept, if this one is.
    pub(super) fn earlier_questions(&self, limit: usize) -> Vec<String> {
        // A history that cannot be read is told of when something is to be kept.
        self.history.as_ref().and_then(|history| history.questions(limit).ok()).unwrap_or_default()
    }

    /// What was said before.
    pub(super) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Puts what was said before in front of a question, and begins to keep it, beside whoever sends
    /// it.
    pub(super) fn ask(&mut self, question: &mut Question, provider: &str) {
        // Nothing is paid for what nobody wants.
        if !self.remembers && !self.is_on() {
            return;
        }
        let at = nexus::now();
        let parts = question.messages.last().map(|message| &*message.parts).unwrap_or_default();
        let (text, words) = (kept(parts), words(parts));
        self.answer.clear();
        self.too_long = false;
        self.asked = Some(Turn::question(&text, at));
        self.title.get_or_insert_with(|| Conversation::title_of(&words));
        history::prepend_turns(&self.turns, &mut question.messages);
        let Some(history) = self.history.clone() else { return };
        let (model, system) = (question.model.clone(), question.system.clone());
        let question = NewQuestion { provider: provider.to_owned(), model, system, text, prompt: words, at };
        let id = self.id.clone();
        self.writing = self.aside(move || history.save_question(id.as_deref(), &question));
    }

    /// The next piece of the answer.
    pub(super) fn hear(&mut self, text: &str) {
        if self.asked.is_none() {
            return;
        }
        self.too_long |= self.answer.len() + text.len() > LONGEST;
        if !self.too_long {
            self.answer.push_str(text);
        }
    }

    /// Writes on a thread, because the disk may be slow and neither the network nor a signal need wait for it.
    fn aside<T: Send + 'static>(
        &mut self,
        write: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Option<oneshot::Receiver<Result<T>>> {
        let (send, written) = oneshot::channel();
        // Nobody listens any more: then the program ends.
        match thread::Builder::new().spawn(move || drop(send.send(write()))) {
            Ok(_) => return Some(written),
            Err(error) => self.give_up(&error.to_string()),
        }
        None
    }

    /// The conversation's id, once the question is kept.
    pub(super) async fn id(&mut self) -> Option<String> {
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            match written {
                Ok(Ok(id)) => self.id = Some(id),
                Ok(Err(failure)) => self.give_up(&failure.to_string()),
                Err(_) => self.give_up("the thread that writes it ended"),
            }
        }
        self.known_id()
    }

    /// The same if that is so by now: a history that is locked holds nothing up.
    pub(super) async fn id_by_now(&mut self) -> Option<String> {
        timeout(SHORTLY, self.id()).await.ok().flatten()
    }

    /// The conversation's id as far as it is known.
    pub(super) fn known_id(&self) -> Option<String> {
        self.id.clone().filter(|_| self.is_on())
    }

    /// Keeps the answer as far as it came, whatever became of it.
    pub(super) async fn end<T>(&mut self, done: &Result<T>, ending: &AnswerMeta) {
        let Some(asked) = self.asked.take() else { return };
        let id = self.id().await;
        let state = match done {
            Ok(_) if self.too_long => State::Cut,
            Ok(_) => State::Whole,
            Err(error) if error.is_declined() => State::Refused,
            Err(_) => State::Cut,
        };
        // A question without any answer is most likely asked again: it is kept, but not sent again.
        if state == State::Cut && self.answer.is_empty() {
            return;
        }
        let turn = Turn {
            role: Role::Assistant,
            text: std::mem::take(&mut self.answer),
            state,
            model: ending.model.clone(),
            stop_reason: ending.stop_reason.clone(),
            usage: serde_json::to_value(ending.usage).ok(),
            request_id: ending.request_id.clone(),
            at: nexus::now(),
        };
        let kept = turn.clone();
        if self.remembers {
            self.turns.extend([asked, turn]);
        }
        if let (Some(history), Some(id)) = (self.history.clone(), id)
            && let Some(written) = self.aside(move || history.save_answer(&id, &kept))
        {
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => self.give_up(&failure.to_string()),
                Err(_) => self.give_up("the thread that writes it ended"),
            }
        }
    }

    fn give_up(&mut self, why: &str) {
        self.context.say(&format!("note: this is not kept in the history: {why}"));
        self.history = None;
    }
}

/// What the person said: the words stand behind the files.
fn words(parts: &[Part]) -> String {
    match parts.last() {
        Some(Part::Text(words)) => words.clone(),
        _ => String::new(),
    }
}

/// How the line ends that stands for a file whose content is not kept.
const NOT_KEPT: &str = ", which is not kept]";

/// How many files' contents are missing in what was said.
fn missing(turns: &[Turn]) -> usize {
    let asked = turns.iter().filter(|turn| turn.role == Role::User);
    asked.flat_map(|turn| turn.text.lines()).filter(|line| line.starts_with('[') && line.ends_with(NOT_KEPT)).count()
}

/// What of a question is kept: its text, the files' included. Of other files, that they were there.
fn kept(parts: &[Part]) -> String {
    let texts: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Document { title, text } => format!("[{title}]\n{text}"),
            Part::Pdf { title, .. } => format!("[{title}{NOT_KEPT}"),
            Part::Image { .. } => format!("[a picture{NOT_KEPT}"),
        })
        .collect();
    texts.join("\n\n")
}
