//! What becomes of an answer: written as it comes, or told to a program.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::cli::commands::Done;
use crate::cli::commands::chat::Args;
use crate::cli::commands::chat::keep::Keep;
use crate::cli::commands::chat::object::{self, Form, Known};
use crate::cli::commands::chat::schema::Schema;
use crate::cli::commands::chat::shown::Shown;
use crate::cli::commands::chat::spent::Watch;
use crate::cli::context::Context;
use crate::cli::error::json;
use crate::cli::error::{CliError, Result};
use crate::cli::terminal::Progress;
use crate::cli::terminal::thinking::ThinkingSink;
use nexus::internal::api;
use nexus::internal::provider::host;
use nexus::internal::time;
use nexus::{Answer, Client, Delta, ProgressEvent, ProgressFn, Usage};

/// Where an answer goes, and what is known of it.
pub(super) struct Output<'w> {
    form: Form,
    raw: bool,
    pub(super) context: &'w Context,
    /// Until there is something better to see.
    progress: Option<Progress>,
    pub(super) known: Known,
    pub(super) keep: Keep,
    /// Whether any of the answer's text was printed.
    printed: bool,
    /// What the answer must fit.
    pub(super) schema: Option<Schema>,
    /// Running where somebody wants to know the time.
    watch: Option<Watch>,
    /// Whether what the model thinks is shown, too.
    thinking: bool,
    /// Whether a silence in the middle was spoken of.
    told_of_silence: bool,
}

/// How long a text may stand still before that is worth a word.
const SILENCE: Duration = Duration::from_secs(20);

impl<'w> Output<'w> {
    pub(super) fn new(form: Form, args: &Args, context: &'w Context) -> Self {
        Self {
            form,
            raw: args.raw,
            context,
            progress: (form != Form::StreamJson).then(|| context.progress()),
            known: Known::default(),
            keep: Keep::off(context),
            printed: false,
            schema: None,
            watch: args.usage.then(Watch::start),
            thinking: args.thinking,
            told_of_silence: false,
        }
    }

    /// Shows no wait while somebody types.
    pub(super) fn rest(&mut self) {
        self.progress = None;
    }

    /// Forgets the answer before, as another question is asked.
    pub(super) fn begin(&mut self) {
        (self.known, self.printed, self.told_of_silence) = (Known::default(), false, false);
        self.watch = self.watch.is_some().then(Watch::start);
        self.progress = Some(self.context.progress());
    }

    /// Follows an answer to its end.
    ///
    /// # Errors
    /// A stdout that takes nothing, or why the answer is not whole.
    pub(super) async fn follow(&mut self, mut answer: Answer) -> Result<()> {
        self.known.ending = answer.meta().clone();
        self.context.waiting(awaited(self.form, self.schema.is_some()));
        let ended = match (self.form, &self.schema) {
            (Form::Text, None) => self.print(&mut answer).await,
            // What must fit a schema is printed when it does.
            _ => self.tell(&mut answer).await,
        };
        self.known.ending = answer.meta().clone();
        ended?;
        if let Some(schema) = &self.schema {
            let cut = self.known.ending.stop_reason.as_deref() == Some("max_tokens");
            schema.check(&self.known.text).map_err(|why| CliError::SchemaMismatch { reason: why, cut })?;
        }
        Ok(())
    }

    /// Writes the text piece by piece.
    async fn print(&mut self, answer: &mut Answer) -> Result<()> {
        let mut out = Shown::begin(self.raw, self.context);
        let mut aside = ThinkingSink::default();
        let ended = loop {
            let open = out.is_open();
            match self.next(answer, open).await {
                Ok(Some(Delta::Text(text))) => {
                    aside.end();
                    self.first_text();
                    self.printed = true;
                    self.progress = None;
                    self.keep.hear(&text);
                    out.write(&text).await?;
                }
                Ok(Some(Delta::Thinking(text))) if self.thinking => {
                    self.progress = None;
                    aside.write(&text);
                }
                Ok(Some(Delta::Thinking(_))) => {}
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        self.progress = None;
        aside.end();
        // Where both are read as one, an error must not begin in the middle of the answer's last line.
        if ended.is_ok() || self.context.stdout_is_terminal() || self.context.streams_are_one() {
            out.finish().await?;
        }
        ended
    }

    /// Keeps the text for the object at the end; a stream tells of it as it comes, too.
    async fn tell(&mut self, answer: &mut Answer) -> Result<()> {
        let stream = self.form == Form::StreamJson;
        if stream {
            self.known.conversation = self.keep.id_by_now().await;
            self.context.send_json(&self.known.start()).await?;
        }
        let mut aside = ThinkingSink::default();
        while let Some(piece) = self.next(answer, false).await? {
            let (kind, text) = match &piece {
                Delta::Text(text) => {
                    aside.end();
                    self.first_text();
                    answer.collect(&mut self.known.text, text)?;
                    self.keep.hear(text);
                    ("text", text)
                }
                Delta::Thinking(text) => {
                    if self.thinking && self.form == Form::Text {
                        self.progress = None;
                        aside.write(text);
                    }
                    ("thinking", text)
                }
            };
            if stream {
                self.context.send_json(&object::piece(kind, text)).await?;
            }
        }
        Ok(())
    }

    /// The next piece. A silence in the middle of the text is told of, once, where nobody sees the text stand still.
    async fn next(&mut self, answer: &mut Answer, open_line: bool) -> Result<Option<Delta>> {
        let begun = self.printed || !self.known.text.is_empty();
        if !begun || self.told_of_silence || self.context.stdout_is_terminal() {
            return Ok(answer.next().await?);
        }
        let (context, told) = (self.context, &mut self.told_of_silence);
        let next = patiently(answer.next(), || {
            *told = true;
            let apart = if open_line && context.streams_are_one() { "\n" } else { "" };
            context.say(&format!(
                "{apart}note: no text has come for {} seconds; without any sign of life it is given up after {}",
                SILENCE.as_secs(),
                api::SILENCE.as_secs(),
            ));
        })
        .await;
        Ok(next?)
    }

    fn first_text(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.first_text();
        }
    }

    /// Ends what was told: with the last object, or with what is to be known about the text that
    /// was printed.
    ///
    /// # Errors
    /// What went wrong before, or a stdout that takes nothing.
    pub(super) async fn end(&mut self, done: Result<()>) -> Done {
        self.progress = None;
        self.keep.end(&done, &self.known.ending).await;
        self.known.conversation = self.keep.id().await;
        match &done {
            Ok(()) => {
                let last = self.last();
                match self.form {
                    Form::Text => self.context.send(&last).await?,
                    Form::Json | Form::StreamJson => self.context.send_json(&last).await?,
                }
            }
            // Whoever interrupts does not wait for a reader any more.
            Err(error @ CliError::Interrupted(_)) => {
                self.context.send_json_now(&self.lost(error));
                // The object has its message beside it; whoever reads text knows what ended it.
                if self.form != Form::Text {
                    self.context.say(&format!("error: {error}"));
                }
            }
            Err(error) => {
                // If stdout cannot take it, the message on stderr and the exit code have to do.
                let _ = self.context.send_json(&self.lost(error)).await;
            }
        }
        self.conclude(done)
    }

    /// The same for what failed before it could be asked.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) fn end_unasked(&mut self, error: CliError) -> Done {
        self.progress = None;
        self.known.conversation = self.keep.known_id();
        let _ = self.context.print_json(&self.lost(&error));
        self.conclude(Err(error))
    }

    /// The last that stdout gets of an answer: the object, or the text that fits its schema.
    fn last(&self) -> String {
        match (self.form, &self.schema) {
            (Form::Text, None) => String::new(),
            (Form::Text, Some(_)) => format!("{}\n", self.known.text.trim_end()),
            (form, _) => self.known.told(form, None),
        }
    }

    /// The same of a failure.
    fn lost(&self, error: &CliError) -> String {
        match (self.form, error) {
            (Form::Text, _) | (_, CliError::Stdout(_)) => String::new(),
            _ => self.known.told(self.form, Some(&json::object(error))),
        }
    }

    /// What is said of it beside.
    fn conclude(&self, done: Result<()>) -> Done {
        if let Some(watch) = &self.watch
            && (done.is_ok() || self.known.ending.usage != Usage::default())
        {
            self.context.say(&watch.line(&self.known.ending.usage));
        }
        let Err(error) = done else {
            if self.known.ending.stop_reason.as_deref() == Some("max_tokens") {
                self.context.say("note: the answer stops here because it reached --max-tokens");
            }
            // Programs are told the reason itself.
            if self.form == Form::Text
                && let Some(why) = self.known.ending.stop_reason.as_deref().and_then(oddly_ended)
            {
                self.context.say(&format!("note: the answer stops here because {why}"));
            }
            return Ok(0);
        };
        if self.printed {
            match &error {
                CliError::Interrupted(_) | CliError::Stdout(_) => {}
                error if error.is_declined() => self.context.say("note: what was printed is not an answer"),
                _ => self.context.say("note: what was printed is not the whole answer"),
            }
        }
        Err(error)
    }
}

/// Why an answer ended, where that is neither its end nor told otherwise.
fn oddly_ended(reason: &str) -> Option<String> {
    match reason {
        "" | "end_turn" | "stop_sequence" | "max_tokens" => None,
        "tool_use" => Some("the model wants to use a tool (tool_use), and is offered none here".into()),
        "pause_turn" => Some("the service paused it (pause_turn); ask it to go on".into()),
        other => Some(format!("of `{other}`, which nexus does not know")),
    }
}

/// Waits, and says so once that has taken a while.
async fn patiently<T>(awaited: impl Future<Output = T>, say: impl FnOnce()) -> T {
    let mut awaited = std::pin::pin!(awaited);
    tokio::select! {
        biased;
        came = &mut awaited => return came,
        () = sleep(SILENCE) => say(),
    }
    awaited.await
}

/// What an answer that has begun is waited for with.
pub(super) fn awaited(form: Form, formed: bool) -> &'static str {
    match form {
        Form::Text if !formed => "waiting for the first words",
        _ => "waiting for the end of the answer",
    }
}

/// Tells a person what is waited for, where one is there to see it.
pub(super) fn waits(awaited: &'static str, client: &Client, context: &Context) -> Option<ProgressFn> {
    if !context.shows_progress() {
        return None;
    }
    let (context, host) = (context.clone(), client.provider().api.url.as_ref().map(host).unwrap_or_default());
    Some(Arc::new(move |waiting| match waiting {
        ProgressEvent::WaitingForToken => context.waiting("refreshing the token"),
        ProgressEvent::WaitingForAnswer => context.waiting(format_args!("waiting for {host}")),
        ProgressEvent::WaitingForText => context.waiting(awaited),
        ProgressEvent::Retrying(retry) => {
            context.waiting(format_args!("asking {host} again in {}", time::wait(retry.wait)));
            context.say(&format!("note: {retry}"));
        }
    }))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_told_of_once_it_is_one_and_ends_nothing() {
        for (seconds, told) in [(0, None), (19, None), (21, Some(20)), (80, Some(20))] {
            let start = Instant::now();
            let mut said = None;
            let awaited = async {
                sleep(Duration::from_secs(seconds)).await;
                seconds
            };
            assert_eq!(patiently(awaited, || said = Some(start.elapsed().as_secs())).await, seconds);
            assert_eq!((said, start.elapsed().as_secs()), (told, seconds));
        }
    }
}
