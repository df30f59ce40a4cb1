//! The paths of the configuration, data and state.

use std::path::PathBuf;

use nexus::Folders;

use crate::cli::config::ConfigFiles;
use crate::cli::environment::{self, variable};
use crate::cli::error::{CliError, Result};

pub(crate) struct Paths {
    pub(crate) config: ConfigFiles,
    pub(crate) folders: Folders,
}

impl Paths {
    /// Under `NEXUS_HOME` if that is set, else in the platform's directories.
    ///
    /// # Errors
    /// [`CliError::Configuration`] if a variable of nexus is not UTF-8, or if the account has no home folder.
    pub(crate) fn find() -> Result<Self> {
        environment::check_utf8()?;
        Self::of_account()
    }

    /// [`find`](Self::find). For an account without a home folder, paths at which there is nothing and nothing can be
    /// written, and the error.
    ///
    /// # Errors
    /// [`CliError::Configuration`] if a variable of nexus is not UTF-8.
    pub(crate) fn find_or_nowhere() -> Result<(Self, Option<CliError>)> {
        environment::check_utf8()?;
        let nowhere = || Self {
            config: ConfigFiles::above(system_file(), PathBuf::new()),
            folders: Folders::under(&PathBuf::new()),
        };
        Ok(Self::of_account().map_or_else(|no_home| (nowhere(), Some(no_home)), |paths| (paths, None)))
    }

    fn of_account() -> Result<Self> {
        if let Some(home) = variable("NEXUS_HOME") {
            let home = std::path::absolute(&home).unwrap_or_else(|_| PathBuf::from(&home));
            return Ok(Self { config: ConfigFiles::of_user(home.join("config.toml")), folders: Folders::under(&home) });
        }
        let found = directories::ProjectDirs::from("", "", "nexus").ok_or_else(|| CliError::Configuration {
            message: "this account has no home folder".into(),
            hint: "set HOME, or set NEXUS_HOME to a folder for nexus".into(),
        })?;
        let state = found.state_dir().unwrap_or_else(|| found.data_local_dir()).to_owned();
        let folders = Folders { data: found.data_local_dir().to_owned(), key: state.join("key"), state };
        let config = ConfigFiles::above(system_file(), found.config_dir().join("config.toml"));
        Ok(Self { config, folders })
    }
}

/// The configuration file of the system, which an administrator writes.
fn system_file() -> Option<PathBuf> {
    cfg!(target_os = "linux").then(|| PathBuf::from("/etc/nexus/config.toml"))
}
