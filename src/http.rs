//! The HTTP client: TLS, CA certificates, proxies and tracing.
//!
//! The client is built at the first request. CA certificates are read for https only, because reading them takes longer
//! than the rest of the start-up. Proxies and private certificate authorities are configured as for curl
//! (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`). Loopback bypasses proxies, and `localhost` is never
//! looked up. Servers that offer HTTP/2 get it. Redirects are not followed, so a token is sent to configured URLs only.
//! A request is sent once: what a caller does not repeat is not repeated.

mod body;
mod connecting;
mod connections;
mod error;
mod gzip;
mod handshake;
mod proxy;
mod request;
mod resolver;
mod send_error;
mod tls;
mod trace;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use hyper::http::uri::InvalidUri;
use rustls::RootCertStore;
use url::Origin;

pub(crate) use body::{Body, BodyError, unsupported_encoding};
pub(crate) use connecting::Connecting;
use connections::Connections;
use error::Result;
pub use error::{CertificateProblem, HttpError, ProxyRefusal};
pub(crate) use proxy::Variable;
use proxy::{Proxies, Proxy};
pub(crate) use request::{Request, RequestBody, Response, streamed, whole};
#[cfg(feature = "postgres")]
pub(crate) use send_error::untrusted;
use send_error::{Certificate, is_unknown_issuer, send_error};
pub(crate) use send_error::{SendError, reason};
pub use tls::Roots;
pub(crate) use tls::system_authorities;
#[cfg(feature = "postgres")]
pub(crate) use tls::verified_tls;
use tls::{NoCertificate, client_config};

use crate::clean;
use crate::provider::{self, ProviderConfig, Tls, Url};
use crate::redact::Redactor;
use crate::time;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) const USER_AGENT: &str = concat!("nexus/", env!("CARGO_PKG_VERSION"));

/// Receives one line for each step of a request, with secrets masked.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// Sends requests. Creating it does no work.
#[derive(Default)]
pub struct Http {
    plain: Slot,
    /// For https, without and with the client certificate.
    secure: [Slot; 2],
    /// For https through the proxy, without and with the client certificate.
    proxied: [Slot; 2],
    proxies: OnceLock<Proxies>,
    roots: Roots,
    authorities: OnceLock<Arc<RootCertStore>>,
    tls: Tls,
    /// Whether a server asked for a client certificate that is not presented to it.
    without_certificate: NoCertificate,
    /// The origins to which the client certificate is presented.
    presented_to: Vec<Origin>,
    /// Reads the proxy variables.
    variable: Option<Variable>,
    trace: Option<Trace>,
    connecting: Option<Connecting>,
}

/// Connections of one kind, made when they are first needed.
#[derive(Default)]
struct Slot {
    connections: OnceLock<Connections>,
    /// Those that trust all authorities of the system. They are made, and used from then on, when a server's issuer is
    /// not in the bundle.
    wider: OnceLock<Connections>,
}

/// How requests to one server are sent.
pub(crate) struct Route<'a> {
    http: &'a Http,
    connections: &'a Connections,
    wider: &'a OnceLock<Connections>,
    proxy: Option<Proxy>,
    /// Whether the client certificate is presented to the server.
    presents: bool,
}

impl Http {
    /// A client with these CA certificates. `variable` reads the proxy variables; without it, as in
    /// [`Http::default`], the system's proxy settings apply. `trace` receives the trace.
    pub fn new(roots: Roots, variable: Variable, trace: Option<Trace>) -> Self {
        Self { roots, variable: Some(variable), trace, ..Self::default() }
    }

    /// Reports connection attempts to `observer`.
    #[must_use]
    pub fn with_connecting(self, observer: Connecting) -> Self {
        Self { connecting: Some(observer), ..self }
    }

    /// Uses the certificates of a provider. Its client certificate is presented to the origins of its token endpoint
    /// (of its issuer, where that is not configured) and of its API only.
    #[must_use]
    pub(crate) fn for_provider(self, provider: &ProviderConfig) -> Self {
        let issuer = || Url::parse(provider.issuer.as_deref()?).ok();
        let token = provider.token_url.clone().or_else(issuer);
        let own = [&token, &provider.api.url].into_iter().flatten();
        Self { tls: provider.tls.clone(), presented_to: own.map(Url::origin).collect(), ..self }
    }

    /// A client with the same settings that trusts the certificate authorities of a provider. Its client certificate is
    /// presented to no server.
    pub(crate) fn for_discovery(&self, provider: &ProviderConfig) -> Self {
        Self {
            roots: self.roots,
            tls: provider.tls.clone(),
            variable: self.variable,
            trace: self.trace.clone(),
            connecting: self.connecting.clone(),
            ..Self::default()
        }
    }

    /// How requests to the server of this URL are sent.
    ///
    /// # Errors
    /// [`HttpError::InvalidUrl`] for a URL that must not carry a secret, such as http to another machine,
    /// [`HttpError::UnusableProxy`], [`HttpError::NoRoots`], and [`HttpError::System`] if TLS cannot be set up.
    pub(crate) fn route(&self, url: &Url) -> Result<Route<'_>> {
        if let Err(reason) = provider::check_endpoint(url) {
            return Err(HttpError::InvalidUrl { host: provider::host(url), reason });
        }
        let (proxy, presents) = (self.proxy(url)?, self.presents(url));
        let secure = url.scheme() == "https";
        let slot = match (&proxy, secure) {
            (Some(_), _) => &self.proxied[usize::from(presents)],
            (None, true) => &self.secure[usize::from(presents)],
            (None, false) => &self.plain,
        };
        let connections = match slot.connections.get() {
            Some(connections) => connections,
            None => {
                let authorities = if secure { self.authorities()? } else { RootCertStore::empty().into() };
                let made = self.connections(proxy.as_ref(), authorities, presents)?;
                slot.connections.get_or_init(|| made)
            }
        };
        Ok(Route { http: self, connections, wider: &slot.wider, proxy, presents })
    }

    /// The host and the port of the proxy that requests to a URL go through, if there is one.
    ///
    /// # Errors
    /// [`HttpError::UnusableProxy`].
    pub(crate) fn proxy_address(&self, url: &Url) -> Result<Option<(String, u16)>> {
        Ok(self.proxy(url)?.map(|proxy| (proxy.host, proxy.port)))
    }

    fn proxy(&self, url: &Url) -> Result<Option<Proxy>> {
        self.proxies.get_or_init(|| Proxies::read(self.variable)).for_url(url)
    }

    /// Whether the client certificate is presented to the server of a URL.
    fn presents(&self, url: &Url) -> bool {
        self.tls.certificate().is_some() && self.presented_to.contains(&url.origin())
    }

    /// The certificate authorities that are trusted for servers.
    fn authorities(&self) -> Result<Arc<RootCertStore>> {
        self.tls.authorities().map_or_else(|| self.system_authorities(), |own| Ok(own.clone()))
    }

    fn system_authorities(&self) -> Result<Arc<RootCertStore>> {
        if let Some(read) = self.authorities.get() {
            return Ok(read.clone());
        }
        let read = system_authorities(self.roots)?;
        Ok(self.authorities.get_or_init(|| read).clone())
    }

    fn connections(
        &self,
        proxy: Option<&Proxy>,
        authorities: Arc<RootCertStore>,
        presents: bool,
    ) -> Result<Connections> {
        let to_server = |authorities| {
            let certificate = self.tls.certificate().filter(|_| presents).cloned();
            client_config(authorities, certificate, &self.without_certificate)
        };
        let Some(proxy) = proxy else {
            return Ok(Connections::direct(to_server(authorities)?, self.connecting.clone()));
        };
        // The proxy is not one of the provider's servers: it gets neither the client certificate nor the provider's
        // trust.
        let own = if proxy.is_tls() { self.proxy_authorities(&authorities)? } else { RootCertStore::empty().into() };
        let mut to_proxy = client_config(own, None, &NoCertificate::default())?;
        to_proxy.alpn_protocols.clear();
        Ok(Connections::through(proxy.clone(), to_proxy, to_server(authorities)?, self.connecting.clone()))
    }

    /// The certificate authorities that are trusted for an https proxy: those of the system.
    fn proxy_authorities(&self, of_servers: &Arc<RootCertStore>) -> Result<Arc<RootCertStore>> {
        if self.tls.authorities().is_none() { Ok(of_servers.clone()) } else { self.system_authorities() }
    }
}

impl Route<'_> {
    /// Sends a request and waits for the head of the response. `secrets` are masked in the trace.
    ///
    /// # Errors
    /// The variant tells whether the server may have received the request.
    pub(crate) async fn send(
        &self,
        mut request: Request,
        secrets: &Redactor,
    ) -> std::result::Result<Response, SendError> {
        let Self { http, proxy, .. } = self;
        // Compression would delay the events of a stream.
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        let traced = http.trace.as_ref().map(|trace| (trace, trace::Masks::new(request.url(), secrets)));
        let log = |lines: &dyn Fn() -> Vec<String>| {
            if let Some((trace, masks)) = &traced {
                lines().into_iter().for_each(|line| trace(&clean::visible(&masks.mask(&line))));
            }
        };
        log(&|| trace::request_lines(&request));
        if let Some(proxy) = proxy {
            log(&|| vec![format!("* through the proxy {}", proxy.name())]);
        }
        http.without_certificate.forget();
        // The certificate directory may contain an issuer that the bundle does not.
        let has_more_authorities = request.url().scheme() == "https"
            && http.roots == Roots::Bundle
            && http.tls.authorities().is_none()
            && self.wider.get().is_none();
        let again = if has_more_authorities { request.try_clone() } else { None };
        let unsent = |error: InvalidUri| SendError::NotSent(error.to_string());
        let connections = self.wider.get().unwrap_or(self.connections);
        let mut sent = connections.send(request.into_hyper().map_err(unsent)?).await;
        if let (Err(error), Some(again)) = (&sent, again)
            // Nothing was sent yet.
            && is_unknown_issuer(error)
            && let Ok(all) = system_authorities(Roots::All)
            && let Ok(made) = http.connections(proxy.as_ref(), all, self.presents)
        {
            sent = self.wider.get_or_init(|| made).send(again.into_hyper().map_err(unsent)?).await;
        }
        match sent {
            Ok(response) => {
                log(&|| trace::response_lines(&response));
                Ok(response)
            }
            Err(error) => {
                let certificate = match http.without_certificate.was_asked() {
                    _ if self.presents => Certificate::Presented,
                    true => Certificate::Asked,
                    false => Certificate::None,
                };
                let error = send_error(&error, proxy.as_ref(), certificate);
                log(&|| vec![format!("* {}", error.in_trace())]);
                Err(error)
            }
        }
    }
}

/// Why there is no connection after [`CONNECT_TIMEOUT`].
fn no_connection() -> String {
    format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())
}

/// How long a server asks to wait: `retry-after-ms`, else `retry-after` as seconds or as an HTTP date, relative to the
/// response's `date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let after = header("retry-after");
    let date = || {
        let wait = time::parse_http_date(after)? - time::parse_http_date(header("date"))?;
        u64::try_from(wait).ok().map(Duration::from_secs)
    };
    seconds(header("retry-after-ms"), 1_000.0).or_else(|| seconds(after, 1.0)).or_else(date)
}

fn seconds(text: &str, per_second: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse::<f64>().ok()? / per_second).ok()
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_found_no_connection_was_never_sent_whether_somebody_watches_or_not() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        // Does not answer the TLS handshake.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
        let calls = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let heard = calls.clone();
        let watched = Http::default().with_connecting(Arc::new(move |begun| {
            heard[usize::from(begun)].fetch_add(1, Ordering::Relaxed);
        }));
        for http in [Http::default(), watched] {
            let request = Request::new(Method::GET, url.clone());
            let sent = http.route(&url).unwrap().send(request, &Redactor::default()).await;
            let error = sent.map(|response| response.status()).unwrap_err();
            assert_eq!(error, SendError::NotSent("no connection within 10 seconds".into()));
        }
        let calls = calls.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(calls, [1, 1]);
    }

    #[tokio::test]
    async fn a_request_that_a_closed_connection_did_not_begin_is_sent_on_another_one() {
        use std::io::{Read as _, Write as _};
        use std::sync::mpsc::channel;

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let ((close, to_close), (closed, is_closed)) = (channel(), channel());
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.extend(byte);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                to_close.recv().unwrap();
                drop(stream);
                closed.send(()).unwrap();
            }
        });
        let http = Http::default();
        let route = http.route(&url).unwrap();
        let secrets = Redactor::default();
        let send = || route.send(Request::new(Method::GET, url.clone()), &secrets);
        assert_eq!(send().await.map(|response| response.status().as_u16()), Ok(200));
        // The connection goes back to the pool.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // Blocks the runtime, so that the request below takes the connection before its task reads that it was closed.
        close.send(()).unwrap();
        is_closed.recv().unwrap();
        tokio::task::yield_now().await;
        assert_eq!(send().await.map(|response| response.status().as_u16()), Ok(200));
        close.send(()).unwrap();
        server.join().unwrap();
    }
}
