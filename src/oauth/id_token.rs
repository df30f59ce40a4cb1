//! The ID token (OpenID Connect Core, section 2): its claims, and their checks after a sign-in.
//!
//! Its signature is not verified: it comes from the token endpoint over TLS (section 3.1.3.7, point 6), and it decides
//! no access. The checks find a server that mixes up clients or users, and a code that was injected.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::clean::clean;
use crate::provider::Url;
use crate::secret::{IdTokenText, constant_time_eq};

/// The claims that name an account, best first.
pub(super) const NAMES: [&str; 4] = ["email", "preferred_username", "name", "sub"];

/// The longest name that is kept, in bytes. `sub` has at most 255 (section 2).
const LONGEST_NAME: usize = 512;

/// The longest token that is kept, in bytes.
const LONGEST: usize = 16 * 1024;

/// How far the clocks of the server's machines may differ, in seconds.
const LEEWAY: i64 = 60;

/// An ID token.
pub struct IdToken {
    /// The claims. `None` if it cannot be read.
    claims: Option<Map<String, Value>>,
    /// The token itself, unless it is too long to be kept.
    text: Option<IdTokenText>,
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(ID token)")
    }
}

/// Why an ID token does not answer a sign-in. The text completes a sentence that begins with the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdTokenProblem {
    /// It is not a signed JWT (RFC 7519), or it is encrypted.
    #[error("cannot be read")]
    Unreadable,
    /// It is from another issuer, or names none.
    #[error("{}", issuer(expected, got))]
    Issuer {
        /// The configured issuer, or the origin of the authorization endpoint.
        expected: String,
        /// Its `iss`. Empty if it names none.
        got: String,
    },
    /// It is for another client (`aud` and `azp`).
    #[error("is for the client `{got}`; expected `{expected}`")]
    Audience {
        /// The client id.
        expected: String,
        /// The clients that it names.
        got: String,
    },
    /// It has expired, or does not say when it expires.
    #[error("has expired")]
    Expired,
    /// It has another `nonce` than the authorization request, or none.
    #[error("has the nonce of another sign-in or none")]
    Nonce,
}

fn issuer(expected: &str, got: &str) -> String {
    match got {
        "" => format!("names no issuer; expected `{expected}`"),
        got => format!("is from issuer `{got}`; expected `{expected}`"),
    }
}

impl IdToken {
    /// Reads a JWT without verifying it (RFC 7519, section 7.2).
    pub(super) fn read(token: String) -> Self {
        let mut parts = token.split('.').skip(1);
        // An encrypted JWT has five parts (RFC 7516, section 3.1).
        let payload = match (parts.next(), parts.next(), parts.next()) {
            (Some(payload), Some(_), None) => URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok(),
            _ => None,
        };
        let claims = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
        Self { claims, text: Some(token).filter(|token| token.len() <= LONGEST).map(IdTokenText::new) }
    }

    /// The token itself, unless it is longer than 16 KiB.
    pub(crate) fn into_text(self) -> Option<IdTokenText> {
        self.text
    }

    /// The claims that name the account.
    pub(super) fn names(&self) -> Option<Map<String, Value>> {
        self.claims.as_ref().and_then(names)
    }
}

/// The members of an object that name an account. `None` if there is none.
pub(super) fn names(claims: &Map<String, Value>) -> Option<Map<String, Value>> {
    let short = |value: &&Value| value.as_str().is_some_and(|name| name.len() <= LONGEST_NAME);
    let named = |name: &str| claims.get(name).filter(short).map(|value| (name.to_owned(), value.clone()));
    let kept: Map<_, _> = NAMES.into_iter().filter_map(named).collect();
    (!kept.is_empty()).then_some(kept)
}

/// What the ID token of a sign-in must say.
#[derive(Debug)]
pub(crate) struct ExpectedIdToken {
    /// The issuer, if it is configured.
    pub(super) issuer: Option<String>,
    /// The authorization or the device authorization endpoint. Without a configured issuer, its origin must be that of
    /// the issuer.
    pub(super) server: Url,
    /// Empty if the server knows clients without an id. Then any audience is accepted.
    pub(super) client_id: String,
    /// The `nonce` that was sent. `None` if the flow has none (RFC 8628).
    pub(super) nonce: Option<String>,
}

impl ExpectedIdToken {
    /// Checks the claims (OpenID Connect Core, section 3.1.3.7). `now` is the server's time, in Unix seconds.
    ///
    /// # Errors
    /// The first claim that is wrong.
    pub(crate) fn check(&self, token: &IdToken, now: i64) -> Result<(), IdTokenProblem> {
        let claims = token.claims.as_ref().ok_or(IdTokenProblem::Unreadable)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        self.check_issuer(text("iss"))?;
        let audience: Vec<&str> = match claims.get("aud") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            other => other.and_then(Value::as_str).into_iter().collect(),
        };
        // A token for several audiences names in `azp` the one that it was issued to.
        let party = claims.get("azp").map(|party| party.as_str().unwrap_or_default());
        let is_ours = audience.contains(&&*self.client_id) && party.is_none_or(|party| party == self.client_id);
        if !is_ours && !self.client_id.is_empty() {
            let got = party.map_or_else(|| audience.join(" "), str::to_owned);
            return Err(IdTokenProblem::Audience { expected: self.client_id.clone(), got: clean(&got) });
        }
        let end = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        if end <= now.saturating_sub(LEEWAY) as f64 {
            return Err(IdTokenProblem::Expired);
        }
        if self.nonce.as_ref().is_some_and(|nonce| !constant_time_eq(text("nonce"), nonce)) {
            return Err(IdTokenProblem::Nonce);
        }
        Ok(())
    }

    fn check_issuer(&self, got: &str) -> Result<(), IdTokenProblem> {
        let origin = self.server.origin();
        let (expected, same) = match &self.issuer {
            Some(issuer) => (issuer.clone(), issuer == got),
            None => (origin.ascii_serialization(), Url::parse(got).is_ok_and(|url| url.origin() == origin)),
        };
        if same { Ok(()) } else { Err(IdTokenProblem::Issuer { expected, got: clean(got) }) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_761_575_400;

    fn token(claims: &Value) -> IdToken {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        IdToken::read(format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims.to_string())))
    }

    fn expected(issuer: Option<&str>) -> ExpectedIdToken {
        ExpectedIdToken {
            issuer: issuer.map(str::to_owned),
            server: Url::parse("https://id.example.com/authorize").unwrap(),
            client_id: "c".into(),
            nonce: Some("n".into()),
        }
    }

    fn good() -> Value {
        json!({ "iss": "https://id.example.com", "aud": "c", "exp": NOW + 60, "nonce": "n", "sub": "1" })
    }

    #[test]
    fn each_wrong_claim_is_found() {
        assert_eq!(expected(None).check(&token(&good()), NOW), Ok(()));
        for (name, value, problem) in [
            (
                "iss",
                json!("https://evil.example.com"),
                "is from issuer `https://evil.example.com`; expected `https://id.example.com`",
            ),
            ("iss", json!(7), "names no issuer; expected `https://id.example.com`"),
            ("aud", json!("d"), "is for the client `d`; expected `c`"),
            ("aud", json!(["d", "e"]), "is for the client `d e`; expected `c`"),
            ("aud", json!([]), "is for the client ``; expected `c`"),
            ("aud", Value::Null, "is for the client ``; expected `c`"),
            ("azp", json!("d"), "is for the client `d`; expected `c`"),
            ("azp", json!(["c"]), "is for the client ``; expected `c`"),
            ("exp", json!(NOW - 61), "has expired"),
            ("exp", json!("soon"), "has expired"),
            ("exp", Value::Null, "has expired"),
            ("nonce", json!("m"), "has the nonce of another sign-in or none"),
            ("nonce", Value::Null, "has the nonce of another sign-in or none"),
        ] {
            let mut claims = good();
            claims[name] = value;
            let checked = expected(None).check(&token(&claims), NOW);
            assert_eq!(checked.unwrap_err().to_string(), problem, "{claims}");
        }
    }

    #[test]
    fn what_servers_add_is_accepted() {
        for (name, value) in [
            ("iss", json!("https://id.example.com/realms/one")),
            ("aud", json!(["d", "c"])),
            ("azp", json!("c")),
            ("exp", json!(NOW - 59)),
            ("exp", json!(1e300)),
            ("more", json!({ "nested": [1] })),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(expected(None).check(&token(&claims), NOW), Ok(()), "{claims}");
        }
    }

    #[test]
    fn without_a_nonce_or_a_client_id_the_other_claims_are_checked() {
        let expected = |client_id: &str| ExpectedIdToken { client_id: client_id.into(), nonce: None, ..expected(None) };
        let mut claims = good();
        claims["nonce"] = Value::Null;
        assert_eq!(expected("c").check(&token(&claims), NOW), Ok(()));
        assert!(expected("d").check(&token(&claims), NOW).is_err());
        assert_eq!(expected("").check(&token(&claims), NOW), Ok(()));
        claims["exp"] = 1.into();
        assert_eq!(expected("").check(&token(&claims), NOW), Err(IdTokenProblem::Expired));
    }

    #[test]
    fn a_configured_issuer_is_compared_byte_for_byte() {
        for (issuer, same) in [("https://id.example.com", true), ("https://id.example.com/", false)] {
            assert_eq!(expected(Some(issuer)).check(&token(&good()), NOW).is_ok(), same, "{issuer}");
        }
    }

    #[test]
    fn what_is_not_a_signed_jwt_cannot_be_read() {
        for text in ["", "a", "a.b", "a.b.c", "a.e30.c.d.e", "..", "a.W10.c", "e30.é.", "a.e30"] {
            assert_eq!(
                expected(None).check(&IdToken::read(text.to_owned()), NOW),
                Err(IdTokenProblem::Unreadable),
                "{text}"
            );
        }
        assert!(IdToken::read("a.e30.c".into()).claims.is_some());
        assert!(IdToken::read("[".repeat(1 << 20)).claims.is_none());
    }

    #[test]
    fn only_short_texts_name_an_account() {
        let claims = json!({ "email": "a".repeat(LONGEST_NAME + 1), "name": 7, "sub": "1", "more": "x" });
        assert_eq!(token(&claims).names().map(Value::Object), Some(json!({ "sub": "1" })));
        assert_eq!(token(&json!({ "more": "x" })).names(), None);
    }
}
