//! The providers that need no configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Api, Encoding, Grant, ProviderConfig, RequestStyle, TokenCommand, Url};
use crate::secret::HeaderSecret;

/// The name of [`ProviderConfig::claude_code`].
pub const BUILT_IN: &str = "claude_code";

/// The name of [`ProviderConfig::ant`].
pub const ANT: &str = "ant";

impl ProviderConfig {
    /// The built-in provider of this name.
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            BUILT_IN => Some(Self::claude_code()),
            ANT => Some(Self::ant()),
            _ => None,
        }
    }

    /// The endpoints of the Claude Console. The client is yours to register.
    pub fn claude_code() -> Self {
        let beta = oauth_beta();
        Self {
            authorize_url: Url::parse("https://platform.claude.com/oauth/authorize").ok(),
            token_url: Url::parse("https://api.anthropic.com/v1/oauth/token").ok(),
            redirect_uri: "http://localhost:4000/oauth/claude/callback".into(),
            scopes: ["openai.user.read", "model.request", "model.read"].map(String::from).into(),
            // Without `state` the Console answers 400 oauth_request_parse_error.
            code: RequestStyle { with_state: true, ..RequestStyle::default() },
            refresh: RequestStyle {
                encoding: Encoding::Json,
                headers: BTreeMap::from([beta.clone()]),
                ..RequestStyle::default()
            },
            api: anthropic_api(),
            ..Self::named(BUILT_IN)
        }
    }

    /// The session of the official `ant` program, which prints its access token. It must be installed and signed in.
    pub fn ant() -> Self {
        let words = ["ant", "auth", "print-credentials", "--access-token"].map(String::from).into();
        Self { grant: Grant::Command(TokenCommand::new(words)), api: anthropic_api(), ..Self::named(ANT) }
    }
}

/// The header that the API requires with a token of OAuth.
fn oauth_beta() -> (String, Arc<HeaderSecret>) {
    ("anthropic-beta".to_owned(), Arc::new(HeaderSecret::new("oauth-2025-04-20".into())))
}

/// The API at its own address, with tokens of OAuth.
fn anthropic_api() -> Api {
    Api { url: Url::parse("https://api.anthropic.com").ok(), headers: BTreeMap::from([oauth_beta()]), ..Api::default() }
}
