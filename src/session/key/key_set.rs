//! Opens values with the key that they name.

use super::key_file::KeyFile;
use super::keystore::{Keystore, Result};
use crate::session::seal::Seal;

impl Keystore {
    /// Tries to open a value with the key that it names, or with each key if it names none. `None` if `open` returns
    /// nothing.
    pub(in crate::session) fn open_value<T>(
        &self,
        id: Option<&str>,
        open: impl Fn(&Seal) -> Option<T>,
    ) -> Result<Option<T>> {
        self.key_set(id)?.open(id, open)
    }

    /// The keys as they are now. A command that has not printed the key `wanted` is run again.
    pub(in crate::session) fn key_set(&self, wanted: Option<&str>) -> Result<KeySet> {
        let file = self.keys(wanted)?.ok_or_else(|| self.missing(wanted))?;
        Ok(KeySet { keystore: self.clone(), file })
    }
}

/// The keys as they were at one moment.
pub(in crate::session) struct KeySet {
    keystore: Keystore,
    file: KeyFile,
}

impl KeySet {
    /// [`Keystore::open_value`] with these keys.
    pub(in crate::session) fn open<T>(&self, id: Option<&str>, open: impl Fn(&Seal) -> Option<T>) -> Result<Option<T>> {
        if let Some(id) = id {
            let line = self.file.line(id).ok_or_else(|| self.keystore.not_here(id))?;
            let seal = self.keystore.open(line)?;
            let opened = open(&seal);
            if opened.is_some() {
                self.keystore.remember(seal);
            }
            return Ok(opened);
        }
        let mut failure = None;
        for line in self.file.cheapest_first() {
            match self.keystore.open(line) {
                Ok(seal) => match open(&seal) {
                    None => {}
                    opened => return Ok(opened),
                },
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }
}
