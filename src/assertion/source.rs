//! Assertions that other systems issue.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Assertion, AssertionError};
use crate::credential_command::CredentialCommand;
use crate::invisible;
use crate::secret::AssertionText;
use crate::trusted_file::{self, Untrusted};

/// The longest assertion, in bytes. The Claude Console accepts no longer one.
const LONGEST: usize = 16 * 1024;

/// Where an assertion comes from. It is fetched for each request, because files and commands give new ones.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AssertionSource {
    /// A file with one assertion, at most 16 KiB. It must not be writable by other users. Links are followed.
    File(PathBuf),
    /// A command that prints one assertion on one line, at most 16 KiB.
    Command(CredentialCommand),
    /// The assertion itself, and where it came from for messages, such as the name of an environment variable.
    Text(Arc<AssertionText>, String),
}

impl AssertionSource {
    /// Fetches the assertion.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub(crate) async fn fetch(&self) -> Result<Assertion, AssertionError> {
        match self {
            Self::File(path) => {
                let bytes = read(path, LONGEST)?;
                let invalid = |description: String| AssertionError::InvalidFile { path: path.clone(), description };
                let text = std::str::from_utf8(&bytes).map_err(|_| invalid("the file is not UTF-8 text".into()))?;
                let text = one_word(text).map_err(|why| invalid(format!("the assertion in it {why}")))?;
                Ok(Assertion::new(text, format!("from {}", path.display())))
            }
            Self::Command(command) => {
                let program = command.program().to_owned();
                let origin = format!("from the command `{program}`");
                let line = command.line(LONGEST).await;
                let line = line.map_err(|problem| AssertionError::Command { program, problem })?;
                let text = one_word(&line)
                    .map_err(|description| AssertionError::InvalidText { origin: origin.clone(), description })?;
                Ok(Assertion::new(text, origin))
            }
            Self::Text(text, place) => {
                let origin = format!("from {place}");
                let text = one_word(text.expose())
                    .map_err(|description| AssertionError::InvalidText { origin: origin.clone(), description })?;
                Ok(Assertion::new(text, origin))
            }
        }
    }
}

/// The assertion in a text, without white space and invisible characters at its ends.
fn one_word(text: &str) -> Result<AssertionText, String> {
    let word = invisible::trim(text);
    if word.is_empty() {
        return Err("is empty".into());
    }
    if word.len() > LONGEST {
        return Err(too_large(LONGEST));
    }
    match invisible::inside(word, false) {
        Some(why) => Err(why),
        None if !word.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("has other characters than ASCII in it".into())
        }
        None => Ok(AssertionText::new(word.to_owned())),
    }
}

fn too_large(longest: usize) -> String {
    format!("is larger than {} KiB", longest / 1024)
}

/// The bytes of a trusted file.
pub(super) fn read(path: &Path, longest: usize) -> Result<Zeroizing<Vec<u8>>, AssertionError> {
    let unreadable = |error: io::Error| match Untrusted::of(&error) {
        Some(problem) => AssertionError::Untrusted { path: path.to_owned(), problem: problem.clone() },
        None => AssertionError::Unreadable { path: path.to_owned(), description: error.to_string() },
    };
    // Large enough never to grow, which would leave a copy of the secret in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(longest + 1));
    let file = trusted_file::open(path).map_err(unreadable)?;
    file.take(longest as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > longest {
        let description = format!("the file {}", too_large(longest));
        return Err(AssertionError::InvalidFile { path: path.to_owned(), description });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_holds_one_assertion_as_any_editor_saves_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let longest = "x".repeat(LONGEST);
        for (content, expected) in [
            ("a.b.c", Ok("a.b.c")),
            ("\u{feff} a.b.c \r\n\n", Ok("a.b.c")),
            (&longest, Ok(&*longest)),
            (&format!("{longest}x"), Err("the file is larger than 16 KiB")),
            ("", Err("the assertion in it is empty")),
            (" \n", Err("the assertion in it is empty")),
            ("a.b.c\na.b.d", Err("the assertion in it has a line break in it")),
            ("a.b c", Err("the assertion in it has a space in it")),
            ("a.b.ä", Err("the assertion in it has other characters than ASCII in it")),
        ] {
            std::fs::write(&path, content).unwrap();
            let fetched = AssertionSource::File(path.clone()).fetch().await;
            let message = fetched.as_ref().err().map(ToString::to_string).unwrap_or_default();
            match expected {
                Ok(text) => assert_eq!(fetched.unwrap().text().expose(), text),
                Err(why) => assert_eq!(message, format!("{}: {why}", path.display())),
            }
        }
        std::fs::write(&path, b"\xff").unwrap();
        let error = AssertionSource::File(path.clone()).fetch().await.unwrap_err();
        assert_eq!(error.to_string(), format!("{}: the file is not UTF-8 text", path.display()));
        std::fs::remove_file(&path).unwrap();
        let error = AssertionSource::File(path.clone()).fetch().await.unwrap_err();
        assert!(matches!(error, AssertionError::Unreadable { .. }), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_followed_and_what_they_lead_to_is_checked() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, "a.b.c").unwrap();
        symlink("target", &link).unwrap();
        let source = AssertionSource::File(link.clone());
        assert_eq!(
            source.fetch().await.unwrap().described(0),
            format!("the assertion from {} was sent", link.display())
        );
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = source.fetch().await.unwrap_err();
        assert!(matches!(&error, AssertionError::Untrusted { problem, .. } if problem.path == target), "{error}");
    }

    #[tokio::test]
    async fn a_text_is_trimmed_and_checked() {
        let text = |text: &str| AssertionSource::Text(Arc::new(AssertionText::new(text.into())), "IDENTITY".into());
        assert_eq!(text(" a.b.c\n").fetch().await.unwrap().text().expose(), "a.b.c");
        let error = text("a b").fetch().await.unwrap_err().to_string();
        assert_eq!(error, "the assertion from IDENTITY has a space in it");
    }
}
