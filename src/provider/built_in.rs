//! The providers that need no configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Api, Encoding, Grant, ProviderConfig, RequestStyle, TokenCommand, Url};
use crate::secret::HeaderSecret;

/// The name of [`ProviderConfig::claude_code`].
pub const BUILT_IN: &str = "claude_code";

/// The name of [`ProviderConfig::ant`].
pub const ANT: &str = "ant";

/// The name of [`ProviderConfig::claude_federation`].
pub const FEDERATION: &str = "claude_federation";

/// The name of [`ProviderConfig::claude_platform`].
pub const PLATFORM: &str = "claude_platform";

impl ProviderConfig {
    /// The built-in provider of this name.
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            BUILT_IN => Some(Self::claude_code()),
            ANT => Some(Self::ant()),
            FEDERATION => Some(Self::claude_federation()),
            PLATFORM => Some(Self::claude_platform()),
            _ => None,
        }
    }

    /// A provider of another name with the settings of a built-in one, such as
    /// [`claude_platform`](Self::claude_platform) for a further customer. `None` if no built-in provider has the name
    /// `preset`.
    pub fn like(preset: &str, name: &str) -> Option<Self> {
        let Self { redirect_uri, .. } = Self::named(name);
        Some(Self { name: name.into(), redirect_uri, ..Self::built_in(preset)? })
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

    /// Workload Identity Federation at the Claude Console. Set the [grant](Self::grant) to [`Grant::JwtBearer`] with
    /// the workload's identity token, and `federation_rule_id`, `organization_id` and, if the rule needs them,
    /// `service_account_id` and `workspace_id` in the parameters of the [exchange](Self::code).
    pub fn claude_federation() -> Self {
        let beta = Arc::new(HeaderSecret::new("oauth-2025-04-20,oidc-federation-2026-04-01".into()));
        Self {
            token_url: Url::parse("https://api.anthropic.com/v1/oauth/token").ok(),
            code: RequestStyle {
                encoding: Encoding::Json,
                headers: BTreeMap::from([("anthropic-beta".to_owned(), beta)]),
                ..RequestStyle::default()
            },
            api: anthropic_api(),
            ..Self::named(FEDERATION)
        }
    }

    /// Claude Platform OAuth (beta): customers link their organization to your application, and pay for their requests.
    /// It is not verified against the live service.
    ///
    /// The client (`clid_...`) is yours to register, and authenticates with an assertion of your identity provider
    /// ([`ClientAuth::PrivateKeyJwt`](crate::ClientAuth::PrivateKeyJwt)). The user profile of the customer belongs in
    /// [`par_params`](Self::par_params). Use one owner for each customer. The `connection_id` is in the session's
    /// metadata.
    pub fn claude_platform() -> Self {
        let at = |path: &str| Url::parse(&format!("https://auth.claude.com{path}")).ok();
        Self {
            authorize_url: at("/oauth/authorize"),
            par_url: at("/v1/oauth/par"),
            require_par: true,
            token_url: at("/v1/oauth/token"),
            revoke_url: at("/v1/oauth/revoke"),
            revoke_replaced: Some(false),
            revoking_unlinks: true,
            scopes: ["billing:attribution", "offline_access"].map(String::from).into(),
            api: Api { url: Url::parse("https://api.anthropic.com").ok(), ..Api::default() },
            ..Self::named(PLATFORM)
        }
    }

    /// The session of the official `ant` program, which prints its access token. It must be installed and signed in.
    pub fn ant() -> Self {
        let words = ["ant", "auth", "print-credentials", "--access-token"].map(String::from).into();
        Self { grant: Grant::Command(TokenCommand::from_words(words)), api: anthropic_api(), ..Self::named(ANT) }
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
