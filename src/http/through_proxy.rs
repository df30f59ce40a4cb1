//! Requests through a proxy. reqwest can do this too, but it does not tell the status of a refused CONNECT, presents the
//! client certificate to https proxies, and has no user name for SOCKS 4.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::header::{ACCEPT, HeaderValue, USER_AGENT};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reqwest::{Body, Request, Response, ResponseBuilderExt as _};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::connecting::{Attempt, Connecting};
use super::handshake::{self, HandshakeError};
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::{CONNECT_TIMEOUT, USER_AGENT as NEXUS};

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection to the proxy, in TLS if its URL is https.
type ProxyStream = MaybeHttpsStream<TokioIo<TcpStream>>;

type Connected<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// A client whose connections all go through one proxy.
pub(super) struct ProxyClient {
    client: legacy::Client<ServerConnector, Body>,
}

impl ProxyClient {
    /// `to_proxy` is TLS to an https proxy, `to_server` TLS to the servers behind the proxy.
    pub(super) fn new(
        proxy: Proxy,
        to_proxy: ClientConfig,
        to_server: ClientConfig,
        observer: Option<Connecting>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tunnel = TunnelConnector { proxy: Arc::new(proxy), to_proxy: HttpsConnector::from((tcp, to_proxy)) };
        let connector = ServerConnector { tls: HttpsConnector::from((tunnel, to_server)), observer };
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        // As in reqwest, an idle connection is closed after 90 seconds.
        builder.pool_timer(TokioTimer::new()).retry_canceled_requests(false);
        Self { client: builder.build(connector) }
    }

    /// Sends a request once, and waits for the head of the response.
    pub(super) async fn execute(&self, request: Request) -> Result<Response, BoxError> {
        let url = request.url().clone();
        let mut request = hyper::Request::<Body>::try_from(request)?;
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(NEXUS));
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let (head, body) = self.client.request(request).await?.into_parts();
        let mut response = hyper::Response::builder().status(head.status).version(head.version).url(url);
        if let Some(headers) = response.headers_mut() {
            *headers = head.headers;
        }
        Ok(response.body(Body::wrap(body))?.into())
    }
}

/// Connects to servers in TLS, within [`CONNECT_TIMEOUT`].
#[derive(Clone)]
struct ServerConnector {
    tls: HttpsConnector<TunnelConnector>,
    observer: Option<Connecting>,
}

impl Service<Uri> for ServerConnector {
    type Response = MaybeHttpsStream<ProxyStream>;
    type Error = BoxError;
    type Future = Connected<Self::Response, BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tls.poll_ready(context)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let attempt = self.observer.clone().map(Attempt::begin);
        let connection = self.tls.call(server);
        Box::pin(async move {
            let _over = attempt;
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, super::no_connection());
            tokio::time::timeout(CONNECT_TIMEOUT, connection).await.map_err(late)?
        })
    }
}

/// Connects to the proxy, and has it connect to a server.
#[derive(Clone)]
struct TunnelConnector {
    proxy: Arc<Proxy>,
    to_proxy: HttpsConnector<HttpConnector<Resolver>>,
}

impl TunnelConnector {
    async fn connect(mut self, server: Uri) -> Result<ProxyStream, ProxyError> {
        let proxy = &self.proxy;
        let scheme = if proxy.is_tls() { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}:{}", proxy.host, proxy.port)
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| ProxyError::Unreachable(error.into()))?;
        let stream = self.to_proxy.call(uri).await.map_err(ProxyError::Unreachable)?;
        let mut stream = TokioIo::new(stream);
        let (host, port) = (server.host().unwrap_or_default(), server.port_u16().unwrap_or(443));
        handshake::connect(&mut stream, proxy, host, port).await.map_err(ProxyError::Handshake)?;
        Ok(stream.into_inner())
    }
}

impl Service<Uri> for TunnelConnector {
    type Response = ProxyStream;
    type Error = ProxyError;
    type Future = Connected<ProxyStream, ProxyError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ProxyError>> {
        self.to_proxy.poll_ready(context).map_err(ProxyError::Unreachable)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        Box::pin(self.clone().connect(server))
    }
}

/// Why there is no connection through the proxy. Nothing was sent to the server.
#[derive(Debug)]
pub(super) enum ProxyError {
    /// There is no connection to the proxy.
    Unreachable(BoxError),
    /// The proxy did not connect to the server.
    Handshake(HandshakeError),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            Self::Handshake(HandshakeError::Failed(reason)) => f.write_str(reason),
            Self::Handshake(HandshakeError::Refused(refusal)) => refusal.fmt(f),
        }
    }
}

impl Error for ProxyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(error) => Some(&**error),
            Self::Handshake(_) => None,
        }
    }
}
