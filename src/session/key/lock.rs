//! The lock on the key. It is shared while values are sealed and saved, and exclusive while the key is created, moved
//! or removed, so that nothing is saved that only a replaced key opens.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::KeyError;
use super::wait::PATIENCE;
use crate::private_fs::Privacy;

/// How long to wait for another process, which may be asking for a passphrase or refreshing a session.
const LIMIT: Duration = Duration::from_secs(90);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits for the lock, which no other process holds then. Dropping the file releases it. `on_wait` is called if it
/// takes long.
pub(super) fn exclusive(path: &Path, privacy: &Privacy, on_wait: impl FnOnce()) -> Result<File, KeyError> {
    wait(path, privacy, on_wait, File::try_lock)
}

/// Waits for the lock, which other processes may share.
pub(super) fn shared(path: &Path, privacy: &Privacy, on_wait: impl FnOnce()) -> Result<File, KeyError> {
    wait(path, privacy, on_wait, File::try_lock_shared)
}

/// The exclusive lock, if no other process holds it.
pub(super) fn try_exclusive(path: &Path, privacy: &Privacy) -> Result<Option<File>, KeyError> {
    let file = open(path, privacy)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(broken(path, error)),
    }
}

fn wait(
    path: &Path,
    privacy: &Privacy,
    on_wait: impl FnOnce(),
    lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<File, KeyError> {
    let file = open(path, privacy)?;
    let (begun, mut on_wait) = (Instant::now(), Some(on_wait));
    loop {
        match lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(broken(path, error)),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= LIMIT => {
                return Err(KeyError::Lock { path: path.to_owned(), source: None });
            }
            Err(TryLockError::WouldBlock) => {
                if begun.elapsed() >= PATIENCE
                    && let Some(on_wait) = on_wait.take()
                {
                    on_wait();
                }
                // Not a blocking call, which has no time limit.
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn open(path: &Path, privacy: &Privacy) -> Result<File, KeyError> {
    let made = path.parent().map_or(Ok(()), |folder| privacy.folder(folder));
    made.and_then(|()| privacy.open_or_create(path)).map_err(|error| broken(path, error))
}

fn broken(path: &Path, error: io::Error) -> KeyError {
    KeyError::untrusted(path, &error)
        .unwrap_or_else(|| KeyError::Lock { path: path.to_owned(), source: Some(Arc::new(error)) })
}
