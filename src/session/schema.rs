//! The shape of the session database, as numbered steps.

use crate::store::database::Kind;

/// The session database ("nexs").
pub(super) static SESSIONS: Kind = Kind {
    application_id: 0x6e65_7873,
    steps: STEPS,
    // EXTRA, because FULL does not sync the folder after the journal is deleted: a power cut could bring
    // the journal back, and with it the refresh token that was just spent.
    writing: "PRAGMA secure_delete = ON; PRAGMA synchronous = EXTRA;",
    otherwise: ", then run the command again",
    if_damaged: "move it away, then run `nexus oauth start` to sign in anew",
};

/// SQLite keeps a table's text as it was written and reads it again at every start, which is why
/// these lines are terse and their comments stand here. `access_token`, `refresh_token`,
/// `client_secret`, `metadata` and `failed` are sealed (`seal.rs`). Times are Unix seconds; no `expires_at`
/// means that the server did not say. `flight_at` is the refresh in flight, committed before the
/// refresh token is spent; `failed` is what became of the last attempt of this generation; the first
/// version kept that unsealed, as `failure`.
const STEPS: &[&str] = &[
    "CREATE TABLE session(provider TEXT NOT NULL,owner TEXT NOT NULL,generation INTEGER NOT NULL,\
access_token BLOB NOT NULL,refresh_token BLOB,client_secret BLOB,metadata BLOB NOT NULL,token_type TEXT NOT NULL,\
scopes TEXT NOT NULL,issued_at INTEGER NOT NULL,expires_at INTEGER,ended_at INTEGER,client_id TEXT NOT NULL,\
client_auth TEXT NOT NULL,token_url TEXT NOT NULL,revoke_url TEXT,api_url TEXT,flight_at INTEGER,\
attempts INTEGER NOT NULL DEFAULT 0,failure TEXT,models TEXT,PRIMARY KEY(provider,owner))STRICT,WITHOUT ROWID",
    "ALTER TABLE session ADD COLUMN failed BLOB;ALTER TABLE session DROP COLUMN failure",
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::private_fs::{self, Privacy};
    use crate::store::database::{Connection, Database};

    /// A session as the first version writes it; later ones have these columns, too.
    const ROW: &str = "INSERT INTO session (provider, owner, generation, access_token, metadata, token_type, scopes,
        issued_at, client_id, client_auth, token_url) VALUES ('work', 'ada', 7, x'00', x'01', 'Bearer', 's', 1, 'c',
        'none', 'https://id.example.com/token')";

    #[test]
    fn a_database_of_every_older_version_becomes_a_current_one() {
        for version in 0..=STEPS.len() {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("sessions.db");
            private_fs::create(&path).unwrap();
            let written = Connection::open(&path).unwrap();
            for step in &STEPS[..version] {
                written.execute_batch(step).unwrap();
            }
            written.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            if version > 0 {
                written.execute_batch(ROW).unwrap();
            }
            if version == 1 {
                written.execute_batch("UPDATE session SET failure = 'ada@example.com is locked'").unwrap();
            }
            drop(written);
            let database = Database::new(path.clone(), &SESSIONS, Privacy::default());
            for again in [false, true] {
                database.prove_writable().unwrap_or_else(|why| panic!("from version {version}, again {again}: {why}"));
            }
            let kept = "SELECT count(*) FROM session WHERE generation = 7 AND owner = 'ada' AND failed IS NULL";
            let kept: Vec<i64> = database.rows(kept, [], |row| row.get(0)).unwrap();
            assert_eq!(kept, [i64::from(version > 0)], "what was there is there, from version {version}");
            let bytes = fs::read(&path).unwrap();
            let reads = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
            assert!(!reads(b"ada@example.com"), "a server's words stay behind, from version {version}");
        }
    }
}
