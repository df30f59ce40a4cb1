//! Why a request got no response, read from the errors of hyper and rustls.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;
use rustls::AlertDescription;
use rustls::pki_types::UnixTime;

use super::connections::ProxyError;
use super::error::{CertificateProblem, HttpError, ProxyRefusal};
use super::handshake::HandshakeError;
use super::proxy::Proxy;

use crate::clean;
use crate::provider::{self, Url};

/// Why a request got no response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SendError {
    /// The server's certificate is invalid. Nothing was sent.
    Untrusted(CertificateProblem),
    /// The server does not speak TLS. Nothing was sent.
    NotTls,
    /// The server wants a client certificate, and none was presented. It read nothing of the request.
    ClientCertificateRequired,
    /// The server refused the client certificate for this reason. It read nothing of the request.
    ClientCertificateRefused(String),
    /// The proxy refused to connect. Nothing was sent.
    ProxyRefused {
        /// Its host and port.
        proxy: String,
        /// The environment variable that names it.
        variable: Option<&'static str>,
        /// Why.
        refusal: ProxyRefusal,
    },
    /// The host's name does not resolve, or the connection is refused or has no route. Nothing was sent.
    NoConnection(String),
    /// No connection could be made otherwise, such as in time. Nothing was sent.
    NotSent(String),
    /// The connection failed later. The server may have received the request.
    MaybeSent(String),
}

impl SendError {
    /// The error for callers that need not know whether the request was sent.
    pub(crate) fn at(self, url: &Url) -> HttpError {
        let host = provider::host(url);
        match self {
            Self::Untrusted(problem) => HttpError::Untrusted { host, problem },
            Self::NotTls => HttpError::NotTls { host },
            Self::NoConnection(reason) => HttpError::NoConnection { host, reason },
            Self::ClientCertificateRequired => HttpError::ClientCertificateRequired { host },
            Self::ClientCertificateRefused(reason) => HttpError::ClientCertificateRefused { host, reason },
            Self::ProxyRefused { proxy, variable, refusal } => {
                HttpError::ProxyRefused { host, proxy, variable, refusal }
            }
            Self::NotSent(reason) | Self::MaybeSent(reason) => HttpError::Unreachable { host, reason },
        }
    }

    pub(super) fn in_trace(&self) -> String {
        match self {
            Self::Untrusted(problem) => format!("not sent: {problem}"),
            Self::NotTls => "not sent: the server does not speak TLS".into(),
            Self::ClientCertificateRequired => "not sent: the server wants a client certificate".into(),
            Self::ClientCertificateRefused(reason) => {
                format!("not sent: the server refused the client certificate: {reason}")
            }
            Self::ProxyRefused { proxy, refusal, .. } => format!("not sent: the proxy {proxy} {refusal}"),
            Self::NoConnection(why) | Self::NotSent(why) => format!("not sent: {why}"),
            Self::MaybeSent(why) => format!("no response: {why}"),
        }
    }
}

/// Whether the server's certificate comes from an authority that is not trusted.
pub(super) fn is_unknown_issuer(error: &legacy::Error) -> bool {
    matches!(bad_certificate(error), Some(rustls::CertificateError::UnknownIssuer))
}

/// What is known about the client certificate in a request that got no response.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Certificate {
    /// One is presented to the server.
    Presented,
    /// The server asked for one during this request, and none is presented to it.
    Asked,
    None,
}

/// Why a request got no response.
pub(super) fn send_error(sending: &legacy::Error, proxy: Option<&Proxy>, certificate: Certificate) -> SendError {
    let error: &(dyn Error + 'static) = sending;
    if let (Some(refusal), Some(proxy)) = (proxy_refusal(error), proxy) {
        return SendError::ProxyRefused { proxy: proxy.name(), variable: proxy.variable, refusal };
    }
    let route = |why: String| match proxy {
        Some(proxy) => format!("through the proxy {}: {why}", proxy.name()),
        None => why,
    };
    let not_sent = |why: String| SendError::NotSent(route(why));
    match find::<ProxyError>(error) {
        Some(ProxyError::Unreachable(error)) => return failed_to_connect(&**error, route),
        Some(ProxyError::Handshake(_)) => return not_sent(reason(error)),
        None => {}
    }
    if let Some(refused) = refused_client_certificate(error, certificate) {
        return refused;
    }
    if sending.is_connect() {
        if matches!(tls(error), Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))) {
            return match proxy {
                Some(_) => not_sent("the server does not speak TLS".into()),
                None => SendError::NotTls,
            };
        }
        match bad_certificate(error) {
            Some(certificate) => SendError::Untrusted(certificate_problem(certificate)),
            None => failed_to_connect(error, route),
        }
    } else {
        SendError::MaybeSent(reason(error))
    }
}

/// What a proxy refuses, if that is final.
fn proxy_refusal(error: &(dyn Error + 'static)) -> Option<ProxyRefusal> {
    match find::<ProxyError>(error)? {
        ProxyError::Handshake(HandshakeError::Refused(refusal)) => Some(refusal.clone()),
        ProxyError::Handshake(HandshakeError::Failed(_)) => None,
        ProxyError::Unreachable(error) => {
            Some(ProxyRefusal::Untrusted(certificate_problem(bad_certificate(&**error)?)))
        }
    }
}

/// What an alert of the server says about the client certificate (RFC 8446, section 6.2). With TLS 1.3 it comes when
/// the client has already sent the request, which the server then has not read. The alert is lost if the connection is
/// reset before it is read, and with HTTP/2 if the connection ends before the request has begun.
fn refused_client_certificate(error: &(dyn Error + 'static), certificate: Certificate) -> Option<SendError> {
    let Some(alert) = alert(error) else {
        return (certificate == Certificate::Asked && ended_early(error))
            .then_some(SendError::ClientCertificateRequired);
    };
    let reason = match alert {
        AlertDescription::CertificateRequired => return Some(SendError::ClientCertificateRequired),
        // Servers without TLS 1.3 have no alert of its own for a missing certificate.
        AlertDescription::HandshakeFailure if certificate == Certificate::Asked => {
            return Some(SendError::ClientCertificateRequired);
        }
        AlertDescription::BadCertificate => "it is not valid".to_owned(),
        AlertDescription::UnsupportedCertificate => "it is of an unsupported type".to_owned(),
        AlertDescription::CertificateRevoked => "it was revoked".to_owned(),
        AlertDescription::CertificateExpired => "it has expired".to_owned(),
        AlertDescription::UnknownCA => "it was issued by an authority that the server does not trust".to_owned(),
        AlertDescription::CertificateUnknown => "the server does not accept it".to_owned(),
        AlertDescription::AccessDenied => "it has no access".to_owned(),
        _ => return None,
    };
    Some(match certificate {
        Certificate::Presented => SendError::ClientCertificateRefused(reason),
        Certificate::Asked | Certificate::None => SendError::ClientCertificateRequired,
    })
}

/// The alerts that say something about a client certificate.
const CERTIFICATE_ALERTS: [AlertDescription; 9] = [
    AlertDescription::CertificateRequired,
    AlertDescription::HandshakeFailure,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::UnknownCA,
    AlertDescription::CertificateUnknown,
    AlertDescription::AccessDenied,
];

/// The alert of the server.
fn alert(error: &(dyn Error + 'static)) -> Option<AlertDescription> {
    if let Some(rustls::Error::AlertReceived(alert)) = tls(error) {
        return Some(*alert);
    }
    // HTTP/2 keeps only the text of a TLS error.
    let text = find::<io::Error>(error)?.to_string();
    CERTIFICATE_ALERTS.into_iter().find(|alert| rustls::Error::AlertReceived(*alert).to_string() == text)
}

/// Whether the connection ended before a part of a response came.
fn ended_early(error: &(dyn Error + 'static)) -> bool {
    let canceled = find::<hyper::Error>(error).is_some_and(|error| error.is_canceled() || error.is_closed());
    canceled || broke(error)
}

fn certificate_problem(certificate: &rustls::CertificateError) -> CertificateProblem {
    let between =
        |earlier: &UnixTime, later: &UnixTime| Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()));
    match certificate {
        rustls::CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        rustls::CertificateError::ExpiredContext { time, not_after } => {
            CertificateProblem::Expired { since: between(not_after, time) }
        }
        rustls::CertificateError::NotValidYetContext { time, not_before } => {
            CertificateProblem::NotYetValid { until: between(time, not_before) }
        }
        rustls::CertificateError::NotValidForNameContext { presented, .. } => {
            CertificateProblem::WrongHost { hosts: presented.iter().map(|name| host_of(name)).collect() }
        }
        // rustls has no variant of its own for it.
        certificate if certificate.to_string().contains("CaUsedAsEndEntity") => {
            CertificateProblem::AuthorityCertificate
        }
        certificate => CertificateProblem::Other(clean::clean(&certificate.to_string())),
    }
}

/// A name of a certificate, which rustls writes as `DnsName("id.example.com")`.
fn host_of(name: &str) -> String {
    let quoted = name.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map(|(host, _)| host);
    clean::clean(quoted.unwrap_or(name))
}

/// What is wrong with the server's certificate, if that is the reason.
#[cfg(feature = "postgres")]
pub(crate) fn untrusted(error: &(dyn Error + 'static)) -> Option<CertificateProblem> {
    bad_certificate(error).map(certificate_problem)
}

/// Why a connection failed, for people: the usual errors of hyper, h2 and rustls in plain words.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = find::<h2::Error>(error) {
        // The constants of RFC 9113, section 7, such as NO_ERROR.
        let code = error.reason().map(|code| format!(" ({code:?})")).unwrap_or_default();
        return match error {
            error if error.is_go_away() => format!("the server closed the HTTP/2 connection{code}"),
            error if error.is_reset() => format!("the server canceled the HTTP/2 request{code}"),
            error => clean::clean(&error.to_string()),
        };
    }
    if let Some(alert) = alert(error) {
        return format!("the server ended TLS with the alert {alert:?}");
    }
    find::<io::Error>(error).and_then(io_reason).unwrap_or_else(|| clean::clean(&root_cause(error)))
}

fn io_reason(error: &io::Error) -> Option<String> {
    let reason = match error.kind() {
        // The only text that rustls has for it.
        io::ErrorKind::UnexpectedEof if error.to_string().contains("close_notify") => {
            "the connection was closed without a TLS close_notify"
        }
        io::ErrorKind::UnexpectedEof => "the server closed the connection",
        io::ErrorKind::ConnectionReset => "the server reset the connection",
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => "the connection broke",
        _ => return None,
    };
    Some(reason.into())
}

/// The message of the innermost cause, such as "Connection refused".
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Why there is no connection.
fn failed_to_connect(error: &(dyn Error + 'static), route: impl Fn(String) -> String) -> SendError {
    let why = route(reason(error));
    match find::<io::Error>(error) {
        Some(_) if !broke(error) && tls(error).is_none() => SendError::NoConnection(why),
        _ => SendError::NotSent(why),
    }
}

/// Whether a connection was made, and broke before it could be used.
fn broke(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
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
    find(error)
}

/// The first error of a kind among an error and its causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    // An `io::Error` may hold an error, which its `source` skips.
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    held.and_then(|held| find(held)).or_else(|| error.source().and_then(find))
}
