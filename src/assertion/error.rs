//! Errors of assertions.

use std::path::PathBuf;

use crate::credential_command::CommandError;
use crate::error_info::{ErrorClass, ErrorInfo};
use crate::provider::tls::TlsError;
use crate::trusted_file::Untrusted;

/// Why there is no assertion to send.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// The file of an assertion or of a key cannot be read.
    #[error("{}: {description}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        description: String,
    },
    /// Another user can change the file of an assertion or of a key, or replace it.
    #[error("{}: {problem}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why it is not trusted.
        #[source]
        problem: Untrusted,
    },
    /// The file does not contain one assertion.
    #[error("{}: {description}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        description: String,
    },
    /// The command printed no assertion.
    #[error("the command `{program}`, which prints the assertion, {problem}")]
    Command {
        /// The name of the program.
        program: String,
        /// What happened.
        problem: CommandError,
    },
    /// The text, or what the command printed, is no assertion.
    #[error("the assertion {origin} {description}")]
    InvalidText {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        description: String,
    },
    /// The file does not contain a private key that can sign.
    #[error("{}: the file {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: TlsError,
    },
    /// The client authenticates with an assertion, and none is configured.
    #[error("the client authenticates with private_key_jwt, but no key or assertion is configured")]
    NotConfigured,
    /// The operating system has no random numbers, or the key could not sign.
    #[error("no assertion could be signed: {description}")]
    System {
        /// What happened.
        description: String,
    },
}

impl ErrorInfo for AssertionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Untrusted { .. } => "untrusted_file",
            Self::NotConfigured => "configuration",
            Self::System { .. } => "system",
            _ => "no_assertion",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Command { problem: CommandError::TimedOut(_), .. } => ErrorClass::Temporary,
            Self::Command { problem: CommandError::Failed(_) | CommandError::System(_), .. } | Self::System { .. } => {
                ErrorClass::Permanent
            }
            _ => ErrorClass::Configuration,
        }
    }
}
