//! What a person at a terminal sees of a batch. In a pipe there is nothing to see.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::commands::chat::batch::results::Tally;
use crate::cli::context::Context;
use nexus::internal::time;

/// The columns of the bar.
const BAR: u64 = 16;

/// The columns that a line with a bar has at least.
const ROOM_FOR_BAR: usize = 50;

/// The line at the bottom of the terminal, if anybody sees it.
pub(super) struct Progress<'w> {
    context: &'w Context,
    /// The lines there are, where that is known.
    total: Option<u64>,
    start: Instant,
    shown: Option<crate::cli::terminal::Progress>,
}

impl<'w> Progress<'w> {
    /// Begins; the total is only asked for where it is shown.
    pub(super) fn begin(context: &'w Context, total: impl FnOnce() -> Option<u64>) -> Self {
        let shown = Some(context.progress()).filter(|_| context.shows_progress());
        let total = shown.as_ref().and_then(|_| total());
        Self { context, total, start: Instant::now(), shown }
    }

    /// Draws how far it is, and what it waits for.
    pub(super) fn draw(&self, tally: &Tally, pause: Option<Duration>) {
        if self.shown.is_some() {
            let parts = parts(tally, self.total, pause, self.start.elapsed());
            self.context.waiting_within(move |room| line(&parts, room));
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(self) {
        drop(self.shown);
    }
}

/// What a person may want to know of a batch, as it is told from left to right. The lesser, the more important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Count,
    Pause,
    Left,
    Failed,
    Bar,
    Rate,
    Tokens,
}

/// As many of these as there is room for, whole and in their order. A bar that came and went with the words beside it would
/// only distract, so it is there on every terminal that has room for it and the usual ones.
fn line(parts: &[(Rank, String)], room: usize) -> String {
    let written = |least: Rank| {
        let shown = parts.iter().filter(|(rank, _)| *rank <= least && (*rank != Rank::Bar || room >= ROOM_FOR_BAR));
        let mut said = String::new();
        let mut bar = false;
        for (rank, part) in shown {
            said += if said.is_empty() {
                ""
            } else if bar {
                " "
            } else {
                ", "
            };
            said += part;
            bar = *rank == Rank::Bar;
        }
        said
    };
    let ranks = [Rank::Tokens, Rank::Rate, Rank::Bar, Rank::Failed, Rank::Left, Rank::Pause, Rank::Count];
    ranks.into_iter().map(written).find(|said| said.chars().count() <= room).unwrap_or_else(|| written(Rank::Count))
}

/// How far it is, what went wrong, and how it goes. The rate is that of this run: what was answered before took no time.
fn parts(tally: &Tally, total: Option<u64>, pause: Option<Duration>, elapsed: Duration) -> Vec<(Rank, String)> {
    let mut parts = Vec::new();
    if let Some(total) = total {
        parts.push((Rank::Bar, bar(tally.done(), total)));
    }
    parts.push((Rank::Count, total.map_or(tally.done().to_string(), |total| format!("{}/{total}", tally.done()))));
    if tally.failed > 0 {
        parts.push((Rank::Failed, format!("{} failed", tally.failed)));
    }
    parts.push((Rank::Tokens, format!("{} tokens", tally.tokens_in + tally.tokens_out)));
    if let Some(pause) = pause.filter(|pause| pause.as_secs() > 0) {
        parts.push((Rank::Pause, format!("asked to wait {} s", pause.as_secs())));
        return parts;
    }
    let done = tally.answered + tally.failed;
    // No count here is anywhere near the 52 bits that a float has.
    #[allow(clippy::cast_precision_loss)]
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    parts.push((Rank::Rate, format!("{rate:.1}/s")));
    if let Some(total) = total.filter(|_| done > 0) {
        let seconds = elapsed.as_secs().max(1).saturating_mul(total.saturating_sub(tally.done())) / done;
        parts.push((Rank::Left, format!("{} left", time::span(i64::try_from(seconds).unwrap_or(i64::MAX)))));
    }
    parts
}

/// How far it is; its end stands still.
fn bar(done: u64, total: u64) -> String {
    let filled = BAR.saturating_mul(done).checked_div(total).unwrap_or(BAR).min(BAR);
    let part = |length: u64, what: &str| what.repeat(usize::try_from(length).unwrap_or_default());
    format!("[{}{}]", part(filled, "="), part(BAR - filled, " "))
}

/// How many lines of a file are not empty, as far as they can be read.
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
    fn the_rate_is_that_of_this_run() {
        let tally = Tally { answered: 60, answered_before: 900, tokens_in: 1_000, tokens_out: 500, ..Tally::default() };
        let seconds = Duration::from_secs;
        let said = |tally: &Tally, total, pause| line(&parts(tally, total, pause, seconds(30)), 200);
        let bar = "[=============== ] ";
        assert_eq!(said(&tally, Some(1_000), None), format!("{bar}960/1000, 1500 tokens, 2.0/s, 20 seconds left"));
        assert_eq!(said(&tally, None, None), "960, 1500 tokens, 2.0/s");
        let failed = Tally { failed: 20, ..tally };
        assert_eq!(
            said(&failed, Some(1_000), None),
            format!("{bar}980/1000, 20 failed, 1500 tokens, 2.7/s, 7 seconds left")
        );
        assert_eq!(
            said(&tally, Some(1_000), Some(seconds(12))),
            format!("{bar}960/1000, 1500 tokens, asked to wait 12 s")
        );
        let nothing = parts(&Tally::default(), Some(5), None, Duration::ZERO);
        assert_eq!(line(&nothing, 80), "[                ] 0/5, 0 tokens, 0.0/s");
    }

    #[test]
    fn the_bar_fills_and_its_end_stands_still() {
        assert_eq!(bar(0, 4), "[                ]");
        assert_eq!(bar(1, 4), "[====            ]");
        assert_eq!(bar(9, 4), "[================]");
        assert_eq!(bar(0, 0), "[================]");
    }

    #[test]
    fn what_has_no_room_is_left_out_whole_the_least_important_first() {
        let tally = Tally { answered: 2, failed: 2, tokens_in: 1_000, tokens_out: 500, ..Tally::default() };
        let parts = parts(&tally, Some(60), None, Duration::from_secs(2));
        for (room, said) in [
            (195, "[=               ] 4/60, 2 failed, 1500 tokens, 2.0/s, 28 seconds left"),
            (69, "[=               ] 4/60, 2 failed, 2.0/s, 28 seconds left"),
            (50, "[=               ] 4/60, 2 failed, 28 seconds left"),
            (35, "4/60, 2 failed, 28 seconds left"),
            (30, "4/60, 28 seconds left"),
            (10, "4/60"),
            (1, "4/60"),
        ] {
            assert_eq!(line(&parts, room), said, "{room}");
        }
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
