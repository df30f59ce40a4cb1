//! The format of the key file. Each line contains a key or says where it is.
//!
//! ```text
//! nexus-key-1 KEY
//! nexus-key-2 keyring ID
//! nexus-key-2 passphrase ID argon2id m=65536,t=3,p=1 SALT WRAPPED
//! ```
//!
//! The id is a hash of the key, so a wrong key is detected before it is used.
//!
//! A file has one line. While a key is moved, it has a line for each key that stored values may be sealed with, the new
//! key's last.

use zeroize::Zeroizing;

use super::config::KeyBackend;
use super::data_key::DataKey;
use super::passphrase::Wrapped;

/// What the line begins with when the key is kept elsewhere.
const ELSEWHERE: &str = "nexus-key-2 ";

/// The most lines in a key file: one for each backend.
const MOST_LINES: usize = KeyBackend::ALL.len();

/// What one line of the key file says.
#[derive(Clone)]
pub(super) enum KeyLine {
    /// The key.
    Plain(DataKey),
    /// The id of the keyring's entry.
    Keyring(String),
    /// It is wrapped with a passphrase.
    Wrapped(Wrapped),
}

impl KeyLine {
    fn parse(text: &str) -> Option<Self> {
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

    fn line(&self) -> Zeroizing<String> {
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

/// The lines of the key file, at least one.
#[derive(Clone)]
pub(super) struct KeyFile {
    /// The keys that a move replaces. Empty unless a move is unfinished.
    pub(super) old: Vec<KeyLine>,
    /// The key that seals new values.
    pub(super) newest: KeyLine,
}

impl KeyFile {
    pub(super) fn of(newest: KeyLine) -> Self {
        Self { old: Vec::new(), newest }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut old = text.trim_end().lines().map(KeyLine::parse).collect::<Option<Vec<_>>>()?;
        if old.len() > MOST_LINES {
            return None;
        }
        old.pop().map(|newest| Self { old, newest })
    }

    /// All lines, the newest key's last.
    pub(super) fn into_lines(self) -> Vec<KeyLine> {
        let Self { old: mut lines, newest } = self;
        lines.push(newest);
        lines
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        // Large enough never to grow, which would leave a copy of a key in memory.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        for line in &self.old {
            text.push_str(&line.line());
            text.push('\n');
        }
        text.push_str(&self.newest.line());
        text
    }

    /// All lines, the ones that need no keyring and no passphrase first.
    pub(super) fn cheapest_first(&self) -> Vec<&KeyLine> {
        let mut lines: Vec<_> = self.old.iter().chain([&self.newest]).collect();
        lines.sort_by_key(|line| line.backend() != KeyBackend::File);
        lines
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
        let line = KeyLine::Plain(key.clone()).line();
        let read = KeyFile::parse(&format!("{}\n", *line)).unwrap();
        assert!(matches!(read.newest, KeyLine::Plain(read) if read.bytes() == key.bytes()));
        let entry = KeyLine::Keyring(key.id()).line();
        let read = KeyFile::parse(&entry).unwrap();
        assert!(matches!(read.newest, KeyLine::Keyring(id) if id == key.id()) && read.old.is_empty());
        let both = KeyFile::parse(&format!("{}\n{}\n", *line, *entry)).unwrap();
        assert!(matches!((&*both.old, &both.newest), ([KeyLine::Plain(_)], KeyLine::Keyring(_))));
        assert_eq!(*both.text(), format!("{}\n{}", *line, *entry));
        assert!(KeyFile::parse(&[&**line; 4].join("\n")).is_none(), "more keys than backends");
        assert!(KeyFile::parse(&format!("{}\nnonsense\n", *line)).is_none());
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
