//! A session while its lock is held.

use std::sync::{Arc, Mutex, PoisonError};

use super::lock::{self, SessionLock};
use super::reservation::DiskReservation;
use super::{SqliteStore, off_thread};
use crate::store::contract::{BoxFuture, Loaded, LockedSession, Record, Result, SealedSession, SessionKey};
use crate::store::database::params;
use crate::store::error::StoreError;

/// A locked session. It is shared with the blocking work, so that the lock is held until a write ends even if its
/// future is dropped.
pub(super) struct LockedRow(Arc<Locked>);

struct Locked {
    store: SqliteStore,
    key: SessionKey,
    // Freed before the lock is released.
    reservation: Mutex<Option<DiskReservation>>,
    _lock: SessionLock,
}

impl Locked {
    fn reserve(&self) -> Result<()> {
        let reservation = self.store.reserve(&lock::name(&self.key))?;
        *self.reservation.lock().unwrap_or_else(PoisonError::into_inner) = Some(reservation);
        Ok(())
    }

    fn commit(&self, expected: i64, session: &SealedSession) -> Result<()> {
        drop(self.reservation.lock().unwrap_or_else(PoisonError::into_inner).take());
        let statement = match expected {
            0 => {
                "INSERT OR IGNORE INTO session (provider, owner, generation, issued_at, expires_at, sealed, attempts)
                 VALUES (?1, ?2, ?4, ?5, ?6, ?7, 0)"
            }
            _ => {
                "UPDATE session SET generation = ?4, issued_at = ?5, expires_at = ?6, sealed = ?7,
                 refreshing_since = NULL, ended_at = NULL WHERE provider = ?1 AND owner = ?2 AND generation = ?3"
            }
        };
        let SealedSession { generation, issued_at, expires_at, bytes } = session;
        let values = params![self.key.provider, self.key.owner, expected, generation, issued_at, expires_at, bytes];
        changed(self.store.database.execute(statement, values)?)
    }

    fn replace(&self, expected: i64, record: &Record) -> Result<()> {
        drop(self.reservation.lock().unwrap_or_else(PoisonError::into_inner).take());
        let statement = match expected {
            0 => {
                "INSERT OR IGNORE INTO session (provider, owner, generation, issued_at, expires_at, sealed, attempts,
                 refreshing_since, ended_at, moved_to) VALUES (?1, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
            }
            _ => {
                "UPDATE session SET generation = ?4, issued_at = ?5, expires_at = ?6, sealed = ?7, attempts = ?8,
                 refreshing_since = ?9, ended_at = ?10, moved_to = ?11
                 WHERE provider = ?1 AND owner = ?2 AND generation = ?3"
            }
        };
        let Record { session, attempts, refreshing_since, ended_at, moved_to } = record;
        let SealedSession { generation, issued_at, expires_at, bytes } = session;
        let SessionKey { provider, owner } = &self.key;
        let values = params![
            provider,
            owner,
            expected,
            generation,
            issued_at,
            expires_at,
            bytes,
            attempts,
            refreshing_since,
            ended_at,
            moved_to
        ];
        changed(self.store.database.execute(statement, values)?)
    }
}

/// A write that found no row of its generation changed nothing.
fn changed(rows: usize) -> Result<()> {
    if rows == 0 { Err(StoreError::Superseded) } else { Ok(()) }
}

impl LockedRow {
    pub(super) fn new(store: SqliteStore, key: SessionKey, lock: SessionLock) -> Self {
        Self(Arc::new(Locked { store, key, reservation: Mutex::default(), _lock: lock }))
    }

    fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Locked) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let row = self.0.clone();
        Box::pin(off_thread(move || work(&row)))
    }
}

impl LockedSession for LockedRow {
    fn load(&mut self) -> BoxFuture<'_, Result<Loaded>> {
        self.off_thread(|row| row.store.read(&row.key))
    }

    fn reserve(&mut self) -> BoxFuture<'_, Result<()>> {
        self.off_thread(Locked::reserve)
    }

    fn begin_refresh(&mut self, generation: i64, now: i64) -> BoxFuture<'_, Result<()>> {
        self.off_thread(move |row| {
            row.reserve()?;
            changed(row.store.database.execute(
                "UPDATE session SET refreshing_since = COALESCE(refreshing_since, ?4), attempts = attempts + 1
                 WHERE provider = ?1 AND owner = ?2 AND generation = ?3 AND moved_to IS NULL",
                params![row.key.provider, row.key.owner, generation, now],
            )?)
        })
    }

    fn commit<'a>(&'a mut self, expected: i64, session: &'a SealedSession) -> BoxFuture<'a, Result<()>> {
        let session = session.clone();
        self.off_thread(move |row| row.commit(expected, &session))
    }

    fn fail(
        &mut self,
        generation: i64,
        bytes: Option<Vec<u8>>,
        refreshing_since: Option<i64>,
    ) -> BoxFuture<'_, Result<()>> {
        self.off_thread(move |row| {
            changed(row.store.database.execute(
                "UPDATE session SET refreshing_since = ?4, sealed = COALESCE(?5, sealed)
                 WHERE provider = ?1 AND owner = ?2 AND generation = ?3",
                params![row.key.provider, row.key.owner, generation, refreshing_since, bytes],
            )?)
        })
    }

    fn amend(&mut self, generation: i64, bytes: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        self.off_thread(move |row| {
            changed(row.store.database.execute(
                "UPDATE session SET sealed = ?4 WHERE provider = ?1 AND owner = ?2 AND generation = ?3",
                params![row.key.provider, row.key.owner, generation, bytes],
            )?)
        })
    }

    fn end(&mut self, generation: i64, ended_at: i64, refreshing_since: Option<i64>) -> BoxFuture<'_, Result<()>> {
        self.off_thread(move |row| {
            changed(row.store.database.execute(
                "UPDATE session SET ended_at = ?4, refreshing_since = ?5
                 WHERE provider = ?1 AND owner = ?2 AND generation = ?3",
                params![row.key.provider, row.key.owner, generation, ended_at, refreshing_since],
            )?)
        })
    }

    fn replace<'a>(&'a mut self, expected: i64, record: &'a Record) -> BoxFuture<'a, Result<()>> {
        let record = record.clone();
        self.off_thread(move |row| row.replace(expected, &record))
    }

    fn delete(&mut self) -> BoxFuture<'_, Result<()>> {
        self.off_thread(|row| {
            let statement = "DELETE FROM session WHERE provider = ?1 AND owner = ?2";
            row.store.database.execute(statement, params![row.key.provider, row.key.owner]).map(drop)
        })
    }
}
