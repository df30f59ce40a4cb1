//! Words of a command line to copy.

/// A word as it is typed in a shell, with quotes where necessary.
pub(crate) fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_word_back() {
        assert_eq!(quoted("/home/ada/config.toml"), "/home/ada/config.toml");
        assert_eq!(quoted("/home/ada/my files"), "'/home/ada/my files'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
