//! Replaces the key by a new one, in the same store.
//!
//! A move writes the new key beside the old one into `session.key`, has all values sealed again, and then writes
//! `session.key` with the new key alone. It holds the exclusive lock all the time. If it is killed at any point, the
//! keys in `session.key` open every value, and the next move finishes it. A key never moves: what an old copy of the
//! store was sealed with does not end up in another backend.
//!
//! A killed move can leave an unused entry in the keyring. Before an entry is written or given up, its id is added to
//! `session.key.entry`; the next move removes the entry.

use std::fs::{self, File};
use std::io::{self, Write as _};

use super::config::KeyBackend;
use super::error::KeyError;
use super::key_file::{KeyFile, KeyLine};
use super::keystore::{Keystore, Result};
use super::{lock, os_keyring};
use crate::private_fs;
use crate::session::seal::Seal;

/// The result of a move of the key.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// There was no key. A new one was created.
    Created,
    /// The key was there already.
    AlreadyThere,
    /// A new key replaces the one in this backend.
    From(KeyBackend),
}

/// The first step of a move.
pub(in crate::session) enum Begun {
    /// Nothing has to be sealed again. With the reason why a leftover could not be removed.
    Done(Moved, Option<String>),
    /// The key file has the old keys and the new one.
    Both(Box<Rekey>),
}

/// A move whose values are to be sealed again.
pub(in crate::session) struct Rekey {
    keystore: Keystore,
    /// The key file as it was.
    before: KeyFile,
    /// The new key.
    line: KeyLine,
    seal: Seal,
    /// The seals of the old keys that could be read.
    old: Vec<Seal>,
    /// Why an old key could not be read.
    unreadable: Option<KeyError>,
    _lock: File,
}

/// A key in a plain file. While it is held, nothing is sealed with it.
pub(in crate::session) struct HeldPlainKey {
    keystore: Keystore,
    _lock: File,
}

impl Keystore {
    /// Begins a move: writes a new key beside the old one. An unfinished move is continued.
    pub(in crate::session) fn begin_move(&self, backend: KeyBackend) -> Result<Begun> {
        let lock = self.hold_alone()?;
        let Some(before) = self.key_file()? else {
            self.create(backend)?;
            return Ok(Begun::Done(Moved::Created, None));
        };
        if before.old.is_empty() {
            if before.newest.backend() == backend {
                return Ok(Begun::Done(Moved::AlreadyThere, self.remove_leftovers()));
            }
            self.unlock(&before.newest)?;
        }
        let mut old = before.clone().into_lines();
        for line in &old {
            if let KeyLine::Keyring(id) = line {
                // A copied key file may name an entry that this process did not note.
                self.note_entry(id)?;
            }
        }
        let line = match old.iter().position(|line| line.backend() == backend) {
            Some(unfinished) => old.remove(unfinished),
            None => self.store_key(backend, &self.new_key()?)?,
        };
        let seal = Seal::new(&self.unlock(&line)?);
        let (mut readable, mut unreadable) = (Vec::new(), None);
        for line in &old {
            match self.unlock(line) {
                Ok(key) => readable.push(Seal::new(&key)),
                Err(error) => unreadable = Some(error),
            }
        }
        self.write_key_file(&KeyFile { old, newest: line.clone() })?;
        let rekey = Rekey { keystore: self.clone(), before, line, seal, old: readable, unreadable, _lock: lock };
        Ok(Begun::Both(Box::new(rekey)))
    }

    /// The key if it is in a plain file, and neither used nor moved by another process.
    pub(in crate::session) fn hold_plain(&self) -> Result<Option<HeldPlainKey>> {
        let Some(lock) = lock::try_exclusive(&self.lock, &self.privacy)? else { return Ok(None) };
        let file = self.key_file()?;
        let plain = file.is_some_and(|file| file.into_lines().iter().all(|line| line.backend() == KeyBackend::File));
        Ok(plain.then(|| HeldPlainKey { keystore: self.clone(), _lock: lock }))
    }

    /// Notes that the keyring may contain an entry.
    pub(super) fn note_entry(&self, id: &str) -> Result<()> {
        let noted = (|| {
            let note = self.beside("entry");
            private_fs::survive_file_limit();
            note.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            let mut file = self.privacy.open_or_create(&note)?;
            let noted = io::read_to_string(&file)?;
            if !noted.lines().any(|noted| noted == id) {
                // A killed write may have left half a line.
                let gap = if noted.is_empty() || noted.ends_with('\n') { "" } else { "\n" };
                file.write_all(format!("{gap}{id}\n").as_bytes())?;
                file.sync_all()?;
            }
            self.path.parent().map_or(Ok(()), private_fs::sync_folder)
        })();
        noted.map_err(|error: io::Error| KeyError::unwritable(&self.path, error))
    }

    /// Removes the draft, and the noted keyring entries that are not in use. Returns why not.
    fn remove_leftovers(&self) -> Option<String> {
        let cleared = (|| {
            private_fs::remove(&self.beside("draft")).map_err(|error| error.to_string())?;
            let note = self.beside("entry");
            let noted = match fs::read_to_string(&note) {
                Ok(noted) => noted,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            let lines = self.key_file().map_err(|error| error.to_string())?.map(KeyFile::into_lines);
            let used = lines.unwrap_or_default().into_iter().find_map(|line| match line {
                KeyLine::Keyring(id) => Some(id),
                KeyLine::Plain(_) | KeyLine::Wrapped(_) => None,
            });
            for id in noted.lines().filter(|id| !id.is_empty() && Some(*id) != used.as_deref()) {
                os_keyring::remove(id).map_err(|why| format!("the operating system's keyring {why}"))?;
            }
            match used {
                Some(id) if noted.trim_end() == id => Ok(()),
                Some(id) => self.privacy.replace(&note, &self.beside("draft"), &id).map_err(|error| error.to_string()),
                None => private_fs::remove(&note).map_err(|error| error.to_string()),
            }
        })();
        cleared.err()
    }
}

impl Rekey {
    /// The backend of the key that is replaced.
    pub(in crate::session) fn from(&self) -> KeyBackend {
        let lines = self.before.clone().into_lines();
        let replaced = lines.iter().map(KeyLine::backend).find(|backend| *backend != self.line.backend());
        replaced.unwrap_or(self.line.backend())
    }

    /// Seals a value with the new key. `None` if no key opens it.
    pub(in crate::session) fn reseal(&self, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let plain = self.old.iter().chain([&self.seal]).find_map(|seal| seal.open(associated, sealed))?;
        self.seal.seal(associated, &plain).ok()
    }

    /// Ends the move: removes the old keys. Returns why a leftover could not be removed.
    pub(in crate::session) fn finish(&self) -> Result<Option<String>> {
        self.keystore.write_key_file(&KeyFile::of(self.line.clone()))?;
        Ok(self.keystore.remove_leftovers())
    }

    /// Undoes the move, whose values were not sealed again. Returns why an old key could not be read.
    pub(in crate::session) fn abandon(&self) -> Result<Option<KeyError>> {
        self.keystore.write_key_file(&self.before)?;
        // The next move removes what is left.
        let _ = self.keystore.remove_leftovers();
        Ok(self.unreadable.clone())
    }
}

impl HeldPlainKey {
    /// Removes the key.
    pub(in crate::session) fn remove(self) -> Result<()> {
        let path = &self.keystore.path;
        private_fs::remove(path)
            .and_then(|()| path.parent().map_or(Ok(()), private_fs::sync_folder))
            .map_err(|error| KeyError::unwritable(path, error))
    }
}
