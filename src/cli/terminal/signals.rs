//! SIGINT, SIGTERM and SIGHUP; on Windows Ctrl-C.

use crate::cli::error::{CliError, Interrupted, Result};

/// Listens to the signals that end a program.
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
        let listen = |kind| signal(kind).map_err(CliError::system("listening for signals"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: if hangup_is_ignored() { None } else { Some(listen(SignalKind::hangup())?) },
        })
    }

    pub(crate) async fn next(&mut self) -> Interrupted {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Interrupted(2),
            _ = self.terminate.recv() => Interrupted(15),
            _ = hangup => Interrupted(1),
        }
    }
}

/// Whether this process was started with SIGHUP ignored, which listening to it would undo. Known on Linux only (proc(5),
/// `SigIgn`); other systems need unsafe code to find out.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
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
