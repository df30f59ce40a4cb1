use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use nexus::internal::session::vault::Vault;
use nexus::internal::session::{Key, Need};
use nexus::internal::time;
use rusqlite::{Connection, params};
use tempfile::TempDir;

const COLUMNS: &str = "provider, owner, generation, access_token, refresh_token, client_secret, metadata, token_type, \
    scopes, issued_at, expires_at, ended_at, client_id, client_auth, token_url, revoke_url, api_url, flight_at, \
    attempts, failed, models";

/// A store with one row that somebody else writes.
struct Store {
    _home: TempDir,
    vault: Vault,
    connection: Connection,
    cipher: XChaCha20Poly1305,
}

thread_local! {
    static STORE: Store = Store::new();
}

impl Store {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = |name| home.path().join(name);
        let vault = Vault::new(&folder("data"), &folder("key"), &folder("state"));
        vault.prove_writable().unwrap();
        let line = fs::read_to_string(folder("key").join("session.key")).unwrap();
        let key = STANDARD_NO_PAD.decode(line.trim().strip_prefix("nexus-key-1 ").unwrap()).unwrap();
        let connection = Connection::open(folder("data").join("sessions.db")).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;").unwrap();
        let cipher = XChaCha20Poly1305::new_from_slice(&key).unwrap();
        Self { _home: home, vault, connection, cipher }
    }

    /// Seals as `session/seal.rs` documents it, told apart from it.
    fn sealed(&self, key: &Key, column: &str, generation: i64, plain: &[u8]) -> Vec<u8> {
        let mut aad = b"nexus session 1".to_vec();
        for part in [&key.provider, &key.owner, column] {
            aad.extend((part.len() as u64).to_le_bytes());
            aad.extend(part.as_bytes());
        }
        aad.extend(generation.to_le_bytes());
        let nonce = [7; 24];
        let payload = Payload { msg: plain, aad: &aad };
        [&nonce[..], &self.cipher.encrypt(&XNonce::from(nonce), payload).unwrap()].concat()
    }
}

/// Values, one after the other, out of whatever bytes there are.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A byte says how long it is.
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

/// A session's row. It is read or refused, whatever stands in it, and a value that was sealed for
/// another place does not open.
pub(crate) fn holds(input: &[u8]) {
    STORE.with(|store| store.row_holds(&mut Values(input)));
}

impl Store {
    fn row_holds(&self, values: &mut Values<'_>) {
        let key = Key { provider: "work".into(), owner: String::new() };
        let generation = values.number();
        // Of a hundred rows most should get past the seal.
        let misplaced = values.byte() == 255;
        let token = values.text();
        let seal = |column: &str, plain: &[u8]| self.sealed(&key, column, generation, plain);
        let access_token = seal(if misplaced { "metadata" } else { "access_token" }, token.as_bytes());
        let refresh_token = values.perhaps(|values| seal("refresh_token", &values.bytes()));
        let client_secret = values.perhaps(|values| seal("client_secret", &values.bytes()));
        let metadata = match values.perhaps(Values::bytes) {
            Some(text) => seal("metadata", &text),
            None => seal("metadata", b"{}"),
        };
        let (issued_at, expires_at, ended_at) =
            (values.number(), values.perhaps(Values::number), values.perhaps(Values::number));
        let client_auth = match values.byte() % 4 {
            0 => "none".to_owned(),
            1 => "basic".to_owned(),
            2 => "post".to_owned(),
            _ => values.text(),
        };
        let url = |values: &mut Values<'_>| format!("https://id.example.com/{}", values.text());
        let token_url = values.perhaps(url).unwrap_or_else(|| values.text());
        self.connection.execute("DELETE FROM session", []).unwrap();
        let row = params![
            key.provider,
            key.owner,
            generation,
            access_token,
            refresh_token,
            client_secret,
            metadata,
            values.text(),
            values.text(),
            issued_at,
            expires_at,
            ended_at,
            values.text(),
            client_auth,
            token_url,
            values.perhaps(Values::text),
            values.perhaps(url),
            values.perhaps(Values::number),
            values.number(),
            values.perhaps(|values| seal("failed", &values.bytes())),
            values.perhaps(Values::text),
        ];
        let places: Vec<_> = (1..=row.len()).map(|place| format!("?{place}")).collect();
        let insert = format!("INSERT INTO session ({COLUMNS}) VALUES ({})", places.join(", "));
        self.connection.execute(&insert, row).unwrap();
        self.readable(&key, &token, misplaced, values.number());
    }

    fn readable(&self, key: &Key, token: &str, misplaced: bool, now: i64) {
        let proven = self.vault.prove_readable();
        let session = match self.vault.look(key) {
            Ok(session) => session.unwrap(),
            Err(failure) => {
                assert_eq!(failure.reason(), "store", "{failure}");
                return assert!(proven.is_err());
            }
        };
        assert!(!misplaced, "a value from another place was opened");
        assert_eq!(session.access_token.expose(), token);
        for need in [Need::Request, Need::Lend, Need::AtLeast(now), Need::Ahead, Need::OtherThan(now)] {
            let serves = session.serves(need, now);
            assert!(!serves || session.alive(now), "{need:?}");
        }
        let told = [Some(session.issued_at), session.expires_at, session.ended_at];
        for at in told.into_iter().flatten() {
            assert!(nexus::internal::time::parse_rfc3339(&time::rfc3339(at)).is_some());
            assert!(!time::span(at).is_empty());
        }
        assert!(session.account().is_none_or(|account| !account.is_empty()));
    }
}
