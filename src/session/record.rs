//! A session as one sealed record.
//!
//! The bytes are a layout version, the session's random id, and the sealed JSON object. The associated data holds the
//! provider, the owner, the generation and the id, so a record cannot be moved to another place. The URLs that tokens
//! are sent to are inside, so they cannot be changed without the key.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::failed_refresh::FailedRefresh;
use super::seal::{self, Seal, SealError, associated_data};
use super::stored::{Session, SessionBinding, StoreTime, StoredSession};
use crate::oauth::ClientPlace;
use crate::provider::{ClientAuth, Url};
use crate::secret::{AccessToken, ClientSecret, IdTokenText, RefreshToken};
use crate::store::{Record, SealedSession, SessionKey};

/// The version of the layout, the first byte.
const VERSION: u8 = 2;

/// The first byte of an erased record once its session can be used in the other store.
const FINISHED: u8 = 0;

/// The length of a session's id, in bytes.
const ID: usize = 16;

/// The JSON object, for writing.
#[derive(Serialize)]
struct Written<'a> {
    access_token: &'a str,
    refresh_token: Option<&'a str>,
    client_secret: Option<&'a str>,
    id_token: Option<&'a str>,
    token_type: &'a str,
    scopes: &'a [String],
    issued_at: i64,
    expires_at: Option<i64>,
    metadata: &'a Map<String, Value>,
    issuer: Option<&'a str>,
    client_id: &'a str,
    client_auth: &'a str,
    token_url: Option<&'a str>,
    revoke_url: Option<&'a str>,
    revoking_unlinks: bool,
    revoke_auth: Option<&'a str>,
    api_url: Option<&'a str>,
    resource: Option<&'a str>,
    registered: Option<&'a ClientPlace>,
    settings: Option<&'a str>,
    failed: Option<Failed<&'a FailedRefresh>>,
    models: Option<&'a str>,
}

/// The JSON object, for reading, with or without the refresh token (`R`) and the client secret (`S`).
#[derive(Deserialize)]
struct Read<R, S> {
    access_token: AccessToken,
    refresh_token: Option<R>,
    client_secret: Option<S>,
    id_token: Option<IdTokenText>,
    token_type: String,
    scopes: Vec<String>,
    issued_at: i64,
    expires_at: Option<i64>,
    metadata: Map<String, Value>,
    /// Absent in records of earlier versions.
    issuer: Option<String>,
    client_id: String,
    client_auth: String,
    token_url: Option<String>,
    revoke_url: Option<String>,
    #[serde(default)]
    revoking_unlinks: bool,
    revoke_auth: Option<String>,
    api_url: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    registered: Option<ClientPlace>,
    settings: Option<String>,
    failed: Option<Failed<FailedRefresh>>,
    models: Option<String>,
}

/// A failed refresh and the number of its attempt. A later attempt makes it obsolete.
#[derive(Serialize, Deserialize)]
struct Failed<T> {
    attempt: i64,
    refresh: T,
}

fn associated(key: &SessionKey, generation: i64, id: &[u8]) -> Vec<u8> {
    let mut data = associated_data(b"nexus session 2", &[key.provider.as_bytes(), key.owner.as_bytes(), id]);
    data.extend(generation.to_le_bytes());
    data
}

/// Seals a session.
pub(super) fn seal(seal: &Seal, key: &SessionKey, stored: &StoredSession) -> Result<SealedSession, SealError> {
    let StoredSession { id, session, refresh_token, client_secret } = stored;
    let binding = &session.binding;
    let written = Written {
        access_token: session.access_token.expose(),
        refresh_token: refresh_token.as_ref().map(RefreshToken::expose),
        client_secret: client_secret.as_ref().map(ClientSecret::expose),
        id_token: session.id_token.as_ref().map(IdTokenText::expose),
        token_type: &session.token_type,
        scopes: &session.scopes,
        issued_at: session.issued_at,
        expires_at: session.expires_at,
        metadata: &session.metadata,
        issuer: binding.issuer.as_deref(),
        client_id: &binding.client_id,
        client_auth: binding.client_auth.as_str(),
        token_url: binding.token_url.as_ref().map(Url::as_str),
        revoke_url: binding.revoke_url.as_ref().map(Url::as_str),
        revoking_unlinks: binding.revoking_unlinks,
        revoke_auth: binding.revoke_auth.map(ClientAuth::as_str),
        api_url: binding.api_url.as_ref().map(Url::as_str),
        resource: binding.resource.as_deref(),
        registered: binding.registered.as_ref(),
        settings: binding.settings.as_deref(),
        failed: session.failed.as_ref().map(|refresh| Failed { attempt: session.attempts, refresh }),
        models: session.models.as_deref(),
    };
    // Large enough never to grow, which would leave a copy of the tokens in memory.
    let mut plain = Zeroizing::new(Vec::with_capacity(512 * 1024));
    serde_json::to_writer(&mut *plain, &written).map_err(SealError::of)?;
    let mut bytes = vec![VERSION];
    bytes.extend(id);
    bytes.extend(seal.seal(&associated(key, session.generation, id), &plain)?);
    let Session { generation, issued_at, expires_at, .. } = *session;
    Ok(SealedSession { generation, issued_at, expires_at, bytes })
}

/// Opens a record without the refresh token and the client secret. `None` if it does not open or is invalid.
pub(super) fn open(seal: &Seal, key: &SessionKey, record: &Record, time: StoreTime) -> Option<Session> {
    let (_, read) = read::<IgnoredAny, IgnoredAny>(seal, key, record)?;
    read.into_session(record, time).map(|(session, ..)| session)
}

/// Opens a record with its secrets.
pub(super) fn open_locked(seal: &Seal, key: &SessionKey, record: &Record, time: StoreTime) -> Option<StoredSession> {
    let (id, read) = read::<RefreshToken, ClientSecret>(seal, key, record)?;
    let (session, refresh_token, client_secret) = read.into_session(record, time)?;
    Some(StoredSession { id, session, refresh_token, client_secret })
}

/// How many of a record's bytes tell the id of its key.
pub(super) const HEADER: usize = 1 + ID + seal::HEADER;

/// The id of the key that a record names, of whose bytes at least [`HEADER`] are given.
pub(super) fn key_id(bytes: &[u8]) -> Option<&str> {
    parts(bytes).and_then(|(_, sealed)| seal::key_id(sealed))
}

/// Seals a record's bytes anew. `open` gets the associated data and the sealed value. `None` if the bytes are invalid
/// or do not open.
pub(super) fn reseal<E>(
    seal: &Seal,
    key: &SessionKey,
    generation: i64,
    bytes: &[u8],
    open: impl FnOnce(&[u8], &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, E>,
) -> Result<Option<Vec<u8>>, E>
where
    E: From<SealError>,
{
    let Some((id, sealed)) = parts(bytes) else { return Ok(None) };
    let associated = associated(key, generation, id);
    let Some(plain) = open(&associated, sealed)? else { return Ok(None) };
    Ok(Some([&[VERSION][..], id, &seal.seal(&associated, &plain)?].concat()))
}

/// Seals a record's bytes for another place, with the same key. `None` if the bytes are invalid or do not open.
pub(super) fn place(seal: &Seal, from: &SessionKey, to: &SessionKey, generation: i64, bytes: &[u8]) -> Option<Vec<u8>> {
    let (id, sealed) = parts(bytes)?;
    let plain = seal.open(&associated(from, generation, id), sealed)?;
    let sealed = seal.seal(&associated(to, generation, id), &plain).ok()?;
    Some([&[VERSION][..], id, &sealed].concat())
}

/// A record's bytes without the sealed value. They still tell which session it was.
pub(super) fn erased(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take(1 + ID).collect()
}

pub(super) fn is_erased(bytes: &[u8]) -> bool {
    bytes.len() <= 1 + ID
}

/// An erased record's bytes once the move is finished: the session can be used in the other store.
pub(super) fn finished(bytes: &[u8]) -> Vec<u8> {
    [&[FINISHED][..], bytes.get(1..1 + ID).unwrap_or_default()].concat()
}

/// Whether a moved record is only a mark: nothing that anyone needs is lost if it is replaced or deleted.
pub(super) fn is_finished(bytes: &[u8]) -> bool {
    is_erased(bytes) && bytes.first() == Some(&FINISHED)
}

/// Whether two records are of one sign-in.
pub(super) fn is_same_session(one: &[u8], other: &[u8]) -> bool {
    id(one).zip(id(other)).is_some_and(|(one, other)| one == other)
}

/// The session's id in a record's bytes, erased or not.
fn id(bytes: &[u8]) -> Option<&[u8; ID]> {
    let (&(VERSION | FINISHED), rest) = bytes.split_first()? else { return None };
    rest.first_chunk()
}

/// The session's id and the sealed value in a record's bytes.
fn parts(bytes: &[u8]) -> Option<(&[u8; ID], &[u8])> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    rest.split_first_chunk::<ID>()
}

fn read<R, S>(seal: &Seal, key: &SessionKey, record: &Record) -> Option<([u8; ID], Read<R, S>)>
where
    R: for<'de> Deserialize<'de>,
    S: for<'de> Deserialize<'de>,
{
    let (id, sealed) = parts(&record.session.bytes)?;
    let plain = seal.open(&associated(key, record.session.generation, id), sealed)?;
    Some((*id, serde_json::from_slice(&plain).ok()?))
}

impl<R, S> Read<R, S> {
    fn into_session(self, record: &Record, time: StoreTime) -> Option<(Session, Option<R>, Option<S>)> {
        let url = |text: Option<String>| match text {
            Some(text) => Url::parse(&text).ok().map(Some),
            None => Some(None),
        };
        let session = Session {
            generation: record.session.generation,
            access_token: self.access_token,
            token_type: self.token_type,
            id_token: self.id_token,
            scopes: self.scopes,
            issued_at: within_time(self.issued_at),
            expires_at: self.expires_at.map(within_time),
            metadata: self.metadata,
            binding: SessionBinding {
                issuer: self.issuer,
                client_id: self.client_id,
                client_auth: ClientAuth::from_word(&self.client_auth)?,
                token_url: url(self.token_url)?,
                revoke_url: url(self.revoke_url)?,
                revoking_unlinks: self.revoking_unlinks,
                revoke_auth: match self.revoke_auth {
                    Some(word) => Some(ClientAuth::from_word(&word)?),
                    None => None,
                },
                api_url: url(self.api_url)?,
                resource: self.resource,
                registered: self.registered,
                settings: self.settings,
            },
            refreshable: self.refresh_token.is_some(),
            ended_at: record.ended_at.map(within_time),
            attempts: record.attempts,
            failed: self.failed.filter(|failed| failed.attempt == record.attempts).map(|failed| failed.refresh),
            refreshing_since: record.refreshing_since.map(within_time),
            models: self.models,
            time,
        };
        Some((session, self.refresh_token, self.client_secret))
    }
}

/// Limits a time from a store to the years up to 9999, so that no sum overflows.
fn within_time(at: i64) -> i64 {
    const END: i64 = 253_402_300_799;
    at.clamp(-END, END)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::TokenFailure;
    use crate::session::failed_refresh::UnusableResponse;
    use crate::session::key::data_key::DataKey;
    use crate::session::stored::tests::session;

    fn key(provider: &str, owner: &str) -> SessionKey {
        SessionKey { provider: provider.into(), owner: owner.into() }
    }

    fn stored() -> StoredSession {
        let failure = TokenFailure {
            description: "busy".into(),
            temporary: true,
            status: Some(503),
            invalid_target: false,
            retry_after: None,
        };
        let unusable = Some(UnusableResponse { at: 3, description: "sent nothing".into() });
        let failed = FailedRefresh {
            failure,
            at: 7,
            reached: true,
            again: false,
            client_refused: Some("unknown".into()),
            ended: Some("gone".into()),
            refused_before: Some(5),
            unusable,
        };
        let metadata = Map::from_iter([("account".to_owned(), Value::from("ada"))]);
        let session = Session {
            metadata,
            attempts: 4,
            failed: Some(failed),
            models: Some("[\"m\"]".into()),
            ..session(1_000, Some(4_600))
        };
        let refresh_token = Some(RefreshToken::new("r".into()));
        StoredSession { id: [7; ID], session, refresh_token, client_secret: Some(ClientSecret::new("s".into())) }
    }

    fn record(sealed: SealedSession) -> Record {
        Record { session: sealed, attempts: 4, refreshing_since: Some(5), ended_at: Some(6), moved_to: None }
    }

    #[test]
    fn a_record_opens_in_its_own_place_and_whole() {
        let seal = Seal::new("a", &DataKey::random().unwrap());
        let sealed = super::seal(&seal, &key("p", "o"), &stored()).unwrap();
        assert_eq!((sealed.generation, sealed.issued_at, sealed.expires_at), (3, 1_000, Some(4_600)));
        let time = StoreTime::read_now(9);
        let opened = open_locked(&seal, &key("p", "o"), &record(sealed.clone()), time).unwrap();
        let written = stored();
        assert_eq!(opened.id, written.id);
        assert_eq!(opened.refresh_token.unwrap().expose(), "r");
        assert_eq!(opened.client_secret.unwrap().expose(), "s");
        let (opened, written) = (opened.session, written.session);
        assert_eq!(opened.access_token.expose(), "a");
        assert_eq!((opened.metadata, opened.binding), (written.metadata, written.binding));
        assert_eq!((opened.failed, opened.models), (written.failed, written.models));
        assert_eq!((opened.refreshing_since, opened.ended_at, opened.attempts), (Some(5), Some(6), 4));
        assert!(open(&seal, &key("p", "o"), &record(sealed.clone()), time).unwrap().refreshable);
        for (provider, owner) in [("q", "o"), ("p", ""), ("po", ""), ("", "po")] {
            assert!(open(&seal, &key(provider, owner), &record(sealed.clone()), time).is_none(), "{provider} {owner}");
        }
        let older = SealedSession { generation: 2, ..sealed.clone() };
        assert!(open(&seal, &key("p", "o"), &record(older), time).is_none(), "another generation");
        for at in 0..1 + ID {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            let bent = SealedSession { bytes, ..sealed.clone() };
            assert!(open(&seal, &key("p", "o"), &record(bent), time).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_record_that_names_no_key_opens_and_is_sealed_again_with_its_name() {
        let key_bytes = DataKey::random().unwrap();
        let seal = Seal::new("a", &key_bytes);
        let sealed = super::seal(&seal, &key("p", "o"), &stored()).unwrap();
        assert_eq!(key_id(&sealed.bytes[..HEADER]), Some("a"));
        let (id, value) = parts(&sealed.bytes).unwrap();
        let associated = associated(&key("p", "o"), 3, id);
        let plain = seal.open(&associated, value).unwrap();
        let unnamed = seal::Cipher::new(&key_bytes).seal(&associated, &plain).unwrap();
        let bytes = [&[VERSION][..], id, &unnamed].concat();
        assert_eq!(key_id(&bytes), None);
        let earlier = record(SealedSession { bytes: bytes.clone(), ..sealed });
        assert!(open(&seal, &key("p", "o"), &earlier, StoreTime::read_now(9)).is_some());
        let open_value = |associated: &[u8], sealed: &[u8]| Ok::<_, SealError>(seal.open(associated, sealed));
        let newer = Seal::new("b", &DataKey::random().unwrap());
        let again = reseal(&newer, &key("p", "o"), 3, &bytes, open_value).unwrap().unwrap();
        assert_eq!(key_id(&again), Some("b"));
        let again = record(SealedSession { bytes: again, ..earlier.session });
        assert!(open(&newer, &key("p", "o"), &again, StoreTime::read_now(9)).is_some());
    }

    #[test]
    fn a_failure_is_forgotten_with_the_next_attempt() {
        let seal = Seal::new("a", &DataKey::random().unwrap());
        let sealed = super::seal(&seal, &key("p", "o"), &stored()).unwrap();
        let later = Record { attempts: 5, ..record(sealed) };
        let opened = open(&seal, &key("p", "o"), &later, StoreTime::read_now(9)).unwrap();
        assert_eq!(opened.failed, None);
    }
}
