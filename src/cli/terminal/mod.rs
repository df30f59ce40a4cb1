//! The terminal: what is written to stderr and stdout, what is read from stdin, signals, the browser.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use nexus::internal::clean;

mod block_on;
pub(crate) mod browser;
pub(crate) mod child;
pub(crate) mod clipboard;
pub(crate) mod hidden_input;
mod pager;
mod panic_hook;
pub(crate) mod pipe;
pub(crate) mod progress;
pub(crate) mod qr_code;
pub(crate) mod screen;
mod signals;
pub(crate) mod stdin;
pub(crate) mod stdout;
pub(crate) mod thinking;
pub(crate) mod wrap;

pub(crate) use panic_hook::install_panic_hook;
pub(crate) use progress::Progress;
pub(crate) use signals::Signals;
pub(crate) use stdin::discard_input;

/// Writes a line to stderr and ignores errors. A terminal gets it wrapped.
pub(crate) fn write_stderr(line: &str) {
    let _ = progress::above(|| writeln!(io::stderr(), "{}", for_stderr(line)));
}

/// Writes a line to stderr as it is, for a log.
pub(crate) fn log_to_stderr(line: &str) {
    let line = if io::stderr().is_terminal() { clean::visible(line) } else { line.into() };
    let _ = progress::above(|| writeln!(io::stderr(), "{line}"));
}

/// Text as it is written to stderr: on a terminal wrapped, and with visible escape sequences.
pub(crate) fn for_stderr(text: &str) -> Cow<'_, str> {
    match io::stderr().is_terminal() {
        true => wrapped_for_stderr(&clean::visible(text)).into(),
        false => text.into(),
    }
}

/// Text that is wrapped to the width of stderr. It may contain escape sequences of nexus.
pub(crate) fn wrapped_for_stderr(text: &str) -> String {
    wrap::wrapped(text, screen::width_of(&io::stderr()))
}
