//! The folders of a SQLite store and its key.

use std::io;
use std::path::{Path, PathBuf};

use super::Client;
use crate::private_fs::{ClosedFn, Privacy};
use crate::provider::ProviderConfig;
use crate::session::key::{KeyConfig, Keystore};
use crate::session::{Notice, NoticeFn, SealedSessions};
use crate::store::{FileProblem, SqliteStore, StoreError};

/// The folders of a SQLite store and its key.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The databases.
    pub data: PathBuf,
    /// Locks and caches.
    pub state: PathBuf,
    /// The key that seals the sessions.
    pub key: PathBuf,
}

impl Folders {
    /// The folders `data`, `state` and `key` in one folder.
    pub fn under(home: &Path) -> Self {
        Self { data: home.join("data"), state: home.join("state"), key: home.join("key") }
    }

    /// The folders of the store in this SQLite file: these, if it is in their `data`, or those around another folder of
    /// this name. A file anywhere else has its locks beside it and the key of these.
    #[doc(hidden)]
    pub fn around(&self, path: &Path) -> Self {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let data = path.parent().unwrap_or(path);
        if canonical(data) == canonical(&self.data) {
            return self.clone();
        }
        match data.parent() {
            Some(home) if data.file_name().is_some_and(|name| name == "data") => Self::under(home),
            _ => Self { data: data.to_owned(), state: data.to_owned(), key: self.key.clone() },
        }
    }

    /// The first of the folders that cannot be written, or cannot be created. Nothing is created.
    pub fn read_only(&self) -> Option<&Path> {
        self.unwritable().map(|(folder, _)| folder)
    }

    /// Checks that the folders can be written, or created, and that the disk has space. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::File`] with the folder.
    #[doc(hidden)]
    pub fn check_writable(&self) -> Result<(), StoreError> {
        if let Some((folder, error)) = self.unwritable() {
            let problem = format!("this folder cannot be written to: {error}");
            return Err(StoreError::file(
                folder,
                FileProblem::Folder { existing: existing(folder).to_owned(), problem },
            ));
        }
        match has_space(existing(&self.data)) {
            true => Ok(()),
            false => Err(StoreError::file(&self.data, FileProblem::DiskFull)),
        }
    }

    fn unwritable(&self) -> Option<(&Path, io::Error)> {
        let folders = [&self.data, &self.state, &self.key].into_iter().map(PathBuf::as_path);
        folders.filter_map(|folder| Some((folder, check_writable(existing(folder)).err()?))).next()
    }

    /// The sessions of a SQLite store in these folders, sealed with the key that is there. `clock` gives the time in
    /// Unix seconds; `closed` is called for files that were open to other users. Nothing is read or created yet.
    pub fn sessions(&self, key: KeyConfig, clock: fn() -> i64, closed: ClosedFn) -> SealedSessions {
        self.sessions_in(&self.data.join(SqliteStore::FILE), key, clock, Privacy::default().reporting(closed))
    }

    /// [`sessions`](Self::sessions) in a file in the folder `data`, which this path leads to.
    #[doc(hidden)]
    pub fn sessions_in(&self, path: &Path, key: KeyConfig, clock: fn() -> i64, privacy: Privacy) -> SealedSessions {
        let path = path.file_name().map_or_else(|| path.to_owned(), |name| self.data.join(name));
        let privacy = privacy.with_root(&self.state);
        let store = SqliteStore::at(path, &self.state, clock).with_privacy(privacy.clone());
        let keys = Keystore::new(&self.key, &self.state).with_config(key).with_privacy(privacy);
        SealedSessions::in_sqlite(store, keys)
    }
}

/// How much space a refresh needs on the disk, in bytes.
#[cfg(unix)]
const SPACE: u64 = 512 * 1024;

/// This folder, or its nearest ancestor that exists.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder)
}

fn check_writable(folder: &Path) -> io::Result<()> {
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        Ok(accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
    }
    #[cfg(not(unix))]
    match folder.metadata()?.permissions().readonly() {
        true => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        false => Ok(()),
    }
}

/// Whether the disk has space for a session. `true` where that is not known.
fn has_space(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(folder);
        found.map_or(true, |found| found.f_bavail.saturating_mul(found.f_frsize) >= SPACE)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        true
    }
}

impl Client {
    /// A client with sessions in a SQLite store in these folders, and the key in a file. Nothing is read, created or
    /// contacted yet; [`check_writable`](Self::check_writable) tells whether a session could be saved.
    ///
    /// `clock` gives Unix seconds, as [`now`](crate::now) does; `notice` is for a log.
    pub fn new(provider: ProviderConfig, folders: &Folders, clock: fn() -> i64, notice: NoticeFn) -> Self {
        let sessions = folders.sessions(KeyConfig::default(), clock, Notice::of_closed_files(notice.clone()));
        Self::with_sessions(provider, sessions, clock, notice)
    }
}
