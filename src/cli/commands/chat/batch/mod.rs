//! `nexus chat --batch`: a file of questions in, a file of answers out, as fast as the service takes
//! them.
//!
//! [`results`] is where the answers go and the count of them, [`progress`] what a person sees
//! meanwhile, [`asking`] one question on its way. [`prompts`] reads the lines, [`answers`] is the file of
//! results and what is in it, [`pace`] learns how much the service takes.
//!
//! Whatever ends the program, `kill -9` included, loses no answer that stands in the file: a line is
//! written by one call and never touched again, and a file that has to be cleaned of earlier failures is
//! replaced by one that is complete. So the same command can be run again and again until all is
//! answered, and a table of 24 bytes an id is all that it has to remember of the file.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::cli::commands::Done;
use crate::cli::commands::chat::asked::Frame;
use crate::cli::commands::chat::batch::ledger::{Ledger, Standing};
use crate::cli::commands::chat::batch::pace::{Pace, Ticket, Turn};
use crate::cli::commands::chat::batch::prompts::{Line, Lines, Prompt};
use crate::cli::commands::chat::{Args, settle};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::{Client, ErrorInfo as _, Question};

pub(crate) mod answers;
mod asking;
pub(crate) mod ledger;
pub(crate) mod pace;
mod progress;
pub(crate) mod prompts;
mod results;

use asking::{Asked, Job, Meaning};
use progress::Progress;
use results::Results;

/// The most questions on their way where nobody says otherwise.
const JOBS: usize = 16;

/// How often the progress is drawn anew.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// How often what was written is brought to the disk.
const SYNCED_EVERY: Duration = Duration::from_secs(1);

/// A pause that is worth a word where nobody sees the progress.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// What `--batch` and its friends say.
#[derive(Debug, clap::Args)]
pub(crate) struct Batch {
    /// Answer every line of a file (- for stdin): objects with id, prompt and, if need be, system,
    /// model, max_tokens
    #[arg(id = "batch", long = "batch", value_name = "FILE")]
    #[arg(conflicts_with_all = ["prompt", "no_stdin", "output", "json", "attach", "usage", "thinking", "effort", "schema", "raw"])]
    #[arg(conflicts_with_all = ["goes_on", "conversation", "history"])]
    pub(super) input: Option<PathBuf>,

    /// Where the results of --batch go, one a line; run again, it asks only what has no answer there
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The most questions of --batch that are on their way at once [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl Batch {
    /// The input, if there is to be a batch.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a word that means nothing without it.
    pub(super) fn input(&self) -> Result<Option<&Path>> {
        match (&self.input, &self.out, self.jobs) {
            // clap does not hold to `requires` where the one that is missing conflicts with another word.
            (None, Some(_), _) => Err(CliError::usage("chat", "--out belongs to --batch")),
            (None, _, Some(_)) => Err(CliError::usage("chat", "--jobs belongs to --batch")),
            (input, ..) => Ok(input.as_deref()),
        }
    }
}

/// Answers the lines of this input.
///
/// # Errors
/// Why it could not begin or had to stop; [`CliError::Incomplete`] where lines are left without an
/// answer.
pub(super) fn run(args: &Args, input: &Path, context: &Context) -> Done {
    let frame = Frame::of(args, context)?;
    let (reader, metadata) = open(input, context)?;
    let client = context.client(args.provider.as_deref())?.with_retry_policy(settle::single_try(args));
    let seen = context.session(&client)?;
    let mut ledger = Ledger::default();
    let mut results = Results::open(args.batch.out.as_deref(), metadata.as_ref(), &mut ledger, context)?;
    let total = || metadata.as_ref().filter(|file| file.is_file()).and_then(|_| progress::lines(input));
    let progress = Progress::begin(context, total);
    let done = context.block_on(async {
        let named = args.model.is_some() || frame.names_a_model();
        let models = settle::models_for_batch(named, &client, &seen).await?;
        drop(seen);
        let settle = |line| settle::settled(frame.around(line, args)?, &client, &models, context);
        let mut run = Run {
            client: &client,
            settle,
            retries: args.retries,
            deadline: args.deadline,
            pace: Pace::new(args.batch.jobs.map_or(JOBS, usize::from)),
            start: Instant::now(),
            trouble_since: None,
            stopped_by: None,
            told_of_pause: Duration::ZERO,
            waiting: VecDeque::new(),
            on_their_way: JoinSet::new(),
            results: &mut results,
            progress: &progress,
            context,
        };
        run.all(read(reader, input)?, &mut ledger).await?;
        Ok(())
    });
    progress.end();
    results.sync_now();
    if done.as_ref().is_err_and(|error| matches!(error, CliError::Interrupted(_))) {
        context.say(&results.stopped());
    } else {
        context.say(&results.summary());
    }
    done?;
    results.verdict()?;
    Ok(0)
}

/// A run through the lines.
struct Run<'a, S> {
    client: &'a Client,
    settle: S,
    retries: u32,
    deadline: Duration,
    pace: Pace,
    start: Instant,
    /// Since when nothing was answered but with "later".
    trouble_since: Option<Duration>,
    /// Why nothing more is asked; what is on its way may still come back.
    stopped_by: Option<CliError>,
    /// The end of the pause that was told of last.
    told_of_pause: Duration,
    /// Questions that are to be asked again.
    waiting: VecDeque<Job>,
    on_their_way: JoinSet<(Ticket, Asked)>,
    results: &'a mut Results,
    progress: &'a Progress<'a>,
    context: &'a Context,
}

impl<S: Fn(Prompt) -> Result<Question>> Run<'_, S> {
    /// Asks until there is nothing left to be asked.
    ///
    /// # Errors
    /// What makes every further question pointless.
    async fn all(&mut self, mut lines: mpsc::Receiver<Result<Line>>, ledger: &mut Ledger) -> Result<()> {
        let (mut next, mut ended) = (None::<Job>, false);
        let mut draw = interval(DRAWN_EVERY);
        draw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut synced = self.start;
        loop {
            if self.stopped_by.is_some() {
                self.waiting.clear();
                (next, ended) = (None, true);
            }
            next = next.or_else(|| self.waiting.pop_front());
            let mut wake = None;
            if let Some(job) = next.take() {
                let now = self.start.elapsed();
                match self.pace.turn(now) {
                    Turn::Now(ticket) => {
                        let client = self.client.clone();
                        self.on_their_way.spawn(async move { (ticket, job.ask(&client).await) });
                        continue;
                    }
                    Turn::At(at) => {
                        self.tell_of_pause(now, at);
                        wake = Some(self.start + at);
                    }
                    Turn::Full => {}
                }
                next = Some(job);
            } else if ended && self.on_their_way.is_empty() {
                return self.stopped_by.take().map_or(Ok(()), Err);
            }
            tokio::select! {
                Some(back) = self.on_their_way.join_next() => {
                    let (ticket, asked) = back.map_err(|_| CliError::System { message: "a question was abandoned".into() })?;
                    self.came_back(ticket, asked).await?;
                }
                line = lines.recv(), if next.is_none() && !ended => match line {
                    Some(Ok(line)) => next = self.take_up(line, ledger).await?,
                    Some(Err(failure)) => self.stopped_by = Some(failure),
                    None => ended = true,
                },
                () = sleep_until(wake.unwrap_or(self.start)), if wake.is_some() => {}
                at = draw.tick() => {
                    let now = self.start.elapsed();
                    let pause = self.pace.paused_until(now).map(|until| until.saturating_sub(now));
                    self.progress.draw(self.results.tally(), pause);
                    if at - synced >= SYNCED_EVERY {
                        synced = at;
                        self.results.sync();
                    }
                }
            }
        }
    }

    /// What a line comes to: a question, or a result at once, or nothing.
    async fn take_up(&mut self, line: Line, ledger: &mut Ledger) -> Result<Option<Job>> {
        let Line { number, id, prompt } = line;
        let standing = id.as_ref().map(|id| ledger.meet(id, prompt.as_ref().ok()));
        let bad = |why: String| CliError::BadLine { number, reason: why };
        match (standing, id, prompt) {
            (Some(Standing::Taken), _, _) => {
                self.results
                    .failed(None, &bad("its `id` stands in an earlier line, with another question".into()))
                    .await?;
            }
            (Some(Standing::Answered), ..) => self.results.tally_mut().answered_before += 1,
            (Some(Standing::Repeated), ..) => self.results.tally_mut().repeated += 1,
            (_, id, Err(why)) => self.results.failed(id.as_ref(), &bad(why)).await?,
            (_, None, Ok(_)) => {}
            (_, Some(id), Ok(prompt)) => match (self.settle)(prompt) {
                Ok(question) => return Ok(Some(Job::new(id, question))),
                Err(failure) => self.results.failed(Some(&id), &failure).await?,
            },
        }
        Ok(None)
    }

    /// What came of a question.
    async fn came_back(&mut self, ticket: Ticket, asked: Asked) -> Result<()> {
        let now = self.start.elapsed();
        let Asked { mut job, known, failure } = asked;
        let Some(failure) = failure else {
            self.pace.answered(ticket);
            self.trouble_since = None;
            return self.results.answered(&job.id, &known).await;
        };
        let meaning = asking::meaning(&failure);
        let wait = failure.retry_after();
        match meaning {
            Meaning::Everybodys => {
                self.pace.answered(ticket);
                self.stopped_by.get_or_insert(failure.into());
                return Ok(());
            }
            Meaning::Throttled => self.pace.throttled(ticket, now, wait),
            Meaning::Overloaded => self.pace.overloaded(ticket, now, wait),
            Meaning::Cut | Meaning::Its => {
                self.pace.answered(ticket);
                self.trouble_since = None;
            }
        }
        if matches!(meaning, Meaning::Throttled | Meaning::Overloaded) {
            let since = *self.trouble_since.get_or_insert(now);
            let in_vain = self.on_their_way.is_empty() && now.saturating_sub(since) > self.deadline;
            if in_vain || wait.is_some_and(|wait| wait > self.deadline) {
                self.stopped_by.get_or_insert(failure.into());
                return Ok(());
            }
        }
        // Being asked to slow down is no failure of this question's.
        job.tries += u32::from(meaning != Meaning::Throttled);
        if meaning == Meaning::Throttled || (meaning != Meaning::Its && job.tries <= self.retries) {
            self.waiting.push_back(job);
            return Ok(());
        }
        self.results.failed_after(&job.id, &known, &failure.into()).await
    }

    /// Says that it waits because it was asked to, where nobody would see it otherwise.
    fn tell_of_pause(&mut self, now: Duration, until: Duration) {
        if until > self.told_of_pause && until - now >= LONG_PAUSE && self.on_their_way.is_empty() {
            self.told_of_pause = until;
            self.context.say(&format!("note: the service wants a pause of {} seconds", (until - now).as_secs()));
        }
    }
}

/// Opens the input, and tells what it is if it is a file.
fn open(input: &Path, context: &Context) -> Result<(Box<dyn Read + Send>, Option<Metadata>)> {
    if input.as_os_str() == "-" {
        return Ok((context.stdin_reader(), None));
    }
    let opened = File::open(input).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    match opened {
        Ok((_, metadata)) if metadata.is_dir() => Err(misnamed(input, &io::ErrorKind::IsADirectory.into())),
        Ok((file, metadata)) => Ok((Box::new(file), Some(metadata))),
        Err(error) => Err(misnamed(input, &error)),
    }
}

const HINT: &str = "name a file with one JSON object a line, or - for stdin";

/// What cannot even be opened is said wrongly, as it is with every other file that the chat reads.
fn misnamed(input: &Path, error: &io::Error) -> CliError {
    let message = format!("the questions of --batch cannot be read: {}: {error}", input.display());
    CliError::Usage { message, hint: HINT.into() }
}

fn unreadable(input: &Path, error: &io::Error) -> CliError {
    CliError::File { path: input.to_owned(), reason: error.to_string(), hint: HINT.into() }
}

/// Reads the lines on a thread of their own, as they are wanted: a slow writer at the other end of a
/// pipe holds nothing up.
fn read(input: Box<dyn Read + Send>, path: &Path) -> Result<mpsc::Receiver<Result<Line>>> {
    let (send, receive) = mpsc::channel(4);
    let path = path.to_owned();
    let thread = std::thread::Builder::new().name("lines".into()).spawn(move || {
        let mut lines = Lines::of(BufReader::with_capacity(1 << 16, input));
        loop {
            let line = match lines.read() {
                Ok(None) => return,
                Ok(Some(line)) => Ok(line),
                Err(error) => Err(unreadable(&path, &error)),
            };
            let broken = line.is_err();
            if send.blocking_send(line).is_err() || broken {
                return;
            }
        }
    });
    thread.map_err(CliError::system("starting the thread that reads"))?;
    Ok(receive)
}
