//! The configuration of the key that seals the sessions.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// Where the key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyBackend {
    /// In a private file.
    File,
    /// In the operating system's keyring.
    Keyring,
    /// In a private file, encrypted with a passphrase.
    Passphrase,
    /// A program prints it, with any other keys of the store.
    Command,
}

impl KeyBackend {
    /// Those that a key can be moved to.
    pub const MOVABLE: [Self; 3] = [Self::File, Self::Keyring, Self::Passphrase];

    /// The name: `file`, `keyring`, `passphrase` or `command`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Passphrase => "passphrase",
            Self::Command => "command",
        }
    }

    /// The inverse of [`as_str`](Self::as_str), for those that a key can be moved to.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::MOVABLE.into_iter().find(|backend| backend.as_str() == word)
    }
}

/// Where the passphrase comes from. The `Debug` output shows a program without its arguments.
#[derive(Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// The text of a file, without the newline at its end.
    File(PathBuf),
    /// The output of a program, which is started without a shell.
    Command(Vec<String>),
}

/// The configuration of the key. Its `Debug` output shows programs without their arguments.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyConfig {
    /// Where the key is kept. A key in another backend is not opened. If `None`, an existing key is used where it is,
    /// and a new one is kept in a file.
    pub backend: Option<KeyBackend>,
    /// Where the passphrase comes from.
    pub passphrase: Option<PassphraseSource>,
    /// The program that prints the keys, one `ID BASE64` a line, and its arguments. Used with [`KeyBackend::Command`].
    pub command: Vec<String>,
    /// Environment variables that these programs do not inherit, such as those with secrets.
    pub hidden_variables: Vec<String>,
}

impl fmt::Debug for PassphraseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(words) => f.debug_tuple("Command").field(&words.first()).finish(),
        }
    }
}

impl fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyConfig")
            .field("backend", &self.backend)
            .field("passphrase", &self.passphrase)
            .field("program", &self.command.first())
            .field("hidden_variables", &self.hidden_variables)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_arguments() {
        let command = |name: &str| vec![name.to_owned(), "--pin=4711".to_owned()];
        let config = KeyConfig {
            passphrase: Some(PassphraseSource::Command(command("pass"))),
            command: command("vault"),
            ..KeyConfig::default()
        };
        let shown = format!("{config:?}");
        assert!(shown.contains("pass") && shown.contains("vault") && !shown.contains("4711"), "{shown}");
    }
}
