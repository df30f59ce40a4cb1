//! Where the tokens of a provider come from.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::ProviderConfig;
use crate::credential_command::CredentialCommand;

/// Where the first token of a session comes from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// A user signs in, in a browser or on another device. Later tokens come from the refresh token.
    #[default]
    AuthorizationCode,
    /// A command prints every token.
    Command(TokenCommand),
}

/// A command that prints an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCommand {
    /// The command.
    pub command: CredentialCommand,
    /// How long a token is used. If `None`, until its `exp` if it is a JWT (RFC 7519), else for five minutes.
    pub lifetime: Option<Duration>,
}

impl TokenCommand {
    /// This program with its arguments. It may take a minute, and inherits the whole environment.
    pub fn new(words: Vec<String>) -> Self {
        let command = CredentialCommand { words, hidden_variables: Vec::new(), time_limit: Duration::from_secs(60) };
        Self { command, lifetime: None }
    }
}

impl Grant {
    /// The name in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::Command(_) => "token_command",
        }
    }

    /// Whether a user has to sign in.
    pub fn needs_user(&self) -> bool {
        matches!(self, Self::AuthorizationCode)
    }

    /// What decides which token it gets, besides the provider's endpoints, client and scopes.
    fn settings(&self) -> Value {
        match self {
            Self::AuthorizationCode => Value::Null,
            Self::Command(command) => json!([command.command.words]),
        }
    }
}

impl ProviderConfig {
    /// A SHA-256 of the settings that decide which tokens this provider gets without a user and where they are sent. A
    /// session that was made from other settings is replaced. `None` if a user has to sign in.
    pub(crate) fn settings_hash(&self) -> Option<String> {
        if self.grant.needs_user() {
            return None;
        }
        let settings = json!([
            self.grant.as_str(),
            self.grant.settings(),
            self.token_url.as_ref().map(|url| url.as_str()),
            self.client.as_ref().map(|client| &client.id),
            self.scopes,
            self.resource,
            self.code.params,
            self.api.url.as_ref().map(|url| url.origin().ascii_serialization()),
        ]);
        Some(Sha256::digest(settings.to_string()).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
