//! Errors of a search for the metadata of a server.

use crate::error_info::{ErrorClass, ErrorInfo};
use crate::http::HttpError;
use crate::provider::{ProviderError, Url, host};

use super::probe::Probe;
use crate::oauth::metadata::without_slash;

/// Why it could not be found out how to sign in.
///
/// No variant contains a secret or the body of a response.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The issuer publishes no metadata that can be used.
    #[error("no metadata of the issuer `{issuer}` was found")]
    NoMetadata {
        /// The provider's name.
        provider: String,
        /// The issuer.
        issuer: String,
        /// What each request gave, in order.
        probes: Vec<Probe>,
    },
    /// Nothing at the URL says how to sign in.
    #[error("{}", nothing_found(url, probes))]
    NothingFound {
        /// The URL of a gateway, an API or an issuer.
        url: Url,
        /// What each request gave, in order.
        probes: Vec<Probe>,
    },
    /// The API answers without a credential.
    #[error("{host} needs no sign-in: it answers without a credential")]
    NoSignIn {
        /// The API's host.
        host: String,
    },
    /// The server could not be reached.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The provider's configuration does not allow the search.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl DiscoveryError {
    /// What each request gave, in order.
    pub fn probes(&self) -> &[Probe] {
        match self {
            Self::NoMetadata { probes, .. } | Self::NothingFound { probes, .. } => probes,
            Self::NoSignIn { .. } | Self::Http(_) | Self::Provider(_) => &[],
        }
    }
}

fn nothing_found(url: &Url, probes: &[Probe]) -> String {
    let server = elsewhere(url, probes).next().map(|probe| host(&probe.url));
    let url = without_slash(url.as_str());
    match server {
        Some(server) => format!("{url} names the authorization server at {server}, which does not say how to sign in"),
        None => format!("{url} does not say how to sign in"),
    }
}

/// What the requests to other servers than that of the URL gave, which it names.
fn elsewhere<'a>(url: &'a Url, probes: &'a [Probe]) -> impl Iterator<Item = &'a Probe> + Clone {
    probes.iter().filter(|probe| probe.url.origin() != url.origin())
}

/// Whether all of these failures may pass: no response, 429, or a status of the server's own failure.
fn is_temporary<'a>(mut probes: impl Iterator<Item = &'a Probe>) -> bool {
    probes.all(|probe| probe.status.is_none_or(|status| status == 429 || status >= 500))
}

fn names_a_server_that_fails(url: &Url, probes: &[Probe]) -> bool {
    let elsewhere = elsewhere(url, probes);
    elsewhere.clone().next().is_some() && is_temporary(elsewhere)
}

impl ErrorInfo for DiscoveryError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoMetadata { .. } => "no_metadata",
            Self::NothingFound { .. } => "nothing_found",
            Self::NoSignIn { .. } => "no_sign_in",
            Self::Http(error) => error.code(),
            Self::Provider(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoMetadata { probes, .. } | Self::NothingFound { probes, .. } if is_temporary(probes.iter()) => {
                ErrorClass::Temporary
            }
            Self::NothingFound { url, probes } if names_a_server_that_fails(url, probes) => ErrorClass::Temporary,
            Self::NoMetadata { .. } | Self::NothingFound { .. } | Self::NoSignIn { .. } => ErrorClass::Configuration,
            Self::Http(error) => error.class(),
            Self::Provider(error) => error.class(),
        }
    }
}
