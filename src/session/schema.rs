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

#[cfg(test)]
mod tests {
    use super::*;

    /// A session as the first version writes it; later ones have these columns, too.
    const ROW: &str = "INSERT INTO session (provider, owner, generation, access_token, metadata, token_type, scopes,
        issued_at, client_id, client_auth, token_url) VALUES ('work', 'ada', 7, x'00', x'01', 'Bearer', 's', 1, 'c',
        'none', 'https://id.example.com/token')";

    #[test]
    fn a_database_of_every_older_version_becomes_a_current_one() {
        for version in 0..=STEPS.len() {
            let mut database = Connection::open_in_memory().unwrap();
            for step in &STEPS[..version] {
                database.execute_batch(step).unwrap();
            }
            database.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            if version > 0 {
                database.execute_batch(ROW).unwrap();
            }
            assert_eq!(migrate(&mut database).unwrap(), current(), "from version {version}");
            assert_eq!(migrate(&mut database).unwrap(), current(), "and once more");
            let pragma =
                |name: &str| -> i64 { database.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap() };
            assert_eq!(pragma("user_version"), current());
            let kept = "SELECT count(*) FROM session WHERE generation = 7 AND owner = 'ada'";
            let kept: i64 = database.query_row(kept, [], |row| row.get(0)).unwrap();
            assert_eq!(kept, i64::from(version > 0), "what was there is there, from version {version}");
        }
    }

    #[test]
    fn a_database_of_a_newer_version_is_left_alone() {
        let mut database = Connection::open_in_memory().unwrap();
        database.pragma_update(None, "user_version", current() + 1).unwrap();
        assert_eq!(migrate(&mut database).unwrap(), current() + 1);
        let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }
}
