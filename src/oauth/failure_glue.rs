//! Turns the errors of HTTP, of providers and of sign-in into the [`Failure`] that the command line still reads.

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
