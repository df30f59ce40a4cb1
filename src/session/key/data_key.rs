//! The key that seals the sessions.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What the line of a key without an id of its own begins with.
pub(super) const PLAIN: &str = "nexus-key-1 ";

/// Writes no padding, and reads keys that other programs have written with it.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// 256 random bits.
#[derive(Clone)]
pub(in crate::session) struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new key.
    ///
    /// # Errors
    /// The operating system returned no random bytes.
    pub(in crate::session) fn random() -> Result<Self, String> {
        let mut bytes = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(bytes.as_mut()).map_err(|error| error.to_string())?;
        Ok(Self(bytes))
    }

    pub(in crate::session) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(in crate::session) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of a key that has no other: a hash, which reveals nothing of it.
    pub(in crate::session) fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"nexus key id 1");
        hash.update(self.bytes());
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key in base64.
    pub(super) fn base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.bytes()))
    }

    /// The key that a text in base64 holds, or what is wrong with it, as the end of a sentence about it.
    pub(super) fn from_base64(text: &str) -> Result<Self, String> {
        let bytes = BASE64.decode(text).map(Zeroizing::new).map_err(|_| "has no valid base64".to_owned())?;
        Self::from_bytes(&bytes).ok_or_else(|| format!("has a key of {} bytes instead of 32", bytes.len()))
    }

    /// The line that holds it, in a file or in the keyring.
    pub(super) fn line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PLAIN}{}", &*self.base64()))
    }

    /// The key that a line holds.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        Self::from_base64(line.trim_end().strip_prefix(PLAIN)?).ok()
    }
}
