//! What sign-ins keep in the store beside the sessions, sealed with the same key: the values of pending sign-ins, and
//! registered clients.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::SessionError;
use super::key::{KeyError, Keystore};
use super::seal::{self, associated_data};
use super::sealed::{SealedSessions, off_thread};
use crate::oauth::{ClientPlace, RegisteredClient};
use crate::store::SessionKey;

type Result<T> = std::result::Result<T, SessionError>;

impl SealedSessions {
    /// Keeps a value for a pending sign-in for `lifetime`, sealed. `state` is the `state` parameter of its
    /// authorization request (RFC 6749, section 4.1.1); the store sees only its SHA-256.
    ///
    /// # Errors
    /// If it could not be saved.
    pub async fn put_pending(&self, key: &SessionKey, state: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        // No lease makes another machine wait for this before it retires the key. Then the sign-in has to be started
        // again.
        let held = self.seal_with(Keystore::seal_or_create).await?;
        let hash = <[u8; 32]>::from(Sha256::digest(state));
        let sealed = held.seal.seal(&pending_data(&key.owner, &hash), &named(&key.provider, value))?;
        let now = self.now(key).await?;
        let expires_at = now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        Ok(self.store().put_pending(&key.owner, hash, sealed, expires_at).await?)
    }

    /// Removes the value of a pending sign-in and returns it: exactly once, and only until it expires.
    ///
    /// # Errors
    /// If the store or the key cannot be used.
    pub async fn take_pending(&self, key: &SessionKey, state: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let hash = <[u8; 32]>::from(Sha256::digest(state));
        let keys = self.keystore().clone();
        let _held = off_thread(move || Ok(keys.hold()?)).await?;
        let Some(sealed) = self.store().take_pending(&key.owner, hash).await? else { return Ok(None) };
        let (keys, key) = (self.keystore().clone(), key.clone());
        let open = move || {
            let data = pending_data(&key.owner, &hash);
            let opened = keys.open_value(seal::key_id(&sealed), |seal| seal.open(&data, &sealed))?;
            Ok(opened.and_then(|plain| value_of(&key.provider, &plain)))
        };
        off_thread(open).await
    }

    /// The registered client (RFC 7591) that is kept in this place. One that does not open counts as absent: another is
    /// registered then.
    ///
    /// # Errors
    /// If the store or the key cannot be used.
    pub async fn load_client(&self, place: &ClientPlace) -> Result<Option<RegisteredClient>> {
        let keys = self.keystore().clone();
        // The key must not be moved between the reading and the opening.
        let _held = off_thread(move || Ok(keys.hold()?)).await?;
        let Some(sealed) = self.store().load_client(&place.issuer, &place.redirect_uri).await? else { return Ok(None) };
        let (keys, data) = (self.keystore().clone(), client_data(&place.issuer, &place.redirect_uri));
        let open = move || match keys.open_value(seal::key_id(&sealed), |seal| seal.open(&data, &sealed)) {
            Err(KeyError::NotHere { .. }) => Ok(None),
            opened => Ok(opened?),
        };
        Ok(off_thread(open).await?.and_then(|plain| RegisteredClient::from_bytes(&plain)))
    }

    /// Keeps a registered client in its place, sealed.
    ///
    /// # Errors
    /// If it could not be saved.
    pub async fn save_client(&self, client: &RegisteredClient) -> Result<()> {
        // No lease makes another machine wait for this before it retires the key, or a move before it copies the
        // clients. Then the next sign-in registers another client: a session has a copy of its own.
        let held = self.seal_with(Keystore::seal_or_create).await?;
        let ClientPlace { issuer, redirect_uri } = &client.place;
        let sealed = held.seal.seal(&client_data(issuer, redirect_uri), &client.to_bytes())?;
        Ok(self.store().save_client(issuer, redirect_uri, sealed).await?)
    }

    /// Deletes the registered client that is kept in this place.
    ///
    /// # Errors
    /// If it could not be deleted. A key that could not be removed is no error; it seals the next session.
    pub async fn delete_client(&self, place: &ClientPlace) -> Result<()> {
        self.store().delete_client(&place.issuer, &place.redirect_uri).await?;
        let _ = self.remove_unused_key().await;
        Ok(())
    }

    /// Deletes the registered client that is kept in this place if it has this id: another process may have registered
    /// a new one.
    ///
    /// # Errors
    /// If the store or the key cannot be used.
    pub(crate) async fn forget_client(&self, place: &ClientPlace, client_id: &str) -> Result<()> {
        match self.load_client(place).await? {
            Some(kept) if kept.client.id == client_id => self.delete_client(place).await,
            _ => Ok(()),
        }
    }
}

/// The associated data of a pending sign-in.
pub(super) fn pending_data(owner: &str, state_hash: &[u8; 32]) -> Vec<u8> {
    associated_data(b"nexus pending sign-in 2", &[owner.as_bytes(), state_hash])
}

/// The associated data of a registered client.
pub(super) fn client_data(issuer: &str, redirect_uri: &str) -> Vec<u8> {
    associated_data(b"nexus registered client 1", &[issuer.as_bytes(), redirect_uri.as_bytes()])
}

/// The value of a pending sign-in with the name of its provider, which the store does not know, before it.
fn named(provider: &str, value: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&(provider.len() as u64).to_le_bytes(), provider.as_bytes(), value].concat())
}

/// The value, if it belongs to this provider.
fn value_of(provider: &str, named: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let value = named.strip_prefix(&(provider.len() as u64).to_le_bytes())?.strip_prefix(provider.as_bytes())?;
    Some(Zeroizing::new(value.to_vec()))
}
