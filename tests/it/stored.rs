//! Reads and writes the stored session as `src/session/record.rs` describes it, without that code.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rusqlite::{Connection, params};
use serde_json::Value;

/// One session.
pub(crate) struct Stored {
    home: PathBuf,
    pub(crate) provider: String,
    pub(crate) owner: String,
    pub(crate) generation: i64,
    /// The layout version and the session's id.
    head: Vec<u8>,
    /// The name of the key: `nxk1`, its length, and its id.
    key: Vec<u8>,
    /// The sealed record.
    pub(crate) session: Value,
}

fn cipher(home: &Path) -> XChaCha20Poly1305 {
    let line = fs::read_to_string(home.join("key/session.key")).unwrap();
    let key = STANDARD_NO_PAD.decode(line.trim().strip_prefix("nexus-key-1 ").unwrap()).unwrap();
    XChaCha20Poly1305::new_from_slice(&key).unwrap()
}

fn database(home: &Path) -> Connection {
    Connection::open(home.join("data/sessions.db")).unwrap()
}

/// The title, each part after its length, and the generation.
fn associated(title: &[u8], parts: [&[u8]; 3], generation: i64) -> Vec<u8> {
    let mut bytes = title.to_vec();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    bytes.extend(generation.to_le_bytes());
    bytes
}

/// The associated data of a value that names its key.
fn bound(key: &[u8], associated: &[u8]) -> Vec<u8> {
    let mut bytes = b"nexus named key 1".to_vec();
    for part in [&key[5..], associated] {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    bytes
}

fn sealed(home: &Path, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = [7; 24];
    let payload = Payload { msg: plain, aad: associated };
    [&nonce[..], &cipher(home).encrypt(&XNonce::from(nonce), payload).unwrap()].concat()
}

impl Stored {
    /// The only session of a home whose key is in a file.
    pub(crate) fn open(home: &Path) -> Self {
        let query = "SELECT provider, owner, generation, sealed FROM session";
        let (provider, owner, generation, bytes): (String, String, i64, Vec<u8>) = database(home)
            .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap();
        let (head, rest) = bytes.split_at(17);
        assert!(rest.starts_with(b"nxk1"), "{rest:?}");
        let (key, rest) = rest.split_at(5 + usize::from(rest[4]));
        let (nonce, text) = rest.split_at(24);
        let parts = [provider.as_bytes(), owner.as_bytes(), &head[1..]];
        let associated = bound(key, &associated(b"nexus session 2", parts, generation));
        let payload = Payload { msg: text, aad: &associated };
        let plain = cipher(home).decrypt(&XNonce::try_from(nonce).unwrap(), payload).unwrap();
        let session = serde_json::from_slice(&plain).unwrap();
        Self { home: home.to_owned(), provider, owner, generation, head: head.to_vec(), key: key.to_vec(), session }
    }

    /// Seals and writes the record, and its times.
    pub(crate) fn save(&self) {
        let parts = [self.provider.as_bytes(), self.owner.as_bytes(), &self.head[1..]];
        let associated = bound(&self.key, &associated(b"nexus session 2", parts, self.generation));
        let text = serde_json::to_vec(&self.session).unwrap();
        let bytes = [&self.head[..], &self.key, &sealed(&self.home, &associated, &text)].concat();
        let statement = "UPDATE session SET issued_at = ?1, expires_at = ?2, sealed = ?3";
        let (issued_at, expires_at) = (self.session["issued_at"].as_i64(), self.session["expires_at"].as_i64());
        assert_eq!(database(&self.home).execute(statement, params![issued_at, expires_at, bytes]).unwrap(), 1);
    }

    /// Lets this many seconds pass; a negative number sets the clock back.
    pub(crate) fn pass(mut self, seconds: i64) {
        for name in ["/issued_at", "/expires_at", "/failed/refresh/at"] {
            if let Some(time) = self.session.pointer_mut(name)
                && let Some(at) = time.as_i64()
            {
                *time = (at - seconds).into();
            }
        }
        self.save();
    }

    /// Converts the database to its first version, which seals each secret in a separate column.
    pub(crate) fn as_version_1(&self, failure: &str) {
        let column = |name: &str, text: &str| {
            let parts = [self.provider.as_bytes(), self.owner.as_bytes(), name.as_bytes()];
            sealed(&self.home, &associated(b"nexus session 1", parts, self.generation), text.as_bytes())
        };
        let secret = |name: &str| self.session[name].as_str().map(|text| column(name, text));
        let text = |name: &str| self.session[name].as_str();
        let scopes: Vec<_> =
            self.session["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
        let database = database(&self.home);
        let schema = "DROP TABLE session; DROP TABLE pending; DROP TABLE client;
            CREATE TABLE session(provider TEXT NOT NULL,owner TEXT NOT NULL,generation INTEGER NOT NULL,
            access_token BLOB NOT NULL,refresh_token BLOB,client_secret BLOB,metadata BLOB NOT NULL,
            token_type TEXT NOT NULL,scopes TEXT NOT NULL,issued_at INTEGER NOT NULL,expires_at INTEGER,
            ended_at INTEGER,client_id TEXT NOT NULL,client_auth TEXT NOT NULL,token_url TEXT NOT NULL,revoke_url TEXT,
            api_url TEXT,flight_at INTEGER,attempts INTEGER NOT NULL DEFAULT 0,failure TEXT,models TEXT,
            PRIMARY KEY(provider,owner))STRICT,WITHOUT ROWID;
            PRAGMA user_version = 1;";
        database.execute_batch(schema).unwrap();
        let insert = "INSERT INTO session (provider, owner, generation, access_token, refresh_token, client_secret,
            metadata, token_type, scopes, issued_at, expires_at, client_id, client_auth, token_url, revoke_url, api_url,
            failure, models)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
        let values = params![
            self.provider,
            self.owner,
            self.generation,
            secret("access_token"),
            secret("refresh_token"),
            secret("client_secret"),
            column("metadata", &self.session["metadata"].to_string()),
            text("token_type"),
            scopes.join(" "),
            self.session["issued_at"].as_i64(),
            self.session["expires_at"].as_i64(),
            text("client_id"),
            text("client_auth"),
            text("token_url"),
            text("revoke_url"),
            text("api_url"),
            failure,
            text("models"),
        ];
        assert_eq!(database.execute(insert, values).unwrap(), 1);
    }
}
