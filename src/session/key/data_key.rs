//! The key that seals the sessions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What the line of a key begins with.
const PLAIN: &str = "nexus-key-1 ";

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

    /// The id of the key: a hash, which reveals nothing of it.
    pub(super) fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"nexus key id 1");
        hash.update(self.bytes());
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The line that holds it, in a file or in the keyring.
    pub(super) fn line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PLAIN}{}", &*Zeroizing::new(STANDARD_NO_PAD.encode(self.bytes()))))
    }

    /// The key that a line holds.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD_NO_PAD.decode(line.trim_end().strip_prefix(PLAIN)?).ok()?);
        Self::from_bytes(&bytes)
    }
}
