//! Where the results of a batch go, and the count of them.

use std::fs::Metadata;
use std::path::Path;

use crate::cli::commands::chat::batch::answers::Answers;
use crate::cli::commands::chat::batch::ledger::Ledger;
use crate::cli::commands::chat::batch::prompts::Id;
use crate::cli::commands::chat::object::Known;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, json};
use nexus::{ErrorClass, ErrorInfo as _};

/// The results: in a file, or on stdout.
pub(super) struct Results {
    file: Option<Answers>,
    context: Context,
    tally: Tally,
}

/// What has come of the lines so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) answered: u64,
    pub(super) answered_before: u64,
    pub(super) repeated: u64,
    pub(super) failed: u64,
    /// Of those that failed, how many may be answered later as they are.
    pub(super) temporarily: u64,
    /// Answers that end where they had to.
    pub(super) cut_short: u64,
    pub(super) tokens_in: u64,
    pub(super) tokens_out: u64,
}

impl Tally {
    /// How many lines are done with.
    pub(super) fn done(&self) -> u64 {
        self.answered + self.answered_before + self.repeated + self.failed
    }
}

impl Results {
    /// Opens the file, if there is to be one, and says what stood in it.
    ///
    /// # Errors
    /// Those of [`Answers::open`].
    pub(super) fn open(
        out: Option<&Path>,
        input: Option<&Metadata>,
        ledger: &mut Ledger,
        context: &Context,
    ) -> Result<Self> {
        let mut file = None;
        if let Some(out) = out {
            let (answers, found) = Answers::open(out, input, ledger)?;
            if found.mended {
                context
                    .say("note: the last line of the file was broken off; it is asked again if the input still has it");
            }
            if found.failed > 0 {
                let (they_are, them) = if found.failed == 1 { ("it is", "it") } else { ("they are", "them") };
                let failed = lines(found.failed as u64);
                context.say(&format!(
                    "note: {failed} failed earlier; {they_are} asked again if the input still has {them}"
                ));
            }
            file = Some(answers);
        }
        Ok(Self { file, context: context.clone(), tally: Tally::default() })
    }

    /// An answer came.
    ///
    /// # Errors
    /// A file or a stdout that takes nothing.
    pub(super) async fn answered(&mut self, id: &Id, known: &Known) -> Result<()> {
        self.write(&known.result(Some(id), None)).await?;
        self.tally.answered += 1;
        self.tally.cut_short += u64::from(known.ending.stop_reason.as_deref() == Some("max_tokens"));
        self.tally.tokens_in += known.ending.usage.input_tokens.unwrap_or(0);
        self.tally.tokens_out += known.ending.usage.output_tokens.unwrap_or(0);
        Ok(())
    }

    /// A line came to nothing before it was asked.
    ///
    /// # Errors
    /// A file or a stdout that takes nothing.
    pub(super) async fn failed(&mut self, id: Option<&Id>, failure: &CliError) -> Result<()> {
        self.fail(id, &Known::default(), failure).await
    }

    /// A question came to nothing, or to half an answer.
    ///
    /// # Errors
    /// A file or a stdout that takes nothing.
    pub(super) async fn failed_after(&mut self, id: &Id, known: &Known, failure: &CliError) -> Result<()> {
        self.fail(Some(id), known, failure).await
    }

    async fn fail(&mut self, id: Option<&Id>, known: &Known, failure: &CliError) -> Result<()> {
        self.write(&known.result(id, Some(&json::object(failure)))).await?;
        self.tally.failed += 1;
        self.tally.temporarily += u64::from(failure.class() == ErrorClass::Temporary);
        Ok(())
    }

    async fn write(&mut self, line: &str) -> Result<()> {
        match &mut self.file {
            Some(file) => file.append(line.as_bytes())?,
            None => self.context.send(line).await?,
        }
        Ok(())
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Brings what was written to the disk, without waiting for it.
    pub(super) fn sync(&mut self) {
        if let Some(sync) = self.file.as_mut().and_then(Answers::sync) {
            drop(tokio::task::spawn_blocking(sync));
        }
    }

    /// Brings what was written to the disk.
    pub(super) fn sync_now(&mut self) {
        if let Some(sync) = self.file.as_mut().and_then(Answers::sync) {
            sync();
        }
    }

    /// The last message of a run that went through or had to stop.
    pub(super) fn summary(&self) -> String {
        let Tally { answered, answered_before, failed, cut_short, tokens_in, tokens_out, .. } = self.tally;
        let mut said = format!("{} answered", lines(answered));
        let also = [(answered_before, "answered before"), (failed, "failed"), (cut_short, "cut short by --max-tokens")];
        for (count, what) in also.into_iter().filter(|(count, _)| *count > 0) {
            said += &format!(", {count} {what}");
        }
        if tokens_in + tokens_out > 0 {
            said += &format!("; {tokens_in} tokens in, {tokens_out} out");
        }
        said
    }

    /// The last message of a run that was interrupted.
    pub(super) fn stopped(&self) -> String {
        let onwards = match self.file {
            Some(_) => "the same command goes on from here",
            None => "with --out FILE the same command could go on from here",
        };
        format!("stopped: {}; {onwards}", self.summary())
    }

    /// Whether every line has its answer.
    ///
    /// # Errors
    /// [`CliError::Incomplete`].
    pub(super) fn verdict(&self) -> Result<()> {
        let Tally { failed, temporarily, .. } = self.tally;
        match failed {
            0 => Ok(()),
            missing => Err(CliError::Incomplete { missing, temporary: temporarily == failed }),
        }
    }
}

fn lines(count: u64) -> String {
    if count == 1 { "1 line".into() } else { format!("{count} lines") }
}
