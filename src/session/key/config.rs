//! How the configuration wants the key to the stored sessions kept: plain values, read from the
//! file and handed to the session's room.

use std::path::PathBuf;

use serde::Deserialize;

/// Who keeps the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// A file of its own, open to nobody else.
    File,
    /// The operating system's keyring.
    Keyring,
    /// A person or program that knows the passphrase it is wrapped with.
    Passphrase,
}

impl Keeper {
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

    /// The keeper of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keeper| keeper.as_str() == word)
    }
}

/// Where the passphrase comes from. It stands in no argument, variable or log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// A file's text, without the newline at its end.
    File(PathBuf),
    /// What a program prints, started without a shell.
    Command(Vec<String>),
}

/// What the configuration says about the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Who is to keep it; where nothing is said, a file, or whoever keeps it already.
    pub keeper: Option<Keeper>,
    /// Where the passphrase comes from.
    pub passphrase: Option<PassphraseSource>,
}
