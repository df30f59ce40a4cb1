//! What a provider is called, and whether a command has to say so.

use std::fmt;
use std::ops::Deref;

use crate::provider::BUILT_IN;

/// A provider's name. It reads as the text it is; besides, it knows whether a command finds this
/// provider without `--provider`, so that a hint says no more than has to be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    text: String,
    /// Nobody else would be chosen if nothing were said.
    understood: bool,
}

impl Name {
    /// The name of a provider where `default` is the one that is chosen if nothing is said.
    pub fn beside(text: &str, default: &str) -> Self {
        Self { text: text.to_owned(), understood: text == default }
    }

    /// What a command line needs so that this provider is meant: ` --provider NAME`, or nothing.
    pub fn option(&self) -> String {
        if self.understood { String::new() } else { format!(" --provider {self}") }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where nothing else is known, the built-in provider is the one that is chosen.
impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::beside(text, BUILT_IN)
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}
