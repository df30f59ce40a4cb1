//! The refresh token grant (RFC 6749, section 6).

use std::sync::Arc;

use super::{CredentialState, SourceError, TokenSource};
use crate::http::Http;
use crate::oauth::TokenFailure;
use crate::oauth::TokenResponse;
use crate::provider::ProviderConfig;
use crate::session::stored::{Session, StoredSession};
use crate::store::BoxFuture;

/// Renews a session with its refresh token, at the token endpoint that it belongs to.
pub(crate) struct RefreshTokenSource {
    /// Sends the request.
    pub http: Arc<Http>,
    /// The configured client and request style.
    pub provider: Arc<ProviderConfig>,
}

impl TokenSource for RefreshTokenSource {
    fn can_renew(&self, session: &Session) -> bool {
        session.refreshable
    }

    fn next_token<'a>(&'a self, stored: &'a StoredSession) -> BoxFuture<'a, Result<TokenResponse, SourceError>> {
        Box::pin(async move {
            let binding = &stored.session.binding;
            let (Some(token), Some(url)) = (&stored.refresh_token, &binding.token_url) else {
                return Err(no_refresh_token());
            };
            let (configured, secret) = (self.provider.client.as_ref(), stored.client_secret.as_ref());
            let endpoint = binding.endpoint(url, binding.client_auth, configured, secret);
            // What is configured may have changed since the sign-in. An empty text sends none.
            let resource = self.provider.resource.as_ref().or(binding.resource.as_ref());
            let resource = resource.map(String::as_str).filter(|resource| !resource.is_empty());
            endpoint.refresh(&self.http, token, resource, &self.provider.refresh).await.map_err(SourceError::from)
        })
    }
}

/// `can_renew` prevents this.
fn no_refresh_token() -> SourceError {
    let description = "was not contacted (there is no refresh token)".to_owned();
    let failure = TokenFailure::without_response(description, false);
    SourceError { credential: CredentialState::NotReceived, failure, client_refused: None }
}
