//! The one type for everything that must not be seen.
//!
//! A [`Secret`] can be made, exposed and compared; it cannot be printed, cloned or serialized, and
//! its memory is wiped when it goes. The kind is part of the type, so a refresh token cannot be
//! handed in where an access token is asked for:
//!
//! ```compile_fail
//! use nexus::internal::secret::{AccessToken, RefreshToken};
//! let refresh = RefreshToken::new("r".into());
//! let access: AccessToken = refresh;
//! ```
//!
//! There is nothing to print it with:
//!
//! ```compile_fail
//! println!("{}", nexus::AccessToken::new("t".into()));
//! ```
//!
//! ```
//! let token = nexus::AccessToken::new("t".into());
//! assert_eq!(format!("{token:?}"), "(secret)");
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that must not be seen. What it is for is its kind `K`.
pub struct Secret<K> {
    text: Zeroizing<String>,
    kind: PhantomData<fn() -> K>,
}

/// The kinds of secret. They are never made, only named.
pub(crate) mod kind {
    /// Lets its bearer use the API (RFC 6749, section 1.4).
    pub enum Access {}
    /// Buys a new access token (RFC 6749, section 1.5).
    pub enum Refresh {}
    /// What the authorization server hands to the redirect URI (RFC 6749, section 4.1.2).
    pub enum Code {}
    /// The secret half of PKCE (RFC 7636, section 4.1).
    pub enum Verifier {}
    /// What a confidential client authenticates with (RFC 6749, section 2.3.1).
    pub enum Client {}
    /// What the key to the stored sessions is wrapped with.
    pub(crate) enum Pass {}
}

/// An access token.
pub type AccessToken = Secret<kind::Access>;
/// A refresh token.
pub type RefreshToken = Secret<kind::Refresh>;
/// An authorization code.
pub type AuthorizationCode = Secret<kind::Code>;
/// A PKCE code verifier.
pub type Verifier = Secret<kind::Verifier>;
/// A client secret.
pub type ClientSecret = Secret<kind::Client>;
/// A passphrase.
pub(crate) type Passphrase = Secret<kind::Pass>;

/// The variables of the environment that hold secrets; no child process inherits them.
pub const VARIABLES: &[&str] = &["CLAUDE_CODE_CLIENT_SECRET"];

impl<K> Secret<K> {
    /// Takes the text in; from here on it shows itself only through [`expose`](Self::expose).
    pub fn new(text: String) -> Self {
        Self { text: Zeroizing::new(text), kind: PhantomData }
    }

    /// The text itself. Every call of this is a place where a secret could leak, which is why a
    /// test lists the files that contain one.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether both hold the same text, in time that depends on the length alone.
    pub fn matches(&self, other: &Self) -> bool {
        same(&self.text, &other.text)
    }
}

/// Compares two texts in time that depends on their length alone.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

impl<K> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<'de, K> Deserialize<'de> for Secret<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_match_by_text() {
        let one = AccessToken::new("abc".into());
        assert!(one.matches(&AccessToken::new("abc".into())));
        assert!(!one.matches(&AccessToken::new("abd".into())));
        assert!(!one.matches(&AccessToken::new("ab".into())));
    }
}
