//! What a person at a terminal sees of a batch. In a pipe there is nothing to see.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::commands::chat::batch::results::Tally;
use crate::moment;
use crate::world::World;

/// The bar, if anybody sees it.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// Begins; the total is only asked for where it is shown.
    pub(super) fn begin(world: &World, total: impl FnOnce() -> Option<u64>) -> Self {
        let start = Instant::now();
        if !world.stderr_is_terminal() {
            return Self { bar: None, start };
        }
        let total = total();
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{bar:16} {pos}/{len}{msg}",
            None => "{spinner} {pos}{msg}",
        };
        // A template that nobody can read would be seen at once.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar: Some(bar), start }
    }

    /// Draws how far it is, and what it waits for.
    pub(super) fn draw(&self, tally: &Tally, pause: Option<Duration>) {
        let Some(bar) = &self.bar else { return };
        bar.set_message(message(tally, bar.length(), pause, self.start.elapsed()));
        bar.set_position(tally.done());
        bar.tick();
    }

    /// Says something without spoiling the picture.
    pub(super) fn say(&self, world: &World, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| world.say(line)),
            None => world.say(line),
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
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
    fn lines_are_counted_as_they_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, count) in [("", 0), ("a", 1), ("a\n", 1), ("a\n\n  \nb\r\n\r\n", 2)] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(lines(file.path()), Some(count), "{text:?}");
        }
    }
}
