//! Assertions: signed statements, mostly JWTs (RFC 7519), that another system issues about the client or the user (RFC
//! 7521). They come from a file, a command or a text, or are signed with the client's own key.

mod client_assertion;
mod error;
mod signing_key;
mod source;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::secret::{AssertionText, Secret};
use crate::time;

pub use client_assertion::ClientAssertion;
pub(crate) use client_assertion::JWT_ASSERTION_TYPE;
pub use error::AssertionError;
pub use source::AssertionSource;

/// An assertion, and where it came from.
#[derive(Debug)]
pub(crate) struct Assertion {
    text: AssertionText,
    origin: String,
}

impl Assertion {
    /// `origin` completes the words "the assertion", such as `from /run/token`.
    pub(crate) fn new(text: AssertionText, origin: String) -> Self {
        Self { text, origin }
    }

    /// The text to send.
    pub(crate) fn text(&self) -> &AssertionText {
        &self.text
    }

    /// Where the assertion came from and whether it had expired at this time (Unix seconds), for a refusal that does
    /// not say what the server dislikes.
    pub(crate) fn described(&self, now: i64) -> String {
        let expired = match expires_at(&self.text) {
            Some(at) if at <= now => format!(" expired {} ago", time::span(now.saturating_sub(at))),
            _ => " was sent".into(),
        };
        format!("the assertion {}{expired}", self.origin)
    }
}

/// When a JWT expires, in Unix seconds (`exp` of RFC 7519, section 4.1.4). `None` if it is no JWT or does not say it.
/// The signature is not verified: the claim is only shown, or decides when a new token is requested.
pub(crate) fn expires_at<K>(token: &Secret<K>) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let [_, claims, _] = token.expose().split('.').collect::<Vec<_>>()[..] else { return None };
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    // A float is cut to the range of the integer.
    Some(exp as i64)
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the assertion {}", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> Assertion {
        let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        Assertion::new(AssertionText::new(text), "from /run/token".into())
    }

    #[test]
    fn an_expired_assertion_is_described_as_one() {
        for (claims, expected) in [
            (r#"{"exp":1000}"#, "the assertion from /run/token expired 5 minutes ago"),
            (r#"{"exp":1000.9}"#, "the assertion from /run/token expired 5 minutes ago"),
            (r#"{"exp":1301}"#, "the assertion from /run/token was sent"),
            (r#"{"exp":"1000"}"#, "the assertion from /run/token was sent"),
            (r#"{}"#, "the assertion from /run/token was sent"),
            ("no JSON", "the assertion from /run/token was sent"),
        ] {
            assert_eq!(jwt(claims).described(1300), expected, "{claims}");
        }
        for text in ["", "opaque", "a.b", "a.b.c.d.e", "a.!.c"] {
            assert_eq!(expires_at(&AssertionText::new(text.into())), None, "{text}");
        }
    }
}
