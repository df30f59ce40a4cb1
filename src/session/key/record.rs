//! The one line of the key file: the key itself, or who keeps it.
//!
//! ```text
//! nexus-key-1 KEY
//! nexus-key-2 keyring ID
//! nexus-key-2 passphrase ID argon2id m=65536,t=3,p=1 SALT WRAPPED
//! ```
//!
//! The id is drawn from the key by a hash, so that a wrong key is known for one before it is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::session::key::Keeper;
use crate::session::key::passphrase::Wrapped;

/// What the line begins with when it holds the key; nothing else is taken for one.
const PLAIN: &str = "nexus-key-1 ";

/// What it begins with when somebody else keeps the key.
const ELSEWHERE: &str = "nexus-key-2 ";

/// The key that seals the sessions. It stays the same wherever it is kept.
#[derive(Clone)]
pub(in crate::session) struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A fresh one.
    pub(in crate::session) fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        SysRng
            .try_fill_bytes(bytes.as_mut())
            .map_err(|error| Failure::System { sentence: format!("making a key: {error}") })?;
        Ok(Self(bytes))
    }

    pub(in crate::session) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(in crate::session) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Which key this is, without telling anything of it.
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

/// What the key file says.
pub(super) enum Record {
    /// The key.
    Plain(DataKey),
    /// The keyring keeps it, under this id.
    Keyring(String),
    /// It is wrapped with a passphrase.
    Wrapped(Wrapped),
}

impl Record {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.trim_end().strip_prefix(ELSEWHERE) else {
            return DataKey::from_line(text).map(Self::Plain);
        };
        let words: Vec<&str> = rest.split(' ').collect();
        match words[..] {
            ["keyring", id] if is_id(id) => Some(Self::Keyring(id.to_owned())),
            ["passphrase", id, "argon2id", cost, salt, sealed] if is_id(id) => {
                Wrapped::parse(id, cost, salt, sealed).map(Self::Wrapped)
            }
            _ => None,
        }
    }

    pub(super) fn line(&self) -> Zeroizing<String> {
        match self {
            Self::Plain(key) => key.line(),
            Self::Keyring(id) => Zeroizing::new(format!("{ELSEWHERE}keyring {id}")),
            Self::Wrapped(wrapped) => Zeroizing::new(format!("{ELSEWHERE}passphrase {wrapped}")),
        }
    }

    pub(super) fn keeper(&self) -> Keeper {
        match self {
            Self::Plain(_) => Keeper::File,
            Self::Keyring(_) => Keeper::Keyring,
            Self::Wrapped(_) => Keeper::Passphrase,
        }
    }
}

fn is_id(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_means_what_was_written_or_nothing() {
        let key = DataKey::random().unwrap();
        let line = Record::Plain(key.clone()).line();
        assert!(matches!(Record::parse(&format!("{}\n", *line)), Some(Record::Plain(read)) if read.0 == key.0));
        let line = Record::Keyring(key.id()).line();
        assert!(matches!(Record::parse(&line), Some(Record::Keyring(id)) if id == key.id()));
        for nonsense in [
            "",
            "nexus-key-1",
            "nexus-key-1 AAAA",
            "nexus-key-2 keyring",
            "nexus-key-2 keyring ../../x",
            "nexus-key-2 cloud 0011223344556677",
            "nexus-key-2 passphrase 0011223344556677 argon2id m=65536,t=3,p=1 AAAA AAAA",
            "nexus-key-3 keyring 0011223344556677",
        ] {
            assert!(Record::parse(nonsense).is_none(), "{nonsense}");
        }
    }
}
