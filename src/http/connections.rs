//! The connections to servers, directly or through a proxy, which are kept for further requests.
//!
//! hyper-util's client can use proxies too, but it does not tell the status of a refused CONNECT and has no user name
//! for SOCKS 4.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Uri;
use hyper::header::{ACCEPT, HeaderValue, USER_AGENT};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::connecting::{Attempt, Connecting};
use super::handshake::{self, HandshakeError};
use super::proxy::Proxy;
use super::request::{RequestBody, Response};
use super::resolver::Resolver;
use super::{CONNECT_TIMEOUT, USER_AGENT as NEXUS};

/// How long a connection is silent before it is checked, and between the checks.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How many checks may be unanswered.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may be unacknowledged.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that a connection reads ahead of who uses them, and the longest head of a response. hyper's own limit
/// is 408 KiB, of which a proxied response whose reader is slow would hold several.
const READ_BYTES: usize = 64 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection to a server or to the proxy, in TLS if the proxy's URL is https.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type Connected<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Connections that are all made in the same way.
pub(super) struct Connections {
    client: legacy::Client<ServerConnector, RequestBody>,
}

impl Connections {
    /// Connections without a proxy. `to_server` is TLS to the servers.
    pub(super) fn direct(to_server: ClientConfig, observer: Option<Connecting>) -> Self {
        Self::new(Transport::Direct(tcp()), to_server, observer)
    }

    /// Connections through one proxy. `to_proxy` is TLS to an https proxy, `to_server` TLS to the servers behind it.
    pub(super) fn through(
        proxy: Proxy,
        to_proxy: ClientConfig,
        to_server: ClientConfig,
        observer: Option<Connecting>,
    ) -> Self {
        let tunnel = TunnelConnector { proxy: Arc::new(proxy), to_proxy: HttpsConnector::from((tcp(), to_proxy)) };
        Self::new(Transport::Tunnel(tunnel), to_server, observer)
    }

    fn new(transport: Transport, to_server: ClientConfig, observer: Option<Connecting>) -> Self {
        let connector = ServerConnector { tls: HttpsConnector::from((transport, to_server)), observer };
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        // Closes connections that are idle for 90 seconds. A request that finds its connection closed before a byte of
        // it was written is sent on another one: hyper's default.
        builder.pool_timer(TokioTimer::new());
        builder.http1_max_buf_size(READ_BYTES);
        Self { client: builder.build(connector) }
    }

    /// Sends a request once, and waits for the head of the response.
    pub(super) async fn send(&self, mut request: hyper::Request<RequestBody>) -> Result<Response, legacy::Error> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(NEXUS));
        request.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        Ok(self.client.request(request).await?.map(|body| body.boxed()))
    }
}

/// Connects to servers and proxies.
fn tcp() -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Divided among the addresses of a host.
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
    tcp
}

/// Connects to servers, in TLS if their URL is https, within [`CONNECT_TIMEOUT`].
#[derive(Clone)]
struct ServerConnector {
    tls: HttpsConnector<Transport>,
    observer: Option<Connecting>,
}

impl Service<Uri> for ServerConnector {
    type Response = MaybeHttpsStream<Stream>;
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

/// What carries a connection to a server.
#[derive(Clone)]
enum Transport {
    Direct(HttpConnector<Resolver>),
    Tunnel(TunnelConnector),
}

impl Service<Uri> for Transport {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connected<Stream, BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Tunnel(tunnel) => tunnel.to_proxy.poll_ready(context),
        }
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connection = tcp.call(server);
                Box::pin(async move { Ok(MaybeHttpsStream::Http(connection.await?)) })
            }
            Self::Tunnel(tunnel) => {
                let connection = tunnel.clone().connect(server);
                Box::pin(async move { Ok(connection.await?) })
            }
        }
    }
}

/// Connects to the proxy, and has it connect to a server.
#[derive(Clone)]
struct TunnelConnector {
    proxy: Arc<Proxy>,
    to_proxy: HttpsConnector<HttpConnector<Resolver>>,
}

impl TunnelConnector {
    async fn connect(mut self, server: Uri) -> Result<Stream, ProxyError> {
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
