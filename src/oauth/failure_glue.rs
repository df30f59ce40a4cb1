//! Turns the errors of HTTP, of providers and of sign-in into the [`Failure`] that the command line still reads.

use super::error::{SignInError, whole_seconds};
use crate::failure::Failure;
use crate::http::HttpError;
use crate::provider::ProviderError;

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let sentence = error.to_string();
        match error {
            HttpError::Unreachable { host, reason } => Self::Unreachable { host, why: reason },
            HttpError::Untrusted { host, problem } => Self::Untrusted { host, why: problem.to_string() },
            HttpError::NotTls { host } => Self::NotTls { host },
            HttpError::InvalidUrl { .. } => Self::Configuration { sentence, cure: "write it as `https://...`".into() },
            HttpError::UnusableProxy { variable, .. } => Self::Configuration {
                sentence,
                cure: format!("write {variable} as `http://HOST:PORT`, or name the server in NO_PROXY"),
            },
            HttpError::NoRoots { .. } => Self::System {
                sentence: format!("{sentence}; install the system's CA certificates or set SSL_CERT_FILE"),
            },
            HttpError::System { .. } => Self::System { sentence },
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let sentence = error.to_string();
        match error {
            ProviderError::InvalidUrl { .. } => {
                Self::Configuration { sentence, cure: "write it as `https://...`".into() }
            }
            ProviderError::MissingUrl { provider, setting } => Self::Configuration {
                sentence,
                cure: format!("write `{setting} = \"https://...\"` under [provider.{provider}] in config.toml"),
            },
            ProviderError::NoClientId { provider } => Self::NoClientId { provider, others: Vec::new() },
        }
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let sentence = error.to_string();
        match error {
            SignInError::ClientRefused { provider, client_id, host, description } => {
                Self::ClientRefused { provider, client_id, host, said: description }
            }
            SignInError::RedirectUnusable { uri, reason } => Self::RedirectUnusable { uri, why: reason },
            SignInError::RedirectMismatch { uri, host, description } => {
                Self::RedirectMismatch { uri, host, said: description }
            }
            SignInError::Refused { provider, error, description } => {
                Self::SignInRefused { provider, error, said: description }
            }
            SignInError::TimedOut { provider, waited, client_id, redirect_uri, turned_away } => {
                Self::SignInTimedOut { provider, waited: whole_seconds(waited), client_id, redirect_uri, turned_away }
            }
            SignInError::IssuerMismatch { expected, got } => Self::IssuerMismatch { expected, got },
            SignInError::CodeRefused { provider, host, description } => {
                Self::CodeRefused { provider, host, said: description }
            }
            SignInError::ExchangeFailed { provider, host, failed } => Self::ExchangeFailed { provider, host, failed },
            SignInError::PortTaken { address, provider } => Self::PortTaken { address, provider },
            SignInError::WrongAnswer { .. } => Self::usage("oauth start", sentence),
            SignInError::ReservedParameter { provider, .. } => Self::Configuration {
                sentence,
                cure: format!("take it out of `authorize_url` and `authorize_params` under [provider.{provider}]"),
            },
            SignInError::InvalidResponse { host, description } => Self::Nonsense { host, what: description },
            SignInError::System { .. } => Self::System { sentence },
            SignInError::Http(error) => error.into(),
            SignInError::Provider(error) => error.into(),
        }
    }
}
