//! Runs asynchronous work on this thread, and ends it on a signal.

use std::io::{self, Write as _};
use std::time::Duration;

use super::Signals;
use crate::cli::context::{Context, runtime};
use crate::cli::error::{CliError, Result};

/// How long to wait at the end for a refreshed session to be saved: the time limit of the refresh request, and some
/// time for the store, which another process may have locked.
const SAVE_LIMIT: Duration = Duration::from_secs(60);

/// How long that wait may take before a note says so.
const NOTE_AFTER: Duration = Duration::from_secs(1);

impl Context {
    /// Runs work until it is done or a signal arrives. A refresh token that was sent may be spent, so the refreshed
    /// session is saved first in either case; a second signal skips that.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.block_on_with_signals(async |signals| {
            tokio::select! {
                done = work => done,
                signal = signals.next() => Err(signal.into()),
            }
        })
    }

    /// Runs work that decides itself what a signal does. At its end, a refreshed session is saved as in
    /// [`block_on`](Self::block_on).
    pub(crate) fn block_on_with_signals<T>(&self, work: impl AsyncFnOnce(&mut Signals) -> Result<T>) -> Result<T> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let done = work(&mut signals).await;
            let signalled = matches!(done, Err(CliError::Interrupted(_)));
            self.wait_for_saves(&mut signals, signalled).await;
            done
        });
        // Does not wait for threads that are blocked, for example by a disk that hangs.
        runtime.shutdown_background();
        done
    }

    /// Waits until refreshed sessions are saved, or until a second signal. `signalled` says whether the first one
    /// has arrived.
    pub(crate) async fn wait_for_saves(&self, signals: &mut Signals, mut signalled: bool) {
        const NOTE: &str =
            "note: waiting for the server's answer, to save the session; a second Ctrl-C quits at once and may lose it";
        let mut saved = std::pin::pin!(tokio::time::timeout(SAVE_LIMIT, self.pending_saves.wait_for_saves()));
        let mut note_due = std::pin::pin!(tokio::time::sleep(NOTE_AFTER));
        let mut noted = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut saved => return,
                _ = signals.next() => {
                    if std::mem::replace(&mut signalled, true) {
                        return;
                    }
                    // Said again if it was said: a signal must not seem to be ignored.
                    noted = true;
                    self.say(NOTE);
                }
                () = &mut note_due, if !noted => {
                    noted = true;
                    self.say(NOTE);
                }
            }
        }
    }

    /// The terminal's current settings.
    pub(crate) fn terminal_mode(&self) -> TerminalMode {
        TerminalMode {
            #[cfg(unix)]
            found: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }
}

/// Restores the terminal's settings when dropped.
pub(crate) struct TerminalMode {
    #[cfg(unix)]
    found: Option<rustix::termios::Termios>,
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        // Turns off bracketed paste, which the line editor turns on.
        let _ = io::stdout().write_all(b"\x1b[?2004l").and_then(|()| io::stdout().flush());
        #[cfg(unix)]
        if let Some(found) = &self.found {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, found);
        }
    }
}
