//! The lock on the key. It is shared while values are sealed and saved, and exclusive while the key is created, moved or
//! removed, so that nothing is saved that only a replaced key opens.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::KeyError;
use crate::private_fs::Privacy;

/// How long to wait for another process, which may be asking for a passphrase or refreshing a session.
const LIMIT: Duration = Duration::from_secs(90);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits for the lock, which no other process holds then. Dropping the file releases it.
pub(super) fn exclusive(path: &Path, privacy: &Privacy) -> Result<File, KeyError> {
    wait(path, privacy, File::try_lock)
}

/// Waits for the lock, which other processes may share.
pub(super) fn shared(path: &Path, privacy: &Privacy) -> Result<File, KeyError> {
    wait(path, privacy, File::try_lock_shared)
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

fn wait(path: &Path, privacy: &Privacy, lock: fn(&File) -> Result<(), TryLockError>) -> Result<File, KeyError> {
    let file = open(path, privacy)?;
    let until = Instant::now() + LIMIT;
    loop {
        match lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(broken(path, error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(KeyError::Lock { path: path.to_owned(), source: None });
            }
            // Not a blocking call, which has no time limit.
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
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
