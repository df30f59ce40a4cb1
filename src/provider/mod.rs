//! What a provider is: an authorization server, the client registered there, and the Messages
//! endpoint its tokens are good for. Plain checked values; reading them is [`config`]'s work.

use std::collections::BTreeMap;

pub use url::Url;

use crate::secret::ClientSecret;

mod builder;
mod error;

pub use error::ProviderError;

/// The name of the provider that needs no configuration file.
pub const BUILT_IN: &str = "claude_code";

/// Everything nexus knows about one provider before anybody has signed in.
#[derive(Debug)]
pub struct ProviderConfig {
    /// What `--provider` calls it.
    pub name: String,
    /// The authorization server's issuer identifier (RFC 8414, section 2), if configured.
    pub issuer: Option<String>,
    /// Where a person approves (RFC 6749, section 3.1).
    pub authorize_url: Option<Url>,
    /// Where codes and refresh tokens are redeemed (RFC 6749, section 3.2).
    pub token_url: Option<Url>,
    /// Where tokens are revoked (RFC 7009), if the server can.
    pub revoke_url: Option<Url>,
    /// Whether a session that another one replaces is always revoked, as the server is known to keep
    /// sign-ins apart, or never; none goes by what the two sessions show.
    pub revoke_replaced: Option<bool>,
    /// Where a device asks for a code (RFC 8628). Read and checked, not used yet.
    pub device_url: Option<Url>,
    /// The registered client. No id: no sign-in, but a stored session still works.
    pub client: Option<OAuthClient>,
    /// Where the authorization server sends the browser back to.
    pub redirect_uri: String,
    /// What is asked for; empty leaves it to the server.
    pub scopes: Vec<String>,
    /// Further parameters of the authorization request.
    pub authorize_params: BTreeMap<String, String>,
    /// How the code exchange is written.
    pub code: RequestStyle,
    /// How the refresh is written.
    pub refresh: RequestStyle,
    /// The Messages endpoint.
    pub api: Api,
}

/// A registered OAuth client (RFC 6749, section 2).
#[derive(Debug)]
pub struct OAuthClient {
    /// The public identifier.
    pub id: String,
    /// The secret of a confidential client.
    pub secret: Option<ClientSecret>,
    /// How the client authenticates at the token endpoint.
    pub auth: ClientAuth,
}

/// OAuthClient authentication at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// A public client: only `client_id` in the body.
    None,
    /// Id and secret, each form-encoded first, in a Basic header.
    Basic,
    /// Id and secret in the body.
    Post,
}

impl ClientAuth {
    /// The word the configuration and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Post => "post",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::None, Self::Basic, Self::Post].into_iter().find(|auth| auth.as_str() == word)
    }
}

/// How one of the two token requests is written, for servers that want more than RFC 6749.
#[derive(Debug, Default, Clone)]
pub struct RequestStyle {
    /// The body's encoding.
    pub encoding: Encoding,
    /// Further fields of the body.
    pub params: BTreeMap<String, String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Whether the code exchange repeats `state`, as the Console demands and RFC 6749 does not know.
    pub with_state: bool,
}

/// The encoding of a token request's body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`, as RFC 6749 says.
    #[default]
    Form,
    /// `application/json`, as some servers want it.
    Json,
}

/// Which API a provider's endpoint speaks. The commands and what they print are the same.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// The Messages API.
    #[default]
    Anthropic,
    /// The Chat Completions API, which OpenAI began and most gateways speak.
    Openai,
}

/// The endpoint of a provider that answers questions.
#[derive(Debug, Clone)]
pub struct Api {
    /// The base; `/v1/messages` (or `/v1/chat/completions`) and `/v1/models` are appended, a path
    /// prefix is kept. The built-in provider always has one, another may only sign in.
    pub url: Option<Url>,
    /// What is spoken there.
    pub dialect: Dialect,
    /// Headers of every request, besides those of the dialect. An empty value removes a header of the dialect.
    pub headers: BTreeMap<String, String>,
    /// The model when the command line names none.
    pub model: Option<String>,
    /// The longest answer when the command line names none, in tokens.
    pub max_tokens: Option<u32>,
    /// A person's own names for models; a question is sent with what they stand for.
    pub aliases: BTreeMap<String, String>,
}

impl Api {
    /// The model that a person calls so: what the alias stands for, or the name itself. An alias for
    /// nothing is none, as an empty `model` is none.
    pub fn model_called(&self, name: &str) -> String {
        self.aliases.get(name).filter(|model| !model.is_empty()).map_or(name, String::as_str).to_owned()
    }
}

impl ProviderConfig {
    /// The built-in provider: the Claude Console's endpoints, without a client, which only the
    /// person can register.
    pub fn claude_code() -> Self {
        let beta = ("anthropic-beta".to_owned(), "oauth-2025-04-20".to_owned());
        Self {
            name: BUILT_IN.into(),
            issuer: None,
            authorize_url: Url::parse("https://platform.claude.com/oauth/authorize").ok(),
            token_url: Url::parse("https://api.anthropic.com/v1/oauth/token").ok(),
            revoke_url: None,
            revoke_replaced: None,
            device_url: None,
            client: None,
            redirect_uri: "http://localhost:4000/oauth/claude/callback".into(),
            scopes: ["openai.user.read", "model.request", "model.read"].map(String::from).into(),
            authorize_params: BTreeMap::new(),
            code: RequestStyle {
                // Without it the Console answers 400 oauth_request_parse_error.
                with_state: true,
                ..RequestStyle::default()
            },
            refresh: RequestStyle {
                encoding: Encoding::Json,
                headers: BTreeMap::from([beta.clone()]),
                ..RequestStyle::default()
            },
            api: Api {
                url: Url::parse("https://api.anthropic.com").ok(),
                dialect: Dialect::Anthropic,
                headers: BTreeMap::from([beta]),
                model: None,
                max_tokens: None,
                aliases: BTreeMap::new(),
            },
        }
    }

    /// A provider with nothing but a name, for the configuration to fill.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            issuer: None,
            authorize_url: None,
            token_url: None,
            revoke_url: None,
            revoke_replaced: None,
            device_url: None,
            client: None,
            redirect_uri: "http://127.0.0.1:0/callback".into(),
            scopes: Vec::new(),
            authorize_params: BTreeMap::new(),
            code: RequestStyle::default(),
            refresh: RequestStyle::default(),
            api: Api {
                url: None,
                dialect: Dialect::Anthropic,
                headers: BTreeMap::new(),
                model: None,
                max_tokens: None,
                aliases: BTreeMap::new(),
            },
        }
    }

    /// The registered client.
    ///
    /// # Errors
    /// [`ProviderError::NoClientId`] if none is configured.
    pub fn client(&self) -> Result<&OAuthClient, ProviderError> {
        self.client.as_ref().ok_or_else(|| ProviderError::NoClientId { provider: self.name.clone() })
    }

    /// The URL of an endpoint that the caller cannot do without. `setting` is what the configuration calls it.
    ///
    /// # Errors
    /// [`ProviderError::MissingUrl`] if there is none.
    pub fn required<'a>(&self, url: Option<&'a Url>, setting: &'static str) -> Result<&'a Url, ProviderError> {
        url.ok_or_else(|| ProviderError::MissingUrl { provider: self.name.clone(), setting })
    }
}

/// Reads the URL of an endpoint and refuses what must not carry a secret: http is for loopback
/// alone, and a user name, password or fragment belongs into no endpoint (RFC 6749, section 3.2).
///
/// # Errors
/// A sentence's end that says what is wrong with it.
pub fn endpoint_url(text: &str) -> Result<Url, String> {
    // Without it, `id.example.com:443` would be taken for a scheme and its rest.
    if !text.contains("://") {
        return Err("does not begin with `https://`".into());
    }
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("is http; plain http is allowed on loopback only".into()),
        other => return Err(format!("is {other}, but must be https")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".into());
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment".into());
    }
    Ok(url)
}

/// Whether a URL leads to this machine and nowhere else.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A URL's host and, where it is not the scheme's own, its port: how messages name a server.
pub fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_or_loopback() {
        for good in [
            "https://id.example.com/token",
            "http://localhost:8080/token",
            "http://127.0.0.1:1/",
            "http://127.9.9.9/",
            "http://[::1]:9/x?y=1",
        ] {
            assert!(endpoint_url(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://id.example.com/token", "is http; plain http is allowed on loopback only"),
            ("http://localhost.example.com/", "is http; plain http is allowed on loopback only"),
            ("ftp://id.example.com/", "is ftp, but must be https"),
            ("https://user:pw@id.example.com/", "must not contain a user name or password"),
            ("https://id.example.com/#part", "must not contain a fragment"),
            ("id.example.com", "does not begin with `https://`"),
            ("id.example.com:443/token", "does not begin with `https://`"),
        ] {
            assert_eq!(endpoint_url(bad), Err(why.into()), "{bad}");
        }
    }
}
