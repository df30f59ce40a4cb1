//! Asynchronous writes to stdout.
//!
//! A write into a full pipe blocks the only thread, which also handles signals and saves refreshed sessions. So writes
//! wait until stdout is writable, and are no larger than what then fits.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};

/// The bytes that fit into a writable pipe: `PIPE_BUF` (POSIX.1-2024, `write`), which is 4096 on Linux and at least 512
/// everywhere. A stopped terminal may still block.
const FITS: usize = if cfg!(target_os = "linux") { 4_096 } else { 512 };

/// Whether the last write was abandoned halfway. More output would look like a part of it.
static INCOMPLETE: AtomicBool = AtomicBool::new(false);

impl Context {
    /// Writes and flushes data like [`print`](Self::print). If the future is dropped, the rest stays unwritten.
    pub(crate) async fn send(&self, data: &str) -> Result<()> {
        self.send_laid_out(&self.fit(data)).await
    }

    /// Writes lines of JSON like [`print_json`](Self::print_json).
    pub(crate) async fn send_json(&self, lines: &str) -> Result<()> {
        self.send_laid_out(&self.fit_json(lines)).await
    }

    /// Writes text that may contain escape sequences of nexus.
    pub(crate) async fn send_laid_out(&self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        INCOMPLETE.store(true, Ordering::Relaxed);
        for piece in text.as_bytes().chunks(FITS) {
            until_writable().await;
            write(piece).map_err(CliError::stdout)?;
        }
        INCOMPLETE.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Writes as many lines of JSON as fit into stdout without waiting, after an interrupt.
    pub(crate) fn send_json_now(&self, lines: &str) {
        self.send_laid_out_now(&self.fit_json(lines));
    }

    /// Writes as much text as fits into stdout without waiting. The text may contain escape sequences of nexus.
    pub(crate) fn send_laid_out_now(&self, text: &str) {
        for piece in text.as_bytes().chunks(FITS) {
            if INCOMPLETE.load(Ordering::Relaxed) || !is_writable_now() || write(piece).is_err() {
                INCOMPLETE.store(true, Ordering::Relaxed);
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

/// Whether a write does not block, waiting for that up to `limit`. A write to a closed pipe does not block.
#[cfg(unix)]
fn is_writable(limit: Option<Duration>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    // Errors of poll show up when writing.
    match poll(&mut [PollFd::new(&io::stdout(), PollFlags::OUT)], limit.as_ref()) {
        Ok(ready) => ready > 0,
        Err(error) => error != rustix::io::Errno::INTR,
    }
}

/// Waits on a thread that only polls, so that nothing is written after the future is dropped.
#[cfg(unix)]
async fn until_writable() {
    while !is_writable_now() {
        let (send, writable) = tokio::sync::oneshot::channel();
        let waiting = std::thread::Builder::new().name("stdout".into()).spawn(move || {
            is_writable(None);
            let _ = send.send(());
        });
        // Without a thread, the write itself blocks.
        if waiting.is_err() || writable.await.is_err() {
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
