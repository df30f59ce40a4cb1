//! Builds a [`ProviderConfig`] in code, with checked URLs.

use std::sync::Arc;

use crate::assertion::ClientAssertion;
use crate::provider::{
    Api, ClientAuth, Dialect, OAuthClient, ProviderConfig, ProviderError, Tls, Url, endpoint_url, not_a_resource,
};
use crate::secret::{ClientSecret, HeaderSecret};

/// Start with [`ProviderConfig::named`], or with [`ProviderConfig::claude_code`] to change single values.
///
/// ```
/// use nexus::{OAuthClient, ProviderConfig};
///
/// # fn main() -> Result<(), nexus::error::ProviderError> {
/// let provider = ProviderConfig::named("work")
///     .with_client(OAuthClient::public("my-registered-client"))
///     .with_redirect_uri("https://app.example.com/oauth/callback")
///     .with_scopes(["model.request", "model.read"])
///     .with_authorize_url("https://id.example.com/authorize")?
///     .with_token_url("https://id.example.com/token")?
///     .with_revoke_url("https://id.example.com/revoke")?
///     .with_api_url("https://llm.example.com")?;
/// # assert_eq!(provider.client()?.id, "my-registered-client");
/// # Ok(())
/// # }
/// ```
impl ProviderConfig {
    /// Sets the client that is registered with the authorization server.
    #[must_use]
    pub fn with_client(mut self, client: OAuthClient) -> Self {
        self.client = Some(client);
        self.from_metadata.client_auth = false;
        self
    }

    /// Sets the client registration endpoint (RFC 7591), for a provider without a client. `client_name` is what the
    /// server shows to users.
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_registration_url(mut self, url: &str, client_name: impl Into<String>) -> Result<Self, ProviderError> {
        self.registration.url = Some(self.checked("registration_url", url)?);
        self.registration.client_name = client_name.into();
        Ok(self)
    }

    /// Sets the redirect URI, byte for byte as registered.
    #[must_use]
    pub fn with_redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = uri.into();
        self
    }

    /// Replaces the requested scopes.
    #[must_use]
    pub fn with_scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self.from_metadata.scopes = false;
        self
    }

    /// Sets the issuer identifier of the authorization server, byte for byte (RFC 8414, section 2).
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_issuer(mut self, issuer: &str) -> Result<Self, ProviderError> {
        self.checked("issuer", issuer)?;
        self.issuer = Some(issuer.to_owned());
        Ok(self)
    }

    /// Sets the authorization endpoint (RFC 6749, section 3.1).
    ///
    /// # Errors
    /// [`ProviderError::InvalidUrl`] if the URL is neither https nor on loopback, or has a user name, a password or a
    /// fragment.
    pub fn with_authorize_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.authorize_url = Some(self.checked("authorize_url", url)?);
        Ok(self)
    }

    /// Sets the token endpoint (RFC 6749, section 3.2).
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_token_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.token_url = Some(self.checked("token_url", url)?);
        Ok(self)
    }

    /// Sets the pushed authorization request endpoint (RFC 9126, section 2).
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_par_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.par_url = Some(self.checked("par_url", url)?);
        Ok(self)
    }

    /// Sets the device authorization endpoint (RFC 8628, section 3.1).
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_device_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.device_url = Some(self.checked("device_url", url)?);
        Ok(self)
    }

    /// Sets the UserInfo endpoint (OpenID Connect Core, section 5.3).
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_userinfo_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.userinfo_url = Some(self.checked("userinfo_url", url)?);
        Ok(self)
    }

    /// Sets the revocation endpoint (RFC 7009).
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_revoke_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.revoke_url = Some(self.checked("revoke_url", url)?);
        Ok(self)
    }

    /// Sets the API that the tokens are for (RFC 8707, section 2), byte for byte as the authorization server knows it.
    /// An empty text sends none.
    ///
    /// # Errors
    /// [`ProviderError::InvalidUrl`] if it is not an absolute URI, or has a fragment.
    pub fn with_resource(mut self, resource: &str) -> Result<Self, ProviderError> {
        if let Some(reason) = not_a_resource(resource).filter(|_| !resource.is_empty()) {
            return Err(ProviderError::InvalidUrl { provider: self.name, setting: "resource", reason });
        }
        self.resource = Some(resource.to_owned());
        Ok(self)
    }

    /// Sets whether a session is always or never revoked when another one replaces it. Use `true` only if the server
    /// keeps the sign-ins of one user apart; otherwise the revocation ends the new session too.
    #[must_use]
    pub fn with_revoke_replaced(mut self, revoke: bool) -> Self {
        self.revoke_replaced = Some(revoke);
        self
    }

    /// Sets the base URL of the API. `/v1/messages` and `/v1/models` are appended.
    ///
    /// # Errors
    /// Those of [`with_authorize_url`](Self::with_authorize_url).
    pub fn with_api_url(mut self, url: &str) -> Result<Self, ProviderError> {
        self.api.url = Some(self.checked("api_url", url)?);
        Ok(self)
    }

    /// Sets the format of the API.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.api.dialect = dialect;
        self
    }

    /// Sets a header of every request to the API, replacing one of that name. An empty value removes the header,
    /// because some gateways refuse unknown ones. `accept` and `authorization` cannot be changed.
    #[must_use]
    pub fn with_api_header(mut self, name: &str, value: &str) -> Self {
        self.api.set_header(name, HeaderSecret::new(value.to_owned()));
        self
    }

    /// Sets the certificate authorities that are trusted, and the client certificate that is presented.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    fn checked(&self, setting: &'static str, url: &str) -> Result<Url, ProviderError> {
        endpoint_url(url).map_err(|reason| ProviderError::InvalidUrl { provider: self.name.clone(), setting, reason })
    }
}

impl Api {
    /// Sets a header, replacing one of that name in any case (RFC 9110, section 5.1).
    pub fn set_header(&mut self, name: &str, value: HeaderSecret) {
        self.headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
        self.headers.insert(name.to_owned(), Arc::new(value));
    }
}

impl OAuthClient {
    /// A client without a secret (RFC 6749, section 2.1).
    pub fn public(id: impl Into<String>) -> Self {
        Self { id: id.into(), secret: None, auth: ClientAuth::None, assertion: None }
    }

    /// A client without an id, for servers that register none, such as Claude apps gateways. Its requests have no
    /// `client_id`.
    pub fn without_id() -> Self {
        Self::public("")
    }

    /// A client with a secret. Every server must support [`ClientAuth::Basic`] (RFC 6749, section 2.3.1); the Claude
    /// Console requires [`ClientAuth::Post`].
    pub fn confidential(id: impl Into<String>, secret: ClientSecret, auth: ClientAuth) -> Self {
        Self { id: id.into(), secret: Some(secret), auth, assertion: None }
    }

    /// A client that authenticates with an assertion instead of a secret (`private_key_jwt` of RFC 7523, section 2.2).
    pub fn with_assertion(id: impl Into<String>, assertion: ClientAssertion) -> Self {
        Self { id: id.into(), secret: None, auth: ClientAuth::PrivateKeyJwt, assertion: Some(assertion) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_sent_in_the_clear_because_code_said_so() {
        let refused = ProviderConfig::named("work").with_token_url("http://id.example.com/token").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the `token_url` of the provider work is http; plain http is allowed on loopback only"
        );
    }
}
