//! The configuration of a provider: an authorization server, the client registered there, and the API that its tokens
//! are valid for.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use url::Url;

use crate::assertion::ClientAssertion;
use crate::invisible;
use crate::secret::{ClientSecret, HeaderSecret, RegistrationToken};

mod builder;
mod built_in;
mod error;
mod grant;
pub(crate) mod tls;

pub use built_in::{ANT, BUILT_IN, FEDERATION, PLATFORM};
pub use error::ProviderError;
pub use grant::{AssertionFrom, Grant, SessionToken, TokenCommand, TokenExchange};
pub use tls::{Tls, TlsError};

/// An authorization server, its registered client and its API.
#[derive(Debug)]
pub struct ProviderConfig {
    /// The name, unique in a session store.
    pub name: String,
    /// The authorization server's issuer identifier (RFC 8414, section 2), if configured. Endpoints that are not set
    /// are read from its metadata ([`discovered`](Self::discovered)).
    pub issuer: Option<String>,
    /// The gateway, if its URL is all that is known. Endpoints that are not set are found out from what it publishes
    /// ([`discovered`](Self::discovered)).
    pub gateway: Option<Url>,
    /// What that metadata may decide besides the endpoints.
    pub from_metadata: FromMetadata,
    /// Whether every authorization response must name its issuer (RFC 9207, section 2.4).
    pub require_iss: bool,
    /// The authorization endpoint (RFC 6749, section 3.1).
    pub authorize_url: Option<Url>,
    /// The pushed authorization request endpoint (RFC 9126, section 2). With one, authorization requests are pushed
    /// there.
    pub par_url: Option<Url>,
    /// Whether the server takes pushed authorization requests only (`require_pushed_authorization_requests` of RFC
    /// 9126, section 5).
    pub require_par: bool,
    /// The token endpoint (RFC 6749, section 3.2).
    pub token_url: Option<Url>,
    /// The revocation endpoint (RFC 7009), if the server has one.
    pub revoke_url: Option<Url>,
    /// How the client authenticates at the revocation endpoint, if not as at the token endpoint
    /// (`revocation_endpoint_auth_methods_supported` of RFC 8414, section 2).
    pub revoke_auth: Option<ClientAuth>,
    /// Whether a session is revoked when another one replaces it: always, never, or (`None`) if that is sure not to
    /// revoke the new one.
    pub revoke_replaced: Option<bool>,
    /// Whether revoking a session ends more than the session: it unlinks the customer's organization. Such a session is
    /// revoked by [`Client::sign_out_and_unlink`](crate::Client::sign_out_and_unlink) only.
    pub revoking_unlinks: bool,
    /// The UserInfo endpoint (OpenID Connect Core, section 5.3), which names the account that signed in.
    pub userinfo_url: Option<Url>,
    /// The device authorization endpoint (RFC 8628, section 3.1), for sign-ins on another device.
    pub device_url: Option<Url>,
    /// The registered client. Without one and without a registration endpoint, users cannot sign in, but stored
    /// sessions work.
    pub client: Option<OAuthClient>,
    /// How a client is registered if there is none.
    pub registration: Registration,
    /// The redirect URI (RFC 6749, section 3.1.2).
    pub redirect_uri: String,
    /// The requested scopes. If empty, the server chooses.
    pub scopes: Vec<String>,
    /// The API that the tokens are for, as the authorization server knows it (RFC 8707, section 2): an absolute URI
    /// without a fragment, sent byte for byte. An empty text sends none, even if one is known from elsewhere.
    pub resource: Option<String>,
    /// The audience of tokens that are requested without a user (RFC 8693, section 2.1), as the authorization server
    /// knows it.
    pub audience: Option<String>,
    /// What the authorization server shall show to the user (`prompt` of OpenID Connect Core, section 3.1.2.1): words
    /// separated by spaces.
    pub prompt: Option<String>,
    /// Additional parameters of the authorization request.
    pub authorize_params: BTreeMap<String, String>,
    /// Additional parameters of the authorization request, if it is pushed (RFC 9126).
    pub par_params: BTreeMap<String, String>,
    /// The format of the code exchange.
    pub code: RequestStyle,
    /// The format of the refresh request.
    pub refresh: RequestStyle,
    /// Where the tokens come from.
    pub grant: Grant,
    /// The API.
    pub api: Api,
    /// The certificate authorities and the client certificate of the provider's servers.
    pub tls: Tls,
}

/// What the metadata of an authorization server may decide, because it is not configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromMetadata {
    /// How the client authenticates.
    pub client_auth: bool,
    /// Whether every authorization response must name its issuer.
    pub require_iss: bool,
    /// The scopes to ask for.
    pub scopes: bool,
}

impl Default for FromMetadata {
    /// All of it.
    fn default() -> Self {
        Self { client_auth: true, require_iss: true, scopes: true }
    }
}

/// Dynamic registration of a client (RFC 7591).
#[derive(Debug, Clone)]
pub struct Registration {
    /// The client registration endpoint (RFC 7591, section 3), if the server has one.
    pub url: Option<Url>,
    /// The initial access token, for endpoints that require one (RFC 7591, section 1.2).
    pub token: Option<Arc<RegistrationToken>>,
    /// What the server calls the client when it asks the user.
    pub client_name: String,
    /// The scopes that the server supports, if that is known.
    pub scopes_supported: Option<Vec<String>>,
    /// The scopes that the API asks for, if it says so (RFC 9728). They are registered even if the server does not list
    /// them.
    pub resource_scopes: Vec<String>,
    /// The authentication methods that the server supports at its token endpoint, if that is known.
    pub auth_methods: Option<Vec<ClientAuth>>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            client_name: "nexus".into(),
            scopes_supported: None,
            resource_scopes: Vec::new(),
            auth_methods: None,
        }
    }
}

/// A registered OAuth client (RFC 6749, section 2).
#[derive(Debug)]
pub struct OAuthClient {
    /// The public identifier. Empty for a client without one, whose requests have no `client_id`.
    pub id: String,
    /// The secret of a confidential client.
    pub secret: Option<ClientSecret>,
    /// How the client authenticates at the token endpoint.
    pub auth: ClientAuth,
    /// The assertion of a client that authenticates with [`ClientAuth::PrivateKeyJwt`].
    pub assertion: Option<ClientAssertion>,
}

/// How a client authenticates at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// It does not: a public client sends only its `client_id` in the body.
    None,
    /// Form-encoded id and secret in an HTTP Basic header, and the id in the body.
    Basic,
    /// Id and secret in an HTTP Basic header as they are, and the id in the body, for servers that do not form-decode
    /// the header.
    BasicRaw,
    /// Id and secret in the body.
    Post,
    /// The id and a signed assertion in the body (RFC 7523, section 2.2).
    PrivateKeyJwt,
}

impl ClientAuth {
    /// The name in the configuration and the store: `none`, `basic`, `basic_raw`, `post` or `private_key_jwt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::BasicRaw => "basic_raw",
            Self::Post => "post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The name in metadata (the registry of RFC 7591, section 4.2).
    pub(crate) fn registered_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic | Self::BasicRaw => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::None, Self::Basic, Self::BasicRaw, Self::Post, Self::PrivateKeyJwt];
        all.into_iter().find(|auth| auth.as_str() == word)
    }
}

/// The format of a token request, for servers that deviate from RFC 6749.
#[derive(Debug, Default, Clone)]
pub struct RequestStyle {
    /// The body's encoding.
    pub encoding: Encoding,
    /// Additional fields of the body.
    pub params: BTreeMap<String, String>,
    /// Additional headers. Their values are never shown.
    pub headers: BTreeMap<String, Arc<HeaderSecret>>,
    /// Whether the code exchange includes `state`, as the Claude Console requires.
    pub with_state: bool,
}

/// The encoding of a token request's body.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`, as RFC 6749 requires.
    #[default]
    Form,
    /// `application/json`, which some servers require.
    Json,
}

/// The API that a provider implements. The library gives the same answers and errors for each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The Messages API.
    #[default]
    Anthropic,
    /// OpenAI's Chat Completions API, which most gateways implement.
    Openai,
}

/// The API of a provider.
#[derive(Debug, Clone, Default)]
pub struct Api {
    /// The base URL. `/v1/messages` (or `/v1/chat/completions`) and `/v1/models` are appended to its path. A provider
    /// without one can only sign in.
    pub url: Option<Url>,
    /// The API's format.
    pub dialect: Dialect,
    /// The header that carries the token. If `None`, `Authorization: Bearer` (RFC 6750, section 2.1). Any other has the
    /// token alone, such as `x-api-key` for an API key.
    pub token_header: Option<String>,
    /// Headers of every request, in addition to those of the dialect. An empty value removes a header of the dialect.
    /// Their values are never shown: one may be a gateway's key.
    pub headers: BTreeMap<String, Arc<HeaderSecret>>,
    /// The models, for an API that lists none. If empty, the API is asked.
    pub models: Vec<String>,
    /// The default model. For the caller; the library does not read it.
    pub model: Option<String>,
    /// The default limit of an answer, in tokens. For the caller; the library does not read it.
    pub max_tokens: Option<u32>,
    /// Short names for models.
    pub aliases: BTreeMap<String, String>,
}

impl Api {
    /// Sets the header that carries the token. `Authorization` stands for the usual one.
    pub fn set_token_header(&mut self, name: String) {
        self.token_header = Some(name).filter(|name| !name.eq_ignore_ascii_case("authorization"));
    }

    /// The model for an alias, or the name itself. An alias for an empty name counts as none.
    pub fn model_called(&self, name: &str) -> String {
        self.aliases.get(name).filter(|model| !model.is_empty()).map_or(name, String::as_str).to_owned()
    }
}

impl ProviderConfig {
    /// A provider with a name and no endpoints. Its redirect URI is `http://localhost:4000/oauth/NAME/callback`: most
    /// servers compare it byte for byte, and one for each server tells their responses apart (RFC 9700, section 4.4).
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            issuer: None,
            gateway: None,
            from_metadata: FromMetadata::default(),
            require_iss: false,
            authorize_url: None,
            par_url: None,
            require_par: false,
            token_url: None,
            revoke_url: None,
            revoke_auth: None,
            revoke_replaced: None,
            revoking_unlinks: false,
            userinfo_url: None,
            device_url: None,
            client: None,
            registration: Registration::default(),
            redirect_uri: default_redirect_uri(name),
            scopes: Vec::new(),
            resource: None,
            audience: None,
            prompt: None,
            authorize_params: BTreeMap::new(),
            par_params: BTreeMap::new(),
            code: RequestStyle::default(),
            refresh: RequestStyle::default(),
            grant: Grant::default(),
            api: Api::default(),
            tls: Tls::default(),
        }
    }

    /// Whether a sign-in must ask the issuer or the gateway first: an endpoint that it needs is not set.
    pub fn needs_discovery(&self) -> bool {
        (self.issuer.is_some() || self.gateway.is_some()) && (self.authorize_url.is_none() || self.token_url.is_none())
    }

    /// Whether a sign-in on another device must ask the issuer or the gateway first: an endpoint that it needs is not
    /// set.
    pub fn needs_discovery_for_device(&self) -> bool {
        (self.issuer.is_some() || self.gateway.is_some()) && (self.device_url.is_none() || self.token_url.is_none())
    }

    /// The registered client.
    ///
    /// # Errors
    /// [`ProviderError::NoClientId`] if none is configured.
    pub fn client(&self) -> Result<&OAuthClient, ProviderError> {
        self.client.as_ref().ok_or_else(|| ProviderError::NoClientId { provider: self.name.clone() })
    }

    /// Checks that a client with this method can authenticate at the server, if its metadata says how.
    ///
    /// # Errors
    /// [`ProviderError::AssertionRequired`].
    pub(crate) fn check_client_auth(&self, auth: ClientAuth) -> Result<(), ProviderError> {
        let only_assertions = self.registration.auth_methods.as_deref() == Some(&[ClientAuth::PrivateKeyJwt]);
        // A client certificate may authenticate the client too (RFC 8705).
        let left_open = self.from_metadata.client_auth && self.tls.certificate().is_none();
        if only_assertions && left_open && auth != ClientAuth::PrivateKeyJwt {
            return Err(ProviderError::AssertionRequired { provider: self.name.clone() });
        }
        Ok(())
    }

    /// The resource to name in requests (RFC 8707), if there is one.
    pub(crate) fn named_resource(&self) -> Option<&str> {
        self.resource.as_deref().filter(|resource| !resource.is_empty())
    }

    /// Whether this scope is requested.
    pub(crate) fn asks_for(&self, scope: &str) -> bool {
        let elsewhere = self.authorize_params.get("scope").map(String::as_str).unwrap_or_default();
        self.scopes.iter().flat_map(|scopes| scopes.split(' ')).chain(elsewhere.split(' ')).any(|asked| asked == scope)
    }

    /// The URL of a required endpoint. `setting` is its name for the error, such as `token_url`.
    ///
    /// # Errors
    /// [`ProviderError::MissingUrl`] if there is none.
    pub fn required<'a>(&self, url: Option<&'a Url>, setting: &'static str) -> Result<&'a Url, ProviderError> {
        url.ok_or_else(|| ProviderError::MissingUrl { provider: self.name.clone(), setting })
    }
}

/// Parses the URL of an endpoint. It must be https, or http on loopback, without user name, password and fragment (RFC
/// 6749, section 3.2).
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn endpoint_url(text: &str) -> Result<Url, String> {
    // `Url::parse` drops line breaks and characters without a width.
    if let Some(why) = invisible::inside(text, false) {
        return Err(why);
    }
    // `Url::parse` takes `id.example.com:443` for a scheme and a path.
    if !text.contains("://") {
        return Err("does not begin with `https://`".into());
    }
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    check_endpoint(&url).map(|()| url)
}

/// Whether a URL can be that of an endpoint, as [`endpoint_url`] says.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(crate) fn check_endpoint(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) => {}
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
    Ok(())
}

/// Why a text cannot be the `resource` of a request: it must be an absolute URI without a fragment (RFC 8707, section
/// 2).
pub fn not_a_resource(text: &str) -> Option<String> {
    if let Some(why) = invisible::inside(text, false) {
        return Some(why);
    }
    match Url::parse(text) {
        Err(_) => Some("is not an absolute URI".into()),
        Ok(uri) if uri.fragment().is_some() => Some("must not contain a fragment".into()),
        Ok(_) => None,
    }
}

/// The redirect URI of a provider that configures none.
fn default_redirect_uri(name: &str) -> String {
    const BASE: &str = "http://localhost:4000/oauth";
    let Ok(mut url) = Url::parse(BASE) else { return format!("{BASE}/callback") };
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend([name, "callback"]);
    }
    url.into()
}

/// Whether a URL's host is on loopback.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => is_localhost(name),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a name is `localhost` or below it. Such names mean 127.0.0.1 and ::1, whatever a resolver says (RFC 6761,
/// section 6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut labels = name.rsplit('.');
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    labels.next().is_some_and(|last| last.eq_ignore_ascii_case("localhost")) && labels.all(is_label)
}

/// A URL's host, and its port unless it is the scheme's default. Messages name servers by it.
pub fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

/// A URL for a message. Its query may contain a key, so `?...` stands for it.
pub fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(url.query().map(|_| "..."));
    shown.into()
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
            "http://localhost.:8080/",
            "http://llm.LocalHost:8080/",
        ] {
            assert!(endpoint_url(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://id.example.com/token", "is http; plain http is allowed on loopback only"),
            ("http://localhost.example.com/", "is http; plain http is allowed on loopback only"),
            ("http://notlocalhost/", "is http; plain http is allowed on loopback only"),
            ("ftp://id.example.com/", "is ftp, but must be https"),
            ("https://user:pw@id.example.com/", "must not contain a user name or password"),
            ("https://id.example.com/#part", "must not contain a fragment"),
            ("https://id.example.com/\u{200b}token", "has an invisible character (U+200B) in it"),
            ("https://id.exa\nmple.com/", "has a line break in it"),
            ("https://id.example.com/to ken", "has a space in it"),
            ("id.example.com", "does not begin with `https://`"),
            ("id.example.com:443/token", "does not begin with `https://`"),
        ] {
            assert_eq!(endpoint_url(bad), Err(why.into()), "{bad}");
        }
    }
}
