//! The key that seals the sessions: who keeps it, how it is made, and how it moves.
//!
//! One data key seals every row, and it stays the same for as long as the store lives. One file,
//! `session.key`, is the truth about it: it holds the key itself, or says that the keyring keeps it,
//! or holds it wrapped with a passphrase (`record.rs`). The configuration's `key` only says where it
//! *should* be: that decides where a new key is made, and where the two differ a warning names the
//! cure. So a move rewrites no row. It lays the key down in its new place, proves that it can be
//! read from there, switches by renaming one file over another, and only then clears the old place:
//! whenever it is killed, `session.key` leads to the key.
//!
//! What a killed move can leave behind is an entry in the keyring that nothing leads to. Before an
//! entry is written its id is written into `session.key.entry`; the next move finds it and clears up.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Failure, Result};
use crate::private_fs::{self, Privacy};
use crate::provider::Name;
use crate::session::seal::Seal;
use crate::store::database;

mod config;
mod os_keyring;
mod passphrase;
pub(super) mod record;
mod turn;
mod within;

pub use config::{Keeper, Keeping, PassphraseSource};
use record::{DataKey, Record};

/// Where the key is found, made and moved.
#[derive(Clone)]
pub struct Keystore {
    path: PathBuf,
    lock: PathBuf,
    keeping: Arc<Keeping>,
    /// Whose session is asked for, as a command line has to say it.
    option: Arc<str>,
    privacy: Privacy,
    /// The key that was asked of a keyring or unwrapped, so that it is asked for once a process.
    /// It is recognised by its id, whoever keeps it by now.
    opened: Arc<Mutex<Option<(String, DataKey)>>>,
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who keeps it.
    pub keeper: Keeper,
    /// The file that leads to it.
    pub path: PathBuf,
    /// The entry in the keyring, if that keeps it: its service and user name.
    pub entry: Option<(&'static str, String)>,
}

/// What a move came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// There was no key; a new one was made there.
    Made,
    /// The key was there already.
    Already,
    /// It is there now.
    From(Keeper),
}

impl Keystore {
    /// The key of these folders. Nothing is read or made yet.
    pub(super) fn new(folder: &Path, locks: &Path) -> Self {
        Self {
            path: folder.join("session.key"),
            lock: locks.join("key.lock"),
            keeping: Arc::default(),
            option: Arc::default(),
            privacy: Privacy::default(),
            opened: Arc::default(),
        }
    }

    /// The same, kept as the configuration says.
    pub(super) fn keeping(self, keeping: Keeping) -> Self {
        Self { keeping: Arc::new(keeping), ..self }
    }

    /// The same, asked for the sake of a session with this provider.
    pub(super) fn naming(self, provider: &Name) -> Self {
        Self { option: provider.option().into(), ..self }
    }

    /// The same, with a word about what had to be mended.
    pub(super) fn guarded(self, privacy: Privacy) -> Self {
        Self { privacy, ..self }
    }

    /// The file that leads to the key.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who keeps the key, if there is one, without asking for it.
    ///
    /// # Errors
    /// [`Failure::Store`] where the file is somebody else's, or leads to no key.
    pub fn find(&self) -> Result<Option<Found>> {
        let found = |record: Record| Found {
            keeper: record.keeper(),
            path: self.path.clone(),
            entry: match record {
                Record::Keyring(id) => Some((os_keyring::SERVICE, id)),
                Record::Plain(_) | Record::Wrapped(_) => None,
            },
        };
        Ok(self.record()?.map(found))
    }

    /// What to tell a person whose configuration says something else than the key file.
    pub fn mismatch(&self) -> Option<String> {
        let wanted = self.keeping.keeper?;
        // A key file that cannot be read is a failure of whoever needs the key.
        let keeper = self.record().ok()??.keeper();
        (keeper != wanted).then(|| {
            let (wanted, keeper) = (wanted.as_str(), keeper.as_str());
            format!(
                "config.toml says `key = \"{wanted}\"`, but the key is kept by `{keeper}`, and that is used: \
                 run `nexus key move {wanted}`, or write `key = \"{keeper}\"`"
            )
        })
    }

    /// Makes sure that the key opens, if there is one.
    ///
    /// # Errors
    /// As [`find`](Self::find), and where its keeper does not give it.
    pub fn check(&self) -> Result<()> {
        self.open().map(drop)
    }

    pub(super) fn open(&self) -> Result<Option<Seal>> {
        let Some(record) = self.record()? else { return Ok(None) };
        self.follow(record).map(|key| Some(Seal::new(&key)))
    }

    /// The key that a record leads to, or led to until it was moved: between the two looks another
    /// process may have moved it and cleared its old place, and that is no loss.
    fn follow(&self, record: Record) -> Result<DataKey> {
        let line = record.line();
        self.unlock(record).or_else(|lost| match self.record() {
            Ok(Some(moved)) if moved.line() != line => self.unlock(moved),
            _ => Err(lost),
        })
    }

    pub(super) fn open_or_make(&self) -> Result<Seal> {
        if let Some(seal) = self.open()? {
            return Ok(seal);
        }
        let _turn = self.turn()?;
        match self.open()? {
            Some(seal) => Ok(seal),
            None => self.make(self.keeping.keeper.unwrap_or(Keeper::File)).map(|key| Seal::new(&key)),
        }
    }

    /// Moves the key to another keeper; where there is none, makes it there. What a killed move
    /// left behind is cleared up. Gives what came of it, and what could not be cleared up.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the new keeper does not take it; then the key is found where it
    /// was, or, if only the disk could not be made to say so, where it was to go.
    pub fn move_to(&self, keeper: Keeper) -> Result<(Moved, Option<String>)> {
        let _turn = self.turn()?;
        let Some(record) = self.record()? else {
            self.make(keeper)?;
            return Ok((Moved::Made, None));
        };
        let was = record.keeper();
        if was == keeper {
            return Ok((Moved::Already, self.clear_up()));
        }
        if let Record::Keyring(id) = &record {
            // One that came here by a copied file may have been filed by another machine's nexus.
            self.note_entry(id)?;
        }
        let key = self.unlock(record)?;
        self.put(&self.lay_down(keeper, &key)?)?;
        Ok((Moved::From(was), self.clear_up()))
    }

    fn make(&self, keeper: Keeper) -> Result<DataKey> {
        let key = DataKey::random()?;
        self.put(&self.lay_down(keeper, &key)?)?;
        Ok(key)
    }

    /// The line of the key file.
    fn record(&self) -> Result<Option<Record>> {
        let text = match self.privacy.check(&self.path).and_then(|()| fs::read_to_string(&self.path)) {
            Ok(text) => zeroize::Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.lost(error.to_string())),
        };
        Record::parse(&text).map(Some).ok_or_else(|| self.lost("this is no nexus key"))
    }

    /// The key that a record leads to.
    fn unlock(&self, record: Record) -> Result<DataKey> {
        let id = match &record {
            Record::Plain(_) => None,
            Record::Keyring(id) => Some(id.clone()),
            Record::Wrapped(wrapped) => Some(wrapped.id.clone()),
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(id), Some((known, key))) = (&id, &*opened)
            && id == known
        {
            return Ok(key.clone());
        }
        let key = match record {
            Record::Plain(key) => return Ok(key),
            Record::Keyring(id) => self.ask_keyring(&id)?,
            Record::Wrapped(wrapped) => wrapped.unwrap(&self.passphrase()?).ok_or_else(|| Failure::Store {
                path: self.path.clone(),
                why: "the passphrase does not open the key".into(),
                cure: format!(
                    "mend `passphrase_file` or `passphrase_command` in config.toml; if the passphrase is lost, {}",
                    self.start_anew()
                ),
            })?,
        };
        *opened = id.map(|id| (id, key.clone()));
        Ok(key)
    }

    /// Hands the key to its keeper and proves that it can be had back. Nothing leads there yet.
    fn lay_down(&self, keeper: Keeper, key: &DataKey) -> Result<Record> {
        match keeper {
            Keeper::File => Ok(Record::Plain(key.clone())),
            Keeper::Keyring => self.tell_keyring(key).map_err(|why| Failure::Store {
                path: self.path.clone(),
                why: format!("the key was not moved: the operating system's keyring {why}"),
                cure: format!("{}, or choose `nexus key move passphrase`", os_keyring::WAY_IN),
            }),
            Keeper::Passphrase => {
                let passphrase = self.passphrase()?;
                let wrapped = passphrase::Wrapped::wrap(key, &passphrase)?;
                match wrapped.unwrap(&passphrase) {
                    Some(_) => Ok(Record::Wrapped(wrapped)),
                    None => Err(Failure::System { sentence: "the key did not open again after it was wrapped".into() }),
                }
            }
        }
    }

    fn tell_keyring(&self, key: &DataKey) -> os_keyring::Asked<Record> {
        let id = key.id();
        // A keyring that cannot even be read will hold no entry that would have to be noted.
        os_keyring::load(&id)?;
        self.note_entry(&id).map_err(|failure| format!("was not asked: {failure}"))?;
        os_keyring::save(&id, &key.line())?;
        let kept = os_keyring::load(&id)?.and_then(|text| DataKey::from_line(&text));
        match kept.is_some_and(|kept| kept.id() == id) {
            true => Ok(Record::Keyring(id)),
            false => Err("gave something else back than it was given".into()),
        }
    }

    fn ask_keyring(&self, id: &str) -> Result<DataKey> {
        let text = os_keyring::load(id).map_err(|why| Failure::Store {
            path: self.path.clone(),
            why: format!("the operating system's keyring keeps the key and {why}"),
            cure: format!(
                "{} (`nexus key move file` there takes the key out of it), or {}",
                os_keyring::WAY_IN,
                self.start_anew()
            ),
        })?;
        let key = text.and_then(|text| DataKey::from_line(&text)).filter(|key| key.id() == id);
        key.ok_or_else(|| {
            let service = os_keyring::SERVICE;
            self.lost(format!("the operating system's keyring has no such key (service `{service}`, user `{id}`)"))
        })
    }

    fn passphrase(&self) -> Result<crate::secret::Passphrase> {
        let source = self.keeping.passphrase.as_ref().ok_or_else(|| Failure::Configuration {
            sentence: "the key is wrapped with a passphrase, and config.toml does not say where that comes from".into(),
            cure: "write `passphrase_file = \"...\"` or `passphrase_command = \"...\"` at the top of config.toml"
                .into(),
        })?;
        passphrase::ask(source).map_err(|why| Failure::Store {
            path: self.path.clone(),
            why: format!("the key's passphrase is missing: {why}"),
            cure: "mend `passphrase_file` or `passphrase_command` in config.toml, then run the command again".into(),
        })
    }

    /// Writes the key file. Its folder is synced before anything old is cleared away.
    fn put(&self, record: &Record) -> Result<()> {
        // A draft can only be what a killed process left behind: this one has the turn.
        self.privacy.replace(&self.path, &self.beside("draft"), &record.line()).map_err(|error| self.unwritable(&error))
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
        noted.map_err(|error: io::Error| self.unwritable(&error))
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
            if matches!(self.record(), Ok(Some(Record::Keyring(_)))) {
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

    fn start_anew(&self) -> String {
        format!("remove {} and {}", self.path.display(), self.sign_in_anew())
    }

    /// What to type where a session is lost to its key.
    pub(super) fn sign_in_anew(&self) -> String {
        format!("run `nexus oauth start{}` to sign in anew", self.option)
    }

    fn lost(&self, why: impl Into<String>) -> Failure {
        Failure::Store {
            path: self.path.clone(),
            why: why.into(),
            cure: format!("put the right key back, or {}", self.start_anew()),
        }
    }

    fn unwritable(&self, error: &io::Error) -> Failure {
        let (why, cure) = database::lacking(error, &self.path, ", then run the command again").unwrap_or_else(|| {
            (error.to_string(), "make its folder yours and writable, then run the command again".into())
        });
        Failure::Store { path: self.path.clone(), why: format!("the key cannot be written: {why}"), cure }
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
        let keystore = Keystore::new(&home.path().join("key"), &home.path().join("locks"));
        let key = DataKey::random().unwrap();
        // Nothing here says where the passphrase comes from, so this leads nowhere by itself.
        let passphrase = crate::secret::Passphrase::new("correct horse".into());
        let wrapped = || Record::Wrapped(passphrase::Wrapped::wrap(&key, &passphrase).unwrap());
        keystore.put(&wrapped()).unwrap();
        let seen = keystore.record().unwrap().unwrap();
        keystore.put(&Record::Plain(key.clone())).unwrap();
        assert_eq!(keystore.follow(seen).unwrap().id(), key.id());
        let seen = wrapped();
        keystore.put(&seen).unwrap();
        assert!(keystore.follow(seen).is_err(), "what was not moved is missing");
    }
}
