//! Tokens of another provider's session, as the assertions of this one.

use std::sync::Arc;

use super::Client;
use crate::assertion::{self, Assertion};
use crate::client::error::Error;
use crate::provider::{AssertionFrom, SessionToken};
use crate::secret::AssertionText;
use crate::session::{OtherSession, Session, SessionError, SharedError};
use crate::store::BoxFuture;

/// An ID token that expires within this time is replaced, in seconds.
const LEAST_LIFE: i64 = 30;

impl Client {
    /// Takes the assertions of a grant from another provider's session ([`AssertionFrom::Session`]): those of this
    /// owner with `other`. Its tokens are sent to the token endpoint of this provider.
    #[must_use]
    pub fn with_assertions_from(mut self, other: Client, owner: &str) -> Self {
        let token = match self.provider().grant.assertion() {
            Some(AssertionFrom::Session { token, .. }) => *token,
            _ => return self,
        };
        self.other = Some(Arc::new(SessionTokens { client: other, owner: owner.to_owned(), token }));
        self.renew_source();
        self
    }
}

struct SessionTokens {
    client: Client,
    owner: String,
    token: SessionToken,
}

impl OtherSession for SessionTokens {
    fn refresh(&self) -> BoxFuture<'_, Result<(), SharedError>> {
        Box::pin(async move {
            let session = self.client.get_valid(&self.owner).await.map_err(shared)?;
            if self.token == SessionToken::Id && !self.has_id_token(&session) {
                let session = self.client.refresh(&self.owner).await.map_err(shared)?;
                if !self.has_id_token(&session) {
                    return Err(self.no_id_token());
                }
            }
            Ok(())
        })
    }

    fn token(&self) -> BoxFuture<'_, Result<Assertion, SharedError>> {
        Box::pin(async move {
            let session = self.client.load(&self.owner).await.map_err(shared)?;
            let text = match (self.token, &session.id_token) {
                (SessionToken::Access, _) => session.access_token.expose(),
                (SessionToken::Id, Some(token)) => token.expose(),
                (SessionToken::Id, None) => return Err(self.no_id_token()),
            };
            let origin = format!("of the session with {}", self.client.provider().name);
            Ok(Assertion::new(AssertionText::new(text.to_owned()), origin))
        })
    }
}

impl SessionTokens {
    fn has_id_token(&self, session: &Session) -> bool {
        let expires_at = |token| assertion::expires_at(token);
        session.id_token.as_ref().is_some_and(|token| {
            expires_at(token).is_none_or(|at| at > (self.client.clock)().saturating_add(LEAST_LIFE))
        })
    }

    fn no_id_token(&self) -> SharedError {
        Arc::new(SessionError::NoIdToken { provider: self.client.provider().name.clone() })
    }
}

fn shared(error: Error) -> SharedError {
    match error {
        Error::Session(error) => Arc::new(error),
        error => Arc::new(error),
    }
}
