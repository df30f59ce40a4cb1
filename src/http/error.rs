//! Errors of an HTTP request.

use std::fmt;
use std::time::Duration;

use crate::error_info::{ErrorClass, ErrorInfo};
use crate::time;

pub(super) type Result<T> = std::result::Result<T, HttpError>;

/// No request could be sent, or no response came.
///
/// No variant contains a secret, the query of a URL or the body of a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server could not be reached in time, or the connection broke.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The server's host.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The host's name does not resolve, or the connection is refused or has no route. Nothing was sent.
    #[error("cannot reach {host}: {reason}")]
    NoConnection {
        /// The server's host.
        host: String,
        /// What happened.
        reason: String,
    },
    /// The server's certificate is not valid. Nothing was sent.
    #[error("{host} is not trusted: {problem}")]
    Untrusted {
        /// The server's host.
        host: String,
        /// What is wrong with the certificate.
        problem: CertificateProblem,
    },
    /// The server of an https URL does not speak TLS. Nothing was sent.
    #[error("{host} does not speak TLS, which https:// requires")]
    NotTls {
        /// The server's host.
        host: String,
    },
    /// The server wants a client certificate, and none is configured for it.
    #[error("{host} wants a client certificate")]
    ClientCertificateRequired {
        /// The server's host.
        host: String,
    },
    /// The server refused the client certificate.
    #[error("{host} refused the client certificate: {reason}")]
    ClientCertificateRefused {
        /// The server's host.
        host: String,
        /// What the server says about it.
        reason: String,
    },
    /// The proxy refuses to connect to the server. Nothing was sent.
    #[error("cannot reach {host}: the proxy {proxy} {refusal}")]
    ProxyRefused {
        /// The server's host.
        host: String,
        /// The proxy's host and port.
        proxy: String,
        /// The environment variable that names the proxy, if it is not a setting of the operating system.
        variable: Option<&'static str>,
        /// Why.
        refusal: ProxyRefusal,
    },
    /// The URL is neither https nor on loopback, or it has a user name, a password or a fragment.
    #[error("the URL of {host} {reason}")]
    InvalidUrl {
        /// The URL's host.
        host: String,
        /// What is wrong with it, as the end of the sentence.
        reason: String,
    },
    /// An environment variable names a proxy that cannot be used.
    #[error("cannot use the proxy in {variable}: {reason}")]
    UnusableProxy {
        /// The environment variable.
        variable: String,
        /// What is wrong with it. Never its value, which may hold a password.
        reason: String,
    },
    /// The system has no CA certificates.
    #[error("no CA certificates to verify https with ({reason})")]
    NoRoots {
        /// What happened.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("{action}: {reason}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// What happened.
        reason: String,
    },
}

/// Why a proxy refuses to connect. Another attempt will not help.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyRefusal {
    /// It wants a user name and a password (status 407, RFC 9110, section 15.5.8), and none are configured.
    PasswordRequired {
        /// The scheme of the proxy's URL, such as `socks5h`.
        scheme: &'static str,
    },
    /// It does not accept the user name and the password.
    PasswordRefused,
    /// Its certificate is not valid. Nothing was sent to it.
    Untrusted(CertificateProblem),
    /// Anything else, as the end of a sentence about the proxy.
    Other(String),
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PasswordRequired { .. } => f.write_str("wants a user name and a password"),
            Self::PasswordRefused => f.write_str("refused the user name or the password"),
            Self::Untrusted(problem) => write!(f, "is not trusted: {problem}"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It was issued by an unknown certificate authority.
    UnknownIssuer,
    /// It is the certificate of a certificate authority, which a server must not use (RFC 5280, section 4.2.1.9).
    AuthorityCertificate,
    /// It has expired, if this machine's clock is right.
    Expired {
        /// How long ago.
        since: Duration,
    },
    /// It is not valid yet, if this machine's clock is right.
    NotYetValid {
        /// How long it will take.
        until: Duration,
    },
    /// It is for another host.
    WrongHost {
        /// The hosts that it is for.
        hosts: Vec<String>,
    },
    /// Anything else, in the words of the TLS library.
    Other(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("its certificate was issued by an unknown certificate authority"),
            Self::AuthorityCertificate => {
                f.write_str("it presents a certificate authority's own certificate instead of a server certificate")
            }
            Self::Expired { since } => write!(f, "its certificate expired {} ago", span(*since)),
            Self::NotYetValid { until } => write!(f, "its certificate is not valid before {} from now", span(*until)),
            Self::WrongHost { hosts } => match &hosts[..] {
                [] => f.write_str("its certificate is for no host"),
                [first, second, third, _, ..] => {
                    write!(f, "its certificate is for other hosts ({first}, {second}, {third} and more)")
                }
                hosts => write!(f, "its certificate is for another host ({})", hosts.join(", ")),
            },
            Self::Other(problem) => write!(f, "its certificate is invalid: {problem}"),
        }
    }
}

fn span(duration: Duration) -> String {
    time::span(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}

impl ErrorInfo for HttpError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::NoConnection { .. } => "unreachable",
            Self::Untrusted { .. } => "untrusted",
            Self::NotTls { .. } => "not_tls",
            Self::ClientCertificateRequired { .. } | Self::ClientCertificateRefused { .. } => "client_certificate",
            Self::ProxyRefused {
                refusal: ProxyRefusal::PasswordRequired { .. } | ProxyRefusal::PasswordRefused,
                ..
            } => "proxy_password",
            Self::ProxyRefused { .. } => "proxy_refused",
            Self::InvalidUrl { .. } | Self::UnusableProxy { .. } => "configuration",
            Self::NoRoots { .. } | Self::System { .. } => "system",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } | Self::NoConnection { .. } => ErrorClass::Temporary,
            Self::InvalidUrl { .. }
            | Self::UnusableProxy { .. }
            | Self::ClientCertificateRequired { .. }
            | Self::ClientCertificateRefused { .. }
            | Self::ProxyRefused {
                refusal: ProxyRefusal::PasswordRequired { .. } | ProxyRefusal::PasswordRefused,
                ..
            } => ErrorClass::Configuration,
            Self::Untrusted { .. }
            | Self::NotTls { .. }
            | Self::ProxyRefused { .. }
            | Self::NoRoots { .. }
            | Self::System { .. } => ErrorClass::Permanent,
        }
    }
}
