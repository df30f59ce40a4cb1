//! The terminal: what is written to stderr and stdout, what is read from stdin, signals, the browser.

use std::io::{self, IsTerminal as _, Write as _};

use nexus::internal::clean;

mod block_on;
pub(crate) mod browser;
pub(crate) mod child;
pub(crate) mod hidden_input;
mod panic_hook;
pub(crate) mod pipe;
pub(crate) mod progress;
pub(crate) mod qr_code;
pub(crate) mod screen;
mod signals;
pub(crate) mod stdin;
pub(crate) mod stdout;
pub(crate) mod thinking;

pub(crate) use panic_hook::install_panic_hook;
pub(crate) use progress::Progress;
pub(crate) use signals::Signals;
pub(crate) use stdin::discard_input;

/// Writes a line to stderr and ignores errors.
pub(crate) fn write_stderr(line: &str) {
    let line = if io::stderr().is_terminal() { clean::visible(line) } else { line.into() };
    let _ = progress::above(|| writeln!(io::stderr(), "{line}"));
}
