//! A pipe that is named as a file is, such as `<(command)`.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::complain;
use crate::cli::context::Context;

/// How long it may take before that is worth a word.
const PATIENCE: Duration = Duration::from_secs(2);

impl Context {
    /// So many bytes of a pipe, or as many as there are. Like stdin it may take as long as whoever writes into it, which
    /// is told once.
    ///
    /// # Errors
    /// What reading it answers.
    pub(crate) fn pipe(&self, path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let (send, read) = channel();
        let pipe = path.to_owned();
        // Opening it waits, too, until somebody writes into it.
        thread::Builder::new().spawn(move || {
            let mut bytes = Vec::new();
            let done = File::open(pipe).and_then(|pipe| pipe.take(most as u64).read_to_end(&mut bytes));
            drop(send.send(done.map(|_| bytes)));
        })?;
        let gone = || io::Error::other("the thread that reads it ended");
        match read.recv_timeout(PATIENCE) {
            Ok(read) => read,
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                let name = path.display();
                complain(&format!("note: still reading {name}; Ctrl-C cancels"));
                read.recv().map_err(|_| gone())?
            }
        }
    }
}

/// Whether this is a pipe, which is written for whoever reads it and ends.
#[cfg(unix)]
pub(crate) fn is_pipe(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_fifo()
}

/// Whether this is a pipe; here nothing that is named as a file is one.
#[cfg(not(unix))]
pub(crate) fn is_pipe(_: &Metadata) -> bool {
    false
}
