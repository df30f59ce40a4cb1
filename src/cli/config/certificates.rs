//! The certificates of a provider, from the files that its keys point to.

use std::path::Path;

use super::checks::warn_if_readable;
use super::keys::{Section, TlsFiles};
use super::source::Source;
use crate::cli::error::{CliError, Result};
use nexus::Tls;
use nexus::error::TlsError;

/// The hint where a file is missing.
const CREATE: &str = "create the file, or correct the path";

impl Section {
    pub(super) fn tls(&self, warnings: &mut Vec<String>) -> Result<Tls> {
        let TlsFiles { authorities, certificate, key } = &self.tls_files;
        let source = &self.source;
        let mut tls = Tls::default();
        if let Some(file) = authorities {
            let pem = source.read("ca_file", file, CREATE)?;
            tls = tls.with_authorities(&pem).map_err(|error| unusable(source, "ca_file", file, &error))?;
        }
        match (certificate, key) {
            (None, None) => {}
            (None, Some(_)) => {
                return Err(source.invalid("tls_key_file", "requires `tls_cert_file`", "add `tls_cert_file`"));
            }
            // As with curl, one file may hold both.
            (Some(certificate), key) => {
                let chain = source.read("tls_cert_file", certificate, CREATE)?;
                let (key_name, key_file) = match key {
                    Some(key) => ("tls_key_file", key),
                    None => ("tls_cert_file", certificate),
                };
                let key = source.read(key_name, key_file, CREATE)?;
                warn_if_readable(&source.beside(key_name, key_file), warnings);
                tls = tls.with_client_certificate(&chain, &key).map_err(|error| match error {
                    TlsError::NoKey if key_name == "tls_cert_file" => {
                        let hint = "set `tls_key_file` to the file with the private key";
                        source.unusable("tls_cert_file", key_file, &error.to_string(), hint)
                    }
                    TlsError::NoCertificate | TlsError::InvalidCertificate(_) => {
                        unusable(source, "tls_cert_file", certificate, &error)
                    }
                    error => unusable(source, key_name, key_file, &error),
                })?;
            }
        }
        Ok(tls)
    }
}

fn unusable(source: &Source, key: &str, file: &Path, error: &TlsError) -> CliError {
    let hint = match error {
        TlsError::NoCertificate | TlsError::InvalidCertificate(_) => "set it to a file with certificates in PEM".into(),
        TlsError::EncryptedKey => {
            let path = source.beside(key, file);
            format!("decrypt it: `openssl pkey -in {} -out KEY.pem`, then `chmod 600 KEY.pem`", path.display())
        }
        TlsError::OtherKey => "set `tls_cert_file` and `tls_key_file` to a certificate and its own key".into(),
        _ => "set it to a file with the private key in PEM".into(),
    };
    source.unusable(key, file, &error.to_string(), &hint)
}
