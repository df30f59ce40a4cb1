//! Errors of a store.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error_info::{ErrorClass, ErrorInfo};
use crate::time;
use crate::trusted_file::Untrusted;

/// Any other error as a cause. Shared, so that errors can be cloned.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why an operation of a store failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The session's lock was not free within the time given.
    #[error("another nexus process has been refreshing this session for {}", time::span(time::rounded_up(*waited)))]
    Busy {
        /// How long was waited.
        waited: Duration,
    },
    /// The stored session has another generation than the write expects. Nothing was written.
    #[error("the stored session was replaced by another process")]
    Superseded,
    /// The lock was lost before the write. Nothing was written.
    #[error("the lock on the session was lost")]
    LockLost,
    /// A file of the store cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: FileProblem,
    },
    /// The store is unavailable, and the same call may succeed later. For stores over a network.
    #[error("the session store is unavailable: {0}")]
    Unavailable(#[source] Cause),
    /// A database server cannot be used as a store.
    #[error("{store}: {problem}")]
    Server {
        /// The store, without a password.
        store: String,
        /// What is wrong with it.
        #[source]
        problem: ServerProblem,
    },
    /// The store failed, and repeating the call does not help.
    #[error("the session store failed: {0}")]
    Failed(#[source] Cause),
}

impl StoreError {
    /// An error about one file.
    pub fn file(path: &Path, problem: FileProblem) -> Self {
        Self::File { path: path.to_owned(), problem }
    }

    /// Whether the store cannot be reached now. Nothing is known about what it stores.
    pub fn is_unavailable(&self) -> bool {
        use ServerProblem::{TooManyConnections, Unreachable};
        matches!(self, Self::Unavailable(_) | Self::Server { problem: Unreachable(_) | TooManyConnections, .. })
    }
}

/// Why a database server cannot be used as a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerProblem {
    /// The server cannot be reached. Retrying may help.
    #[error("the session store cannot be reached: {0}")]
    Unreachable(String),
    /// The server has no free connection. Retrying may help.
    #[error("the server has no free connection")]
    TooManyConnections,
    /// The server's certificate is not valid for it.
    #[error("the server is not trusted: {0}")]
    Untrusted(String),
    /// The server does not speak TLS.
    #[error("the server does not support TLS")]
    NoTls,
    /// The file with the certificate authorities cannot be used.
    #[error("the file of `sslrootcert` cannot be used: {0}")]
    Authorities(String),
    /// The server or a pooler does not accept the user, the password, the name of the database or a parameter.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// The user lacks a right in the database.
    #[error("the server refused a statement: {0}")]
    NotPermitted(String),
    /// The user lacks rights on tables of the database.
    #[error("the user of the store lacks rights in the database: {0}")]
    MissingRights(String),
    /// The user's transactions are read-only, on a server that takes writes from others.
    #[error("the transactions of the store's user are read-only (`default_transaction_read_only`)")]
    ReadOnlyUser,
    /// The database has no tables of this program.
    #[error("the database has no schema of nexus")]
    NoTables,
    /// The table with the version of the tables is empty.
    #[error("the schema of nexus in the database has no version: the table nexus.version is empty")]
    NoVersion,
    /// The tables have an older version than this program needs.
    #[error("the tables have version {version}, and this nexus needs version {needed}")]
    OlderVersion {
        /// The version of the tables.
        version: i64,
        /// The version that this program needs.
        needed: i64,
    },
    /// A newer version of this program migrated the tables.
    #[error("the tables were migrated by a newer nexus (version {version}); they were not changed")]
    NewerVersion {
        /// The version of the tables.
        version: i64,
    },
    /// Another error of the server.
    #[error("{0}")]
    Database(String),
}

/// What is wrong with a file or folder.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The disk has no space left.
    #[error("the disk is full")]
    DiskFull,
    /// The user's quota is used up.
    #[error("the disk quota is used up")]
    QuotaExceeded,
    /// The limit on the size of files (`RLIMIT_FSIZE`) is too low.
    #[error("the limit on file sizes is too low for {}", file.display())]
    FileTooLarge {
        /// The file that has to grow.
        file: PathBuf,
    },
    /// The file, its folder or its file system is not writable.
    #[error("the file or its folder is not writable")]
    NotWritable,
    /// The database is locked by another process. Retrying may help.
    #[error("the file is locked by another process")]
    Locked,
    /// The database is damaged.
    #[error("the file is damaged; it was not changed")]
    Damaged,
    /// A newer version of this program wrote the database.
    #[error("the file was written by a newer nexus (version {version}); it was not changed")]
    NewerVersion {
        /// The version of its schema.
        version: i64,
    },
    /// The schema of the database is not the one that this program creates.
    #[error("the tables, triggers or views in the file are not those that nexus creates; it was not changed")]
    ForeignSchema,
    /// Another user can change the file or replace it.
    #[error("{0}")]
    Untrusted(#[source] Untrusted),
    /// A journal of the database that cannot be trusted, such as another user's.
    #[error("{0}")]
    Journal(#[source] Arc<io::Error>),
    /// A lock file that cannot be used.
    #[error("the lock cannot be acquired: {0}")]
    Lock(#[source] Arc<io::Error>),
    /// A folder that cannot be created or written.
    #[error("{problem}")]
    Folder {
        /// The nearest folder that exists.
        existing: PathBuf,
        /// What happened.
        problem: String,
    },
    /// Another reason to refuse the file, such as a symbolic link or another owner.
    #[error("{0}")]
    Refused(#[source] Arc<io::Error>),
    /// Another error of the database.
    #[error("{0}")]
    Database(String),
}

impl FileProblem {
    /// Why a file was refused or could not be used.
    #[cfg(feature = "sqlite")]
    pub(crate) fn refused(error: io::Error) -> Self {
        match Untrusted::of(&error) {
            Some(untrusted) => Self::Untrusted(untrusted.clone()),
            None => Self::Refused(Arc::new(error)),
        }
    }

    /// Classifies an error of the operating system, if it is about disk space or permissions. `file` is the file that
    /// has to grow.
    pub fn of_disk(error: &io::Error, file: &Path) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull => Some(Self::DiskFull),
            io::ErrorKind::QuotaExceeded => Some(Self::QuotaExceeded),
            io::ErrorKind::FileTooLarge => Some(Self::FileTooLarge { file: file.to_owned() }),
            // Errors of this library have no number.
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
                Some(Self::NotWritable)
            }
            _ => None,
        }
    }
}

impl ErrorInfo for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::File { problem: FileProblem::Untrusted(_), .. } => "untrusted_file",
            error if error.is_unavailable() => "store_unavailable",
            _ => "store",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Busy { .. } | Self::Superseded | Self::LockLost | Self::Unavailable(_) => ErrorClass::Temporary,
            Self::File { problem: FileProblem::Locked, .. } => ErrorClass::Temporary,
            Self::File { problem: FileProblem::Untrusted(_), .. } => ErrorClass::Configuration,
            Self::Server { problem, .. } => match problem {
                ServerProblem::Unreachable(_) | ServerProblem::TooManyConnections => ErrorClass::Temporary,
                ServerProblem::Database(_) => ErrorClass::Permanent,
                _ => ErrorClass::Configuration,
            },
            Self::File { .. } | Self::Failed(_) => ErrorClass::Permanent,
        }
    }
}
