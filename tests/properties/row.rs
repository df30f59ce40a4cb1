use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use nexus::internal::time;
use nexus::store::SessionKey;
use nexus::{ErrorInfo as _, Folders, Freshness, SealedSessions};
use rusqlite::{Connection, params};
use serde_json::json;
use tempfile::TempDir;

/// A store whose only row the test writes.
struct Store {
    _home: TempDir,
    runtime: tokio::runtime::Runtime,
    sessions: SealedSessions,
    connection: Connection,
    cipher: XChaCha20Poly1305,
}

thread_local! {
    static STORE: Store = Store::new();
}

impl Store {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let folders = Folders::under(home.path());
        let sessions = folders.sessions(Default::default(), nexus::now, std::sync::Arc::new(|_, _| {}));
        runtime.block_on(sessions.check_writable()).unwrap();
        let line = fs::read_to_string(folders.key.join("session.key")).unwrap();
        let key = STANDARD_NO_PAD.decode(line.trim().strip_prefix("nexus-key-1 ").unwrap()).unwrap();
        let connection = Connection::open(folders.data.join("sessions.db")).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;").unwrap();
        let cipher = XChaCha20Poly1305::new_from_slice(&key).unwrap();
        Self { _home: home, runtime, sessions, connection, cipher }
    }

    /// Seals as `session/record.rs` describes it, without that code.
    fn sealed(&self, key: &SessionKey, generation: i64, plain: &[u8]) -> Vec<u8> {
        let id = [9; 16];
        let mut aad = b"nexus session 2".to_vec();
        for part in [key.provider.as_bytes(), key.owner.as_bytes(), &id] {
            aad.extend((part.len() as u64).to_le_bytes());
            aad.extend(part);
        }
        aad.extend(generation.to_le_bytes());
        let nonce = [7; 24];
        let payload = Payload { msg: plain, aad: &aad };
        [&[2][..], &id, &nonce, &self.cipher.encrypt(&XNonce::from(nonce), payload).unwrap()].concat()
    }
}

/// Makes values from arbitrary bytes.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// As many bytes as the first byte says.
    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn number(&mut self) -> i64 {
        let mut eight = [0; 8];
        let bytes = self.bytes();
        let length = bytes.len().min(8);
        eight[..length].copy_from_slice(&bytes[..length]);
        match length {
            0 => [i64::MIN, i64::MAX, -1, 0][usize::from(self.byte() % 4)],
            _ => i64::from_le_bytes(eight),
        }
    }

    /// Something or nothing.
    fn perhaps<T>(&mut self, value: impl Fn(&mut Self) -> T) -> Option<T> {
        (!self.byte().is_multiple_of(4)).then(|| value(self))
    }
}

/// A row is read or rejected, and a record that was sealed for another place does not open.
pub(crate) fn holds(input: &[u8]) {
    STORE.with(|store| store.row_holds(&mut Values(input)));
}

impl Store {
    fn row_holds(&self, values: &mut Values<'_>) {
        let key = SessionKey { provider: "work".into(), owner: String::new() };
        let generation = values.number();
        // Rare, so that most rows open.
        let misplaced = values.byte() == 255;
        let token = values.text();
        let client_auth = match values.byte() % 4 {
            0 => "none".to_owned(),
            1 => "basic".to_owned(),
            2 => "post".to_owned(),
            _ => values.text(),
        };
        let url = |values: &mut Values<'_>| format!("https://id.example.com/{}", values.text());
        let metadata = match values.perhaps(Values::bytes) {
            Some(text) => serde_json::from_slice(&text).unwrap_or_default(),
            None => json!({}),
        };
        let failed = match values.perhaps(Values::bytes) {
            Some(text) => serde_json::from_slice(&text).unwrap_or_default(),
            None => json!({ "attempt": values.number(), "refresh": { "why": values.text(), "temporary": true } }),
        };
        let session = json!({
            "access_token": token,
            "refresh_token": values.perhaps(Values::text),
            "client_secret": values.perhaps(Values::text),
            "token_type": values.text(),
            "scopes": [values.text()],
            "issued_at": values.number(),
            "expires_at": values.perhaps(Values::number),
            "metadata": metadata,
            "client_id": values.text(),
            "client_auth": client_auth,
            "token_url": values.perhaps(url).unwrap_or_else(|| values.text()),
            "revoke_url": values.perhaps(Values::text),
            "api_url": values.perhaps(url),
            "failed": failed,
            "models": values.perhaps(Values::text),
        });
        // Sometimes not a session.
        let plain = values.perhaps(|_| session.to_string().into_bytes()).unwrap_or_else(|| values.bytes());
        let place = SessionKey { provider: if misplaced { "play" } else { "work" }.into(), owner: String::new() };
        self.connection.execute("DELETE FROM session", []).unwrap();
        let insert = "INSERT INTO session (provider, owner, generation, issued_at, expires_at, ended_at,
            refreshing_since, attempts, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let row = params![
            key.provider,
            key.owner,
            generation,
            values.number(),
            values.perhaps(Values::number),
            values.perhaps(Values::number),
            values.perhaps(Values::number),
            values.number(),
            self.sealed(&place, generation, &plain),
        ];
        self.connection.execute(insert, row).unwrap();
        self.readable(&key, &token, misplaced, values.number());
    }

    fn readable(&self, key: &SessionKey, token: &str, misplaced: bool, now: i64) {
        let proven = self.runtime.block_on(self.sessions.check_readable());
        let session = match self.runtime.block_on(self.sessions.load(key)) {
            Ok(session) => session.unwrap(),
            Err(error) => {
                assert_eq!(error.code(), "store", "{error}");
                return assert!(proven.is_err());
            }
        };
        assert!(!misplaced, "a value from another place was opened");
        assert_eq!(session.access_token.expose(), token);
        for freshness in [
            Freshness::Request,
            Freshness::Export,
            Freshness::AtLeast(now),
            Freshness::Proactive,
            Freshness::NotGeneration(now),
        ] {
            let serves = session.is_fresh(freshness, now);
            assert!(!serves || session.is_valid(now), "{freshness:?}");
        }
        let told = [Some(session.issued_at), session.expires_at, session.ended_at];
        for at in told.into_iter().flatten() {
            assert!(nexus::internal::time::parse_rfc3339(&time::rfc3339(at)).is_some());
            assert!(!time::span(at).is_empty());
        }
        assert!(session.account().is_none_or(|account| !account.is_empty()));
    }
}
