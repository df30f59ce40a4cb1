//! The size and the colors of the terminal.

use std::io;

use anstream::AutoStream;
use terminal_size::{Height, Width};

use crate::cli::environment::variable;

/// The width of a terminal that does not report one.
const COLUMNS: usize = 80;

/// Whether stdout shows colors, bold and the like: not under `NO_COLOR` or `TERM=dumb`.
pub(crate) fn is_colored() -> bool {
    AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

#[cfg(unix)]
pub(crate) fn width_of(stream: &impl std::os::fd::AsFd) -> usize {
    width(|| terminal_size::terminal_size_of(stream.as_fd()))
}

#[cfg(windows)]
pub(crate) fn width_of(stream: &impl std::os::windows::io::AsHandle) -> usize {
    width(|| terminal_size::terminal_size_of(stream.as_handle()))
}

/// The columns and rows of a terminal.
#[cfg(unix)]
pub(crate) fn size_of(stream: &impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    terminal_size::terminal_size_of(stream.as_fd()).map(as_numbers)
}

#[cfg(windows)]
pub(crate) fn size_of(stream: &impl std::os::windows::io::AsHandle) -> Option<(usize, usize)> {
    terminal_size::terminal_size_of(stream.as_handle()).map(as_numbers)
}

fn as_numbers((Width(columns), Height(rows)): (Width, Height)) -> (usize, usize) {
    (columns.into(), rows.into())
}

fn width(ask: impl FnOnce() -> Option<(Width, Height)>) -> usize {
    let configured = variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let width = configured.or_else(|| ask().map(|(width, _)| usize::from(width.0)));
    width.filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// Whether stdout and stderr are the same terminal, pipe or file.
#[cfg(unix)]
pub(crate) fn stdout_is_stderr() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let place = |stream: std::os::fd::BorrowedFd<'_>| {
        let found = std::fs::File::from(stream.try_clone_to_owned().ok()?).metadata().ok()?;
        Some((found.dev(), found.ino(), found.rdev()))
    };
    place(io::stdout().as_fd()).is_some_and(|out| place(io::stderr().as_fd()) == Some(out))
}

#[cfg(not(unix))]
pub(crate) fn stdout_is_stderr() -> bool {
    use std::io::IsTerminal as _;
    io::stdout().is_terminal() && io::stderr().is_terminal()
}
