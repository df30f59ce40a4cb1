//! The schema of the history database, as migration steps.

use nexus::internal::store::database::Kind;

/// The application id is "nexh".
pub(super) static HISTORY: Kind =
    Kind { application_id: 0x6e65_7868, steps: STEPS, writing: "PRAGMA secure_delete = ON" };

/// `word` is the full-text index of `turn`, without a copy of the text; the triggers keep it up to date. Times are Unix
/// seconds. `state` is `whole`, `cut` or `refused`; `usage` is JSON.
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
