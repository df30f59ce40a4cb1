//! Saves a conversation in the history: the question while it is sent, the answer once it has ended. An error here is a
//! note and never costs an answer.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Args, unsaved};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::history::store::{History, NewQuestion};
use crate::cli::history::{self, Conversation, State, Turn};
use crate::cli::question::attachment::{self, MAX_REQUEST};
use nexus::internal::clean::clean;
use nexus::{AnswerMeta, Part, Question, Role};

/// The longest answer that is saved, in bytes: more than any model writes at once.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How long to wait for the id of a new conversation. Writing it takes a fraction of this, unless another program has
/// locked the history.
const ID_WAIT: Duration = Duration::from_millis(250);

/// Saves a conversation, if it is to be saved.
pub(super) struct Recorder {
    context: Context,
    history: Option<History>,
    /// The id and the title of the conversation, once it has a question.
    id: Option<String>,
    title: Option<String>,
    turns: Vec<Turn>,
    /// What was typed for the next question, at the prompt of a conversation.
    typed: Option<String>,
    /// The question whose answer is awaited.
    question: Option<Turn>,
    writing: Option<oneshot::Receiver<Result<String>>>,
    answer: String,
    too_long: bool,
    /// Whether more questions follow, each sent with all turns before it.
    keeps_turns: bool,
    /// How many turns there were before the question was asked for the first time. Its answer takes the place of those
    /// since then.
    earlier: usize,
}

/// A saved conversation that is continued.
pub(super) struct Resumed {
    history: History,
    conversation: Conversation,
}

impl Resumed {
    /// The conversation that the flags name, if they name one.
    ///
    /// # Errors
    /// [`CliError::NoConversation`], or a history that cannot be read.
    pub(super) fn find(args: &Args, context: &Context) -> Result<Option<Self>> {
        if !args.continues && args.conversation.is_none() {
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

    /// The provider that the conversation was held with. It is used again, because the turns are not sent to another
    /// one unless a flag names that.
    pub(super) fn provider(&self) -> &str {
        &self.conversation.provider
    }

    pub(super) fn system(&self) -> Option<String> {
        self.conversation.system.clone()
    }

    /// The model, if the provider is the same.
    pub(super) fn model(&self, provider: &str) -> Option<String> {
        Some(self.conversation.model.clone()).filter(|_| self.conversation.provider == provider)
    }
}

impl Recorder {
    /// A recorder as the flags, the terminal and the configuration ask for, with the turns of a resumed conversation.
    ///
    /// # Errors
    /// A history that cannot be read.
    pub(super) fn new(
        args: &Args,
        resumed: Option<Resumed>,
        provider: &str,
        configured: bool,
        context: &Context,
    ) -> Result<Self> {
        let Some(Resumed { history, conversation }) = resumed else {
            let by_default = context.stdout_is_terminal() && configured && !args.no_history;
            let history = if args.history || by_default { Some(context.history()?) } else { None };
            return Ok(Self { history, ..Self::off(context) });
        };
        let turns = history.turns(&conversation.id)?;
        if conversation.provider != provider {
            let before = clean(&conversation.provider);
            context.note(&format!("this conversation was held with {before}; all of it is sent to {provider}"));
        }
        Ok(Self {
            history: Some(history),
            earlier: turns.len(),
            id: Some(conversation.id),
            title: Some(conversation.title),
            turns,
            ..Self::off(context)
        })
    }

    /// A recorder that saves nothing.
    pub(super) fn off(context: &Context) -> Self {
        Self {
            context: context.clone(),
            history: None,
            id: None,
            title: None,
            turns: Vec::new(),
            typed: None,
            question: None,
            writing: None,
            answer: String::new(),
            too_long: false,
            keeps_turns: false,
            earlier: 0,
        }
    }

    /// Keeps the turns in memory for the next question, whether they are saved or not.
    pub(super) fn keep_turns(&mut self) {
        self.keeps_turns = true;
    }

    /// Whether the conversation is saved.
    pub(super) fn is_on(&self) -> bool {
        self.history.is_some()
    }

    /// The title of the conversation: the beginning of its first question.
    pub(super) fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The last entries that were typed in saved conversations, if this one is saved.
    pub(super) fn earlier_entries(&self, limit: usize) -> Vec<String> {
        // An unreadable history is reported when something is to be saved.
        self.history.as_ref().and_then(|history| history.typed(limit).ok()).unwrap_or_default()
    }

    /// Saves what was typed with the next question.
    pub(super) fn keep_typed(&mut self, entry: &str) {
        self.typed = Some(entry.to_owned());
    }

    /// Begins another conversation.
    pub(super) fn begin_another(&mut self) {
        (self.id, self.title, self.earlier) = (None, None, 0);
        self.turns.clear();
    }

    /// The next question comes after this many turns. Later ones are of earlier attempts to ask it.
    pub(super) fn ask_after(&mut self, turns: usize) {
        self.earlier = turns.min(self.turns.len());
    }

    /// Says that attachments of a conversation that is continued are missing in the next question, and how to attach.
    pub(super) fn note_missing(&self, how: &str) {
        let files = match unsaved::missing_in(&self.turns) {
            0 => return,
            1 => "1 attachment of this conversation was".into(),
            many => format!("{many} attachments of this conversation were"),
        };
        self.context.note(&format!("{files} not saved; attach again with {how} if needed"));
    }

    /// The turns so far.
    pub(super) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Prepends the turns so far to a question.
    pub(super) fn prepend_turns(&mut self, question: &mut Question) {
        let turns = &mut self.turns[..self.earlier];
        let parts = question.messages.iter().flat_map(|message| &message.parts);
        let texts = turns.iter().map(|turn| turn.text.len());
        let length: usize = parts.map(attachment::length).chain(texts).sum();
        let left_out = unsaved::keep_newest(turns, MAX_REQUEST.saturating_sub(length));
        if left_out > 0 {
            self.context.note(&format!(
                "earlier attachments are no longer sent ({left_out}): the limit for a request is {}",
                attachment::size(MAX_REQUEST)
            ));
        }
        history::prepend_turns(turns, &mut question.messages);
    }

    /// Begins to save a question.
    pub(super) fn ask(&mut self, question: &Question, provider: &str) {
        if !self.keeps_turns && !self.is_on() {
            return;
        }
        let at = nexus::now();
        let parts = question.messages.last().map(|message| &*message.parts).unwrap_or_default();
        let (text, words) = (unsaved::saved_text(parts), prompt_text(parts));
        self.answer.clear();
        self.too_long = false;
        let parts = if self.keeps_turns { unsaved::parts_to_keep(parts) } else { Vec::new() };
        self.question = Some(Turn { parts, ..Turn::question(&text, at) });
        self.title.get_or_insert_with(|| Conversation::title_of(&words));
        let Some(history) = self.history.clone() else { return };
        let (model, system) = (question.model.clone(), question.system.clone());
        let typed = self.typed.take();
        let question = NewQuestion { provider: provider.to_owned(), model, system, text, prompt: words, typed, at };
        let id = self.id.clone();
        self.writing = self.on_thread(move || history.save_question(id.as_deref(), &question));
    }

    /// Records the next piece of the answer.
    pub(super) fn record(&mut self, text: &str) {
        if self.question.is_none() {
            return;
        }
        self.too_long |= self.answer.len() + text.len() > MAX_ANSWER;
        if !self.too_long {
            self.answer.push_str(text);
        }
    }

    /// Writes on a thread, because a slow disk must hold up neither the network nor a signal.
    fn on_thread<T: Send + 'static>(
        &mut self,
        write: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Option<oneshot::Receiver<Result<T>>> {
        let (send, written) = oneshot::channel();
        // Nothing receives it if the program ends.
        match thread::Builder::new().spawn(move || drop(send.send(write()))) {
            Ok(_) => return Some(written),
            Err(error) => self.give_up(&error.to_string()),
        }
        None
    }

    /// The conversation's id, once the question is saved.
    pub(super) async fn id(&mut self) -> Option<String> {
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            match written {
                Ok(Ok(id)) => self.id = Some(id),
                Ok(Err(failure)) => self.give_up(&failure.to_string()),
                Err(_) => self.give_up("the writing thread ended"),
            }
        }
        self.known_id()
    }

    /// The conversation's id, if the question is saved soon: a locked history must not hold up the answer.
    pub(super) async fn id_if_soon_known(&mut self) -> Option<String> {
        timeout(ID_WAIT, self.id()).await.ok().flatten()
    }

    /// The conversation's id, if it is known already.
    pub(super) fn known_id(&self) -> Option<String> {
        self.id.clone().filter(|_| self.is_on())
    }

    /// Saves the answer as far as it came.
    pub(super) async fn end<T>(&mut self, done: &Result<T>, ending: &AnswerMeta) {
        let Some(mut question) = self.question.take() else { return };
        let id = self.id().await;
        let state = match done {
            Ok(_) if self.too_long => State::Cut,
            Ok(_) => State::Whole,
            Err(error) if error.is_declined() => State::Refused,
            Err(_) => State::Cut,
        };
        // A question without an answer is saved, but not sent again with the next one.
        if state == State::Cut && self.answer.is_empty() {
            let why = done.as_ref().err().map(ToString::to_string).unwrap_or_default();
            return self.save(id, move |history, id| history.save_failure(id, question.at, &why)).await;
        }
        let turn = Turn {
            role: Role::Assistant,
            text: std::mem::take(&mut self.answer),
            parts: Vec::new(),
            state,
            model: ending.model.clone(),
            stop_reason: ending.stop_reason.clone(),
            usage: serde_json::to_value(ending.usage).ok(),
            request_id: ending.request_id.clone(),
            failure: None,
            at: nexus::now(),
        };
        let saved = turn.clone();
        let mut replaced = 0;
        if state == State::Whole {
            for attempt in &mut self.turns[self.earlier..] {
                attempt.parts.clear();
                if attempt.role == Role::Assistant {
                    attempt.replace();
                    replaced += 1;
                }
            }
        } else {
            // It is not sent again.
            question.parts.clear();
        }
        if self.keeps_turns {
            self.turns.extend([question, turn]);
        }
        self.save(id, move |history, id| history.save_answer(id, &saved, replaced)).await;
    }

    /// Writes what came of a question into its conversation, if that is saved.
    async fn save(&mut self, id: Option<String>, write: impl FnOnce(&History, &str) -> Result<()> + Send + 'static) {
        if let (Some(history), Some(id)) = (self.history.clone(), id)
            && let Some(written) = self.on_thread(move || write(&history, &id))
        {
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => self.give_up(&failure.to_string()),
                Err(_) => self.give_up("the writing thread ended"),
            }
        }
    }

    fn give_up(&mut self, why: &str) {
        self.context.say(&format!("note: not saved in the history: {why}"));
        self.history = None;
    }
}

/// The prompt of a question. It comes after the attachments.
fn prompt_text(parts: &[Part]) -> String {
    match parts.last() {
        Some(Part::Text(prompt)) => prompt.clone(),
        _ => String::new(),
    }
}
