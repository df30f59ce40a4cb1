//! Sign-out: revokes a session at the server and deletes it from the store.

use super::Client;
use crate::client::error::{Error, Result};
use crate::provider::{self, ClientAuth};
use crate::session::{SessionError, StoredSession};

/// A session that was signed out.
#[derive(Debug)]
pub struct SignedOut {
    /// Whether the server revoked it.
    pub revocation: Revocation,
    /// Why it could not be deleted from the store, if it could not.
    pub not_deleted: Option<Error>,
}

/// The result of a revocation.
#[derive(Debug)]
pub enum Revocation {
    /// The server has revoked it.
    Revoked {
        /// Which server.
        host: String,
    },
    /// The server did not revoke it.
    Failed {
        /// Which server.
        host: String,
        /// What it did instead, as the end of a sentence that begins with the host.
        description: String,
    },
    /// Revoking it would unlink the customer's organization, so the server was not asked.
    WouldUnlink {
        /// Which server.
        host: String,
    },
    /// The provider has no revocation endpoint. The tokens stay valid until they expire.
    Unsupported,
    /// The session was moved to another store, where it stays. Only the mark of the move was here.
    Moved {
        /// The name of the other store, without a password.
        to: String,
    },
    /// The stored tokens could not be read, so they cannot be revoked.
    Unreadable(Error),
}

impl Client {
    /// Deletes the session from the store, and revokes it if the provider has a revocation endpoint. One is done even
    /// if the other fails. `None` if no session is stored.
    ///
    /// # Errors
    /// The session's lock could not be acquired, the session's move to another store is not finished, or this machine
    /// does not have the key of a store that other machines use.
    pub async fn sign_out(&self, owner: &str) -> Result<Option<SignedOut>> {
        self.delete_session(owner, false).await
    }

    /// [`sign_out`](Self::sign_out) that revokes the session even if that unlinks the customer's organization
    /// ([`ProviderConfig::revoking_unlinks`](crate::ProviderConfig::revoking_unlinks)).
    ///
    /// # Errors
    /// Those of [`sign_out`](Self::sign_out).
    pub async fn sign_out_and_unlink(&self, owner: &str) -> Result<Option<SignedOut>> {
        self.delete_session(owner, true).await
    }

    async fn delete_session(&self, owner: &str, may_unlink: bool) -> Result<Option<SignedOut>> {
        let (this, key) = (self.clone(), self.key(owner));
        // In its own task: once the session is deleted, no other process can revoke its tokens.
        let signed_out = tokio::spawn(async move {
            let mut locked = this.refresher.lock(&key).await?;
            // The process ends after the revocation. The lock is held until then, because the server may revoke a new
            // session together with this one.
            let _pending = this.refresher.pending_saves.track_save();
            let readable = match locked.load().await {
                Err(SessionError::Moved { to, is_finished: true, .. }) => {
                    let not_deleted = locked.delete().await.err().map(Error::from);
                    return Ok(Some(SignedOut { revocation: Revocation::Moved { to }, not_deleted }));
                }
                // The next move needs the mark: it may be all that tells where the tokens are.
                Err(moved @ SessionError::Moved { .. }) => return Err(moved.into()),
                loaded => loaded.and_then(|loaded| loaded.session),
            };
            if let Err(error @ SessionError::Key(_)) = &readable
                && this.refresher.sessions.store().active_key().await?.is_some()
            {
                // Other machines have the key, and use the session.
                return Err(error.clone().into());
            }
            let deleted = if matches!(readable, Ok(None)) { Ok(()) } else { locked.delete().await };
            let revocation = match readable {
                Ok(Some(session)) if may_unlink => this.revoke_linked(&session).await,
                Ok(Some(session)) => this.revoke(&session).await,
                Ok(None) => return Ok(None),
                Err(error) => Revocation::Unreadable(error.into()),
            };
            drop(locked);
            let not_deleted = deleted.err().map(Error::from);
            Ok(Some(SignedOut { revocation, not_deleted }))
        });
        signed_out.await.map_err(|_| SessionError::Abandoned("sign-out"))?
    }

    /// Revokes the session, unless that unlinks the customer's organization.
    pub(super) async fn revoke(&self, stored: &StoredSession) -> Revocation {
        let binding = &stored.session.binding;
        // The configuration may be gone, or the session older than its setting.
        if binding.revoking_unlinks || self.provider().revoking_unlinks {
            let host = binding.revoke_url.as_ref().map_or_else(|| binding.host(), provider::host);
            return Revocation::WouldUnlink { host };
        }
        self.revoke_linked(stored).await
    }

    /// Revokes the refresh token, which should end the whole session (RFC 7009, section 2.1), and then the access
    /// token, because some servers do not end it.
    async fn revoke_linked(&self, stored: &StoredSession) -> Revocation {
        let StoredSession { session, refresh_token, client_secret, .. } = stored;
        let Some(url) = session.binding.revoke_url.as_ref().filter(|_| session.has_token()) else {
            return Revocation::Unsupported;
        };
        let host = provider::host(url);
        // What is configured for another client's server is not sent to this one.
        let configured = self.provider().client.as_ref().filter(|_| session.check_binding(self.provider()).is_ok());
        let binding = &session.binding;
        let has_secret = client_secret.is_some() || configured.is_some_and(|client| client.secret.is_some());
        let auth = match binding.revoke_auth.filter(|_| has_secret) {
            // This server does not form-decode Basic.
            Some(ClientAuth::Basic) if binding.client_auth == ClientAuth::BasicRaw => ClientAuth::BasicRaw,
            known => known.unwrap_or(binding.client_auth),
        };
        let endpoint = binding.endpoint(url, auth, configured, client_secret.as_ref());
        let http = &self.http;
        let refresh = match refresh_token {
            Some(token) => endpoint.revoke(http, token.expose(), "refresh_token").await,
            None => Ok(()),
        };
        let access = endpoint.revoke(http, session.access_token.expose(), "access_token").await;
        let decisive = if refresh_token.is_some() { refresh } else { access };
        match decisive {
            Ok(()) => Revocation::Revoked { host },
            Err(error) => Revocation::Failed { host, description: error.to_string() },
        }
    }
}
