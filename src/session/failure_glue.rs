//! Turns this module's errors into [`Failure`] for the callers that still return it.

use std::path::{Path, PathBuf};

use super::error::SessionError;
use super::key::KeyError;
use crate::error::{ErrorClass, ErrorInfo as _};
use crate::failure::Failure;
use crate::http::HttpError;
use crate::oauth::Failed;
use crate::provider::{BUILT_IN, Name};
use crate::store::{FileProblem, StoreError};
use crate::time;

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        failure(error, &Name::from(BUILT_IN))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        SessionError::Store(error).into()
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        SessionError::Key(error).into()
    }
}

/// An error as a failure of a session with this provider.
pub(crate) fn failure(error: SessionError, name: &Name) -> Failure {
    let cure = session_hint(&error, &name.option());
    let provider = name.clone();
    match error {
        SessionError::NotSignedIn { others, .. } => Failure::NotSignedIn { provider, others },
        SessionError::Ended { at, cut_off, .. } => Failure::SessionEnded { provider, at, cut_off },
        SessionError::NoRefreshToken { expired_at, now, .. } => Failure::NoRefreshToken { provider, expired_at, now },
        SessionError::BoundElsewhere { setting, bound, configured, .. } => {
            Failure::SessionElsewhere { provider, setting, was: bound, is: configured }
        }
        SessionError::RefreshFailed { host, failure, .. } => {
            let failed = Failed {
                why: failure.description,
                temporary: failure.temporary,
                status: failure.status,
                retry_after: failure.retry_after.map(time::rounded_up),
            };
            Failure::RefreshFailed { provider, host, failed }
        }
        SessionError::ClientRefused { client_id, host, description, .. } => {
            Failure::ClientRefused { provider, client_id, host, said: description }
        }
        SessionError::Store(StoreError::Busy { waited }) => Failure::Busy { waited: time::rounded_up(waited) },
        SessionError::Key(KeyError::NoPassphrase) => Failure::Configuration { sentence: error.to_string(), cure },
        SessionError::NotSent(error) => {
            let dynamic: &(dyn std::error::Error + 'static) = &*error;
            match dynamic.downcast_ref::<HttpError>() {
                Some(error) => error.clone().into(),
                None => Failure::System { sentence: error.to_string() },
            }
        }
        SessionError::Store(_) | SessionError::Key(_) | SessionError::DoesNotOpen { .. } => {
            let sentence = error.to_string();
            // Every such sentence begins with its path.
            let (path, why) = sentence.split_once(": ").unwrap_or(("", &sentence));
            let (path, why) = (PathBuf::from(path), why.to_owned());
            match error {
                SessionError::Key(KeyError::System { .. }) => Failure::System { sentence },
                _ if error.class() == ErrorClass::Temporary => Failure::Locked { path, why, cure },
                _ => Failure::Store { path, why, cure },
            }
        }
        SessionError::Seal(_) | SessionError::Abandoned(_) => Failure::System { sentence: error.to_string() },
    }
}

/// What to do about a session error. `option` is what a command needs so that the session's provider is meant:
/// ` --provider NAME`, or nothing.
fn session_hint(error: &SessionError, option: &str) -> String {
    let start = format!("run `nexus oauth start{option}`");
    match error {
        SessionError::NotSignedIn { others, .. } => match &**others {
            [] => start,
            [other, ..] => format!(
                "you are signed in to {}: say `--provider {other}`, or write `default = \"{other}\"` at the top of \
                 config.toml; or {start}",
                others.join(", "),
            ),
        },
        SessionError::Ended { .. } | SessionError::NoRefreshToken { .. } => start,
        SessionError::BoundElsewhere { .. } => format!("undo the change, or {start} to sign in there"),
        SessionError::RefreshFailed { failure, .. } if failure.temporary => {
            let wait = failure.retry_after.map_or_else(|| "a minute".into(), |wait| time::span(time::rounded_up(wait)));
            format!("try again in {wait}")
        }
        SessionError::RefreshFailed { .. } => format!("if it stays so, {start}"),
        SessionError::ClientRefused { provider, .. } if provider == BUILT_IN => {
            "compare CLAUDE_CODE_CLIENT_ID and CLAUDE_CODE_CLIENT_SECRET with the registered client, then run \
             `nexus oauth start`"
                .into()
        }
        SessionError::ClientRefused { provider, .. } => format!(
            "compare `client_id`, `client_secret` and `client_auth` under [provider.{provider}] with the registered \
             client, then {start}"
        ),
        SessionError::DoesNotOpen { .. } => format!("put the right key back, or {start} to sign in anew"),
        SessionError::Store(error) => store_hint(error, AFTER_SESSIONS),
        SessionError::Key(error) => key_hint(error, option),
        _ => "mend that, then run the command again".into(),
    }
}

/// What to do about a store once the reason is gone, and if its file is damaged.
#[derive(Debug, Clone, Copy)]
struct After {
    /// The end of "free some space".
    otherwise: &'static str,
    /// What to do with a damaged file.
    if_damaged: &'static str,
}

/// For the sessions' file.
const AFTER_SESSIONS: After = After {
    otherwise: ", then run the command again",
    if_damaged: "move it away, then run `nexus oauth start` to sign in anew",
};

/// What to do about a store's error.
fn store_hint(error: &StoreError, after: After) -> String {
    match error {
        StoreError::Busy { .. } => "try again; if it stays so, look for a hanging nexus process".into(),
        StoreError::File { problem, .. } => file_hint(problem, after),
        StoreError::Superseded | StoreError::LockLost | StoreError::Unavailable(_) => "try again".into(),
        _ => format!("mend that{}", after.otherwise),
    }
}

fn file_hint(problem: &FileProblem, after: After) -> String {
    let cure = match problem {
        FileProblem::DiskFull => "free some space",
        FileProblem::QuotaExceeded => "remove files of yours",
        FileProblem::FileTooLarge { .. } => "raise the limit on the size of files (`ulimit -f`)",
        FileProblem::NotWritable => "make both writable",
        FileProblem::Locked => "wait for that program, or end it",
        FileProblem::Damaged => return after.if_damaged.into(),
        FileProblem::NewerVersion { .. } => return "upgrade nexus".into(),
        FileProblem::Journal(_) => return "find out who put it there, and take it away if it is not yours".into(),
        FileProblem::Lock(_) => return "make the folder writable, then run the command again".into(),
        FileProblem::Folder { existing, .. } => {
            return format!(
                "make {} a folder of yours that can be written to, or set NEXUS_HOME to another one",
                existing.display()
            );
        }
        FileProblem::Refused(_) => "make the file and its folder yours and writable",
        _ => "mend that",
    };
    format!("{cure}{}", after.otherwise)
}

/// What to do about an error of the key.
fn key_hint(error: &KeyError, option: &str) -> String {
    let sign_in = format!("run `nexus oauth start{option}` to sign in anew");
    let start_anew = |path: &Path| format!("remove {} and {sign_in}", path.display());
    match error {
        KeyError::Missing { .. } => format!("put the key file back, or {sign_in}"),
        KeyError::Unreadable { path, .. } | KeyError::NotAKey { path } | KeyError::KeyringEntryMissing { path, .. } => {
            format!("put the right key back, or {}", start_anew(path))
        }
        KeyError::NoPassphrase => {
            "write `passphrase_file = \"...\"` or `passphrase_command = \"...\"` at the top of config.toml".into()
        }
        KeyError::PassphraseMissing { .. } => {
            "mend `passphrase_file` or `passphrase_command` in config.toml, then run the command again".into()
        }
        KeyError::WrongPassphrase { path } => format!(
            "mend `passphrase_file` or `passphrase_command` in config.toml; if the passphrase is lost, {}",
            start_anew(path)
        ),
        KeyError::KeyringUnusable { path, .. } => {
            format!("{WAY_IN} (`nexus key move file` there takes the key out of it), or {}", start_anew(path))
        }
        KeyError::KeyringRefused { .. } => format!("{WAY_IN}, or choose `nexus key move passphrase`"),
        KeyError::Unwritable { problem: FileProblem::Refused(_), .. } => {
            "make its folder yours and writable, then run the command again".into()
        }
        KeyError::Unwritable { problem, .. } | KeyError::Folder { problem, .. } => file_hint(problem, AFTER_SESSIONS),
        KeyError::Lock { .. } => "look for a hanging nexus process, then run the command again".into(),
        _ => "mend that, then run the command again".into(),
    }
}

/// What to do where the keyring cannot be used.
const WAY_IN: &str = if cfg!(feature = "keyring") {
    "run this in a session with an unlocked keyring"
} else {
    "install nexus with it: `cargo install --locked --features keyring --path .` in its source"
};
