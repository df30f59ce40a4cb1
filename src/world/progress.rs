//! A line at the bottom of a terminal that tells what is waited for, until there is something better
//! to see. It comes only after a while, goes without a trace, and never gets between other lines.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{World, variable};
use crate::terminal;

/// How long a wait may be before it is worth a word.
const PATIENCE: Duration = Duration::from_millis(300);

/// Back to the beginning of the line, and nothing left of it.
const ERASE: &str = "\r\x1b[K";

/// What stands at the bottom of stderr's terminal. There is one stderr, so there is one of these.
static MARK: Mutex<Mark> = Mutex::new(Mark { wanted: false, said: None, connecting: 0, shown: false, timer: None });

struct Mark {
    /// A person sees stderr, and waits.
    wanted: bool,
    /// What is waited for.
    said: Option<String>,
    /// How many connections are being made for it.
    connecting: usize,
    /// Whether the terminal shows it.
    shown: bool,
    timer: Option<JoinHandle<()>>,
}

impl Mark {
    fn held() -> MutexGuard<'static, Self> {
        MARK.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn erase(&mut self, err: &mut impl Write) {
        if std::mem::take(&mut self.shown) {
            let _ = err.write_all(ERASE.as_bytes());
        }
    }

    fn draw(&mut self, err: &mut impl Write) {
        let Some(said) = &self.said else { return };
        let connecting = if self.connecting > 0 { " (connecting)" } else { "" };
        // A line that is wrapped could not be erased.
        let room = super::screen::width_of(&io::stderr()).saturating_sub(5);
        let said: String = (terminal::clean(said) + connecting).chars().take(room).collect();
        let look = anstyle::Style::new().dimmed();
        let _ = write!(err, "{ERASE}{look}{said} ...{look:#}");
        let _ = err.flush();
        self.shown = true;
    }
}

/// Writes other lines to stderr, above the mark if there is one.
pub(super) fn above(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut mark = Mark::held();
    let drawn = mark.shown;
    mark.erase(&mut io::stderr());
    let written = write();
    if drawn {
        mark.draw(&mut anstream::stderr());
    }
    written
}

/// Whether there is a terminal that could show a mark.
pub(super) fn could_be_seen() -> bool {
    io::stderr().is_terminal() && variable("TERM").is_some_and(|term| term != "dumb")
}

/// Whether a connection is being made; what is waited for stays the same.
pub(super) fn connecting(begun: bool) {
    let mut mark = Mark::held();
    mark.connecting = if begun { mark.connecting + 1 } else { mark.connecting.saturating_sub(1) };
    if mark.shown {
        mark.draw(&mut anstream::stderr());
    }
}

/// A wait that a person sees; dropped, it is gone from the terminal.
#[derive(Debug)]
pub(crate) struct Progress(());

impl World {
    /// From now on a person sees what is [waited](Self::waiting) for, if one is there.
    pub(crate) fn progress(&self) -> Progress {
        Mark::held().wanted = could_be_seen();
        Progress(())
    }

    /// Whether a person sees what is waited for.
    pub(crate) fn shows_progress(&self) -> bool {
        Mark::held().wanted
    }

    /// From now on this is waited for, such as "refreshing the token". Nobody is told where no
    /// [progress](Self::progress) is.
    pub(crate) fn waiting(&self, what: impl Display) {
        let mut mark = Mark::held();
        if !mark.wanted {
            return;
        }
        mark.said = Some(what.to_string());
        if mark.shown {
            mark.draw(&mut anstream::stderr());
        } else if mark.timer.is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            mark.timer = Some(runtime.spawn(async {
                tokio::time::sleep(PATIENCE).await;
                Mark::held().draw(&mut anstream::stderr());
            }));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut mark = Mark::held();
        (mark.wanted, mark.said) = (false, None);
        if let Some(timer) = mark.timer.take() {
            timer.abort();
        }
        mark.erase(&mut io::stderr());
    }
}
