//! Reads sessions of earlier versions, which sealed each secret separately, with its column as associated data, and
//! stored the rest in plain text.

use super::key::Keystore;
use super::record;
use super::seal::{self, Seal, associated_data};
use super::stored::{Session, SessionBinding, StoreTime, StoredSession};
use crate::provider::{ClientAuth, Url};
use crate::secret::{AccessToken, ClientSecret, RefreshToken};
use crate::store::{Record, SessionKey};

/// A row's columns, in the order in which the schema joins them.
struct Columns([Option<Vec<u8>>; 13]);

impl Columns {
    /// Reads hexadecimal values after a `{`, with `|` between them and `-` for NULL.
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix('{')?;
        let columns = text.split('|').map(|column| if column == "-" { Some(None) } else { unhex(column).map(Some) });
        columns.collect::<Option<Vec<_>>>()?.try_into().ok().map(Self)
    }
}

/// A column that is not sealed.
fn plain(column: Option<Vec<u8>>) -> Option<String> {
    String::from_utf8(column?).ok()
}

/// Seals a row of an earlier version as a record. `None` if it does not open with the key.
pub(super) fn reseal(keys: &Keystore, key: &SessionKey, record: &Record) -> Option<Vec<u8>> {
    let resealed = |seal: &Seal| Some(record::seal(seal, key, &open(seal, key, record)?).ok()?.bytes);
    keys.open_value(None, resealed).ok()?
}

fn open(seal: &Seal, key: &SessionKey, record: &Record) -> Option<StoredSession> {
    let Columns(columns) = Columns::read(&record.session.bytes)?;
    let [access_token, refresh_token, client_secret, metadata, token_type, scopes, client_id, rest @ ..] = columns;
    let [client_auth, token_url, revoke_url, api_url, failed, models] = rest;
    let generation = record.session.generation;
    let text = |column: &str, sealed: Option<&[u8]>| {
        let plain = seal.open(&associated(key, column, generation), sealed?)?;
        String::from_utf8(plain.to_vec()).ok()
    };
    let optional = |column: &str, sealed: Option<&[u8]>| match sealed {
        Some(sealed) => text(column, Some(sealed)).map(Some),
        None => Some(None),
    };
    let url = |column: Option<Vec<u8>>| match column {
        Some(url) => Url::parse(&String::from_utf8(url).ok()?).ok().map(Some),
        None => Some(None),
    };
    let failed = text("failed", failed.as_deref()).and_then(|failed| serde_json::from_str(&failed).ok());
    let session = Session {
        generation,
        access_token: AccessToken::new(text("access_token", access_token.as_deref())?),
        token_type: plain(token_type)?,
        id_token: None,
        scopes: plain(scopes)?.split_whitespace().map(String::from).collect(),
        issued_at: record.session.issued_at,
        expires_at: record.session.expires_at,
        metadata: serde_json::from_str(&text("metadata", metadata.as_deref())?).ok()?,
        binding: SessionBinding {
            issuer: None,
            client_id: plain(client_id)?,
            client_auth: ClientAuth::from_word(&plain(client_auth)?)?,
            token_url: url(token_url)?,
            revoke_url: url(revoke_url)?,
            revoking_unlinks: false,
            revoke_auth: None,
            api_url: url(api_url)?,
            resource: None,
            registered: None,
            settings: None,
        },
        refreshable: refresh_token.is_some(),
        ended_at: record.ended_at,
        attempts: record.attempts,
        failed,
        refreshing_since: record.refreshing_since,
        models: plain(models),
        time: StoreTime::read_now(record.session.issued_at),
    };
    Some(StoredSession {
        id: seal::random().ok()?,
        session,
        refresh_token: optional("refresh_token", refresh_token.as_deref())?.map(RefreshToken::new),
        client_secret: optional("client_secret", client_secret.as_deref())?.map(ClientSecret::new),
    })
}

fn associated(key: &SessionKey, column: &str, generation: i64) -> Vec<u8> {
    let parts = [&*key.provider, &*key.owner, column].map(str::as_bytes);
    let mut data = associated_data(b"nexus session 1", &parts);
    data.extend(generation.to_le_bytes());
    data
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::session::SealedSessions;
    use crate::store::SqliteStore;

    /// What the program of version 2 of the schema wrote, and what it said of it: a session that was refreshed, one
    /// whose refresh failed, one that was ended, and a new one.
    const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sessions-v2");

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for (from, to) in [("sessions.db", "data"), ("session.key", "key")] {
            fs::create_dir(home.path().join(to)).unwrap();
            let path = home.path().join(to).join(from);
            fs::copy(Path::new(FIXTURE).join(from), &path).unwrap();
        }
        home
    }

    fn sessions(home: &Path) -> SealedSessions {
        let store = SqliteStore::new(&home.join("data"), &home.join("state"), || 1_761_575_400);
        SealedSessions::in_sqlite(store, Keystore::new(&home.join("key"), &home.join("state")))
    }

    fn as_json(key: &SessionKey, stored: &StoredSession) -> Value {
        let Session { binding, .. } = &stored.session;
        let SessionBinding { client_auth, token_url, revoke_url, api_url, .. } = binding;
        json!({
            "provider": key.provider,
            "owner": key.owner,
            "generation": stored.session.generation,
            "access_token": stored.session.access_token.expose(),
            "refresh_token": stored.refresh_token.as_ref().map(RefreshToken::expose),
            "client_secret": stored.client_secret.as_ref().map(ClientSecret::expose),
            "issued_at": stored.session.issued_at,
            "expires_at": stored.session.expires_at,
            "ended_at": stored.session.ended_at,
            "attempts": stored.session.attempts,
            "flight_at": stored.session.refreshing_since,
            "scopes": stored.session.scopes,
            "metadata": stored.session.metadata,
            "models": stored.session.models,
            "client_auth": client_auth.as_str(),
            "token_url": token_url.as_ref().map(Url::as_str),
            "revoke_url": revoke_url.as_ref().map(Url::as_str),
            "api_url": api_url.as_ref().map(Url::as_str),
        })
    }

    async fn all(sessions: &SealedSessions, expected: &[Value]) -> Vec<Value> {
        let mut all = Vec::new();
        for session in expected {
            let text = |name: &str| session[name].as_str().unwrap().to_owned();
            let key = SessionKey { provider: text("provider"), owner: text("owner") };
            assert!(sessions.load(&key).await.unwrap().is_some());
            let mut locked = sessions.lock(&key, Duration::ZERO).await.unwrap();
            let stored = locked.load().await.unwrap().session.unwrap().unwrap();
            assert_eq!(stored.session.failed.is_some(), key.owner == "ada", "{key:?}");
            if let Some(failed) = &stored.session.failed {
                assert_eq!((failed.failure.status, failed.at, failed.reached), (Some(503), 1_761_575_400, true));
                assert_eq!(failed.failure.retry_after, Some(Duration::from_secs(120)));
            }
            all.push(as_json(&key, &stored));
        }
        all
    }

    #[tokio::test]
    async fn what_an_earlier_version_stored_is_sealed_anew_once_and_whole() {
        let home = home();
        let expected = fs::read_to_string(Path::new(FIXTURE).join("sessions.json")).unwrap();
        let expected: Vec<Value> = serde_json::from_str(&expected).unwrap();
        let sessions = sessions(home.path());
        assert_eq!(all(&sessions, &expected).await, expected);
        sessions.check_readable().await.unwrap();
        let database = home.path().join("data/sessions.db");
        let bytes = fs::read(&database).unwrap();
        assert_eq!(all(&sessions, &expected).await, expected);
        assert_eq!(fs::read(&database).unwrap(), bytes, "reading again writes nothing");
        for plain in ["sandbox-client", "model.request", "/revoke", "sandbox-large"] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{plain} is not sealed");
        }
    }

    #[tokio::test]
    async fn what_does_not_open_with_the_key_waits_for_the_right_one() {
        let home = home();
        let key_file = home.path().join("key/session.key");
        let right = fs::read(&key_file).unwrap();
        fs::write(&key_file, format!("nexus-key-1 {}\n", "A".repeat(43))).unwrap();
        let key = SessionKey { provider: "work".into(), owner: "ada".into() };
        let refused = sessions(home.path()).load(&key).await;
        assert!(matches!(refused, Err(crate::session::SessionError::DoesNotOpen { .. })), "{refused:?}");
        fs::write(&key_file, right).unwrap();
        assert!(sessions(home.path()).load(&key).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_column_from_another_row_or_column_is_not_sealed_anew() {
        for statement in [
            "UPDATE session SET access_token = refresh_token",
            "UPDATE session SET access_token = (SELECT access_token FROM session WHERE owner = 'grace')",
            "UPDATE session SET generation = generation + 1",
        ] {
            let home = home();
            let database = crate::store::database::Connection::open(home.path().join("data/sessions.db")).unwrap();
            database.execute_batch(&format!("{statement} WHERE owner = 'ada'")).unwrap();
            let key = SessionKey { provider: "work".into(), owner: "ada".into() };
            let refused = sessions(home.path()).load(&key).await;
            assert!(refused.is_err(), "{statement}");
            let untouched = SessionKey { provider: "play".into(), owner: "grace".into() };
            assert!(sessions(home.path()).load(&untouched).await.unwrap().is_some(), "{statement}");
        }
    }

    #[test]
    fn hexadecimal_is_read_or_refused() {
        assert_eq!(unhex("00fFa5"), Some(vec![0, 255, 165]));
        assert_eq!(unhex(""), Some(Vec::new()));
        for text in ["0", "0g", "é0"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
