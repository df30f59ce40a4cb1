//! Connections to the server: a bounded pool, and statements that are repeated on another connection after a failure
//! that may pass.
//!
//! Every statement is one round trip and one transaction of its own, unnamed, so that poolers in transaction mode work.
//! Every statement can be repeated, because a lost connection does not tell whether the server executed it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts};
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::time::Instant;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::{self, Failure};
use super::schema;
use super::tls::Connector;
use super::url::PostgresUrl;
use crate::store::contract::Result;
use crate::store::error::{ServerProblem, StoreError};

/// How many connections one process has at most.
const CONNECTIONS: usize = 10;

/// How long to try while the server cannot be reached.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    Usual,
    /// `Usual`, even if the server could not be reached a moment ago. For what others wait for.
    Always,
    /// For a caller that can do without the answer.
    Short,
    /// Once, because a caller of this process has waited for the server just now.
    Once,
}

impl Patience {
    /// How long a statement is repeated, and how long one attempt may take. A connection that does not answer in time
    /// is not used again.
    fn limits(self) -> (Duration, Duration) {
        match self {
            Self::Usual | Self::Always => (Duration::from_secs(10), Duration::from_secs(10)),
            Self::Short => (Duration::from_millis(100), Duration::from_secs(2)),
            Self::Once => (Duration::ZERO, Duration::from_millis(500)),
        }
    }
}

/// How long to wait for a connection while all those of this process are in use, or while the server has none free.
const PATIENCE_FOR_CONNECTION: Duration = Duration::from_secs(60);

/// How long no task tries to connect after an attempt has failed. Otherwise each of many waiting tasks would wait for
/// its own attempt.
const COOL_DOWN: Duration = Duration::from_millis(250);

/// How long no call waits for the server after one has waited in vain. Each of them tries once, so the end of the outage
/// is noticed at once; a command that makes several calls waits once for all of them.
const OUTAGE: Duration = Duration::from_secs(2);

/// The pause before another attempt.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// A parameter of a statement. The types are given, because a statement whose types the server tells needs a name.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

pub(super) fn text<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::TEXT)
}

pub(super) fn number<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::INT8)
}

pub(super) fn bytes<'a>(value: &'a (dyn ToSql + Sync)) -> Param<'a> {
    (value, Type::BYTEA)
}

/// The connections of one process. Clones share them.
#[derive(Clone)]
pub(super) struct Pool {
    name: String,
    pool: managed::Pool<Connections>,
    /// When a call has last waited for the server in vain, if none has got an answer since.
    gave_up: Arc<Mutex<Option<Instant>>>,
}

/// A connection that is taken from the pool.
type Connection = managed::Object<Connections>;

impl Pool {
    /// A pool that connects when it is first used.
    pub(super) fn new(url: &PostgresUrl) -> Self {
        let builder = managed::Pool::builder(Connections::new(url)).max_size(CONNECTIONS).runtime(Runtime::Tokio1);
        let Ok(pool) = builder.build() else { unreachable!("only a pool without a runtime can be wrong") };
        Self { name: url.name(), pool, gave_up: Arc::default() }
    }

    /// The server and the database, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a statement that can be repeated. After a failure that may pass, it is repeated on another connection.
    pub(super) async fn rows(&self, statement: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.rows_within(Patience::Usual, statement, params).await
    }

    /// [`rows`](Self::rows) with this patience.
    pub(super) async fn rows_within(
        &self,
        patience: Patience,
        statement: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>> {
        let patience = self.patience_now(patience);
        let rows = repeated(patience, |limit| self.attempt(limit, statement, params)).await;
        self.remember(patience, rows.as_ref().err());
        rows.map_err(|failure| self.error(failure))
    }

    fn patience_now(&self, patience: Patience) -> Patience {
        let gave_up = *self.gave_up();
        match patience {
            Patience::Usual if gave_up.is_some_and(|at| at.elapsed() < OUTAGE) => Patience::Once,
            patience => patience,
        }
    }

    /// Remembers whether the server can be reached, after a call with this patience and result.
    fn remember(&self, patience: Patience, failure: Option<&Failure>) {
        match (patience, failure.map(|failure| &failure.problem)) {
            (Patience::Usual | Patience::Always, Some(ServerProblem::Unreachable(_))) => {
                *self.gave_up() = Some(Instant::now());
            }
            (_, Some(ServerProblem::Unreachable(_) | ServerProblem::TooManyConnections)) => {}
            _ => *self.gave_up() = None,
        }
    }

    fn gave_up(&self) -> MutexGuard<'_, Option<Instant>> {
        self.gave_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement that can be repeated, and returns its only row, if there is one.
    pub(super) async fn row(&self, statement: &str, params: &[Param<'_>]) -> Result<Option<Row>> {
        Ok(self.rows(statement, params).await?.into_iter().next())
    }

    /// Runs a statement that can be repeated and returns a row for each row that it changes. Tells whether there was
    /// one.
    pub(super) async fn changes(&self, statement: &str, params: &[Param<'_>]) -> Result<bool> {
        Ok(self.row(statement, params).await?.is_some())
    }

    async fn attempt(
        &self,
        limit: Duration,
        statement: &str,
        params: &[Param<'_>],
    ) -> std::result::Result<Vec<Row>, Failure> {
        let late = || Failure::temporary(format!("no answer within {} seconds", limit.as_secs_f64()));
        let connection = self.connection(limit).await?;
        match tokio::time::timeout(limit, connection.query_typed(statement, params)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                // The server may still execute the statement.
                drop(Connection::take(connection));
                Err(late())
            }
        }
    }

    /// A column of a row.
    pub(super) fn column<'r, T: FromSql<'r>>(&self, row: &'r Row, at: usize) -> Result<T> {
        row.try_get(at).map_err(|error| self.error(error.into()))
    }

    /// A connection. A new one is made within `limit`.
    async fn connection(&self, limit: Duration) -> std::result::Result<Connection, Failure> {
        let timeouts = Timeouts { wait: Some(PATIENCE_FOR_CONNECTION), create: Some(limit), recycle: None };
        self.pool.timeout_get(&timeouts).await.map_err(|error| match error {
            PoolError::Backend(failure) => failure,
            PoolError::Timeout(TimeoutType::Wait) => Failure::temporary("all connections of this process are in use"),
            _ => {
                let failure = no_connection(limit);
                self.pool.manager().cool_down(&failure);
                failure
            }
        })
    }

    /// The error for a caller.
    pub(super) fn error(&self, failure: Failure) -> StoreError {
        StoreError::Server { store: self.name.clone(), problem: failure.problem }
    }
}

/// Repeats what can be repeated after a failure that may pass. `attempt` gets its time limit.
pub(super) async fn repeated<T, F: Future<Output = std::result::Result<T, Failure>>>(
    patience: Patience,
    attempt: impl Fn(Duration) -> F,
) -> std::result::Result<T, Failure> {
    let (mut limit, attempt_limit) = patience.limits();
    let begun = Instant::now();
    loop {
        let failure = match attempt(attempt_limit).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if let (ServerProblem::TooManyConnections, Patience::Usual | Patience::Always) = (&failure.problem, patience) {
            // A pooler that was told so does not answer for a while.
            limit = PATIENCE_FOR_CONNECTION;
        }
        if !failure.is_temporary || begun.elapsed() >= limit {
            return Err(failure);
        }
        tokio::time::sleep(jitter(PAUSE.0, PAUSE.1)).await;
    }
}

fn no_connection(limit: Duration) -> Failure {
    Failure::temporary(format!("no connection within {} seconds", limit.as_secs_f64()))
}

/// A random duration between two others, so that many processes do not ask in step.
pub(super) fn jitter(least: Duration, most: Duration) -> Duration {
    let random = f64::from(SysRng.try_next_u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
    least + (most - least).mul_f64(random)
}

/// Makes the connections of a pool.
pub(super) struct Connections {
    url: PostgresUrl,
    tls: Connector,
    /// The last attempt that failed because the server cannot be reached.
    failed: Mutex<Option<(Instant, Failure)>>,
}

impl managed::Manager for Connections {
    type Type = Client;
    type Error = Failure;

    async fn create(&self) -> std::result::Result<Client, Failure> {
        if let Some((at, failure)) = &*self.failed()
            && at.elapsed() < COOL_DOWN
        {
            return Err(failure.clone());
        }
        let client = self.connect().await.inspect_err(|failure| {
            if matches!(failure.problem, ServerProblem::Unreachable(_)) {
                self.cool_down(failure);
            }
        })?;
        let version = schema::version(&client).await?;
        schema::problem(version).map_or(Ok(client), |problem| Err(Failure::permanent(problem)))
    }

    async fn recycle(&self, client: &mut Client, _: &Metrics) -> RecycleResult<Failure> {
        if client.is_closed() { Err(RecycleError::message("the connection is closed")) } else { Ok(()) }
    }
}

impl Connections {
    pub(super) fn new(url: &PostgresUrl) -> Self {
        Self { tls: Connector::new(url.authorities.clone()), url: url.clone(), failed: Mutex::default() }
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Instant, Failure)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets all tasks fail for a while as this attempt did.
    fn cool_down(&self, failure: &Failure) {
        *self.failed() = Some((Instant::now(), failure.clone()));
    }

    /// A connection outside of any pool, to tables of any version.
    pub(super) async fn connect_within(&self, limit: Duration) -> std::result::Result<Client, Failure> {
        tokio::time::timeout(limit, self.connect()).await.unwrap_or_else(|_| Err(no_connection(limit)))
    }

    async fn connect(&self) -> std::result::Result<Client, Failure> {
        let config = &self.url.config;
        let (tls, needs_tls) = (self.tls.attempt(), config.get_ssl_mode() == SslMode::Require);
        if needs_tls {
            // A file that cannot be used is named even if the server cannot be reached.
            tls.config().map_err(|error| Failure::permanent(error.problem()))?;
        }
        let error = match config.connect(tls.clone()).await {
            Ok((client, connection)) => {
                // It ends with the client. An error is an error of the client's statements, too.
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error) => error,
        };
        if error::is_read_only(&error) && self.has_read_only_user().await.unwrap_or(false) {
            return Err(Failure::permanent(ServerProblem::ReadOnlyUser));
        }
        let failure = Failure::of_connecting(error);
        match failure.problem {
            ServerProblem::Refused(_) if needs_tls && !tls.has_agreed() => {
                Err(Failure::permanent(ServerProblem::NoTls))
            }
            _ => Err(failure),
        }
    }

    /// Whether a server takes no writes because of its user. Otherwise it is a standby, which may become the primary,
    /// or its operator has stopped all writes for a time.
    async fn has_read_only_user(&self) -> std::result::Result<bool, tokio_postgres::Error> {
        let mut config = self.url.config.clone();
        config.target_session_attrs(TargetSessionAttrs::Any);
        let (client, connection) = config.connect(self.tls.attempt()).await?;
        tokio::spawn(connection);
        let statement = "SELECT source IN ('client', 'user', 'database user') AND NOT pg_is_in_recovery()
            FROM pg_settings WHERE name = 'default_transaction_read_only'";
        client.query_typed_one(statement, &[]).await?.try_get(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_free_connection_is_waited_for_while_a_pooler_does_not_answer() {
        let begun = Instant::now();
        // pgbouncer asks the server again after 15 seconds. Until then its clients wait.
        let attempt = |limit: Duration| async move {
            match begun.elapsed().as_secs() {
                0 => Err(Failure { problem: ServerProblem::TooManyConnections, is_temporary: true }),
                45.. => Ok(()),
                _ => {
                    tokio::time::sleep(limit).await;
                    Err(no_connection(limit))
                }
            }
        };
        repeated(Patience::Usual, attempt).await.unwrap();

        let begun = Instant::now();
        let failure = repeated(Patience::Usual, |_| async { Err::<(), _>(Failure::temporary("down")) }).await;
        assert!(matches!(failure.unwrap_err().problem, ServerProblem::Unreachable(_)));
        assert!((10..12).contains(&begun.elapsed().as_secs()), "an outage gets less time");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_wait_in_vain_calls_try_once_until_one_gets_an_answer_or_for_two_seconds() {
        use Patience::{Always, Once, Short, Usual};
        let pool = Pool::new(&PostgresUrl::parse("postgres://nexus@127.0.0.1/n?sslmode=disable").unwrap());
        let (down, full) = (Failure::temporary("down"), ServerProblem::TooManyConnections);
        let full = Failure { problem: full, is_temporary: true };
        let is_down = || matches!(pool.patience_now(Usual), Once);
        for (patience, failure) in [(Short, &down), (Once, &down), (Usual, &full)] {
            pool.remember(patience, Some(failure));
            assert!(!is_down());
        }
        pool.remember(Usual, Some(&down));
        assert!(is_down());
        assert!(matches!((pool.patience_now(Short), pool.patience_now(Always)), (Short, Always)));
        pool.remember(Once, Some(&down));
        assert!(is_down());
        pool.remember(Once, None);
        assert!(!is_down(), "the server is back");
        pool.remember(Usual, Some(&down));
        tokio::time::advance(OUTAGE).await;
        assert!(!is_down(), "a program that goes on waits again");
    }
}
