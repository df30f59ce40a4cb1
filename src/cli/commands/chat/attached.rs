//! Files that are attached to the next question of a conversation.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::question::attachment;
use nexus::Part;

/// The files, already read and checked.
#[derive(Debug, Default)]
pub(super) struct Attached {
    files: Vec<PathBuf>,
    parts: Vec<Part>,
}

impl Attached {
    /// Reads and adds a file. On error, the others stay attached.
    ///
    /// # Errors
    /// [`CliError::Attachment`](crate::cli::error::CliError).
    pub(super) fn add(&mut self, file: &str, context: &Context) -> Result<()> {
        let mut files = self.files.clone();
        files.push(path(file));
        // All of them, because their sizes have a limit together.
        self.parts = attachment::parts(&files, "", context)?;
        self.files = files;
        Ok(())
    }

    /// Takes the files out.
    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(self).parts
    }

    /// The names of the files, one line each.
    pub(super) fn names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.display().to_string()).collect()
    }
}

/// A path as it is typed or dropped at a terminal: perhaps in quotes, or below `~/`.
pub(super) fn path(text: &str) -> PathBuf {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let path = Path::new(quoted('\'').or_else(|| quoted('"')).unwrap_or(text));
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_a_path_are_dropped() {
        for (text, expected) in [
            ("my notes.txt", "my notes.txt"),
            ("'my notes.txt'", "my notes.txt"),
            ("\"it's.txt\"", "it's.txt"),
            ("'", "'"),
        ] {
            assert_eq!(path(text), Path::new(expected), "{text}");
        }
        assert!(path("~/notes.txt").is_absolute() && path("a~/b") == Path::new("a~/b"));
    }
}
