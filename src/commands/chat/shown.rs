//! How an answer is seen: its Markdown laid out on a terminal, its bytes as they came in a pipe.

use std::io::{self, StdoutLock, Write as _};

use crate::markdown::Rendered;
use crate::terminal::Streamed;
use crate::world::World;

/// An answer on its way to stdout.
pub(super) enum Shown<'w> {
    /// As it came, but for what would act on a terminal.
    Written(Streamed<StdoutLock<'static>>),
    /// Laid out.
    LaidOut(Box<Page<'w>>),
}

/// An answer that is being laid out. Dropped in the middle, it shows what it held back: nobody can ask
/// for that again.
pub(super) struct Page<'w> {
    out: StdoutLock<'static>,
    rendered: Rendered,
    world: &'w World,
    finished: bool,
}

impl<'w> Shown<'w> {
    /// Nothing yet.
    pub(super) fn begin(raw: bool, world: &'w World) -> Self {
        let (out, terminal) = (io::stdout().lock(), world.stdout_is_terminal());
        if raw || !terminal {
            return Self::Written(Streamed::new(out, terminal));
        }
        let rendered = Rendered::new(world.columns(), world.is_coloured());
        Self::LaidOut(Box::new(Page { out, rendered, world, finished: false }))
    }

    /// Writes the next piece, as far as it can be shown.
    ///
    /// # Errors
    /// What stdout answers.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Written(streamed) => streamed.write(text),
            Self::LaidOut(page) => page.write(text),
        }
    }

    /// Writes what was held back, and ends the last line.
    ///
    /// # Errors
    /// What stdout answers.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Written(streamed) => streamed.finish(),
            Self::LaidOut(mut page) => page.finish(),
        }
    }
}

impl Page<'_> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.rendered.resize(self.world.columns());
        let shown = self.rendered.push(text);
        self.send(&shown)
    }

    fn finish(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let shown = self.rendered.finish();
        self.send(&shown)
    }

    fn send(&mut self, shown: &str) -> io::Result<()> {
        if shown.is_empty() {
            return Ok(());
        }
        self.out.write_all(shown.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        // It is the end, whether or not anybody sees it.
        let _ = self.finish();
    }
}
