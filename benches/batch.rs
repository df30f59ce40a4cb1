//! Measures `nexus batch`: throughput, memory, and requests that a rate limit rejects.
//!
//! `cargo bench --bench batch` sends 10,000 and 100,000 questions to a sandbox, or as many as its arguments say, and
//! prints questions per second and peak memory, without arguments beside `xargs -P curl`. Then it sends questions to
//! sandboxes that answer 429 above a rate limit, and counts the rejected ones after the first ten seconds. It fails
//! when those are more than 5 %, when a question has no answer, or when a batch is less than 15 times as fast as curl.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nexus::sandbox::{Endpoint, Settings};

mod figures;
mod stage;

use figures::{Figure, Limit, Unit};
use stage::Stage;

/// The largest share of rejected requests after the first ten seconds.
const ALLOWED: f64 = 0.05;

/// How many questions `xargs` and curl ask.
const CURL_QUESTIONS: u32 = 1_000;

/// How many questions are asked at once: the default of `nexus batch`.
const AT_ONCE: &str = "16";

fn main() -> Result<ExitCode> {
    let stage = Stage::new(Settings { keep_requests: false, ..Settings::default() }, None)?;
    // Cargo passes `--bench` to every benchmark.
    let given = std::env::args().skip(1).filter(|word| word != "--bench");
    let given: Vec<u32> = given.map(|word| word.parse().context("the number of questions")).collect::<Result<_>>()?;
    let is_whole = given.is_empty();
    let sizes = if given.is_empty() { vec![10_000, 100_000] } else { given };
    let figures = if is_whole { vec![beside_curl(&stage)?] } else { Vec::new() };
    for &lines in &sizes {
        let before = stage.sandbox.counts().messages;
        let run = run(&stage, lines)?;
        let asked = u32::try_from(stage.sandbox.counts().messages - before)?;
        ensure!(asked == lines, "{asked} questions were asked instead of {lines}");
        let (rate, seconds) = (f64::from(lines) / run.took.as_secs_f64(), run.took.as_secs_f64());
        println!("{lines:>7} questions: {rate:.0} a second ({seconds:.1} s), at most {} KiB of memory", run.most_kib);
    }
    let last = sizes.last().copied().unwrap_or_default();
    let again = batch(&stage, last)?;
    println!(
        "{last:>7} questions, answered already: {:.2} s, at most {} KiB",
        again.took.as_secs_f64(),
        again.most_kib
    );
    let limits = [10, 50, 200];
    // They mostly wait.
    let limited = std::thread::scope(|scope| {
        limits
            .map(|limit| scope.spawn(move || limited(limit)))
            .map(|running| running.join().map_err(|_| anyhow!("a panic")))
    });
    let mut good = true;
    for (limit, run) in limits.into_iter().zip(limited) {
        let run = run??;
        let share = f64::from(run.late_throttled) / f64::from((run.late_answered + run.late_throttled).max(1));
        let taken = f64::from(run.late_answered) / (run.took.as_secs_f64() - 10.0);
        println!(
            "at most {limit:>3} a second: {:.1} % of the questions after the first ten seconds turned away, {taken:.1} a \
             second answered",
            100.0 * share
        );
        good &= share <= ALLOWED;
    }
    let reported = figures::report("batch", &figures, is_whole)?;
    Ok(if good { reported } else { ExitCode::FAILURE })
}

struct Run {
    took: Duration,
    /// Peak resident memory in KiB (`VmHWM`); 0 where the system does not report it.
    most_kib: u64,
    /// Questions answered and rejected after the first ten seconds.
    late_answered: u32,
    late_throttled: u32,
}

/// Sends questions for half a minute to an API that answers at most `limit` a second.
fn limited(limit: u32) -> Result<Run> {
    let settings = Settings { keep_requests: false, messages_per_second: Some(limit), ..Settings::default() };
    run(&Stage::new(settings, None)?, limit * 30)
}

/// Questions per second of a batch and of curls that `xargs` starts, as many at once.
fn beside_curl(stage: &Stage) -> Result<Figure> {
    let token = String::from_utf8(stage.nexus(&["oauth", "token"]).stdout(Stdio::piped()).output()?.stdout)?;
    let headers = stage.home.path().join("headers");
    std::fs::write(
        &headers,
        format!(
            "authorization: Bearer {}\nanthropic-version: 2023-06-01\ncontent-type: application/json\n",
            token.trim()
        ),
    )?;
    let numbers: String = (0..CURL_QUESTIONS).map(|number| format!("{number}\n")).collect();
    std::fs::write(stage.home.path().join("numbers"), numbers)?;
    let body = "{\"model\":\"sandbox-small\",\"max_tokens\":3,\"stream\":true,\"messages\":\
                [{\"role\":\"user\",\"content\":\"question-{}\"}]}";
    let mut command = Command::new(stage::find("xargs")?);
    command.args(["-P", AT_ONCE, "-I{}"]).arg(&stage.curl).args(["-qsfN", "-H"]).arg(format!("@{}", headers.display()));
    command.args(["--data-binary", body, &stage.sandbox.url(Endpoint::Messages)]).env_clear();
    let before = stage.sandbox.counts().messages;
    let start = Instant::now();
    let numbers = std::fs::File::open(stage.home.path().join("numbers"))?;
    let status = command.stdin(numbers).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let curl = f64::from(CURL_QUESTIONS) / start.elapsed().as_secs_f64();
    ensure!(status.success(), "xargs or curl failed");
    let asked = u32::try_from(stage.sandbox.counts().messages - before)?;
    ensure!(asked == CURL_QUESTIONS, "curl asked {asked} questions instead of {CURL_QUESTIONS}");
    let questions = CURL_QUESTIONS * 10;
    let nexus = f64::from(questions) / run(stage, questions)?.took.as_secs_f64();
    Ok(Figure {
        name: "nexus batch".into(),
        nexus,
        other: curl,
        with: format!("xargs -P {AT_ONCE} curl"),
        unit: Unit::PerSecond,
        limit: Limit::AtLeast(15.0),
    })
}

/// Sends that many questions that have no answer yet, and checks that each gets one.
fn run(stage: &Stage, lines: u32) -> Result<Run> {
    let answers = stage.home.path().join("answers.jsonl");
    if answers.exists() {
        std::fs::remove_file(answers)?;
    }
    let mut prompts = String::new();
    for line in 0..lines {
        writeln!(prompts, "{{\"id\":\"line {line}\",\"prompt\":\"question-{line}\",\"max_tokens\":3}}")?;
    }
    std::fs::write(stage.home.path().join("prompts.jsonl"), prompts)?;
    batch(stage, lines)
}

/// Runs the batch of that many questions, and checks that each has an answer.
fn batch(stage: &Stage, lines: u32) -> Result<Run> {
    let start = Instant::now();
    let mut running =
        stage.nexus(&["batch", "prompts.jsonl", "--out", "answers.jsonl"]).stderr(Stdio::piped()).spawn()?;
    let (mut most_kib, mut early) = (0, None);
    let status = loop {
        if let Some(status) = running.try_wait()? {
            break status;
        }
        most_kib = most_kib.max(stage::peak_memory(&running).unwrap_or_default());
        if early.is_none() && start.elapsed() >= Duration::from_secs(10) {
            early = Some(stage.sandbox.counts());
        }
        sleep(Duration::from_millis(10));
    };
    let (took, counts) = (start.elapsed(), stage.sandbox.counts());
    ensure!(status.success(), "nexus batch failed: {}", std::io::read_to_string(running.stderr.context("stderr")?)?);
    let answered = answered(&stage.home.path().join("answers.jsonl"))?;
    ensure!(answered.len() == usize::try_from(lines)?, "{} of {lines} lines have an answer", answered.len());
    let early = early.unwrap_or(counts);
    Ok(Run {
        took,
        most_kib,
        late_answered: u32::try_from(counts.messages - early.messages)?,
        late_throttled: u32::try_from(counts.throttled - early.throttled)?,
    })
}

/// The ids that have an answer. Each must occur once.
fn answered(path: &Path) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let result: serde_json::Value = serde_json::from_str(line)?;
        let id = result["id"].to_string();
        ensure!(result["answer"].is_string(), "{id} has no answer");
        ensure!(ids.insert(id), "{line} occurs twice");
    }
    Ok(ids)
}
