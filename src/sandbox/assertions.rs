//! Assertions (RFC 7521), and the grants that need no user: client credentials (RFC 6749, section 4.4), JWT assertions (RFC
//! 7523) and token exchange (RFC 8693).
//!
//! Claims are checked as strict servers do. Signatures are not verified.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::State;
use super::script::Answer;
use super::token::{Fields, check_resource, one, refusal, required, tokens};
use crate::provider::ClientAuth;
use crate::time;

/// The grant types (RFC 6749, section 4.4.2; RFC 7523, section 2.1; RFC 8693, section 2.1).
pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The longest assertion, in bytes, as the Claude Console documents it.
const LONGEST: usize = 16 * 1024;

/// How far the clocks may differ, in seconds, as the Claude Console documents it.
const SKEW: i64 = 30;

/// How the sandbox treats assertions.
#[derive(Debug, Clone, Default)]
pub struct AssertionRules {
    /// Whether tokens are issued without a user.
    pub grants: bool,
    /// The key id (`kid`) that assertions must name. `None` accepts any, and none.
    pub key_id: Option<String>,
    /// The issuer (`iss`) of assertions that bring a token. `None` accepts any.
    pub issuer: Option<String>,
    /// Whether a refusal does not say why, as at the Claude Console.
    pub opaque: bool,
}

/// A token for the client itself (RFC 6749, section 4.4).
pub(super) fn client_credentials(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    if state.settings.client_auth == ClientAuth::None {
        return Err(refusal(400, "unauthorized_client", "a public client has no credentials"));
    }
    issue(state, client_id, fields)
}

/// A token for the subject of an assertion (RFC 7523, section 2.1).
pub(super) fn jwt_bearer(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let assertion = required(fields, "assertion")?.to_owned();
    spend(state, &assertion)?;
    issue(state, client_id, fields)
}

/// A token for the subject of another token (RFC 8693, section 2.1). An access token of this server is accepted too.
pub(super) fn token_exchange(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let (subject, kind) = (required(fields, "subject_token")?.to_owned(), required(fields, "subject_token_type")?);
    let Some(kind) = kind.strip_prefix("urn:ietf:params:oauth:token-type:") else {
        return Err(refusal(400, "invalid_request", "unknown subject_token_type"));
    };
    if !(kind == "access_token" && state.grants.access_is_good(&subject)) {
        spend(state, &subject)?;
    }
    issue(state, client_id, fields)
}

fn issue(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    check_resource(state, fields)?;
    let scope = one(fields, "scope")?.unwrap_or_default().to_owned();
    let family = state.grants.new_family(false);
    state.counts.exchanges += 1;
    Ok(tokens(state, family, None, &scope, (client_id, None)))
}

/// Uses an assertion that brings a token.
fn spend(state: &mut State, assertion: &str) -> Result<(), Answer> {
    let opaque = state.settings.assertions.opaque;
    let checked = claims(state, assertion).and_then(|claims| {
        let issuer = state.settings.assertions.issuer.as_deref();
        match claims.get("iss").and_then(Value::as_str) {
            None => Err("the assertion has no issuer"),
            Some(iss) if issuer.is_some_and(|issuer| issuer != iss) => Err("the assertion has another issuer"),
            Some(_) => use_once(&mut state.used_assertions, assertion, &claims),
        }
    });
    checked.map_err(|why| refusal(400, "invalid_grant", if opaque { "" } else { why }))
}

/// Whether a client assertion authenticates this client (RFC 7523, section 3).
pub(super) fn authenticates(state: &mut State, client_id: &str, assertion: &str) -> Result<(), &'static str> {
    let claims = claims(state, assertion)?;
    let is = |name: &str, expected: &str| claims.get(name).and_then(Value::as_str) == Some(expected);
    let audiences = [state.origin.clone(), format!("{}{}/token", state.origin, state.settings.prefix)];
    if !is("iss", client_id) || !is("sub", client_id) {
        return Err("the assertion is from another client");
    }
    // A list is refused: since 2025, the audience must be one text (draft-ietf-oauth-rfc7523bis).
    if !audiences.iter().any(|audience| is("aud", audience)) {
        return Err("the assertion has another audience");
    }
    if claims.get("jti").is_none() {
        return Err("the assertion has no jti");
    }
    use_once(&mut state.used_assertions, assertion, &claims)
}

/// The claims of a JWT that is valid now.
fn claims(state: &State, assertion: &str) -> Result<Map<String, Value>, &'static str> {
    if assertion.len() > LONGEST {
        return Err("the assertion is too long");
    }
    let part = |part: &str| serde_json::from_slice::<Map<String, Value>>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let [header, claims, _] = assertion.split('.').collect::<Vec<_>>()[..] else { return Err("not a JWT") };
    let (header, claims) = part(header).zip(part(claims)).ok_or("not a JWT")?;
    let key_id = state.settings.assertions.key_id.as_deref();
    if key_id.is_some() && header.get("kid").and_then(Value::as_str) != key_id {
        return Err("unknown kid");
    }
    match claims.get("exp").and_then(Value::as_i64) {
        Some(exp) if exp > time::now() - SKEW => Ok(claims),
        Some(_) => Err("the assertion has expired"),
        None => Err("the assertion has no exp"),
    }
}

/// Remembers an assertion by its `jti`, or by its text if it has none.
fn use_once(used: &mut HashSet<String>, text: &str, claims: &Map<String, Value>) -> Result<(), &'static str> {
    let id = claims.get("jti").and_then(Value::as_str).unwrap_or(text);
    if used.insert(id.to_owned()) { Ok(()) } else { Err("the assertion was already used") }
}
