//! What a person at a terminal sees of a batch. In a pipe there is nothing to see.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::commands::chat::batch::results::Tally;
use crate::moment;
use crate::world::{self, World};

/// The columns of the bar.
const BAR: u64 = 16;

/// The line at the bottom of the terminal, if anybody sees it.
pub(super) struct Progress<'w> {
    world: &'w World,
    /// The lines there are, where that is known.
    total: Option<u64>,
    start: Instant,
    shown: Option<world::Progress>,
}

impl<'w> Progress<'w> {
    /// Begins; the total is only asked for where it is shown.
    pub(super) fn begin(world: &'w World, total: impl FnOnce() -> Option<u64>) -> Self {
        let shown = Some(world.progress()).filter(|_| world.shows_progress());
        let total = shown.as_ref().and_then(|_| total());
        Self { world, total, start: Instant::now(), shown }
    }

    /// Draws how far it is, and what it waits for.
    pub(super) fn draw(&self, tally: &Tally, pause: Option<Duration>) {
        if self.shown.is_some() {
            let said = message(tally, self.total, pause, self.start.elapsed());
            self.world.waiting(format_args!("{}{said}", count(tally.done(), self.total)));
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(self) {
        drop(self.shown);
    }
}

/// How far it is, as a bar where the whole is known.
fn count(done: u64, total: Option<u64>) -> String {
    let Some(total) = total else { return done.to_string() };
    let filled = BAR.saturating_mul(done).checked_div(total).unwrap_or(BAR).min(BAR);
    let part = |length: u64, what: &str| what.repeat(usize::try_from(length).unwrap_or_default());
    format!("[{}{}] {done}/{total}", part(filled, "="), part(BAR - filled, " "))
}

/// What stands behind the count. The rate is that of this run: what was answered before took no time.
fn message(tally: &Tally, total: Option<u64>, pause: Option<Duration>, elapsed: Duration) -> String {
    let mut said = String::new();
    if tally.failed > 0 {
        said += &format!(", {} failed", tally.failed);
    }
    said += &format!(", {} tokens", tally.tokens_in + tally.tokens_out);
    if let Some(pause) = pause.filter(|pause| pause.as_secs() > 0) {
        return said + &format!(", asked to wait {} s", pause.as_secs());
    }
    let done = tally.answered + tally.failed;
    // No count here is anywhere near the 52 bits that a float has.
    #[allow(clippy::cast_precision_loss)]
    let (rate, left) =
        (done as f64 / elapsed.as_secs_f64().max(0.001), total.unwrap_or(0).saturating_sub(tally.done()));
    said += &format!(", {rate:.1}/s");
    if done > 0 && total.is_some() {
        let seconds = elapsed.as_secs().max(1).saturating_mul(left) / done;
        said += &format!(", {} left", moment::span(i64::try_from(seconds).unwrap_or(i64::MAX)));
    }
    said
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
        let said = |tally: &Tally, total, pause| message(tally, total, pause, seconds(30));
        assert_eq!(said(&tally, Some(1_000), None), ", 1500 tokens, 2.0/s, 20 seconds left");
        assert_eq!(said(&tally, None, None), ", 1500 tokens, 2.0/s");
        let failed = Tally { failed: 20, ..tally };
        assert_eq!(said(&failed, Some(1_000), None), ", 20 failed, 1500 tokens, 2.7/s, 7 seconds left");
        assert_eq!(said(&tally, Some(1_000), Some(seconds(12))), ", 1500 tokens, asked to wait 12 s");
        assert_eq!(message(&Tally::default(), Some(5), None, Duration::ZERO), ", 0 tokens, 0.0/s");
    }

    #[test]
    fn the_bar_fills_as_far_as_it_is_known() {
        assert_eq!(count(0, Some(4)), "[                ] 0/4");
        assert_eq!(count(1, Some(4)), "[====            ] 1/4");
        assert_eq!(count(9, Some(4)), "[================] 9/4");
        assert_eq!(count(0, Some(0)), "[================] 0/0");
        assert_eq!(count(7, None), "7");
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
