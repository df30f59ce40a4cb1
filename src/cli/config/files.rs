//! The configuration files: the user's, and the system's below it.

use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The paths of the configuration files. Dereferences to the user's file, which is the only one that nexus changes.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFiles {
    user: PathBuf,
    system: Option<PathBuf>,
}

impl ConfigFiles {
    /// The user's file alone.
    pub(crate) fn of_user(user: impl Into<PathBuf>) -> Self {
        Self { user: user.into(), system: None }
    }

    /// The user's file, whose keys replace those of the system's file.
    pub(crate) fn above(system: Option<PathBuf>, user: impl Into<PathBuf>) -> Self {
        Self { user: user.into(), system }
    }

    /// The system's file, if it may be read.
    pub(crate) fn system(&self) -> Option<&Path> {
        self.system.as_deref()
    }

    /// The paths, the user's first.
    pub(super) fn upper_first(&self) -> impl Iterator<Item = &Path> {
        [&*self.user].into_iter().chain(self.system())
    }
}

impl Deref for ConfigFiles {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.user
    }
}
