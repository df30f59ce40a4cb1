//! Measures how fast a long answer passes through `nexus chat`.
//!
//! `cargo bench --bench stream` streams 1 GiB of events of 1 KiB through nexus and curl, and 1 GiB of events of 130
//! bytes through nexus and a bare loop that parses each event with serde_json. All write to /dev/null, in turn, three
//! times. It fails if nexus takes more than 6 times curl's time for the large events, more than twice the loop's for
//! the small ones, or for 1 GiB more than 1.1 times the memory that it takes for 16 MiB. An argument is another number of
//! MiB instead of 1024.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::borrow::Cow;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nexus::sandbox::Settings;
use serde::Deserialize;

mod figures;
mod stage;

use figures::{Figure, Limit, Unit};
use stage::api::{Api, Script};
use stage::{Stage, alone};

/// How often each program runs. The median counts.
const ROUNDS: usize = 3;

/// How much is streamed by default, in MiB.
const LENGTH: usize = 1_024;

/// How much is streamed to compare memory, in MiB.
const SHORT: usize = 16;

fn main() -> Result<ExitCode> {
    // Cargo passes `--bench` to every benchmark.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let length = match &words[..] {
        [parse, address] if parse == "--parse" => return parse_stream(address).map(|()| ExitCode::SUCCESS),
        [] => LENGTH,
        [length] => length.parse().context("the number of MiB")?,
        _ => anyhow::bail!("this takes a number of MiB"),
    };
    let (first, stage, _api) = of_length(1_024, SHORT)?;
    let short = median(&mut [first, run(stage.nexus(&["chat", "x"]))?])?;

    let (first, stage, api) = of_length(1_024, length)?;
    let (mut nexus, mut curl) = (vec![first], Vec::new());
    for _ in 1..ROUNDS {
        curl.push(run(alone(&stage.curl, &api.curl()?))?);
        nexus.push(run(stage.nexus(&["chat", "x"]))?);
    }
    curl.push(run(alone(&stage.curl, &api.curl()?))?);
    let (large, curl) = (median(&mut nexus)?, median(&mut curl)?);

    let (first, stage, api) = of_length(130, length)?;
    let address = api.origin.strip_prefix("http://").context("an address")?;
    let parse = || run(alone(&std::env::current_exe()?, &["--parse", address]));
    let (mut nexus, mut parsed) = (vec![first], Vec::new());
    for _ in 1..ROUNDS {
        parsed.push(parse()?);
        nexus.push(run(stage.nexus(&["chat", "x"]))?);
    }
    parsed.push(parse()?);
    let (small, parsed) = (median(&mut nexus)?, median(&mut parsed)?);

    let time = |events: &str, nexus: Run, with: &str, other: Run, limit| Figure {
        name: format!("a stream of {length} MiB, {events} an event"),
        nexus: nexus.took.as_secs_f64(),
        other: other.took.as_secs_f64(),
        with: with.into(),
        unit: Unit::Seconds,
        limit: Limit::AtMost(limit),
    };
    let memory = Figure {
        name: format!("memory of a stream of {length} MiB"),
        nexus: mebibytes(large.peak_kib),
        other: mebibytes(short.peak_kib),
        with: format!("nexus, a stream of {SHORT} MiB"),
        unit: Unit::Mebibytes,
        limit: Limit::AtMost(1.1),
    };
    let figures = [
        time("1 KiB", large, "curl -N", curl, 6.0),
        time("130 bytes", small, "a loop of serde_json", parsed, 2.0),
        memory,
    ];
    figures::report("stream", &figures, length == LENGTH)
}

/// One run of a program.
#[derive(Debug, Clone, Copy)]
struct Run {
    took: Duration,
    peak_kib: u64,
}

/// An API that streams this many MiB of events of this many bytes, a home that is signed in to it, and the first run of
/// nexus, whose question curl then sends too.
fn of_length(event_length: usize, mebibytes: usize) -> Result<(Run, Stage, Api)> {
    let api = Api::start(Script { event_length, events: (mebibytes << 20) / event_length })?;
    let stage = Stage::new(Settings::default(), Some(&api.origin))?;
    Ok((run(stage.nexus(&["chat", "x"]))?, stage, api))
}

fn run(mut command: Command) -> Result<Run> {
    let start = Instant::now();
    let mut child = command.spawn()?;
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_kib = peak_kib.max(stage::peak_memory(&child).unwrap_or_default());
        sleep(Duration::from_millis(2));
    };
    ensure!(status.success(), "{command:?} failed");
    Ok(Run { took: start.elapsed(), peak_kib })
}

/// The run with the median time, with the most memory of all.
fn median(runs: &mut [Run]) -> Result<Run> {
    runs.sort_unstable_by_key(|run| run.took);
    let peak_kib = runs.iter().map(|run| run.peak_kib).max().context("a run")?;
    Ok(Run { peak_kib, ..runs[runs.len() / 2] })
}

fn mebibytes(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1_024.0
}

/// Reads the stream of this server and writes its text: what no client can do without.
fn parse_stream(address: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        delta: Option<Delta<'a>>,
    }
    #[derive(Deserialize)]
    struct Delta<'a> {
        #[serde(borrow)]
        text: Option<Cow<'a, str>>,
    }
    let mut server = TcpStream::connect(address)?;
    server.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")?;
    let mut reader = BufReader::with_capacity(64 * 1024, server);
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(data) = line.strip_prefix(b"data: ") {
            let event: Event<'_> = serde_json::from_slice(data)?;
            if let Some(text) = event.delta.and_then(|delta| delta.text) {
                out.write_all(text.as_bytes())?;
            }
        }
        line.clear();
    }
    Ok(out.flush()?)
}
