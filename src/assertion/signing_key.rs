//! A client's own key, which signs its assertions (RFC 7515).

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;

use crate::provider::tls::{self, TlsError};

/// A private key.
pub(super) struct SigningKey {
    key: Arc<dyn rustls::sign::SigningKey>,
    algorithm: Algorithm,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A signature algorithm of JWS (RFC 7518, section 3.1; RFC 8037, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Algorithm {
    name: &'static str,
    scheme: SignatureScheme,
    /// The length of each of the two numbers of an ECDSA signature, in bytes.
    ecdsa: Option<usize>,
}

/// The algorithms. A key fits one of them.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm { name: "RS256", scheme: SignatureScheme::RSA_PKCS1_SHA256, ecdsa: None },
    Algorithm { name: "ES256", scheme: SignatureScheme::ECDSA_NISTP256_SHA256, ecdsa: Some(32) },
    Algorithm { name: "ES384", scheme: SignatureScheme::ECDSA_NISTP384_SHA384, ecdsa: Some(48) },
    Algorithm { name: "EdDSA", scheme: SignatureScheme::ED25519, ecdsa: None },
];

impl SigningKey {
    /// Reads a key in PEM (PKCS #8, PKCS #1 or SEC 1), not encrypted.
    ///
    /// # Errors
    /// [`TlsError::NoKey`], [`TlsError::EncryptedKey`] and [`TlsError::InvalidKey`].
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let unsupported = || {
            TlsError::InvalidKey(
                "it is not an RSA key of 2048 to 8192 bits, an EC key on P-256 or P-384, or Ed25519".into(),
            )
        };
        let key = any_supported_type(&tls::private_key(pem)?).map_err(|_| unsupported())?;
        let algorithm = ALGORITHMS.into_iter().find(|algorithm| key.choose_scheme(&[algorithm.scheme]).is_some());
        Ok(Self { algorithm: algorithm.ok_or_else(unsupported)?, key })
    }

    /// The name of the algorithm (`alg` of RFC 7515, section 4.1.1).
    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm.name
    }

    /// The signature as a JWT has it. `None` if the key cannot sign.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.key.choose_scheme(&[self.algorithm.scheme])?.sign(message).ok()?;
        match self.algorithm.ecdsa {
            Some(length) => two_numbers(&signature, length),
            None => Some(signature),
        }
    }
}

/// An ECDSA signature as JWS writes it (RFC 7518, section 3.4), from that of TLS (RFC 3279, section 2.2.3).
fn two_numbers(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let (0x30, numbers, []) = element(der)? else { return None };
    let (0x02, one, rest) = element(numbers)? else { return None };
    let (0x02, other, []) = element(rest)? else { return None };
    let mut signature = Vec::with_capacity(2 * length);
    for number in [one, other] {
        // DER puts a zero before a number that would look negative, and drops other leading zeros.
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        signature.resize(signature.len() + length.checked_sub(number.len())?, 0);
        signature.extend_from_slice(number);
    }
    Some(signature)
}

/// The tag and the content of the first DER element, and what follows it. Lengths of 128 bytes or more do not occur.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk::<2>()?;
    let (content, rest) = rest.split_at_checked(length.into())?;
    (length < 128).then_some((tag, content, rest))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Keys that OpenSSL made: `openssl genpkey`, and `-traditional` for SEC 1 and PKCS #1.
    pub(in crate::assertion) const P256: &str = include_str!("../../tests/it/keys/p256.pem");
    const P256_SEC1: &str = include_str!("../../tests/it/keys/p256-sec1.pem");
    const P384: &str = include_str!("../../tests/it/keys/p384.pem");
    const ED25519: &str = include_str!("../../tests/it/keys/ed25519.pem");
    const RSA: &str = include_str!("../../tests/it/keys/rsa.pem");
    const RSA_PKCS1: &str = include_str!("../../tests/it/keys/rsa-pkcs1.pem");

    #[test]
    fn the_algorithm_follows_from_the_key() {
        for (pem, algorithm, length) in [
            (P256, "ES256", 64),
            (P256_SEC1, "ES256", 64),
            (P384, "ES384", 96),
            (ED25519, "EdDSA", 64),
            (RSA, "RS256", 256),
            (RSA_PKCS1, "RS256", 256),
        ] {
            let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(key.algorithm(), algorithm, "{pem}");
            assert_eq!(key.sign(b"message").unwrap().len(), length, "{algorithm}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (pem, message) in [
            ("", "contains no private key in PEM (`-----BEGIN PRIVATE KEY-----`)"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "contains a private key that cannot be used: it is not an RSA key of 2048 to 8192 bits, an EC key on P-256 \
                 or P-384, or Ed25519",
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "contains an encrypted private key, which is not supported",
            ),
        ] {
            assert_eq!(SigningKey::from_pem(pem.as_bytes()).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn signatures_have_two_numbers_of_fixed_length() {
        let high = [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 5];
        assert_eq!(two_numbers(&high, 4).unwrap(), [0, 0, 0x80, 1, 0, 0, 0, 5]);
        for wrong in [&[][..], &[0x30], &[0x30, 9, 2, 3, 0, 0x80, 1, 2, 1, 5], &[0x31, 0], &[0x30, 3, 2, 1, 5]] {
            assert_eq!(two_numbers(wrong, 4), None, "{wrong:?}");
        }
        assert_eq!(two_numbers(&high, 1), None, "a number that is too long");
    }
}
