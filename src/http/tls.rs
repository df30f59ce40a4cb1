//! TLS to servers and https proxies: the certificate authorities that are trusted, the client certificate, and the
//! choice of HTTP version (ALPN, RFC 7301).

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, WantsClientCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SignatureScheme};

use super::error::{HttpError, Result};
use super::send_error::root_cause;
use crate::clean;
use crate::provider::tls;

/// Which CA certificates are read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Roots {
    /// All of the system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    #[default]
    All,
    /// The system's bundle file. The certificate directory takes ten times as long, and is read only if the bundle does
    /// not contain an issuer.
    Bundle,
}

/// Presents no client certificate, and records that a server asked for one.
#[derive(Debug, Default, Clone)]
pub(super) struct NoCertificate(Arc<AtomicBool>);

impl NoCertificate {
    pub(super) fn was_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// TLS with these authorities. Servers choose between HTTP/2 and HTTP/1.1.
pub(super) fn client_config(
    authorities: Arc<RootCertStore>,
    certificate: Option<Arc<CertifiedKey>>,
    without: &NoCertificate,
) -> Result<ClientConfig> {
    let mut config = builder(authorities)?.with_client_cert_resolver(match certificate {
        Some(certificate) => Arc::new(SingleCertAndKey::from(certificate)),
        None => Arc::new(without.clone()),
    });
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS with these authorities, for protocols other than HTTP.
#[cfg(feature = "postgres")]
pub(crate) fn verified_tls(authorities: Arc<RootCertStore>) -> Result<ClientConfig> {
    Ok(builder(authorities)?.with_no_client_auth())
}

fn builder(authorities: Arc<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    // Explicit, because rustls's process-wide default panics if two crypto providers are linked.
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| system("setting up TLS", &error))?;
    Ok(builder.with_root_certificates(authorities))
}

/// Reads the system's CA certificates.
pub(crate) fn system_authorities(from: Roots) -> Result<Arc<RootCertStore>> {
    const BUNDLES: &[&str] = &[
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let bundle = BUNDLES.iter().map(Path::new).find(|path| path.exists());
    let found = match (from, bundle) {
        (Roots::Bundle, Some(bundle)) => rustls_native_certs::load_certs_from_paths(Some(bundle), None),
        (Roots::All, Some(bundle)) => match rustls_native_certs::load_native_certs() {
            // An empty `SSL_CERT_FILE` counts as unset.
            found if found.certs.is_empty() && found.errors.iter().all(is_of_empty_path) => {
                rustls_native_certs::load_certs_from_paths(Some(bundle), bundle.parent())
            }
            found => found,
        },
        (_, None) => rustls_native_certs::load_native_certs(),
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map_or_else(
            || "none found".to_owned(),
            |error| match &error.kind {
                rustls_native_certs::ErrorKind::Pem(malformed) => {
                    format!("{}: {}", error.context, tls::malformed(malformed))
                }
                _ => error.to_string(),
            },
        );
        return Err(HttpError::NoRoots { reason: clean::clean(&why) });
    }
    Ok(Arc::new(store))
}

fn is_of_empty_path(error: &rustls_native_certs::Error) -> bool {
    matches!(&error.kind, rustls_native_certs::ErrorKind::Io { path, .. } if path.as_os_str().is_empty())
}

pub(super) fn system(action: &'static str, error: &dyn Error) -> HttpError {
    HttpError::System { action, reason: clean::clean(&root_cause(error)) }
}
