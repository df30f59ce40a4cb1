//! Opens, migrates and writes SQLite files. The only file that uses rusqlite.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
pub use rusqlite::types::Value;
use rusqlite::{ErrorCode, OpenFlags, TransactionBehavior};
pub use rusqlite::{OptionalExtension, Params, Result as Rows, Row, Transaction, params, params_from_iter};

use super::error::{FileProblem, StoreError};
use crate::private_fs::{self, Privacy};

type Result<T> = std::result::Result<T, StoreError>;

/// An open database.
pub type Connection = rusqlite::Connection;

/// How long to wait for a database that another process has locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The schema and settings of a database.
#[derive(Debug)]
pub struct Kind {
    /// SQLite's `application_id`.
    pub application_id: i64,
    /// The migrations: step n leads from version n to n + 1, and `user_version` is the version. A released step must
    /// not be changed.
    pub steps: &'static [&'static [&'static str]],
    /// The tables, indexes and triggers of the current version, in any order: the name, and the text in
    /// `sqlite_schema`, or an empty one.
    pub schema: &'static [(&'static str, &'static str)],
    /// Pragmas for writing.
    pub writing: &'static str,
}

/// How many connections that read are kept.
const MOST_IDLE: usize = 4;

/// A database. It is opened for each writing operation. Clones share the connections that read.
#[derive(Debug, Clone)]
pub struct Database {
    path: PathBuf,
    kind: &'static Kind,
    privacy: Privacy,
    idle: Arc<Mutex<Vec<Reader>>>,
}

/// A connection that reads.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    /// The file that it has open.
    file: FileId,
    /// SQLite's number for what other connections have written, as it was before the schema was checked.
    data_version: Option<i64>,
}

impl Kind {
    /// The version that this program writes.
    pub fn current(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }

    /// Migrates a database to the current version in one transaction. A newer version is not changed.
    pub fn migrate(&self, connection: &mut Connection) -> Rows<i64> {
        let found = version(connection)?;
        if found >= self.current() {
            return Ok(found);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have migrated it meanwhile.
        let found = version(&transaction)?;
        if found >= self.current() {
            return Ok(found);
        }
        for statement in self.steps.iter().skip(usize::try_from(found).unwrap_or(0)).copied().flatten() {
            transaction.execute_batch(statement)?;
        }
        transaction.pragma_update(None, "application_id", self.application_id)?;
        transaction.pragma_update(None, "user_version", self.current())?;
        transaction.commit()?;
        Ok(self.current())
    }

    /// Whether this is the schema of the current version.
    fn is_current(&self, found: &[Object]) -> bool {
        found.len() == self.schema.len()
            && found.iter().all(|(name, text)| self.schema.iter().any(|own| own.0 == name && is_same(own.1, text)))
    }

    /// Whether this is the schema of an earlier version. Runs the steps in memory.
    fn is_earlier(&self, found: &[Object]) -> Rows<bool> {
        let memory = Connection::open_in_memory()?;
        let (_, earlier) = self.steps.split_last().unwrap_or((&&[][..], &[]));
        for step in earlier {
            for statement in *step {
                memory.execute_batch(statement)?;
            }
            let own = schema(&memory)?;
            let same = |(own, found): (&Object, &Object)| own.0 == found.0 && is_same(&own.1, &found.1);
            if own.len() == found.len() && own.iter().zip(found).all(same) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A table, index, trigger or view: its name and its text in `sqlite_schema`.
type Object = (String, String);

/// What `sqlite_schema` says, in the order of creation.
fn schema(connection: &Connection) -> Rows<Vec<Object>> {
    let mut statement = connection.prepare("SELECT name,coalesce(sql,'')FROM sqlite_schema")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Whether two statements differ only in white space, which SQLite stores as it was written.
fn is_same(own: &str, found: &str) -> bool {
    fn bytes(text: &str) -> impl Iterator<Item = u8> {
        text.bytes().filter(|byte| !byte.is_ascii_whitespace())
    }
    bytes(own).eq(bytes(found))
}

fn version(connection: &Connection) -> Rows<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

impl Database {
    /// A database at this path. Nothing is read or created yet.
    pub fn new(path: PathBuf, kind: &'static Kind, privacy: Privacy) -> Self {
        Self { path, kind, privacy, idle: Arc::default() }
    }

    /// Sets how its files are checked.
    pub fn with_privacy(self, privacy: Privacy) -> Self {
        Self { privacy, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a transaction that has the write lock from the start, so that another writer cannot make it fail.
    pub fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Rows<T>) -> Result<T> {
        let mut connection = self.open_for_writing()?;
        let done = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        done().map_err(|error| self.sqlite_error(&error))
    }

    /// Runs one statement. Returns the number of changed rows.
    pub fn execute(&self, statement: &str, values: impl Params) -> Result<usize> {
        self.open_for_writing()?.execute(statement, values).map_err(|error| self.sqlite_error(&error))
    }

    /// The rows of a query. Empty if the database does not exist.
    pub fn rows<T>(
        &self,
        query: &str,
        values: impl Params + Clone,
        read: impl Fn(&Row<'_>) -> Rows<T>,
    ) -> Result<Vec<T>> {
        let found = self.read(|connection| {
            match version(connection).map_err(|error| self.sqlite_error(&error))? {
                0 => return self.check_integrity(connection).map(|()| Vec::new()),
                version => self.reject_newer(version)?,
            }
            let rows =
                || -> Rows<Vec<T>> { connection.prepare(query)?.query_map(values.clone(), |row| read(row))?.collect() };
            rows().or_else(|error| match self.query_failed(connection, &error)? {
                Found::Migrated => rows().map_err(|error| self.sqlite_error(&error)),
                Found::Empty => Ok(Vec::new()),
            })
        });
        found.map(Option::unwrap_or_default)
    }

    /// Checks that the database is writable by rewriting its header.
    pub fn check_writable(&self) -> Result<()> {
        let written = self.open_for_writing()?.pragma_update(None, "user_version", self.kind.current());
        written.map_err(|error| self.sqlite_error(&error))
    }

    /// Checks the integrity of the file.
    pub fn check_integrity(&self, connection: &Connection) -> Result<()> {
        match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
            Ok(found) if found == "ok" => Ok(()),
            Ok(_) => Err(self.damaged()),
            Err(error) => Err(self.sqlite_error(&error)),
        }
    }

    /// Handles a failed query: migrates a database of an older version, or returns the error. The version is checked
    /// only here, which keeps successful queries fast.
    pub fn query_failed(&self, connection: &Connection, error: &rusqlite::Error) -> Result<Found> {
        match version(connection) {
            Ok(0) if is_missing_table(error) => self.check_integrity(connection).map(|()| Found::Empty),
            Ok(version) if version > self.kind.current() => self.reject_newer(version).map(|()| Found::Empty),
            Ok(version) if (1..self.kind.current()).contains(&version) => {
                self.open_for_writing().map(|_| Found::Migrated)
            }
            Ok(_) if is_missing_table(error) => Err(self.damaged()),
            _ => Err(self.sqlite_error(error)),
        }
    }

    /// Refuses a database that a newer version of this program wrote.
    pub fn check_version(&self, connection: &Connection) -> Result<()> {
        let version = version(connection).map_err(|error| self.sqlite_error(&error))?;
        self.reject_newer(version)
    }

    /// Runs `work` on a connection that reads. `None` if the database does not exist.
    ///
    /// The connection is kept for the next time, because opening the file takes many times as long as most queries. It
    /// is not used again after an error, or when the path leads to another file. The schema is checked again after each
    /// change: a newer version of this program may have migrated it.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<Option<T>> {
        let file = match self.privacy.check(&self.path).and_then(|()| file_id(&self.path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io_error(error)),
        };
        self.check_journals()?;
        let kept = {
            let mut idle = self.idle();
            idle.retain(|reader| reader.file == file);
            idle.pop()
        };
        let reader = match kept {
            Some(reader) => reader,
            None => Reader { connection: self.open()?, file, data_version: None },
        };
        let reader = self.checked(reader)?;
        let value = work(&reader.connection)?;
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(reader);
        }
        Ok(Some(value))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_for_writing(&self) -> Result<Connection> {
        // The connections that read would have to check the schema again. Until the next read, no file is open, so the
        // disk can be unmounted while a refresh waits for its answer.
        self.idle().clear();
        let made = || {
            private_fs::survive_file_limit();
            self.path.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            // SQLite gives its journal the mode of the database, so the database is created private. An existing
            // database is not opened here: closing it would release the POSIX locks of SQLite in this process.
            match private_fs::create(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => self.privacy.check(&self.path),
            }
        };
        made().map_err(|error| self.io_error(error))?;
        self.check_journals()?;
        let mut connection = self.open()?;
        self.check_schema(&connection)?;
        let prepared = connection.execute_batch(self.kind.writing).and_then(|()| self.kind.migrate(&mut connection));
        let version = prepared.map_err(|error| self.sqlite_error(&error))?;
        self.reject_newer(version).map(|()| connection)
    }

    /// Checks the journals, which SQLite plays back into the database: the rollback journal and those of WAL mode.
    fn check_journals(&self) -> Result<()> {
        for ending in ["-journal", "-wal", "-shm"] {
            let mut journal = self.path.clone().into_os_string();
            journal.push(ending);
            let journal = PathBuf::from(journal);
            match self.privacy.check_file(&journal) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let problem = match FileProblem::refused(error) {
                        FileProblem::Refused(error) => FileProblem::Journal(error),
                        untrusted => untrusted,
                    };
                    return Err(StoreError::file(&journal, problem));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks the schema if another connection has written since the last check.
    fn checked(&self, mut reader: Reader) -> Result<Reader> {
        let data_version = reader.connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        let data_version = Some(data_version.map_err(|error| self.sqlite_error(&error))?);
        if reader.data_version != data_version {
            self.check_schema(&reader.connection)?;
            reader.data_version = data_version;
        }
        Ok(reader)
    }

    fn open(&self) -> Result<Connection> {
        // Without SQLITE_OPEN_URI, because a path may begin with `file:`, and without SQLITE_OPEN_CREATE.
        let open = |access| Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        open(OpenFlags::SQLITE_OPEN_READ_WRITE)
            // The folder may be read-only.
            .or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_ONLY))
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
                Ok(connection)
            })
            .map_err(|error| self.sqlite_error(&error))
    }

    /// Refuses a schema that this program does not create. A trigger or a view of another origin could change what is
    /// read and written.
    fn check_schema(&self, connection: &Connection) -> Result<()> {
        let failed = |error| self.sqlite_error(&error);
        let found = schema(connection).map_err(failed)?;
        if found.is_empty() || self.kind.is_current(&found) {
            return Ok(());
        }
        self.check_version(connection)?;
        match self.kind.is_earlier(&found).map_err(failed)? {
            true => Ok(()),
            false => Err(StoreError::file(&self.path, FileProblem::ForeignSchema)),
        }
    }

    fn reject_newer(&self, version: i64) -> Result<()> {
        if version <= self.kind.current() {
            return Ok(());
        }
        Err(StoreError::file(&self.path, FileProblem::NewerVersion { version }))
    }

    fn damaged(&self) -> StoreError {
        StoreError::file(&self.path, FileProblem::Damaged)
    }

    /// An error of the operating system about this file.
    pub fn io_error(&self, error: io::Error) -> StoreError {
        self.io_error_at(&self.path, error)
    }

    /// An error about a file beside this one. A lack of disk space is reported for this file, which has to grow.
    pub fn io_error_at(&self, path: &Path, error: io::Error) -> StoreError {
        match FileProblem::of_disk(&error, &self.path) {
            Some(problem) => StoreError::file(&self.path, problem),
            None => StoreError::file(path, FileProblem::refused(error)),
        }
    }

    pub fn sqlite_error(&self, error: &rusqlite::Error) -> StoreError {
        let problem = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => FileProblem::Damaged,
            Some(ErrorCode::DiskFull) => FileProblem::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => FileProblem::NotWritable,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FileProblem::Locked,
            // Not as the source: its connection cannot be shared between threads.
            _ => FileProblem::Database(error.to_string()),
        };
        StoreError::file(&self.path, problem)
    }
}

/// Tells a file from the one that replaced it.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().map(|found| (found.dev(), found.ino()))
}

/// Where an open file cannot be replaced, its path is enough.
#[cfg(not(unix))]
fn file_id(path: &Path) -> io::Result<FileId> {
    path.metadata().map(|_| (0, 0))
}

/// What [`Database::query_failed`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The database is empty.
    Empty,
    /// The database was migrated. Repeat the query.
    Migrated,
}

fn is_missing_table(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(text)) if text.starts_with("no such table"))
        || matches!(error, rusqlite::Error::SqlInputError { msg, .. } if msg.starts_with("no such table"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_info::{ErrorClass, ErrorInfo as _};

    static KIND: Kind = Kind {
        application_id: 7,
        steps: &[&["CREATE TABLE first(x)"], &["ALTER TABLE first ADD COLUMN y"]],
        schema: &[("first", "CREATE TABLE first(x, y)")],
        writing: "PRAGMA secure_delete = ON",
    };

    #[test]
    fn every_older_version_becomes_the_current_one() {
        for version in 0..=KIND.steps.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for statement in KIND.steps[..version].iter().copied().flatten() {
                connection.execute_batch(statement).unwrap();
            }
            connection.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            assert_eq!(KIND.migrate(&mut connection).unwrap(), 2, "from version {version}");
            assert_eq!(KIND.migrate(&mut connection).unwrap(), 2, "and once more");
            assert_eq!(super::version(&connection).unwrap(), 2);
            connection.execute("INSERT INTO first (x, y) VALUES (1, 2)", []).unwrap();
        }
    }

    #[test]
    fn a_file_that_another_program_keeps_locked_may_serve_later() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("it.db");
        let (other, own) = (Connection::open(&path).unwrap(), Connection::open(&path).unwrap());
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        own.busy_timeout(Duration::ZERO).unwrap();
        let locked = own.query_row("SELECT 1 FROM sqlite_schema", [], |_| Ok(())).unwrap_err();
        let error = Database::new(path, &KIND, Privacy::default()).sqlite_error(&locked);
        assert!(matches!(error, StoreError::File { problem: FileProblem::Locked, .. }), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Temporary);
    }

    #[test]
    fn a_newer_version_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 3).unwrap();
        assert_eq!(KIND.migrate(&mut connection).unwrap(), 3);
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn an_older_file_is_mended_where_it_is_read_and_an_empty_one_is_empty() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("it.db");
        let database = Database::new(path.clone(), &KIND, Privacy::default());
        let ask = |connection: &Connection| connection.query_row("SELECT y FROM first", [], |row| row.get::<_, i64>(0));
        let asked = || -> Result<Found> {
            let found = database.read(|connection| database.query_failed(connection, &ask(connection).unwrap_err()));
            found.map(Option::unwrap)
        };
        private_fs::create(&path).unwrap();
        assert_eq!(asked().unwrap(), Found::Empty);
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE first(x); INSERT INTO first VALUES (1); PRAGMA user_version = 1")
            .unwrap();
        assert_eq!(asked().unwrap(), Found::Migrated);
        connection.execute("UPDATE first SET y = 2", []).unwrap();
        assert_eq!(ask(&connection).unwrap(), 2);
        connection.execute_batch("DROP TABLE first").unwrap();
        let is = |problem: fn(&FileProblem) -> bool| matches!(asked(), Err(StoreError::File { problem: found, .. }) if problem(&found));
        assert!(is(|problem| matches!(problem, FileProblem::Damaged)), "its shape says that there is one");
        connection.execute_batch("PRAGMA user_version = 3").unwrap();
        assert!(is(|problem| matches!(problem, FileProblem::NewerVersion { version: 3 })));
    }

    #[test]
    fn a_connection_reads_again_until_an_error_or_another_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("it.db");
        let create = || {
            private_fs::create(&path).unwrap();
            Connection::open(&path).unwrap().execute_batch("CREATE TABLE first(x, y)").unwrap();
        };
        let database = Database::new(path.clone(), &KIND, Privacy::default());
        // A temporary table belongs to one connection.
        let mark = || {
            database.read(|connection| {
                connection.execute_batch("CREATE TEMP TABLE mark(x)").unwrap();
                Ok(())
            })
        };
        let is_marked = || -> bool {
            let read = database.clone().read(|connection| Ok(connection.prepare("SELECT * FROM mark").is_ok()));
            read.unwrap().unwrap()
        };
        assert!(database.read(|_| Ok(())).unwrap().is_none(), "there is no file");
        create();
        mark().unwrap();
        assert!(is_marked());
        database.read(|_| Err::<(), _>(database.damaged())).unwrap_err();
        assert!(!is_marked(), "a connection was used after an error");
        mark().unwrap();
        // Moved, so that the new file cannot get the same number.
        std::fs::rename(&path, home.path().join("before")).unwrap();
        create();
        assert!(!is_marked(), "a replaced file was read");
        mark().unwrap();
        let other = Connection::open(&path).unwrap();
        let problem = || match database.read(|_| Ok(())) {
            Err(StoreError::File { problem, .. }) => problem,
            read => panic!("{read:?}"),
        };
        other.execute_batch("CREATE VIEW other AS SELECT 1").unwrap();
        assert!(matches!(problem(), FileProblem::ForeignSchema));
        other.execute_batch("PRAGMA user_version = 3").unwrap();
        assert!(matches!(problem(), FileProblem::NewerVersion { version: 3 }));
        other.execute_batch("DROP VIEW other; PRAGMA user_version = 2").unwrap();
        mark().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(database.read(|_| Ok(())).unwrap().is_none(), "a removed file was read");
    }
}
