//! The proxy of `nexus proxy` and `nexus exec`.

use std::sync::Arc;

use crate::cli::error::{CliError, Result};
use nexus::internal::oauth::pkce;
use nexus::{Client, LocalProxy, ProxyKey};

/// A proxy for the session of this account. Its errors say what to do.
pub(crate) async fn bind(client: Client, key: ProxyKey, host: &str, port: u16) -> Result<LocalProxy> {
    let proxy = LocalProxy::bind(client, "", key, host, port).await?;
    Ok(proxy.with_error_text(Arc::new(|error| {
        let error = CliError::from(error.clone());
        format!("{error}: {}", error.hint())
    })))
}

/// A new random key.
pub(crate) fn new_key() -> Result<ProxyKey> {
    Ok(pkce::random_text().map(ProxyKey::new)?)
}
