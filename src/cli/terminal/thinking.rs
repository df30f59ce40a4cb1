//! The model's thinking, on stderr as it arrives: dimmed where stderr shows colors.

use std::io::{self, IsTerminal as _, Write as _};

use super::screen::width_of;
use super::wrap::WrappedStream;
use nexus::internal::clean;

const DIMMED: anstyle::Style = anstyle::Style::new().dimmed();

/// Writes thinking to stderr, wrapped on a terminal. Write errors are ignored.
#[derive(Debug, Default)]
pub(crate) struct ThinkingSink {
    wrapped: WrappedStream,
    written: bool,
    open_line: bool,
}

impl ThinkingSink {
    pub(crate) fn write(&mut self, text: &str) {
        let shown = match io::stderr().is_terminal() {
            true => self.wrapped.push(&clean::visible(text), width_of(&io::stderr())),
            false => text.to_owned(),
        };
        show(&shown);
        self.written |= !text.is_empty();
        self.open_line = !text.ends_with('\n');
    }

    /// Ends the last line. On a terminal that shows the answer too, adds a blank line between the two.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.written) {
            show(&std::mem::take(&mut self.wrapped).finish(width_of(&io::stderr())));
            let mut err = io::stderr();
            let apart = err.is_terminal() && io::stdout().is_terminal();
            let end = if self.open_line { "\n" } else { "" };
            let _ = write!(err, "{end}{}", if apart { "\n" } else { "" });
        }
    }
}

fn show(text: &str) {
    if !text.is_empty() {
        let mut err = anstream::stderr();
        let _ = write!(err, "{DIMMED}{text}{DIMMED:#}").and_then(|()| err.flush());
    }
}
