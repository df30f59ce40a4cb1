//! The terminal: what is written to stderr and stdout, what is read from stdin, signals, the browser.

use std::io::{self, IsTerminal as _, Write as _};

use nexus::internal::clean;

pub(crate) mod aside;
mod attending;
pub(crate) mod browser;
mod hush;
pub(crate) mod pipe;
pub(crate) mod progress;
pub(crate) mod screen;
mod signals;
pub(crate) mod stdin;
pub(crate) mod stdout;

pub(crate) use hush::hush_panics;
pub(crate) use progress::Progress;
pub(crate) use signals::Signals;

/// Writes a line to stderr, where nothing can be done about a reader who has gone.
pub(crate) fn complain(line: &str) {
    let line = if io::stderr().is_terminal() { clean::visible(line) } else { line.into() };
    let _ = progress::above(|| writeln!(io::stderr(), "{line}"));
}
