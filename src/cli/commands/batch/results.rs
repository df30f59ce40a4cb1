//! The results of a batch: written to a file or stdout, and counted.

use std::fs::Metadata;
use std::path::Path;

use serde::Serialize;

use super::answers::Answers;
use super::fingerprint::Fingerprint;
use super::ledger::Ledger;
use super::prompts::Id;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, json};
use crate::cli::question::answer_state::{AnswerObject, AnswerState};
use nexus::internal::clean;
use nexus::{ErrorClass, ErrorInfo as _};

/// The results: in a file, or on stdout.
pub(super) struct Results {
    file: Option<Answers>,
    context: Context,
    tally: Tally,
    /// The first lines that failed, as [`failed_names`](Self::failed_names) shows them.
    failed: Vec<String>,
    /// Why the first line that has an answer cannot be asked any more.
    unaskable: Option<String>,
}

/// How many failed lines are named.
const MAX_NAMES: usize = 10;

/// How many characters of an id are shown.
const MAX_NAME: usize = 40;

/// The number of lines by their result.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) answered: u64,
    pub(super) answered_before: u64,
    /// How many of those cannot be asked any more.
    pub(super) unaskable: u64,
    /// Lines that were asked again because their question has changed.
    pub(super) changed: u64,
    pub(super) repeated: u64,
    pub(super) failed: u64,
    /// How many of the failed ones failed transiently.
    pub(super) temporarily: u64,
    /// Answers that reached the maximum length.
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
    /// Opens the output file, if there is one, and notes what it has already.
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
            if found.repaired {
                context.say("note: removed an incomplete last line; asking it again if it is in the input");
            }
            if found.failed > 0 {
                let failed = lines(found.failed as u64);
                context
                    .say(&format!("note: {failed} failed in an earlier run; asking those again that are in the input"));
            }
            file = Some(answers);
        }
        Ok(Self { file, context: context.clone(), tally: Tally::default(), failed: Vec::new(), unaskable: None })
    }

    /// Writes an answer.
    ///
    /// # Errors
    /// A file or a stdout that cannot be written.
    pub(super) async fn answered(&mut self, id: &Id, asked: Fingerprint, answer: &AnswerState) -> Result<()> {
        self.write(&line(Some(id), Some(asked), answer, None)).await?;
        self.tally.answered += 1;
        self.tally.cut_short += u64::from(answer.meta.stop_reason.as_deref() == Some("max_tokens"));
        self.tally.tokens_in += answer.meta.usage.input_tokens.unwrap_or(0);
        self.tally.tokens_out += answer.meta.usage.output_tokens.unwrap_or(0);
        Ok(())
    }

    /// Writes the error of a line that was not asked.
    ///
    /// # Errors
    /// A file or a stdout that cannot be written.
    pub(super) async fn failed(&mut self, number: u64, id: Option<&Id>, failure: &CliError) -> Result<()> {
        let name = id.map_or_else(|| format!("line {number}"), name);
        self.fail(name, id, None, &AnswerState::default(), failure).await
    }

    /// Writes the error of a question, with the incomplete answer.
    ///
    /// # Errors
    /// A file or a stdout that cannot be written.
    pub(super) async fn failed_after(
        &mut self,
        id: &Id,
        asked: Fingerprint,
        answer: &AnswerState,
        failure: &CliError,
    ) -> Result<()> {
        self.fail(name(id), Some(id), Some(asked), answer, failure).await
    }

    async fn fail(
        &mut self,
        name: String,
        id: Option<&Id>,
        asked: Option<Fingerprint>,
        answer: &AnswerState,
        failure: &CliError,
    ) -> Result<()> {
        self.write(&line(id, asked, answer, Some(failure))).await?;
        self.tally.failed += 1;
        if self.failed.len() < MAX_NAMES {
            self.failed.push(name);
        }
        self.tally.temporarily += u64::from(failure.class() == ErrorClass::Temporary);
        Ok(())
    }

    /// Counts a line that an earlier run answered. Its answer stays even if the line cannot be asked any more.
    pub(super) fn answered_before(&mut self, unaskable: Option<&CliError>) {
        self.tally.answered_before += 1;
        if let Some(why) = unaskable {
            self.tally.unaskable += 1;
            self.unaskable.get_or_insert_with(|| why.to_string());
        }
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

    /// Syncs the output file, without waiting for it.
    pub(super) fn sync(&mut self) {
        if let Some(sync) = self.file.as_mut().and_then(Answers::sync) {
            drop(tokio::task::spawn_blocking(sync));
        }
    }

    /// Removes the answers to changed questions that have a new result, and syncs the output file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.tally.changed > 0 {
            file.drop_replaced()?;
        }
        if let Some(sync) = file.sync() {
            sync();
        }
        Ok(())
    }

    /// What became of the answers of earlier runs, if it is not what the count says. `unseen` ids were not in the
    /// input.
    pub(super) fn notes(&self, unseen: usize) -> Vec<String> {
        let Tally { changed, unaskable, .. } = self.tally;
        let mut notes = Vec::new();
        if changed > 0 {
            notes.push(format!("note: asked {} again whose question has changed", lines(changed)));
        }
        if let Some(why) = &self.unaskable {
            let kept = if unaskable == 1 { "the answer" } else { "the answers" };
            notes.push(format!("note: kept {kept} of {} that cannot be asked now: {why}", lines(unaskable)));
        }
        if unseen > 0 {
            let answers = if unseen == 1 { "1 answer whose id is" } else { &format!("{unseen} answers whose ids are") };
            notes.push(format!("note: the output file has {answers} not in the input"));
        }
        notes
    }

    /// The last message of a run that went through or had to stop.
    pub(super) fn summary(&self) -> String {
        let Tally { answered, answered_before, failed, cut_short, tokens_in, tokens_out, .. } = self.tally;
        let mut summary = format!("{} answered", lines(answered));
        let also = [(answered_before, "already answered"), (failed, "failed"), (cut_short, "cut off by --max-tokens")];
        for (count, what) in also.into_iter().filter(|(count, _)| *count > 0) {
            summary += &format!(", {count} {what}");
        }
        if tokens_in + tokens_out > 0 {
            summary += &format!("; {tokens_in} tokens in, {tokens_out} out");
        }
        summary
    }

    /// Names the lines that failed, if any did: the first ones, each by its id or else by its number.
    pub(super) fn failed_names(&self) -> Option<String> {
        let names = self.failed.join(", ");
        let more = self.tally.failed.saturating_sub(self.failed.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("failed: {names}{more}"))
    }

    /// The last message of a run that was interrupted.
    pub(super) fn stopped(&self) -> String {
        let onwards = match self.file {
            Some(_) => "run the same command to resume",
            None => "with --out FILE, the same command would resume",
        };
        format!("stopped: {}; {onwards}", self.summary())
    }

    /// Checks that every line has its answer.
    ///
    /// # Errors
    /// [`CliError::Incomplete`].
    pub(super) fn verdict(&self) -> Result<()> {
        let Tally { failed, temporarily, .. } = self.tally;
        match failed {
            0 => Ok(()),
            missing => {
                let (temporary, resumable) = (temporarily == failed, self.file.is_some());
                Err(CliError::Incomplete { missing, temporary, resumable })
            }
        }
    }
}

/// A result as a line of the output.
fn line(id: Option<&Id>, asked: Option<Fingerprint>, answer: &AnswerState, error: Option<&CliError>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        version: u8,
        id: Option<&'a Id>,
        question_hash: Option<Fingerprint>,
        #[serde(flatten)]
        answer: AnswerObject<'a>,
    }
    let error = error.map(json::object);
    // Text, numbers and an object can always be written.
    let line = Line { version: 1, id, question_hash: asked, answer: answer.object(error.as_ref()) };
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

/// An id as a message shows it.
fn name(id: &Id) -> String {
    match id {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => {
            let shown = clean::visible(text).replace('\n', " ");
            match shown.char_indices().nth(MAX_NAME) {
                Some((end, _)) => format!("{}...", &shown[..end]),
                None => shown,
            }
        }
    }
}

fn lines(count: u64) -> String {
    if count == 1 { "1 line".into() } else { format!("{count} lines") }
}
