//! The picture of a terminal in the README, made from a real run. `NEXUS_WRITE_PICTURES=1 cargo test --test it picture`
//! writes it.

#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;

use nexus::sandbox::{Endpoint, Scripted, Settings};
use vt100::{Cell, Color};

use crate::chat::{delta, stop, stop_reason};
use crate::documentation::home;
use crate::nexus::{config, sandbox};
use crate::terminal::Terminal;

const COLUMNS: u16 = 80;

/// What is typed. Each command is shown after a prompt.
const SCRIPT: &str = r#"
type() { printf '\e[32m$\e[m \e[1m%s\e[m\n' "$1"; eval "$1"; }
type 'nexus oauth start'; echo
type 'git diff | nexus chat "Is this right?"'; echo
type 'nexus chat -c "Write the fixed line."'; echo
type 'nexus oauth status'
"#;

const ANSWERS: [&str; 2] = [
    "**Almost.** The middle of two indices can overflow:\n\n\
     | line | problem | fix |\n|---|---|---|\n| `let mid = (low + high) / 2;` | `low + high` wraps | `low + (high - low) / 2` |\n",
    "```rust\nlet mid = low.midpoint(high); // rounds down, never overflows\n```\n",
];

#[test]
fn the_picture_of_the_readme_is_a_real_run() {
    let server = sandbox(Settings { account: "ada@example.com".into(), ..Settings::default() });
    let home = home(&server, &config(&server, ""));
    let answer = |text| Scripted::stream([delta(text), stop_reason("end_turn"), stop()]);
    server.script(Endpoint::Messages, ANSWERS.map(answer));
    let mut command = Command::new("bash");
    command.args(["-c", SCRIPT]);
    let left = Terminal::run(&home, &home.prepared(command), COLUMNS, &[("TERM", "xterm-256color")]).finish();
    assert_eq!(left.code, 0, "{}", left.screen);
    let picture = svg(&without_chance(&left.bytes));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures/terminal.svg");
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write instead of compare")]
    if std::env::var_os("NEXUS_WRITE_PICTURES").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == picture,
        "the picture is out of date: run `NEXUS_WRITE_PICTURES=1 cargo test --test it picture` and look at it\n{}",
        left.screen
    );
}

/// Replaces what differs from run to run: the authorization URL, and ports of this machine.
fn without_chance(bytes: &str) -> String {
    let parts = bytes.split_inclusive(char::is_whitespace).map(|part| match part.split_once("127.0.0.1:") {
        Some(_) if part.contains("/authorize?") => {
            format!("https://id.example.com/authorize?client_id=...{}", &part[part.trim_end().len()..])
        }
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}127.0.0.1:49152{rest}")
        }
        None => part.to_owned(),
    });
    parts.collect()
}

/// The size of a character and of the border, in pixels.
const WIDTH: u16 = 8;
const HEIGHT: u16 = 18;
const BORDER: u16 = 16;

/// A picture of the screen after these bytes.
fn svg(bytes: &str) -> String {
    let size = |lines| NonZeroU16::new(lines).unwrap();
    let mut parser = vt100::Parser::new(size(100), size(COLUMNS), 0);
    parser.process(bytes.as_bytes());
    let screen = parser.screen();
    let cells = |row| (0..COLUMNS).filter_map(move |column| Some((column, screen.cell(row, column)?)));
    let is_written = |row: &u16| cells(*row).any(|(_, cell)| cell.has_contents());
    let rows = (0..100).filter(is_written).max().map_or(0, |last| last + 1);
    let (width, height) = (COLUMNS * WIDTH + 2 * BORDER, rows * HEIGHT + 2 * BORDER);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#161b22\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\" fill=\"#e6edf3\">\n"
    );
    for row in 0..rows {
        let mut runs: Vec<(u16, String, String)> = Vec::new();
        for (column, cell) in cells(row).filter(|(_, cell)| cell.has_contents()) {
            match runs.last_mut() {
                // A run has the same style, and no gap.
                Some((start, look, text)) if *look == style(cell) && *start + text.chars().count() as u16 == column => {
                    text.push_str(cell.contents());
                }
                _ => runs.push((column, style(cell), cell.contents().to_owned())),
            }
        }
        for (column, style, text) in runs.iter().filter(|(_, _, text)| !text.trim().is_empty()) {
            let (x, y) = (BORDER + column * WIDTH, BORDER + row * HEIGHT + 13);
            let length = text.chars().count() as u16 * WIDTH;
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\" xml:space=\"preserve\"{style}>{text}</text>"
            );
        }
    }
    svg + "</g>\n</svg>\n"
}

/// The attributes of a character.
fn style(cell: &Cell) -> String {
    const COLORS: [&str; 16] = [
        "#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4", "#6e7681", "#ffa198",
        "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff",
    ];
    let mut style = String::new();
    if let Color::Idx(index) = cell.fgcolor() {
        let _ = write!(style, " fill=\"{}\"", COLORS[usize::from(index) % 16]);
    }
    if cell.bold() {
        style.push_str(" font-weight=\"bold\"");
    }
    if cell.italic() {
        style.push_str(" font-style=\"italic\"");
    }
    if cell.underline() {
        style.push_str(" text-decoration=\"underline\"");
    }
    if cell.dim() {
        style.push_str(" opacity=\"0.6\"");
    }
    style
}
