//! The terminal that stdout may be: how wide it is, and whether it shows colours.

use std::io;

use anstream::AutoStream;
use terminal_size::{Height, Width};

use crate::cli::context::Context;
use crate::cli::context::variable;

/// How wide a terminal is taken to be that does not say.
const COLUMNS: usize = 80;

impl Context {
    /// Whether stdout shows colours, bold and the like: not under `NO_COLOR` or `TERM=dumb`.
    pub(crate) fn is_coloured(&self) -> bool {
        AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    /// The columns of the terminal: what `COLUMNS` says, else what the terminal does. It may be asked
    /// again, as the person may make it wider or narrower.
    pub(crate) fn columns(&self) -> usize {
        width_of(&io::stdout())
    }
}

#[cfg(unix)]
pub(crate) fn width_of(stream: &impl std::os::fd::AsFd) -> usize {
    width(|| terminal_size::terminal_size_of(stream.as_fd()))
}

#[cfg(windows)]
pub(crate) fn width_of(stream: &impl std::os::windows::io::AsHandle) -> usize {
    width(|| terminal_size::terminal_size_of(stream.as_handle()))
}

fn width(ask: impl FnOnce() -> Option<(Width, Height)>) -> usize {
    let said = variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let width = said.or_else(|| ask().map(|(width, _)| usize::from(width.0)));
    width.filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}
