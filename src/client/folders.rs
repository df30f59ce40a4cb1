//! Where nexus keeps its things.

use std::path::{Path, PathBuf};

use crate::private_fs::ClosedFn;
use crate::session::SealedSessions;
use crate::session::key::{KeyConfig, Keystore};
use crate::store::SqliteStore;

/// Where nexus keeps its things.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The configuration file.
    pub config: PathBuf,
    /// The folder of the databases.
    pub data: PathBuf,
    /// The folder of locks and caches.
    pub state: PathBuf,
    /// The folder of the key that seals the sessions.
    pub key: PathBuf,
}

impl Folders {
    /// Everything under one folder, as `NEXUS_HOME` does it.
    pub fn under(home: &Path) -> Self {
        Self {
            config: home.join("config.toml"),
            data: home.join("data"),
            state: home.join("state"),
            key: home.join("key"),
        }
    }

    /// The sessions of a SQLite store in these folders, sealed with the key that is there. `clock` gives the time in
    /// Unix seconds; `closed` is called for files that were open to other users. Nothing is read or created yet.
    pub fn sessions(&self, key: KeyConfig, clock: fn() -> i64, closed: ClosedFn) -> SealedSessions {
        let store = SqliteStore::new(&self.data, &self.state, clock).reporting(closed.clone());
        let keys = Keystore::new(&self.key, &self.state).with_config(key).reporting(closed);
        SealedSessions::in_sqlite(store, keys)
    }
}
