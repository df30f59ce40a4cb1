//! The schema of the session database, as numbered steps.

use crate::store::database::Kind;

/// The session database ("nexs").
pub(super) static SESSIONS: Kind = Kind {
    application_id: 0x6e65_7873,
    steps: STEPS,
    schema: &[("session", SESSION), ("pending", PENDING), ("client", CLIENT)],
    // EXTRA also syncs the folder after the journal is deleted. Otherwise, a power failure could restore the journal,
    // and with it a used refresh token.
    writing: "PRAGMA secure_delete = ON; PRAGMA synchronous = EXTRA;",
};

/// The first byte of a session that step 3 migrated and that is not sealed anew yet. The columns of version 2 follow in
/// hexadecimal, with `|` between them and `-` for NULL.
pub(super) const UNSEALED: u8 = b'{';

/// SQLite parses the text of a table at every start, so the statements are terse. Times are Unix seconds.
///
/// Until version 2 each secret was a sealed column of its own. Step 3 puts a row's columns into one value, which
/// [`UNSEALED`] marks; the store has it sealed anew when it is first read.
const STEPS: &[&[&str]] = &[
    &["CREATE TABLE session(provider TEXT NOT NULL,owner TEXT NOT NULL,generation INTEGER NOT NULL,\
access_token BLOB NOT NULL,refresh_token BLOB,client_secret BLOB,metadata BLOB NOT NULL,token_type TEXT NOT NULL,\
scopes TEXT NOT NULL,issued_at INTEGER NOT NULL,expires_at INTEGER,ended_at INTEGER,client_id TEXT NOT NULL,\
client_auth TEXT NOT NULL,token_url TEXT NOT NULL,revoke_url TEXT,api_url TEXT,flight_at INTEGER,\
attempts INTEGER NOT NULL DEFAULT 0,failure TEXT,models TEXT,PRIMARY KEY(provider,owner))STRICT,WITHOUT ROWID"],
    &["ALTER TABLE session ADD COLUMN failed BLOB", "ALTER TABLE session DROP COLUMN failure"],
    &["ALTER TABLE session RENAME TO session2", SESSION_3, JOIN_COLUMNS, "DROP TABLE session2", PENDING, CLIENT],
    &["ALTER TABLE session ADD COLUMN moved_to TEXT"],
];

/// As the last step leaves it.
const SESSION: &str = "CREATE TABLE session(provider TEXT NOT NULL,owner TEXT NOT NULL,generation INTEGER NOT NULL,\
issued_at INTEGER NOT NULL,expires_at INTEGER,ended_at INTEGER,refreshing_since INTEGER,attempts INTEGER NOT NULL,\
sealed BLOB NOT NULL,moved_to TEXT,PRIMARY KEY(provider,owner))STRICT,WITHOUT ROWID";

const SESSION_3: &str = "CREATE TABLE session(provider TEXT NOT NULL,owner TEXT NOT NULL,generation INTEGER NOT NULL,\
issued_at INTEGER NOT NULL,expires_at INTEGER,ended_at INTEGER,refreshing_since INTEGER,attempts INTEGER NOT NULL,\
sealed BLOB NOT NULL,PRIMARY KEY(provider,owner))STRICT,WITHOUT ROWID";

const PENDING: &str = "CREATE TABLE pending(owner TEXT NOT NULL,state BLOB NOT NULL,expires_at INTEGER NOT NULL,sealed BLOB NOT NULL,\
PRIMARY KEY(owner,state))STRICT,WITHOUT ROWID";

const CLIENT: &str = "CREATE TABLE client(issuer TEXT NOT NULL,redirect_uri TEXT NOT NULL,sealed BLOB NOT NULL,\
PRIMARY KEY(issuer,redirect_uri))STRICT,WITHOUT ROWID";

const JOIN_COLUMNS: &str = "INSERT INTO session SELECT provider,owner,generation,issued_at,expires_at,ended_at,flight_at,attempts,\
CAST('{'||hex(access_token)||'|'||iif(refresh_token IS NULL,'-',hex(refresh_token))||'|'||\
iif(client_secret IS NULL,'-',hex(client_secret))||'|'||hex(metadata)||'|'||hex(token_type)||'|'||\
hex(scopes)||'|'||hex(client_id)||'|'||hex(client_auth)||'|'||hex(token_url)||'|'||\
iif(revoke_url IS NULL,'-',hex(revoke_url))||'|'||iif(api_url IS NULL,'-',hex(api_url))||'|'||\
iif(failed IS NULL,'-',hex(failed))||'|'||iif(models IS NULL,'-',hex(models)) AS BLOB)FROM session2";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::private_fs::{self, Privacy};
    use crate::store::database::{Connection, Database};

    /// A session as the first version writes it; version 2 has these columns, too.
    const ROW: &str = "INSERT INTO session (provider, owner, generation, access_token, metadata, token_type, scopes,
        issued_at, client_id, client_auth, token_url) VALUES ('work', 'ada', 7, x'00', x'01', 'Bearer', 's', 1, 'c',
        'none', 'https://id.example.com/token')";

    #[test]
    fn a_database_of_every_older_version_becomes_a_current_one() {
        for version in 0..STEPS.len() {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("sessions.db");
            private_fs::create(&path).unwrap();
            let written = Connection::open(&path).unwrap();
            for statement in STEPS[..version].iter().copied().flatten() {
                written.execute_batch(statement).unwrap();
            }
            written.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
            let (none, url) = (hex("none"), hex("https://id.example.com/token"));
            let sealed = format!("{{00|-|-|01|{}|73|63|{none}|{url}|-|-|-|-", hex("Bearer"));
            match version {
                0 => {}
                1 | 2 => written.execute_batch(ROW).unwrap(),
                _ => {
                    let row = "INSERT INTO session (provider, owner, generation, issued_at, attempts, sealed)
                        VALUES ('work', 'ada', 7, 1, 0, ?1)";
                    written.execute(row, [sealed.as_bytes()]).unwrap();
                }
            }
            if version == 1 {
                written.execute_batch("UPDATE session SET failure = 'ada@example.com is locked'").unwrap();
            }
            drop(written);
            let database = Database::new(path.clone(), &SESSIONS, Privacy::default());
            for again in [false, true] {
                database.check_writable().unwrap_or_else(|why| panic!("from version {version}, again {again}: {why}"));
            }
            let kept = "SELECT sealed FROM session
                WHERE generation = 7 AND owner = 'ada' AND attempts = 0 AND moved_to IS NULL";
            let kept: Vec<Vec<u8>> = database.rows(kept, [], |row| row.get(0)).unwrap();
            let kept: Vec<_> = kept.into_iter().map(|kept| String::from_utf8(kept).unwrap()).collect();
            let expected = if version > 0 { vec![sealed] } else { Vec::new() };
            assert_eq!(kept, expected, "what was there is there, from version {version}");
            let bytes = fs::read(&path).unwrap();
            let reads = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
            assert!(!reads(b"ada@example.com"), "a server's words stay behind, from version {version}");
        }
    }
}
