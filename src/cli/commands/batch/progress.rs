//! The progress line of a batch on a terminal.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use super::results::Tally;
use crate::cli::context::Context;
use nexus::Client;
use nexus::internal::provider::host;
use nexus::internal::time;

/// The columns of the bar.
const BAR: u64 = 16;

/// The progress line, if stderr is a terminal.
pub(super) struct Progress {
    context: Context,
    /// The number of lines of the input, if it is known.
    total: Option<u64>,
    start: Instant,
    host: String,
    /// Whether the line says that the first response is waited for.
    waiting: bool,
    shown: Option<crate::cli::terminal::Progress>,
}

impl Progress {
    /// Shows the line. `total` is called only if it is visible.
    pub(super) fn begin(context: &Context, client: &Client, total: impl FnOnce() -> Option<u64>) -> Self {
        let shown = Some(context.progress()).filter(|_| context.shows_progress());
        let total = shown.as_ref().and_then(|_| total());
        let host = client.provider().api.url.as_ref().map(host).unwrap_or_default();
        Self { context: context.clone(), total, start: Instant::now(), host, waiting: false, shown }
    }

    /// Draws the line. `asking` says whether a response is awaited; there is nothing else to show before the first one.
    pub(super) fn draw(&mut self, tally: &Tally, pause: Option<Duration>, asking: bool) {
        if self.shown.is_none() {
            return;
        }
        let waits = asking && pause.is_none() && tally.answered + tally.failed == 0;
        if !waits {
            self.context.working(line(tally, self.total, pause, self.start.elapsed()));
        } else if !self.waiting {
            // Once: each time begins another wait.
            self.context.waiting(format_args!("waiting for {}", self.host));
        }
        self.waiting = waits;
    }

    /// Removes the line.
    pub(super) fn end(self) {
        drop(self.shown);
    }
}

/// The line, the most important first, because a narrow terminal shows only its beginning. The rate is that of this
/// run.
fn line(tally: &Tally, total: Option<u64>, pause: Option<Duration>, elapsed: Duration) -> String {
    let mut line = match total {
        Some(total) => format!("{} {}/{total}", bar(tally.done(), total), tally.done()),
        None => tally.done().to_string(),
    };
    let mut add = |part: String| line = format!("{line}, {part}");
    let done = tally.answered + tally.failed;
    if let Some(pause) = pause.filter(|pause| pause.as_secs() > 0) {
        add(format!("pausing for {} s", pause.as_secs()));
    } else if let Some(total) = total.filter(|_| done > 0) {
        let seconds = elapsed.as_secs().max(1).saturating_mul(total.saturating_sub(tally.done())) / done;
        add(format!("{} left", time::span(i64::try_from(seconds).unwrap_or(i64::MAX))));
    }
    if tally.failed > 0 {
        add(format!("{} failed", tally.failed));
    }
    // A count far below the 52 bits of a float's mantissa.
    #[allow(clippy::cast_precision_loss)]
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    add(format!("{rate:.1}/s"));
    add(format!("{} tokens", tally.tokens_in + tally.tokens_out));
    line
}

/// A bar of fixed width.
fn bar(done: u64, total: u64) -> String {
    let filled = BAR.saturating_mul(done).checked_div(total).unwrap_or(BAR).min(BAR);
    let part = |length: u64, what: &str| what.repeat(usize::try_from(length).unwrap_or_default());
    format!("[{}{}]", part(filled, "="), part(BAR - filled, " "))
}

/// The number of non-empty lines of a file, if it can be read.
pub(super) fn lines(path: &Path) -> Option<u64> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).ok()?);
    let (mut lines, mut open) = (0, false);
    loop {
        let bytes = file.fill_buf().ok()?;
        if bytes.is_empty() {
            return Some(lines + u64::from(open));
        }
        for byte in bytes {
            if *byte == b'\n' {
                lines += u64::from(std::mem::take(&mut open));
            } else {
                open |= !byte.is_ascii_whitespace();
            }
        }
        let read = bytes.len();
        file.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_important_comes_first() {
        let tally = Tally { answered: 60, answered_before: 900, tokens_in: 1_000, tokens_out: 500, ..Tally::default() };
        let seconds = Duration::from_secs;
        let shown = |tally: &Tally, total, pause| line(tally, total, pause, seconds(30));
        let bar = "[=============== ] ";
        assert_eq!(shown(&tally, Some(1_000), None), format!("{bar}960/1000, 20 seconds left, 2.0/s, 1500 tokens"));
        assert_eq!(shown(&tally, None, None), "960, 2.0/s, 1500 tokens");
        let failed = Tally { failed: 20, ..tally };
        assert_eq!(
            shown(&failed, Some(1_000), Some(seconds(12))),
            format!("{bar}980/1000, pausing for 12 s, 20 failed, 2.7/s, 1500 tokens")
        );
        let nothing = line(&Tally::default(), Some(5), None, Duration::ZERO);
        assert_eq!(nothing, "[                ] 0/5, 0.0/s, 0 tokens");
    }

    #[test]
    fn the_bar_fills_and_keeps_its_width() {
        assert_eq!(bar(0, 4), "[                ]");
        assert_eq!(bar(1, 4), "[====            ]");
        assert_eq!(bar(9, 4), "[================]");
        assert_eq!(bar(0, 0), "[================]");
    }

    #[test]
    fn lines_are_counted_as_they_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, count) in [("", 0), ("a", 1), ("a\n", 1), ("a\n\n  \nb\r\n\r\n", 2)] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(lines(file.path()), Some(count), "{text:?}");
        }
    }
}
