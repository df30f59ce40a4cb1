//! Hints for errors of sessions, their store and their key.

use std::path::Path;

use nexus::internal::provider::BUILT_IN;
use nexus::internal::session::SessionError;
use nexus::internal::session::key::KeyError;
use nexus::internal::store::{FileProblem, StoreError};
use nexus::internal::time;

/// What to do about a session error. `option` is what a command needs so that the session's provider is meant:
/// ` --provider NAME`, or nothing.
pub(crate) fn session_hint(error: &SessionError, option: &str) -> String {
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
pub(crate) struct After {
    /// The end of "free some space".
    pub(crate) otherwise: &'static str,
    /// What to do with a damaged file.
    pub(crate) if_damaged: &'static str,
}

/// For the sessions' file.
pub(crate) const AFTER_SESSIONS: After = After {
    otherwise: ", then run the command again",
    if_damaged: "move it away, then run `nexus oauth start` to sign in anew",
};

/// What to do about a store's error.
pub(crate) fn store_hint(error: &StoreError, after: After) -> String {
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
pub(crate) fn key_hint(error: &KeyError, option: &str) -> String {
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
