//! The history's file, and how it is opened, read and written.
//!
//! Two chats at once wait for each other's writes, which are short: every write is one immediate
//! transaction, and nothing is held while anybody waits for the network.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};

use super::schema;
use crate::failure::{Failure, Result};
use crate::private::{self, Notice, Privacy};

/// How long one chat waits for another's write.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database, opened anew for everything that is done with it.
#[derive(Debug, Clone)]
pub(super) struct File {
    database: PathBuf,
    privacy: Privacy,
}

/// What can go wrong inside a transaction.
pub(super) enum Trouble {
    Database(rusqlite::Error),
    Failure(Failure),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl File {
    pub(super) fn new(database: PathBuf, notice: Notice) -> Self {
        Self { database, privacy: Privacy::telling(notice) }
    }

    /// One transaction that is alone from its beginning, so that it never has to give up midway.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, Trouble>) -> Result<T> {
        let mut connection = self.open_for_writing()?;
        let done = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        done().map_err(|trouble| match trouble {
            Trouble::Database(error) => self.broken(&error),
            Trouble::Failure(failure) => failure,
        })
    }

    /// The rows of a query; none where there is no history yet.
    pub(super) fn rows<T>(
        &self,
        query: &str,
        values: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let connection = match self.privacy.check(&self.database) {
            Ok(()) => self.connect()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.unusable(&error)),
        };
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        match version.map_err(|error| self.broken(&error))? {
            // Created, but never written to.
            0 => return Ok(Vec::new()),
            version => self.check_version(version)?,
        }
        let rows =
            connection.prepare(query).and_then(|mut statement| statement.query_map(values, |row| read(row))?.collect());
        rows.map_err(|error| self.broken(&error))
    }

    fn open_for_writing(&self) -> Result<Connection> {
        let made = || {
            private::survive_file_limit();
            self.database.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            // SQLite gives its journal the database's mode, so the database must be born private.
            match private::create(&self.database) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => self.privacy.check(&self.database),
            }
        };
        made().map_err(|error| self.unusable(&error))?;
        let mut connection = self.connect()?;
        let version = connection
            .execute_batch("PRAGMA secure_delete = ON")
            .and_then(|()| schema::migrate(&mut connection))
            .map_err(|error| self.broken(&error))?;
        self.check_version(version).map(|()| connection)
    }

    fn connect(&self) -> Result<Connection> {
        // No SQLITE_OPEN_URI: a path that begins with `file:` is a path. No CREATE: see above.
        let open = |access| Connection::open_with_flags(&self.database, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        open(OpenFlags::SQLITE_OPEN_READ_WRITE)
            // A folder that cannot be written to can still be read from.
            .or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_ONLY))
            .and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection))
            .map_err(|error| self.broken(&error))
    }

    fn check_version(&self, version: i64) -> Result<()> {
        if version <= schema::current() {
            return Ok(());
        }
        Err(Failure::Store {
            path: self.database.clone(),
            why: format!("a newer nexus wrote this file (version {version}); this one leaves it alone"),
            cure: "upgrade nexus".into(),
        })
    }

    fn unusable(&self, error: &io::Error) -> Failure {
        Failure::Store {
            path: self.database.clone(),
            why: error.to_string(),
            cure: "make the file and its folder yours and writable, or use --no-history".into(),
        }
    }

    fn broken(&self, error: &rusqlite::Error) -> Failure {
        let (why, cure) = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                ("this file is damaged; nothing in it was changed".to_owned(), "move it away to begin a new history")
            }
            Some(ErrorCode::DiskFull) => ("the disk is full".to_owned(), "free some space, or use --no-history"),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                ("this file or its folder cannot be written".to_owned(), "make both writable, or use --no-history")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                ("another program keeps this file locked".to_owned(), "end that program, or use --no-history")
            }
            _ => (error.to_string(), "mend that, or use --no-history"),
        };
        Failure::Store { path: self.database.clone(), why, cure: cure.into() }
    }
}
