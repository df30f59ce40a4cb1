//! The lock that is held while the key is created or moved.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::deadline::{Threads, with_deadline};
use super::error::KeyError;
use crate::private_fs::Privacy;

/// How long to wait for another process, which may be asking for a passphrase.
const LIMIT: Duration = Duration::from_secs(90);

/// Acquires the lock. Dropping the file releases it.
pub(super) fn lock(path: &Path, privacy: &Privacy) -> Result<File, KeyError> {
    let broken = |error| KeyError::Lock { path: path.to_owned(), source: Some(Arc::new(error)) };
    let made = path.parent().map_or(Ok(()), |folder| privacy.folder(folder));
    let file = made.and_then(|()| privacy.open_or_create(path)).map_err(broken)?;
    static THREADS: LazyLock<Threads> = LazyLock::new(Threads::default);
    match with_deadline(&THREADS, LIMIT, move || file.lock().map(|()| file)) {
        Some(locked) => locked.map_err(broken),
        None => Err(KeyError::Lock { path: path.to_owned(), source: None }),
    }
}
