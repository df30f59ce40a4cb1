//! Finds, opens and creates the keys.
//!
//! One key at a time is active: it seals new values. The file `session.key` contains the key, contains it wrapped with
//! a passphrase, or says that it is in the keyring (`key_file.rs`). Other keys in it open what was sealed with them.
//! With [`KeyBackend::Command`], a program prints the lines of such a file (`printed.rs`). `rotation.rs` adds,
//! activates and removes keys, and `rekey.rs` replaces them all by one in another backend.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::config::{KeyBackend, KeyConfig};
use super::data_key::DataKey;
use super::error::{KeyError, KeyOrigin};
use super::key_file::{KeyFile, KeyLine};
use super::printed::Printed;
use super::wait::{KeyWait, WaitFn};
use super::{lock, os_keyring, passphrase};
use crate::private_fs::{ClosedFn, Privacy};
use crate::secret::Passphrase;
use crate::session::seal::Seal;
use crate::store::FileProblem;

pub(in crate::session) type Result<T> = std::result::Result<T, KeyError>;

/// The keys of a session store. They belong to one store: [`Client::sign_out`](crate::Client::sign_out) replaces
/// them when a SQLite store becomes empty.
#[derive(Clone)]
pub struct Keystore {
    pub(super) path: PathBuf,
    pub(super) lock: PathBuf,
    config: Arc<KeyConfig>,
    pub(super) privacy: Privacy,
    /// The key, if it is in memory only.
    memory: Option<DataKey>,
    /// Whether other machines may have the keys.
    is_shared: bool,
    /// The keys that the command has printed.
    printed: Printed,
    /// The keys from the keyring and the unwrapped ones, by id. They are read once per process.
    unlocked: Arc<Mutex<BTreeMap<String, DataKey>>>,
    /// The keys that have opened a value, by id.
    opened: Arc<Mutex<BTreeMap<String, Arc<Seal>>>>,
    waiting: Arc<OnceLock<WaitFn>>,
}

/// A seal with the active key. While it is held, no key of this machine is removed, so what it seals can be saved.
pub(in crate::session) struct HeldSeal {
    pub(in crate::session) seal: Seal,
    _lock: Option<File>,
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLocation {
    /// The backend.
    pub backend: KeyBackend,
    /// Where the key is read from.
    pub origin: KeyOrigin,
    /// The service and user name of the keyring entry, if the key is there.
    pub entry: Option<(&'static str, String)>,
}

impl Keystore {
    /// The key of this folder; its lock file is in `state`. Nothing is read or created yet.
    pub fn new(folder: &Path, state: &Path) -> Self {
        Self {
            path: folder.join("session.key"),
            lock: state.join("locks").join("key.lock"),
            config: Arc::default(),
            privacy: Privacy::default().with_root(state),
            memory: None,
            is_shared: false,
            printed: Printed::default(),
            unlocked: Arc::default(),
            opened: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// A new key that is nowhere but in memory.
    pub(in crate::session) fn in_memory() -> Result<Self> {
        let nowhere = Self::new(Path::new(""), Path::new(""));
        Ok(Self { memory: Some(nowhere.new_key()?), ..nowhere })
    }

    /// These keys, as those of a store that other machines may use.
    pub(in crate::session) fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    pub(in crate::session) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Sets where a new key is kept and where the passphrase comes from.
    #[must_use]
    pub fn with_config(self, config: KeyConfig) -> Self {
        Self { config: Arc::new(config), ..self }
    }

    /// Calls `closed` for files that were open to other users and were made private.
    #[must_use]
    pub fn reporting(self, closed: ClosedFn) -> Self {
        Self { privacy: self.privacy.clone().reporting(closed), ..self }
    }

    /// Sets how its files are checked.
    #[doc(hidden)]
    #[must_use]
    pub fn with_privacy(self, privacy: Privacy) -> Self {
        Self { privacy, ..self }
    }

    /// Calls `waiting` when opening the key takes long, unless this or a clone calls another function already.
    pub(in crate::session) fn report_waits(&self, waiting: WaitFn) {
        let _ = self.waiting.set(waiting);
    }

    /// Reports a wait, from any thread.
    fn on_wait(&self, wait: KeyWait) -> impl FnOnce() + Send + 'static {
        let waiting = self.waiting.clone();
        move || {
            if let Some(waiting) = waiting.get() {
                waiting(wait);
            }
        }
    }

    /// The key file. With [`KeyBackend::Command`] it is not used.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the keys are.
    pub fn origin(&self) -> KeyOrigin {
        match self.printed_by() {
            Some(program) => KeyOrigin::Command(program),
            None => KeyOrigin::File(self.path.clone()),
        }
    }

    /// The name of the program that prints the keys, if one does.
    pub(super) fn printed_by(&self) -> Option<String> {
        let is_command = self.memory.is_none() && self.config.backend == Some(KeyBackend::Command);
        is_command.then(|| self.config.command.first().cloned().unwrap_or_default())
    }

    pub(super) fn config(&self) -> &KeyConfig {
        &self.config
    }

    /// Where the key is, if there is one. Does not read the key, and runs no program.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::NotAKey`].
    pub fn find(&self) -> Result<Option<KeyLocation>> {
        if self.printed_by().is_some() {
            return Ok(Some(KeyLocation { backend: KeyBackend::Command, origin: self.origin(), entry: None }));
        }
        let found = |file: KeyFile| KeyLocation {
            backend: file.first().backend(),
            origin: self.origin(),
            entry: match file.first() {
                KeyLine::Keyring(id) => Some((os_keyring::SERVICE, id.clone())),
                KeyLine::Named(..) | KeyLine::Plain(_) | KeyLine::Wrapped(_) => None,
            },
        };
        Ok(self.key_file()?.map(found))
    }

    /// The ids of the keys.
    ///
    /// # Errors
    /// If the key file cannot be read, or the program does not print keys.
    pub fn ids(&self) -> Result<Vec<String>> {
        let file = self.keys(None)?;
        Ok(file.iter().flat_map(KeyFile::lines).map(KeyLine::id).collect())
    }

    /// Checks that the key is in the configured backend, if there is a key and a backend is configured.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`], and those of [`find`](Self::find).
    pub fn check_backend(&self) -> Result<()> {
        match self.printed_by() {
            Some(_) => Ok(()),
            None => self.key_file()?.map_or(Ok(()), |file| self.check_line(file.first())),
        }
    }

    /// The backend that a move to `target` would take sessions over from, although another one is configured. `None` if
    /// the move opens no such key.
    ///
    /// # Errors
    /// Those of [`find`](Self::find).
    pub fn moves_from_unconfigured(&self, target: KeyBackend) -> Result<Option<KeyBackend>> {
        if self.printed_by().is_some() {
            return Ok(None);
        }
        let (Some(configured), Some(file)) = (self.config.backend, self.key_file()?) else { return Ok(None) };
        if file.lines().iter().all(|line| line.backend() == target) {
            return Ok(None);
        }
        Ok(file.lines().iter().map(KeyLine::backend).find(|found| *found != configured))
    }

    /// This keystore, which also opens a key that is in another backend than configured.
    pub(in crate::session) fn of_any_backend(&self) -> Self {
        let config = KeyConfig { backend: None, ..KeyConfig::clone(&self.config) };
        Self { config: Arc::new(config), ..self.afresh() }
    }

    /// This keystore without the keys that have opened values: the key file is read for each value.
    pub(in crate::session) fn afresh(&self) -> Self {
        Self { opened: Arc::default(), ..self.clone() }
    }

    fn check_line(&self, line: &KeyLine) -> Result<()> {
        match (self.config.backend, line.backend()) {
            (Some(configured), found) if configured != found && configured != KeyBackend::Command => {
                Err(KeyError::Mismatch { path: self.path.clone(), configured, found })
            }
            _ => Ok(()),
        }
    }

    /// Opens the key, or creates it if there is none.
    pub(in crate::session) fn check_writable(&self, active: Option<&str>) -> Result<()> {
        self.seal_or_create(active).map(drop).map_err(|error| {
            if matches!(error, KeyError::Untrusted { .. }) {
                return error;
            }
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
    /// Those of [`check_backend`](Self::check_backend) and of the backend.
    pub fn check(&self) -> Result<()> {
        self.keys(None)?.map_or(Ok(()), |file| self.open(file.first()).map(drop))
    }

    /// The key with this id, if it has opened a value before. Reads no file.
    pub(in crate::session) fn opened(&self, id: Option<&str>) -> Option<Arc<Seal>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(id?).cloned()
    }

    pub(super) fn remember(&self, seal: Seal) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(seal.id().to_owned(), Arc::new(seal));
    }

    /// Keeps the key from being moved until the file is dropped.
    pub(in crate::session) fn hold(&self) -> Result<Option<File>> {
        match self.memory {
            Some(_) => Ok(None),
            None => lock::shared(&self.lock, &self.privacy, self.on_wait(KeyWait::OtherProcess)).map(Some),
        }
    }

    /// Keeps other processes from using the key until the file is dropped.
    pub(in crate::session) fn hold_alone(&self) -> Result<File> {
        lock::exclusive(&self.lock, &self.privacy, self.on_wait(KeyWait::OtherProcess))
    }

    /// The seal for new values: with the key `active`, or with the first one.
    pub(in crate::session) fn seal(&self, active: Option<&str>) -> Result<HeldSeal> {
        self.held_seal(active)?.ok_or_else(|| match active {
            Some(id) => self.active_not_here(id),
            None => KeyError::Missing { path: self.path.clone() },
        })
    }

    /// The seal for new values. Creates a key if there is none and none is active.
    pub(in crate::session) fn seal_or_create(&self, active: Option<&str>) -> Result<HeldSeal> {
        loop {
            if let Some(held) = self.held_seal(active)? {
                return Ok(held);
            }
            if let Some(id) = active {
                return Err(self.active_not_here(id));
            }
            let _lock = self.hold_alone()?;
            if self.key_file()?.is_none() {
                self.create(self.config.backend.unwrap_or(KeyBackend::File))?;
            }
        }
    }

    fn held_seal(&self, active: Option<&str>) -> Result<Option<HeldSeal>> {
        let lock = self.hold()?;
        let Some(file) = self.keys(active)? else { return Ok(None) };
        let line = match active {
            Some(id) => file.line(id).ok_or_else(|| self.active_not_here(id))?,
            None => file.first(),
        };
        Ok(Some(HeldSeal { seal: self.open(line)?, _lock: lock }))
    }

    pub(super) fn create(&self, backend: KeyBackend) -> Result<()> {
        self.write_key_file(&KeyFile::of(self.store_key(backend, &self.new_key()?)?))
    }

    pub(super) fn new_key(&self) -> Result<DataKey> {
        DataKey::random().map_err(|description| KeyError::System { attempt: "creating a key", description })
    }

    /// The error of a change to keys that a command prints.
    pub(super) fn unchangeable(&self) -> KeyError {
        KeyError::FromCommand { program: self.printed_by().unwrap_or_default() }
    }

    fn active_not_here(&self, id: &str) -> KeyError {
        KeyError::ActiveNotHere { id: id.to_owned(), origin: self.origin() }
    }

    pub(super) fn not_here(&self, id: &str) -> KeyError {
        KeyError::NotHere { id: id.to_owned(), origin: self.origin(), is_shared: self.is_shared }
    }

    /// There is no key file. A key that only this machine had is created again by a sign-in.
    pub(super) fn missing(&self, wanted: Option<&str>) -> KeyError {
        match wanted {
            Some(id) if self.is_shared => self.not_here(id),
            _ => KeyError::Missing { path: self.path.clone() },
        }
    }

    /// The keys, of which `wanted` may have become known since the command was run.
    pub(super) fn keys(&self, wanted: Option<&str>) -> Result<Option<KeyFile>> {
        let file = match self.printed_by() {
            Some(program) => {
                let on_wait = self.on_wait(KeyWait::Keys { program });
                self.printed.keys(wanted, &self.config, on_wait).map(Some)
            }
            None => self.key_file(),
        }?;
        if let Some(file) = &file {
            // A retired key opens nothing any more.
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.retain(|id, _| file.line(id).is_some());
        }
        Ok(file)
    }

    /// The lines of the key file.
    pub(super) fn key_file(&self) -> Result<Option<KeyFile>> {
        if let Some(key) = &self.memory {
            return Ok(Some(KeyFile::of(KeyLine::Plain(key.clone()))));
        }
        let text = match self.privacy.check(&self.path).and_then(|()| fs::read_to_string(&self.path)) {
            Ok(text) => zeroize::Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(KeyError::untrusted(&self.path, &error)
                    .unwrap_or_else(|| KeyError::Unreadable { path: self.path.clone(), source: Arc::new(error) }));
            }
        };
        KeyFile::parse(&text).map(Some).map_err(|invalid| invalid.of(KeyOrigin::File(self.path.clone())))
    }

    /// The seal of a line, if its backend is the configured one.
    pub(super) fn open(&self, line: &KeyLine) -> Result<Seal> {
        self.check_line(line)?;
        self.unlock(line).map(|key| Seal::new(&line.id(), &key))
    }

    /// Reads the key of a line.
    pub(super) fn unlock(&self, line: &KeyLine) -> Result<DataKey> {
        match line {
            KeyLine::Named(_, key) | KeyLine::Plain(key) => Ok(key.clone()),
            KeyLine::Keyring(id) => self.unlock_once(id, || self.load_from_keyring(id)),
            KeyLine::Wrapped(wrapped) => self.unlock_once(&wrapped.id, || {
                let key = wrapped.unwrap(&self.passphrase()?);
                key.ok_or_else(|| KeyError::WrongPassphrase { path: self.path.clone() })
            }),
        }
    }

    /// The key with this id, unlocked before or now.
    fn unlock_once(&self, id: &str, unlock: impl FnOnce() -> Result<DataKey>) -> Result<DataKey> {
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = unlocked.get(id) {
            return Ok(key.clone());
        }
        let key = unlock()?;
        unlocked.insert(id.to_owned(), key.clone());
        Ok(key)
    }

    /// Saves the key in a backend and reads it back. The returned key file is not written yet.
    pub(super) fn store_key(&self, backend: KeyBackend, key: &DataKey) -> Result<KeyLine> {
        let line = match backend {
            KeyBackend::File => KeyLine::Plain(key.clone()),
            KeyBackend::Command => return Err(self.unchangeable()),
            KeyBackend::Keyring => self
                .save_to_keyring(key)
                .map_err(|description| KeyError::KeyringRefused { path: self.path.clone(), description })?,
            KeyBackend::Passphrase => {
                let passphrase = self.passphrase()?;
                let wrapped = passphrase::Wrapped::wrap(key, &passphrase)?;
                if wrapped.unwrap(&passphrase).is_none() {
                    let description = "it cannot be unwrapped".into();
                    return Err(KeyError::System { attempt: "wrapping the key", description });
                }
                KeyLine::Wrapped(wrapped)
            }
        };
        // A passphrase command may ask the user, who should be asked once.
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner).insert(key.id(), key.clone());
        Ok(line)
    }

    fn save_to_keyring(&self, key: &DataKey) -> os_keyring::Result<KeyLine> {
        let id = key.id();
        // An unusable keyring gets no entry, so nothing has to be noted.
        os_keyring::load(&id)?;
        self.note_entry(&id).map_err(|failure| format!("was not used: {failure}"))?;
        os_keyring::save(&id, &key.line())?;
        let kept = os_keyring::load(&id)?.and_then(|text| DataKey::from_line(&text));
        match kept.is_some_and(|kept| kept.id() == id) {
            true => Ok(KeyLine::Keyring(id)),
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
        let on_wait = |program| self.on_wait(KeyWait::Passphrase { program });
        passphrase::read_from(source, &self.config.hidden_variables, &self.path, on_wait)
    }

    /// Replaces the key file durably.
    pub(super) fn write_key_file(&self, file: &KeyFile) -> Result<()> {
        // The lock is held, so an existing draft is a leftover.
        self.privacy
            .replace(&self.path, &self.beside("draft"), &file.text())
            .map_err(|error| KeyError::unwritable(&self.path, error))
    }

    /// A file beside the key file.
    pub(super) fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_added_extension(extension)
    }
}

impl std::fmt::Debug for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystore").field("path", &self.path).finish_non_exhaustive()
    }
}
