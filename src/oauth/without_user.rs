//! Token requests without a user: client credentials (RFC 6749, section 4.4), JWT assertions (RFC 7523, section 2.1)
//! and token exchange (RFC 8693, section 2.1).

use super::token::Endpoint;
use super::token_error::TokenError;
use super::token_response::TokenResponse;
use crate::assertion::Assertion;
use crate::http::Http;
use crate::provider::ProviderConfig;
use crate::time;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What a token is requested with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// The client's own.
    Client,
    /// An assertion about the user or workload.
    Assertion(&'a Assertion),
    /// A token of another server.
    Subject {
        /// The token.
        token: &'a Assertion,
        /// What it is (`subject_token_type`).
        kind: &'a str,
        /// What is to be issued (`requested_token_type`), if that is said.
        requested: Option<&'a str>,
    },
}

impl Endpoint<'_> {
    /// Requests a token. A client that the server refuses is tried once more with another authentication method.
    ///
    /// # Errors
    /// The server refused, or could not be reached. The error names the assertion.
    pub(crate) async fn request_without_user(
        &self,
        http: &Http,
        credential: Credential<'_>,
        provider: &ProviderConfig,
    ) -> Result<TokenResponse, TokenError> {
        let scope = provider.scopes.join(" ");
        let mut fields = match credential {
            Credential::Client => vec![("grant_type", "client_credentials")],
            Credential::Assertion(assertion) => {
                vec![("grant_type", JWT_BEARER), ("assertion", assertion.text().expose())]
            }
            Credential::Subject { token, kind, requested } => {
                let mut fields = vec![
                    ("grant_type", TOKEN_EXCHANGE),
                    ("subject_token", token.text().expose()),
                    ("subject_token_type", kind),
                ];
                fields.extend(requested.map(|kind| ("requested_token_type", kind)));
                fields
            }
        };
        let optional = [
            ("scope", &*scope),
            ("audience", provider.audience.as_deref().unwrap_or_default()),
            ("resource", provider.named_resource().unwrap_or_default()),
        ];
        fields.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        let mut response = self.request(http, fields.clone(), &provider.code).await;
        if let Err(error) = &response
            && error.is_client_refused()
            && let Some(endpoint) = self.with_other_auth()
        {
            response = endpoint.request(http, fields, &provider.code).await;
            response = response.map(|response| TokenResponse { client_auth: Some(endpoint.auth), ..response });
        }
        response.map_err(|error| match credential {
            Credential::Client => error,
            Credential::Assertion(sent) | Credential::Subject { token: sent, .. } => {
                error.with_assertion(sent, time::now())
            }
        })
    }
}
