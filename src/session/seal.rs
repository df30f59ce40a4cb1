//! Encryption at rest: XChaCha20-Poly1305 with a random nonce for every value. The associated data names the value's
//! place, so a value cannot be moved to another one.
//!
//! A sealed value is [`NAMED`], the length of the key's id, the id, the nonce and the ciphertext. The id is associated
//! data too. A value of an earlier version is the nonce and the ciphertext alone.

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

/// What a value begins with that names its key.
const NAMED: &[u8] = b"nxk1";

/// The longest id of a key, in bytes.
pub(super) const LONGEST_ID: usize = 64;

/// How many bytes of a sealed value tell the id of its key.
pub(super) const HEADER: usize = NAMED.len() + 1 + LONGEST_ID;

/// The id of the key that a value names, and the rest of the value. `None` for a value of an earlier version.
fn parts(value: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = value.strip_prefix(NAMED)?.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(id).ok()?, rest))
}

/// The id of the key that a value names, of which at least [`HEADER`] bytes are given. `None` for a value of an earlier
/// version.
pub(super) fn key_id(value: &[u8]) -> Option<&str> {
    parts(value).map(|(id, _)| id)
}

/// Seals and opens values with one key, whose id it puts before them.
#[derive(Clone)]
pub(super) struct Seal {
    id: String,
    cipher: Cipher,
}

impl Seal {
    pub(super) fn new(id: &str, key: &DataKey) -> Self {
        Self { id: id.to_owned(), cipher: Cipher::new(key) }
    }

    /// The id of the key.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts a value. `associated` must be the same for [`open`](Self::open).
    pub(super) fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let length = u8::try_from(self.id.len()).map_err(SealError::of)?;
        let sealed = self.cipher.seal(&self.bound(associated), plain)?;
        Ok([NAMED, &[length], self.id.as_bytes(), &sealed].concat())
    }

    /// Decrypts a value. `None` if it was sealed with another key or associated data.
    pub(super) fn open(&self, associated: &[u8], value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match parts(value) {
            Some((id, sealed)) if id == self.id => self.cipher.open(&self.bound(associated), sealed),
            Some(_) => None,
            None => self.cipher.open(associated, value),
        }
    }

    fn bound(&self, associated: &[u8]) -> Vec<u8> {
        associated_data(b"nexus named key 1", &[self.id.as_bytes(), associated])
    }
}

/// Seals and opens values with one key.
#[derive(Clone)]
pub(super) struct Cipher(XChaCha20Poly1305);

impl Cipher {
    pub(super) fn new(key: &DataKey) -> Self {
        Self(XChaCha20Poly1305::new(&Key::from(*key.bytes())))
    }

    /// Encrypts a value. `associated` must be the same for [`open`](Self::open).
    pub(super) fn seal(&self, associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = random::<NONCE>()?;
        let payload = Payload { msg: plain, aad: associated };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealError("the cipher refused".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts a value. `None` if it was sealed with another key or associated data.
    pub(super) fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        self.0.decrypt(&nonce, Payload { msg: text, aad: associated }).ok().map(Zeroizing::new)
    }
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| SealError(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_with_its_own_key_and_associated_data_only() {
        let key = DataKey::random().unwrap();
        let seal = Seal::new("new", &key);
        let sealed = seal.seal(b"here", b"sk-token").unwrap();
        assert_eq!(key_id(&sealed), Some("new"));
        assert_eq!(seal.open(b"here", &sealed).unwrap().as_slice(), b"sk-token");
        assert!(seal.open(b"there", &sealed).is_none());
        assert!(Seal::new("new", &DataKey::random().unwrap()).open(b"here", &sealed).is_none(), "another key");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(seal.open(b"here", &bent).is_none(), "byte {at}");
            assert!(seal.open(b"here", &sealed[..at]).is_none(), "cut at {at}");
        }
        assert_ne!(sealed, seal.seal(b"here", b"sk-token").unwrap(), "the nonce is new each time");
        assert!(!sealed.windows(8).any(|window| window == b"sk-token"));
    }

    #[test]
    fn a_key_is_wiped_when_it_is_no_longer_needed() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<XChaCha20Poly1305>();
    }

    #[test]
    fn the_id_cannot_be_changed_even_if_both_ids_name_the_same_key() {
        let key = DataKey::random().unwrap();
        let mut sealed = Seal::new("old", &key).seal(b"here", b"value").unwrap();
        let at = NAMED.len() + 1;
        sealed[at..at + 3].copy_from_slice(b"new");
        assert_eq!(key_id(&sealed), Some("new"));
        assert!(Seal::new("new", &key).open(b"here", &sealed).is_none());
    }

    #[test]
    fn a_value_of_an_earlier_version_opens_and_names_no_key() {
        let key = DataKey::random().unwrap();
        let sealed = Cipher::new(&key).seal(b"here", b"value").unwrap();
        assert_eq!(key_id(&sealed), None);
        assert_eq!(Seal::new("any", &key).open(b"here", &sealed).unwrap().as_slice(), b"value");
    }
}
