//! Measures the time from start to exit, and peak memory, compared with an empty program and with curl.
//!
//! `cargo bench --bench startup` starts each program in turn, round after round, so that other load
//! on the machine affects all of them equally. It prints medians and ratios, and fails if one is over its limit.
//! `benches/instructions.sh` counts instructions instead, which do not depend on the machine.
//!
//! Arguments after `--`: `ROUNDS` sets the number of rounds. `--memory` measures only memory, and fails if the
//! functions of the program are no longer in the order of their use. `--run PROGRAM ARGS...` measures nothing and runs
//! a program with two homes that are signed in to a sandbox: `NEXUS_HOME`, whose API is reached over http, and
//! `NEXUS_TLS_HOME`, whose API is reached over https, with `SSL_CERT_FILE` set to trust it.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nexus::sandbox::Settings;

mod figures;
mod stage;

use figures::{Figure, Limit, Unit};
use stage::api::{Api, Script};
use stage::{Stage, alone, installed};

/// With this many rounds, the medians of two runs differ by a few per cent.
const ROUNDS: usize = 200;

/// How often memory is measured. It varies less than time.
const MEMORY_ROUNDS: usize = 5;

fn main() -> Result<ExitCode> {
    // Cargo passes `--bench` to every benchmark.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let api = Api::start(Script::SHORT)?;
    let stage = Stage::new(Settings::default(), Some(&api.origin))?;
    match &words[..] {
        [run, program, args @ ..] if run == "--run" => {
            let bundle = stage.home.path().join("bundle.pem");
            let secure_api = Api::start_tls(Script::SHORT, &bundle)?;
            let secure = Stage::new(Settings::default(), Some(&secure_api.origin))?;
            let mut command = Command::new(program);
            command.args(args).env("NEXUS_HOME", stage.home.path());
            command.env("NEXUS_TLS_HOME", secure.home.path()).env("SSL_CERT_FILE", bundle);
            let status = command.status().with_context(|| format!("starting {program}"))?;
            Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
        }
        [memory] if memory == "--memory" => {
            let figure = Figure { limit: Limit::AtMost(STALE_ORDER), ..peak(&stage, &api)? };
            let is_stale = !figure.is_within();
            figures::report("startup", &[figure], false)?;
            ensure!(!is_stale, "run packaging/function-order");
            Ok(ExitCode::SUCCESS)
        }
        [] => measure(&stage, &api, ROUNDS),
        [rounds] => measure(&stage, &api, rounds.parse().context("the number of rounds")?),
        _ => bail!("this takes a number of rounds, --memory, or --run and a program"),
    }
}

/// An empty Rust program, installed as nexus is.
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

    /// The median in milliseconds.
    fn median(&self) -> f64 {
        self.times[self.times.len() / 2].as_secs_f64() * 1_000.0
    }
}

const EMPTY: &str = "an empty Rust program";
const CURL: &str = "curl --version";
const TOKEN: &str = "nexus oauth token";
const STATUS: &str = "nexus oauth status";
const CHAT: &str = "nexus chat, over http";
const CURL_CHAT: &str = "curl -N, the same request";
const CHAT_TLS: &str = "nexus chat, over https";
const CURL_TLS: &str = "curl -N, the same request over https";
const MEMORY: &str = "peak memory of nexus chat";

/// The limits: what is measured, what it is compared with, and the largest ratio of their medians.
const LIMITS: &[(&str, &str, f64)] = &[
    (TOKEN, EMPTY, 2.1),
    (TOKEN, CURL, 0.25),
    (STATUS, EMPTY, 2.1),
    (CHAT, CURL_CHAT, 0.38),
    (CHAT_TLS, CURL_TLS, 0.13),
];

/// The largest ratio of nexus's memory and curl's.
const MEMORY_LIMIT: f64 = 0.65;

/// The ratio from which the functions have to be recorded anew with `packaging/function-order`. Without any order, it
/// is about 1; each change of the code raises it a little.
const STALE_ORDER: f64 = 0.8;

fn measure(stage: &Stage, api: &Api, rounds: usize) -> Result<ExitCode> {
    ensure!(rounds > 0, "at least one round is needed");
    let bundle = stage.home.path().join("bundle.pem");
    let secure_api = Api::start_tls(Script::SHORT, &bundle)?;
    let secure = Stage::new(Settings::default(), Some(&secure_api.origin))?;
    let trusting = |mut command: Command| {
        command.env("SSL_CERT_FILE", &bundle);
        command
    };
    let mut cases = vec![
        Case::new(EMPTY, alone(&empty(stage.home.path())?, &[] as &[&str]))?,
        Case::new(CURL, alone(&stage.curl, &["--version"]))?,
        Case::new(TOKEN, stage.nexus(&["oauth", "token"]))?,
        Case::new(STATUS, stage.nexus(&["oauth", "status"]))?,
        Case::new(CHAT, stage.nexus(&["chat", "x"]))?,
        Case::new(CHAT_TLS, trusting(secure.nexus(&["chat", "x"])))?,
    ];
    // They send what nexus has just sent.
    cases.push(Case::new(CURL_CHAT, alone(&stage.curl, &api.curl()?))?);
    cases.push(Case::new(CURL_TLS, trusting(alone(&stage.curl, &secure_api.curl()?)))?);
    let count = cases.len();
    for round in 0..rounds {
        for place in 0..count {
            cases[turn(round, place, count)].time()?;
        }
    }
    for case in &mut cases {
        case.times.sort_unstable();
    }
    print(&cases);
    let median = |name: &str| {
        let case = cases.iter().find(|case| case.name == name).with_context(|| format!("{name} was not measured"))?;
        Ok::<_, anyhow::Error>(case.median())
    };
    let mut figures = LIMITS
        .iter()
        .map(|(name, with, limit)| {
            let (name, with) = ((*name).to_owned(), (*with).to_owned());
            let (nexus, other) = (median(&name)?, median(&with)?);
            Ok(Figure { name, nexus, other, with, unit: Unit::Milliseconds, limit: Limit::AtMost(*limit) })
        })
        .collect::<Result<Vec<_>>>()?;
    figures.push(peak(stage, api)?);
    figures::report("startup", &figures, rounds == ROUNDS)
}

/// The index of the program to start. A program finds the caches as the one before it left them, so
/// in `count` rounds each follows each other one equally often: a balanced Latin square (Williams
/// design), for an even `count`.
fn turn(round: usize, place: usize, count: usize) -> usize {
    let zigzag = if place.is_multiple_of(2) { count - place / 2 } else { place.div_ceil(2) };
    (zigzag + round) % count
}

fn peak(stage: &Stage, api: &Api) -> Result<Figure> {
    Ok(Figure {
        name: MEMORY.into(),
        nexus: memory(api, || Ok(stage.nexus(&["chat", "x"])))?,
        // It sends what nexus has just sent.
        other: memory(api, || Ok(alone(&stage.curl, &api.curl()?)))?,
        with: CURL_CHAT.into(),
        unit: Unit::Mebibytes,
        limit: Limit::AtMost(MEMORY_LIMIT),
    })
}

/// The median peak memory of a program that has printed its answer, in MiB.
fn memory(api: &Api, command: impl Fn() -> Result<Command>) -> Result<f64> {
    let mut peaks = (0..MEMORY_ROUNDS)
        .map(|_| {
            let closed = api.gate.lock().map_err(|_| anyhow!("the API is gone"))?;
            let mut child = command()?.stdout(Stdio::piped()).spawn()?;
            let mut stdout = child.stdout.take().context("its stdout")?;
            let mut printed = Vec::new();
            while !printed.ends_with(b"Hello.") && !printed.ends_with(b"\n\n") {
                let mut byte = [0];
                stdout.read_exact(&mut byte).context("it ended without its answer")?;
                printed.extend(byte);
            }
            let peak = stage::peak_memory(&child).context("the system does not report peak memory")?;
            drop(closed);
            std::io::copy(&mut stdout, &mut std::io::sink())?;
            ensure!(child.wait()?.success(), "it failed");
            Ok(f64::from(u32::try_from(peak)?) / 1_024.0)
        })
        .collect::<Result<Vec<_>>>()?;
    peaks.sort_unstable_by(f64::total_cmp);
    Ok(peaks[peaks.len() / 2])
}

fn print(cases: &[Case]) {
    println!("{:38} {:>9} {:>9} {:>9}  milliseconds from start to exit", "", "median", "min", "max");
    for case in cases {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let (min, max) = (ms(case.times[0]), ms(case.times[case.times.len() - 1]));
        println!("{:38} {:9.2} {min:9.2} {max:9.2}", case.name, case.median());
    }
}
