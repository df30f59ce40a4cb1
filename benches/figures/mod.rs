//! The figures of the benchmarks: printed beside their limits, and written into the README and `benches/figures.svg`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

mod svg;

/// The benchmarks, in the order of their figures.
const BENCHMARKS: &[&str] = &["startup", "stream", "batch", "proxy", "postgres"];

/// Where the README's table begins and ends.
const MARKS: [&str; 2] = ["<!-- figures: cargo bench -->\n", "<!-- end of figures -->"];

/// One figure of nexus and of another program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What was measured, such as `nexus chat over http`.
    pub(crate) name: String,
    /// The figure of nexus.
    pub(crate) nexus: f64,
    /// The figure of the other program.
    pub(crate) other: f64,
    /// The other program, such as `curl`.
    pub(crate) with: String,
    pub(crate) unit: Unit,
    /// What the ratio of the two has to be.
    pub(crate) limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    Milliseconds,
    Seconds,
    Microseconds,
    Mebibytes,
    PerSecond,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(crate) fn ratio(&self) -> f64 {
        self.nexus / self.other
    }

    pub(crate) fn is_within(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.ratio() <= limit,
            Limit::AtLeast(limit) => self.ratio() >= limit,
        }
    }
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Microseconds => format!("{value:.0} us"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::PerSecond => format!("{value:.0} a second"),
        }
    }
}

impl Limit {
    fn show(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit} x"),
            Self::AtLeast(limit) => format!("at least {limit} x"),
        }
    }
}

/// Prints the figures of a benchmark. Fails if one of an optimized program is beyond its limit.
///
/// With `is_whole`, keeps them, and writes those of all benchmarks into the README and `benches/figures.svg`: a part of
/// a benchmark, or one of an unoptimized program, says nothing to a reader.
pub(crate) fn report(benchmark: &str, figures: &[Figure], is_whole: bool) -> Result<ExitCode> {
    println!();
    for figure in figures {
        println!(
            "{:42} {:>12} {:>8.2} x {:44} {:>12}  {}: {}",
            figure.name,
            figure.unit.show(figure.nexus),
            figure.ratio(),
            figure.with,
            figure.unit.show(figure.other),
            figure.limit.show(),
            if figure.is_within() { "kept" } else { "MISSED" },
        );
    }
    if cfg!(debug_assertions) {
        return Ok(ExitCode::SUCCESS);
    }
    if is_whole {
        keep(benchmark, figures)?;
    }
    Ok(ExitCode::from(u8::from(!figures.iter().all(Figure::is_within))))
}

fn keep(benchmark: &str, figures: &[Figure]) -> Result<()> {
    fs::write(kept(benchmark), serde_json::to_vec(figures)?)?;
    let mut all: Vec<Figure> = Vec::new();
    for benchmark in BENCHMARKS {
        // What another version of this program kept is measured again.
        match fs::read(kept(benchmark)).ok().and_then(|figures| serde_json::from_slice::<Vec<Figure>>(&figures).ok()) {
            Some(figures) => all.extend(figures),
            None => {
                println!("The README stays as it is: the benchmark `{benchmark}` was not run here.");
                return Ok(());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::write(root.join("benches/figures.svg"), svg::chart(&all)?)?;
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path)?;
    let parts = readme.split_once(MARKS[0]).and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let (before, after) = parts.context("the README has no place for the figures")?;
    fs::write(&path, format!("{before}{}{}{}{after}", MARKS[0], table(&all)?, MARKS[1]))?;
    Ok(())
}

/// The file with the last figures of a benchmark.
fn kept(benchmark: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{benchmark}.figures.json"))
}

fn table(figures: &[Figure]) -> Result<String> {
    let mut table = String::from("| what | nexus | compared with | ratio | limit |\n|---|---|---|---|---|\n");
    for figure in figures {
        let Figure { name, nexus, other, with, unit, limit } = figure;
        let (nexus, other, limit) = (unit.show(*nexus), unit.show(*other), limit.show());
        writeln!(table, "| {name} | {nexus} | {with}: {other} | {:.2} x | {limit} |", figure.ratio())?;
    }
    Ok(table)
}
