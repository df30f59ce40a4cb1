//! Errors of the key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::config::KeyBackend;
use super::value_count::ValueCount;
use crate::error_info::{ErrorClass, ErrorInfo};
use crate::store::FileProblem;
use crate::trusted_file::Untrusted;

/// Where the keys of this machine are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// In this file.
    File(PathBuf),
    /// The program of this name prints them.
    Command(String),
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Command(program) => write!(f, "key_command `{program}`"),
        }
    }
}

/// Why the key to the stored sessions cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There are sessions, but no key file.
    #[error("{}: the key to the stored session is missing", path.display())]
    Missing {
        /// Where the key file belongs.
        path: PathBuf,
    },
    /// The key file cannot be read, or is a symbolic link.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The key file.
        path: PathBuf,
        /// What happened.
        source: Arc<io::Error>,
    },
    /// Another user can change the key file or the file of the passphrase, or replace it.
    #[error("{}: {problem}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why it is not trusted.
        #[source]
        problem: Untrusted,
    },
    /// A line of the key file, or of what the key command prints, is no key.
    #[error("{origin}: line {line} {description}")]
    NotAKey {
        /// Where the line is.
        origin: KeyOrigin,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with the line, as the end of a sentence about it.
        description: String,
    },
    /// A stored value is sealed with a key that this machine does not have.
    #[error("the key `{id}`, which a stored value is sealed with, is not in {origin}")]
    NotHere {
        /// The id of the key.
        id: String,
        /// Where the keys of this machine are.
        origin: KeyOrigin,
        /// Whether other machines may have it.
        is_shared: bool,
    },
    /// The active key of the store, which seals new values, is not on this machine.
    #[error("the store's active key `{id}` is not in {origin}")]
    ActiveNotHere {
        /// The id of the key.
        id: String,
        /// Where the keys of this machine are.
        origin: KeyOrigin,
    },
    /// The named key is not on this machine.
    #[error("there is no key `{id}` in {origin}")]
    Unknown {
        /// The id of the key.
        id: String,
        /// Where the keys of this machine are.
        origin: KeyOrigin,
    },
    /// The key to be retired is the active one.
    #[error("the key `{id}` is the active one, which seals new values")]
    Active {
        /// The id of the key.
        id: String,
    },
    /// The key to be retired is still needed.
    #[error("the key `{id}` is still needed by {values}")]
    InUse {
        /// The id of the key.
        id: String,
        /// The values that are sealed with it, or may be.
        values: ValueCount,
    },
    /// The keys come from a command, so they cannot be changed here.
    #[error("the keys are printed by key_command `{program}`, so nexus cannot change them")]
    FromCommand {
        /// The name of the program.
        program: String,
    },
    /// The key command did not print the keys.
    #[error("cannot get the key: key_command `{program}` {description}")]
    CommandFailed {
        /// The name of the program.
        program: String,
        /// What happened, as the end of a sentence about it.
        description: String,
    },
    /// The command that prints the keys or the passphrase did not end in time.
    #[error("cannot get the key: {setting} `{program}` did not finish within {} seconds", limit.as_secs())]
    CommandTimedOut {
        /// The key of the configuration that names it.
        setting: &'static str,
        /// The name of the program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The key is in another backend than the configuration says. It was not opened, because another user could have
    /// put it there.
    #[error(
        "{}: the key is in the backend `{}`, but `{}` is configured; the key was not opened",
        path.display(), found.as_str(), configured.as_str()
    )]
    Mismatch {
        /// The key file.
        path: PathBuf,
        /// The configured backend.
        configured: KeyBackend,
        /// The backend that the key file names.
        found: KeyBackend,
    },
    /// The key is wrapped with a passphrase, and none is configured.
    #[error("no passphrase source is configured")]
    NoPassphrase,
    /// The passphrase could not be read from its file or command.
    #[error("{}: cannot get the key's passphrase: {description}", path.display())]
    PassphraseMissing {
        /// The key file.
        path: PathBuf,
        /// What happened.
        description: String,
    },
    /// The passphrase is wrong.
    #[error("{}: the passphrase is wrong", path.display())]
    WrongPassphrase {
        /// The key file.
        path: PathBuf,
    },
    /// The operating system's keyring holds the key and cannot be used.
    #[error("{}: the key is in the operating system's keyring, which {description}", path.display())]
    KeyringUnusable {
        /// The key file.
        path: PathBuf,
        /// What happened, as the end of a sentence.
        description: String,
    },
    /// The keyring has no entry for the key.
    #[error(
        "{}: the operating system's keyring has no entry for the key (service `{service}`, user `{user}`)",
        path.display()
    )]
    KeyringEntryMissing {
        /// The key file.
        path: PathBuf,
        /// The entry's service.
        service: &'static str,
        /// The entry's user name.
        user: String,
    },
    /// The keyring did not accept the key.
    #[error("{}: the key was not moved: the operating system's keyring {description}", path.display())]
    KeyringRefused {
        /// The key file.
        path: PathBuf,
        /// What the keyring did.
        description: String,
    },
    /// The key file cannot be written.
    #[error("{}: the key cannot be written: {problem}", path.display())]
    Unwritable {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it, its folder or its disk.
        #[source]
        problem: FileProblem,
    },
    /// The key's folder cannot be created or written.
    #[error("{}: {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: FileProblem,
    },
    /// The lock on the key cannot be taken.
    #[error("{}: {}", path.display(), lock_problem(source.as_deref()))]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What happened. `None` if another process holds the lock for too long.
        source: Option<Arc<io::Error>>,
    },
    /// The operating system returned no random bytes or no memory.
    #[error("{attempt}: {description}")]
    System {
        /// What was attempted.
        attempt: &'static str,
        /// What happened.
        description: String,
    },
}

fn lock_problem(source: Option<&io::Error>) -> String {
    source.map_or_else(
        || "another nexus process is using the key".to_owned(),
        |error| format!("the lock cannot be acquired: {error}"),
    )
}

impl KeyError {
    /// An error while `path` was written.
    pub(super) fn unwritable(path: &Path, error: io::Error) -> Self {
        Self::untrusted(path, &error).unwrap_or_else(|| {
            let problem = FileProblem::of_disk(&error, path).unwrap_or_else(|| FileProblem::Refused(Arc::new(error)));
            Self::Unwritable { path: path.to_owned(), problem }
        })
    }

    /// The error of a file that is not trusted, if this is why.
    pub(super) fn untrusted(path: &Path, error: &io::Error) -> Option<Self> {
        let problem = Untrusted::of(error)?.clone();
        Some(Self::Untrusted { path: path.to_owned(), problem })
    }
}

impl ErrorInfo for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Mismatch { .. } => "key_mismatch",
            Self::NotHere { .. } | Self::ActiveNotHere { .. } | Self::Unknown { .. } => "key_missing",
            Self::Active { .. } | Self::InUse { .. } => "key_in_use",
            Self::NoPassphrase | Self::FromCommand { .. } => "configuration",
            Self::Untrusted { .. } => "untrusted_file",
            Self::System { .. } => "system",
            _ => "store",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Mismatch { .. } | Self::NoPassphrase | Self::FromCommand { .. } | Self::Untrusted { .. } => {
                ErrorClass::Configuration
            }
            // A sign-in creates a new key.
            Self::Missing { .. } => ErrorClass::SignIn,
            // What it asks may be away.
            Self::CommandTimedOut { .. } => ErrorClass::Temporary,
            _ => ErrorClass::Permanent,
        }
    }
}
