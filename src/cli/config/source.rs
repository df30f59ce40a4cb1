//! Where configured keys stand in the file, so that errors can say so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::invalid;
use crate::cli::error::CliError;
use nexus::internal::clean::clean;

/// Where a group of keys stands: the file, the section and the line of each key. Errors name them.
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

    /// A key with its section, as it may be printed.
    pub(super) fn full(&self, key: &str) -> String {
        if self.section.is_empty() { clean(key) } else { clean(&format!("{}.{key}", self.section)) }
    }

    /// A key with its section and file, as it may be printed.
    pub(super) fn origin(&self, key: &str) -> String {
        format!("`{}` in {}", self.full(key), self.path.display())
    }

    /// Whether the file has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// A path from the file: a relative one starts at the file's own folder.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// The error of a key that the file has. `why` is the end of the message.
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
