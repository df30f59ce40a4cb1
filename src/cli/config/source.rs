//! The positions of keys in the configuration file, for errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::invalid;
use crate::cli::error::CliError;
use nexus::internal::clean::clean;
use nexus::internal::invisible;

/// The file, the section and the lines of a group of keys.
#[derive(Default)]
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

    /// Resolves a path against the folder of the file.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// An error of this key. `why` is the end of the message.
    pub(super) fn invalid(&self, key: &str, why: &str, hint: &str) -> CliError {
        match self.lines.get(key) {
            Some(line) => self.invalid_at(*line, key, why, hint),
            None => invalid(format!("{} {why}", self.origin(key)), hint),
        }
    }

    pub(super) fn invalid_at(&self, line: usize, key: &str, why: &str, hint: &str) -> CliError {
        invalid(format!("{}, line {line}, {why}", self.origin(key)), hint)
    }
}
