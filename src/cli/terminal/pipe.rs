//! Reads a pipe that was given as a file, such as `<(command)`.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::write_stderr;
use crate::cli::context::Context;

/// How long reading may take before a note says so.
const NOTE_AFTER: Duration = Duration::from_secs(2);

impl Context {
    /// The content of a pipe, up to this many bytes. Prints a note if that takes long.
    pub(crate) fn pipe(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let (send, read) = channel();
        let pipe = path.to_owned();
        // On a thread, because opening a pipe blocks until there is a writer.
        thread::Builder::new().spawn(move || {
            let mut bytes = Vec::new();
            let done = File::open(pipe).and_then(|pipe| pipe.take(limit as u64).read_to_end(&mut bytes));
            drop(send.send(done.map(|_| bytes)));
        })?;
        let gone = || io::Error::other("the thread that reads it ended");
        match read.recv_timeout(NOTE_AFTER) {
            Ok(read) => read,
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                let name = path.display();
                write_stderr(&format!("note: still reading {name}; Ctrl-C cancels"));
                read.recv().map_err(|_| gone())?
            }
        }
    }
}

/// Whether the file is a named pipe.
#[cfg(unix)]
pub(crate) fn is_pipe(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_fifo()
}

/// Whether the file is a named pipe, which it never is on this system.
#[cfg(not(unix))]
pub(crate) fn is_pipe(_: &Metadata) -> bool {
    false
}
