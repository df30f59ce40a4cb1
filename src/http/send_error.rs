//! Why a request brought no response, read from reqwest's errors and those of rustls inside them.

use std::error::Error;

use super::CONNECT_TIMEOUT;
use super::error::{CertificateProblem, HttpError};
use crate::clean;
use crate::provider::{self, Url};

/// Why a request brought no response.
#[derive(Debug, Clone, PartialEq)]
pub enum SendError {
    /// The server could not prove who it is, so it was sent nothing.
    Untrusted(CertificateProblem),
    /// What answered there does not speak TLS, so it was sent nothing.
    NotTls,
    /// No connection came about, so the server has seen nothing of it.
    NeverSent(String),
    /// The connection was there; what the server has seen is unknown.
    PerhapsSent(String),
    /// There was no answer in the time that the request had.
    TooLate,
}

impl SendError {
    /// The error for a request to this URL, without the difference between sent and not sent.
    pub fn at(self, url: &Url) -> HttpError {
        let host = provider::host(url);
        match self {
            Self::Untrusted(problem) => HttpError::Untrusted { host, problem },
            Self::NotTls => HttpError::NotTls { host },
            Self::NeverSent(reason) | Self::PerhapsSent(reason) => HttpError::Unreachable { host, reason },
            Self::TooLate => HttpError::Unreachable { host, reason: "no response in time".into() },
        }
    }
}

/// What is known about a request that failed. reqwest's own text would show the URL.
pub(super) fn send_error(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        if error.is_timeout() {
            return SendError::NeverSent(format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()));
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
            None => SendError::NeverSent(clean::clean(&root_cause(&error))),
        }
    } else if error.is_timeout() {
        SendError::TooLate
    } else {
        SendError::PerhapsSent(clean::clean(&root_cause(&error)))
    }
}

/// The innermost cause, which is the one that says what happened ("Connection refused").
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

/// What is wrong with the server's certificate, if that is what is wrong.
fn bad_certificate<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::CertificateError> {
    match tls(error) {
        Some(rustls::Error::InvalidCertificate(certificate)) => Some(certificate),
        _ => None,
    }
}

/// What went wrong with TLS, if that is what went wrong.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    // rustls's error travels inside one io::Error inside another, and the `source` of each skips the
    // one it holds.
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.and_then(|held| tls(held)).or_else(|| error.source().and_then(tls))
}
