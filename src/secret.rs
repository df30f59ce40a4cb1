//! The type of tokens, codes and other secrets.
//!
//! A [`Secret`] can be exposed and compared, but not printed, cloned or serialized, and its memory is zeroed on drop.
//! The kind is part of the type, so a refresh token cannot be used as an access token:
//!
//! ```compile_fail
//! use nexus::internal::secret::{AccessToken, RefreshToken};
//! let refresh = RefreshToken::new("r".into());
//! let access: AccessToken = refresh;
//! ```
//!
//! It does not implement `Display`, and `Debug` does not show it:
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

/// A secret text of the kind `K`.
pub struct Secret<K> {
    text: Zeroizing<String>,
    kind: PhantomData<fn() -> K>,
}

/// The kinds of secret.
pub(crate) mod kind {
    pub enum Access {}
    pub enum Refresh {}
    pub enum Code {}
    pub enum Verifier {}
    pub enum Client {}
    pub enum Header {}
    pub enum Registration {}
    pub enum Proxy {}
    pub enum Assertion {}
    pub enum Id {}
    pub(crate) enum Device {}
    pub(crate) enum Pass {}
}

/// An access token (RFC 6749, section 1.4).
pub type AccessToken = Secret<kind::Access>;
/// A refresh token (RFC 6749, section 1.5).
pub type RefreshToken = Secret<kind::Refresh>;
/// An authorization code (RFC 6749, section 4.1.2).
pub type AuthorizationCode = Secret<kind::Code>;
/// A device verification code (RFC 8628, section 3.2).
pub(crate) type DeviceCode = Secret<kind::Device>;
/// A PKCE code verifier (RFC 7636, section 4.1).
pub type Verifier = Secret<kind::Verifier>;
/// A client secret (RFC 6749, section 2.3.1).
pub type ClientSecret = Secret<kind::Client>;
/// The value of a configured header, such as a gateway's key.
pub type HeaderSecret = Secret<kind::Header>;
/// The initial access token of a registration endpoint (RFC 7591, section 1.2).
pub type RegistrationToken = Secret<kind::Registration>;
/// The key that programs authenticate with at a [`LocalProxy`](crate::LocalProxy).
pub type ProxyKey = Secret<kind::Proxy>;
/// An assertion about a client or a user (RFC 7521).
pub type AssertionText = Secret<kind::Assertion>;
/// The text of an ID token (OpenID Connect Core, section 2).
pub type IdTokenText = Secret<kind::Id>;
/// The passphrase that wraps the key to the stored sessions.
pub(crate) type Passphrase = Secret<kind::Pass>;

impl<K> Secret<K> {
    /// Wraps a text. Only [`expose`](Self::expose) returns it.
    pub fn new(text: String) -> Self {
        Self { text: Zeroizing::new(text), kind: PhantomData }
    }

    /// The text itself. A test lists all files that call this.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether both have the same text. The time depends only on the length.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time_eq(&self.text, &other.text)
    }
}

/// Compares two texts. The time depends only on their length.
pub(crate) fn constant_time_eq(one: &str, other: &str) -> bool {
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
