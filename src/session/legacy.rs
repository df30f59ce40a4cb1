//! Sessions as versions before the sealed record stored them: each secret a sealed value of its own, with its column
//! as associated data, and the rest in plain. Read once, when the database is opened first.

use serde::Deserialize;

use super::key::Keystore;
use super::record;
use super::seal::Seal;
use super::stored::{Session, SessionBinding, StoreTime, StoredSession};
use crate::provider::{ClientAuth, Url};
use crate::secret::{AccessToken, ClientSecret, RefreshToken};
use crate::store::{Record, SessionKey};

/// A row's columns; blobs in hexadecimal.
#[derive(Deserialize)]
struct Columns {
    access_token: String,
    refresh_token: Option<String>,
    client_secret: Option<String>,
    metadata: String,
    token_type: String,
    scopes: String,
    client_id: String,
    client_auth: String,
    token_url: String,
    revoke_url: Option<String>,
    api_url: Option<String>,
    failed: Option<String>,
    models: Option<String>,
}

/// Seals a row of an earlier version anew; none if it does not open with the key.
pub(super) fn reseal(keys: &Keystore, key: &SessionKey, record: &Record) -> Option<Vec<u8>> {
    let seal = keys.open().ok()??;
    let stored = open(&seal, key, record)?;
    Some(record::seal(&seal, key, &stored).ok()?.bytes)
}

fn open(seal: &Seal, key: &SessionKey, record: &Record) -> Option<StoredSession> {
    let columns: Columns = serde_json::from_slice(&record.session.bytes).ok()?;
    let generation = record.session.generation;
    let text = |column: &str, hex: &str| {
        let plain = seal.open(&associated(key, column, generation), &unhex(hex)?)?;
        String::from_utf8(plain.to_vec()).ok()
    };
    let optional = |column: &str, hex: Option<&String>| match hex {
        Some(hex) => text(column, hex).map(Some),
        None => Some(None),
    };
    let url = |text: Option<String>| match text {
        Some(text) => Url::parse(&text).ok().map(Some),
        None => Some(None),
    };
    let failed = columns.failed.as_ref().and_then(|failed| serde_json::from_str(&text("failed", failed)?).ok());
    let session = Session {
        generation,
        access_token: AccessToken::new(text("access_token", &columns.access_token)?),
        token_type: columns.token_type,
        scopes: columns.scopes.split_whitespace().map(String::from).collect(),
        issued_at: record.session.issued_at,
        expires_at: record.session.expires_at,
        metadata: serde_json::from_str(&text("metadata", &columns.metadata)?).ok()?,
        binding: SessionBinding {
            client_id: columns.client_id,
            client_auth: ClientAuth::from_word(&columns.client_auth)?,
            token_url: Url::parse(&columns.token_url).ok()?,
            revoke_url: url(columns.revoke_url)?,
            api_url: url(columns.api_url)?,
        },
        refreshable: columns.refresh_token.is_some(),
        ended_at: record.ended_at,
        attempts: record.attempts,
        failed,
        refreshing_since: record.refreshing_since,
        models: columns.models,
        time: StoreTime::read_now(record.session.issued_at),
    };
    Some(StoredSession {
        id: Seal::random().ok()?,
        session,
        refresh_token: optional("refresh_token", columns.refresh_token.as_ref())?.map(RefreshToken::new),
        client_secret: optional("client_secret", columns.client_secret.as_ref())?.map(ClientSecret::new),
    })
}

fn associated(key: &SessionKey, column: &str, generation: i64) -> Vec<u8> {
    let mut bytes = b"nexus session 1".to_vec();
    for part in [&*key.provider, &*key.owner, column] {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes.extend(generation.to_le_bytes());
    bytes
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
