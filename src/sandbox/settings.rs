//! The settings of a sandbox.

use serde_json::{Map, Value, json};

use super::registration::Registration;
use super::{AssertionRules, Endpoint};
use crate::provider::ClientAuth;

/// How a sandbox behaves. The default is a strict server with one public client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The one client it knows. Empty if its requests must have no `client_id`, as at Claude apps gateways.
    pub client_id: String,
    /// The secret of a confidential client.
    pub client_secret: Option<String>,
    /// How the client must authenticate. Any other method is refused.
    pub client_auth: ClientAuth,
    /// The redirect URI that is registered for the client.
    pub redirect: RedirectRule,
    /// The dynamic registration of other clients (RFC 7591). `None` answers 404.
    pub registration: Option<Registration>,
    /// The scopes that may be requested. `None` allows any.
    pub scopes: Option<Vec<String>>,
    /// The resource (RFC 8707) that must be requested. `None` allows any.
    pub resource: Option<String>,
    /// Whether authorization requests must be pushed (RFC 9126).
    pub require_par: bool,
    /// The device flow (RFC 8628): the members that replace those of a device authorization response. `null` removes
    /// one. `None` answers 404.
    pub device: Option<Map<String, Value>>,
    /// Which assertions it accepts, and whether it issues tokens without a user.
    pub assertions: AssertionRules,
    /// Whether the scope `openid` gets an ID token. Its requests need a `nonce`.
    pub id_token: bool,
    /// Claims that replace those of the ID token. Null removes a claim.
    pub id_token_claims: Map<String, Value>,
    /// What the UserInfo endpoint answers. `None` for the account's `sub` and `email`.
    pub userinfo: Option<Value>,
    /// Whether a refresh token is issued only for the scope `offline_access` with `prompt=consent`.
    pub offline_needs_consent: bool,
    /// How the client must authenticate at the revocation endpoint. `None` for [`Settings::client_auth`].
    pub revoke_auth: Option<ClientAuth>,
    /// The `expires_in` of token responses. Access tokens stay valid until
    /// [`Sandbox::expire_access`](super::Sandbox::expire_access), so that no test waits for a clock.
    pub token_lifetime: Option<Value>,
    /// Whether refresh tokens are issued.
    pub refresh_tokens: bool,
    /// Whether a refresh token is replaced when it is used.
    pub rotate: bool,
    /// How often a used refresh token is accepted again before its reuse revokes all tokens of the sign-in. It replaces
    /// the grace period of real servers.
    pub grace: u32,
    /// Whether all sign-ins are one grant, as on many servers. Revoking one token then revokes all.
    pub one_grant: bool,
    /// Whether the code exchange must include the `state`, as at the Claude Console.
    pub state_at_exchange: bool,
    /// The `iss` of authorization responses (RFC 9207).
    pub issuer: Issuer,
    /// Which documents it publishes about itself.
    pub publishes: Vec<Endpoint>,
    /// Further members of these documents. `null` removes a member.
    pub metadata: Map<String, Value>,
    /// The e-mail address of the account that approves.
    pub account: String,
    /// The account's organization.
    pub organization: String,
    /// The `Date` of token responses. `None` for the correct one.
    pub date: Option<String>,
    /// Additional members of every token response.
    pub token_extra: Map<String, Value>,
    /// The models, newest first.
    pub models: Vec<String>,
    /// How many questions are answered in a second. Others get a 429. `None` for no limit.
    pub messages_per_second: Option<u32>,
    /// Whether requests are recorded for [`Sandbox::requests`](super::Sandbox::requests).
    pub keep_requests: bool,
    /// A path prefix below which all endpoints are available too, such as `/gateway`. Empty for none.
    pub prefix: String,
}

/// Which redirect URIs a client may use.
#[derive(Debug, Clone)]
pub enum RedirectRule {
    /// This one, byte for byte.
    Exact(String),
    /// This one, which has no port, with any port (RFC 8252, section 7.3).
    AnyPort(String),
}

/// The `iss` parameter of authorization responses.
#[derive(Debug, Clone)]
pub enum Issuer {
    /// None.
    Absent,
    /// The sandbox's origin.
    Own,
    /// Another issuer.
    Other(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: None,
            client_auth: ClientAuth::None,
            redirect: RedirectRule::AnyPort("http://127.0.0.1/callback".into()),
            registration: None,
            scopes: None,
            resource: None,
            require_par: false,
            device: None,
            assertions: AssertionRules::default(),
            id_token: true,
            id_token_claims: Map::new(),
            userinfo: None,
            offline_needs_consent: false,
            revoke_auth: None,
            token_lifetime: Some(json!(8 * 3_600)),
            refresh_tokens: true,
            rotate: true,
            grace: 0,
            one_grant: false,
            state_at_exchange: false,
            issuer: Issuer::Own,
            publishes: vec![Endpoint::ServerMetadata, Endpoint::OpenidConfiguration],
            metadata: Map::new(),
            account: "you@sandbox.example".into(),
            organization: "The nexus sandbox".into(),
            date: None,
            token_extra: Map::new(),
            models: ["sandbox-large", "sandbox-small", "sandbox-old"].map(String::from).into(),
            messages_per_second: None,
            keep_requests: true,
            prefix: String::new(),
        }
    }
}

impl Settings {
    /// The first of these scopes that is unknown.
    pub(super) fn unknown_scope<'s>(&self, scope: &'s str) -> Option<&'s str> {
        let known = self.scopes.as_ref()?;
        scope.split_whitespace().find(|scope| !known.iter().any(|one| one == scope))
    }

    /// Whether this `resource` of a request is the right one.
    pub(super) fn allows_resource(&self, resource: Option<&str>) -> bool {
        self.resource.as_deref().is_none_or(|expected| resource == Some(expected))
    }
}

impl RedirectRule {
    /// Whether this redirect URI is the registered one.
    pub(super) fn allows(&self, uri: &str) -> bool {
        match self {
            Self::Exact(registered) => registered == uri,
            Self::AnyPort(registered) => {
                let authority = registered.find("://").map_or(0, |at| at + 3);
                let path = registered[authority..].find('/').map_or(registered.len(), |at| authority + at);
                let (head, tail) = registered.split_at(path);
                uri.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).is_some_and(|port| {
                    port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
                })
            }
        }
    }
}

/// The date of the first model of [`Settings::models`], 2026-10-01, and a month, both in seconds.
const NEWEST: i64 = 1_790_812_800;
const MONTH: i64 = 30 * 86_400;

/// When the model at this index of [`Settings::models`] came out, in Unix seconds: each a month before the last.
pub(super) fn model_created(index: usize) -> i64 {
    NEWEST - MONTH * i64::try_from(index).unwrap_or_default()
}

/// Who owns a model. The sandbox's own models play those of Anthropic.
pub(super) fn model_owner(id: &str) -> &'static str {
    if id.starts_with("sandbox-") { "anthropic" } else { "nexus" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_may_differ() {
        let rule = RedirectRule::AnyPort("http://127.0.0.1/callback".into());
        assert!(rule.allows("http://127.0.0.1:4711/callback"));
        assert!(rule.allows("http://127.0.0.1/callback"));
        for wrong in [
            "http://localhost:4711/callback",
            "http://127.0.0.1:4711/callback/",
            "http://127.0.0.1:4711/other",
            "https://127.0.0.1:4711/callback",
            "http://127.0.0.1:4711@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
        ] {
            assert!(!rule.allows(wrong), "{wrong}");
        }
    }
}
