//! The interface of all errors: a stable code, a class, and how long to wait.

use std::time::Duration;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The arguments of the call are wrong.
    Usage,
    /// The provider's configuration, or the client's registration, has to change.
    Configuration,
    /// The user has to sign in (again).
    SignIn,
    /// A retry may succeed later.
    Temporary,
    /// Repeating the call does not help.
    Permanent,
}

/// The text as the end of a sentence, after a colon if it is not empty.
pub(crate) fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// A client id for a message. Empty for a client without one.
pub(crate) fn client(id: &str) -> String {
    if id.is_empty() { "a client without an id".into() } else { format!("the client id `{id}`") }
}

/// What the error types of this library have in common.
///
/// ```
/// use nexus::{ErrorClass, ErrorInfo};
///
/// fn http_status(error: &dyn ErrorInfo) -> u16 {
///     match error.class() {
///         ErrorClass::SignIn => 401,
///         ErrorClass::Temporary => 503,
///         _ => 500,
///     }
/// }
/// ```
pub trait ErrorInfo: std::error::Error {
    /// A name for programs, such as `session_ended`. It does not change between releases.
    fn code(&self) -> &'static str;

    /// What the caller can do about it.
    fn class(&self) -> ErrorClass;

    /// How long the server asks to wait before another try (`Retry-After`, RFC 9110, section 10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
