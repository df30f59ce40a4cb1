//! The end of a session: revoked there where that can be done, and forgotten here.

use super::Client;
use crate::client::error::{Error, Result};
use crate::oauth::Endpoint;
use crate::provider;
use crate::session::{SessionError, StoredSession};

/// A session that was signed out.
#[derive(Debug)]
pub struct SignedOut {
    /// What became of it at the server.
    pub revocation: Revocation,
    /// Why it could not be forgotten here, if it could not.
    pub remains: Option<Error>,
}

/// What became of a session at the server.
#[derive(Debug)]
pub enum Revocation {
    /// The server has revoked it.
    Revoked {
        /// Which server.
        host: String,
    },
    /// The server could not or would not.
    Failed {
        /// Which server.
        host: String,
        /// What it did instead, as the end of "HOST ...".
        why: String,
    },
    /// The provider has no revocation endpoint; the tokens live on until they expire.
    Unsupported,
    /// The stored tokens could not be read, so nobody can revoke them.
    Unreadable(Error),
}

impl Client {
    /// Forgets a session here, and revokes it at the server where that can be done. Each is done
    /// whatever becomes of the other. None was stored: nothing to say.
    ///
    /// # Errors
    /// A lock that another process holds or nobody can take.
    pub async fn sign_out(&self, owner: &str) -> Result<Option<SignedOut>> {
        let (this, key) = (self.clone(), self.key(owner));
        // In a task of its own: once the session is forgotten, nobody else can revoke its tokens.
        let signed_out = tokio::spawn(async move {
            let mut locked = this.refresher.lock(&key).await?;
            // An interrupted process waits until it is revoked, and a sign-in meanwhile waits, too: a server may
            // revoke the new session together with this one.
            let _pending = this.refresher.pending_saves.track_save();
            let readable = locked.load().await.and_then(|loaded| loaded.session);
            let deleted = if matches!(readable, Ok(None)) { Ok(()) } else { locked.delete().await };
            let revocation = match readable {
                Ok(Some(session)) => this.revoke(&session).await,
                Ok(None) => return Ok(None),
                Err(error) => Revocation::Unreadable(error.into()),
            };
            drop(locked);
            let remains = deleted.err().map(Error::from);
            Ok(Some(SignedOut { revocation, remains }))
        });
        signed_out.await.map_err(|_| SessionError::Abandoned("sign-out"))?
    }

    /// Revokes the refresh token, which ends the whole session at a server that follows RFC 7009,
    /// section 2.1, and then the access token for those that do not.
    pub(super) async fn revoke(&self, stored: &StoredSession) -> Revocation {
        let StoredSession { session, refresh_token, client_secret, .. } = stored;
        let Some(url) = &session.binding.revoke_url else { return Revocation::Unsupported };
        let host = provider::host(url);
        // As for a refresh, a rotated secret is in the configuration first; but one that belongs to
        // another client or server by now is not shown to this one.
        let configured = self.provider().client.as_ref().filter(|_| session.check_binding(self.provider()).is_ok());
        let configured = configured.and_then(|client| client.secret.as_ref());
        let endpoint = Endpoint {
            url,
            client_id: &session.binding.client_id,
            secret: configured.or(client_secret.as_ref()),
            auth: session.binding.client_auth,
        };
        let http = &self.http;
        let refresh = match refresh_token {
            Some(token) => endpoint.revoke(http, token.expose(), "refresh_token").await,
            None => Ok(()),
        };
        let access = endpoint.revoke(http, session.access_token.expose(), "access_token").await;
        // The refresh token is the session; an access token alone must go itself.
        let decisive = if refresh_token.is_some() { refresh } else { access };
        match decisive {
            Ok(()) => Revocation::Revoked { host },
            Err(error) => Revocation::Failed { host, why: error.to_string() },
        }
    }
}
