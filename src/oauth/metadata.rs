//! The metadata of an authorization server (RFC 8414, section 2; OpenID Connect Discovery 1.0, section 3).
//!
//! A document is used only as a whole: it must name the issuer that was asked for, and every endpoint that is used must
//! be one that a server at that place may name.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::clean::clean;
use crate::provider::{self, ClientAuth, ProviderConfig, Url, endpoint_url, is_loopback};

/// What an authorization server publishes about itself. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The issuer identifier, as the server spells it.
    pub issuer: String,
    /// The authorization endpoint (RFC 6749, section 3.1).
    pub authorization_endpoint: Option<Url>,
    /// The token endpoint (RFC 6749, section 3.2).
    pub token_endpoint: Option<Url>,
    /// The revocation endpoint (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// The registration endpoint (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// The device authorization endpoint (RFC 8628).
    pub device_authorization_endpoint: Option<Url>,
    /// The endpoint of pushed authorization requests (RFC 9126).
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// The userinfo endpoint (OpenID Connect Core 1.0, section 5.3).
    pub userinfo_endpoint: Option<Url>,
    /// Whether authorization requests must be pushed (RFC 9126, section 5).
    pub require_pushed_authorization_requests: bool,
    /// Whether authorization responses contain `iss` (RFC 9207, section 3).
    pub authorization_response_iss_parameter_supported: bool,
    /// The scopes that it lists. Empty if it lists none.
    pub scopes_supported: Vec<String>,
    /// How clients may authenticate at the token endpoint, if it says so.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// How clients may authenticate at the revocation endpoint, if it says so.
    pub revocation_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Why a metadata document cannot be used. The message is the end of a sentence about the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// It is not a JSON object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A required member is missing.
    #[error("has no `{0}`")]
    Missing(&'static str),
    /// A member has the wrong type.
    #[error("has a `{name}` that is not {expected}")]
    WrongType {
        /// The member.
        name: &'static str,
        /// What it must be, with its article.
        expected: &'static str,
    },
    /// It belongs to another issuer (RFC 8414, section 3.3).
    #[error("belongs to the issuer `{0}`")]
    OtherIssuer(String),
    /// A URL in it must not be used.
    #[error("has a `{name}` that {reason}")]
    Url {
        /// The member.
        name: &'static str,
        /// What is wrong with it, as the end of the sentence.
        reason: String,
    },
}

type Result<T> = std::result::Result<T, MetadataError>;

impl ServerMetadata {
    /// Reads the metadata of an issuer. A slash at the end of the issuer makes no difference.
    ///
    /// # Errors
    /// Why the document cannot be used.
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self> {
        let members = Members::parse(document)?;
        let named = members.text("issuer")?.ok_or(MetadataError::Missing("issuer"))?;
        if without_slash(named) != without_slash(issuer) {
            return Err(MetadataError::OtherIssuer(clean(named)));
        }
        let from = members.url("issuer", None)?.ok_or(MetadataError::Missing("issuer"))?;
        Self::read(&members, named, &from)
    }

    /// Reads metadata from `from`, whatever issuer it names.
    pub(super) fn read(members: &Members, issuer: &str, from: &Url) -> Result<Self> {
        let endpoint = |name| members.url(name, Some(from));
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            registration_endpoint: endpoint("registration_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            pushed_authorization_request_endpoint: endpoint("pushed_authorization_request_endpoint")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            require_pushed_authorization_requests: members.flag("require_pushed_authorization_requests")?,
            authorization_response_iss_parameter_supported: members
                .flag("authorization_response_iss_parameter_supported")?,
            scopes_supported: members.texts("scopes_supported")?.unwrap_or_default(),
            token_endpoint_auth_methods_supported: members.texts("token_endpoint_auth_methods_supported")?,
            revocation_endpoint_auth_methods_supported: members.texts("revocation_endpoint_auth_methods_supported")?,
        })
    }

    /// The endpoints that it names, by member.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("revocation_endpoint", &self.revocation_endpoint),
            ("registration_endpoint", &self.registration_endpoint),
            ("device_authorization_endpoint", &self.device_authorization_endpoint),
            ("pushed_authorization_request_endpoint", &self.pushed_authorization_request_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
        ]
        .into_iter()
        .filter_map(|(name, url)| Some((name, url.as_ref()?)))
    }

    /// Sets what the provider's configuration leaves open ([`FromMetadata`](crate::FromMetadata)). `resource_scopes`
    /// are the scopes that the API asks for (RFC 9728, section 2).
    pub fn fill(&self, provider: &mut ProviderConfig, resource_scopes: &[String]) {
        provider.issuer = Some(self.issuer.clone());
        let open = |setting: &mut Option<Url>, found: &Option<Url>| {
            if setting.is_none() {
                setting.clone_from(found);
            }
        };
        open(&mut provider.authorize_url, &self.authorization_endpoint);
        open(&mut provider.token_url, &self.token_endpoint);
        open(&mut provider.revoke_url, &self.revocation_endpoint);
        open(&mut provider.device_url, &self.device_authorization_endpoint);
        open(&mut provider.userinfo_url, &self.userinfo_endpoint);
        if self.require_pushed_authorization_requests {
            provider.require_par = true;
            open(&mut provider.par_url, &self.pushed_authorization_request_endpoint);
        }
        if provider.revoke_auth.is_none() {
            provider.revoke_auth = self.only_revoke_auth();
        }
        let registration = &mut provider.registration;
        open(&mut registration.url, &self.registration_endpoint);
        if registration.scopes_supported.is_none() && !self.scopes_supported.is_empty() {
            registration.scopes_supported = Some(self.scopes_supported.clone());
        }
        registration.resource_scopes = resource_scopes.to_vec();
        if registration.auth_methods.is_none() {
            registration.auth_methods = self.client_auth_methods();
        }
        let decides = provider.from_metadata;
        if decides.require_iss && self.authorization_response_iss_parameter_supported {
            provider.require_iss = true;
        }
        if decides.scopes && provider.scopes.is_empty() {
            provider.scopes = self.default_scopes(resource_scopes);
        }
        if let Some(client) = &mut provider.client
            && decides.client_auth
            && client.secret.is_some()
            && self.takes_secret_in_body()
        {
            client.auth = ClientAuth::Post;
        }
    }

    /// `openid` and `offline_access` where they are listed, and the scopes of the API.
    fn default_scopes(&self, resource_scopes: &[String]) -> Vec<String> {
        let common = ["openid", "offline_access"].map(str::to_owned);
        let mut scopes: Vec<String> =
            common.into_iter().filter(|scope| self.scopes_supported.contains(scope)).collect();
        for scope in resource_scopes {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        scopes
    }

    /// How a client that is registered may authenticate: as the token endpoint and the revocation endpoint both list,
    /// because a client that cannot authenticate at the revocation endpoint leaves its session behind at the sign-out.
    /// If they have no method in common, as the token endpoint lists. `private_key_jwt` only where nothing else is
    /// possible.
    fn client_auth_methods(&self) -> Option<Vec<ClientAuth>> {
        let listed = self.token_endpoint_auth_methods_supported.as_deref()?;
        let at_token = known_methods(listed);
        if at_token.is_empty() && listed.iter().any(|method| method == ClientAuth::PrivateKeyJwt.registered_name()) {
            return Some(vec![ClientAuth::PrivateKeyJwt]);
        }
        let at_revocation = match (&self.revocation_endpoint, &self.revocation_endpoint_auth_methods_supported) {
            (Some(_), Some(listed)) => known_methods(listed),
            _ => return Some(at_token),
        };
        let at_both: Vec<_> = at_token.iter().copied().filter(|method| at_revocation.contains(method)).collect();
        Some(if at_both.is_empty() { at_token } else { at_both })
    }

    /// The method of a client with a secret at the revocation endpoint, if the server lists only one. With more, the
    /// method of the token endpoint is used.
    fn only_revoke_auth(&self) -> Option<ClientAuth> {
        let listed = known_methods(self.revocation_endpoint_auth_methods_supported.as_deref()?);
        let with_secret: Vec<_> = listed.into_iter().filter(|method| *method != ClientAuth::None).collect();
        if let [only] = with_secret[..] { Some(only) } else { None }
    }

    /// Whether a client may send its secret in the body. Preferred where it is listed, because servers differ in how
    /// they decode HTTP Basic.
    fn takes_secret_in_body(&self) -> bool {
        let listed = self.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        listed.iter().any(|method| method == "client_secret_post")
    }
}

/// The authentication methods among these names (the registry of RFC 7591, section 4.2) that this library registers.
fn known_methods(names: &[String]) -> Vec<ClientAuth> {
    let method = |name: &String| match name.as_str() {
        "none" => Some(ClientAuth::None),
        "client_secret_basic" => Some(ClientAuth::Basic),
        "client_secret_post" => Some(ClientAuth::Post),
        _ => None,
    };
    names.iter().filter_map(method).collect()
}

/// The members of a JSON object.
pub(super) struct Members(Map<String, Value>);

impl Members {
    pub(super) fn parse(document: &[u8]) -> Result<Self> {
        match serde_json::from_slice(document) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            _ => Err(MetadataError::NotAnObject),
        }
    }

    /// A member. `null` and an empty string count as absent.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null() && *value != "")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>> {
        let not_text = MetadataError::WrongType { name, expected: "a string" };
        self.get(name).map(|value| value.as_str().ok_or(not_text)).transpose()
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Option<Vec<String>>> {
        let not_texts = || MetadataError::WrongType { name, expected: "a list of strings" };
        let Some(value) = self.get(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(not_texts)?.iter();
        items.map(|item| item.as_str().map(str::to_owned).ok_or_else(not_texts)).collect::<Result<_>>().map(Some)
    }

    fn flag(&self, name: &'static str) -> Result<bool> {
        let not_flag = MetadataError::WrongType { name, expected: "true or false" };
        self.get(name).map_or(Ok(false), |value| value.as_bool().ok_or(not_flag))
    }

    /// The URL of an endpoint or an issuer that a document from `from` may name. Without `from`, it is the place of the
    /// document itself.
    pub(super) fn url(&self, name: &'static str, from: Option<&Url>) -> Result<Option<Url>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let unusable = |reason| MetadataError::Url { name, reason };
        named_url(text, from).map(Some).map_err(unusable)
    }
}

/// A URL that a document from `from` names.
///
/// # Errors
/// Why it must not be used, as the end of a sentence.
pub(super) fn named_url(text: &str, from: Option<&Url>) -> std::result::Result<Url, String> {
    let url = endpoint_url(text)?;
    if let Some(from) = from {
        check_reach(from, &url)?;
    }
    Ok(url)
}

/// Refuses URLs on this machine or its link in a document from another machine. Services on loopback and the metadata
/// services of clouds have no access control of their own.
pub(super) fn check_reach(from: &Url, to: &Url) -> std::result::Result<(), String> {
    if from.host() == to.host() {
        return Ok(());
    }
    let address = match to.host() {
        Some(url::Host::Ipv4(address)) => Some(IpAddr::from(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::from(address)),
        _ => None,
    };
    let this_machine = is_loopback(to) || address.is_some_and(is_this_machine);
    match (address.is_some_and(is_on_link), this_machine) {
        (true, _) => Err(format!("leads to the link-local address {}", provider::host(to))),
        (false, true) if !is_loopback(from) => Err(format!("leads to this machine ({})", provider::host(to))),
        _ => Ok(()),
    }
}

/// Whether connections to this address stay on this machine.
pub(super) fn is_this_machine(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

/// Whether this is a link-local address.
pub(super) fn is_on_link(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The text without a slash at its end.
pub(crate) fn without_slash(url: &str) -> &str {
    url.strip_suffix('/').unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::OAuthClient;
    use crate::secret::ClientSecret;

    const ISSUER: &str = "https://id.example.com";

    fn parse(document: &Value) -> Result<ServerMetadata> {
        ServerMetadata::parse(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn a_document_is_read_and_unknown_members_are_ignored() {
        let document = json!({
            "issuer": "https://id.example.com/",
            "authorization_endpoint": "https://login.example.com/authorize?tenant=1",
            "token_endpoint": "https://id.example.com/token",
            "revocation_endpoint": null,
            "scopes_supported": ["openid"],
            "authorization_response_iss_parameter_supported": true,
            "check_session_iframe": "http://127.0.0.1/",
        });
        let metadata = parse(&document).unwrap();
        assert_eq!(metadata.issuer, "https://id.example.com/");
        assert_eq!(metadata.authorization_endpoint.unwrap().as_str(), "https://login.example.com/authorize?tenant=1");
        assert_eq!(metadata.token_endpoint.unwrap().as_str(), "https://id.example.com/token");
        assert_eq!((metadata.revocation_endpoint, metadata.device_authorization_endpoint), (None, None));
        assert!(metadata.authorization_response_iss_parameter_supported);
        assert_eq!(metadata.token_endpoint_auth_methods_supported, None);
    }

    #[test]
    fn a_document_that_must_not_be_used_says_why() {
        let with = |name: &str, value: Value| {
            let mut document = json!({ "issuer": ISSUER, "token_endpoint": "https://id.example.com/token" });
            document[name] = value;
            parse(&document).unwrap_err().to_string()
        };
        for (name, value, why) in [
            ("issuer", Value::Null, "has no `issuer`"),
            ("issuer", json!(["https://id.example.com"]), "has a `issuer` that is not a string"),
            ("issuer", json!("https://evil.example.com"), "belongs to the issuer `https://evil.example.com`"),
            ("issuer", json!("https://id.example.com/other"), "belongs to the issuer `https://id.example.com/other`"),
            (
                "issuer",
                json!("https://id.example.com.evil\u{1b}[2J"),
                "belongs to the issuer `https://id.example.com.evil [2J`",
            ),
            ("token_endpoint", json!(1), "has a `token_endpoint` that is not a string"),
            ("scopes_supported", json!("openid"), "has a `scopes_supported` that is not a list of strings"),
            ("scopes_supported", json!(["openid", 1]), "has a `scopes_supported` that is not a list of strings"),
            (
                "authorization_response_iss_parameter_supported",
                json!("true"),
                "has a `authorization_response_iss_parameter_supported` that is not true or false",
            ),
        ] {
            assert_eq!(with(name, value.clone()), why, "{name} {value}");
        }
        for (url, why) in [
            ("http://id.example.com/a", "is http; plain http is allowed on loopback only"),
            ("javascript:alert(1)", "does not begin with `https://`"),
            ("javascript://id.example.com/%0aalert(1)", "is javascript, but must be https"),
            ("--help", "does not begin with `https://`"),
            ("-x://id.example.com", "is not a URL (relative URL without a base)"),
            ("file:///etc/passwd", "is file, but must be https"),
            ("https://me:pw@id.example.com/", "must not contain a user name or password"),
            ("https://id.example.com/#x", "must not contain a fragment"),
            ("https://127.0.0.1/a", "leads to this machine (127.0.0.1)"),
            ("https://2130706433/a", "leads to this machine (127.0.0.1)"),
            ("https://LocalHost./a", "leads to this machine (localhost.)"),
            ("http://app.localhost:8080/a", "leads to this machine (app.localhost:8080)"),
            ("http://127.9.9.9/a", "leads to this machine (127.9.9.9)"),
            ("https://[::1]/a", "leads to this machine ([::1])"),
            ("https://[::ffff:127.0.0.1]/a", "leads to this machine ([::ffff:7f00:1])"),
            ("https://0.0.0.0/a", "leads to this machine (0.0.0.0)"),
            ("https://169.254.169.254/latest", "leads to the link-local address 169.254.169.254"),
            ("https://[fe80::1]/a", "leads to the link-local address [fe80::1]"),
            ("https://[::ffff:169.254.1.1]/a", "leads to the link-local address [::ffff:a9fe:101]"),
        ] {
            for name in ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "registration_endpoint"] {
                assert_eq!(with(name, json!(url)), format!("has a `{name}` that {why}"), "{url}");
            }
        }
        for text in ["", "[]", "<html>", "{\"issuer\":"] {
            assert_eq!(ServerMetadata::parse(text.as_bytes(), ISSUER), Err(MetadataError::NotAnObject), "{text}");
        }
    }

    #[test]
    fn a_server_on_this_machine_may_name_others_on_this_machine() {
        let document = json!({ "issuer": "http://127.0.0.1:8080", "token_endpoint": "http://localhost:9/token" });
        let metadata = ServerMetadata::parse(document.to_string().as_bytes(), "http://127.0.0.1:8080").unwrap();
        assert_eq!(metadata.token_endpoint.unwrap().as_str(), "http://localhost:9/token");
    }

    #[test]
    fn a_client_is_registered_with_a_method_that_can_also_revoke() {
        use ClientAuth::{Basic, None as Public, Post};
        let all = json!(["client_secret_basic", "private_key_jwt", "client_secret_post", "none"]);
        for (revocation, expected) in [
            (json!(null), vec![Basic, Post, Public]),
            (json!(["client_secret_basic"]), vec![Basic]),
            (json!(["client_secret_post", "client_secret_basic"]), vec![Basic, Post]),
            (json!(["private_key_jwt"]), vec![Basic, Post, Public]),
        ] {
            let metadata = parse(&json!({
                "issuer": ISSUER,
                "revocation_endpoint": "https://id.example.com/r",
                "token_endpoint_auth_methods_supported": all,
                "revocation_endpoint_auth_methods_supported": revocation,
            }));
            let mut provider = ProviderConfig::named("p");
            metadata.unwrap().fill(&mut provider, &[]);
            assert_eq!(provider.registration.auth_methods, Some(expected), "{revocation}");
        }
    }

    #[test]
    fn what_is_configured_wins() {
        let metadata = parse(&json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/a",
            "token_endpoint": "https://id.example.com/t",
            "revocation_endpoint": "https://id.example.com/r",
            "scopes_supported": ["email", "offline_access", "openid"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
        }))
        .unwrap();
        let secret = || OAuthClient {
            id: "c".into(),
            secret: Some(ClientSecret::new("s".into())),
            auth: ClientAuth::Basic,
            assertion: None,
        };
        let mut open = ProviderConfig { client: Some(secret()), ..ProviderConfig::named("p") };
        metadata.fill(&mut open, &["llm".into(), "openid".into()]);
        assert_eq!(open.token_url.unwrap().as_str(), "https://id.example.com/t");
        assert_eq!(open.revoke_url.unwrap().as_str(), "https://id.example.com/r");
        assert_eq!(open.scopes, ["openid", "offline_access", "llm"]);
        assert_eq!((open.require_iss, open.client.unwrap().auth), (true, ClientAuth::Post));
        let mut set = ProviderConfig::named("p")
            .with_client(secret())
            .with_scopes([""; 0])
            .with_token_url("https://own.example.com/t")
            .unwrap();
        set.from_metadata.require_iss = false;
        metadata.fill(&mut set, &["llm".into()]);
        assert_eq!(set.token_url.unwrap().as_str(), "https://own.example.com/t");
        assert_eq!(set.authorize_url.unwrap().as_str(), "https://id.example.com/a");
        assert_eq!((set.scopes.len(), set.require_iss), (0, false));
        assert_eq!(set.client.unwrap().auth, ClientAuth::Basic);
        let mut public = ProviderConfig::named("p");
        public.client = Some(OAuthClient::public("c"));
        metadata.fill(&mut public, &[]);
        assert_eq!(public.client.unwrap().auth, ClientAuth::None);
    }
}
