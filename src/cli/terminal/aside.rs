//! Words beside the answer, on stderr as they come: dimmed where colour is welcome.

use std::io::{self, IsTerminal as _, Write as _};

use nexus::internal::clean;

const DIMMED: anstyle::Style = anstyle::Style::new().dimmed();

/// A text that is said aside. Whoever has gone needs no telling, so nothing here can fail.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    begun: bool,
    open_line: bool,
}

impl Aside {
    /// Writes the next of it at once.
    pub(crate) fn write(&mut self, text: &str) {
        let shown = if io::stderr().is_terminal() { clean::visible(text) } else { text.into() };
        let mut err = anstream::stderr();
        let _ = write!(err, "{DIMMED}{shown}{DIMMED:#}").and_then(|()| err.flush());
        self.begun |= !text.is_empty();
        self.open_line = !text.ends_with('\n');
    }

    /// Ends it: a line of its own, and on a terminal an empty one before what follows there.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.begun) {
            let mut err = io::stderr();
            let apart = err.is_terminal() && io::stdout().is_terminal();
            let end = if self.open_line { "\n" } else { "" };
            let _ = write!(err, "{end}{}", if apart { "\n" } else { "" });
        }
    }
}
