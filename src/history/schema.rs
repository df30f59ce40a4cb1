//! The shape of the history's database, as numbered steps. `user_version` counts those done.

use rusqlite::{Connection, TransactionBehavior};

/// What marks the file as ours ("nexh").
const APPLICATION_ID: i64 = 0x6e65_7868;

/// Step n leads from version n to n + 1. A released step is never edited, only followed.
///
/// `word` is the search index over the turns' text, which it does not hold a second time; the triggers
/// keep the two alike. Times are Unix seconds. `state` is `whole`, `cut` or `refused`, `usage` JSON.
const STEPS: &[&str] = &["
CREATE TABLE conversation(
    id TEXT NOT NULL PRIMARY KEY, title TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    system TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_updated ON conversation(updated_at);
CREATE TABLE turn(
    number INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversation(id), role TEXT NOT NULL,
    text TEXT NOT NULL, state TEXT NOT NULL, model TEXT, stop_reason TEXT, usage TEXT, request_id TEXT,
    at INTEGER NOT NULL) STRICT;
CREATE INDEX turn_conversation ON turn(conversation);
CREATE VIRTUAL TABLE word USING fts4(
    text, content=\"turn\", tokenize=unicode61 \"remove_diacritics=2\", order=desc);
CREATE TRIGGER turn_kept AFTER INSERT ON turn BEGIN
    INSERT INTO word(docid, text) VALUES (new.number, new.text);
END;
CREATE TRIGGER turn_deleted BEFORE DELETE ON turn BEGIN
    DELETE FROM word WHERE docid = old.number;
END;
"];

/// The version this program writes.
pub(super) fn current() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings a database to the current version, step by step in one transaction. A version from the
/// future is left alone.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let found: i64 = version(connection)?;
    if found >= current() {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have been faster.
    let found: i64 = version(&transaction)?;
    if found >= current() {
        return Ok(found);
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", current())?;
    transaction.commit()?;
    Ok(current())
}
