//! Assertions that authenticate a client (RFC 7523, section 2.2; OpenID Connect Core, section 9: `private_key_jwt`).

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde_json::json;

use super::signing_key::SigningKey;
use super::source::{self, AssertionSource};
use super::{Assertion, AssertionError};
use crate::secret::AssertionText;

/// The `client_assertion_type` of a JWT (RFC 7523, section 2.2).
pub(crate) const JWT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long a signed assertion is valid, in seconds. Each request signs a new one.
const LIFETIME: i64 = 60;

/// The largest file of a key, in bytes.
const LARGEST_KEY: usize = 64 * 1024;

/// What a client authenticates with (`private_key_jwt`).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ClientAssertion {
    /// A JWT that is signed with the client's own key for each request.
    Key {
        /// A file with the private key in PEM (PKCS #8, PKCS #1 or SEC 1): an RSA key, an EC key on P-256 or P-384, or
        /// Ed25519. It is read for each request and must not be writable by other users.
        file: PathBuf,
        /// The name of the key at the authorization server (`kid` of RFC 7515, section 4.1.4).
        id: Option<String>,
        /// The audience (`aud`). Without one, it is the authorization server's issuer, or the token endpoint if that is
        /// not known.
        audience: Option<String>,
    },
    /// An assertion that another system issues.
    Source(AssertionSource),
}

impl ClientAssertion {
    /// Checks the key or the file, so that a sign-in does not fail after the user has approved. A command is not run.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) async fn check(&self) -> Result<(), AssertionError> {
        match self {
            Self::Key { file, .. } => signing_key(file).map(drop),
            Self::Source(AssertionSource::Command(_)) => Ok(()),
            Self::Source(source) => source.fetch().await.map(drop),
        }
    }

    /// An assertion for one request. `audience` is the audience if none is configured; `now` is the time in Unix
    /// seconds.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn fetch(&self, client_id: &str, audience: &str, now: i64) -> Result<Assertion, AssertionError> {
        match self {
            Self::Key { file, id, audience: configured } => {
                let key = signing_key(file)?;
                let audience = configured.as_deref().unwrap_or(audience);
                let text = sign(&key, id.as_deref(), client_id, audience, now)?;
                Ok(Assertion::new(text, format!("signed with {}", file.display())))
            }
            Self::Source(source) => source.fetch().await,
        }
    }
}

fn signing_key(file: &Path) -> Result<SigningKey, AssertionError> {
    let pem = source::read(file, LARGEST_KEY)?;
    SigningKey::from_pem(&pem).map_err(|problem| AssertionError::Key { path: file.to_owned(), problem })
}

/// A JWT with the claims of OpenID Connect Core, section 9.
fn sign(
    key: &SigningKey,
    key_id: Option<&str>,
    client_id: &str,
    audience: &str,
    now: i64,
) -> Result<AssertionText, AssertionError> {
    let failed = |description: String| AssertionError::System { description };
    let mut unique = [0; 16];
    SysRng.try_fill_bytes(&mut unique).map_err(|error| failed(error.to_string()))?;
    let mut header = json!({ "alg": key.algorithm(), "typ": "JWT" });
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": URL_SAFE_NO_PAD.encode(unique),
        "iat": now,
        "exp": now.saturating_add(LIFETIME),
    });
    let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let unsigned = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(unsigned.as_bytes()).ok_or_else(|| failed("the key could not sign".into()))?;
    Ok(AssertionText::new(format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::assertion::signing_key::tests::P256;

    fn parts(assertion: &Assertion) -> Vec<Value> {
        let parts = assertion.text().expose().split('.').take(2);
        parts.map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()).collect()
    }

    #[tokio::test]
    async fn every_assertion_is_new_and_short_lived() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, P256).unwrap();
        let key = |id: Option<&str>, audience: Option<&str>| ClientAssertion::Key {
            file: file.clone(),
            id: id.map(Into::into),
            audience: audience.map(Into::into),
        };
        let first = key(None, None).fetch("c-1", "https://id.example.com", 1_000).await.unwrap();
        let [header, claims] = &parts(&first)[..] else { panic!("a JWT") };
        assert_eq!(*header, json!({ "alg": "ES256", "typ": "JWT" }));
        let expected = json!({
            "iss": "c-1", "sub": "c-1", "aud": "https://id.example.com", "iat": 1_000, "exp": 1_060, "jti": claims["jti"],
        });
        assert_eq!(*claims, expected);
        let other = key(Some("k-1"), Some("https://aud.example.com"));
        let other = other.fetch("c-1", "https://id.example.com", 1_000).await.unwrap();
        let [header, other] = &parts(&other)[..] else { panic!("a JWT") };
        assert_eq!(header["kid"], "k-1");
        assert_eq!(other["aud"], "https://aud.example.com");
        assert_ne!(other["jti"], claims["jti"]);
        assert_eq!(first.to_string(), format!("the assertion signed with {}", file.display()));
    }
}
