//! The shape of the session database, as numbered steps. `user_version` counts those done.

use rusqlite::{Connection, TransactionBehavior};

/// What marks the file as ours ("nexs").
const APPLICATION_ID: i64 = 0x6e65_7873;

/// Step n leads from version n to n + 1. A released step is never edited, only followed.
///
/// SQLite keeps a table's text as it was written and reads it again at every start, which is why
/// these lines are terse and their comments stand here. `access_token`, `refresh_token`,
/// `client_secret` and `metadata` are sealed (`seal.rs`). Times are Unix seconds; no `expires_at`
/// means that the server did not say. `flight_at` is the refresh in flight, committed before the
/// refresh token is spent; `failure` is what became of the last attempt of this generation.
const STEPS: &[&str] =
    &["CREATE TABLE session(provider TEXT NOT NULL,owner TEXT NOT NULL,generation INTEGER NOT NULL,\
access_token BLOB NOT NULL,refresh_token BLOB,client_secret BLOB,metadata BLOB NOT NULL,token_type TEXT NOT NULL,\
scopes TEXT NOT NULL,issued_at INTEGER NOT NULL,expires_at INTEGER,ended_at INTEGER,client_id TEXT NOT NULL,\
client_auth TEXT NOT NULL,token_url TEXT NOT NULL,revoke_url TEXT,api_url TEXT,flight_at INTEGER,\
attempts INTEGER NOT NULL DEFAULT 0,failure TEXT,models TEXT,PRIMARY KEY(provider,owner))STRICT,WITHOUT ROWID"];

/// The version this program writes.
pub(super) fn current() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings a database to the current version, step by step in one transaction. A version from the
/// future is left alone.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version >= current() {
        return Ok(version);
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", current())?;
    transaction.commit()?;
    Ok(current())
}
