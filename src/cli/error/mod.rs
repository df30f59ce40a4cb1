//! Errors of the command line: message, stable code, exit code and hint.
//!
//! The library's errors bring message, code and class. This module adds exit codes and hints, with one file of hints
//! for each family of library errors.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexus::error::{
    ApiError, DiscoveryError, HttpError, KeyError, LocalProxyError, ProviderError, Refusal, SessionError, SignInError,
    Untrusted,
};
use nexus::internal::time;
use nexus::sandbox::BrowserError;
use nexus::store::StoreError;
use nexus::{Error, ErrorClass, ErrorInfo};

mod api;
#[cfg(test)]
mod catalogue;
mod interrupted;
pub(crate) mod json;
mod provider;
pub(crate) mod session;
mod sign_in;
mod untrusted;

pub(crate) use interrupted::Interrupted;
pub(crate) use provider::{Providers, run_start, set_providers};

pub(crate) type Result<T> = std::result::Result<T, CliError>;

/// The hint for failures of the operating system.
const FIX_AND_REPEAT: &str = "fix that, then run the command again";

/// How long to wait before another attempt: what the server asks for, or a minute.
fn wait_time(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(|| "a minute".into(), |wait| time::span(time::rounded_up(wait)))
}

/// Hints about the history file.
fn history_file() -> session::FileHints {
    session::FileHints { then: ", or use --no-history", if_damaged: "move it away to start a new history".into() }
}

/// The exit code of a class of errors, from the table in the README.
pub(crate) fn exit_code(class: ErrorClass) -> u8 {
    match class {
        ErrorClass::Usage | ErrorClass::Configuration => 2,
        ErrorClass::SignIn => 4,
        ErrorClass::Temporary => 75,
        _ => 1,
    }
}

/// The most severe exit code: a permanent failure before a temporary one, and the smaller of two.
pub(crate) fn worst(codes: &[u8]) -> u8 {
    let severity = |code: &u8| (*code != 0, *code != exit_code(ErrorClass::Temporary), u8::MAX - *code);
    codes.iter().copied().max_by_key(severity).unwrap_or(0)
}

/// Why a command failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CliError {
    /// The arguments are wrong.
    #[error("{message}")]
    Usage { message: String, hint: String },
    /// A setting cannot be used.
    #[error("{message}")]
    Configuration { message: String, hint: String },
    /// A file cannot be sent with a question.
    #[error("cannot attach {file}: {reason}")]
    Attachment { file: String, reason: String, hint: String },
    /// No client id is configured, but other providers are.
    #[error("{error}")]
    NoClientId { error: ProviderError, others: Vec<String> },
    /// No way to sign in was chosen, and none works here by itself.
    #[error("cannot sign in to {provider} here: no browser, no usable device flow, and no terminal to paste into")]
    NoWayToSignIn { provider: String },
    /// No model was given or configured, and no Claude model is listed.
    #[error("{}", no_model(provider, listed, unlisted.as_deref()))]
    NoModel {
        provider: String,
        /// The models that it lists, none of which is a Claude model.
        listed: Vec<String>,
        /// The response of an API without a list of models.
        unlisted: Option<Box<Refusal>>,
    },
    /// No stored conversation has this id or prefix, or several have.
    #[error("{}", no_conversation(wanted, *several))]
    NoConversation {
        /// The id as typed, without control characters. Empty if the last conversation was meant.
        wanted: String,
        /// How many ids begin with it.
        several: usize,
    },
    /// The answer does not match the JSON Schema.
    #[error("{}", schema_mismatch(reason, *cut))]
    SchemaMismatch {
        reason: String,
        /// Whether it was cut off at the maximum length.
        cut: bool,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String, hint: String },
    /// Another user can change the file or replace it.
    #[error("{}: {problem}", path.display())]
    Untrusted { path: PathBuf, problem: Untrusted },
    /// Another process writes the output file.
    #[error("{}: another nexus process is writing this file", path.display())]
    OutputBusy { path: PathBuf },
    /// `nexus exec`: there is no such program.
    #[error("cannot run `{command}`: there is no such program")]
    CommandNotFound { command: String },
    /// `nexus exec`: the program cannot be started.
    #[error("cannot run `{command}`: {reason}")]
    CommandNotExecutable { command: String, reason: String },
    /// A line of a batch is not a valid request.
    #[error("line {number} of the input: {reason}")]
    BadLine {
        /// From 1.
        number: u64,
        reason: String,
    },
    /// Some lines of a batch have no answer.
    #[error("{}", incomplete(*missing))]
    Incomplete {
        missing: u64,
        /// Whether all of them may succeed later without a change.
        temporary: bool,
        /// Whether the results are in a file, so that the same command asks only the missing lines.
        resumable: bool,
    },
    /// The operating system failed.
    #[error("{message}")]
    System { message: String },
    /// The history file cannot be read or written.
    #[error(transparent)]
    History(StoreError),
    /// The session could not be deleted from the store.
    #[error("the local session could not be deleted: {0}")]
    NotDeleted(Error),
    /// The library failed.
    #[error(transparent)]
    Library(Error),
    /// Writing to stdout failed.
    #[error("writing to stdout: {0}")]
    Stdout(Arc<io::Error>),
    /// A signal ended the command.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn no_model(provider: &str, listed: &[String], unlisted: Option<&Refusal>) -> String {
    /// The most models that the message names.
    const NAMED: usize = 10;
    match unlisted {
        None if !listed.is_empty() => {
            let names = listed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = match listed.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("no model is set for {provider}, and it lists no Claude model: {names}{more}")
        }
        None => format!("no model is set for {provider}, and it lists none"),
        Some(refusal) => format!("no model is set for {provider}, and it has no list of models: {refusal}"),
    }
}

fn no_conversation(wanted: &str, several: usize) -> String {
    match (wanted, several) {
        ("", _) => "there are no saved conversations".into(),
        (wanted, 0) => format!("no conversation has the id `{wanted}`"),
        (wanted, several) => format!("{several} conversation ids begin with `{wanted}`"),
    }
}

fn schema_mismatch(reason: &str, cut: bool) -> String {
    match cut {
        false => format!("the answer does not match the schema: {reason}"),
        true => format!("the answer was cut off at --max-tokens and does not match the schema: {reason}"),
    }
}

fn incomplete(missing: u64) -> String {
    if missing == 1 { "one line has no answer".into() } else { format!("{missing} lines have no answer") }
}

/// The hint for a proxy that cannot listen.
fn local_proxy_hint(error: &LocalProxyError) -> String {
    match error {
        LocalProxyError::AddressTaken { .. } => "choose another port with --listen, or leave it out for a free one",
        _ => "choose an address on loopback with --listen, such as 127.0.0.1:8080",
    }
    .into()
}

macro_rules! from_library {
    ($($error:ty),+) => {$(
        impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::Library(error.into())
            }
        }
    )+};
}

from_library!(
    Error,
    ApiError,
    SignInError,
    DiscoveryError,
    SessionError,
    StoreError,
    KeyError,
    ProviderError,
    HttpError,
    LocalProxyError
);

impl From<BrowserError> for CliError {
    fn from(error: BrowserError) -> Self {
        Self::System { message: error.to_string() }
    }
}

impl CliError {
    /// A usage error, with the help of `command` as the hint.
    pub(crate) fn usage(command: &str, message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: format!("see `nexus {command} --help`") }
    }

    /// The operating system failed to do `action`, such as "reading stdin".
    pub(crate) fn system<E: Display>(action: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::System { message: format!("{action}: {error}") }
    }

    /// The error of a file that is not trusted, if this is why it could not be read.
    pub(crate) fn untrusted(path: &Path, error: &io::Error) -> Option<Self> {
        let problem = Untrusted::of(error)?.clone();
        Some(Self::Untrusted { path: path.to_owned(), problem })
    }

    /// What is wrong with a file that is not trusted, if that is the error.
    pub(crate) fn untrusted_problem(&self) -> Option<&Untrusted> {
        match self {
            Self::Untrusted { problem, .. } => Some(problem),
            Self::History(error) => untrusted::of_store(error),
            Self::Library(Error::Session(SessionError::Store(error))) => untrusted::of_store(error),
            Self::Library(Error::Session(SessionError::Key(KeyError::Untrusted { problem, .. }))) => Some(problem),
            _ => None,
        }
    }

    /// Writing to stdout failed.
    pub(crate) fn stdout(error: io::Error) -> Self {
        Self::Stdout(Arc::new(error))
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted(Interrupted(signal)) => 128 + signal,
            // As in POSIX shells.
            Self::CommandNotFound { .. } => 127,
            Self::CommandNotExecutable { .. } => 126,
            _ => exit_code(self.class()),
        }
    }

    /// What to type or change next, as the line after the message.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Usage { hint, .. }
            | Self::Configuration { hint, .. }
            | Self::Attachment { hint, .. }
            | Self::File { hint, .. } => hint.clone(),
            Self::NoClientId { error, others } => sign_in::provider_hint(error, others),
            Self::NoWayToSignIn { provider } => sign_in::no_way_hint(provider),
            Self::NoModel { provider, unlisted: Some(_), .. } => api::no_list(provider),
            Self::NoModel { unlisted: None, .. } => "pass --model, or set `model = \"...\"` in config.toml".into(),
            Self::NoConversation { wanted, .. } if wanted.is_empty() => {
                "start one with `nexus chat`; outside a terminal, pass --history to save it".into()
            }
            Self::NoConversation { .. } => "run `nexus history list` to see the ids".into(),
            Self::SchemaMismatch { cut: true, .. } => "raise --max-tokens; --json prints the answer as it came".into(),
            Self::SchemaMismatch { .. } => {
                "ask again, or rephrase the question; --json prints the answer as it came".into()
            }
            Self::Untrusted { problem, .. } => untrusted::untrusted_hint(problem),
            Self::OutputBusy { .. } => "wait until it is done, or pass another file with --out".into(),
            Self::CommandNotFound { .. } => "check the name, and the folders in PATH".into(),
            Self::CommandNotExecutable { .. } => "check that it is a program, and that you may run it".into(),
            Self::BadLine { .. } => "fix the line, then run the same command again".into(),
            Self::Incomplete { temporary, resumable, .. } => {
                let fix = if *temporary { "" } else { "see `error` in the results and fix the cause; " };
                match resumable {
                    true => format!("{fix}run the same command again to ask only the missing lines"),
                    false => format!("{fix}with --out FILE, running the command again asks only the missing lines"),
                }
            }
            Self::System { .. } | Self::Stdout(_) => FIX_AND_REPEAT.into(),
            Self::Interrupted(_) => String::new(),
            Self::History(error) => session::store_hint(error, history_file()),
            Self::Library(error) | Self::NotDeleted(error) => match error {
                Error::Api(error) => api::api_hint(error),
                Error::SignIn(error) => sign_in::sign_in_hint(error),
                Error::Discovery(error) => sign_in::discovery_hint(error),
                Error::Session(error) => session::session_hint(error),
                Error::Provider(error) => sign_in::provider_hint(error, &[]),
                Error::Http(error) => sign_in::http_hint(error),
                Error::LocalProxy(error) => local_proxy_hint(error),
                _ => FIX_AND_REPEAT.into(),
            },
        }
    }

    /// The HTTP response that refused a request.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::NoModel { unlisted, .. } => unlisted.as_deref(),
            Self::Library(Error::Api(error)) => error.refusal(),
            _ => None,
        }
    }

    /// The status of the HTTP response, if there was one.
    pub(crate) fn http_status(&self) -> Option<u16> {
        match self {
            Self::Library(Error::SignIn(SignInError::ExchangeFailed { failure, .. })) => failure.status,
            Self::Library(Error::SignIn(SignInError::RegistrationFailed { failure, .. })) => failure.status,
            Self::Library(Error::Session(
                SessionError::RefreshFailed { failure, .. } | SessionError::RefreshRefused { failure, .. },
            )) => failure.status,
            _ => self.refusal().and_then(|refusal| refusal.status),
        }
    }

    /// Whether the model declined to answer.
    pub(crate) fn is_declined(&self) -> bool {
        matches!(self, Self::Library(Error::Api(ApiError::Declined { .. })))
    }
}

impl ErrorInfo for CliError {
    fn code(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "usage",
            Self::Configuration { .. } => "configuration",
            Self::Attachment { .. } => "attachment",
            Self::NoClientId { error, .. } => error.code(),
            Self::NoWayToSignIn { .. } => "no_way_to_sign_in",
            Self::NoModel { .. } => "no_model",
            Self::NoConversation { .. } => "no_conversation",
            Self::SchemaMismatch { .. } => "schema_mismatch",
            Self::File { .. } => "file",
            Self::Untrusted { .. } => "untrusted_file",
            Self::OutputBusy { .. } => "output_busy",
            Self::CommandNotFound { .. } => "command_not_found",
            Self::CommandNotExecutable { .. } => "command_not_executable",
            Self::BadLine { .. } => "bad_line",
            Self::Incomplete { .. } => "incomplete",
            Self::System { .. } | Self::Stdout(_) => "system",
            Self::Interrupted(_) => "interrupted",
            Self::History(error) => error.code(),
            Self::Library(error) | Self::NotDeleted(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Usage { .. } | Self::Attachment { .. } => ErrorClass::Usage,
            Self::Configuration { .. } | Self::NoModel { .. } | Self::NoClientId { .. } | Self::Untrusted { .. } => {
                ErrorClass::Configuration
            }
            Self::NoWayToSignIn { .. } => ErrorClass::SignIn,
            Self::OutputBusy { .. } | Self::Incomplete { temporary: true, .. } => ErrorClass::Temporary,
            Self::NoConversation { .. }
            | Self::SchemaMismatch { .. }
            | Self::File { .. }
            | Self::CommandNotFound { .. }
            | Self::CommandNotExecutable { .. }
            | Self::BadLine { .. }
            | Self::Incomplete { .. }
            | Self::System { .. }
            | Self::Stdout(_)
            | Self::Interrupted(_) => ErrorClass::Permanent,
            Self::History(error) => error.class(),
            Self::Library(error) | Self::NotDeleted(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Library(error) | Self::NotDeleted(error) => error.retry_after(),
            _ => self.refusal().and_then(|refusal| refusal.retry_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permanent_failure_is_worse_than_a_temporary_one() {
        for (codes, code) in [(&[][..], 0), (&[0, 0], 0), (&[0, 75], 75), (&[75, 1, 0], 1), (&[2, 75], 2), (&[2, 1], 1)]
        {
            assert_eq!(worst(codes), code, "{codes:?}");
        }
    }
}
