//! The paths of the configuration, data and state.

use std::path::PathBuf;

use nexus::Folders;

use crate::cli::environment::variable;
use crate::cli::error::{CliError, Result};

pub(crate) struct Paths {
    pub(crate) config: PathBuf,
    pub(crate) folders: Folders,
}

impl Paths {
    /// Under `NEXUS_HOME` if that is set, else in the platform's directories.
    pub(crate) fn find() -> Result<Self> {
        if let Some(home) = variable("NEXUS_HOME") {
            let home = std::path::absolute(&home).unwrap_or_else(|_| PathBuf::from(&home));
            return Ok(Self { config: home.join("config.toml"), folders: Folders::under(&home) });
        }
        let found = directories::ProjectDirs::from("", "", "nexus").ok_or_else(|| CliError::Configuration {
            message: "this account has no home folder".into(),
            hint: "set HOME, or set NEXUS_HOME to a folder for nexus".into(),
        })?;
        let state = found.state_dir().unwrap_or_else(|| found.data_local_dir()).to_owned();
        let folders = Folders { data: found.data_local_dir().to_owned(), key: state.join("key"), state };
        Ok(Self { config: found.config_dir().join("config.toml"), folders })
    }

    /// Paths at which there is nothing and nothing can be written.
    pub(crate) fn nowhere() -> Self {
        Self { config: PathBuf::new(), folders: Folders::under(&PathBuf::new()) }
    }
}
