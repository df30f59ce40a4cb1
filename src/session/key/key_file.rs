//! The format of the key file. Its one line contains the key or says where it is.
//!
//! ```text
//! nexus-key-1 KEY
//! nexus-key-2 keyring ID
//! nexus-key-2 passphrase ID argon2id m=65536,t=3,p=1 SALT WRAPPED
//! ```
//!
//! The id is a hash of the key, so a wrong key is detected before it is used.

use zeroize::Zeroizing;

use super::config::KeyBackend;
use super::data_key::DataKey;
use super::passphrase::Wrapped;

/// What the line begins with when the key is kept elsewhere.
const ELSEWHERE: &str = "nexus-key-2 ";

/// What the key file says.
pub(super) enum KeyFile {
    /// The key.
    Plain(DataKey),
    /// The id of the keyring's entry.
    Keyring(String),
    /// It is wrapped with a passphrase.
    Wrapped(Wrapped),
}

impl KeyFile {
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

    pub(super) fn backend(&self) -> KeyBackend {
        match self {
            Self::Plain(_) => KeyBackend::File,
            Self::Keyring(_) => KeyBackend::Keyring,
            Self::Wrapped(_) => KeyBackend::Passphrase,
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
        let line = KeyFile::Plain(key.clone()).line();
        assert!(
            matches!(KeyFile::parse(&format!("{}\n", *line)), Some(KeyFile::Plain(read)) if read.bytes() == key.bytes())
        );
        let line = KeyFile::Keyring(key.id()).line();
        assert!(matches!(KeyFile::parse(&line), Some(KeyFile::Keyring(id)) if id == key.id()));
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
            assert!(KeyFile::parse(nonsense).is_none(), "{nonsense}");
        }
    }
}
