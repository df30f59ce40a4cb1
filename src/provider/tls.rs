//! The certificates of a provider: the authorities that it trusts, and the client certificate that it presents (mutual
//! TLS, RFC 8446, section 4.3.2).

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error_info::{ErrorClass, ErrorInfo};

/// The certificates of a provider. The default has none: the system's certificate authorities are trusted, and no
/// client certificate is presented.
#[derive(Default, Clone)]
pub struct Tls {
    authorities: Option<Arc<RootCertStore>>,
    certificate: Option<Arc<CertifiedKey>>,
}

impl Tls {
    /// Trusts the certificate authorities of a PEM bundle for all requests to this provider, instead of the system's.
    ///
    /// # Errors
    /// [`TlsError::NoCertificate`] and [`TlsError::InvalidCertificate`].
    pub fn with_authorities(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(pem)? {
            authorities.add(certificate).map_err(|error| TlsError::InvalidCertificate(error.to_string()))?;
        }
        self.authorities = Some(Arc::new(authorities));
        Ok(self)
    }

    /// Presents a client certificate, followed by those of its issuers, all in PEM. `key` is its private key in PEM
    /// (PKCS #8, PKCS #1 or SEC 1), not encrypted. The certificate is presented to the origins of the token endpoint
    /// (of the issuer, where that is not configured) and of the API, and to no other.
    ///
    /// # Errors
    /// Any [`TlsError`].
    pub fn with_client_certificate(mut self, certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let key = private_key(key)?;
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        self.certificate = Some(Arc::new(certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey,
            rustls::Error::InvalidCertificate(_) => TlsError::InvalidCertificate(error.to_string()),
            error => TlsError::InvalidKey(error.to_string()),
        })?));
        Ok(self)
    }

    pub(crate) fn authorities(&self) -> Option<&Arc<RootCertStore>> {
        self.authorities.as_ref()
    }

    /// Whether servers are verified with other certificate authorities than the system's.
    pub fn has_authorities(&self) -> bool {
        self.authorities.is_some()
    }

    /// Whether a client certificate is presented.
    pub fn has_client_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    pub(crate) fn certificate(&self) -> Option<&Arc<CertifiedKey>> {
        self.certificate.as_ref()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authorities = self.authorities.as_ref().map(|authorities| authorities.len());
        let certificate = self.certificate.as_ref().map(|_| "(secret)");
        f.debug_struct("Tls").field("authorities", &authorities).field("certificate", &certificate).finish()
    }
}

/// Why a certificate or a private key cannot be used. The message is the end of a sentence about the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate.
    #[error("contains no certificate in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("contains a certificate that cannot be used: {0}")]
    InvalidCertificate(String),
    /// There is no private key.
    #[error("contains no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// The private key is encrypted with a passphrase.
    #[error("contains an encrypted private key, which is not supported")]
    EncryptedKey,
    /// The private key cannot be read, or is of a kind that is not supported.
    #[error("contains a private key that cannot be used: {0}")]
    InvalidKey(String),
    /// The private key belongs to another certificate.
    #[error("contains a private key that does not belong to the certificate")]
    OtherKey,
}

impl ErrorInfo for TlsError {
    fn code(&self) -> &'static str {
        "configuration"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(pem)).collect();
    let certificates = certificates.map_err(|error| TlsError::InvalidCertificate(malformed(&error).into()))?;
    if certificates.is_empty() { Err(TlsError::NoCertificate) } else { Ok(certificates) }
}

/// The text without a byte order mark, which would hide the first line.
fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix("\u{feff}".as_bytes()).unwrap_or(pem)
}

/// The private key in PEM.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let has = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    // PKCS #8, and the older form of OpenSSL (RFC 1421, section 4.6.1.1).
    if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(without_mark(pem)).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        error => TlsError::InvalidKey(malformed(&error).into()),
    })
}

/// Why a file is not PEM (RFC 7468). The parser's own message quotes lines, which may be a private key.
pub(crate) fn malformed(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } | pem::Error::IllegalSectionStart { .. } => {
            "a line with `-----BEGIN` or `-----END` has other text in it, or is missing"
        }
        pem::Error::Base64Decode(_) => "it is not in base64",
        _ => "it is not PEM",
    }
}
