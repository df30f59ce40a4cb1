//! The keys that a program prints.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::command;
use super::config::{KeyBackend, KeyConfig};
use super::error::{KeyError, KeyOrigin};
use super::key_file::{KeyFile, KeyLine};

use crate::credential_command::CommandError;

type Result<T> = std::result::Result<T, KeyError>;

/// The most bytes that the program may print: some hundred keys.
const LONGEST: usize = 64 * 1024;

/// How long not to run the program again for a key that it did not print.
const PAUSE: Duration = Duration::from_secs(5);

/// The keys that the program has printed. It is run once per process, and again when a key is needed that it did not
/// print. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Printed(Arc<Mutex<Option<Keys>>>);

struct Keys {
    file: KeyFile,
    /// When the program was run again.
    again_at: Option<Instant>,
}

impl Printed {
    /// The keys, with `wanted` if the program prints it. `on_wait` is called if the program takes long.
    pub(super) fn keys(
        &self,
        wanted: Option<&str>,
        config: &KeyConfig,
        on_wait: impl FnOnce() + Send + 'static,
    ) -> Result<KeyFile> {
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Keys { file, again_at }) = &*printed {
            let is_complete = wanted.is_none_or(|id| file.line(id).is_some());
            if is_complete || again_at.is_some_and(|at| at.elapsed() < PAUSE) {
                return Ok(file.clone());
            }
        }
        let file = run(config, on_wait)?;
        let again_at = printed.is_some().then(Instant::now);
        *printed = Some(Keys { file: file.clone(), again_at });
        Ok(file)
    }
}

fn run(config: &KeyConfig, on_wait: impl FnOnce() + Send + 'static) -> Result<KeyFile> {
    let command = command::of(&config.command, &config.hidden_variables);
    let program = command.program().to_owned();
    let failed = |description| KeyError::CommandFailed { program: program.clone(), description };
    let output = command::run(command, LONGEST, on_wait).map_err(|why| match why {
        CommandError::TimedOut(limit) => {
            KeyError::CommandTimedOut { setting: "key_command", program: program.clone(), limit }
        }
        why => failed(why.to_string()),
    })?;
    let text = std::str::from_utf8(&output).map_err(|_| failed("prints no UTF-8 text".into()))?;
    if crate::invisible::trim(text).is_empty() {
        return Err(failed("prints nothing".into()));
    }
    let file = KeyFile::parse(text).map_err(|invalid| invalid.of(KeyOrigin::Command(program.clone())))?;
    match file.lines().iter().find(|line| line.backend() != KeyBackend::File) {
        Some(line) => Err(failed(format!("prints a line without a key (id `{}`)", KeyLine::id(line)))),
        None => Ok(file),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn print(path: &Path, ids: &[&str]) {
        fs::write(path, ids.iter().map(|id| format!("{id} {KEY}\n")).collect::<String>()).unwrap();
    }

    #[test]
    fn a_key_that_was_not_printed_is_asked_for_at_once_and_then_not_again_and_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys");
        let command = vec!["cat".to_owned(), path.to_string_lossy().into_owned()];
        let (config, printed) = (KeyConfig { command, ..KeyConfig::default() }, Printed::default());
        let has = |id: &str| printed.keys(Some(id), &config, || ()).unwrap().line(id).is_some();
        print(&path, &["one"]);
        assert!(has("one"));
        print(&path, &["one", "two"]);
        assert!(has("two"));
        print(&path, &["one", "two", "three"]);
        assert!(!has("three") && has("two"));
    }
}
