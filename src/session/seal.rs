//! Encryption at rest: XChaCha20-Poly1305 with a random nonce for every value. The associated data names the value's
//! place, so a value cannot be moved to another one.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::key::data_key::DataKey;

/// The length of XChaCha20's nonce, in bytes. It precedes each sealed value.
const NONCE: usize = 24;

/// Why a value could not be sealed: no random bytes, or a value that is too long for the cipher.
#[derive(Debug, Clone, thiserror::Error)]
#[error("sealing a value: {0}")]
pub struct SealError(
    /// What happened.
    pub String,
);

impl SealError {
    pub(super) fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Associated data: a label and parts, each part with its length before it, so that the encoding is unambiguous.
pub(super) fn associated_data(label: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut data = label.to_vec();
    for part in parts {
        data.extend((part.len() as u64).to_le_bytes());
        data.extend(*part);
    }
    data
}

/// Seals and opens values with one key.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    pub(super) fn new(key: &DataKey) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key.bytes())) }
    }

    /// Random bytes.
    pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
        let mut bytes = [0; N];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| SealError(error.to_string()))?;
        Ok(bytes)
    }

    /// Encrypts a value. `associated` must be the same for [`open`](Self::open).
    pub(super) fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = Self::random::<NONCE>()?;
        let payload = Payload { msg: plain, aad: associated };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealError("the cipher refused".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts a value. `None` if it was sealed with another key or associated data.
    pub(super) fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        self.cipher.decrypt(&nonce, Payload { msg: text, aad: associated }).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_with_its_own_associated_data_only() {
        let seal = Seal::new(&DataKey::random().unwrap());
        let sealed = seal.seal(b"here", b"sk-token").unwrap();
        assert_eq!(seal.open(b"here", &sealed).unwrap().as_slice(), b"sk-token");
        assert!(seal.open(b"there", &sealed).is_none());
        assert!(Seal::new(&DataKey::random().unwrap()).open(b"here", &sealed).is_none(), "another key");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(seal.open(b"here", &bent).is_none(), "byte {at}");
            assert!(seal.open(b"here", &sealed[..at]).is_none(), "cut at {at}");
        }
        assert_ne!(sealed, seal.seal(b"here", b"sk-token").unwrap(), "the nonce is new each time");
        assert!(!sealed.windows(8).any(|window| window == b"sk-token"));
    }
}
