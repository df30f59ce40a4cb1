//! A session store in a SQLite file: one row per session.
//!
//! A read takes no lock. The file uses a rollback journal, `synchronous=EXTRA` and `secure_delete`: commits survive a
//! power failure, and replaced tokens do not remain in free pages. Before a refresh token is sent, the disk space for
//! its successor is reserved (`reservation.rs`).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::contract::{
    BoxFuture, Listed, Loaded, LockedSession, Page, Record, Replacement, Result, SealedSession, SealedValue,
    SessionKey, SessionStore, ValueKind,
};
use super::database::{Connection, Database, Found, OptionalExtension as _, Row, Rows, params};
use super::error::{FileProblem, StoreError};
use crate::private_fs::{ClosedFn, Privacy};

mod lock;
mod locked;
mod reservation;
mod schema;
mod values;

use lock::{Queue, SessionLock};
use locked::LockedRow;
use reservation::DiskReservation;
use schema::{SESSIONS, UNSEALED};

/// Seals a session of an earlier version anew. `None` if it does not open. The record's bytes are its columns, as the
/// third step of the schema joins them.
pub type ResealFn = Arc<dyn Fn(&SessionKey, &Record) -> Option<Vec<u8>> + Send + Sync>;

/// Keeps sessions in `sessions.db`. Clones share the queue for the locks.
#[derive(Clone)]
pub struct SqliteStore {
    database: Database,
    locks: PathBuf,
    queue: Arc<Queue>,
    privacy: Privacy,
    clock: fn() -> i64,
    reseal: Option<ResealFn>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

const COLUMNS: &str = "generation, issued_at, expires_at, ended_at, refreshing_since, attempts, sealed, moved_to";

impl SqliteStore {
    /// The name of the file in its folder.
    pub(crate) const FILE: &str = "sessions.db";

    /// A store in the folder `data`, with its lock files in `state`. `clock` gives the time in Unix seconds. Nothing
    /// is read or created yet.
    pub fn new(data: &Path, state: &Path, clock: fn() -> i64) -> Self {
        Self::at(data.join(Self::FILE), state, clock)
    }

    /// [`new`](Self::new) in the file at this path.
    pub fn at(path: PathBuf, state: &Path, clock: fn() -> i64) -> Self {
        Self {
            database: Database::new(path, &SESSIONS, Privacy::default()),
            locks: state.join("locks"),
            queue: Arc::default(),
            privacy: Privacy::default().with_root(state),
            clock,
            reseal: None,
        }
    }

    /// Calls `closed` for files that were open to other users and were made private.
    #[must_use]
    pub fn reporting(self, closed: ClosedFn) -> Self {
        let privacy = self.privacy.clone().reporting(closed);
        self.with_privacy(privacy)
    }

    /// Sets how its files are checked.
    #[doc(hidden)]
    #[must_use]
    pub fn with_privacy(self, privacy: Privacy) -> Self {
        Self { database: self.database.with_privacy(privacy.clone()), privacy, ..self }
    }

    /// Sets how sessions of an earlier version are sealed anew.
    #[must_use]
    pub fn resealing(self, reseal: ResealFn) -> Self {
        Self { reseal: Some(reseal), ..self }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    fn read(&self, key: &SessionKey) -> Result<Loaded> {
        let now = (self.clock)();
        let record = self.database.read(|connection| self.record(connection, key))?.flatten();
        Ok(Loaded { now, record })
    }

    fn record(&self, connection: &Connection, key: &SessionKey) -> Result<Option<Record>> {
        let select = || select(connection, key);
        let failed = |error| self.database.sqlite_error(&error);
        let record = match select() {
            Err(error) => match self.database.query_failed(connection, &error)? {
                Found::Empty => return Ok(None),
                Found::Migrated => select().map_err(failed)?,
            },
            Ok(record) => record,
        };
        match record {
            // Damage can hide a row.
            None => self.database.check_integrity(connection).map(|()| None),
            Some(record) if record.session.bytes.first() == Some(&UNSEALED) && self.seal_anew()? => {
                select().map_err(failed)
            }
            Some(record) => Ok(Some(record)),
        }
    }

    /// Seals all sessions of an earlier version anew that open. Returns whether there was one. It is atomic for each
    /// session.
    fn seal_anew(&self) -> Result<bool> {
        let Some(reseal) = &self.reseal else { return Ok(false) };
        let query = format!("SELECT provider, owner, {COLUMNS} FROM session WHERE substr(sealed, 1, 1) = x'7b'");
        let found = self
            .database
            .rows(&query, [], |row| Ok((SessionKey { provider: row.get(0)?, owner: row.get(1)? }, record(row, 2)?)))?;
        let sealed = found.into_iter().filter_map(|(key, record)| {
            let bytes = reseal(&key, &record)?;
            Some((key, record, bytes))
        });
        let sealed: Vec<_> = sealed.collect();
        if sealed.is_empty() {
            return Ok(false);
        }
        self.database.write(|transaction| {
            for (key, record, bytes) in &sealed {
                transaction.execute(
                    "UPDATE session SET sealed = ?4 WHERE provider = ?1 AND owner = ?2 AND sealed = ?3",
                    params![key.provider, key.owner, record.session.bytes, bytes],
                )?;
            }
            Ok(())
        })?;
        Ok(true)
    }

    fn listed(&self, owner: Option<&str>) -> Result<Vec<Listed>> {
        let query = "SELECT provider, owner, generation, expires_at, ended_at, moved_to FROM session
            WHERE ?1 IS NULL OR owner = ?1 ORDER BY owner, provider";
        self.database.rows(query, [owner], |row| {
            Ok(Listed {
                key: SessionKey { provider: row.get(0)?, owner: row.get(1)? },
                generation: row.get(2)?,
                expires_at: row.get(3)?,
                ended_at: row.get(4)?,
                moved_to: row.get(5)?,
            })
        })
    }

    fn check_files_writable(&self) -> Result<()> {
        let path = self.database.path();
        let reserved = || {
            path.parent().map_or(Ok(()), |folder| self.privacy.folder(folder))?;
            DiskReservation::take(path.with_extension("room"), 0, &self.privacy)
        };
        let proven = reserved().map_err(|error| self.database.io_error(error));
        let proven = proven.and_then(|reservation| {
            drop(reservation);
            self.database.check_writable()
        });
        proven.map_err(|error| self.unusable_folder(&error).unwrap_or(error))
    }

    /// The folder that cannot be created or written, if that is the reason.
    fn unusable_folder(&self, error: &StoreError) -> Option<StoreError> {
        if matches!(error, StoreError::File { problem: FileProblem::Untrusted(_), .. }) {
            return None;
        }
        let folders = [self.database.path().parent(), Some(&*self.locks)];
        folders.into_iter().flatten().find_map(|folder| {
            let (existing, problem) = self.privacy.unusable_folder(folder)?;
            Some(StoreError::file(folder, FileProblem::Folder { existing, problem }))
        })
    }

    fn check_file(&self) -> Result<()> {
        let checked = self.database.read(|connection| {
            self.database.check_version(connection)?;
            self.database.check_integrity(connection)
        });
        checked.map(drop).map_err(|error| self.unusable_folder(&error).unwrap_or(error))
    }

    /// Runs disk work on a thread that may block.
    fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let this = self.clone();
        Box::pin(off_thread(move || work(&this)))
    }

    /// Reserves disk space for another copy of the database, in a file with this name.
    fn reserve(&self, name: &str) -> Result<DiskReservation> {
        let path = self.database.path().with_file_name(format!("{name}.room"));
        let size = self.database.path().metadata().map_or(0, |found| found.len());
        let folder = path.parent().map_or(Ok(()), |folder| self.privacy.folder(folder));
        folder
            .and_then(|()| DiskReservation::take(path.clone(), size, &self.privacy))
            .map_err(|error: io::Error| self.database.io_error_at(&path, error))
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|abandoned| StoreError::Failed(Arc::new(abandoned)))?
}

fn select(connection: &Connection, key: &SessionKey) -> Rows<Option<Record>> {
    let query = format!("SELECT {COLUMNS} FROM session WHERE provider = ?1 AND owner = ?2");
    connection
        .prepare_cached(&query)
        .and_then(|mut statement| statement.query_row([&key.provider, &key.owner], |row| record(row, 0)).optional())
}

/// The record whose columns start at this index.
fn record(row: &Row<'_>, at: usize) -> Rows<Record> {
    Ok(Record {
        session: SealedSession {
            generation: row.get(at)?,
            issued_at: row.get(at + 1)?,
            expires_at: row.get(at + 2)?,
            bytes: row.get(at + 6)?,
        },
        ended_at: row.get(at + 3)?,
        refreshing_since: row.get(at + 4)?,
        attempts: row.get(at + 5)?,
        moved_to: row.get(at + 7)?,
    })
}

impl SessionStore for SqliteStore {
    fn name(&self) -> String {
        self.database.path().display().to_string()
    }

    fn load<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>> {
        let key = key.clone();
        self.off_thread(move |this| this.read(&key))
    }

    fn try_load(&self, key: &SessionKey) -> Option<Result<Loaded>> {
        Some(self.read(key))
    }

    fn list<'a>(&'a self, owner: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>> {
        let owner = owner.map(str::to_owned);
        self.off_thread(move |this| this.listed(owner.as_deref()))
    }

    fn try_list(&self, owner: Option<&str>) -> Option<Result<Vec<Listed>>> {
        Some(self.listed(owner))
    }

    fn lock<'a>(&'a self, key: &'a SessionKey, wait: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>> {
        Box::pin(async move {
            let lock = SessionLock::acquire(&self.locks, key, wait, &self.queue, &self.privacy).await?;
            Ok(Box::new(LockedRow::new(self.clone(), key.clone(), lock)) as Box<dyn LockedSession>)
        })
    }

    fn put_pending<'a>(
        &'a self,
        owner: &'a str,
        state_hash: [u8; 32],
        sealed: Vec<u8>,
        expires_at: i64,
    ) -> BoxFuture<'a, Result<()>> {
        let owner = owner.to_owned();
        self.off_thread(move |this| {
            let now = (this.clock)();
            this.database.write(|transaction| {
                transaction.execute("DELETE FROM pending WHERE expires_at <= ?1", [now])?;
                transaction.execute(
                    "INSERT OR REPLACE INTO pending (owner, state, expires_at, sealed) VALUES (?1, ?2, ?3, ?4)",
                    params![owner, &state_hash[..], expires_at, sealed],
                )?;
                Ok(())
            })
        })
    }

    fn take_pending<'a>(&'a self, owner: &'a str, state_hash: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let owner = owner.to_owned();
        self.off_thread(move |this| {
            let now = (this.clock)();
            let taken = this.database.write(|transaction| {
                let taken = transaction.query_row(
                    "DELETE FROM pending WHERE owner = ?1 AND state = ?2 RETURNING expires_at, sealed",
                    params![owner, &state_hash[..]],
                    |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)),
                );
                taken.optional()
            })?;
            Ok(taken.filter(|(expires_at, _)| *expires_at > now).map(|(_, sealed)| sealed))
        })
    }

    fn load_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let key = [issuer.to_owned(), redirect_uri.to_owned()];
        self.off_thread(move |this| {
            let query = "SELECT sealed FROM client WHERE issuer = ?1 AND redirect_uri = ?2";
            Ok(this.database.rows(query, key, |row| row.get(0))?.pop())
        })
    }

    fn save_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str, sealed: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        let (issuer, redirect_uri) = (issuer.to_owned(), redirect_uri.to_owned());
        self.off_thread(move |this| {
            let statement = "INSERT OR REPLACE INTO client (issuer, redirect_uri, sealed) VALUES (?1, ?2, ?3)";
            this.database.execute(statement, params![issuer, redirect_uri, sealed]).map(drop)
        })
    }

    fn delete_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<()>> {
        let key = [issuer.to_owned(), redirect_uri.to_owned()];
        self.off_thread(move |this| {
            if this.database.read(|_| Ok(()))?.is_none() {
                return Ok(());
            }
            let statement = "DELETE FROM client WHERE issuer = ?1 AND redirect_uri = ?2";
            this.database.execute(statement, key).map(drop)
        })
    }

    fn sealed_values<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Result<Vec<SealedValue>>> {
        let (kind, is_first) = (page.kind, page.after.is_none());
        let params = values::query_params(page, (self.clock)());
        self.off_thread(move |this| {
            if kind == ValueKind::Session && is_first {
                this.seal_anew()?;
            }
            this.database.rows(values::query(kind), params, |row| values::value(kind, row))
        })
    }

    fn replace_values(&self, values: Vec<Replacement>) -> BoxFuture<'_, Result<usize>> {
        self.off_thread(move |this| {
            // If there is no room for the new values, say so before anything is written.
            drop(this.reserve("all")?);
            this.database.write(|transaction| values::replace(transaction, &values))
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        self.off_thread(Self::check_file)
    }

    fn check_writable(&self) -> BoxFuture<'_, Result<()>> {
        self.off_thread(Self::check_files_writable)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::conformance::{self, Subject};

    struct File(TempDir);

    impl Subject for File {
        fn open(&self) -> Arc<dyn SessionStore> {
            let folder = |name| self.0.path().join(name);
            Arc::new(SqliteStore::new(&folder("data"), &folder("state"), crate::time::now))
        }
    }

    #[tokio::test]
    async fn it_keeps_the_contract() {
        conformance::check(&File(tempfile::tempdir().unwrap())).await;
    }
}
