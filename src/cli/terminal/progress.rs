//! A line at the bottom of a terminal that tells what is waited for, until there is something better
//! to see. It comes only after a while, goes without a trace, and never gets between other lines.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::cli::environment::variable;
use nexus::internal::clean;

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
    said: Option<Said>,
    /// How many connections are being made for it.
    connecting: usize,
    /// Whether the terminal shows it.
    shown: bool,
    timer: Option<JoinHandle<()>>,
}

enum Said {
    /// In words that may be anybody's.
    Words(String),
    /// In our own, given how many columns there are.
    Within(Box<dyn Fn(usize) -> String + Send>),
}

impl Said {
    /// As it is shown. A line that is wrapped could not be erased.
    fn shown(&self, connecting: bool, room: usize) -> String {
        let fits = |said: &str| said.chars().count() <= room;
        match self {
            Self::Within(said) => said(room).chars().take(room).collect(),
            Self::Words(said) => {
                let said = clean::clean(said);
                let connects = format!("{said} (connecting)");
                if connecting && fits(&connects) { connects } else { said.chars().take(room).collect() }
            }
        }
    }
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
        let said = said.shown(self.connecting > 0, super::screen::width_of(&io::stderr()).saturating_sub(5));
        let coloured = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let look = if coloured { anstyle::Style::new().dimmed() } else { anstyle::Style::new() };
        // In one piece, and nothing is erased that is not written anew: else it flickers.
        let line = format!("\r{look}{said} ...{look:#}\x1b[K");
        let _ = err.write_all(line.as_bytes()).and_then(|()| err.flush());
        self.shown = true;
    }
}

/// Writes other lines to stderr, above the mark if there is one.
pub(crate) fn above(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut mark = Mark::held();
    let drawn = mark.shown;
    mark.erase(&mut io::stderr());
    let written = write();
    if drawn {
        mark.draw(&mut io::stderr());
    }
    written
}

/// Whether there is a terminal that could show a mark.
pub(crate) fn could_be_seen() -> bool {
    io::stderr().is_terminal() && variable("TERM").is_some_and(|term| term != "dumb")
}

/// Whether a connection is being made; what is waited for stays the same.
pub(crate) fn connecting(begun: bool) {
    let mut mark = Mark::held();
    mark.connecting = if begun { mark.connecting + 1 } else { mark.connecting.saturating_sub(1) };
    if mark.shown {
        mark.draw(&mut io::stderr());
    }
}

/// A wait that a person sees; dropped, it is gone from the terminal.
#[derive(Debug)]
pub(crate) struct Progress(());

impl Progress {
    /// From now on a person sees what is waited for, if one is there.
    pub(crate) fn begin() -> Self {
        Mark::held().wanted = could_be_seen();
        Self(())
    }
}

/// Whether a person sees what is waited for.
pub(crate) fn is_wanted() -> bool {
    Mark::held().wanted
}

/// From now on this is waited for.
pub(crate) fn waiting(what: impl Display) {
    wait_for(|| Said::Words(what.to_string()));
}

/// From now on this is waited for, in words of our own that are told how many columns they have.
pub(crate) fn waiting_within(what: impl Fn(usize) -> String + Send + 'static) {
    wait_for(|| Said::Within(Box::new(what)));
}

fn wait_for(said: impl FnOnce() -> Said) {
    let mut mark = Mark::held();
    if !mark.wanted {
        return;
    }
    mark.said = Some(said());
    if mark.shown {
        mark.draw(&mut io::stderr());
    } else if mark.timer.is_none()
        && let Ok(runtime) = Handle::try_current()
    {
        mark.timer = Some(runtime.spawn(async {
            tokio::time::sleep(PATIENCE).await;
            Mark::held().draw(&mut io::stderr());
        }));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, write by write.
    #[derive(Default)]
    struct Writes(Vec<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_mark_is_drawn_by_one_write_that_erases_nothing_but_what_is_behind_it() {
        let said = Some(Said::Within(Box::new(|_| "[=   ] 1/4".into())));
        let mut mark = Mark { wanted: true, said, connecting: 0, shown: false, timer: None };
        let mut writes = Writes::default();
        mark.draw(&mut writes);
        let [written] = &writes.0[..] else { panic!("{:?}", writes.0) };
        assert!(written.starts_with('\r') && written.ends_with("\x1b[K"), "{written:?}");
        assert!(written.contains("[=   ] 1/4 ...") && !written[1..].contains('\r'), "{written:?}");
    }

    #[test]
    fn what_is_least_important_goes_first_where_there_is_no_room() {
        let said = Said::Words("waiting for\x1b[2J a.example".into());
        assert_eq!(said.shown(true, 80), "waiting for [2J a.example (connecting)");
        assert_eq!(said.shown(true, 30), "waiting for [2J a.example");
        assert_eq!(said.shown(false, 13), "waiting for [");
        assert_eq!(Said::Within(Box::new(|room| "=".repeat(room * 2))).shown(true, 7), "=".repeat(7));
    }
}
