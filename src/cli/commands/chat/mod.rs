//! `nexus chat`: ask a question, or hold a conversation at a terminal.

use std::time::Duration;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, json};
use crate::cli::question::answer_state::AnswerState;
use crate::cli::question::schema::Schema;
use crate::cli::question::{PromptFrame, PromptInput, model};
use nexus::internal::api;
use nexus::{Answer, Client, Delta, Dialect, Question, RetryPolicy, Session, Usage};

mod args;
mod attached;
mod conversation;
mod editor;
mod prompt;
mod recorder;
mod sink;
mod slash;
mod unsaved;
mod usage;

pub(crate) use args::Args;
use args::Thinking;
use recorder::{Recorder, Resumed};
pub(crate) use sink::OutputFormat;
use sink::Sink;
use usage::Stopwatch;

/// How long an answer may pause before a note says so.
const NOTE_AFTER: Duration = Duration::from_secs(20);

/// Asks a question, or holds a conversation.
///
/// # Errors
/// Why there is no answer, or no complete one.
pub(crate) fn run(args: Args, context: &Context) -> Done {
    let format = args.format();
    let is_conversation = format == OutputFormat::Text && args.schema.is_none() && prompt::is_absent(&args, context);
    let mut chat = Chat::new(&args, context);
    if is_conversation {
        let client = chat.connect()?;
        return conversation::run(&mut chat, &client);
    }
    let (input, client, session) = match chat.prepare() {
        Ok(prepared) => prepared,
        Err(error) => return chat.fail(error),
    };
    context.block_on_with_signals(async |signals| {
        let done = tokio::select! {
            done = chat.ask(input, &client, session) => done,
            signal = signals.next() => Err(signal.into()),
        };
        tokio::select! {
            ended = chat.end(done) => ended,
            signal = signals.next() => Err(signal.into()),
        }
    })
}

/// The state of a chat: what is asked next, and what is known of the answer.
struct Chat<'a> {
    args: &'a Args,
    context: &'a Context,
    /// The model and the system prompt that the conversation uses, unless a flag or a template says otherwise.
    model: Option<String>,
    system: Option<String>,
    schema: Option<Schema>,
    recorder: Recorder,
    answer: AnswerState,
    sink: Sink<'a>,
    /// With `--usage`.
    stopwatch: Option<Stopwatch>,
    noted_silence: bool,
}

impl<'a> Chat<'a> {
    fn new(args: &'a Args, context: &'a Context) -> Self {
        Self {
            args,
            context,
            model: None,
            system: None,
            schema: None,
            recorder: Recorder::off(context),
            answer: AnswerState::default(),
            sink: Sink::new(args, context),
            stopwatch: args.usage.then(Stopwatch::start),
            noted_silence: false,
        }
    }

    /// Everything that a question needs, read and checked before the network is used.
    fn prepare(&mut self) -> Result<(PromptInput, Client, Session)> {
        self.schema =
            self.args.schema.as_deref().map(|schema| Schema::read(schema, "chat", self.context)).transpose()?;
        let frame = PromptFrame::read(&self.args.question, self.context)?.complete()?;
        let input = prompt::read(self.args, &frame, self.context)?;
        let client = self.connect()?;
        if self.args.attach.is_empty() {
            self.recorder.note_missing("-a");
        }
        let session = self.context.session(&client)?;
        Ok((input, client, session))
    }

    /// The client of the provider, and with `--continue` or `--conversation` the conversation that is continued.
    fn connect(&mut self) -> Result<Client> {
        let resumed = Resumed::find(self.args, self.context)?;
        let provider = self.args.question.provider.as_deref().or(resumed.as_ref().map(Resumed::provider));
        let (client, saves_history) = self.context.client_and_history(provider)?;
        let name = &client.provider().name;
        if let Some(resumed) = &resumed {
            self.system = resumed.system();
            self.model = resumed.model(name);
        }
        self.recorder = Recorder::new(self.args, resumed, name, saves_history, self.context)?;
        let progress = self.sink.progress_callback(&client);
        let policy = RetryPolicy { progress, ..self.args.question.retry.policy() };
        Ok(client.with_retry_policy(policy))
    }

    /// Asks, and streams the answer into the sink.
    async fn ask(&mut self, mut input: PromptInput, client: &Client, session: Session) -> Result<()> {
        input.model = input.model.or_else(|| self.model.clone());
        input.system = input.system.or_else(|| self.system.clone());
        let named = input.model.is_some() || client.provider().api.model.is_some();
        let question = self.question(input, client, &session).await?;
        self.recorder.ask(&question, &client.provider().name);
        let answer = match client.ask("", session, &question).await {
            // The saved list of models is out of date.
            Err(error) if !named && model::is_unknown_model(&error) => {
                let always = self.args.thinking == Some(Thinking::Always);
                let question = model::with_newest(client, question, error, always).await?;
                client.ask("", client.load("").await?, &question).await?
            }
            answered => answered.map_err(|error| model::suggest(error, &question.model, client))?,
        };
        self.follow(answer).await
    }

    /// The question as it is sent, with what came before it.
    ///
    /// # Errors
    /// [`CliError::NoModel`] and [`ApiError::UnsupportedByModel`](nexus::error::ApiError::UnsupportedByModel).
    async fn question(&mut self, input: PromptInput, client: &Client, session: &Session) -> Result<Question> {
        let models = model::models(input.model.is_some(), client, session).await?;
        let question = model::question(input, client, &models, self.context)?;
        // Older models refuse a request for adaptive thinking.
        let wanted = self.args.thinking;
        let thinks = wanted == Some(Thinking::Always)
            || models.iter().any(|listed| listed.id == question.model && listed.thinks_adaptively);
        if wanted.is_some() && !thinks && client.provider().api.dialect == Dialect::Anthropic {
            let model = &question.model;
            self.context.note(&format!("{model} is not listed as supporting thinking; ignoring --thinking"));
        }
        let mut question = Question {
            effort: self.args.effort.clone(),
            thinking: wanted.is_some() && thinks,
            schema: self.schema.as_ref().map(Schema::value),
            ..question
        };
        self.recorder.prepend_turns(&mut question);
        model::check_capabilities(&question, &models)?;
        Ok(question)
    }

    /// Streams an answer into the sink, to its end.
    async fn follow(&mut self, mut answer: Answer) -> Result<()> {
        self.answer.meta = answer.meta().clone();
        if self.sink.needs_conversation_id() {
            self.answer.conversation = self.recorder.id_if_soon_known().await;
        }
        self.sink.begin(&self.answer).await?;
        let streamed = self.stream(&mut answer).await;
        self.answer.meta = answer.meta().clone();
        self.sink.close(streamed.is_ok()).await?;
        streamed?;
        if let Some(schema) = &self.schema {
            schema.check_answer(&self.answer)?;
        }
        Ok(())
    }

    async fn stream(&mut self, answer: &mut Answer) -> Result<()> {
        while let Some(first) = self.next(answer).await? {
            // What came together is written together.
            let mut next = Some(first);
            while let Some(delta) = next {
                self.take(delta, answer).await?;
                next = answer.next_received();
            }
            self.sink.flush().await?;
        }
        Ok(())
    }

    async fn take(&mut self, delta: Delta, answer: &Answer) -> Result<()> {
        if let Delta::Text(text) = &delta {
            if let Some(stopwatch) = &mut self.stopwatch {
                stopwatch.first_text();
            }
            if self.sink.collects() {
                answer.collect(&mut self.answer.text, text)?;
            }
            self.recorder.record(text);
        }
        self.sink.delta(delta).await
    }

    /// The next delta. A long pause within the text is noted once, unless the text is visible on a terminal.
    async fn next(&mut self, answer: &mut Answer) -> Result<Option<Delta>> {
        let has_begun = self.sink.has_printed() || !self.answer.text.is_empty();
        if !has_begun || self.noted_silence || self.context.stdout_is_terminal() {
            return Ok(answer.next().await?);
        }
        let new_line = if self.sink.has_open_line() && self.context.streams_are_one() { "\n" } else { "" };
        let mut next = std::pin::pin!(answer.next());
        tokio::select! {
            biased;
            next = &mut next => return Ok(next?),
            () = tokio::time::sleep(NOTE_AFTER) => {}
        }
        self.noted_silence = true;
        self.context.say(&format!(
            "{new_line}note: no text for {} seconds; the answer is given up after {} seconds without any data",
            NOTE_AFTER.as_secs(),
            api::SILENCE.as_secs(),
        ));
        Ok(next.await?)
    }

    /// Saves the answer and finishes its output.
    ///
    /// # Errors
    /// The error in `done`, or a stdout that cannot be written.
    async fn end(&mut self, done: Result<()>) -> Done {
        self.sink.hide_progress();
        self.recorder.end(&done, &self.answer.meta).await;
        self.answer.conversation = self.recorder.id().await;
        match &done {
            Ok(()) => self.sink.finish(&self.answer).await?,
            // An interrupted command does not wait for the reader of stdout.
            Err(error @ CliError::Interrupted(_)) => self.sink.interrupt(&self.answer, error),
            Err(error) => self.sink.fail(&self.answer, error).await,
        }
        self.conclude(done)
    }

    /// Ends the output for an error that came before the question was asked.
    fn fail(&mut self, error: CliError) -> Done {
        self.sink.hide_progress();
        self.answer.conversation = self.recorder.known_id();
        self.sink.fail_blocking(&self.answer, &error);
        self.conclude(Err(error))
    }

    /// Prints the usage and the notes on the answer to stderr.
    fn conclude(&self, done: Result<()>) -> Done {
        let meta = &self.answer.meta;
        if let Some(stopwatch) = &self.stopwatch
            && (done.is_ok() || meta.usage != Usage::default())
        {
            self.context.say(&stopwatch.line(&meta.usage));
        }
        let Err(error) = done else {
            if let Some(note) = self.sink.stop_note(meta.stop_reason.as_deref().unwrap_or_default()) {
                self.context.say(&format!("note: the answer is incomplete: {note}"));
            }
            return Ok(0);
        };
        if self.sink.has_printed() {
            match &error {
                CliError::Interrupted(_) | CliError::Stdout(_) => {}
                error if error.is_declined() => self.context.say("note: the text above is not an answer"),
                _ => self.context.say("note: the answer above is incomplete"),
            }
        }
        Err(error)
    }

    /// Prepares for the next question of a conversation.
    fn reset(&mut self) {
        (self.answer, self.noted_silence) = (AnswerState::default(), false);
        self.stopwatch = self.args.usage.then(Stopwatch::start);
        self.sink = Sink::new(self.args, self.context);
    }
}

/// The JSON object of a usage error, if the command line asks for JSON.
pub(crate) fn usage_error(format: OutputFormat, error: &CliError) -> String {
    sink::final_object(format, &AnswerState::default(), Some(&json::object(error)))
}
