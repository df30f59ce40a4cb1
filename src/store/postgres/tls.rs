//! TLS to the server, with its certificate and name verified.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use super::url::Authorities;
use crate::http::{self, HttpError};
use crate::provider::{Tls, TlsError};
use crate::store::error::ServerProblem;
use crate::trusted_file;

/// Why no TLS connection could be set up. Problems of the server's certificate are errors of rustls.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetUpError {
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} {error}", path.display())]
    Unusable { path: PathBuf, error: TlsError },
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("its name cannot be verified")]
    Name,
}

impl SetUpError {
    pub(super) fn problem(&self) -> ServerProblem {
        match self {
            Self::Unreadable { .. } | Self::Unusable { .. } => ServerProblem::Authorities(self.to_string()),
            Self::Http(_) | Self::Name => ServerProblem::Untrusted(self.to_string()),
        }
    }
}

/// Makes TLS connections. The certificate authorities are read for the first one.
#[derive(Clone)]
pub(super) struct Connector {
    authorities: Authorities,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
    /// Whether the server has agreed to TLS.
    agreed: Arc<AtomicBool>,
}

impl Connector {
    pub(super) fn new(authorities: Authorities) -> Self {
        Self { authorities, config: Arc::default(), agreed: Arc::default() }
    }

    /// A connector for one attempt to connect.
    pub(super) fn attempt(&self) -> Self {
        Self { agreed: Arc::default(), ..self.clone() }
    }

    /// Whether the server has agreed to TLS in this attempt.
    pub(super) fn has_agreed(&self) -> bool {
        self.agreed.load(Ordering::Relaxed)
    }

    /// Reads the certificate authorities.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, SetUpError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let authorities = match &self.authorities {
            Authorities::System => http::system_authorities(http::Roots::All)?,
            Authorities::File(path) => {
                let pem =
                    trusted_file::read(path).map_err(|error| SetUpError::Unreadable { path: path.clone(), error })?;
                let tls = Tls::default().with_authorities(&pem);
                let tls = tls.map_err(|error| SetUpError::Unusable { path: path.clone(), error })?;
                tls.authorities().cloned().unwrap_or_else(|| Arc::new(RootCertStore::empty()))
            }
        };
        let config = Arc::new(http::verified_tls(authorities)?);
        Ok(self.config.get_or_init(|| config).clone())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = SetUpError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, SetUpError> {
        Ok(Handshake { connector: self.clone(), host: host.to_owned() })
    }
}

/// One TLS handshake.
pub(super) struct Handshake {
    connector: Connector,
    host: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            self.connector.agreed.store(true, Ordering::Relaxed);
            let name = ServerName::try_from(self.host).map_err(|_| SetUpError::Name)?;
            let connector = tokio_rustls::TlsConnector::from(self.connector.config()?);
            Ok(Encrypted(connector.connect(name, stream).await?))
        })
    }
}

/// A connection in TLS.
pub(super) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
