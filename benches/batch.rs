//! Measures `nexus batch`: throughput, memory, and requests that a rate limit rejects.
//!
//! `cargo bench --bench batch` sends 10,000 and 100,000 questions to a sandbox, or as many as its
//! arguments say, and prints questions per second and peak memory. Then it sends questions to sandboxes that answer 429 above a rate
//! limit, and counts the rejected ones after the first ten seconds. It fails when those are more than
//! 5 %, or when a question has no answer, and never because of a time. It takes two minutes.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nexus::sandbox::{Endpoint, Sandbox, Settings};

/// The largest share of rejected requests after the first ten seconds.
const ALLOWED: f64 = 0.05;

fn main() -> Result<ExitCode> {
    let stage = Stage::new()?;
    // Cargo passes `--bench` to every benchmark.
    let given = std::env::args().skip(1).filter(|word| word != "--bench");
    let given: Vec<u32> = given.map(|word| word.parse().context("the number of questions")).collect::<Result<_>>()?;
    let sizes = if given.is_empty() { vec![10_000, 100_000] } else { given };
    for &lines in &sizes {
        let run = stage.run(lines)?;
        let (rate, seconds) = (f64::from(lines) / run.took.as_secs_f64(), run.took.as_secs_f64());
        println!("{lines:>7} questions: {rate:.0} a second ({seconds:.1} s), at most {} KiB of memory", run.most_kib);
    }
    let again = stage.run(sizes.into_iter().max().unwrap_or_default())?;
    println!("all of them answered already: {:.2} s, at most {} KiB", again.took.as_secs_f64(), again.most_kib);
    let mut good = true;
    for limit in [10, 50, 200] {
        stage.sandbox.change(|settings| settings.messages_per_second = Some(limit));
        std::fs::remove_file(stage.home.path().join("answers.jsonl")).context("the last answers")?;
        let run = stage.run(limit * 30)?;
        let share = f64::from(run.late_throttled) / f64::from((run.late_answered + run.late_throttled).max(1));
        let taken = f64::from(run.late_answered) / (run.took.as_secs_f64() - 10.0);
        println!(
            "at most {limit:>3} a second: {:.1} % of the questions after the first ten seconds turned away, {taken:.1} a \
             second answered",
            100.0 * share
        );
        good &= share <= ALLOWED;
    }
    Ok(ExitCode::from(u8::from(!good)))
}

/// A home that is signed in to a sandbox.
struct Stage {
    sandbox: Sandbox,
    home: tempfile::TempDir,
}

struct Run {
    took: Duration,
    /// Peak resident memory in KiB (`VmHWM`); 0 where the system does not report it.
    most_kib: u64,
    /// Questions answered and rejected after the first ten seconds.
    late_answered: u32,
    late_throttled: u32,
}

impl Stage {
    fn new() -> Result<Self> {
        let settings = Settings { keep_requests: false, ..Settings::default() };
        let client_id = settings.client_id.clone();
        let sandbox = Sandbox::start_on_thread(settings)?;
        let home = tempfile::tempdir()?;
        let config = format!(
            "default = \"sandbox\"\n[provider.sandbox]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\n\
             client_id = \"{client_id}\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\napi_url = \"{}\"\n",
            sandbox.url(Endpoint::Authorize),
            sandbox.url(Endpoint::Token),
            sandbox.origin(),
        );
        std::fs::write(home.path().join("config.toml"), config)?;
        let stage = Self { sandbox, home };
        stage.sign_in()?;
        Ok(stage)
    }

    fn nexus(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command.args(words).env_clear().env("NEXUS_HOME", self.home.path()).current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn sign_in(&self) -> Result<()> {
        let mut start = self.nexus(&["oauth", "start", "--no-browser", "--timeout", "30s"]).spawn()?;
        let mut lines = BufReader::new(start.stderr.take().context("its stderr")?).lines();
        let authorize = self.sandbox.url(Endpoint::Authorize);
        let url = lines.by_ref().find_map(|line| line.ok().filter(|line| line.starts_with(&authorize)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let back = Sandbox::approve(&url.context("nexus printed no URL")?).await?;
            Sandbox::visit(&back).await.context("following the redirect")
        })?;
        ensure!(start.wait()?.success(), "nexus oauth start failed");
        Ok(())
    }

    /// Sends that many questions, and checks that each has an answer.
    fn run(&self, lines: u32) -> Result<Run> {
        let mut prompts = String::new();
        for line in 0..lines {
            writeln!(prompts, "{{\"id\":\"line {line}\",\"prompt\":\"question-{line}\",\"max_tokens\":3}}")?;
        }
        std::fs::write(self.home.path().join("prompts.jsonl"), prompts)?;
        let start = Instant::now();
        let mut batch = self.nexus(&["batch", "prompts.jsonl", "--out", "answers.jsonl"]).spawn()?;
        let (mut most_kib, mut early) = (0, None);
        let status = loop {
            if let Some(status) = batch.try_wait()? {
                break status;
            }
            most_kib = most_kib.max(memory(batch.id()).unwrap_or_default());
            if early.is_none() && start.elapsed() >= Duration::from_secs(10) {
                early = Some(self.sandbox.counts());
            }
            sleep(Duration::from_millis(10));
        };
        let (took, counts) = (start.elapsed(), self.sandbox.counts());
        ensure!(status.success(), "nexus batch failed: {}", std::io::read_to_string(batch.stderr.context("stderr")?)?);
        let answered = answered(&self.home.path().join("answers.jsonl"))?;
        ensure!(answered.len() == usize::try_from(lines)?, "{} of {lines} lines have an answer", answered.len());
        let early = early.unwrap_or(counts);
        Ok(Run {
            took,
            most_kib,
            late_answered: u32::try_from(counts.messages - early.messages)?,
            late_throttled: u32::try_from(counts.throttled - early.throttled)?,
        })
    }
}

/// The peak resident memory of a process, in KiB.
fn memory(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
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
