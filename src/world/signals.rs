//! The signals that end a program, and what came of one.

use crate::failure::{Failure, Result};

/// A signal that ended the program's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted(pub(crate) u8);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended by signal {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// The signals that end a program.
pub(crate) struct Signals {
    #[cfg(unix)]
    streams: [(u8, tokio::signal::unix::Signal); 3],
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::System { sentence: format!("listening for signals: {error}") })
        };
        Ok(Self {
            streams: [
                (2, listen(SignalKind::interrupt())?),
                (15, listen(SignalKind::terminate())?),
                (1, listen(SignalKind::hangup())?),
            ],
        })
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) -> Interrupted {
        let [(int, on_int), (term, on_term), (hup, on_hup)] = &mut self.streams;
        tokio::select! {
            _ = on_int.recv() => Interrupted(*int),
            _ = on_term.recv() => Interrupted(*term),
            _ = on_hup.recv() => Interrupted(*hup),
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn listen() -> Result<Self> {
        Ok(Self {})
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) -> Interrupted {
        // Where Ctrl-C cannot be heard, nothing will ever come.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Interrupted(2)
    }
}
