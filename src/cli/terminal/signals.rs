//! SIGINT, SIGTERM and SIGHUP; on Windows Ctrl-C.
//!
//! The thread that runs a command also receives its signals. While it is blocked, a first signal waits for it; a second
//! one ends the process in the signal handler. Before and after that work, the first one does.

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::{Arc, LazyLock, Once};

use crate::cli::error::{CliError, Interrupted, Result};

/// Whether a signal ends the process at once: no command listens, or it has not received the last signal yet.
#[cfg(unix)]
static UNHEARD: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));

/// Listens to the signals that end a program, until it is dropped.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// None if the process was started with SIGHUP ignored, as `nohup` does.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let hangup = Some(SignalKind::hangup()).filter(|hangup| !ignored().contains(hangup.as_raw_value()));
        static HANDLED: Once = Once::new();
        HANDLED.call_once(|| kinds.into_iter().chain(hangup).for_each(end_if_unheard));
        UNHEARD.store(false, Ordering::SeqCst);
        let listen = |kind| signal(kind).map_err(CliError::system("listening for signals"));
        let [interrupt, terminate] = kinds;
        Ok(Self {
            interrupt: listen(interrupt)?,
            terminate: listen(terminate)?,
            hangup: hangup.map(listen).transpose()?,
        })
    }

    pub(crate) async fn next(&mut self) -> Interrupted {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let signal = tokio::select! {
            _ = self.interrupt.recv() => Interrupted(2),
            _ = self.terminate.recv() => Interrupted(15),
            _ = hangup => Interrupted(1),
        };
        UNHEARD.store(false, Ordering::SeqCst);
        signal
    }
}

#[cfg(unix)]
impl Drop for Signals {
    fn drop(&mut self) {
        UNHEARD.store(true, Ordering::SeqCst);
    }
}

/// Lets a signal end the process if the one before it was not received.
#[cfg(unix)]
fn end_if_unheard(kind: tokio::signal::unix::SignalKind) {
    let signal = kind.as_raw_value();
    // Actions run in this order. Without them, the first signal ends the command as soon as the thread is free.
    let _ = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, UNHEARD.clone());
    let _ = signal_hook::flag::register(signal, UNHEARD.clone());
}

/// The signals that this process was started with ignored, as by `nohup`. Listening to one would undo that. Known on
/// Linux only (proc(5), `SigIgn`); other systems need unsafe code to find out.
#[cfg(unix)]
pub(super) fn ignored() -> Ignored {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    Ignored(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
}

/// A set of signals. The lowest bit is signal 1.
#[cfg(unix)]
pub(super) struct Ignored(u64);

#[cfg(unix)]
impl Ignored {
    /// Whether the set has this signal.
    pub(super) fn contains(&self, signal: i32) -> bool {
        u32::try_from(signal - 1).is_ok_and(|bit| self.0.checked_shr(bit).is_some_and(|mask| mask & 1 != 0))
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) -> Interrupted {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Interrupted(2)
    }
}
