//! The positions of keys in the configuration file, for errors.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::invalid;
use crate::cli::error::{CliError, Result};
use crate::cli::text::other_encoding;
use nexus::internal::clean::clean;
use nexus::internal::{invisible, trusted_file};

/// The file, the section and the lines of a group of keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Empty at the top of the file, else `provider.NAME`.
    pub(super) section: String,
    pub(super) lines: BTreeMap<&'static str, usize>,
}

impl Source {
    pub(super) fn new(path: &Path, section: String) -> Self {
        Self { path: path.to_owned(), section, lines: BTreeMap::new() }
    }

    /// A key with its section, without control characters and with invisible ones made visible.
    pub(super) fn full(&self, key: &str) -> String {
        let full = if self.section.is_empty() { key.to_owned() } else { format!("{}.{key}", self.section) };
        invisible::shown(&clean(&full)).into_owned()
    }

    pub(super) fn origin(&self, key: &str) -> String {
        format!("`{}` in {}", self.full(key), self.path.display())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Resolves a path against the folder of the file. `~/` is the home folder.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        if let (Ok(below), Some(home)) = (path.strip_prefix("~"), std::env::home_dir()) {
            return home.join(below);
        }
        self.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// The content of the file that this key points to, if it is trusted.
    pub(super) fn read(&self, key: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let path = self.beside(path);
        let bytes = trusted_file::read(&path).map_err(|error| {
            if let Some(untrusted) = CliError::untrusted(&path, &error) {
                return untrusted;
            }
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "create the file, or correct the path",
                _ => "make it a readable file",
            };
            self.invalid(key, &format!("points to {}, which cannot be read: {error}", path.display()), hint)
        })?;
        match other_encoding(&bytes) {
            Some(why) => {
                let problem = format!("points to {}, which cannot be read: {why}", path.display());
                Err(self.invalid(key, &problem, &why.hint()))
            }
            None => Ok(bytes),
        }
    }

    /// An error of this key, or of the entry `KEY.NAME` of its table. `why` is the end of the message.
    pub(super) fn invalid(&self, key: &str, why: &str, hint: &str) -> CliError {
        let row = key.split_once('.').map_or(key, |(row, _)| row);
        match self.lines.get(row) {
            Some(line) => self.invalid_at(*line, key, why, hint),
            None => invalid(format!("{} {why}", self.origin(key)), hint),
        }
    }

    pub(super) fn invalid_at(&self, line: usize, key: &str, why: &str, hint: &str) -> CliError {
        invalid(format!("{}, line {line}, {why}", self.origin(key)), hint)
    }
}
