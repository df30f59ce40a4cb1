//! Stdout while other things go on beside it: a reader who pauses holds up the writing and nothing else.
//!
//! A write into a full pipe blocks its thread, and there is one, which also listens to signals and saves a token
//! that is renewed beside the answer. So stdout is asked first whether it takes anything, and is given no more at
//! once than then fits. Nothing piles up: whoever writes waits, and reads no more of the answer meanwhile.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};

/// What surely fits where anything does, in bytes: a pipe that is said to be writable takes `PIPE_BUF` (POSIX.1-2024,
/// `write`), which is this much on Linux and at least 512 everywhere. A terminal promises less; one whose reader has
/// gone to sleep may hold up what goes on beside for as long.
const FITS: usize = if cfg!(target_os = "linux") { 4_096 } else { 512 };

/// Whether something was begun on stdout that never got its end: what came behind it would be read as a part of it.
static TORN: AtomicBool = AtomicBool::new(false);

impl Context {
    /// Writes data to stdout at once, as [`print`](Self::print) does, but waits for a reader who pauses. Dropped
    /// meanwhile, it leaves the rest unwritten.
    ///
    /// # Errors
    /// What the stream answers.
    pub(crate) async fn send(&self, data: &str) -> Result<()> {
        self.send_laid_out(&self.fit(data)).await
    }

    /// The same for lines of JSON, on a terminal as [`print_json`](Self::print_json) shows them.
    ///
    /// # Errors
    /// What the stream answers.
    pub(crate) async fn send_json(&self, lines: &str) -> Result<()> {
        self.send_laid_out(&self.fit_json(lines)).await
    }

    /// The same for text that was made for this terminal, whose escape sequences are our own.
    ///
    /// # Errors
    /// What the stream answers.
    pub(crate) async fn send_laid_out(&self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        TORN.store(true, Ordering::Relaxed);
        for piece in text.as_bytes().chunks(FITS) {
            until_writable().await;
            write(piece).map_err(CliError::stdout)?;
        }
        TORN.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Writes lines of JSON as far as stdout takes them without a wait: the last words of somebody who was
    /// interrupted.
    pub(crate) fn send_json_now(&self, lines: &str) {
        self.send_laid_out_now(&self.fit_json(lines));
    }

    /// The same for text that was made for this terminal.
    pub(crate) fn send_laid_out_now(&self, text: &str) {
        for piece in text.as_bytes().chunks(FITS) {
            if TORN.load(Ordering::Relaxed) || !is_writable_now() || write(piece).is_err() {
                TORN.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

fn write(piece: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(piece)?;
    out.flush()
}

/// Whether a write would not block, now or once stdout takes something; a reader who has gone keeps nobody waiting
/// either.
#[cfg(unix)]
fn is_writable(limit: Option<Duration>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    // Whatever else poll has to say is said by writing, too.
    match poll(&mut [PollFd::new(&io::stdout(), PollFlags::OUT)], limit.as_ref()) {
        Ok(ready) => ready > 0,
        Err(error) => error != rustix::io::Errno::INTR,
    }
}

/// Waits on a thread that only waits, and only where there is something to wait for: whoever gives up meanwhile leaves
/// nothing behind that would still write.
#[cfg(unix)]
async fn until_writable() {
    while !is_writable_now() {
        let (send, told) = tokio::sync::oneshot::channel();
        let waiting = std::thread::Builder::new().name("stdout".into()).spawn(move || {
            is_writable(None);
            let _ = send.send(());
        });
        // Without a thread the write itself has to wait.
        if waiting.is_err() || told.await.is_err() {
            return;
        }
    }
}

fn is_writable_now() -> bool {
    is_writable(Some(Duration::ZERO))
}

#[cfg(not(unix))]
fn is_writable(_: Option<Duration>) -> bool {
    true
}

#[cfg(not(unix))]
async fn until_writable() {}
