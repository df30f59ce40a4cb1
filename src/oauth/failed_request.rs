//! What a failed request means for the sign-in that sent it.

use super::error::SignInError;
use super::token::Endpoint;
use super::token_error::{TokenError, is_client_error, is_redirect_mismatch, with_note};
use super::token_failure::TokenFailure;
use crate::http::HttpError;
use crate::provider::{self, ProviderConfig};

impl SignInError {
    /// The error of a sign-in whose token request failed with `error`.
    pub(super) fn of_token_request(
        error: TokenError,
        provider: &ProviderConfig,
        endpoint: &Endpoint<'_>,
        redirect_uri: &str,
        registered: bool,
    ) -> Self {
        let (name, host) = (provider.name.clone(), provider::host(endpoint.url));
        match error {
            TokenError::NotSent(error) => error.into(),
            TokenError::NoAssertion(error) => error.into(),
            TokenError::Unreachable(reason) => HttpError::Unreachable { host, reason }.into(),
            TokenError::InvalidResponse(description) => Self::InvalidResponse { host, description },
            TokenError::Refused { status, error, description, assertion, .. }
                if status == 401 || is_client_error(&error) =>
            {
                let client_id = endpoint.client_id.to_owned();
                let description = with_note(&description, assertion.as_deref());
                Self::ClientRefused { provider: name, client_id, host, description, registered }
            }
            TokenError::Refused { error, description, .. } if is_redirect_mismatch(&error, &description) => {
                Self::RedirectMismatch { uri: redirect_uri.to_owned(), host, description }
            }
            // Only the code is no longer valid, so another sign-in helps.
            TokenError::Refused { .. } if error.is_final() => {
                Self::CodeRefused { provider: name, description: error.to_string(), host }
            }
            TokenError::Refused { .. } | TokenError::ResponseLost { .. } | TokenError::TimedOut(_) => {
                Self::ExchangeFailed { provider: name, host, failure: error.failure() }
            }
        }
    }

    /// The error of a sign-in whose pushed authorization request failed with `error`. A refusal has the codes of the
    /// authorization endpoint (RFC 9126, section 2.3).
    pub(super) fn of_pushed_request(
        error: TokenError,
        provider: &ProviderConfig,
        endpoint: &Endpoint<'_>,
        redirect_uri: &str,
        registered: bool,
    ) -> Self {
        let (name, host) = (provider.name.clone(), provider::host(endpoint.url));
        match error {
            TokenError::Refused { status: 400 | 403, error, standard: true, description, .. }
                if !is_client_error(&error) && !is_redirect_mismatch(&error, &description) =>
            {
                Self::Refused { provider: name, error, description }
            }
            TokenError::InvalidResponse(_) => {
                let failure = TokenFailure { temporary: false, ..error.failure() };
                Self::PushFailed { provider: name, host, failure }
            }
            error => match Self::of_token_request(error, provider, endpoint, redirect_uri, registered) {
                Self::ExchangeFailed { provider, host, failure } => Self::PushFailed { provider, host, failure },
                other => other,
            },
        }
    }

    /// The error of a sign-in whose device authorization request failed with `error` (RFC 8628, section 3.2).
    pub(super) fn of_device_request(
        error: TokenError,
        provider: &ProviderConfig,
        endpoint: &Endpoint<'_>,
        registered: bool,
    ) -> Self {
        let (name, host) = (provider.name.clone(), provider::host(endpoint.url));
        let has_authorization_endpoint = provider.authorize_url.is_some();
        match error {
            TokenError::InvalidResponse(description) => {
                Self::InvalidDeviceAuthorization { provider: name, host, description, has_authorization_endpoint }
            }
            error => Self::of_device(error, provider, endpoint, registered).unwrap_or_else(|failure| {
                Self::DeviceRequestFailed { provider: name, host, failure, has_authorization_endpoint }
            }),
        }
    }

    /// The error of a sign-in whose poll failed with `error` (RFC 8628, section 3.5).
    pub(super) fn of_device_poll(
        error: TokenError,
        provider: &ProviderConfig,
        endpoint: &Endpoint<'_>,
        registered: bool,
    ) -> Self {
        let (name, host) = (provider.name.clone(), provider::host(endpoint.url));
        match error {
            TokenError::InvalidResponse(description) => Self::InvalidResponse { host, description },
            TokenError::Refused { error, description, .. } if error == "expired_token" => {
                Self::DeviceCodeExpired { provider: name, waited: None, description }
            }
            TokenError::Refused { error, description, .. } if error == "invalid_grant" => {
                Self::DeviceCodeRefused { provider: name, host, description }
            }
            error => Self::of_device(error, provider, endpoint, registered)
                .unwrap_or_else(|failure| Self::DeviceExchangeFailed { provider: name, host, failure }),
        }
    }

    /// What both requests of the device flow have in common. `Err` with any other failure.
    fn of_device(
        error: TokenError,
        provider: &ProviderConfig,
        endpoint: &Endpoint<'_>,
        registered: bool,
    ) -> std::result::Result<Self, TokenFailure> {
        let (name, host) = (provider.name.clone(), provider::host(endpoint.url));
        let client_id = endpoint.client_id.to_owned();
        let failure = error.failure();
        match error {
            TokenError::NotSent(error) => Ok(error.into()),
            TokenError::NoAssertion(error) => Ok(error.into()),
            TokenError::Unreachable(reason) => Ok(HttpError::Unreachable { host, reason }.into()),
            TokenError::Refused { error, description, .. }
                if matches!(&*error, "unauthorized_client" | "unsupported_grant_type") =>
            {
                Ok(Self::DeviceFlowRefused {
                    provider: name,
                    client_id,
                    host,
                    unsupported: error == "unsupported_grant_type",
                    description,
                    registered,
                    has_authorization_endpoint: provider.authorize_url.is_some(),
                })
            }
            TokenError::Refused { error, description, .. } if error == "access_denied" => {
                Ok(Self::Refused { provider: name, error, description })
            }
            TokenError::Refused { status, error, description, assertion, .. }
                if status == 401 || is_client_error(&error) =>
            {
                let description = with_note(&description, assertion.as_deref());
                Ok(Self::ClientRefused { provider: name, client_id, host, description, registered })
            }
            TokenError::Refused { status: 200..=299 | 400 | 403, error, standard: true, description, .. }
                if !failure.temporary =>
            {
                Ok(Self::Refused { provider: name, error, description })
            }
            _ => Err(failure),
        }
    }
}
