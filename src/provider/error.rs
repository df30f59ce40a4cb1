//! Errors in the configuration of a provider.

use crate::credential_command::CommandError;
use crate::error_info::{ErrorClass, ErrorInfo};

/// What is wrong with the configuration of a provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The URL of an endpoint must be https, or http on loopback, without a user name, password or fragment. A resource
    /// must be an absolute URI without a fragment.
    #[error("the `{setting}` of the provider {provider} {reason}")]
    InvalidUrl {
        /// The provider's name.
        provider: String,
        /// Which URL, such as `token_url`.
        setting: &'static str,
        /// What is wrong with it, as the end of the sentence.
        reason: String,
    },
    /// The URL of a required endpoint is not configured.
    #[error("the provider {provider} has no `{setting}`")]
    MissingUrl {
        /// The provider's name.
        provider: String,
        /// Which URL, such as `token_url`.
        setting: &'static str,
    },
    /// The authorization server accepts only clients that authenticate with an assertion (`private_key_jwt` of RFC
    /// 7523), and the client has none.
    #[error("the authorization server of {provider} accepts only clients that authenticate with private_key_jwt")]
    AssertionRequired {
        /// The provider's name.
        provider: String,
    },
    /// A command cannot be run.
    #[error("the command `{program}` of the provider {provider} {error}")]
    Command {
        /// The provider's name.
        provider: String,
        /// The name of the program.
        program: String,
        /// Why not.
        error: CommandError,
    },
    /// No client is configured.
    #[error("no client id is configured for {provider}")]
    NoClientId {
        /// The provider's name.
        provider: String,
    },
}

impl ErrorInfo for ProviderError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidUrl { .. }
            | Self::MissingUrl { .. }
            | Self::AssertionRequired { .. }
            | Self::Command { .. } => "configuration",
            Self::NoClientId { .. } => "no_client_id",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}
