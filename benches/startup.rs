//! Measures the time from start to exit, compared with an empty program and with curl.
//!
//! `cargo bench --bench startup` starts each program in turn, round after round, so that other load
//! on the machine affects all of them equally. It prints medians, and their ratios next to the
//! budgets: `nexus oauth token` and `nexus oauth status` at most 2.3 times an empty Rust program,
//! `nexus chat` at most 0.4 times curl with the same request. It fails when a program fails, and
//! never because of a time: times depend on the machine, so `benches/instructions.sh` counts
//! instructions instead.
//!
//! Arguments after `--`: `ROUNDS` sets the number of rounds. `--readme` also writes the figures into
//! the README. `--run PROGRAM ARGS...` measures nothing and runs a program with `NEXUS`, the binary,
//! and `NEXUS_HOME`, a home that is signed in to a sandbox.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nexus::sandbox::{Endpoint, Sandbox, Settings};

const NEXUS: &str = env!("CARGO_BIN_EXE_nexus");

/// With this many rounds, the medians of two runs differ by a few per cent.
const ROUNDS: usize = 200;

fn main() -> Result<ExitCode> {
    // Cargo passes `--bench` to every benchmark.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let stage = Stage::new()?;
    match &words[..] {
        [run, program, args @ ..] if run == "--run" => {
            let mut command = Command::new(program);
            command.args(args).env("NEXUS", NEXUS).env("NEXUS_HOME", stage.home.path());
            let status = command.status().with_context(|| format!("starting {program}"))?;
            Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
        }
        [] => report(&mut measure(&stage, ROUNDS)?),
        [word] if word == "--readme" => write_readme(&mut measure(&stage, ROUNDS)?),
        [rounds] => report(&mut measure(&stage, rounds.parse().context("the number of rounds")?)?),
        _ => bail!("this takes a number of rounds, --readme, or --run and a program"),
    }
}

/// A home that is signed in to a sandbox.
struct Stage {
    sandbox: Sandbox,
    api: Instantaneous,
    home: tempfile::TempDir,
    nexus: PathBuf,
    curl: PathBuf,
}

impl Stage {
    fn new() -> Result<Self> {
        let settings = Settings::default();
        let client_id = settings.client_id.clone();
        let sandbox = Sandbox::start_on_thread(settings)?;
        let api = Instantaneous::start()?;
        let home = tempfile::tempdir()?;
        let config = format!(
            "default = \"sandbox\"\n[provider.sandbox]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\n\
             client_id = \"{client_id}\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\napi_url = \"{}\"\n\
             model = \"sandbox-small\"\n",
            sandbox.url(Endpoint::Authorize),
            sandbox.url(Endpoint::Token),
            api.origin,
        );
        std::fs::write(home.path().join("config.toml"), config)?;
        let nexus = installed(Path::new(NEXUS), home.path())?;
        let stage = Self { sandbox, api, home, nexus, curl: find("curl")? };
        stage.sign_in()?;
        Ok(stage)
    }

    fn nexus(&self, words: &[&str]) -> Command {
        let mut command = alone(&self.nexus, words);
        command.env("NEXUS_HOME", self.home.path());
        command
    }

    /// Signs in through the authorization page; an error contains what nexus printed.
    fn sign_in(&self) -> Result<()> {
        let mut start = self.nexus(&["oauth", "start", "--no-browser", "--timeout", "30s"]);
        let mut start = start.stderr(Stdio::piped()).spawn().context("starting nexus")?;
        let mut message = String::new();
        let approved = self.approve(start.stderr.take().context("its stderr")?, &mut message);
        if approved.is_err() {
            start.kill()?;
        }
        let status = start.wait()?;
        approved.with_context(|| format!("approving what nexus asked for:\n{message}"))?;
        ensure!(status.success(), "nexus oauth start failed:\n{message}");
        Ok(())
    }

    /// Reads the output of `nexus oauth start` to its end. When the authorization URL appears,
    /// approves and follows the redirect, as the browser would.
    fn approve(&self, stderr: ChildStderr, message: &mut String) -> Result<()> {
        let authorize = self.sandbox.url(Endpoint::Authorize);
        let mut browser = None;
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            *message += &format!("{line}\n");
            if line.starts_with(&authorize) {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let back = runtime.block_on(Sandbox::approve(&line))?;
                // Wait for it later: nexus prints while it answers.
                browser = Some(alone(&self.curl, &["-qsL", "--max-time", "30", &back]).spawn()?);
            }
        }
        browser.context("it printed no URL")?.wait()?;
        Ok(())
    }

    /// curl, sending the last request of `nexus chat`.
    fn curl_chat(&self) -> Result<Command> {
        let asked = self.api.asked.lock().map_err(|_| anyhow::anyhow!("the API is gone"))?.clone();
        let (head, body) = asked.split_once("\r\n\r\n").context("nexus chat sent no request")?;
        let mut command = alone(&self.curl, &["-qsN", "-X", "POST"]);
        let own = |header: &&str| !["host:", "content-length:"].iter().any(|name| header.starts_with(name));
        for header in head.lines().skip(1).filter(own) {
            command.arg("-H").arg(header);
        }
        command.arg("--data-binary").arg(body).arg(format!("{}/v1/messages", self.api.origin));
        Ok(command)
    }
}

/// A Messages endpoint with a fixed answer, so that the client dominates the measured time.
struct Instantaneous {
    origin: String,
    /// The last request, as received.
    asked: Arc<Mutex<String>>,
}

impl Instantaneous {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = format!("http://{}", listener.local_addr()?);
        let asked = Arc::<Mutex<String>>::default();
        let heard = asked.clone();
        std::thread::spawn(move || {
            // Ignore a lost connection: the client's exit code shows it.
            listener.incoming().flatten().for_each(|connection| drop(answer(connection, &heard)));
        });
        Ok(Self { origin, asked })
    }
}

fn answer(mut connection: TcpStream, heard: &Mutex<String>) -> io::Result<()> {
    const EVENTS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":\
        {\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
        {\"type\":\"text_delta\",\"text\":\"Hello.\"}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while reader.read_line(&mut head)? > 2 {
        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        length = line.strip_prefix("content-length:").and_then(|length| length.trim().parse().ok()).unwrap_or(length);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if head.starts_with("GET ") {
        return connection.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if let Ok(mut heard) = heard.lock() {
        *heard = head + &String::from_utf8_lossy(&body);
    }
    let length = EVENTS.len();
    let head_of_answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all((head_of_answer + EVENTS).as_bytes())?;
    Ok(())
}

/// A command with an empty environment, no input, and its output discarded.
fn alone(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The path of a program, looked up once, outside the measured time.
fn find(program: &str) -> Result<PathBuf> {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output()?;
    ensure!(found.status.success(), "{program} is not installed");
    Ok(String::from_utf8(found.stdout)?.trim_end().into())
}

/// Copies a program, as an installer does. The page cache holds a linker's output in small pieces, and
/// mapping those takes a third of an empty program's time.
fn installed(program: &Path, folder: &Path) -> Result<PathBuf> {
    let installed = folder.join(program.file_name().context("a program has a name")?);
    std::fs::copy(program, &installed).with_context(|| format!("copying {}", program.display()))?;
    Ok(installed)
}

/// An empty Rust program, linked and installed as nexus is.
fn empty(home: &Path) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("empty.rs"), folder.join(format!("empty{}", std::env::consts::EXE_SUFFIX)));
    std::fs::write(&source, "fn main() {}\n")?;
    let compiled = Command::new("rustc").arg("-O").arg("-o").arg(&program).arg(&source).status()?;
    ensure!(compiled.success(), "rustc could not compile an empty program");
    installed(&program, home)
}

struct Case {
    name: &'static str,
    command: Command,
    times: Vec<Duration>,
}

impl Case {
    fn new(name: &'static str, mut command: Command) -> Result<Self> {
        // A command that fails would be fast, and the times meaningless.
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        ensure!(output.status.success(), "{name} failed:\n{}", String::from_utf8_lossy(&output.stderr));
        ensure!(name == EMPTY || !output.stdout.is_empty(), "{name} printed nothing");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { name, command, times: Vec::new() })
    }

    fn time(&mut self) -> Result<()> {
        let begun = Instant::now();
        let status = self.command.status()?;
        self.times.push(begun.elapsed());
        ensure!(status.success(), "{} failed", self.name);
        Ok(())
    }

    fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }
}

const EMPTY: &str = "an empty Rust program";
const CURL: &str = "curl --version";
const TOKEN: &str = "nexus oauth token";
const STATUS: &str = "nexus oauth status";
const CHAT: &str = "nexus chat x";
const CURL_CHAT: &str = "curl -N, the same request";

/// The budgets: a command, what it is compared with, and the largest ratio of their medians.
const BUDGETS: &[(&str, &str, f64)] =
    &[(TOKEN, EMPTY, 2.3), (TOKEN, CURL, 0.25), (STATUS, EMPTY, 2.3), (STATUS, CURL, 0.25), (CHAT, CURL_CHAT, 0.4)];

fn measure(stage: &Stage, rounds: usize) -> Result<Vec<Case>> {
    ensure!(rounds > 0, "at least one round is needed");
    let mut cases = vec![
        Case::new(EMPTY, alone(&empty(stage.home.path())?, &[]))?,
        Case::new(CURL, alone(&stage.curl, &["--version"]))?,
        Case::new(TOKEN, stage.nexus(&["oauth", "token"]))?,
        Case::new(STATUS, stage.nexus(&["oauth", "status"]))?,
        Case::new(CHAT, stage.nexus(&["chat", "x"]))?,
    ];
    cases.push(Case::new(CURL_CHAT, stage.curl_chat()?)?);
    let count = cases.len();
    for round in 0..rounds {
        for place in 0..count {
            cases[turn(round, place, count)].time()?;
        }
    }
    for case in &mut cases {
        case.times.sort_unstable();
    }
    Ok(cases)
}

/// The index of the program to start. A program finds the caches as the one before it left them, so
/// in `count` rounds each follows each other one equally often: a balanced Latin square (Williams
/// design), for an even `count`.
fn turn(round: usize, place: usize, count: usize) -> usize {
    let zigzag = if place.is_multiple_of(2) { count - place / 2 } else { place.div_ceil(2) };
    (zigzag + round) % count
}

/// The ratio of two medians.
fn ratio(cases: &[Case], one: &str, other: &str) -> Result<f64> {
    let median = |name: &str| {
        let case = cases.iter().find(|case| case.name == name).with_context(|| format!("{name} was not measured"))?;
        Ok::<_, anyhow::Error>(case.median().as_secs_f64())
    };
    Ok(median(one)? / median(other)?)
}

/// Replaces the table between the two markers in the README.
fn write_readme(cases: &mut [Case]) -> Result<ExitCode> {
    const MARKS: [&str; 2] = ["<!-- figures: cargo bench -- --readme -->\n", "<!-- end of figures -->"];
    let mut table = String::from("| command | median | compared with |\n|---|---|---|\n");
    for (name, others) in [(TOKEN, &[EMPTY, CURL][..]), (STATUS, &[EMPTY, CURL]), (CHAT, &[CURL_CHAT])] {
        let median = cases.iter().find(|case| case.name == name).map(Case::median).unwrap_or_default();
        let compared = others
            .iter()
            .map(|other| ratio(cases, name, other).map(|ratio| format!("{ratio:.2} x {other}")))
            .collect::<Result<Vec<_>>>()?
            .join(", ");
        writeln!(table, "| `{name}` | {:.1} ms | {compared} |", median.as_secs_f64() * 1_000.0)?;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path)?;
    let (before, rest) = readme.split_once(MARKS[0]).context("the README has no place for figures")?;
    let (_, after) = rest.split_once(MARKS[1]).context("the README's figures have no end")?;
    std::fs::write(&path, format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]))?;
    report(cases)
}

fn report(cases: &mut [Case]) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:28} {:>9} {:>9} {:>9}  milliseconds from start to exit", "", "median", "min", "max")?;
    for case in cases.iter_mut() {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let (min, max) = (ms(case.times[0]), ms(case.times[case.times.len() - 1]));
        writeln!(out, "{:28} {:9.2} {min:9.2} {max:9.2}", case.name, ms(case.median()))?;
    }
    writeln!(out)?;
    for (name, other, budget) in BUDGETS {
        let ratio = ratio(cases, name, other)?;
        let verdict = if ratio <= *budget { "within" } else { "OVER" };
        writeln!(out, "{name:20} {ratio:5.2} x {other:28} {verdict} the budget of {budget}")?;
    }
    Ok(ExitCode::SUCCESS)
}
