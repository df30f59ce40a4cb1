//! Adds, activates and removes keys of this machine.

use std::fs::File;

use zeroize::Zeroizing;

use super::config::KeyBackend;
use super::error::KeyError;
use super::key_file::{KeyFile, KeyLine};
use super::keystore::{Keystore, Result};

/// A new key for distribution.
#[derive(Debug)]
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// The line `ID BASE64` for the key file of each machine. It is secret.
    pub line: Zeroizing<String>,
}

/// What became of a key that nothing needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Retired {
    /// It was removed from the key file. With the reason why a leftover could not be removed.
    Removed(Option<String>),
    /// The command of this name still prints it.
    PrintedBy(String),
}

impl Keystore {
    /// A new key, which is not kept here.
    ///
    /// # Errors
    /// The operating system returned no random bytes.
    pub fn generate(&self) -> Result<NewKey> {
        let line = KeyLine::named(self.new_key()?);
        Ok(NewKey { id: line.id(), line: line.line() })
    }

    /// Adds a new key to the key file, after the others, and returns its id. The key is kept in the same backend as the
    /// first one.
    ///
    /// # Errors
    /// [`KeyError::FromCommand`], and others if the key file or the backend cannot be used.
    pub fn add(&self) -> Result<String> {
        if self.printed_by().is_some() {
            return Err(self.unchangeable());
        }
        let _lock = self.hold_alone()?;
        let file = self.key_file()?;
        let first = file.as_ref().map(|file| file.first().backend());
        let key = self.new_key()?;
        let line = match first.or(self.config().backend).unwrap_or(KeyBackend::File) {
            KeyBackend::File => KeyLine::named(key),
            backend => self.store_key(backend, &key)?,
        };
        let id = line.id();
        self.write_key_file(&match file {
            Some(file) => file.and(line),
            None => KeyFile::of(line),
        })?;
        Ok(id)
    }

    /// Checks that this machine has a key and can open it.
    pub(in crate::session) fn check_key(&self, id: &str) -> Result<()> {
        self.open(self.key_file_with(id)?.line(id).ok_or_else(|| self.unknown(id))?).map(drop)
    }

    /// Makes a key the first one. Returns whether it was another one.
    pub(in crate::session) fn put_first(&self, id: &str) -> Result<bool> {
        if self.key_file_with(id)?.first().id() == id {
            return Ok(false);
        }
        if self.printed_by().is_some() {
            return Err(self.unchangeable());
        }
        let _lock = self.hold_alone()?;
        let file = self.key_file_with(id)?;
        let line = file.line(id).cloned().ok_or_else(|| self.unknown(id))?;
        self.write_key_file(&file.beginning_with(line))?;
        Ok(true)
    }

    /// Removes a key while `_alone` keeps other processes from using the keys.
    pub(in crate::session) fn remove_key(&self, id: &str, _alone: &File) -> Result<Retired> {
        let file = self.key_file_with(id)?;
        if file.line(id).is_none() {
            return Err(self.unknown(id));
        }
        if let Some(program) = self.printed_by() {
            return Ok(Retired::PrintedBy(program));
        }
        if let Some(KeyLine::Keyring(entry)) = file.line(id) {
            // A copied key file may name an entry that this process did not note.
            self.note_entry(entry)?;
        }
        let left = file.without(id).ok_or_else(|| KeyError::Active { id: id.to_owned() })?;
        self.write_key_file(&left)?;
        Ok(Retired::Removed(self.remove_leftovers()))
    }

    fn key_file_with(&self, id: &str) -> Result<KeyFile> {
        self.keys(Some(id))?.ok_or_else(|| self.unknown(id))
    }

    fn unknown(&self, id: &str) -> KeyError {
        KeyError::Unknown { id: id.to_owned(), origin: self.origin() }
    }
}
