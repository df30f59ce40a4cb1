//! Errors of a token request.

use std::time::Duration;

use super::token_failure::TokenFailure;
use crate::assertion::{Assertion, AssertionError};
use crate::error_info::{ErrorClass, ErrorInfo};
use crate::http::HttpError;

/// Why a token request failed. The message completes a sentence that begins with the server's host.
///
/// The variants tell whether the credential in the request may be used up, because a refresh token may be single-use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TokenError {
    /// The request cannot be sent until the configuration or the server is fixed.
    #[error("was not contacted ({0})")]
    NotSent(HttpError),
    /// There is no assertion to send.
    #[error("was not contacted ({0})")]
    NoAssertion(AssertionError),
    /// The server did not receive the request, so the credential is unused.
    #[error("could not be reached ({0})")]
    Unreachable(String),
    /// The response was lost. The credential may be used up.
    #[error("sent no usable response ({reason})")]
    ResponseLost {
        /// What happened.
        reason: String,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// No response came within this time. The credential may be used up.
    #[error("did not answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The response is not a token response. The credential may be used up.
    #[error("sent no usable response ({0})")]
    InvalidResponse(String),
    /// The server refused (RFC 6749, section 5.2).
    #[error("{}", refused(*status, error, &with_note(description, assertion.as_deref())))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `error` code, or what stands for it in another format. Empty if none could be read.
        error: String,
        /// Whether the code is the member `error` (RFC 6749, section 5.2) or the type in an error of the Messages API.
        standard: bool,
        /// The cleaned `error_description`. Empty if there is none.
        description: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
        /// The assertion that was sent and whether it had expired, in words.
        assertion: Option<String>,
    },
}

/// A description with a note about the assertion that was sent.
pub(crate) fn with_note(description: &str, assertion: Option<&str>) -> String {
    match assertion {
        Some(assertion) if description.is_empty() => assertion.to_owned(),
        Some(assertion) => format!("{description} ({assertion})"),
        None => description.to_owned(),
    }
}

fn refused(status: u16, error: &str, description: &str) -> String {
    let parts = [error, description].into_iter().filter(|part| !part.is_empty());
    parts.fold(format!("answered {status}"), |what, part| what + ": " + part)
}

impl TokenError {
    pub(super) fn lost(reason: impl Into<String>) -> Self {
        Self::ResponseLost { reason: reason.into(), status: None, retry_after: None }
    }

    /// The error of a request with this assertion. `now` is the time in Unix seconds.
    pub(crate) fn with_assertion(mut self, sent: &Assertion, now: i64) -> Self {
        if let Self::Refused { assertion, .. } = &mut self {
            let sent = sent.described(now);
            *assertion = Some(assertion.take().map_or(sent.clone(), |client| format!("{client}; {sent}")));
        }
        self
    }

    /// The error as it is stored and reported.
    pub(crate) fn failure(&self) -> TokenFailure {
        let status = match self {
            Self::ResponseLost { status, .. } => *status,
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        };
        let invalid_target = matches!(self, Self::Refused { error, .. } if error == "invalid_target");
        let (temporary, retry_after) = (self.is_temporary(), self.retry_after());
        TokenFailure { description: self.to_string(), temporary, status, invalid_target, retry_after }
    }

    /// Whether the grant is invalid, which ends a session (RFC 6749, section 5.2). Some servers send it with a 401.
    /// With any other status or in another format, it may come from a proxy or a failing server.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 401, error, standard: true, .. } if error == "invalid_grant")
    }

    /// Whether the client was refused. Its authentication comes before the grant (RFC 6749, section 3.2.1), so the
    /// grant is not used up. Some servers send `unauthorized_client`, or a 403.
    pub(super) fn is_client_refused(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 401 | 403, error, .. } if is_client_error(error))
    }

    pub(super) fn names_an_error(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if !error.is_empty())
    }

    fn is_temporary(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::NoAssertion(error) => error.class() == ErrorClass::Temporary,
            Self::Unreachable(_) | Self::InvalidResponse(_) | Self::TimedOut(_) | Self::ResponseLost { .. } => true,
            // Error codes of the authorization endpoint (RFC 6749, section 4.1.2.1) and of the device flow (RFC 8628,
            // section 3.5) that some servers use here, too.
            Self::Refused { status, error, .. } => {
                let passing = matches!(&**error, "temporarily_unavailable" | "server_error" | "slow_down");
                passing || matches!(status, 408 | 409 | 425 | 429 | 500..)
            }
        }
    }
}

impl ErrorInfo for TokenError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSent(error) => error.code(),
            Self::NoAssertion(error) => error.code(),
            Self::Unreachable(_) => "unreachable",
            Self::ResponseLost { .. } | Self::InvalidResponse(_) => "invalid_response",
            Self::TimedOut(_) => "deadline_exceeded",
            Self::Refused { error, .. } if is_client_error(error) => "invalid_client",
            Self::Refused { .. } => "token_refused",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NotSent(error) => error.class(),
            Self::NoAssertion(error) => error.class(),
            Self::Refused { error, .. } if is_client_error(error) => ErrorClass::Configuration,
            _ if self.is_final() => ErrorClass::SignIn,
            _ if self.is_temporary() => ErrorClass::Temporary,
            _ => ErrorClass::Permanent,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ResponseLost { retry_after, .. } | Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Whether an error code is about the client or its authentication (RFC 6749, sections 4.1.2.1 and 5.2).
pub(crate) fn is_client_error(error: &str) -> bool {
    matches!(error, "invalid_client" | "unauthorized_client")
}

/// Whether a refusal is about the redirect URI. RFC 6749 has no code for it: some servers have a code of their own,
/// others name it in the description of a more general code.
pub(super) fn is_redirect_mismatch(error: &str, description: &str) -> bool {
    match error {
        "redirect_uri_mismatch" | "invalid_redirect_uri" => true,
        "invalid_grant" | "invalid_request" => {
            let description = description.to_ascii_lowercase();
            description.contains("redirect_uri") || description.contains("redirect uri")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_happened() {
        let refused = |assertion| TokenError::Refused {
            status: 404,
            error: String::new(),
            standard: false,
            description: "no".into(),
            retry_after: None,
            assertion,
        };
        let sent = Some("the assertion from /run/token expired 5 minutes ago".to_owned());
        for (error, message, temporary) in [
            (TokenError::TimedOut(Duration::from_secs(30)), "did not answer within 30 seconds", true),
            (TokenError::Unreachable("refused".into()), "could not be reached (refused)", true),
            (TokenError::lost("cut"), "sent no usable response (cut)", true),
            (refused(None), "answered 404: no", false),
            (refused(sent), "answered 404: no (the assertion from /run/token expired 5 minutes ago)", false),
        ] {
            let failure = error.failure();
            assert_eq!((&*failure.description, failure.temporary), (message, temporary));
        }
    }

    #[test]
    fn a_mismatch_is_told_by_its_code_or_by_its_description() {
        for (error, description, mismatch) in [
            ("redirect_uri_mismatch", "", true),
            ("invalid_redirect_uri", "", true),
            ("invalid_grant", "the redirect_uri is not the same", true),
            ("invalid_grant", "Redirect URI does not match", true),
            ("invalid_request", "Invalid parameter: REDIRECT_URI", true),
            ("invalid_grant", "this code was redeemed before the redirect ended", false),
            ("invalid_request", "too many redirects", false),
            ("access_denied", "not for this redirect_uri", false),
            ("my_redirect_uri_policy", "", false),
            ("invalid_scope", "", false),
        ] {
            assert_eq!(is_redirect_mismatch(error, description), mismatch, "{error}: {description}");
        }
    }
}
