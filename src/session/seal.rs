//! Encryption at rest: what the database file alone does not reveal. The only home of the cipher.
//!
//! XChaCha20-Poly1305 with a fresh random nonce for every value; the associated data says which
//! provider, owner, column and generation a value belongs to, so that a value copied to another
//! place does not open there. The key is kept apart from the database ([`super::key`]): whoever has
//! both can read the tokens, and SECURITY.md says so.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::failure::{Failure, Result};
use crate::session::key::record::DataKey;

/// The length of XChaCha20's nonce, in bytes. It stands before each sealed value.
const NONCE: usize = 24;

/// Which value of which session something is: the associated data of the cipher.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The session's provider.
    pub provider: &'a str,
    /// The session's owner.
    pub owner: &'a str,
    /// The column.
    pub column: &'a str,
    /// The session's generation.
    pub generation: i64,
}

impl Place<'_> {
    /// Every part with its length before it, so that no two places write the same.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"nexus session 1".to_vec();
        for part in [self.provider, self.owner, self.column] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes.extend(self.generation.to_le_bytes());
        bytes
    }
}

/// Seals and opens values with one key.
pub struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// With this key.
    pub(super) fn new(key: &DataKey) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key.bytes())) }
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// [`Failure::System`] where the operating system gives no random nonce.
    pub fn seal(&self, place: Place<'_>, plain: &str) -> Result<Vec<u8>> {
        self.seal_bytes(&place.bytes(), plain.as_bytes())
    }

    /// Opens a value, if it was sealed with this key for this place.
    pub fn unseal(&self, place: Place<'_>, sealed: &[u8]) -> Option<String> {
        String::from_utf8(self.unseal_bytes(&place.bytes(), sealed)?).ok()
    }

    pub(super) fn seal_bytes(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let failed = |what: String| Failure::System { sentence: format!("sealing a value: {what}") };
        let mut sealed = vec![0; NONCE];
        SysRng.try_fill_bytes(&mut sealed).map_err(|error| failed(error.to_string()))?;
        let nonce = XNonce::try_from(sealed.as_slice()).map_err(|_| failed("the nonce's length".into()))?;
        let payload = Payload { msg: plain, aad };
        sealed.extend(self.cipher.encrypt(&nonce, payload).map_err(|_| failed("the cipher refused".into()))?);
        Ok(sealed)
    }

    pub(super) fn unseal_bytes(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        self.cipher.decrypt(&nonce, Payload { msg: text, aad }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { provider: "p", owner: "o", column: "c", generation: 7 };

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let seal = Seal::new(&DataKey::random().unwrap());
        let sealed = seal.seal(PLACE, "sk-token").unwrap();
        assert_eq!(seal.unseal(PLACE, &sealed).as_deref(), Some("sk-token"));
        for elsewhere in [
            Place { provider: "q", ..PLACE },
            Place { owner: "", ..PLACE },
            Place { column: "d", ..PLACE },
            Place { generation: 8, ..PLACE },
            Place { provider: "po", owner: "", ..PLACE },
        ] {
            assert_eq!(seal.unseal(elsewhere, &sealed), None, "{elsewhere:?}");
        }
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(seal.unseal(PLACE, &bent), None, "byte {at}");
            assert_eq!(seal.unseal(PLACE, &sealed[..at]), None, "cut at {at}");
        }
        assert_ne!(sealed, seal.seal(PLACE, "sk-token").unwrap(), "the nonce is fresh each time");
        assert!(!sealed.windows(8).any(|window| window == b"sk-token"));
    }
}
