//! A session store in PostgreSQL, for any number of machines.
//!
//! The store keeps no state in a connection, so it works behind poolers in transaction mode: no prepared statements
//! with names, no session locks, no notifications. A session is locked by a lease in its row (`lease.rs`), which
//! expires by the server's clock. Only the primary is used.

use std::fmt;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;

use super::contract::{
    BoxFuture, Listed, Loaded, LockedSession, Page, Record, Replacement, Result, SealedSession, SealedValue,
    SessionKey, SessionStore,
};
use super::error::{ServerProblem, StoreError};

mod error;
mod lease;
mod locked;
mod pool;
mod recent;
mod schema;
mod tls;
mod url;
mod values;

use pool::{Connections, Patience, Pool, bytes, number, text};
use recent::Recent;
pub use url::{PostgresUrl, PostgresUrlError};

/// The server's time in Unix seconds, as SQL.
macro_rules! now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()))::bigint"
    };
}

/// A condition that is true and makes the transaction's commit wait for the disk, whatever the database's setting.
macro_rules! durable {
    () => {
        "set_config('synchronous_commit', 'on', true) = 'on'"
    };
}

use {durable, now};

/// Keeps sessions in PostgreSQL 13 or later. Clones share their connections.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    recent: Recent,
    url: PostgresUrl,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("name", &self.pool.name()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// A store in this database. Connects when it is first used.
    pub fn new(url: &PostgresUrl) -> Self {
        Self { pool: Pool::new(url), recent: Recent::default(), url: url.clone() }
    }

    /// The statements that create the tables, for an administrator who runs them.
    pub fn schema() -> String {
        schema::STEPS.concat()
    }

    /// The rights that a user needs who does not own the tables, as `GRANT` statements to `user`.
    pub fn grants(user: &str) -> String {
        let tables = schema::RIGHTS
            .iter()
            .map(|(table, rights)| format!("GRANT {} ON nexus.{table} TO {user};\n", rights.join(", ")));
        std::iter::once(format!("GRANT USAGE ON SCHEMA nexus TO {user};\n")).chain(tables).collect()
    }

    /// The version of the tables, if this program can use them.
    ///
    /// # Errors
    /// [`ServerProblem::NoTables`], [`ServerProblem::OlderVersion`] and [`ServerProblem::NewerVersion`], and others if
    /// the server cannot be used.
    pub async fn schema_version(&self) -> Result<i64> {
        let connections = &Connections::new(&self.url);
        let find = |limit| async move { schema::version(&connections.connect_within(limit).await?).await };
        let version = pool::repeated(Patience::Usual, find).await.map_err(|failure| self.pool.error(failure))?;
        schema::problem(version).map_or(Ok(version), |problem| Err(self.problem(problem)))
    }

    /// Creates the tables, or migrates them to the version that this program needs, in one transaction. Returns the
    /// version that they had, or 0 if there were none, and the version that they have.
    ///
    /// # Errors
    /// [`ServerProblem::NewerVersion`], [`ServerProblem::NotPermitted`] if the user may not do it, and others if the
    /// server cannot be used.
    pub async fn migrate(&self) -> Result<(i64, i64)> {
        let connections = &Connections::new(&self.url);
        let migrate = |limit| async move { schema::migrate(&mut connections.connect_within(limit).await?).await };
        let migrated = pool::repeated(Patience::Usual, migrate).await;
        let (before, after) = migrated.map_err(|failure| self.pool.error(failure))?;
        schema::problem(after).map_or(Ok((before, after)), |problem| Err(self.problem(problem)))
    }

    fn problem(&self, problem: ServerProblem) -> StoreError {
        self.pool.error(error::Failure::permanent(problem))
    }

    /// Reads a session. Without an answer, what was read lately is used.
    async fn read_or_recall(&self, key: &SessionKey) -> Result<Loaded> {
        // A remembered session can be used at once, so a server that is down gets little time.
        let patience = if self.recent.has(key) { Patience::Short } else { Patience::Usual };
        let read = self.read(key, patience).await;
        match read {
            Ok(loaded) => {
                self.recent.keep(key, &loaded);
                Ok(loaded)
            }
            Err(error) if error.is_unavailable() => self.recent.get(key).ok_or(error),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, key: &SessionKey, patience: Patience) -> Result<Loaded> {
        // As cheap to plan as possible: an unnamed statement is planned each time.
        let statement =
            "SELECT clock_timestamp(), generation, issued_at, expires_at, ended_at, refreshing_since, attempts,
                sealed, moved_to FROM nexus.session WHERE owner = $1 AND provider = $2 AND generation > 0";
        let params = [text(&key.owner), text(&key.provider)];
        let rows = self.pool.rows_within(patience, statement, &params).await?;
        if let Some(row) = rows.first() {
            return Ok(Loaded { now: self.time(row)?, record: Some(self.record(row)?) });
        }
        let rows = self.pool.rows_within(patience, "SELECT clock_timestamp()", &[]).await?;
        let now = rows.first().map_or_else(|| Ok(crate::time::now()), |row| self.time(row))?;
        Ok(Loaded { now, record: None })
    }

    /// The server's time in the first column, in Unix seconds.
    fn time(&self, row: &Row) -> Result<i64> {
        let time: SystemTime = self.pool.column(row, 0)?;
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    fn record(&self, row: &Row) -> Result<Record> {
        let pool = &self.pool;
        Ok(Record {
            session: SealedSession {
                generation: pool.column(row, 1)?,
                issued_at: pool.column(row, 2)?,
                expires_at: pool.column(row, 3)?,
                bytes: pool.column(row, 7)?,
            },
            ended_at: pool.column(row, 4)?,
            refreshing_since: pool.column(row, 5)?,
            attempts: pool.column(row, 6)?,
            moved_to: pool.column(row, 8)?,
        })
    }
}

impl SessionStore for PostgresStore {
    fn name(&self) -> String {
        self.pool.name().to_owned()
    }

    fn load<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(self.read_or_recall(key))
    }

    fn list<'a>(&'a self, owner: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>> {
        Box::pin(async move {
            let statement = "SELECT provider, owner, generation, expires_at, ended_at, moved_to FROM nexus.session
                WHERE generation > 0 AND ($1 IS NULL OR owner = $1) ORDER BY owner, provider";
            let rows = self.pool.rows(statement, &[text(&owner)]).await?;
            let listed = rows.iter().map(|row| {
                Ok(Listed {
                    key: SessionKey { provider: self.pool.column(row, 0)?, owner: self.pool.column(row, 1)? },
                    generation: self.pool.column(row, 2)?,
                    expires_at: self.pool.column(row, 3)?,
                    ended_at: self.pool.column(row, 4)?,
                    moved_to: self.pool.column(row, 5)?,
                })
            });
            listed.collect()
        })
    }

    fn lock<'a>(&'a self, key: &'a SessionKey, wait: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>> {
        Box::pin(locked::lock(self, key, wait))
    }

    fn put_pending<'a>(
        &'a self,
        owner: &'a str,
        state_hash: [u8; 32],
        sealed: Vec<u8>,
        expires_at: i64,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Expired ones are deleted in small numbers, and never those that another process deletes.
            let statement = concat!(
                "WITH expired AS (DELETE FROM nexus.pending WHERE (owner, state) IN (
                   SELECT owner, state FROM nexus.pending
                   WHERE expires_at <= ",
                now!(),
                " AND NOT (owner = $1 AND state = $2)
                   LIMIT 100 FOR UPDATE SKIP LOCKED))
                 INSERT INTO nexus.pending AS p (owner, state, expires_at, sealed) SELECT $1, $2, $3, $4 WHERE ",
                durable!(),
                "
                 ON CONFLICT (owner, state) DO UPDATE
                   SET expires_at = excluded.expires_at, sealed = excluded.sealed, taken_by = NULL
                 RETURNING 1"
            );
            let state = &state_hash[..];
            let params = [text(&owner), bytes(&state), number(&expires_at), bytes(&sealed)];
            self.pool.changes(statement, &params).await.map(drop)
        })
    }

    fn take_pending<'a>(&'a self, owner: &'a str, state_hash: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            // Marked first, so that the statement can be repeated if the connection is lost.
            let taken_by = lease::random()?;
            let (state, taken_by) = (&state_hash[..], &taken_by[..]);
            let statement = concat!(
                "UPDATE nexus.pending SET taken_by = $3 WHERE owner = $1 AND state = $2
                 AND expires_at > ",
                now!(),
                " AND (taken_by IS NULL OR taken_by = $3) AND ",
                durable!(),
                "
                 RETURNING sealed"
            );
            let params = [text(&owner), bytes(&state), bytes(&taken_by)];
            let Some(row) = self.pool.row(statement, &params).await? else { return Ok(None) };
            let delete = "DELETE FROM nexus.pending WHERE owner = $1 AND state = $2 AND taken_by = $3 RETURNING 1";
            // One that could not be deleted cannot be taken either, and expires.
            let _ = self.pool.rows(delete, &params).await;
            Ok(Some(self.pool.column(&row, 0)?))
        })
    }

    fn load_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let statement = "SELECT sealed FROM nexus.client WHERE issuer = $1 AND redirect_uri = $2";
            let row = self.pool.row(statement, &[text(&issuer), text(&redirect_uri)]).await?;
            row.map(|row| self.pool.column(&row, 0)).transpose()
        })
    }

    fn save_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str, sealed: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let statement = concat!(
                "INSERT INTO nexus.client (issuer, redirect_uri, sealed) SELECT $1, $2, $3 WHERE ",
                durable!(),
                "
                 ON CONFLICT (issuer, redirect_uri) DO UPDATE SET sealed = excluded.sealed RETURNING 1"
            );
            let params = [text(&issuer), text(&redirect_uri), bytes(&sealed)];
            self.pool.changes(statement, &params).await.map(drop)
        })
    }

    fn delete_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let statement = concat!(
                "DELETE FROM nexus.client WHERE issuer = $1 AND redirect_uri = $2 AND ",
                durable!(),
                " RETURNING 1"
            );
            self.pool.changes(statement, &[text(&issuer), text(&redirect_uri)]).await.map(drop)
        })
    }

    fn sealed_values<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Result<Vec<SealedValue>>> {
        Box::pin(async move { values::read(&self.pool, page).await })
    }

    fn replace_values(&self, values: Vec<Replacement>) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move { values::replace(&self.pool, &values).await })
    }

    fn active_key(&self) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async move {
            let row = self.pool.row("SELECT id FROM nexus.active_key", &[]).await?;
            row.map(|row| self.pool.column(&row, 0)).transpose()
        })
    }

    fn activate_key<'a>(&'a self, id: &'a str, if_none: bool) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            const STATEMENT: &str = concat!(
                "INSERT INTO nexus.active_key AS k (id) SELECT $1 WHERE ",
                durable!(),
                " ON CONFLICT (single) DO UPDATE SET id = CASE WHEN $2 = 1 THEN k.id ELSE excluded.id END RETURNING id"
            );
            let row = self.pool.row(STATEMENT, &[text(&id), number(&i64::from(if_none))]).await?;
            row.map(|row| self.pool.column(&row, 0)).transpose()
        })
    }

    fn lock_wait(&self) -> Duration {
        Duration::from_secs(150)
    }

    fn wait_for_locks(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(lease::wait_for_all(&self.pool))
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.pool.rows("SELECT 1 FROM nexus.version", &[]).await?;
            self.check_writable().await
        })
    }

    /// Checks the user's rights on the tables.
    fn check_writable(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let rows = self.pool.rows(&schema::missing_rights(), &[]).await?;
            let missing = rows.iter().map(|row| {
                let (table, rights): (&str, &str) = (self.pool.column(row, 0)?, self.pool.column(row, 1)?);
                Ok(format!("{rights} on {table}"))
            });
            match missing.collect::<Result<Vec<_>>>()? {
                missing if missing.is_empty() => Ok(()),
                missing => Err(self.problem(ServerProblem::MissingRights(missing.join("; ")))),
            }
        })
    }
}
