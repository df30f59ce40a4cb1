//! Reads a file that the command line names, which may be a pipe such as `<(command)`.

use std::fs::{self, File, Metadata};
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
    /// The content of a regular file or a pipe, up to this many bytes: a file may grow while it is read, and a pipe may
    /// be endless. `None` for a folder or a device.
    pub(crate) fn file(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let found = fs::metadata(path)?;
        if is_pipe(&found) {
            return self.pipe(path, limit).map(Some);
        }
        found.is_file().then(|| read(path, limit)).transpose()
    }

    /// The content of a pipe. Prints a note if that takes long.
    fn pipe(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let (send, read) = channel();
        let pipe = path.to_owned();
        // On a thread, because opening a pipe blocks until there is a writer.
        thread::Builder::new().spawn(move || {
            drop(send.send(self::read(&pipe, limit)));
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

fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the file is a named pipe.
#[cfg(unix)]
fn is_pipe(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_fifo()
}

/// Whether the file is a named pipe, which it never is on this system.
#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}
