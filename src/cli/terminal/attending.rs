//! Waiting for work: until a signal ends it, or a person who stays ends it by other means; and a
//! terminal that is left as it was found.

use std::io::{self, Write as _};
use std::time::Duration;

use super::Signals;
use crate::cli::context::{Context, runtime};
use crate::cli::error::{CliError, Result};

/// How long an interrupted process waits for a refresh that has been sent to be saved: as long as
/// its request may take, and the tries to save it, each behind somebody who writes.
const SETTLING: Duration = Duration::from_secs(60);

/// How long that wait may be before it is worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

impl Context {
    /// Waits for work that needs the network, on one thread. A signal ends it, but only once a
    /// refresh that was sent is saved; a second signal ends it at once.
    ///
    /// # Errors
    /// The work's own, or [`Interrupted`].
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let mut signals = Signals::listen()?;
            tokio::select! {
                done = work => {
                    self.settle(&mut signals, false).await;
                    done
                }
                signal = signals.next() => {
                    self.settle(&mut signals, true).await;
                    Err(signal.into())
                }
            }
        });
        // Whatever else a thread is at, a disk that hangs among it, keeps nobody here.
        runtime.shutdown_background();
        done
    }

    /// Waits until no token is between "sent" and "saved", or somebody insists on the end: with a second
    /// signal, wherever the first one met the command.
    async fn settle(&self, signals: &mut Signals, mut signalled: bool) {
        let mut settled = std::pin::pin!(tokio::time::timeout(SETTLING, self.pending_saves.wait_for_saves()));
        let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut settled => return,
                _ = signals.next() => match std::mem::replace(&mut signalled, true) {
                    true => return,
                    // Somebody waits for the end.
                    false => told = self.tell_of_settling(told),
                },
                () = &mut patience, if !told => told = self.tell_of_settling(told),
            }
        }
    }

    fn tell_of_settling(&self, told: bool) -> bool {
        if !told {
            self.say("note: saving the refreshed session; a second Ctrl-C quits at once and may lose the session");
        }
        true
    }

    /// Waits for work that needs the network, as [`wait`](Self::wait) does, but leaves to the work
    /// what a signal ends.
    ///
    /// # Errors
    /// The work's own.
    pub(crate) fn attend<T>(&self, work: impl AsyncFnOnce(&mut Signals) -> Result<T>) -> Result<T> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let done = work(&mut signals).await;
            let signalled = done.as_ref().is_err_and(|error| matches!(error, CliError::Interrupted(_)));
            self.settle(&mut signals, signalled).await;
            done
        });
        runtime.shutdown_background();
        done
    }

    /// How the terminal is set up now.
    pub(crate) fn terminal_mode(&self) -> TerminalMode {
        TerminalMode {
            #[cfg(unix)]
            found: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }
}

/// The terminal as it was found; dropped, it is so again, whoever was reading from it.
pub(crate) struct TerminalMode {
    #[cfg(unix)]
    found: Option<rustix::termios::Termios>,
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        // Pastes are marked by the terminal only while a line is edited. A terminal that has gone needs
        // nothing of this.
        let _ = io::stdout().write_all(b"\x1b[?2004l").and_then(|()| io::stdout().flush());
        #[cfg(unix)]
        if let Some(found) = &self.found {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, found);
        }
    }
}
