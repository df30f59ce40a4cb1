//! Where the tokens of a provider come from.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::ProviderConfig;
use crate::assertion::AssertionSource;
use crate::credential_command::CredentialCommand;

/// Where the first token of a session comes from.
#[derive(Debug, Default, Clone)]
#[non_exhaustive]
pub enum Grant {
    /// A user signs in, in a browser or on another device. Later tokens come from the refresh token.
    #[default]
    AuthorizationCode,
    /// A command prints every token.
    Command(TokenCommand),
    /// The client's own credentials bring every token (RFC 6749, section 4.4).
    ClientCredentials,
    /// An assertion brings every token (RFC 7523, section 2.1).
    JwtBearer(AssertionFrom),
    /// Every token is exchanged for a token of another server (RFC 8693).
    TokenExchange(TokenExchange),
}

/// Where the assertion of a grant comes from. It is fetched for each request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AssertionFrom {
    /// A file, a command or a text.
    Source(AssertionSource),
    /// The session with another provider, which [`Client::with_assertions_from`](crate::Client::with_assertions_from)
    /// sets. Its token is sent to this provider's token endpoint.
    Session {
        /// The other provider's name.
        provider: String,
        /// Which token of that session.
        token: SessionToken,
    },
}

/// A token of a session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum SessionToken {
    /// The ID token (OpenID Connect Core, section 2).
    #[default]
    Id,
    /// The access token.
    Access,
}

/// The parameters of a token exchange (RFC 8693, section 2.1).
#[derive(Debug, Clone)]
pub struct TokenExchange {
    /// The token that is exchanged (`subject_token`).
    pub subject: AssertionFrom,
    /// What it is, as a URI (RFC 8693, section 3). If `None`, `jwt`, or the kind of the session's token.
    pub subject_token_type: Option<String>,
    /// What is requested, as a URI. If `None`, the server decides.
    pub requested_token_type: Option<String>,
}

impl TokenExchange {
    /// The `subject_token_type` to send.
    pub(crate) fn subject_token_type(&self) -> &str {
        self.subject_token_type.as_deref().unwrap_or(match &self.subject {
            AssertionFrom::Source(_) => "urn:ietf:params:oauth:token-type:jwt",
            AssertionFrom::Session { token: SessionToken::Id, .. } => "urn:ietf:params:oauth:token-type:id_token",
            AssertionFrom::Session { token: SessionToken::Access, .. } => {
                "urn:ietf:params:oauth:token-type:access_token"
            }
        })
    }
}

impl AssertionFrom {
    fn settings(&self) -> Value {
        match self {
            Self::Source(AssertionSource::File(path)) => json!(["file", path.to_string_lossy()]),
            Self::Source(AssertionSource::Command(command)) => json!(["command", command.words]),
            Self::Source(AssertionSource::Text(_, place)) => json!(["text", place]),
            Self::Session { provider, token } => json!(["session", provider, *token == SessionToken::Id]),
        }
    }
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
    pub fn from_words(words: Vec<String>) -> Self {
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
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer(_) => "jwt-bearer",
            Self::TokenExchange(_) => "token-exchange",
        }
    }

    /// Whether a user has to sign in.
    pub fn needs_user(&self) -> bool {
        matches!(self, Self::AuthorizationCode)
    }

    /// Where its assertion comes from, if it needs one.
    pub fn assertion(&self) -> Option<&AssertionFrom> {
        match self {
            Self::JwtBearer(from) => Some(from),
            Self::TokenExchange(exchange) => Some(&exchange.subject),
            Self::AuthorizationCode | Self::Command(_) | Self::ClientCredentials => None,
        }
    }

    /// What decides which token it gets, besides the provider's endpoints, client and scopes.
    fn settings(&self) -> Value {
        match self {
            Self::AuthorizationCode => Value::Null,
            Self::Command(command) => json!([command.command.words]),
            Self::ClientCredentials => Value::Null,
            Self::JwtBearer(from) => from.settings(),
            Self::TokenExchange(exchange) => {
                json!([exchange.subject.settings(), exchange.subject_token_type(), exchange.requested_token_type])
            }
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
            self.issuer,
            self.gateway.as_ref().map(|url| url.as_str()),
            self.client.as_ref().map(|client| &client.id),
            self.scopes,
            self.resource,
            self.audience,
            self.code.params,
            self.api.url.as_ref().map(|url| url.origin().ascii_serialization()),
        ]);
        Some(Sha256::digest(settings.to_string()).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
