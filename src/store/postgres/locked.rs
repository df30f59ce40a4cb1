//! A session while its lease is held.

use std::time::Duration;

use tokio::time::Instant;

use super::lease::{self, Lease, until};
use super::pool::{Patience, bytes, number, text};
use super::{PostgresStore, durable};
use crate::store::contract::{BoxFuture, Loaded, LockedSession, Record, Result, SealedSession, SessionKey};
use crate::store::error::StoreError;

/// Waits for the lease of a session for at most `wait`.
pub(super) async fn lock(store: &PostgresStore, key: &SessionKey, wait: Duration) -> Result<Box<dyn LockedSession>> {
    let lease = Lease::acquire(&store.pool, key, wait).await?;
    Ok(Box::new(LockedRow { store: store.clone(), lease, spent: None, attempts: None }))
}

struct LockedRow {
    store: PostgresStore,
    lease: Lease,
    /// Which lease saved the session whose refresh token is spent. A session that was signed in to after a sign-out may
    /// have the same generation.
    spent: Option<Vec<u8>>,
    /// How many refreshes were begun, where it is known. Only the holder of the lease changes it.
    attempts: Option<i64>,
}

impl LockedRow {
    /// Saves a session in place of the generation `expected`, whether or not the lease is still held. The row keeps
    /// which lease has saved it, so that this can be repeated after a lost connection.
    async fn save(&mut self, expected: i64, session: &SealedSession) -> Result<()> {
        const FIRST: &str = concat!(
            "INSERT INTO nexus.session AS s
               (owner, provider, committed_by, generation, issued_at, expires_at, sealed)
             SELECT $1, $2, $3, $5, $6, $7, $8 WHERE $4 = 0 AND ",
            durable!(),
            "
             ON CONFLICT (owner, provider) DO UPDATE
               SET committed_by = excluded.committed_by, generation = excluded.generation,
                   issued_at = excluded.issued_at, expires_at = excluded.expires_at, sealed = excluded.sealed
             WHERE s.generation = 0 OR s.generation = $5 AND s.committed_by = $3 AND s.moved_to IS NULL
             RETURNING 1"
        );
        const NEXT: &str = concat!(
            "UPDATE nexus.session
             SET committed_by = $3, generation = $5, issued_at = $6, expires_at = $7, sealed = $8,
                 ended_at = NULL, refreshing_since = NULL
             WHERE owner = $1 AND provider = $2
               AND (generation = $4 AND COALESCE(committed_by = $9, true) OR generation = $5 AND committed_by = $3)
               AND ",
            durable!(),
            "
             RETURNING 1"
        );
        let SealedSession { generation, issued_at, expires_at, bytes: sealed } = session;
        let saved = [number(&expected), number(generation), number(issued_at), number(expires_at), bytes(sealed)];
        let (statement, params) = match expected {
            0 => (FIRST, saved.to_vec()),
            _ => (NEXT, saved.into_iter().chain([bytes(&self.spent)]).collect()),
        };
        if !self.lease.changes(statement, &params).await? {
            return Err(StoreError::Superseded);
        }
        self.spent = None;
        Ok(())
    }

    async fn begin(&mut self, generation: i64, now: i64) -> Result<()> {
        const STATEMENT: &str = concat!(
            "UPDATE nexus.session SET attempts = $6, refreshing_since = COALESCE(refreshing_since, $5),
               lease_until = ",
            until!(),
            "
             WHERE owner = $1 AND provider = $2 AND lease = $3 AND generation = $4
               AND moved_to IS NULL AND ",
            durable!(),
            "
             RETURNING committed_by"
        );
        // The statement may be repeated after a lost connection, so it does not count by itself.
        let before = match self.attempts {
            Some(attempts) => attempts,
            None => self.load().await?.record.map_or(0, |record| record.attempts),
        };
        let attempts = before + 1;
        let begun = Instant::now();
        let row = self.lease.write(STATEMENT, &[number(&generation), number(&now), number(&attempts)]).await?;
        self.attempts = Some(attempts);
        self.spent = self.store.pool.column(&row, 0)?;
        // The lease was renewed after `begun`.
        if lease::may_send(begun) { Ok(()) } else { Err(StoreError::LockLost) }
    }
}

impl LockedSession for LockedRow {
    fn load(&mut self) -> BoxFuture<'_, Result<Loaded>> {
        Box::pin(async {
            let loaded = self.store.read(self.lease.key(), Patience::Usual).await?;
            self.attempts = loaded.record.as_ref().map(|record| record.attempts);
            Ok(loaded)
        })
    }

    fn begin_refresh(&mut self, generation: i64, now: i64) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.begin(generation, now))
    }

    fn commit<'a>(&'a mut self, expected: i64, session: &'a SealedSession) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.save(expected, session))
    }

    fn fail(
        &mut self,
        generation: i64,
        sealed: Option<Vec<u8>>,
        refreshing_since: Option<i64>,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let statement = concat!(
                "UPDATE nexus.session SET refreshing_since = $5, sealed = COALESCE($6, sealed)
                 WHERE owner = $1 AND provider = $2 AND lease = $3 AND generation = $4 AND ",
                durable!(),
                "
                 RETURNING 1"
            );
            let params = [number(&generation), number(&refreshing_since), bytes(&sealed)];
            self.lease.write(statement, &params).await.map(drop)
        })
    }

    fn amend(&mut self, generation: i64, sealed: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let statement = concat!(
                "UPDATE nexus.session SET sealed = $5
                 WHERE owner = $1 AND provider = $2 AND lease = $3 AND generation = $4 AND ",
                durable!(),
                "
                 RETURNING 1"
            );
            self.lease.write(statement, &[number(&generation), bytes(&sealed)]).await.map(drop)
        })
    }

    fn end(&mut self, generation: i64, ended_at: i64, refreshing_since: Option<i64>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let statement = concat!(
                "UPDATE nexus.session SET ended_at = $5, refreshing_since = $6
                 WHERE owner = $1 AND provider = $2 AND lease = $3 AND generation = $4 AND ",
                durable!(),
                "
                 RETURNING 1"
            );
            let params = [number(&generation), number(&ended_at), number(&refreshing_since)];
            self.lease.write(statement, &params).await.map(drop)
        })
    }

    fn replace<'a>(&'a mut self, expected: i64, record: &'a Record) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.attempts = None;
            let statement = concat!(
                "UPDATE nexus.session
                 SET committed_by = $3, generation = $5, issued_at = $6, expires_at = $7, sealed = $8, attempts = $9,
                     refreshing_since = $10, ended_at = $11, moved_to = $12
                 WHERE owner = $1 AND provider = $2 AND lease = $3
                   AND (generation = $4 OR generation = $5 AND committed_by = $3) AND ",
                durable!(),
                "
                 RETURNING 1"
            );
            let Record { session, attempts, refreshing_since, ended_at, moved_to } = record;
            let SealedSession { generation, issued_at, expires_at, bytes: sealed } = session;
            let times = [number(refreshing_since), number(ended_at)];
            let session = [number(&expected), number(generation), number(issued_at), number(expires_at), bytes(sealed)];
            let params: Vec<_> =
                session.into_iter().chain([number(attempts)]).chain(times).chain([text(moved_to)]).collect();
            self.lease.write(statement, &params).await.map(drop)
        })
    }

    /// Empties the row, which holds the lease.
    fn delete(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.attempts = None;
            let statement = concat!(
                "UPDATE nexus.session
                 SET generation = 0, issued_at = NULL, expires_at = NULL, ended_at = NULL, refreshing_since = NULL,
                     attempts = 0, sealed = NULL, committed_by = NULL, moved_to = NULL
                 WHERE owner = $1 AND provider = $2 AND lease = $3 AND ",
                durable!(),
                "
                 RETURNING 1"
            );
            if self.lease.changes(statement, &[]).await? { Ok(()) } else { Err(StoreError::LockLost) }
        })
    }

    fn release(&mut self) -> Option<BoxFuture<'static, ()>> {
        self.lease.release()
    }
}
