//! Proof Key for Code Exchange (RFC 7636), S256 only, and random text for the `state`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::{Result, SignInError};
use crate::secret::Verifier;

/// The entropy of a verifier and a state, in bytes (RFC 7636, section 7.1).
const RANDOM_BYTES: usize = 32;

/// A new code verifier: 43 unreserved characters (RFC 7636, section 4.1).
pub fn verifier() -> Result<Verifier> {
    random_text().map(Verifier::new)
}

/// The code challenge (RFC 7636, section 4.2): BASE64URL(SHA256(ASCII(verifier))).
pub fn challenge(verifier: &Verifier) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()))
}

/// 43 random characters of the base64url alphabet, from the operating system's random source.
///
/// # Errors
/// [`SignInError::System`] if that source fails. There is no weaker fallback.
pub fn random_text() -> Result<String> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    SysRng.try_fill_bytes(bytes.as_mut()).map_err(|error| SignInError::System {
        description: format!("the operating system returned no random bytes: {error}"),
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_ref()))
}
