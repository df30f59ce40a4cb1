//! Asynchronous writes to stdout.
//!
//! A write into a full pipe blocks the only thread, which also handles signals and saves refreshed sessions. So writes
//! wait until stdout is writable, and are no larger than what then fits. A text that fits is written by one system
//! call.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};

/// The bytes that fit into a writable pipe: `PIPE_BUF` (POSIX.1-2024, `write`), which is 4096 on Linux and at least 512
/// everywhere. A stopped terminal may still block.
const FITS: usize = if cfg!(target_os = "linux") { 4_096 } else { 512 };

/// The bytes that are written at once to what never makes a writer wait, such as a file.
#[cfg(target_os = "linux")]
const FITS_FILE: usize = 1024 * 1024;

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
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            until_writable().await;
            let (piece, after) = split(rest);
            write(piece).map_err(CliError::stdout)?;
            rest = after;
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
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = split(rest);
            rest = after;
            if INCOMPLETE.load(Ordering::Relaxed) || !is_writable_now() || write(piece).is_err() {
                INCOMPLETE.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// The largest beginning that fits into a writable stdout, and the rest. It ends with a line where it can, so that the
/// lines of several programs that write into one pipe do not mix.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    if text.len() <= FITS {
        return (text, &[]);
    }
    let fits = fits().min(text.len());
    if fits == text.len() {
        return (text, &[]);
    }
    let line_end = text[..fits].iter().rposition(|byte| *byte == b'\n');
    text.split_at(line_end.map_or(fits, |end| end + 1))
}

/// How many bytes fit into a writable stdout.
#[cfg(target_os = "linux")]
fn fits() -> usize {
    use rustix::fs::{FileType, fstat};
    use std::io::IsTerminal as _;
    let stdout = io::stdout();
    let Ok(status) = fstat(&stdout) else { return FITS };
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile | FileType::BlockDevice => FITS_FILE,
        // Such as /dev/null.
        FileType::CharacterDevice if !stdout.is_terminal() => FITS_FILE,
        // Whether a pipe that holds something has room for more than FITS cannot be known: it counts in pages.
        FileType::Fifo if rustix::io::ioctl_fionread(&stdout) == Ok(0) => {
            rustix::pipe::fcntl_getpipe_size(&stdout).unwrap_or(FITS).max(FITS)
        }
        _ => FITS,
    }
}

#[cfg(not(target_os = "linux"))]
fn fits() -> usize {
    FITS
}

/// Writes by one system call. The buffer of [`io::stdout`] writes what follows the last line end by another one.
#[cfg(unix)]
fn write(mut piece: &[u8]) -> io::Result<()> {
    use rustix::io::{retry_on_intr, write};
    while !piece.is_empty() {
        let written = retry_on_intr(|| write(io::stdout(), piece))?;
        piece = &piece[written..];
    }
    Ok(())
}

#[cfg(not(unix))]
fn write(piece: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
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
