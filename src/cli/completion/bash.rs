//! Completion in bash, which splits words at `=` and `:` and replaces only the last part.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Command;
use clap_complete::engine;

use crate::cli::environment::variable;

/// What the script separates candidates at.
const SEPARATOR: &str = "\u{b}";

/// Writes the candidates for the word at the index that the script sets.
pub(super) fn write(grammar: &mut Command, words: &[OsString], out: &mut impl Write) -> io::Result<()> {
    let index = variable("_CLAP_COMPLETE_INDEX").and_then(|index| index.parse().ok()).unwrap_or_default();
    let Joined { words, index, before } = joined(words, index);
    let found = engine::complete(grammar, words, index, std::env::current_dir().ok().as_deref())?;
    let values: Vec<_> = found.iter().map(|candidate| candidate.get_value().to_string_lossy()).collect();
    let values = values.iter().filter_map(|value| value.strip_prefix(&*before)).collect::<Vec<_>>();
    write!(out, "{}", values.join(SEPARATOR))
}

/// The words as they were typed.
#[derive(Debug, PartialEq)]
struct Joined {
    words: Vec<OsString>,
    /// The word to complete.
    index: usize,
    /// The parts of that word that bash keeps.
    before: String,
}

/// Joins the parts of words again. The value of `--flag=value` becomes a word of its own.
fn joined(parts: &[OsString], at: usize) -> Joined {
    let mut joined = Joined { words: Vec::new(), index: at, before: String::new() };
    let mut continues = false;
    for (number, part) in parts.iter().enumerate() {
        let part = part.to_string_lossy();
        let is_separator = !part.is_empty() && part.chars().all(|c| matches!(c, '=' | ':'));
        let after_flag = joined.words.last().is_some_and(|word| word.to_string_lossy().starts_with("--"));
        match joined.words.last_mut() {
            Some(_) if is_separator && after_flag && part == "=" && number != at => continue,
            Some(word) if (is_separator || continues) && number > 1 => {
                if number == at {
                    joined.before = word.to_string_lossy().into_owned();
                }
                word.push(&*part);
            }
            _ => joined.words.push((&*part).into()),
        }
        continues = is_separator;
        if number == at {
            joined.index = joined.words.len() - 1;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_the_words_that_were_typed() {
        for (parts, words, index, before) in [
            (&["nexus", "chat", "-m", "a"][..], &["nexus", "chat", "-m", "a"][..], 3, ""),
            (&["nexus", "chat", "--model", "=", "a"], &["nexus", "chat", "--model", "a"], 3, ""),
            (&["nexus", "chat", "--model", ""], &["nexus", "chat", "--model", ""], 3, ""),
            (&["nexus", "chat", "-m", "a", ":", "b"], &["nexus", "chat", "-m", "a:b"], 3, "a:"),
            (&["nexus", "chat", "--model", "=", "a", ":", "b"], &["nexus", "chat", "--model", "a:b"], 3, "a:"),
        ] {
            let parts: Vec<OsString> = parts.iter().map(Into::into).collect();
            let words = words.iter().map(Into::into).collect();
            assert_eq!(joined(&parts, parts.len() - 1), Joined { words, index, before: before.into() }, "{parts:?}");
        }
    }
}
