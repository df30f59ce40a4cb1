//! Finds, creates and moves the key.
//!
//! One data key seals every session, and it stays the same as long as the store lives. One file, `session.key`, leads
//! to it: it holds the key, or says that the keyring has it, or holds it wrapped with a passphrase (`key_file.rs`).
//! The configuration only says where a *new* key goes, so a move rewrites no session. A move puts the key into its new
//! place, proves that it can be read there, switches by renaming one file over another, and only then clears the old
//! place: whenever it is killed, `session.key` leads to the key.
//!
//! What a killed move can leave behind is an entry in the keyring that nothing leads to. Before an entry is written
//! its id is written into `session.key.entry`; the next move reads that and removes the entry.

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

/// Where the key is found, made and moved.
#[derive(Clone)]
pub struct Keystore {
    path: PathBuf,
    lock: PathBuf,
    config: Arc<KeyConfig>,
    privacy: Privacy,
    /// The key that came from the keyring or was unwrapped, with its id, so that this is done once per process.
    opened: Arc<Mutex<Option<(String, DataKey)>>>,
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLocation {
    /// What keeps it.
    pub backend: KeyBackend,
    /// The file that leads to it.
    pub path: PathBuf,
    /// The entry in the keyring, if it is there: its service and user name.
    pub entry: Option<(&'static str, String)>,
}

/// What a move did.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// There was no key; a new one was made there.
    Made,
    /// The key was there already.
    Already,
    /// It is there now.
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

    /// Keeps a new key where `config` says, and takes the passphrase from there.
    #[must_use]
    pub fn with_config(self, config: KeyConfig) -> Self {
        Self { config: Arc::new(config), ..self }
    }

    /// Reports files that were open to other users, which are closed.
    #[must_use]
    pub fn reporting(self, closed: ClosedFn) -> Self {
        Self { privacy: Privacy::reporting(closed), ..self }
    }

    /// The file that leads to the key.
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

    /// The configured backend and the one that has the key, if they differ.
    pub fn mismatch(&self) -> Option<(KeyBackend, KeyBackend)> {
        let configured = self.config.backend?;
        // A key file that cannot be read is an error of the command that needs the key.
        let found = self.key_file().ok()??.backend();
        (found != configured).then_some((configured, found))
    }

    /// Makes sure that a key can be opened, or made where there is none.
    pub(in crate::session) fn check_writable(&self) -> Result<()> {
        self.open_or_make().map(drop).map_err(|error| {
            let folders = [self.path.parent(), self.lock.parent()];
            let unusable = folders.into_iter().flatten().find_map(|folder| {
                let (existing, problem) = self.privacy.unusable_folder(folder)?;
                Some(KeyError::Folder { path: folder.to_owned(), problem: FileProblem::Folder { existing, problem } })
            });
            unusable.unwrap_or(error)
        })
    }

    /// Makes sure that the key can be opened, if there is one.
    ///
    /// # Errors
    /// As [`find`](Self::find), and whatever its backend answers.
    pub fn check(&self) -> Result<()> {
        self.open().map(drop)
    }

    pub(in crate::session) fn open(&self) -> Result<Option<Seal>> {
        let Some(file) = self.key_file()? else { return Ok(None) };
        self.follow(file).map(|key| Some(Seal::new(&key)))
    }

    /// The key that a key file leads to, or led to until another process moved the key after the file was read.
    fn follow(&self, file: KeyFile) -> Result<DataKey> {
        let line = file.line();
        self.unlock(file).or_else(|lost| match self.key_file() {
            Ok(Some(moved)) if moved.line() != line => self.unlock(moved),
            _ => Err(lost),
        })
    }

    pub(in crate::session) fn open_or_make(&self) -> Result<Seal> {
        if let Some(seal) = self.open()? {
            return Ok(seal);
        }
        let _lock = lock(&self.lock, &self.privacy)?;
        match self.open()? {
            Some(seal) => Ok(seal),
            None => self.make(self.config.backend.unwrap_or(KeyBackend::File)).map(|key| Seal::new(&key)),
        }
    }

    /// Moves the key to another backend; where there is none, makes it there. Clears up what a killed move left
    /// behind. Returns what was done, and what could not be cleared up.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if the new backend does not take the key. Then the key is still where it was,
    /// or, if only the rename could not be synced, where it was to go.
    pub fn move_to(&self, backend: KeyBackend) -> Result<(Moved, Option<String>)> {
        let _lock = lock(&self.lock, &self.privacy)?;
        let Some(file) = self.key_file()? else {
            self.make(backend)?;
            return Ok((Moved::Made, None));
        };
        let was = file.backend();
        if was == backend {
            return Ok((Moved::Already, self.clear_up()));
        }
        if let KeyFile::Keyring(id) = &file {
            // One that came here by a copied file may have been filed by another machine's nexus.
            self.note_entry(id)?;
        }
        let key = self.unlock(file)?;
        self.put(&self.lay_down(backend, &key)?)?;
        Ok((Moved::From(was), self.clear_up()))
    }

    fn make(&self, backend: KeyBackend) -> Result<DataKey> {
        let key =
            DataKey::random().map_err(|description| KeyError::System { attempt: "creating a key", description })?;
        self.put(&self.lay_down(backend, &key)?)?;
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

    /// The key that a key file leads to.
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
            KeyFile::Keyring(id) => self.ask_keyring(&id)?,
            KeyFile::Wrapped(wrapped) => wrapped
                .unwrap(&self.passphrase()?)
                .ok_or_else(|| KeyError::WrongPassphrase { path: self.path.clone() })?,
        };
        *opened = id.map(|id| (id, key.clone()));
        Ok(key)
    }

    /// Puts the key into its new place and proves that it can be read there. Nothing leads there yet.
    fn lay_down(&self, backend: KeyBackend, key: &DataKey) -> Result<KeyFile> {
        match backend {
            KeyBackend::File => Ok(KeyFile::Plain(key.clone())),
            KeyBackend::Keyring => self
                .tell_keyring(key)
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

    fn tell_keyring(&self, key: &DataKey) -> os_keyring::Asked<KeyFile> {
        let id = key.id();
        // A keyring that cannot even be read will hold no entry that would have to be noted.
        os_keyring::load(&id)?;
        self.note_entry(&id).map_err(|failure| format!("was not used: {failure}"))?;
        os_keyring::save(&id, &key.line())?;
        let kept = os_keyring::load(&id)?.and_then(|text| DataKey::from_line(&text));
        match kept.is_some_and(|kept| kept.id() == id) {
            true => Ok(KeyFile::Keyring(id)),
            false => Err("returned something else than was saved".into()),
        }
    }

    fn ask_keyring(&self, id: &str) -> Result<DataKey> {
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
        passphrase::ask(source)
            .map_err(|description| KeyError::PassphraseMissing { path: self.path.clone(), description })
    }

    /// Writes the key file. Its folder is synced before anything old is cleared away.
    fn put(&self, file: &KeyFile) -> Result<()> {
        // A draft can only be what a killed process left behind: this one has the lock.
        self.privacy
            .replace(&self.path, &self.beside("draft"), &file.line())
            .map_err(|error| KeyError::unwritable(&self.path, error))
    }

    /// Remembers that the keyring may hold an entry.
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

    /// Removes what leads nowhere any more: a draft, and an entry in the keyring unless that keeps
    /// the key. A sentence tells what could not be removed.
    fn clear_up(&self) -> Option<String> {
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
        keystore.put(&wrapped()).unwrap();
        let seen = keystore.key_file().unwrap().unwrap();
        keystore.put(&KeyFile::Plain(key.clone())).unwrap();
        assert_eq!(keystore.follow(seen).unwrap().id(), key.id());
        let seen = wrapped();
        keystore.put(&seen).unwrap();
        assert!(keystore.follow(seen).is_err(), "what was not moved is missing");
    }
}
