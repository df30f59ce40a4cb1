//! Where the key to the stored sessions is to be kept: plain values, as a configuration holds them.

use std::path::PathBuf;

use serde::Deserialize;

/// Where the key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyBackend {
    /// A file of its own, open to nobody else.
    File,
    /// The operating system's keyring.
    Keyring,
    /// In its file, wrapped with a passphrase.
    Passphrase,
}

impl KeyBackend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::File, Self::Keyring, Self::Passphrase];

    /// As it is written in the configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.as_str() == word)
    }
}

/// Where the passphrase comes from. It is in no argument, variable or log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// A file's text, without the newline at its end.
    File(PathBuf),
    /// What a program prints, started without a shell.
    Command(Vec<String>),
}

/// What the configuration says about the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyConfig {
    /// Where a new key goes; a file if none is named. A key that exists is used where it is.
    pub backend: Option<KeyBackend>,
    /// Where the passphrase comes from.
    pub passphrase: Option<PassphraseSource>,
}
