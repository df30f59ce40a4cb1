//! Errors of a sign-in.
//!
//! Text from a server is cleaned and shortened ([`clean`](crate::clean::clean)) before it enters a variant. No variant
//! contains a secret, the query of a URL or the body of a response.

use std::time::Duration;

use super::id_token::IdTokenProblem;
use super::token_failure::TokenFailure;
use crate::assertion::AssertionError;
use crate::error_info::{ErrorClass, ErrorInfo, client, detail};
use crate::http::HttpError;
use crate::provider::ProviderError;
use crate::time;

pub(super) type Result<T> = std::result::Result<T, SignInError>;

/// Why a sign-in failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The authorization server does not know the client, or the client's authentication failed.
    #[error("{host} rejected {}{}", client(client_id), detail(description))]
    ClientRefused {
        /// The provider's name.
        provider: String,
        /// The client id as sent. Empty if none was sent.
        client_id: String,
        /// The server's host.
        host: String,
        /// The server's `error_description`. Empty if it gave none.
        description: String,
        /// Whether the client was registered dynamically (RFC 7591).
        registered: bool,
    },
    /// No client could be registered (RFC 7591, section 3.2.2).
    #[error("no client could be registered: {host} {}", failure.description)]
    RegistrationFailed {
        /// The provider's name.
        provider: String,
        /// The registration endpoint's host.
        host: String,
        /// The `error` code. Empty if there is none.
        error: String,
        /// Whether an initial access token was sent.
        with_token: bool,
        /// What the server did.
        failure: Box<TokenFailure>,
    },
    /// The registration endpoint sent something that is not a registered client (RFC 7591, section 3.2.1), or one that
    /// cannot be used.
    #[error("{host} sent an invalid registration response: {description}")]
    InvalidRegistration {
        /// The provider's name.
        provider: String,
        /// The registration endpoint's host.
        host: String,
        /// What is wrong with it.
        description: String,
    },
    /// The redirect listener cannot serve the redirect URI.
    #[error("nexus cannot listen on the redirect URI `{uri}`: {reason}")]
    RedirectUnusable {
        /// The URI as configured.
        uri: String,
        /// Why not.
        reason: String,
    },
    /// The server says that the redirect URI is not the registered one.
    #[error("{host} rejected the redirect URI `{uri}`{}", detail(description))]
    RedirectMismatch {
        /// The URI exactly as sent.
        uri: String,
        /// The server's host.
        host: String,
        /// The server's `error_description`. Empty if it gave none.
        description: String,
    },
    /// The user or the authorization server refused (RFC 6749, section 4.1.2.1).
    #[error("{provider} refused the sign-in ({error}){}", detail(description))]
    Refused {
        /// The provider's name.
        provider: String,
        /// The `error` code.
        error: String,
        /// The server's `error_description`. Empty if it gave none.
        description: String,
    },
    /// The user did not finish the sign-in in time.
    #[error("{}", timed_out(*waited, client_id, redirect_uri, scopes, *turned_away))]
    TimedOut {
        /// The provider's name.
        provider: String,
        /// The time limit.
        waited: Duration,
        /// The client id exactly as sent.
        client_id: String,
        /// The redirect URI exactly as sent.
        redirect_uri: String,
        /// The scopes exactly as sent, separated by spaces. Empty if none were sent.
        scopes: String,
        /// How many responses with a wrong or missing `state` were rejected meanwhile.
        turned_away: u32,
        /// Whether the client was registered dynamically (RFC 7591).
        registered: bool,
    },
    /// The authorization response is from another issuer (RFC 9207, section 2.4).
    #[error("{}", issuer_mismatch(expected, got))]
    IssuerMismatch {
        /// The provider's name.
        provider: String,
        /// The issuer of the request.
        expected: String,
        /// The issuer in the response. Empty if it names none.
        got: String,
    },
    /// The server did not accept the pushed authorization request (RFC 9126), for another reason than its content.
    #[error("the authorization request could not be pushed: {host} {}", failure.description)]
    PushFailed {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// What the server did.
        failure: TokenFailure,
    },
    /// The ID token does not answer this sign-in (OpenID Connect Core, section 3.1.3.7).
    #[error("the ID token that {host} sent {problem}")]
    IdToken {
        /// The provider's name.
        provider: String,
        /// The host of the token endpoint.
        host: String,
        /// What is wrong with it.
        problem: IdTokenProblem,
    },
    /// The server rejected the authorization code: it has expired or was already used.
    #[error("{host} rejected the authorization code{}", detail(description))]
    CodeRefused {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// What the server answered.
        description: String,
    },
    /// The token endpoint did not exchange the authorization code, for another reason than the code.
    #[error("the authorization code could not be exchanged: {host} {}", failure.description)]
    ExchangeFailed {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// What the server did.
        failure: TokenFailure,
    },
    /// The client may not use the device flow, or the server does not have it (RFC 6749, section 5.2:
    /// `unauthorized_client` and `unsupported_grant_type`).
    #[error("{host} {}{}", no_device_flow(client_id, *unsupported), detail(description))]
    DeviceFlowRefused {
        /// The provider's name.
        provider: String,
        /// The client id as sent. Empty if none was sent.
        client_id: String,
        /// The server's host.
        host: String,
        /// Whether the server does not have the device flow (`unsupported_grant_type`).
        unsupported: bool,
        /// The server's `error_description`. Empty if it gave none.
        description: String,
        /// Whether the client was registered dynamically (RFC 7591).
        registered: bool,
        /// Whether the server has an authorization endpoint, so that the user can sign in with a browser.
        has_authorization_endpoint: bool,
    },
    /// The device authorization endpoint gave no code, for another reason (RFC 8628, section 3.2).
    #[error("no device code could be requested: {host} {}", failure.description)]
    DeviceRequestFailed {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// What the server did.
        failure: TokenFailure,
        /// Whether the server has an authorization endpoint, so that the user can sign in with a browser.
        has_authorization_endpoint: bool,
    },
    /// The device authorization endpoint sent something that is not a device authorization response (RFC 8628, section
    /// 3.2), or codes that cannot be used.
    #[error("{host} sent an invalid device authorization response: {description}")]
    InvalidDeviceAuthorization {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// What is wrong with it.
        description: String,
        /// Whether the server has an authorization endpoint, so that the user can sign in with a browser.
        has_authorization_endpoint: bool,
    },
    /// The user did not approve before the device code expired (`expired_token` of RFC 8628, section 3.5).
    #[error("{}", device_code_expired(*waited, description))]
    DeviceCodeExpired {
        /// The provider's name.
        provider: String,
        /// How long the code was valid. `None` if the server ended it before.
        waited: Option<Duration>,
        /// The server's `error_description`. Empty if it gave none.
        description: String,
    },
    /// The server rejected the device code (`invalid_grant`): it was already used, or belongs to another client.
    #[error("{host} rejected the device code{}", detail(description))]
    DeviceCodeRefused {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// The server's `error_description`. Empty if it gave none.
        description: String,
    },
    /// The token endpoint did not exchange the device code, for another reason than the code.
    #[error("the device code could not be exchanged: {host} {}", failure.description)]
    DeviceExchangeFailed {
        /// The provider's name.
        provider: String,
        /// The server's host.
        host: String,
        /// What the server did.
        failure: TokenFailure,
    },
    /// Another program listens on the port of the redirect URI.
    #[error("another program is listening on {address}")]
    PortTaken {
        /// The address that could not be bound.
        address: String,
        /// The provider's name.
        provider: String,
    },
    /// The query does not answer this authorization request: it has another `state`, no `state`, or cannot be read.
    #[error("{reason}")]
    WrongAnswer {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The provider's configuration sets an authorization parameter that every request sets itself.
    #[error("the provider {provider} sets the reserved authorization parameter `{parameter}`")]
    ReservedParameter {
        /// The provider's name.
        provider: String,
        /// The parameter's name.
        parameter: String,
    },
    /// The token endpoint sent something that is not a token response (RFC 6749, section 5).
    #[error("{host} sent an invalid token response: {description}")]
    InvalidResponse {
        /// The server's host.
        host: String,
        /// What is wrong with it.
        description: String,
    },
    /// The operating system failed.
    #[error("{description}")]
    System {
        /// What was attempted, and what happened.
        description: String,
    },
    /// The token request could not be sent.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// There is no assertion to authenticate the client with.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    /// The provider's configuration does not allow a sign-in.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// The class of an `error` code of an authorization response: RFC 6749, section 4.1.2.1; OpenID Connect Core, section
/// 3.1.2.6; RFC 8707, section 2; RFC 9396, section 5.
fn refusal_class(error: &str) -> ErrorClass {
    match error {
        "server_error" | "temporarily_unavailable" => ErrorClass::Temporary,
        "invalid_authorization_details"
        | "invalid_request"
        | "invalid_request_object"
        | "invalid_request_uri"
        | "invalid_scope"
        | "invalid_target"
        | "registration_not_supported"
        | "request_not_supported"
        | "request_uri_not_supported"
        | "unsupported_response_mode"
        | "unsupported_response_type" => ErrorClass::Configuration,
        _ => ErrorClass::SignIn,
    }
}

fn timed_out(waited: Duration, client_id: &str, redirect_uri: &str, scopes: &str, turned_away: u32) -> String {
    let wrong = match turned_away {
        0 => String::new(),
        1 => " (1 response with a wrong `state` was rejected)".into(),
        count => format!(" ({count} responses with a wrong `state` were rejected)"),
    };
    let scopes = if scopes.is_empty() { String::new() } else { format!(", or the scopes `{scopes}`") };
    format!(
        "timed out after {}{wrong}; if the browser showed an error, the server may have rejected client id \
         `{client_id}` or redirect URI `{redirect_uri}`{scopes}",
        time::span(time::rounded_up(waited))
    )
}

fn no_device_flow(client_id: &str, unsupported: bool) -> String {
    match unsupported {
        true => "does not support signing in with a device code (unsupported_grant_type)".into(),
        false => format!("does not allow {} to sign in with a device code (unauthorized_client)", client(client_id)),
    }
}

fn device_code_expired(waited: Option<Duration>, description: &str) -> String {
    match waited {
        Some(waited) => {
            format!("timed out after {}: the device code was not approved", time::span(time::rounded_up(waited)))
        }
        None => format!("the device code expired before it was approved{}", detail(description)),
    }
}

fn issuer_mismatch(expected: &str, got: &str) -> String {
    match got {
        "" => format!("the authorization response names no issuer; expected `{expected}`"),
        got => format!("the authorization response is from issuer `{got}`; expected `{expected}`"),
    }
}

impl SignInError {
    /// Whether the device flow was refused, or the client in it, so that another client may be allowed to use it. Some
    /// servers answer `invalid_request` to a client that may not.
    pub fn is_about_device_client(&self) -> bool {
        match self {
            Self::ClientRefused { .. } | Self::DeviceFlowRefused { .. } => true,
            Self::Refused { error, .. } => error == "invalid_request",
            _ => false,
        }
    }
}

impl ErrorInfo for SignInError {
    fn code(&self) -> &'static str {
        match self {
            Self::ClientRefused { .. } => "invalid_client",
            Self::RegistrationFailed { .. } => "registration_failed",
            Self::InvalidRegistration { .. } => "invalid_response",
            Self::RedirectUnusable { .. } => "redirect_uri",
            Self::RedirectMismatch { .. } => "redirect_uri_mismatch",
            Self::Refused { .. } => "sign_in_refused",
            Self::TimedOut { .. } => "sign_in_timed_out",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::PushFailed { .. } => "par_failed",
            Self::IdToken { .. } => "invalid_id_token",
            Self::CodeRefused { .. } => "code_refused",
            Self::DeviceFlowRefused { .. } => "device_flow_refused",
            Self::DeviceRequestFailed { .. } => "device_request_failed",
            Self::InvalidDeviceAuthorization { .. } => "invalid_response",
            Self::DeviceCodeExpired { .. } => "device_code_expired",
            Self::DeviceCodeRefused { .. } => "device_code_refused",
            Self::DeviceExchangeFailed { .. } => "exchange_failed",
            Self::ExchangeFailed { .. } => "exchange_failed",
            Self::PortTaken { .. } => "port_taken",
            Self::WrongAnswer { .. } => "usage",
            Self::ReservedParameter { .. } => "configuration",
            Self::InvalidResponse { .. } => "invalid_response",
            Self::System { .. } => "system",
            Self::Http(error) => error.code(),
            Self::Assertion(error) => error.code(),
            Self::Provider(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::ClientRefused { .. }
            | Self::DeviceFlowRefused { .. }
            | Self::RedirectUnusable { .. }
            | Self::RedirectMismatch { .. }
            | Self::ReservedParameter { .. } => ErrorClass::Configuration,
            Self::RegistrationFailed { failure, .. } if failure.temporary => ErrorClass::Temporary,
            Self::RegistrationFailed { .. } => ErrorClass::Configuration,
            Self::Refused { error, .. } => refusal_class(error),
            Self::TimedOut { .. }
            | Self::IssuerMismatch { .. }
            | Self::IdToken { .. }
            | Self::CodeRefused { .. }
            | Self::DeviceCodeExpired { .. }
            | Self::DeviceCodeRefused { .. } => ErrorClass::SignIn,
            Self::ExchangeFailed { failure, .. }
            | Self::PushFailed { failure, .. }
            | Self::DeviceRequestFailed { failure, .. }
            | Self::DeviceExchangeFailed { failure, .. }
                if failure.temporary =>
            {
                ErrorClass::Temporary
            }
            Self::ExchangeFailed { .. }
            | Self::PushFailed { .. }
            | Self::DeviceRequestFailed { .. }
            | Self::DeviceExchangeFailed { .. }
            | Self::InvalidDeviceAuthorization { .. }
            | Self::InvalidRegistration { .. }
            | Self::PortTaken { .. }
            | Self::InvalidResponse { .. }
            | Self::System { .. } => ErrorClass::Permanent,
            Self::WrongAnswer { .. } => ErrorClass::Usage,
            Self::Http(error) => error.class(),
            Self::Assertion(error) => error.class(),
            Self::Provider(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ExchangeFailed { failure, .. }
            | Self::PushFailed { failure, .. }
            | Self::DeviceRequestFailed { failure, .. }
            | Self::DeviceExchangeFailed { failure, .. } => failure.retry_after,
            Self::RegistrationFailed { failure, .. } => failure.retry_after,
            Self::Http(error) => error.retry_after(),
            _ => None,
        }
    }
}
