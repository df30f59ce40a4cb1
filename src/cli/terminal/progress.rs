//! The progress line: the last line of a terminal, which says what nexus is waiting for. It appears after a delay, and
//! is erased before anything else is written.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::cli::environment::variable;
use nexus::internal::{clean, time};

/// How long a wait takes before the line appears.
const DELAY: Duration = Duration::from_millis(300);

/// After how long a wait its seconds are shown.
const COUNTED_FROM: Duration = Duration::from_secs(3);

/// Erases the line.
const ERASE: &str = "\r\x1b[K";

static LINE: Mutex<Line> = Mutex::new(Line { enabled: false, status: None, connecting: 0, shown: false, timer: None });

struct Line {
    /// Whether there is a [`Progress`] and a terminal to show it.
    enabled: bool,
    status: Option<Status>,
    /// The number of connections that are being made.
    connecting: usize,
    /// Whether the terminal shows the line now.
    shown: bool,
    timer: Option<JoinHandle<()>>,
}

struct Status {
    text: String,
    /// `None` if it is no wait.
    wait: Option<Wait>,
}

enum Wait {
    Since(Instant),
    Until(Instant),
}

impl Wait {
    /// What follows the text: the seconds of the wait.
    fn counter(&self, connecting: bool) -> String {
        let since = match self {
            Self::Until(end) => {
                return format!(" in {} s", time::rounded_up(end.saturating_duration_since(Instant::now())));
            }
            Self::Since(since) => since.elapsed(),
        };
        let seconds = (since >= COUNTED_FROM).then(|| format!("{} s", since.as_secs()));
        let details: Vec<_> = connecting.then(|| "connecting".to_owned()).into_iter().chain(seconds).collect();
        if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) }
    }
}

impl Status {
    /// The text as shown in this many columns. It is cut to them, because a line that wraps cannot be erased. The
    /// seconds of a wait stay whole.
    fn shown(&self, connecting: bool, columns: usize) -> String {
        let Some(wait) = &self.wait else { return self.text.chars().take(columns).collect() };
        // It may contain a name from elsewhere.
        let text = clean::clean(&self.text);
        let whole = format!("{text}{}", wait.counter(connecting));
        if whole.chars().count() <= columns {
            return whole;
        }
        let counter = wait.counter(false);
        let room = columns.saturating_sub(counter.chars().count());
        format!("{}{counter}", shortened(&text, room)).chars().take(columns).collect()
    }
}

/// The beginning of a text, with `…` in place of what does not fit.
fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{}…", beginning.trim_end())
}

impl Line {
    fn lock() -> MutexGuard<'static, Self> {
        LINE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn erase(&mut self, err: &mut impl Write) {
        if std::mem::take(&mut self.shown) {
            let _ = err.write_all(ERASE.as_bytes());
        }
    }

    fn draw(&mut self, err: &mut impl Write) {
        let Some(status) = &self.status else { return };
        let text = status.shown(self.connecting > 0, super::screen::width_of(&io::stderr()).saturating_sub(5));
        let colored = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let look = if colored { anstyle::Style::new().dimmed() } else { anstyle::Style::new() };
        // One write that erases only what follows the text: anything else flickers.
        let line = format!("\r{look}{text} ...{look:#}\x1b[K");
        let _ = err.write_all(line.as_bytes()).and_then(|()| err.flush());
        self.shown = true;
    }
}

/// Writes other lines to stderr, above the progress line.
pub(crate) fn above(write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut line = Line::lock();
    let shown = line.shown;
    line.erase(&mut io::stderr());
    let written = write();
    if shown {
        line.draw(&mut io::stderr());
    }
    written
}

/// Whether stderr can show a progress line.
pub(crate) fn is_supported() -> bool {
    io::stderr().is_terminal() && variable("TERM").is_some_and(|term| term != "dumb")
}

/// Counts a connection that is being made, or that is made.
pub(crate) fn connecting(begun: bool) {
    let mut line = Line::lock();
    line.connecting = if begun { line.connecting + 1 } else { line.connecting.saturating_sub(1) };
    if line.shown {
        line.draw(&mut io::stderr());
    }
}

/// Shows the progress line until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(());

impl Progress {
    pub(crate) fn begin() -> Self {
        Line::lock().enabled = is_supported();
        Self(())
    }
}

/// Whether a [`Progress`] shows the line.
pub(crate) fn is_enabled() -> bool {
    Line::lock().enabled
}

/// Shows what is waited for.
pub(crate) fn waiting(text: impl Display) {
    set_status(|| Status { text: text.to_string(), wait: Some(Wait::Since(Instant::now())) });
}

/// Shows what is done again after a pause.
pub(crate) fn pausing(text: impl Display, pause: Duration) {
    set_status(|| Status { text: text.to_string(), wait: Instant::now().checked_add(pause).map(Wait::Until) });
}

/// Shows how far the work is.
pub(crate) fn working(text: impl Display) {
    set_status(|| Status { text: text.to_string(), wait: None });
}

fn set_status(status: impl FnOnce() -> Status) {
    let mut line = Line::lock();
    if !line.enabled {
        return;
    }
    line.status = Some(status());
    if line.shown {
        line.draw(&mut io::stderr());
    } else if line.timer.is_none()
        && let Ok(runtime) = Handle::try_current()
    {
        line.timer = Some(runtime.spawn(async {
            tokio::time::sleep(DELAY).await;
            Line::lock().draw(&mut io::stderr());
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let mut line = Line::lock();
                if line.shown {
                    line.draw(&mut io::stderr());
                }
            }
        }));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut line = Line::lock();
        (line.enabled, line.status) = (false, None);
        if let Some(timer) = line.timer.take() {
            timer.abort();
        }
        line.erase(&mut io::stderr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_line_is_drawn_by_one_write_that_erases_only_what_follows_it() {
        let status = Some(Status { text: "[=   ] 1/4".into(), wait: None });
        let mut line = Line { enabled: true, status, connecting: 0, shown: false, timer: None };
        let mut writes = Writes::default();
        line.draw(&mut writes);
        let [written] = &writes.0[..] else { panic!("{:?}", writes.0) };
        assert!(written.starts_with('\r') && written.ends_with("\x1b[K"), "{written:?}");
        assert!(written.contains("[=   ] 1/4 ...") && !written[1..].contains('\r'), "{written:?}");
    }

    #[test]
    fn text_that_does_not_fit_is_shortened_and_its_seconds_are_not() {
        let since = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).map(Wait::Since);
        let mut status = Status { text: "waiting for\x1b[2J a.example".into(), wait: since(0) };
        assert_eq!(status.shown(true, 80), "waiting for [2J a.example (connecting)");
        assert_eq!(status.shown(true, 30), "waiting for [2J a.example");
        assert_eq!(status.shown(false, 20), "waiting for [2J a.e…");
        status.wait = since(75);
        assert_eq!(status.shown(true, 80), "waiting for [2J a.example (connecting, 75 s)");
        assert_eq!(status.shown(true, 35), "waiting for [2J a.example (75 s)");
        assert_eq!(status.shown(false, 30), "waiting for [2J a.exam… (75 s)");
        assert_eq!(status.shown(false, 20), "waiting for… (75 s)");
        assert_eq!(status.shown(false, 15), "waiting… (75 s)");
        assert_eq!(status.shown(false, 3), "… (");
        let until = Instant::now().checked_add(Duration::from_secs(3)).map(Wait::Until);
        let retry = Status { text: "retrying 127.0.0.1:47181".into(), wait: until };
        assert_eq!(retry.shown(false, 80), "retrying 127.0.0.1:47181 in 3 s");
        assert_eq!(retry.shown(true, 25), "retrying 127.0.0.… in 3 s");
        assert_eq!(retry.shown(false, 15), "retryin… in 3 s");
        let work = Status { text: "=".repeat(9), wait: None };
        assert_eq!((work.shown(true, 7), work.shown(true, 80)), ("=".repeat(7), "=".repeat(9)));
    }
}
