//! ID tokens (OpenID Connect Core, section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::State;
use crate::time;

/// How long an ID token is valid, in seconds.
const LIFETIME: i64 = 300;

/// An ID token without a signature, which nothing here could verify.
pub(super) fn id_token(state: &State, client_id: &str, nonce: Option<&str>) -> String {
    let settings = &state.settings;
    let now = time::now();
    let mut claims = json!({
        "iss": state.origin,
        "aud": client_id,
        "sub": uuid(&settings.account),
        "email": settings.account,
        "iat": now,
        "exp": now + LIFETIME,
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    for (name, value) in &settings.id_token_claims {
        claims[name] = value.clone();
    }
    if let Value::Object(claims) = &mut claims {
        claims.retain(|_, value| !value.is_null());
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims))
}

/// The id of an account.
pub(super) fn uuid(account: &str) -> String {
    let number = account.bytes().fold(0_u64, |number, byte| (number * 31 + u64::from(byte)) % (1 << 48));
    format!("5a2d6b0e-0000-4000-8000-{number:012x}")
}
