//! A program in the foreground, in place of this one: it gets the terminal, the signals and the last word.
//!
//! The terminal sends its signals (Ctrl-C, Ctrl-Z, a closed window) to both processes, because both are in one process
//! group. So this process only passes on what another process sent it. It stops when the program stops, so that the
//! shell sees a stopped job.

use std::io;
use std::process::Command;

#[cfg(unix)]
pub(crate) use unix::{replace_with, start};

#[cfg(not(unix))]
pub(crate) use other::{replace_with, start};

#[cfg(unix)]
mod unix {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::ExitStatus;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread;

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use signal_hook::consts::{
        SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
    };
    use signal_hook::iterator::SignalsInfo;
    use signal_hook::iterator::exfiltrator::WithOrigin;
    use signal_hook::low_level::siginfo::Cause;
    use tokio::sync::oneshot;

    use super::{Command, io};

    /// The signals that end or stop a program, or that it may expect.
    const PASSED_ON: &[i32] =
        &[SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH];

    /// A running program.
    pub(crate) struct Child {
        exited: oneshot::Receiver<ExitStatus>,
    }

    /// Starts a program.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(crate) fn start(mut command: Command) -> io::Result<Child> {
        // A signal that is ignored here stays ignored in the program, as under `nohup`.
        let ignored = super::super::signals::ignored();
        // Before the start, so that no signal ends this process alone.
        let mut signals =
            SignalsInfo::<WithOrigin>::new(PASSED_ON.iter().filter(|signal| !ignored.contains(**signal)))?;
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        // The process id belongs to the program until it was waited for.
        let alive = Arc::new(Mutex::new(true));
        let is_alive = alive.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            for origin in &mut signals {
                let alive = is_alive.lock().unwrap_or_else(PoisonError::into_inner);
                let is_sent = matches!(origin.cause, Cause::Sent(_));
                if let (true, true, Some(signal)) = (*alive, is_sent, Signal::from_named_raw(origin.signal)) {
                    let _ = kill_process(pid, signal);
                }
            }
        })?;
        let (exited_sender, exited) = oneshot::channel();
        thread::Builder::new().name("child".into()).spawn(move || {
            let changed = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            while let Ok(Some(status)) = waitid(WaitId::Pid(pid), changed) {
                if !status.stopped() {
                    break;
                }
                // Reads the news, so that it comes once.
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
                // The shell continues both.
                let _ = kill_process(rustix::process::getpid(), Signal::STOP);
            }
            *alive.lock().unwrap_or_else(PoisonError::into_inner) = false;
            if let Ok(status) = child.wait() {
                let _ = exited_sender.send(status);
            }
        })?;
        Ok(Child { exited })
    }

    impl Child {
        /// Waits for the end of the program: its exit code, or 128 and the number of the signal that ended it.
        pub(crate) async fn exit_code(&mut self) -> u8 {
            let Ok(status) = (&mut self.exited).await else { return 1 };
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
        }
    }

    /// Runs a program in this process. Returns only if it cannot run.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(crate) fn replace_with(mut command: Command) -> io::Result<u8> {
        Err(command.exec())
    }
}

#[cfg(not(unix))]
mod other {
    use super::{Command, io};

    /// A running program.
    pub(crate) struct Child(tokio::process::Child);

    /// Starts a program.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(crate) fn start(command: Command) -> io::Result<Child> {
        tokio::process::Command::from(command).spawn().map(Child)
    }

    impl Child {
        /// Waits for the end of the program: its exit code.
        pub(crate) async fn exit_code(&mut self) -> u8 {
            let status = self.0.wait().await.ok();
            status.and_then(|status| u8::try_from(status.code()?).ok()).unwrap_or(1)
        }
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// Why it cannot run.
    pub(crate) fn replace_with(mut command: Command) -> io::Result<u8> {
        let status = command.status()?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}
