//! Token requests with the client's credentials, an assertion, or a token of another provider's session.

use std::sync::Arc;

use super::{CredentialState, OtherSession, SourceError, TokenSource};
use crate::assertion::{Assertion, AssertionError};
use crate::http::Http;
use crate::oauth::{Credential, Endpoint, TokenFailure, TokenResponse};
use crate::provider::{self, AssertionFrom, Grant, OAuthClient, ProviderConfig, Url};
use crate::session::error::SharedError;
use crate::session::stored::{SessionBinding, StoredSession};
use crate::store::BoxFuture;

/// Requests each token at the token endpoint, with a new credential.
pub(crate) struct WithoutUserSource {
    /// Sends the request.
    pub http: Arc<Http>,
    /// The provider.
    pub provider: Arc<ProviderConfig>,
    /// The session that assertions come from, if they come from one.
    pub other: Option<Arc<dyn OtherSession>>,
}

impl TokenSource for WithoutUserSource {
    fn binding(&self) -> Option<SessionBinding> {
        Some(SessionBinding::new(&self.provider, self.provider.client.as_ref(), None))
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), SharedError>> {
        Box::pin(async move {
            match &self.other {
                Some(other) => other.refresh().await,
                None => Ok(()),
            }
        })
    }

    fn name(&self, binding: &SessionBinding) -> String {
        let issuer = self.provider.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
        let known = self.provider.token_url.as_ref().or(issuer.as_ref()).or(self.provider.gateway.as_ref());
        known.map_or_else(|| binding.host(), provider::host)
    }

    fn next_token<'a>(&'a self, _: &'a StoredSession) -> BoxFuture<'a, Result<TokenResponse, SourceError>> {
        Box::pin(async move {
            let provider = &*self.provider;
            let url = &self.token_url().await.map_err(SourceError::not_sent)?;
            let without_id = OAuthClient::without_id();
            let client = provider.client.as_ref().unwrap_or(&without_id);
            let endpoint = Endpoint::new(url, client, client.auth, provider);
            let assertion = self.assertion().await.map_err(SourceError::not_sent)?;
            let credential = match (&provider.grant, &assertion) {
                (Grant::JwtBearer(_), Some(assertion)) => Credential::Assertion(assertion),
                (Grant::TokenExchange(exchange), Some(token)) => Credential::Subject {
                    token,
                    kind: exchange.subject_token_type(),
                    requested: exchange.requested_token_type.as_deref(),
                },
                _ => Credential::Client,
            };
            Ok(endpoint.request_without_user(&self.http, credential, provider).await?)
        })
    }
}

impl WithoutUserSource {
    /// The token endpoint: the configured one, or the one that the issuer or the gateway publishes.
    async fn token_url(&self) -> Result<Url, SharedError> {
        let provider = &*self.provider;
        if let Some(url) = &provider.token_url {
            return Ok(url.clone());
        }
        let mut found = ProviderConfig {
            issuer: provider.issuer.clone(),
            gateway: provider.gateway.clone(),
            tls: provider.tls.clone(),
            ..ProviderConfig::named(&provider.name)
        };
        found.discover_with(&self.http).await.map_err(|error| Arc::new(error) as SharedError)?;
        let url = found.required(found.token_url.as_ref(), "token_url");
        url.cloned().map_err(|error| Arc::new(error) as SharedError)
    }

    /// The assertion that the grant needs, if it needs one.
    async fn assertion(&self) -> Result<Option<Assertion>, SharedError> {
        let from = match &self.provider.grant {
            Grant::JwtBearer(from) => from,
            Grant::TokenExchange(exchange) => &exchange.subject,
            _ => return Ok(None),
        };
        match (from, &self.other) {
            (AssertionFrom::Source(source), _) => source.fetch().await.map(Some).map_err(|error| Arc::new(error) as _),
            (AssertionFrom::Session { .. }, Some(other)) => other.token().await.map(Some),
            (AssertionFrom::Session { .. }, None) => Err(Arc::new(AssertionError::NotConfigured)),
        }
    }
}

impl SourceError {
    /// The request was not sent, and a retry does not help.
    pub(crate) fn not_sent(error: SharedError) -> Self {
        let failure = TokenFailure::without_response(format!("was not contacted ({error})"), false);
        Self { credential: CredentialState::NotSent(error), failure, client_refused: None }
    }
}
