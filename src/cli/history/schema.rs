//! The schema of the history database, as migration steps.

use nexus::internal::store::database::Kind;

/// The application id is "nexh".
pub(super) static HISTORY: Kind = Kind {
    application_id: 0x6e65_7868,
    steps: &[
        &[CONVERSATION, CONVERSATION_UPDATED, TURN, TURN_CONVERSATION, WORD, TURN_KEPT, TURN_DELETED],
        &["ALTER TABLE turn ADD COLUMN typed TEXT"],
        &["ALTER TABLE turn ADD COLUMN failure TEXT"],
    ],
    schema: &[
        ("conversation", CONVERSATION),
        ("conversation_updated", CONVERSATION_UPDATED),
        ("turn", TURN_WITH_ADDED),
        ("turn_conversation", TURN_CONVERSATION),
        ("word", WORD),
        // What SQLite creates for `word`.
        ("word_segments", "CREATE TABLE 'word_segments'(blockid INTEGER PRIMARY KEY, block BLOB)"),
        (
            "word_segdir",
            "CREATE TABLE 'word_segdir'(level INTEGER,idx INTEGER,start_block INTEGER,leaves_end_block INTEGER,\
             end_block INTEGER,root BLOB,PRIMARY KEY(level, idx))",
        ),
        ("sqlite_autoindex_word_segdir_1", ""),
        ("word_docsize", "CREATE TABLE 'word_docsize'(docid INTEGER PRIMARY KEY, size BLOB)"),
        ("word_stat", "CREATE TABLE 'word_stat'(id INTEGER PRIMARY KEY, value BLOB)"),
        ("turn_kept", TURN_KEPT),
        ("turn_deleted", TURN_DELETED),
    ],
    writing: "PRAGMA secure_delete = ON",
};

// Times are Unix seconds. SQLite stores these texts, and nexus compares them.

const CONVERSATION: &str = "CREATE TABLE conversation(
    id TEXT NOT NULL PRIMARY KEY, title TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    system TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT, WITHOUT ROWID";

const CONVERSATION_UPDATED: &str = "CREATE INDEX conversation_updated ON conversation(updated_at)";

/// `state` is `whole`, `cut`, `refused` or `replaced`; `usage` is JSON.
const TURN: &str = "CREATE TABLE turn(
    number INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversation(id), role TEXT NOT NULL,
    text TEXT NOT NULL, state TEXT NOT NULL, model TEXT, stop_reason TEXT, usage TEXT, request_id TEXT,
    at INTEGER NOT NULL) STRICT";

/// What SQLite stores once the columns are added. `typed` is what was typed at the prompt of a conversation, if the
/// question came from there. `failure` is why no answer came to a question.
const TURN_WITH_ADDED: &str = "CREATE TABLE turn(
    number INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversation(id), role TEXT NOT NULL,
    text TEXT NOT NULL, state TEXT NOT NULL, model TEXT, stop_reason TEXT, usage TEXT, request_id TEXT,
    at INTEGER NOT NULL, typed TEXT, failure TEXT) STRICT";

const TURN_CONVERSATION: &str = "CREATE INDEX turn_conversation ON turn(conversation)";

/// The full-text index of `turn`, without a copy of the text. The triggers keep it up to date.
const WORD: &str = "CREATE VIRTUAL TABLE word USING fts4(
    text, content=\"turn\", tokenize=unicode61 \"remove_diacritics=2\", order=desc)";

const TURN_KEPT: &str = "CREATE TRIGGER turn_kept AFTER INSERT ON turn BEGIN
    INSERT INTO word(docid, text) VALUES (new.number, new.text);
END";

const TURN_DELETED: &str = "CREATE TRIGGER turn_deleted BEFORE DELETE ON turn BEGIN
    DELETE FROM word WHERE docid = old.number;
END";
