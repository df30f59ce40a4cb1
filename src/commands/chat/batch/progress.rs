//! What a person at a terminal sees of a batch. In a pipe there is nothing to see.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::commands::chat::batch::results::Tally;
use crate::world::World;

/// The bar, if anybody sees it.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins; the total is only asked for where it is shown.
    pub(super) fn begin(world: &World, total: impl FnOnce() -> Option<u64>) -> Self {
        if !world.stderr_is_terminal() {
            return Self(None);
        }
        let total = total();
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{bar:20} {pos}/{len}{msg}, {per_sec:.1}, {eta} left",
            None => "{spinner} {pos}{msg}, {per_sec:.1}",
        };
        // A template that nobody can read would be seen at once.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Some(bar))
    }

    /// Draws how far it is, and what it waits for.
    pub(super) fn draw(&self, tally: &Tally, pause: Option<Duration>) {
        let Some(bar) = &self.0 else { return };
        let mut message = String::new();
        if tally.failed > 0 {
            message += &format!(", {} failed", tally.failed);
        }
        message += &format!(", {} tokens", tally.tokens_in + tally.tokens_out);
        if let Some(pause) = pause.filter(|pause| pause.as_secs() > 0) {
            message += &format!(", asked to wait {} s", pause.as_secs());
        }
        bar.set_message(message);
        bar.set_position(tally.done());
        bar.tick();
    }

    /// Says something without spoiling the picture.
    pub(super) fn say(&self, world: &World, line: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| world.say(line)),
            None => world.say(line),
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
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
