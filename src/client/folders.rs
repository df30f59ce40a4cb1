//! Where nexus keeps its things.

use std::path::{Path, PathBuf};

use crate::session::vault::Vault;

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

    /// The store in these folders.
    pub fn vault(&self) -> Vault {
        Vault::new(&self.data, &self.key, &self.state)
    }
}
