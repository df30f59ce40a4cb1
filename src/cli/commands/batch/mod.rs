//! `nexus batch`: answers each line of a file, as fast as the API allows.
//!
//! [`prompts`] reads the lines, [`asking`] asks one question, [`pace`] learns how many the API takes, [`answers`] is
//! the output file, [`results`] writes and counts the results, [`ledger`] knows which ids are done, [`fingerprint`]
//! whether an answered question has changed.
//!
//! No answer in the file is ever lost, not even by `kill -9`: a line is written by one call and never changed, and a
//! file with earlier errors is replaced by a complete one. So the same command can be run until every line has its
//! answer. In memory it keeps a hash of each id and of its question, some 50 bytes.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::question::progress::progress_callback;
use crate::cli::question::schema::Schema;
use crate::cli::question::{PromptFrame, PromptInput, QuestionArgs, RetryArgs, attachment, model};
use nexus::internal::time;
use nexus::{Client, ErrorInfo as _, Question, RetryPolicy};

mod answers;
mod asking;
mod fingerprint;
mod ledger;
mod pace;
mod progress;
mod prompts;
mod results;

use asking::{Asked, Job, Meaning, Outcome};
use fingerprint::Fingerprint;
use ledger::{Ledger, Standing};
use pace::{Pace, Ticket, Turn};
use progress::Progress;
use prompts::{Line, Lines, Prompt};
use results::Results;

/// How often the progress is drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);

/// How often the output file is synced to disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How often a line is retried by default, rate limits not counted. A line that always fails must not slow down the
/// others.
const RETRIES: u32 = 2;

/// How long a pause must be for a note, if no progress is visible.
const LONG_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Input file; `-` is stdin
    ///
    /// Each line is a JSON object. It has a `prompt`, and may have `id` (text or an integer), `system`, `model`,
    /// `max_tokens`, `attach` (a file, or a list of files), `vars` (variables of the template) and `schema` (a JSON
    /// Schema, or a file with one). The id of a line without `id` is its number, which changes if a line before it is
    /// removed.
    #[arg(value_name = "FILE")]
    input: PathBuf,

    /// Write the results to a file, resuming from those in it
    ///
    /// An answer stays as long as its line asks the same: the prompt, the attached files, the system prompt, the
    /// schema, and the model and the maximum length if they are named. Otherwise the line is asked again, and the new
    /// result replaces the answer. Answers to ids that the input does not have stay, too.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,

    #[command(flatten)]
    question: QuestionArgs,

    /// JSON Schema, or a file with one, that each answer must match
    #[arg(long, value_name = "SCHEMA", help_heading = "Output", hide_short_help = true)]
    schema: Option<String>,

    /// Maximum number of concurrent requests
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    #[arg(help_heading = "Network")]
    jobs: u16,
}

const EXAMPLES: &str = "\
Examples:
  nexus batch prompts.jsonl --out answers.jsonl
  nexus batch prompts.jsonl --system \"Be brief.\" -m fast > answers.jsonl
  nexus batch files.jsonl --schema invoice.json --out answers.jsonl";

/// Answers the lines of the input.
///
/// # Errors
/// Why it could not begin or had to stop; [`CliError::Incomplete`] if some lines have no answer.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let schema = args.schema.as_deref().map(|schema| Schema::read(schema, "batch", context)).transpose()?.map(Arc::new);
    let frame = PromptFrame::read(&args.question, context)?;
    let (reader, metadata) = open(&args.input, context)?;
    let RetryArgs { retries, deadline } = args.question.retry;
    // The batch retries by itself.
    let policy = RetryPolicy { retries: Some(0), ..args.question.retry.policy() };
    let client = context.client(args.question.provider.as_deref())?;
    let session = context.session(&client)?;
    let mut ledger = Ledger::default();
    let mut results = Results::open(args.out.as_deref(), metadata.as_ref(), &mut ledger, context)?;
    let total = || metadata.as_ref().filter(|file| file.is_file()).and_then(|_| progress::lines(&args.input));
    let mut progress = Progress::begin(context, &client, total);
    let listing = RetryPolicy { progress: progress_callback("", &client, context), ..policy.clone() };
    let (lister, client) = (client.clone().with_retry_policy(listing), client.with_retry_policy(policy));
    let done = context.block_on(async {
        let models = match model::models(frame.model().is_some(), &lister, &session).await {
            // Each line may name a model.
            Err(CliError::NoModel { .. }) => Vec::new(),
            models => models?,
        };
        let question = |line: Prompt, number: u64| {
            let bad =
                |reason: String| CliError::BadLine { number, reason: format!("`schema` cannot be used: {reason}") };
            let own = line.schema.as_deref().map(|schema| Schema::of(schema, context)).transpose().map_err(bad)?;
            let schema = own.map(Arc::new).or_else(|| schema.clone());
            let input =
                frame.input(line.prompt, &line.vars, |prompt| attachment::parts(&line.attach, prompt, context))?;
            let input = PromptInput {
                model: line.model.or(input.model),
                max_tokens: line.max_tokens.or(input.max_tokens),
                system: line.system.or(input.system).filter(|system| !system.trim().is_empty()),
                ..input
            };
            let fingerprint = Fingerprint::of(&input, schema.as_deref(), &client.provider().api);
            let question = Question {
                schema: schema.as_deref().map(Schema::value),
                ..model::question(input, &client, &models, context)?
            };
            model::check_capabilities(&question, &models)?;
            Ok(Asked { question, schema, fingerprint })
        };
        let mut run = Run {
            client: &client,
            question,
            retries: retries.unwrap_or(RETRIES),
            deadline,
            pace: Pace::new(args.jobs.into()),
            start: Instant::now(),
            failing_since: None,
            stopped_by: None,
            noted_pause: Duration::ZERO,
            last_failure: String::new(),
            waiting: VecDeque::new(),
            in_flight: JoinSet::new(),
            results: &mut results,
            progress: &mut progress,
            context,
        };
        run.all(read(reader, &args.input)?, &mut ledger).await
    });
    progress.end();
    let finished = results.finish();
    for note in results.notes(if done.is_ok() { ledger.unseen() } else { 0 }) {
        context.say(&note);
    }
    if done.as_ref().is_err_and(|error| matches!(error, CliError::Interrupted(_))) {
        context.say(&results.stopped());
    } else {
        context.say(&results.summary());
    }
    if let Some(failed) = results.failed_names() {
        context.say(&failed);
    }
    done?;
    finished?;
    results.verdict()?;
    Ok(0)
}

/// A run through the lines.
struct Run<'a, Q> {
    client: &'a Client,
    question: Q,
    retries: u32,
    deadline: Duration,
    pace: Pace,
    start: Instant,
    /// Since when every response was a transient failure.
    failing_since: Option<Duration>,
    /// Why no more questions are asked; those in flight are still awaited.
    stopped_by: Option<CliError>,
    /// The end of the last pause that was noted.
    noted_pause: Duration,
    /// The last failure that slowed the batch down, in words.
    last_failure: String,
    /// Questions to be asked again.
    waiting: VecDeque<Job>,
    in_flight: JoinSet<(Ticket, Outcome)>,
    results: &'a mut Results,
    progress: &'a mut Progress,
    context: &'a Context,
}

impl<Q: Fn(Prompt, u64) -> Result<Asked>> Run<'_, Q> {
    /// Asks until every line is done.
    ///
    /// # Errors
    /// An error that would fail every further question.
    async fn all(&mut self, mut lines: mpsc::Receiver<Result<Line>>, ledger: &mut Ledger) -> Result<()> {
        let (mut next, mut ended) = (None::<Job>, false);
        let mut draw = interval(DRAW_INTERVAL);
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
                        self.in_flight.spawn(async move { (ticket, job.ask(&client).await) });
                        continue;
                    }
                    Turn::At(at) => {
                        self.note_pause(now, at);
                        wake = Some(self.start + at);
                    }
                    Turn::Full => {}
                }
                next = Some(job);
            } else if ended && self.in_flight.is_empty() {
                return self.stopped_by.take().map_or(Ok(()), Err);
            }
            tokio::select! {
                Some(back) = self.in_flight.join_next() => {
                    let (ticket, outcome) = back.map_err(|_| CliError::System { message: "a request task failed".into() })?;
                    self.handle(ticket, outcome).await?;
                }
                line = lines.recv(), if next.is_none() && !ended => match line {
                    Some(Ok(line)) => next = self.prepare(line, ledger).await?,
                    Some(Err(failure)) => self.stopped_by = Some(failure),
                    None => ended = true,
                },
                () = sleep_until(wake.unwrap_or(self.start)), if wake.is_some() => {}
                at = draw.tick() => {
                    let now = self.start.elapsed();
                    let pause = self.pace.paused_until(now).map(|until| until.saturating_sub(now));
                    self.progress.draw(self.results.tally(), pause, !self.in_flight.is_empty());
                    if at - synced >= SYNC_INTERVAL {
                        synced = at;
                        self.results.sync();
                    }
                }
            }
        }
    }

    /// Turns a line into a question to ask. Writes its result at once if there is nothing to ask.
    async fn prepare(&mut self, line: Line, ledger: &mut Ledger) -> Result<Option<Job>> {
        let Line { number, id, prompt } = line;
        let bad = |why: String| CliError::BadLine { number, reason: why };
        let asked = prompt.map_err(bad).and_then(|prompt| (self.question)(prompt, number));
        let Some(id) = id else {
            // A line whose id is invalid is an error.
            return match asked {
                Ok(_) => Ok(None),
                Err(failure) => self.results.failed(number, None, &failure).await.map(|()| None),
            };
        };
        match (ledger.see(&id, asked.as_ref().ok().map(|asked| asked.fingerprint)), asked) {
            (Standing::New, Ok(asked)) => return Ok(Some(Job::new(id, asked))),
            (Standing::Changed, Ok(asked)) => {
                self.results.tally_mut().changed += 1;
                return Ok(Some(Job::new(id, asked)));
            }
            (Standing::New | Standing::Changed, Err(failure)) => {
                self.results.failed(number, Some(&id), &failure).await?;
            }
            (Standing::Answered, asked) => self.results.answered_before(asked.err().as_ref()),
            (Standing::Repeated, _) => self.results.tally_mut().repeated += 1,
            (Standing::Conflict, _) => {
                let failure = bad("an earlier line has the same `id` and another question".into());
                self.results.failed(number, None, &failure).await?;
            }
        }
        Ok(None)
    }

    /// Handles the response to a question: writes its result, or asks it again later.
    async fn handle(&mut self, ticket: Ticket, outcome: Outcome) -> Result<()> {
        let now = self.start.elapsed();
        let Outcome { mut job, answer, failure } = outcome;
        let Some(failure) = failure else {
            self.pace.answered(ticket);
            self.failing_since = None;
            return match job.schema.as_ref().map_or(Ok(()), |schema| schema.check_answer(&answer)) {
                Ok(()) => self.results.answered(&job.id, job.fingerprint, &answer).await,
                Err(mismatch) => self.results.failed_after(&job.id, job.fingerprint, &answer, &mismatch).await,
            };
        };
        let meaning = asking::meaning(&failure);
        let wait = failure.retry_after();
        match meaning {
            Meaning::Fatal => {
                self.pace.answered(ticket);
                self.stopped_by.get_or_insert(failure.into());
                return Ok(());
            }
            Meaning::Throttled => self.pace.throttled(ticket, now, wait),
            Meaning::Overloaded => self.pace.overloaded(ticket, now, wait),
            Meaning::Cut | Meaning::Permanent => {
                self.pace.answered(ticket);
                self.failing_since = None;
            }
        }
        if matches!(meaning, Meaning::Throttled | Meaning::Overloaded) {
            self.last_failure = failure.to_string();
            let since = *self.failing_since.get_or_insert(now);
            let hopeless = self.in_flight.is_empty() && now.saturating_sub(since) > self.deadline;
            if hopeless || wait.is_some_and(|wait| wait > self.deadline) {
                self.stopped_by.get_or_insert(failure.into());
                return Ok(());
            }
        }
        // A rate limit does not count as a failure of this question.
        job.tries += u32::from(meaning != Meaning::Throttled);
        if meaning == Meaning::Throttled || (meaning != Meaning::Permanent && job.tries <= self.retries) {
            self.waiting.push_back(job);
            return Ok(());
        }
        self.results.failed_after(&job.id, job.fingerprint, &answer, &failure.into()).await
    }

    /// Notes a long pause and why it is made: the API may have asked for it, or cannot be reached.
    fn note_pause(&mut self, now: Duration, until: Duration) {
        if until > self.noted_pause && until - now >= LONG_PAUSE && self.in_flight.is_empty() {
            self.noted_pause = until;
            self.context.say(&format!("note: pausing for {}: {}", time::wait(until - now), self.last_failure));
        }
    }
}

/// Opens the input. A file comes with its metadata.
fn open(input: &Path, context: &Context) -> Result<(Box<dyn Read + Send>, Option<Metadata>)> {
    if input.as_os_str() == "-" {
        return Ok((context.stdin_reader(), None));
    }
    let opened = File::open(input).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    match opened {
        Ok((_, metadata)) if metadata.is_dir() => Err(cannot_open(input, &io::ErrorKind::IsADirectory.into())),
        Ok((file, metadata)) => Ok((Box::new(file), Some(metadata))),
        Err(error) => Err(cannot_open(input, &error)),
    }
}

const HINT: &str = "name a file with one JSON object per line, or - for stdin";

/// A file that cannot be opened is a usage error, as with every other file that an argument names.
fn cannot_open(input: &Path, error: &io::Error) -> CliError {
    let message = format!("the input cannot be read: {}: {error}", input.display());
    CliError::Usage { message, hint: HINT.into() }
}

fn unreadable(input: &Path, error: &io::Error) -> CliError {
    CliError::File { path: input.to_owned(), reason: error.to_string(), hint: HINT.into() }
}

/// Reads the lines on their own thread, as they are needed, so that a slow pipe does not block requests.
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
    thread.map_err(CliError::system("starting a thread"))?;
    Ok(receive)
}
