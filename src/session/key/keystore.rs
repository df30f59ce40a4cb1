//! Finds, creates and moves the key.
//!
//! One key seals all sessions of a store and never changes. The file `session.key` contains the key, contains it
//! wrapped with a passphrase, or says that it is in the keyring (`key_file.rs`). The configuration says only where a
//! *new* key is kept, so a move rewrites no session. A move saves the key in its new place, reads it back, replaces
//! `session.key` atomically, and then removes the key from its old place. If it is killed at any point, `session.key`
//! is valid.
//!
//! A killed move can leave an unused entry in the keyring. Before an entry is written, its id is written into
//! `session.key.entry`; the next move removes the entry.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::config::{KeyBackend, KeyConfig};
use super::data_key::DataKey;
use super::error::KeyError;
use super::key_file::KeyFile;
use super::lock::lock;
use super::{os_keyring, passphrase};
use crate::private_fs::{self, ClosedFn, Privacy};
use crate::secret::Passphrase;
use crate::session::seal::Seal;
use crate::store::FileProblem;

type Result<T> = std::result::Result<T, KeyError>;

/// The key of a session store.
#[derive(Clone)]
pub struct Keystore {
    path: PathBuf,
    lock: PathBuf,
    config: Arc<KeyConfig>,
    privacy: Privacy,
    /// The key from the keyring or the wrapped key, with its id. It is read once per process.
    opened: Arc<Mutex<Option<(String, DataKey)>>>,
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLocation {
    /// The backend.
    pub backend: KeyBackend,
    /// The key file.
    pub path: PathBuf,
    /// The service and user name of the keyring entry, if the key is there.
    pub entry: Option<(&'static str, String)>,
}

/// The result of [`Keystore::move_to`].
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// There was no key. A new one was created.
    Created,
    /// The key was there already.
    AlreadyThere,
    /// The key was moved from this backend.
    From(KeyBackend),
}

impl Keystore {
    /// The key of this folder; its lock file is in `state`. Nothing is read or created yet.
    pub fn new(folder: &Path, state: &Path) -> Self {
        Self {
            path: folder.join("session.key"),
            lock: state.join("locks").join("key.lock"),
            config: Arc::default(),
            privacy: Privacy::default(),
            opened: Arc::default(),
        }
    }

    /// Sets where a new key is kept and where the passphrase comes from.
    #[must_use]
    pub fn with_config(self, config: KeyConfig) -> Self {
        Self { config: Arc::new(config), ..self }
    }

    /// Calls `closed` for files that were open to other users and were made private.
    #[must_use]
    pub fn reporting(self, closed: ClosedFn) -> Self {
        Self { privacy: Privacy::reporting(closed), ..self }
    }

    /// The key file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the key is, if there is one. Does not read the key.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::NotAKey`].
    pub fn find(&self) -> Result<Option<KeyLocation>> {
        let found = |file: KeyFile| KeyLocation {
            backend: file.backend(),
            path: self.path.clone(),
            entry: match file {
                KeyFile::Keyring(id) => Some((os_keyring::SERVICE, id)),
                KeyFile::Plain(_) | KeyFile::Wrapped(_) => None,
            },
        };
        Ok(self.key_file()?.map(found))
    }

    /// The configured backend and the actual one, if they differ.
    pub fn mismatch(&self) -> Option<(KeyBackend, KeyBackend)> {
        let configured = self.config.backend?;
        let found = self.key_file().ok()??.backend();
        (found != configured).then_some((configured, found))
    }

    /// Opens the key, or creates it if there is none.
    pub(in crate::session) fn check_writable(&self) -> Result<()> {
        self.open_or_create().map(drop).map_err(|error| {
            let folders = [self.path.parent(), self.lock.parent()];
            let unusable = folders.into_iter().flatten().find_map(|folder| {
                let (existing, problem) = self.privacy.unusable_folder(folder)?;
                Some(KeyError::Folder { path: folder.to_owned(), problem: FileProblem::Folder { existing, problem } })
            });
            unusable.unwrap_or(error)
        })
    }

    /// Checks that the key can be opened, if there is one.
    ///
    /// # Errors
    /// Those of [`find`](Self::find) and of the backend.
    pub fn check(&self) -> Result<()> {
        self.open().map(drop)
    }

    pub(in crate::session) fn open(&self) -> Result<Option<Seal>> {
        let Some(file) = self.key_file()? else { return Ok(None) };
        self.open_key_file(file).map(|key| Some(Seal::new(&key)))
    }

    /// The key of a key file, even if another process moved the key after the file was read.
    fn open_key_file(&self, file: KeyFile) -> Result<DataKey> {
        let line = file.line();
        self.unlock(file).or_else(|lost| match self.key_file() {
            Ok(Some(moved)) if moved.line() != line => self.unlock(moved),
            _ => Err(lost),
        })
    }

    pub(in crate::session) fn open_or_create(&self) -> Result<Seal> {
        if let Some(seal) = self.open()? {
            return Ok(seal);
        }
        let _lock = lock(&self.lock, &self.privacy)?;
        match self.open()? {
            Some(seal) => Ok(seal),
            None => self.create(self.config.backend.unwrap_or(KeyBackend::File)).map(|key| Seal::new(&key)),
        }
    }

    /// Moves the key to another backend, or creates it there. Removes what a killed move left behind. Returns the
    /// result, and why the leftovers could not be removed.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), and if the new backend does not accept the key. The key is then in its old
    /// place, or, if only the sync of the rename failed, in the new one.
    pub fn move_to(&self, backend: KeyBackend) -> Result<(Moved, Option<String>)> {
        let _lock = lock(&self.lock, &self.privacy)?;
        let Some(file) = self.key_file()? else {
            self.create(backend)?;
            return Ok((Moved::Created, None));
        };
        let was = file.backend();
        if was == backend {
            return Ok((Moved::AlreadyThere, self.remove_leftovers()));
        }
        if let KeyFile::Keyring(id) = &file {
            // A copied key file may name an entry that this process did not note.
            self.note_entry(id)?;
        }
        let key = self.unlock(file)?;
        self.write_key_file(&self.store_key(backend, &key)?)?;
        Ok((Moved::From(was), self.remove_leftovers()))
    }

    fn create(&self, backend: KeyBackend) -> Result<DataKey> {
        let key =
            DataKey::random().map_err(|description| KeyError::System { attempt: "creating a key", description })?;
        self.write_key_file(&self.store_key(backend, &key)?)?;
        Ok(key)
    }

    /// The line of the key file.
    fn key_file(&self) -> Result<Option<KeyFile>> {
        let text = match self.privacy.check(&self.path).and_then(|()| fs::read_to_string(&self.path)) {
            Ok(text) => zeroize::Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeyError::Unreadable { path: self.path.clone(), source: Arc::new(error) }),
        };
        KeyFile::parse(&text).map(Some).ok_or_else(|| KeyError::NotAKey { path: self.path.clone() })
    }

    /// Reads the key of a key file.
    fn unlock(&self, file: KeyFile) -> Result<DataKey> {
        let id = match &file {
            KeyFile::Plain(_) => None,
            KeyFile::Keyring(id) => Some(id.clone()),
            KeyFile::Wrapped(wrapped) => Some(wrapped.id.clone()),
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(id), Some((known, key))) = (&id, &*opened)
            && id == known
        {
            return Ok(key.clone());
        }
        let key = match file {
            KeyFile::Plain(key) => return Ok(key),
            KeyFile::Keyring(id) => self.load_from_keyring(&id)?,
            KeyFile::Wrapped(wrapped) => wrapped
                .unwrap(&self.passphrase()?)
                .ok_or_else(|| KeyError::WrongPassphrase { path: self.path.clone() })?,
        };
        *opened = id.map(|id| (id, key.clone()));
        Ok(key)
    }

    /// Saves the key in a backend and reads it back. The returned key file is not written yet.
    fn store_key(&self, backend: KeyBackend, key: &DataKey) -> Result<KeyFile> {
        match backend {
            KeyBackend::File => Ok(KeyFile::Plain(key.clone())),
            KeyBackend::Keyring => self
                .save_to_keyring(key)
                .map_err(|description| KeyError::KeyringRefused { path: self.path.clone(), description }),
            KeyBackend::Passphrase => {
                let passphrase = self.passphrase()?;
                let wrapped = passphrase::Wrapped::wrap(key, &passphrase)?;
                match wrapped.unwrap(&passphrase) {
                    Some(_) => Ok(KeyFile::Wrapped(wrapped)),
                    None => Err(KeyError::System {
                        attempt: "wrapping the key",
                        description: "it cannot be unwrapped".into(),
                    }),
                }
            }
        }
    }

    fn save_to_keyring(&self, key: &DataKey) -> os_keyring::Result<KeyFile> {
        let id = key.id();
        // An unusable keyring gets no entry, so nothing has to be noted.
        os_keyring::load(&id)?;
        self.note_entry(&id).map_err(|failure| format!("was not used: {failure}"))?;
        os_keyring::save(&id, &key.line())?;
        let kept = os_keyring::load(&id)?.and_then(|text| DataKey::from_line(&text));
        match kept.is_some_and(|kept| kept.id() == id) {
            true => Ok(KeyFile::Keyring(id)),
            false => Err("returned something else than was saved".into()),
        }
    }

    fn load_from_keyring(&self, id: &str) -> Result<DataKey> {
        let text = os_keyring::load(id)
            .map_err(|description| KeyError::KeyringUnusable { path: self.path.clone(), description })?;
        let key = text.and_then(|text| DataKey::from_line(&text)).filter(|key| key.id() == id);
        key.ok_or_else(|| KeyError::KeyringEntryMissing {
            path: self.path.clone(),
            service: os_keyring::SERVICE,
            user: id.to_owned(),
        })
    }

    fn passphrase(&self) -> Result<Passphrase> {
        let source = self.config.passphrase.as_ref().ok_or(KeyError::NoPassphrase)?;
        passphrase::read_from(source, self.config.hidden_variables)
            .map_err(|description| KeyError::PassphraseMissing { path: self.path.clone(), description })
    }

    /// Replaces the key file durably.
    fn write_key_file(&self, file: &KeyFile) -> Result<()> {
        // The lock is held, so an existing draft is a leftover.
        self.privacy
            .replace(&self.path, &self.beside("draft"), &file.line())
            .map_err(|error| KeyError::unwritable(&self.path, error))
    }

    /// Notes that the keyring may contain an entry.
    fn note_entry(&self, id: &str) -> Result<()> {
        let noted = (|| {
            let note = self.beside("entry");
            private_fs::survive_file_limit();
            note.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            let mut file = self.privacy.open_or_create(&note)?;
            file.set_len(0)?;
            file.write_all(id.as_bytes())?;
            file.sync_all()?;
            self.path.parent().map_or(Ok(()), private_fs::sync_folder)
        })();
        noted.map_err(|error: io::Error| KeyError::unwritable(&self.path, error))
    }

    /// Removes the draft, and the noted keyring entry unless the key is there. Returns why not.
    fn remove_leftovers(&self) -> Option<String> {
        let cleared = (|| {
            private_fs::remove(&self.beside("draft")).map_err(|error| error.to_string())?;
            let note = self.beside("entry");
            let id = match fs::read_to_string(&note) {
                Ok(id) => id,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            if matches!(self.key_file(), Ok(Some(KeyFile::Keyring(_)))) {
                return Ok(());
            }
            if !id.is_empty() {
                os_keyring::remove(&id).map_err(|why| format!("the operating system's keyring {why}"))?;
            }
            private_fs::remove(&note).map_err(|error| error.to_string())
        })();
        cleared.err()
    }

    /// A file beside the key file.
    fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_added_extension(extension)
    }
}

impl std::fmt::Debug for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystore").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_moved_between_two_looks_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let keystore = Keystore::new(&home.path().join("key"), &home.path().join("state"));
        let key = DataKey::random().unwrap();
        // Nothing here says where the passphrase comes from, so this leads nowhere by itself.
        let passphrase = Passphrase::new("correct horse".into());
        let wrapped = || KeyFile::Wrapped(passphrase::Wrapped::wrap(&key, &passphrase).unwrap());
        keystore.write_key_file(&wrapped()).unwrap();
        let read = keystore.key_file().unwrap().unwrap();
        keystore.write_key_file(&KeyFile::Plain(key.clone())).unwrap();
        assert_eq!(keystore.open_key_file(read).unwrap().id(), key.id());
        let read = wrapped();
        keystore.write_key_file(&read).unwrap();
        assert!(keystore.open_key_file(read).is_err(), "what was not moved is missing");
    }
}
