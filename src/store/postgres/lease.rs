//! The lock of a session: a lease in its row, with a random token, until a time of the server's clock.
//!
//! It is taken and given back in short transactions, so it needs no connection while it is held. A holder that was
//! killed loses it when it expires. Processes that wait for it ask again and again.

use std::sync::Arc;
use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::now;
use super::pool::{Param, Patience, Pool, bytes, jitter, number, text};
use crate::store::contract::{BoxFuture, Result, SessionKey};
use crate::store::error::StoreError;

/// How long a lease lasts, as SQL. A token request ends after 30 seconds and is sent within [`SEND_WITHIN`], so its
/// answer is saved before the lease expires.
macro_rules! until {
    () => {
        "clock_timestamp() + interval '90 seconds'"
    };
}

pub(super) use until;

/// How long after the start of a lease a refresh token may be sent at the latest.
const SEND_WITHIN: Duration = Duration::from_secs(45);

/// Whether a refresh token may be sent under a lease that was renewed after `begun`.
pub(super) fn may_send(begun: Instant) -> bool {
    begun.elapsed() <= SEND_WITHIN
}

/// The pause between two questions whether a lease is free.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Waits until no lease that was taken before now is held.
pub(super) async fn wait_for_all(pool: &Pool) -> Result<()> {
    const NOW: &str = concat!("SELECT ", now!());
    const HELD: &str = "SELECT 1 FROM nexus.session WHERE lease IS NOT NULL AND lease_until > clock_timestamp()
        AND lease_until < to_timestamp($1 + 1) + interval '90 seconds' LIMIT 1";
    let Some(row) = pool.row(NOW, &[]).await? else { return Ok(()) };
    let now: i64 = pool.column(&row, 0)?;
    while pool.changes(HELD, &[number(&now)]).await? {
        tokio::time::sleep(jitter(POLL.0, POLL.1)).await;
    }
    Ok(())
}

/// A lease on a session. Dropping it within a runtime starts its release.
pub(super) struct Lease {
    pool: Pool,
    key: SessionKey,
    token: [u8; 16],
    /// Whether nothing is to be released: it was not taken, or is being released.
    is_released: bool,
}

impl Lease {
    /// Waits for the lease of a session for at most `wait`.
    pub(super) async fn acquire(pool: &Pool, key: &SessionKey, wait: Duration) -> Result<Self> {
        let until = Instant::now() + wait;
        let mut lease = Self { pool: pool.clone(), key: key.clone(), token: random()?, is_released: false };
        loop {
            // In its own task: if this future is dropped, a lease that is taken is released.
            let taking = tokio::spawn(async move {
                let taken = lease.take().await;
                (lease, taken)
            });
            let taken;
            (lease, taken) = taking.await.map_err(|error| StoreError::Failed(Arc::new(error)))?;
            if taken? {
                return Ok(lease);
            }
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    lease.is_released = true;
                    return Err(StoreError::Busy { waited: wait });
                }
                tokio::time::sleep(jitter(POLL.0, POLL.1).min(left)).await;
                if lease.is_free().await? {
                    break;
                }
            }
        }
    }

    /// Takes the lease if it is free. The row is created if necessary.
    async fn take(&self) -> Result<bool> {
        const STATEMENT: &str = concat!(
            "WITH before AS (SELECT lease FROM nexus.session WHERE owner = $1 AND provider = $2)
             INSERT INTO nexus.session AS s (owner, provider, lease, lease_until) VALUES ($1, $2, $3, ",
            until!(),
            ") ON CONFLICT (owner, provider) DO UPDATE SET lease = excluded.lease, lease_until = ",
            until!(),
            " WHERE s.lease IS NULL OR s.lease = excluded.lease OR s.lease_until <= clock_timestamp()
             RETURNING COALESCE((SELECT lease <> $3 FROM before), false)"
        );
        let Some(row) = self.row(Patience::Usual, STATEMENT, &[]).await? else { return Ok(false) };
        if self.pool.column(&row, 0)? {
            // Its holder was killed, or cut off from the server.
            tracing::warn!(monotonic_counter.nexus_lease_takeovers = 1_u64, provider = self.key.provider);
        }
        Ok(true)
    }

    async fn is_free(&self) -> Result<bool> {
        let statement = "SELECT 1 FROM nexus.session
            WHERE owner = $1 AND provider = $2 AND lease IS NOT NULL AND lease_until > clock_timestamp()";
        Ok(!self.pool.changes(statement, &[text(&self.key.owner), text(&self.key.provider)]).await?)
    }

    /// Whether it is still held.
    async fn is_held(&self) -> Result<bool> {
        self.changes("SELECT 1 FROM nexus.session WHERE owner = $1 AND provider = $2 AND lease = $3", &[]).await
    }

    pub(super) fn key(&self) -> &SessionKey {
        &self.key
    }

    /// Runs a statement whose first parameters are the owner, the provider and the lease's token, and which returns a
    /// row for each row that it changes. Tells whether there was one.
    pub(super) async fn changes(&self, statement: &str, params: &[Param<'_>]) -> Result<bool> {
        Ok(self.row(Patience::Usual, statement, params).await?.is_some())
    }

    async fn row(&self, patience: Patience, statement: &str, params: &[Param<'_>]) -> Result<Option<Row>> {
        let token = &self.token[..];
        let own = [text(&self.key.owner), text(&self.key.provider), bytes(&token)];
        let params: Vec<_> = own.into_iter().chain(params.iter().cloned()).collect();
        Ok(self.pool.rows_within(patience, statement, &params).await?.into_iter().next())
    }

    /// Runs a statement that changes the session's row, and returns it, if this lease is held and the session has the
    /// expected generation.
    pub(super) async fn write(&self, statement: &str, params: &[Param<'_>]) -> Result<Row> {
        match self.row(Patience::Usual, statement, params).await? {
            Some(row) => Ok(row),
            None if self.is_held().await? => Err(StoreError::Superseded),
            None => Err(StoreError::LockLost),
        }
    }

    /// Gives the lease back, once. A row without a session is deleted.
    pub(super) fn release(&mut self) -> Option<BoxFuture<'static, ()>> {
        const STATEMENT: &str = "WITH empty AS (DELETE FROM nexus.session
              WHERE owner = $1 AND provider = $2 AND lease = $3 AND generation = 0)
            UPDATE nexus.session SET lease = NULL, lease_until = NULL
              WHERE owner = $1 AND provider = $2 AND lease = $3 AND generation > 0 RETURNING 1";
        if std::mem::replace(&mut self.is_released, true) {
            return None;
        }
        let lease = Self { pool: self.pool.clone(), key: self.key.clone(), token: self.token, is_released: true };
        Some(Box::pin(async move {
            // If this fails, it expires.
            let _ = lease.row(Patience::Always, STATEMENT, &[]).await;
        }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current()
            && let Some(release) = self.release()
        {
            runtime.spawn(release);
        }
    }
}

/// 16 random bytes, which identify a lease or the caller that takes a pending sign-in.
pub(super) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| StoreError::Failed(Arc::new(error)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_token_is_sent_with_less_than_45_seconds_of_the_lease_left() {
        assert!(until!().contains("interval '90 seconds'"));
        let begun = Instant::now();
        for (second, may) in [(0, true), (44, true), (45, true), (46, false), (89, false)] {
            tokio::time::advance(begun + Duration::from_secs(second) - Instant::now()).await;
            assert_eq!(may_send(begun), may, "after {second} seconds");
        }
    }

    #[test]
    fn processes_that_wait_do_not_ask_in_step() {
        let pauses: Vec<_> = (0..1_000).map(|_| jitter(POLL.0, POLL.1)).collect();
        let (least, most) = (Duration::from_millis(50), Duration::from_millis(500));
        assert!(pauses.iter().all(|pause| (least..=most).contains(pause)));
        let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*longest - *shortest > Duration::from_millis(300), "{shortest:?} to {longest:?}");
    }
}
