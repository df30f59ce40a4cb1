//! The client registration endpoint (RFC 7591).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::script::Answer;
use super::token::{DEVICE_CODE_GRANT, refusal};
use super::{RecordedRequest, State};
use crate::provider::ClientAuth;
use crate::time;

/// How a sandbox registers clients.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The initial access token that a registration must present. `None` lets everyone register.
    pub token: Option<String>,
    /// How registered clients must authenticate, whatever they ask for. Without [`ClientAuth::None`] they get a secret.
    pub auth: ClientAuth,
    /// In how many seconds the secrets expire. 0 means never, a negative number that they have expired.
    pub secret_lifetime: i64,
    /// Members of the response that replace its own. `null` removes one.
    pub members: Map<String, Value>,
}

impl Registration {
    /// Everyone may register a client that authenticates like this.
    pub fn open(auth: ClientAuth) -> Self {
        Self { token: None, auth, secret_lifetime: 0, members: Map::new() }
    }
}

/// A registered client.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) name: String,
    pub(super) secret: Option<String>,
    pub(super) auth: ClientAuth,
    pub(super) redirect_uris: Vec<String>,
    /// The scopes that it may request. Empty means all.
    pub(super) scopes: Vec<String>,
    /// Whether it may use the device flow (RFC 8628, section 4).
    pub(super) with_device: bool,
    /// When the secret expires, in Unix seconds. 0 means never.
    pub(super) expires_at: i64,
}

impl Registered {
    pub(super) fn allows_scope(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|known| known == scope)
    }

    pub(super) fn has_expired(&self) -> bool {
        self.expires_at != 0 && self.expires_at <= time::now()
    }
}

/// The registered clients by their ids.
pub(super) type Clients = HashMap<String, Registered>;

/// `POST /register`.
pub(super) fn register(state: &mut State, request: &RecordedRequest) -> Answer {
    let Some(rule) = state.settings.registration.clone() else {
        return super::json(404, &json!({ "error": "not_found" }));
    };
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if rule.token.as_deref().is_some_and(|token| bearer != Some(token)) {
        return refusal(401, "invalid_token", "clients are registered with an initial access token only")
            .header("www-authenticate", "Bearer error=\"invalid_token\"");
    }
    match checked(state, &request.json()) {
        Ok((name, redirect_uris)) => {
            let registered = Registered {
                name,
                secret: (rule.auth != ClientAuth::None).then(|| state.grants.draw_secret("client")),
                auth: rule.auth,
                redirect_uris,
                scopes: request.json()["scope"]
                    .as_str()
                    .map(|scopes| scopes.split_whitespace().map(str::to_owned).collect())
                    .unwrap_or_default(),
                with_device: request.json()["grant_types"]
                    .as_array()
                    .is_some_and(|grants| grants.iter().any(|grant| grant == DEVICE_CODE_GRANT)),
                expires_at: if rule.secret_lifetime == 0 { 0 } else { time::now() + rule.secret_lifetime },
            };
            let id = format!("registered-{}", state.registrations);
            state.registrations += 1;
            let answer = response(state, &id, &registered, &request.json(), rule.members);
            state.clients.insert(id, registered);
            answer
        }
        Err((error, description)) => refusal(400, error, description),
    }
}

/// The name and the redirect URIs of acceptable metadata (RFC 7591, section 2), or the error and its description.
fn checked(state: &State, metadata: &Value) -> Result<(String, Vec<String>), (&'static str, &'static str)> {
    let text = |name: &str| metadata[name].as_str().unwrap_or_default();
    let list = |name: &str| -> Vec<String> {
        let items = metadata[name].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let uris = list("redirect_uris");
    if uris.is_empty() {
        return Err(("invalid_redirect_uri", "redirect_uris is missing"));
    }
    let loopback = |uri: &String| {
        ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|own| uri.starts_with(own))
    };
    // OpenID Connect Dynamic Client Registration 1.0, section 2.
    if text("application_type") != "native" && uris.iter().any(loopback) {
        return Err(("invalid_redirect_uri", "only native clients have loopback redirect URIs"));
    }
    if !list("grant_types").contains(&"authorization_code".to_owned()) || list("response_types") != ["code"] {
        return Err(("invalid_client_metadata", "only the authorization code flow is supported"));
    }
    if state.settings.unknown_scope(text("scope")).is_some() {
        return Err(("invalid_client_metadata", "a scope is not supported"));
    }
    Ok((text("client_name").to_owned(), uris))
}

fn response(
    state: &mut State,
    id: &str,
    registered: &Registered,
    asked: &Value,
    members: Map<String, Value>,
) -> Answer {
    let mut body = asked.as_object().cloned().unwrap_or_default();
    let method = registered.auth.registered_name();
    body.insert("client_id".into(), id.into());
    body.insert("token_endpoint_auth_method".into(), method.into());
    if let Some(secret) = &registered.secret {
        body.insert("client_secret".into(), secret.as_str().into());
        body.insert("client_secret_expires_at".into(), registered.expires_at.into());
    }
    // RFC 7592, section 3.
    body.insert("registration_access_token".into(), state.grants.draw_secret("registration").into());
    body.insert("registration_client_uri".into(), format!("{}/register/{id}", state.origin).into());
    body.extend(members);
    body.retain(|_, value| !value.is_null());
    super::json(201, &body.into())
}
