//! Why a request got no response, read from the errors of reqwest and rustls.

use std::error::Error;

use super::CONNECT_TIMEOUT;
use super::error::{CertificateProblem, HttpError};
use crate::clean;
use crate::provider::{self, Url};

/// Why a request got no response.
#[derive(Debug, Clone, PartialEq)]
pub enum SendError {
    /// The server's certificate is invalid. Nothing was sent.
    Untrusted(CertificateProblem),
    /// The server does not speak TLS. Nothing was sent.
    NotTls,
    /// The host's name does not resolve, or the connection is refused or has no route. Nothing was sent.
    NoConnection(String),
    /// No connection could be made otherwise, such as in time. Nothing was sent.
    NotSent(String),
    /// The connection failed later. The server may have received the request.
    MaybeSent(String),
    /// There was no response within the request's timeout.
    TimedOut,
}

impl SendError {
    /// The error for callers that need not know whether the request was sent.
    pub fn at(self, url: &Url) -> HttpError {
        let host = provider::host(url);
        match self {
            Self::Untrusted(problem) => HttpError::Untrusted { host, problem },
            Self::NotTls => HttpError::NotTls { host },
            Self::NoConnection(reason) => HttpError::NoConnection { host, reason },
            Self::NotSent(reason) | Self::MaybeSent(reason) => HttpError::Unreachable { host, reason },
            Self::TimedOut => HttpError::Unreachable { host, reason: "no response in time".into() },
        }
    }
}

/// Converts reqwest's error, whose own message would show the URL.
pub(super) fn send_error(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        if error.is_timeout() {
            return SendError::NotSent(format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()));
        }
        if matches!(tls(&error), Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))) {
            return SendError::NotTls;
        }
        match bad_certificate(&error) {
            Some(rustls::CertificateError::UnknownIssuer) => SendError::Untrusted(CertificateProblem::UnknownIssuer),
            // rustls has no variant of its own for it.
            Some(certificate) if certificate.to_string().contains("CaUsedAsEndEntity") => {
                SendError::Untrusted(CertificateProblem::AuthorityCertificate)
            }
            Some(certificate) => {
                SendError::Untrusted(CertificateProblem::Other(clean::clean(&certificate.to_string())))
            }
            None if !error.is_connect() || broke(&error) || tls(&error).is_some() => {
                SendError::NotSent(clean::clean(&root_cause(&error)))
            }
            None => SendError::NoConnection(clean::clean(&root_cause(&error))),
        }
    } else if error.is_timeout() {
        SendError::TimedOut
    } else {
        SendError::MaybeSent(clean::clean(&root_cause(&error)))
    }
}

/// The message of the innermost cause, such as "Connection refused".
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

pub(super) fn unknown_issuer(error: &(dyn Error + 'static)) -> bool {
    matches!(bad_certificate(error), Some(rustls::CertificateError::UnknownIssuer))
}

/// Whether a connection was made, and broke before it could be used.
fn broke(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof))
        || error.source().is_some_and(broke)
}

/// The certificate error, if it is one.
fn bad_certificate<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::CertificateError> {
    match tls(error) {
        Some(rustls::Error::InvalidCertificate(certificate)) => Some(certificate),
        _ => None,
    }
}

/// The TLS error, if it is one.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    // rustls's error is inside nested `io::Error`s, whose `source` skips the error they hold.
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.and_then(|held| tls(held)).or_else(|| error.source().and_then(tls))
}
