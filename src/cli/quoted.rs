//! Words of a command line to copy.

/// A word as it is typed in a shell, with quotes where necessary.
pub(crate) fn quoted(word: &str) -> String {
    if !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c)) {
        return word.to_owned();
    }
    let inside = word.chars().fold(String::new(), |mut typed, c| {
        match c {
            '\'' => typed.push_str(r"'\''"),
            // fish alone reads a backslash between quotes. On Windows it separates folders.
            '\\' if !cfg!(windows) => typed.push_str(r"'\\'"),
            c => typed.push(c),
        }
        typed
    });
    format!("'{inside}'")
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
        #[cfg(not(windows))]
        assert_eq!(quoted(r"a\'b"), r"'a'\\''\''b'");
    }
}
