//! Replaces the keys by a new one, in the same store.
//!
//! A move writes the new key before the old ones into `session.key`, has all values sealed again, and then writes
//! `session.key` with the new key alone. It holds the exclusive lock all the time. If it is killed at any point, the
//! keys in `session.key` open every value, and the next move finishes it. A key never moves: what an old copy of the
//! store was sealed with does not end up in another backend.
//!
//! A killed move can leave an unused entry in the keyring. Before an entry is written or given up, its id is added to
//! `session.key.entry`; the next move removes the entry.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::Arc;

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
    seal: Arc<Seal>,
    _lock: File,
}

/// A key in a plain file that nexus created for one machine. While it is held, nothing is sealed with it.
pub(in crate::session) struct HeldPlainKey {
    keystore: Keystore,
    _lock: File,
}

impl Keystore {
    /// Begins a move: writes a new key before the old ones. An unfinished move is continued. `active` is the id of the
    /// active key, if the store names one.
    pub(in crate::session) fn begin_move(&self, backend: KeyBackend, active: Option<&str>) -> Result<Begun> {
        if self.printed_by().is_some() {
            return Err(self.unchangeable());
        }
        let lock = self.hold_alone()?;
        let Some(before) = self.key_file()? else {
            self.create(backend)?;
            return Ok(Begun::Done(Moved::Created, None));
        };
        if let [only] = before.lines() {
            if only.backend() == backend {
                return Ok(Begun::Done(Moved::AlreadyThere, self.remove_leftovers()));
            }
            self.unlock(only)?;
        }
        for line in before.lines() {
            if let KeyLine::Keyring(id) = line {
                // A copied key file may name an entry that this process did not note.
                self.note_entry(id)?;
            }
        }
        let there = || before.lines().iter().filter(|line| line.backend() == backend);
        let line = match there().find(|line| Some(&*line.id()) == active).or_else(|| there().next()) {
            Some(unfinished) => unfinished.clone(),
            None => self.store_key(backend, &self.new_key()?)?,
        };
        let seal = Arc::new(Seal::new(&line.id(), &self.unlock(&line)?));
        self.write_key_file(&before.clone().beginning_with(line.clone()))?;
        let rekey = Rekey { keystore: self.clone(), before, line, seal, _lock: lock };
        Ok(Begun::Both(Box::new(rekey)))
    }

    /// Notes beside the key file that two stores use the key. Then it stays when one of them is empty.
    pub(in crate::session) fn note_second_store(&self) -> Result<()> {
        let note = self.beside("shared");
        let noted = note.parent().map_or(Ok(()), |folder| self.privacy.folder(folder));
        let noted = noted.and_then(|()| self.privacy.open_or_create(&note)).and_then(|file| file.sync_all());
        let noted = noted.and_then(|()| note.parent().map_or(Ok(()), private_fs::sync_folder));
        noted.map_err(|error| KeyError::unwritable(&self.path, error))
    }

    /// The key if it is in a plain file, used by one store only, and neither used nor moved by another process.
    pub(in crate::session) fn hold_plain(&self) -> Result<Option<HeldPlainKey>> {
        let Some(lock) = lock::try_exclusive(&self.lock, &self.privacy)? else { return Ok(None) };
        if fs::exists(self.beside("shared")).unwrap_or(true) {
            return Ok(None);
        }
        let file = self.key_file()?;
        let plain = file.is_some_and(|file| file.lines().iter().all(|line| matches!(line, KeyLine::Plain(_))));
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
    pub(super) fn remove_leftovers(&self) -> Option<String> {
        let cleared = (|| {
            private_fs::remove(&self.beside("draft")).map_err(|error| error.to_string())?;
            let note = self.beside("entry");
            let noted = match fs::read_to_string(&note) {
                Ok(noted) => noted,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            let file = self.key_file().map_err(|error| error.to_string())?;
            let lines = file.iter().flat_map(KeyFile::lines);
            let used: Vec<_> = lines.filter(|line| line.backend() == KeyBackend::Keyring).map(KeyLine::id).collect();
            for id in noted.lines().filter(|noted| !noted.is_empty() && used.iter().all(|id| id != noted)) {
                os_keyring::remove(id).map_err(|why| format!("the operating system's keyring {why}"))?;
            }
            match &*used.join("\n") {
                "" => private_fs::remove(&note).map_err(|error| error.to_string()),
                used if noted.trim_end() == used => Ok(()),
                used => self.privacy.replace(&note, &self.beside("draft"), used).map_err(|error| error.to_string()),
            }
        })();
        cleared.err()
    }
}

impl Rekey {
    /// The backend of the key that is replaced.
    pub(in crate::session) fn from(&self) -> KeyBackend {
        let replaced = self.before.lines().iter().map(KeyLine::backend).find(|backend| *backend != self.line.backend());
        replaced.unwrap_or(self.line.backend())
    }

    /// The seal with the new key.
    pub(in crate::session) fn seal(&self) -> &Arc<Seal> {
        &self.seal
    }

    /// Ends the move: removes the old keys. Returns why a leftover could not be removed.
    pub(in crate::session) fn finish(&self) -> Result<Option<String>> {
        self.keystore.write_key_file(&KeyFile::of(self.line.clone()))?;
        Ok(self.keystore.remove_leftovers())
    }

    /// Undoes the move, before a value was sealed again.
    pub(in crate::session) fn abandon(&self) -> Result<()> {
        self.keystore.write_key_file(&self.before)?;
        // The next move removes what is left.
        let _ = self.keystore.remove_leftovers();
        Ok(())
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
