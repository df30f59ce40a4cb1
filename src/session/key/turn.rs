//! Whose turn it is to make or move the key.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use super::Keystore;
use super::within::{Inside, within};
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
        static INSIDE: LazyLock<Inside> = LazyLock::new(Inside::default);
        match within(&INSIDE, TURN, move || file.lock().map(|()| file)) {
            Some(Ok(file)) => Ok(file),
            Some(Err(error)) => Err(broken(format!("the lock cannot be taken: {error}"))),
            None => Err(broken("another nexus is making or moving the key and is not done".into())),
        }
    }
}
