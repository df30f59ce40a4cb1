//! Whose turn it is to make or move the key, and waiting for what may never come.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use super::Keystore;
use crate::failure::{Failure, Result};

/// How long another process may take to make or move the key: it may be asking for a passphrase.
const TURN: Duration = Duration::from_secs(90);

impl Keystore {
    /// One process at a time makes or moves the key.
    pub(super) fn turn(&self) -> Result<fs::File> {
        let broken = |why: String| Failure::Store {
            path: self.lock.clone(),
            why,
            cure: "look for a hanging nexus process, then run the command again".into(),
        };
        let made = self.lock.parent().map_or(Ok(()), |folder| self.privacy.folder(folder));
        let opened = made.and_then(|()| self.privacy.open_or_create(&self.lock));
        let file = opened.map_err(|error| broken(format!("the lock cannot be taken: {error}")))?;
        match within(TURN, move || file.lock().map(|()| file)) {
            Some(Ok(file)) => Ok(file),
            Some(Err(error)) => Err(broken(format!("the lock cannot be taken: {error}"))),
            None => Err(broken("another nexus is making or moving the key and is not done".into())),
        }
    }
}

/// Waits for work that may never end, so long and no longer. A thread that is left behind in it
/// ends with the process.
pub(super) fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = mpsc::channel();
    // `std::thread::spawn` would panic where there are too many threads.
    let waiting = std::thread::Builder::new().spawn(move || {
        // Nobody waits any more: then nobody wants the result.
        let _ = send.send(work());
    });
    waiting.ok()?;
    receive.recv_timeout(limit).ok()
}
