//! Hints for errors of sessions, their store and their key.

use std::io::{self, ErrorKind};
use std::path::Path;

use nexus::error::{AssertionError, DiscoveryError, HttpError, KeyError, ProviderError, SessionError};
use nexus::key::KeyOrigin;
use nexus::store::{FileProblem, ServerProblem, StoreError};

use super::provider::{run_start, run_start_current};
use super::sign_in::{assertion_hint, client_hint, discovery_hint, http_hint, provider_hint};
use super::untrusted::untrusted_hint;
use super::{FIX_AND_REPEAT, wait_time};
use crate::cli::config::document::header;
use crate::cli::quoted::quoted;

pub(crate) fn session_hint(error: &SessionError) -> String {
    match error {
        SessionError::NotSignedIn { provider, others } => not_signed_in_hint(provider, others),
        SessionError::RefreshRefused { provider, failure, .. } if failure.invalid_target => {
            format!(
                "fix `resource` under {section} in config.toml; if that does not help, {}",
                run_start(provider),
                section = header(provider)
            )
        }
        SessionError::Ended { provider, .. }
        | SessionError::NoRefreshToken { provider, .. }
        | SessionError::RefreshRefused { provider, .. } => run_start(provider),
        SessionError::NoIdToken { provider } => format!(
            "set `scopes` with \"openid\" under {section} in config.toml, then {}",
            run_start(provider),
            section = header(provider)
        ),
        SessionError::BoundElsewhere { provider, .. } => {
            format!("undo the change, or {} to sign in there", run_start(provider))
        }
        SessionError::NotFetched { failure, .. } if failure.temporary => {
            format!("try again in {}", wait_time(failure.retry_after))
        }
        SessionError::NotFetched { grant: "token_command", .. } => {
            "run that command yourself to see why it prints no token".into()
        }
        SessionError::NotFetched { provider, grant: "client_credentials", .. } => format!(
            "allow this grant for the client at the server; `scopes`, `audience` and `resource` under {section} in \
             config.toml control the request",
            section = header(provider)
        ),
        SessionError::NotFetched { provider, grant: "jwt-bearer" | "token-exchange", .. } => format!(
            "bring a new assertion, and check that the server trusts its issuer; `scopes`, `audience` and `resource` \
             under {section} in config.toml control the request",
            section = header(provider)
        ),
        SessionError::RefreshFailed { failure, .. } => format!("try again in {}", wait_time(failure.retry_after)),
        SessionError::ClientRefused { provider, .. } => client_hint(provider),
        SessionError::DoesNotOpen { .. } => format!("restore the right key, or {}", sign_in_again()),
        SessionError::Moved { provider, to, is_finished } => moved_hint(provider, to, *is_finished),
        SessionError::SameStore { .. } => {
            "there is nothing to move; pass two different stores, or change NEXUS_STORE, `store` or `store_file` if only \
             the address of the store has changed"
                .into()
        }
        SessionError::Occupied { .. } => {
            "sign out in one of the two stores with `nexus oauth logout`, then run the command again".into()
        }
        SessionError::OwnerTaken { .. } => {
            "set NEXUS_OWNER to another owner for the session without one, or sign out of one of the two with `nexus oauth \
             logout`, then run the command again"
                .into()
        }
        SessionError::OtherKey { .. } => {
            "both stores need one key: copy the key file of the store that has sessions to the place of the other one's, \
             then run the command again"
                .into()
        }
        SessionError::Abandoned(_) => "run the command again".into(),
        SessionError::Store(error) => store_hint(error, session_file()),
        SessionError::Key(error) => key_hint(error),
        SessionError::NotSent(error) => {
            let error: &(dyn std::error::Error + 'static) = &**error;
            let of_http = error.downcast_ref::<HttpError>().map(http_hint);
            let of_provider = || error.downcast_ref::<ProviderError>().map(|error| provider_hint(error, &[]));
            let of_assertion = || error.downcast_ref::<AssertionError>().map(assertion_hint);
            let of_discovery = || error.downcast_ref::<DiscoveryError>().map(discovery_hint);
            // The session that assertions come from.
            let of_session = || error.downcast_ref::<SessionError>().map(session_hint);
            of_http
                .or_else(of_provider)
                .or_else(of_assertion)
                .or_else(of_discovery)
                .or_else(of_session)
                .unwrap_or_else(|| FIX_AND_REPEAT.into())
        }
        _ => FIX_AND_REPEAT.into(),
    }
}

/// The hint if there is no session. `others` are the providers with a session.
pub(crate) fn not_signed_in_hint(provider: &str, others: &[String]) -> String {
    match others {
        [] => run_start(provider),
        [other, ..] => format!(
            "to use {}, pass `--provider {other}`, or set `default = \"{other}\"` at the top of config.toml; otherwise \
             {}",
            others.join(" or "),
            run_start(provider)
        ),
    }
}

/// The hint if the session is in the store with the name `to`.
fn moved_hint(provider: &str, to: &str, is_finished: bool) -> String {
    let how = match to.contains("://") {
        true => "set NEXUS_STORE, or `store` or `store_file` at the top of config.toml",
        false => {
            "unset NEXUS_STORE, and remove `store` and `store_file` from config.toml; a file is used if it is \
             `sessions.db` in the data folder that `nexus config show` names"
        }
    };
    match is_finished {
        true => format!("use that store: {how}; to sign in here anew, {}", run_start(provider)),
        false => format!("use that store: {how}; if the move was interrupted, run the same `nexus store move` again"),
    }
}

fn sign_in_again() -> String {
    format!("{} to sign in again", run_start_current())
}

/// The parts of a hint about a store that depend on what is stored.
#[derive(Debug)]
pub(crate) struct FileHints {
    /// What follows "free some space".
    pub(crate) then: &'static str,
    pub(crate) if_damaged: String,
}

fn session_file() -> FileHints {
    FileHints {
        then: ", then run the command again",
        if_damaged: format!("move it away, then {} to sign in again", run_start_current()),
    }
}

pub(crate) fn store_hint(error: &StoreError, hints: FileHints) -> String {
    match error {
        StoreError::Busy { .. } => "try again; if it keeps failing, look for a hung nexus process".into(),
        StoreError::File { problem, .. } => file_hint(problem, hints),
        StoreError::Superseded | StoreError::LockLost | StoreError::Unavailable(_) => "try again".into(),
        StoreError::Server { problem, .. } => server_hint(problem).into(),
        _ => format!("fix that{}", hints.then),
    }
}

fn server_hint(problem: &ServerProblem) -> &'static str {
    match problem {
        ServerProblem::Unreachable(_) => "start the server or repair the network, then run the command again",
        ServerProblem::TooManyConnections => {
            "try again; raise `max_connections` of the server, or put a pooler before it"
        }
        ServerProblem::Untrusted(_) => {
            "correct the host in the store's URL, or name the server's certificate authority with `sslrootcert=FILE`"
        }
        ServerProblem::NoTls => "turn on TLS at the server; on loopback, add `?sslmode=disable` to the store's URL",
        ServerProblem::Authorities(_) => {
            "correct `sslrootcert` in the store's URL: it names a PEM file with the server's certificate authority"
        }
        ServerProblem::Refused(_) => {
            "correct the user, the password, the database or the parameters in the store's URL"
        }
        ServerProblem::NotPermitted(_) | ServerProblem::MissingRights(_) => {
            "grant this user the rights that `nexus store schema` lists; `nexus store migrate` needs a user that may \
             create tables"
        }
        ServerProblem::ReadOnlyUser => {
            "use a user that may write, or run `ALTER ROLE ... RESET default_transaction_read_only`"
        }
        ServerProblem::NoVersion => {
            "insert the version that the tables have (`nexus store schema` shows how), then run `nexus store migrate`"
        }
        ServerProblem::NoTables | ServerProblem::OlderVersion { .. } => "run `nexus store migrate`",
        ServerProblem::NewerVersion { .. } => "upgrade nexus",
        _ => "see the server's log",
    }
}

fn file_hint(problem: &FileProblem, hints: FileHints) -> String {
    let cure = match problem {
        FileProblem::DiskFull => "free some space",
        FileProblem::QuotaExceeded => "delete some of your files",
        FileProblem::FileTooLarge { .. } => "raise the file size limit (`ulimit -f`)",
        FileProblem::NotWritable => "make both writable",
        FileProblem::Locked => "wait for that process, or stop it",
        FileProblem::Damaged | FileProblem::ForeignSchema => return hints.if_damaged,
        FileProblem::Untrusted(problem) => return untrusted_hint(problem),
        FileProblem::NewerVersion { .. } => return "upgrade nexus".into(),
        FileProblem::Journal(_) => return "remove that file if it is not yours, then run the command again".into(),
        FileProblem::Lock(_) => return "make the folder writable, then run the command again".into(),
        FileProblem::Folder { existing, .. } => {
            return format!(
                "make {} a folder that you can write to, or set NEXUS_HOME to another folder",
                existing.display()
            );
        }
        FileProblem::Refused(_) => {
            "make sure that it is a file and no link, and that you own it and its folder and can write to them"
        }
        _ => "fix that",
    };
    format!("{cure}{}", hints.then)
}

/// How a machine gets a key that others have.
fn take_over(origin: &KeyOrigin) -> String {
    match origin {
        KeyOrigin::File(path) => {
            format!("copy the line of this key to {} from a machine that has it", path.display())
        }
        KeyOrigin::Command(_) => "make key_command print this key too".into(),
    }
}

/// The cure for a file or a folder of nexus that its user cannot open.
pub(crate) fn own_file(path: &Path, mode: u32) -> String {
    format!("make sure that you own it, and run `chmod {mode} {}`", quoted(&path.to_string_lossy()))
}

/// Whether nexus refused a link, a folder or a device itself.
fn is_no_file(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

fn key_hint(error: &KeyError) -> String {
    let replace = |path: &Path| format!("remove {} and {}", path.display(), sign_in_again());
    match error {
        KeyError::Missing { .. } => format!("restore the key file, or {}", sign_in_again()),
        KeyError::Unreadable { path, source } if is_no_file(source) => format!(
            "replace {} with a file of your own, or set `key = \"command\"` and `key_command = [\"cat\", \"FILE\"]` with the \
             file that is meant",
            path.display()
        ),
        KeyError::Unreadable { path, source } if source.kind() == ErrorKind::PermissionDenied => own_file(path, 600),
        KeyError::Unreadable { path, .. } => {
            format!("restore the key file from a backup or another machine, or {}", replace(path))
        }
        KeyError::NotAKey { origin: KeyOrigin::File(path), .. } => format!(
            "correct the line, or restore the file from a backup or another machine; if there is none, move {} away and {}",
            path.display(),
            sign_in_again()
        ),
        KeyError::KeyringEntryMissing { path, .. } => format!("restore the right key, or {}", replace(path)),
        KeyError::CommandTimedOut { .. } => "find out what it waits for, then run the command again".into(),
        KeyError::NotAKey { .. } | KeyError::CommandFailed { .. } => {
            "make key_command print the keys, one `ID BASE64` a line, then run the command again".into()
        }
        KeyError::NotHere { origin, is_shared: false, .. } => {
            let restore = match origin {
                KeyOrigin::File(_) => "restore the right key",
                KeyOrigin::Command(_) => "make key_command print this key too",
            };
            format!("{restore}, or {}", sign_in_again())
        }
        KeyError::NotHere { origin, .. } | KeyError::ActiveNotHere { origin, .. } => format!(
            "{} (`nexus key show` lists its keys); if no machine has it, make another one active (`nexus key add`, `nexus key \
             activate ID`) and sign in again",
            take_over(origin)
        ),
        KeyError::Unknown { origin, .. } => format!("{}; `nexus key show` lists the keys", take_over(origin)),
        KeyError::Active { .. } => {
            "make another key active with `nexus key activate ID`, and run `nexus key reseal`, before you retire it".into()
        }
        KeyError::InUse { .. } => "run `nexus key reseal`, then run the command again".into(),
        KeyError::FromCommand { .. } => {
            "run `nexus key add --out FILE`, and make key_command print the line of that file too; the first key that it prints \
             is the active one, unless the store is a PostgreSQL database"
                .into()
        }
        KeyError::Mismatch { path, configured, found } => format!(
            "if you changed `key` in config.toml, run `nexus key move {}` and check the accounts that it shows, or \
             set `key = \"{}\"`; if you did not put this file there, {}",
            configured.as_str(),
            found.as_str(),
            replace(path)
        ),
        KeyError::Untrusted { problem, .. } => untrusted_hint(problem),
        KeyError::NoPassphrase => {
            "set `passphrase_file = \"...\"` or `passphrase_command = [\"...\"]` at the top of config.toml".into()
        }
        KeyError::PassphraseMissing { .. } => {
            "fix `passphrase_file` or `passphrase_command` in config.toml, then run the command again".into()
        }
        KeyError::WrongPassphrase { path } => format!(
            "fix `passphrase_file` or `passphrase_command` in config.toml; if the passphrase is lost, {}",
            replace(path)
        ),
        KeyError::KeyringUnusable { path, .. } => {
            format!("{USE_KEYRING}; or {}", replace(path))
        }
        KeyError::KeyringRefused { .. } => format!("{USE_KEYRING}; or run `nexus key move passphrase`"),
        KeyError::Unwritable { problem: FileProblem::Refused(_), .. } => {
            "make sure that you own its folder and can write to it, then run the command again".into()
        }
        KeyError::Unwritable { problem, .. } | KeyError::Folder { problem, .. } => file_hint(problem, session_file()),
        KeyError::Lock { source: None, .. } => "look for a hung nexus process, then run the command again".into(),
        KeyError::Lock { .. } => "make the folder writable, then run the command again".into(),
        _ => FIX_AND_REPEAT.into(),
    }
}

const USE_KEYRING: &str = if cfg!(feature = "keyring") {
    "unlock the keyring, then run the command again"
} else {
    "install nexus with keyring support: `cargo install --locked --features keyring --path .` in its source, then run \
     the command again"
};
