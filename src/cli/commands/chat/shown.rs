//! How an answer is seen: its Markdown laid out on a terminal, its bytes as they came in a pipe.

use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::markdown::Rendered;
use nexus::internal::clean::Lines;

/// An answer on its way to stdout.
pub(super) enum Shown<'w> {
    /// As it came, but for what would act on a terminal.
    Written { lines: Lines, context: &'w Context },
    /// Laid out.
    LaidOut(Box<Page<'w>>),
}

/// An answer that is being laid out. Dropped in the middle, it shows what it held back: nobody can ask
/// for that again.
pub(super) struct Page<'w> {
    rendered: Rendered,
    context: &'w Context,
    finished: bool,
}

impl<'w> Shown<'w> {
    /// Nothing yet.
    pub(super) fn begin(raw: bool, context: &'w Context) -> Self {
        if raw || !context.stdout_is_terminal() {
            return Self::Written { lines: Lines::default(), context };
        }
        let rendered = Rendered::new(context.columns(), context.is_coloured());
        Self::LaidOut(Box::new(Page { rendered, context, finished: false }))
    }

    /// Whether the last line has begun and has no end yet.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Written { lines, .. } => !lines.end().is_empty(),
            Self::LaidOut(_) => false,
        }
    }

    /// Writes the next piece, as far as it can be shown.
    ///
    /// # Errors
    /// What stdout answers.
    pub(super) async fn write(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Written { lines, context } => {
                lines.follow(text);
                context.send(text).await
            }
            Self::LaidOut(page) => page.write(text).await,
        }
    }

    /// Writes what was held back, and ends the last line.
    ///
    /// # Errors
    /// What stdout answers.
    pub(super) async fn finish(self) -> Result<()> {
        match self {
            Self::Written { lines, context } => context.send(lines.end()).await,
            Self::LaidOut(mut page) => page.finish().await,
        }
    }
}

impl Page<'_> {
    async fn write(&mut self, text: &str) -> Result<()> {
        self.rendered.resize(self.context.columns());
        let shown = self.rendered.push(text);
        self.context.send_laid_out(&shown).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.finished = true;
        let shown = self.rendered.finish();
        self.context.send_laid_out(&shown).await
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // It is the end, whether or not anybody sees it.
            self.context.send_laid_out_now(&self.rendered.finish());
        }
    }
}
