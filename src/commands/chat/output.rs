//! What becomes of an answer: written as it comes, or told to a program.

use std::io::{self, StdoutLock};

use crate::api::{Answer, Piece};
use crate::commands::Done;
use crate::commands::chat::object::{self, Form, Known};
use crate::commands::told;
use crate::failure::Failure;
use crate::terminal::Streamed;
use crate::world::World;

/// Where an answer goes, and what is known of it.
pub(super) struct Output<'w> {
    form: Form,
    world: &'w World,
    pub(super) known: Known,
    /// Whether any of the answer's text was printed.
    printed: bool,
}

impl<'w> Output<'w> {
    pub(super) fn new(form: Form, world: &'w World) -> Self {
        Self { form, world, known: Known::default(), printed: false }
    }

    /// Follows an answer to its end.
    ///
    /// # Errors
    /// A stdout that takes nothing, or why the answer is not whole.
    pub(super) async fn follow(&mut self, mut answer: Answer) -> anyhow::Result<()> {
        self.known.ending = answer.ending().clone();
        let ended = match self.form {
            Form::Text => self.print(&mut answer).await,
            Form::Json | Form::StreamJson => self.tell(&mut answer).await,
        };
        self.known.ending = answer.ending().clone();
        ended
    }

    /// Writes the text piece by piece.
    async fn print(&mut self, answer: &mut Answer) -> anyhow::Result<()> {
        let terminal = self.world.stdout_is_terminal();
        let mut out: Streamed<StdoutLock<'_>> = Streamed::new(io::stdout().lock(), terminal);
        let ended = loop {
            match answer.next().await {
                Ok(Some(Piece::Text(text))) => {
                    self.printed = true;
                    out.write(&text)?;
                }
                Ok(Some(Piece::Thinking(_))) => {}
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        // On a terminal an error must not begin in the middle of the answer's last line.
        if ended.is_ok() || terminal {
            out.finish()?;
        }
        Ok(ended?)
    }

    /// Keeps the text for the object at the end; a stream tells of it as it comes, too.
    async fn tell(&mut self, answer: &mut Answer) -> anyhow::Result<()> {
        let stream = self.form == Form::StreamJson;
        if stream {
            self.world.print_json(&self.known.start())?;
        }
        while let Some(piece) = answer.next().await? {
            let (kind, text) = match &piece {
                Piece::Text(text) => ("text", text),
                Piece::Thinking(text) => ("thinking", text),
            };
            if kind == "text" {
                self.known.text.push_str(text);
            }
            if stream {
                self.world.print_json(&object::piece(kind, text))?;
            }
        }
        Ok(())
    }

    /// Ends what was told: with the last object, or with what is to be known about the text that
    /// was printed.
    ///
    /// # Errors
    /// What went wrong before, or a stdout that takes nothing.
    pub(super) fn end(self, done: anyhow::Result<()>) -> Done {
        match done {
            Ok(()) => {
                if self.form != Form::Text {
                    self.world.print_json(&self.known.told(self.form, None))?;
                }
                if self.known.ending.stop_reason.as_deref() == Some("max_tokens") {
                    self.world.say("note: the answer stops here because it reached --max-tokens");
                }
                Ok(0)
            }
            Err(error) => {
                if let (Form::Json | Form::StreamJson, Some(object)) = (self.form, told::error(&error)) {
                    // If stdout cannot take it, the sentence on stderr and the exit code have to do.
                    let _ = self.world.print_json(&self.known.told(self.form, Some(&object)));
                }
                if self.printed {
                    match error.downcast_ref() {
                        Some(Failure::Declined { .. }) => self.world.say("note: what was printed is not an answer"),
                        Some(_) => self.world.say("note: what was printed is not the whole answer"),
                        None => {}
                    }
                }
                Err(error)
            }
        }
    }
}
