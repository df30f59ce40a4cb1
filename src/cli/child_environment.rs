//! The variables of a program that uses the session.

use std::collections::BTreeSet;

use crate::cli::environment::{secret_variables, variable};
use crate::cli::error::{CliError, Result};
use nexus::internal::api;
use nexus::{AccessToken, Dialect, ProviderConfig};

/// The variables that programs for the Messages API would use instead of a base URL and a bearer: another API, another
/// credential, or headers that replace it.
const ANTHROPIC: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_AWS_API_KEY",
    "ANTHROPIC_AWS_BASE_URL",
    "ANTHROPIC_AWS_WORKSPACE_ID",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_FOUNDRY_AUTH_TOKEN",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "ANTHROPIC_FOUNDRY_RESOURCE",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_UNIX_SOCKET",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "CLAUDE_CODE_API_BASE_URL",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_HOST_CREDS_FILE",
    "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_GATEWAY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
];

/// The variables that programs for the Chat Completions API would use instead, or as well.
const OPENAI: &[&str] = &[
    "AZURE_OPENAI_AD_TOKEN",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_ENDPOINT",
    "CODEX_API_KEY",
    "OPENAI_ADMIN_KEY",
    "OPENAI_API_BASE",
    "OPENAI_API_KEY",
    "OPENAI_API_TYPE",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT",
    "OPENAI_PROJECT_ID",
];

/// The variables that programs for an API use instead of this session, in alphabetical order.
pub(crate) fn winning(dialect: Dialect) -> &'static [&'static str] {
    if dialect == Dialect::Openai { OPENAI } else { ANTHROPIC }
}

/// The variables with the base URL and the credential of a program for an API.
pub(crate) fn names(dialect: Dialect) -> [&'static str; 2] {
    match dialect {
        Dialect::Openai => ["OPENAI_BASE_URL", "OPENAI_API_KEY"],
        _ => ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"],
    }
}

/// What changes in the environment of a program.
pub(crate) struct ChildEnvironment {
    set: Vec<(&'static str, String)>,
    removed: &'static [&'static str],
}

impl ChildEnvironment {
    /// For a program that uses a proxy on loopback.
    pub(crate) fn of_proxy(dialect: Dialect, url: &str, key: String) -> Self {
        let url = if dialect == Dialect::Openai { format!("{url}/v1") } else { url.to_owned() };
        let mut environment = Self::of(dialect, url, key);
        environment.set.extend(without_proxies());
        environment
    }

    fn of(dialect: Dialect, url: String, key: String) -> Self {
        let [of_url, of_key] = names(dialect);
        Self { set: vec![(of_url, url), (of_key, key)], removed: winning(dialect) }
    }

    /// The variables that are set.
    pub(crate) fn set(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.set.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The variables of this process that the program does not inherit: those that would win over the ones that are
    /// set, and those that hold secrets.
    pub(crate) fn removed(&self) -> impl Iterator<Item = String> {
        let is_set = |name: &str| self.set.iter().any(|(set, _)| *set == name);
        let names: BTreeSet<_> = self.removed.iter().map(ToString::to_string).chain(secret_variables()).collect();
        names.into_iter().filter(move |name| !is_set(name) && variable(name).is_some())
    }
}

/// The variables for a program that gets the token itself.
///
/// # Errors
/// A provider whose API needs more than the token.
pub(crate) fn with_token(provider: &ProviderConfig, token: &AccessToken) -> Result<ChildEnvironment> {
    let url = base_url(provider).map_err(|why| CliError::Configuration {
        message: format!("--env cannot be used with {}: {why}", provider.name),
        hint: "leave --env out: `nexus exec` then does that for the program".into(),
    })?;
    Ok(ChildEnvironment::of(provider.api.dialect, url, token.expose().to_owned()))
}

/// The base URL for a program that sends its requests to the API itself. That of an OpenAI API ends with the version.
///
/// # Errors
/// Why the token alone is not enough, as a clause.
pub(crate) fn base_url(provider: &ProviderConfig) -> std::result::Result<String, String> {
    let needed = provider.api.headers.iter().filter(|(_, value)| !value.expose().is_empty());
    let names: Vec<_> = needed.map(|(name, _)| format!("`{name}`")).collect();
    if !names.is_empty() {
        return Err(format!("its API needs more headers than the token ({})", names.join(", ")));
    }
    if let Some(name) = &provider.api.token_header {
        return Err(format!("its API takes the token in the header `{name}`"));
    }
    if provider.tls.has_client_certificate() {
        return Err("its API needs a client certificate".into());
    }
    let (path, end) = match provider.api.dialect {
        Dialect::Openai => ("/v1/chat/completions", "/chat/completions"),
        _ => ("/v1/messages", "/v1/messages"),
    };
    let url = api::resource_url(provider, path).map_err(|error| error.to_string())?;
    let base = url.as_str().strip_suffix(end).map(str::to_owned);
    base.ok_or_else(|| format!("its API has another path than `{path}`, or a query"))
}

/// The variables that keep a program from using the network's proxy for loopback, if there is one.
fn without_proxies() -> Vec<(&'static str, String)> {
    let is_set =
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].into_iter().any(|name| variable(name).is_some());
    if !is_set {
        return Vec::new();
    }
    let own = ["NO_PROXY", "no_proxy"].into_iter().find_map(variable);
    let all = own.map_or_else(|| "127.0.0.1".to_owned(), |own| format!("{own},127.0.0.1"));
    vec![("NO_PROXY", all.clone()), ("no_proxy", all)]
}
