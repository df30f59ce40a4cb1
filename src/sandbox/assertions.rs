//! Assertions (RFC 7521).
//!
//! Claims are checked as strict servers do. Signatures are not verified.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::State;
use crate::time;

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

/// Uses an assertion that brings a token.
pub(super) fn spend(state: &mut State, assertion: &str) -> Result<(), &'static str> {
    let claims = claims(state, assertion)?;
    let issuer = state.settings.assertions.issuer.as_deref();
    match claims.get("iss").and_then(Value::as_str) {
        None => Err("the assertion has no issuer"),
        Some(iss) if issuer.is_some_and(|issuer| issuer != iss) => Err("the assertion has another issuer"),
        Some(_) => use_once(&mut state.used_assertions, assertion, &claims),
    }
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
