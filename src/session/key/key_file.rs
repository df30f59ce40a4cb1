//! The format of the key file. Each line contains a key or says where it is.
//!
//! ```text
//! ID KEY
//! nexus-key-1 KEY
//! nexus-key-2 keyring ID
//! nexus-key-2 passphrase ID argon2id m=65536,t=3,p=1 SALT WRAPPED
//! ```
//!
//! The id of a key that was written without one is a hash of it. Unless the store names another one, the first key
//! seals new values. The others open what was sealed with them.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::config::KeyBackend;
use super::data_key::{DataKey, PLAIN};
use super::error::{KeyError, KeyOrigin};
use super::passphrase::Wrapped;
use crate::invisible;
use crate::session::seal::LONGEST_ID;

/// What a line with a key that is kept elsewhere begins with.
const ELSEWHERE: &str = "nexus-key-2 ";

/// What the ids of keys do not begin with.
const RESERVED: &str = "nexus-key-";

/// What one line of the key file says.
#[derive(Clone)]
pub(super) enum KeyLine {
    /// The key and its id.
    Named(String, DataKey),
    /// The key. Its id is a hash of it.
    Plain(DataKey),
    /// The id of the keyring's entry.
    Keyring(String),
    /// It is wrapped with a passphrase.
    Wrapped(Wrapped),
}

impl KeyLine {
    /// A key with a line of its own for distribution.
    pub(super) fn named(key: DataKey) -> Self {
        Self::Named(key.id(), key)
    }

    /// The key of a line, or what is wrong with the line, as the end of a sentence about it.
    fn parse(line: &str) -> Result<Self, String> {
        if let Some(rest) = line.strip_prefix(ELSEWHERE) {
            let words: Vec<&str> = rest.split(' ').collect();
            let elsewhere = match words[..] {
                ["keyring", id] if is_hash(id) => Some(Self::Keyring(id.to_owned())),
                ["passphrase", id, "argon2id", cost, salt, sealed] if is_hash(id) => {
                    Wrapped::parse(id, cost, salt, sealed).map(Self::Wrapped)
                }
                _ => None,
            };
            return elsewhere.ok_or_else(not_a_key);
        }
        if let Some(key) = line.strip_prefix(PLAIN) {
            return DataKey::from_base64(key).map(Self::Plain);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(id), Some(key), None) = (words.next(), words.next(), words.next()) else { return Err(not_a_key()) };
        if !is_id(id) {
            return Err(format!(
                "has an id that is not 1 to {LONGEST_ID} letters, digits, `-`, `_` and `.`, or begins with `{RESERVED}`"
            ));
        }
        DataKey::from_base64(key).map(|key| Self::Named(id.to_owned(), key))
    }

    pub(super) fn line(&self) -> Zeroizing<String> {
        match self {
            Self::Named(id, key) => Zeroizing::new(format!("{id} {}", &*key.base64())),
            Self::Plain(key) => key.line(),
            Self::Keyring(id) => Zeroizing::new(format!("{ELSEWHERE}keyring {id}")),
            Self::Wrapped(wrapped) => Zeroizing::new(format!("{ELSEWHERE}passphrase {wrapped}")),
        }
    }

    /// The id of the key.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Plain(key) => key.id(),
            Self::Named(id, _) | Self::Keyring(id) => id.clone(),
            Self::Wrapped(wrapped) => wrapped.id.clone(),
        }
    }

    pub(super) fn backend(&self) -> KeyBackend {
        match self {
            Self::Named(..) | Self::Plain(_) => KeyBackend::File,
            Self::Keyring(_) => KeyBackend::Keyring,
            Self::Wrapped(_) => KeyBackend::Passphrase,
        }
    }
}

fn not_a_key() -> String {
    "is not a nexus key".into()
}

/// Why a key file is invalid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidLine {
    /// The number of the line, from 1.
    pub(super) number: usize,
    /// What is wrong with it, as the end of a sentence about it.
    pub(super) description: String,
}

impl InvalidLine {
    /// The error of an invalid line in this place.
    pub(super) fn of(self, origin: KeyOrigin) -> KeyError {
        KeyError::NotAKey { origin, line: self.number, description: self.description }
    }
}

/// The lines of the key file: at least one, each with another id.
#[derive(Clone)]
pub(super) struct KeyFile(Vec<KeyLine>);

impl KeyFile {
    pub(super) fn of(line: KeyLine) -> Self {
        Self(vec![line])
    }

    /// Reads the lines. Empty lines, and white space at the ends of a line, do not count.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidLine> {
        let (mut lines, mut ids) = (Vec::new(), BTreeSet::new());
        for (at, text) in text.lines().enumerate() {
            let invalid = |description| InvalidLine { number: at + 1, description };
            let text = invisible::trim(text);
            if text.is_empty() {
                continue;
            }
            let line = KeyLine::parse(text).map_err(invalid)?;
            if !ids.insert(line.id()) {
                return Err(invalid(format!("has the id `{}`, which another line has", line.id())));
            }
            lines.push(line);
        }
        if lines.is_empty() { Err(InvalidLine { number: 1, description: not_a_key() }) } else { Ok(Self(lines)) }
    }

    /// The key that seals new values unless the store names another one.
    pub(super) fn first(&self) -> &KeyLine {
        &self.0[0]
    }

    /// The line of the key with this id.
    pub(super) fn line(&self, id: &str) -> Option<&KeyLine> {
        self.0.iter().find(|line| line.id() == id)
    }

    /// All lines.
    pub(super) fn lines(&self) -> &[KeyLine] {
        &self.0
    }

    /// These lines with another one at the end.
    pub(super) fn and(mut self, line: KeyLine) -> Self {
        self.0.push(line);
        self
    }

    /// These lines with this one, which may be among them, before all others.
    pub(super) fn beginning_with(self, line: KeyLine) -> Self {
        let id = line.id();
        Self([line].into_iter().chain(self.0.into_iter().filter(|other| other.id() != id)).collect())
    }

    /// The lines but the one with this id. `None` if none is left.
    pub(super) fn without(mut self, id: &str) -> Option<Self> {
        self.0.retain(|line| line.id() != id);
        if self.0.is_empty() { None } else { Some(self) }
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        let lines: Vec<_> = self.0.iter().map(KeyLine::line).collect();
        // Large enough never to grow, which would leave a copy of a key in memory.
        let mut text = Zeroizing::new(String::with_capacity(lines.iter().map(|line| line.len() + 1).sum()));
        for line in &lines {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(line);
        }
        text
    }

    /// All lines, the ones that need no keyring and no passphrase first.
    pub(super) fn cheapest_first(&self) -> Vec<&KeyLine> {
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|line| line.backend() != KeyBackend::File);
        lines
    }
}

/// Whether a word is an id that a key may have in a file for distribution.
fn is_id(word: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST_ID).contains(&word.len()) && word.bytes().all(is_plain) && !word.starts_with(RESERVED)
}

fn is_hash(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key in base64.
    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    fn ids(text: &str) -> Vec<String> {
        let file = KeyFile::parse(text).unwrap_or_else(|why| panic!("{text:?}: {why:?}"));
        file.lines().iter().map(KeyLine::id).collect()
    }

    #[test]
    fn a_line_means_what_was_written() {
        let key = DataKey::random().unwrap();
        let line = KeyLine::Plain(key.clone()).line();
        let read = KeyFile::parse(&format!("{}\n", *line)).unwrap();
        assert!(matches!(read.first(), KeyLine::Plain(read) if read.bytes() == key.bytes()));
        let named = KeyLine::Named("2026-11".into(), key.clone()).line();
        assert_eq!(*named, format!("2026-11 {}", &*key.base64()));
        let read = KeyFile::parse(&named).unwrap();
        assert!(matches!(read.first(), KeyLine::Named(id, read) if id == "2026-11" && read.bytes() == key.bytes()));
        let entry = KeyLine::Keyring(key.id()).line();
        let read = KeyFile::parse(&entry).unwrap();
        assert!(matches!(read.lines(), [KeyLine::Keyring(id)] if *id == key.id()));
        let both = KeyFile::parse(&format!("{}\n{}\n", *named, *entry)).unwrap();
        assert!(matches!(both.lines(), [KeyLine::Named(..), KeyLine::Keyring(_)]));
        assert_eq!(*both.text(), format!("{}\n{}", *named, *entry));
    }

    #[test]
    fn the_id_of_a_bare_key_is_its_hash() {
        let bare = format!("nexus-key-1 {A}");
        assert_eq!(ids(&bare), [DataKey::from_line(&bare).unwrap().id()]);
    }

    #[test]
    fn a_file_may_have_been_written_by_any_program() {
        for text in [
            format!("a {A}\nb {B}\n"),
            format!("a {A}\nb {B}"),
            format!("a {A}=\nb {B}=\n"),
            format!("a {A}\r\nb {B}\r\n"),
            format!("\u{feff}a {A}\n\n  \nb {B}\n\n"),
            format!("  a\t{A}  \nb   {B}\t\n"),
        ] {
            assert_eq!(ids(&text), ["a", "b"], "{text:?}");
        }
        let longest = "x".repeat(LONGEST_ID);
        assert_eq!(ids(&format!("{longest} {A}\nKey_2.b-1 {B}")), [longest, "Key_2.b-1".to_owned()]);
    }

    #[test]
    fn an_invalid_line_is_named() {
        let long = format!("{} {A}", "x".repeat(LONGEST_ID + 1));
        for (text, number, description) in [
            ("", 1, "is not a nexus key"),
            ("\n\n", 1, "is not a nexus key"),
            ("nonsense", 1, "is not a nexus key"),
            (&format!("a {A}\n\nnonsense\n"), 3, "is not a nexus key"),
            (&format!("a {A} c"), 1, "is not a nexus key"),
            (&format!("a {A}\na {B}"), 2, "has the id `a`, which another line has"),
            (&format!("a {A}\n\r\na {A}"), 3, "has the id `a`, which another line has"),
            ("a AAAA", 1, "has a key of 3 bytes instead of 32"),
            (&format!("a {A}A"), 1, "has a key of 33 bytes instead of 32"),
            (&format!("a {A}AAAA"), 1, "has a key of 35 bytes instead of 32"),
            (&format!("a {A}=="), 1, "has no valid base64"),
            ("a AA-_", 1, "has no valid base64"),
            ("a !", 1, "has no valid base64"),
            (&long, 1, "has an id that is not 1 to 64 letters"),
            (&format!("a/b {A}"), 1, "has an id that is not 1 to 64 letters"),
            (&format!("\u{e4} {A}"), 1, "has an id that is not 1 to 64 letters"),
            (&format!("nexus-key-9 {A}"), 1, "has an id that is not 1 to 64 letters"),
            ("nexus-key-1", 1, "is not a nexus key"),
            ("nexus-key-1 AAAA", 1, "has a key of 3 bytes instead of 32"),
            ("nexus-key-2 keyring", 1, "is not a nexus key"),
            ("nexus-key-2 keyring ../../x", 1, "is not a nexus key"),
            ("nexus-key-2 cloud 0011223344556677", 1, "is not a nexus key"),
            ("nexus-key-2 passphrase 0011223344556677 argon2id m=65536,t=3,p=1 AAAA AAAA", 1, "is not a nexus key"),
            ("nexus-key-3 keyring 0011223344556677", 1, "is not a nexus key"),
        ] {
            let why = KeyFile::parse(text).err().unwrap_or_else(|| panic!("{text:?} is valid"));
            assert!(why.number == number && why.description.starts_with(description), "{text:?}: {why:?}");
            assert!(!why.description.contains(A), "no key in an error");
        }
    }
}
