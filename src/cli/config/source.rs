//! The positions of keys in the configuration file, for errors.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{io, mem};

use zeroize::Zeroizing;

use super::checks::{visible, warn_if_readable};
use super::{Variables, invalid};
use crate::cli::error::{CliError, Result};
use crate::cli::text::{decode, other_encoding};
use nexus::internal::clean::clean;
use nexus::internal::{invisible, trusted_file};

/// The file, the section and the lines of a group of keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    /// The user's file.
    path: PathBuf,
    /// Empty at the top of the file, else `provider.NAME`.
    pub(super) section: String,
    keys: BTreeMap<&'static str, Place>,
}

/// Where a key is.
#[derive(Debug, Clone)]
struct Place {
    path: Arc<Path>,
    line: usize,
}

impl Source {
    pub(super) fn new(path: &Path, section: String) -> Self {
        Self { path: path.to_owned(), section, keys: BTreeMap::new() }
    }

    /// Remembers where a key is.
    pub(super) fn add(&mut self, key: &'static str, path: &Arc<Path>, line: usize) {
        self.keys.insert(key, Place { path: path.clone(), line });
    }

    fn place(&self, key: &str) -> Option<&Place> {
        self.keys.get(key.split_once('.').map_or(key, |(row, _)| row))
    }

    /// The file that has a key.
    pub(super) fn path_of(&self, key: &str) -> &Path {
        self.place(key).map_or(&self.path, |place| &place.path)
    }

    /// A key with its section, without control characters and with invisible ones made visible.
    pub(super) fn full(&self, key: &str) -> String {
        let full = if self.section.is_empty() { key.to_owned() } else { format!("{}.{key}", self.section) };
        invisible::shown(&clean(&full)).into_owned()
    }

    pub(super) fn origin(&self, key: &str) -> String {
        format!("`{}` in {}", self.full(key), self.path_of(key).display())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Resolves the path that is the value of a key, against the folder of the key's file. `~/` is the home folder.
    pub(super) fn beside(&self, key: &str, path: &Path) -> PathBuf {
        if let (Ok(below), Some(home)) = (path.strip_prefix("~"), std::env::home_dir()) {
            return home.join(below);
        }
        self.path_of(key).parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// The secret in the environment variable that this key names. `what` names it in the hint.
    pub(super) fn variable(&self, key: &str, name: &str, what: &str, variables: Variables<'_>) -> Result<String> {
        let Some(secret) = variables(name) else {
            let why = format!("is in the environment variable `{name}`, which is not set");
            return Err(self.invalid(key, &why, &format!("set {name} to {what}")));
        };
        visible(name, invisible::inside(&secret, true))?;
        Ok(secret)
    }

    /// The content of the file that this key points to, if it is trusted. `create` is the hint if there is no file.
    pub(super) fn read(&self, key: &str, path: &Path, create: &str) -> Result<Zeroizing<Vec<u8>>> {
        let full = self.beside(key, path);
        let unreadable =
            |why: &dyn Display, hint: &str| self.unusable(key, path, &format!("cannot be read: {why}"), hint);
        let bytes = trusted_file::read(&full).map_err(|error| {
            CliError::untrusted(&full, &error).unwrap_or_else(|| match error.kind() {
                io::ErrorKind::NotFound => unreadable(&error, create),
                _ => unreadable(&error, "make it a readable file"),
            })
        })?;
        other_encoding(&bytes).map_or(Ok(bytes), |why| Err(unreadable(&why, &why.hint())))
    }

    /// The secret in the file that this key points to, without invisible characters at its ends. `what` names it in
    /// hints. Adds a warning if other users can read the file.
    pub(super) fn read_secret(
        &self,
        key: &str,
        path: &Path,
        what: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Zeroizing<String>> {
        let mut bytes = self.read(key, path, &format!("create the file with only {what} in it"))?;
        warn_if_readable(&self.beside(key, path), warnings);
        let unusable = |why: &str, hint: &str| self.unusable(key, path, why, hint);
        let text = decode(mem::take(&mut *bytes)).map(Zeroizing::new);
        let text = text.map_err(|why| unusable(&format!("cannot be read: {why}"), &why.hint()))?;
        match invisible::trim(&text) {
            "" => Err(unusable("is empty", &format!("write only {what} into the file"))),
            secret => Ok(Zeroizing::new(secret.to_owned())),
        }
    }

    /// An error of the file that this key points to. `why` is the end of the message.
    pub(super) fn unusable(&self, key: &str, path: &Path, why: &str, hint: &str) -> CliError {
        self.invalid(key, &format!("points to {}, which {why}", self.beside(key, path).display()), hint)
    }

    /// An error of this key, or of the entry `KEY.NAME` of its table. `why` is the end of the message.
    pub(super) fn invalid(&self, key: &str, why: &str, hint: &str) -> CliError {
        match self.place(key) {
            Some(place) => self.invalid_at(place.line, key, why, hint),
            None => invalid(format!("{} {why}", self.origin(key)), hint),
        }
    }

    pub(super) fn invalid_at(&self, line: usize, key: &str, why: &str, hint: &str) -> CliError {
        invalid(format!("{}, line {line}, {why}", self.origin(key)), hint)
    }
}
