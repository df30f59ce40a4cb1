//! The answer as text: rendered Markdown on a terminal, unchanged bytes in a pipe. The thinking goes to stderr.

use super::super::Args;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::markdown::Rendered;
use crate::cli::terminal::thinking::ThinkingSink;
use nexus::Delta;
use nexus::internal::clean::Lines;

/// How much text is laid out at once, in bytes.
const PIECE: usize = 16 * 1_024;

/// Writes text as it comes, or holds it for a schema to be checked.
pub(super) struct TextSink<'a> {
    context: &'a Context,
    page: Page<'a>,
    /// What is not written yet.
    unwritten: Option<Delta>,
    /// With `--thinking`.
    thinking: Option<ThinkingSink>,
    /// The text is printed at the end, if it matches the schema.
    held: bool,
    printed: bool,
}

impl<'a> TextSink<'a> {
    pub(super) fn new(args: &Args, context: &'a Context) -> Self {
        Self {
            context,
            page: Page::new(args.raw, context),
            unwritten: None,
            thinking: args.thinking.map(|_| ThinkingSink::default()),
            held: args.schema.is_some(),
            printed: false,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn has_printed(&self) -> bool {
        self.printed
    }

    pub(super) fn has_open_line(&self) -> bool {
        matches!(&self.page, Page::Plain { lines, .. } if !lines.end().is_empty())
    }

    /// Whether this piece is visible at once.
    pub(super) fn shows(&self, delta: &Delta) -> bool {
        match delta {
            Delta::Text(_) => !self.held,
            Delta::Thinking(_) => self.thinking.is_some(),
        }
    }

    pub(super) async fn delta(&mut self, delta: Delta) -> Result<()> {
        match (&mut self.unwritten, delta) {
            (Some(Delta::Text(text)), Delta::Text(more)) | (Some(Delta::Thinking(text)), Delta::Thinking(more)) => {
                text.push_str(&more);
            }
            (_, delta) => {
                self.flush().await?;
                self.unwritten = Some(delta);
            }
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        match (self.unwritten.take(), &mut self.thinking) {
            (Some(Delta::Text(text)), thinking) => {
                if let Some(thinking) = thinking {
                    thinking.end();
                }
                if self.held {
                    return Ok(());
                }
                self.printed = true;
                self.page.write(&text).await
            }
            (Some(Delta::Thinking(text)), Some(thinking)) => {
                thinking.write(&text);
                Ok(())
            }
            (Some(Delta::Thinking(_)), None) | (None, _) => Ok(()),
        }
    }

    /// Ends the last line. If stdout and stderr are separate, an incomplete answer keeps its last bytes as they are.
    pub(super) async fn close(&mut self, complete: bool) -> Result<()> {
        if let Some(thinking) = &mut self.thinking {
            thinking.end();
        }
        if complete || self.context.stdout_is_terminal() || self.context.streams_are_one() {
            self.page.finish().await?;
        }
        Ok(())
    }

    /// Writes what is held back, as far as stdout takes it at once.
    pub(super) fn interrupt(&mut self) {
        if let Page::Rendered { rendered, context } = &mut self.page {
            context.send_laid_out_now(&rendered.finish());
        }
    }
}

enum Page<'a> {
    Plain { lines: Lines, context: &'a Context },
    Rendered { rendered: Box<Rendered>, context: &'a Context },
}

impl<'a> Page<'a> {
    fn new(raw: bool, context: &'a Context) -> Self {
        if raw || !context.stdout_is_terminal() {
            return Self::Plain { lines: Lines::default(), context };
        }
        let rendered = Box::new(Rendered::new(context.columns(), context.is_colored()));
        Self::Rendered { rendered, context }
    }

    async fn write(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Plain { lines, context } => {
                lines.follow(text);
                context.send(text).await
            }
            Self::Rendered { rendered, context } => {
                rendered.resize(context.columns());
                let mut rest = text;
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(rest.ceil_char_boundary(PIECE.min(rest.len())));
                    context.send_laid_out(&rendered.push(piece)).await?;
                    rest = after;
                    // A signal is seen between two pieces.
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        }
    }

    /// Writes what is held back, and ends the last line.
    async fn finish(&mut self) -> Result<()> {
        match self {
            Self::Plain { lines, context } => context.send(lines.end()).await,
            Self::Rendered { rendered, context } => {
                let shown = rendered.finish();
                context.send_laid_out(&shown).await
            }
        }
    }
}
