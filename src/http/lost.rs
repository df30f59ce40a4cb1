//! Why a request brought no answer: told from reqwest's errors and those of rustls inside them.

use std::error::Error;

use super::CONNECT_TIMEOUT;
use crate::clean;
use crate::failure::Failure;
use crate::provider::{self, Url};

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Lost {
    /// The server could not prove who it is, so it was sent nothing.
    Untrusted(String),
    /// What answered there does not speak TLS, so it was sent nothing.
    NotTls,
    /// No connection came about, so the server has seen nothing of it.
    NeverSent(String),
    /// The connection was there; what the server has seen is unknown.
    PerhapsSent(String),
    /// There was no answer in the time that the request had.
    TooLate,
}

impl Lost {
    /// As a failure to reach this URL's host.
    pub fn at(self, url: &Url) -> Failure {
        let host = provider::host(url);
        match self {
            Lost::Untrusted(why) => Failure::Untrusted { host, why },
            Lost::NotTls => Failure::NotTls { host },
            Lost::NeverSent(why) | Lost::PerhapsSent(why) => Failure::Unreachable { host, why },
            Lost::TooLate => Failure::Unreachable { host, why: "no answer in time".into() },
        }
    }
}

/// What is known about a request that failed. reqwest's own text would show the URL.
pub(super) fn lost(error: reqwest::Error) -> Lost {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        if error.is_timeout() {
            return Lost::NeverSent(format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()));
        }
        if matches!(tls(&error), Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))) {
            return Lost::NotTls;
        }
        match bad_certificate(&error) {
            Some(rustls::CertificateError::UnknownIssuer) => {
                Lost::Untrusted("its certificate is from an authority that this machine does not know".into())
            }
            // What is trusted to vouch for others is none of a server's own (RFC 5280, section 4.2.1.9).
            Some(certificate) if certificate.to_string().contains("CaUsedAsEndEntity") => Lost::Untrusted(
                "its certificate is an authority's own, and must be one that the authority signed for this server"
                    .into(),
            ),
            Some(certificate) => Lost::Untrusted(clean::clean(&format!("its certificate: {certificate}"))),
            None => Lost::NeverSent(clean::clean(&root_cause(&error))),
        }
    } else if error.is_timeout() {
        Lost::TooLate
    } else {
        Lost::PerhapsSent(clean::clean(&root_cause(&error)))
    }
}

/// The innermost cause, which is the one that says what happened ("Connection refused").
pub fn root_cause(error: &dyn Error) -> String {
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
