//! One process at a time: the lock around refresh, save and logout.
//!
//! An operating system's lock on a file of its own, not SQLite's: it queues fairly, may be held
//! over the network without making readers wait, and the kernel frees it when its holder is killed.
//! The file is never deleted, because a process that waits on a deleted file waits on nothing.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::failure::{Failure, Result};
use crate::session::{Key, private};

/// How long to wait for the lock: the holder may be using up a whole token request, and one more
/// may have been ahead in the queue.
pub const WAIT: Duration = Duration::from_secs(90);

/// The lock, for as long as this lives.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

impl Hold {
    /// Waits for its turn on this session.
    ///
    /// The waiting is done by a thread of its own: a blocking wait queues where polling would
    /// starve, and a thread that is left behind in it neither blocks a runtime nor its end.
    ///
    /// # Errors
    /// [`Failure::Busy`] after this limit, [`Failure::Store`] where the lock file cannot be used.
    pub async fn wait(folder: &Path, key: &Key, limit: Duration) -> Result<Self> {
        let path = folder.join(file_name(key));
        let broken = |error: std::io::Error| Failure::Store {
            path: path.clone(),
            why: format!("the lock cannot be taken: {error}"),
            cure: "make the folder writable, then run the command again".into(),
        };
        private::folder(folder).map_err(broken)?;
        let file = private::open_or_create(&path).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) if limit.is_zero() => return Err(Failure::Busy { waited: 0 }),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(broken(error)),
        }
        let (send, receive) = oneshot::channel();
        // `std::thread::spawn` would panic where there are too many threads.
        std::thread::Builder::new()
            .spawn(move || {
                let locked = file.lock().map(|()| file);
                // Nobody receives it any more: dropping the file frees the lock.
                let _ = send.send(locked);
            })
            .map_err(broken)?;
        match tokio::time::timeout(limit, receive).await {
            Ok(Ok(Ok(file))) => Ok(Self { _file: file }),
            Ok(Ok(Err(error))) => Err(broken(error)),
            Ok(Err(_)) => Err(Failure::System { sentence: "the thread that waits for the lock ended".into() }),
            Err(_) => Err(Failure::Busy { waited: limit.as_secs().try_into().unwrap_or(i64::MAX) }),
        }
    }
}

/// A name that any file system takes, whatever the owner is called.
fn file_name(key: &Key) -> String {
    let mut hash = Sha256::new();
    hash.update((key.provider.len() as u64).to_le_bytes());
    hash.update(&key.provider);
    hash.update(&key.owner);
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("session-{hex}.lock")
}
