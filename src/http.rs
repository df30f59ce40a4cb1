//! The HTTP client: TLS, CA certificates, proxies and tracing.
//!
//! The client is built at the first request. CA certificates are read for https only, because reading them takes longer
//! than the rest of the start-up. Proxies and private certificate authorities are configured as for curl
//! (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`). Loopback bypasses proxies, and `localhost` is never looked
//! up. Servers that offer HTTP/2 get it. Redirects are not followed, so a token is sent to configured URLs only. A request
//! is sent once: what a caller does not repeat is not repeated.

mod body;
mod connecting;
mod error;
mod gzip;
mod handshake;
mod proxy;
mod resolver;
mod send_error;
mod through_proxy;
mod tls;
mod trace;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Request, Response, redirect, retry};
use rustls::RootCertStore;
use url::Origin;

pub(crate) use body::{Body, BodyError, unsupported_encoding};
pub(crate) use connecting::Connecting;
use error::Result;
pub use error::{CertificateProblem, HttpError, ProxyRefusal};
pub(crate) use proxy::Variable;
use proxy::{Proxies, Proxy};
use resolver::Resolver;
#[cfg(feature = "postgres")]
pub(crate) use send_error::untrusted;
use send_error::{Certificate, Failure, send_error};
pub(crate) use send_error::{SendError, reason};
use through_proxy::ProxyClient;
pub use tls::Roots;
pub(crate) use tls::system_authorities;
#[cfg(feature = "postgres")]
pub(crate) use tls::verified_tls;
use tls::{NoCertificate, client_config, system};

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
    plain: OnceLock<Client>,
    /// Clients for https, without and with the client certificate.
    secure: [OnceLock<Client>; 2],
    /// Clients for https through the proxy, without and with the client certificate.
    proxied: [OnceLock<ProxyClient>; 2],
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

/// How a request is sent.
enum Route<'a> {
    Direct(&'a Client),
    Proxied(&'a ProxyClient),
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

    /// Uses the certificates of a provider. Its client certificate is presented to the origins of its token endpoint (of
    /// its issuer, where that is not configured) and of its API only.
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

    /// The client to build a request for this URL with. Send it with [`send`](Self::send), which knows the proxy.
    ///
    /// # Errors
    /// [`HttpError::InvalidUrl`] for a URL that must not carry a secret, such as http to another machine,
    /// [`HttpError::UnusableProxy`], [`HttpError::NoRoots`], and [`HttpError::System`] if the client cannot be built.
    pub fn client(&self, url: &Url) -> Result<&Client> {
        if let Err(reason) = provider::check_endpoint(url) {
            return Err(HttpError::InvalidUrl { host: provider::host(url), reason });
        }
        let proxied = match self.proxy(url)? {
            Some(proxy) => self.proxied(url, &proxy).map(|_| true)?,
            None => false,
        };
        let presents = self.presents(url);
        // A request that goes through the proxy is only built with this client, not sent.
        let secure = url.scheme() == "https" && !proxied;
        let slot = if secure { &self.secure[usize::from(presents)] } else { &self.plain };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let authorities = if secure { self.authorities()? } else { RootCertStore::empty().into() };
        let client = self.build(authorities, presents)?;
        Ok(slot.get_or_init(|| client))
    }

    /// Sends a request and waits for the head of the response. `client` is the one of the request's URL, and `secrets`
    /// are masked in the trace.
    ///
    /// # Errors
    /// The variant tells whether the server may have received the request.
    pub(crate) async fn send(
        &self,
        client: &Client,
        mut request: Request,
        secrets: &Redactor,
    ) -> std::result::Result<Response, SendError> {
        // Compression would delay the events of a stream.
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        let url = request.url().clone();
        let unsent = |error: HttpError| SendError::NotSent(error.to_string());
        let proxy = self.proxy(&url).map_err(unsent)?;
        let route = match &proxy {
            Some(proxy) => Route::Proxied(self.proxied(&url, proxy).map_err(unsent)?),
            None => Route::Direct(client),
        };
        let log = |lines: &dyn Fn() -> Vec<String>| self.log(&url, secrets, lines);
        log(&|| trace::request_lines(&request));
        if let Some(proxy) = &proxy {
            log(&|| vec![format!("* through the proxy {}", proxy.name())]);
        }
        self.without_certificate.forget();
        // The certificate directory may contain an issuer that the bundle does not.
        let has_more_authorities =
            url.scheme() == "https" && self.roots == Roots::Bundle && self.tls.authorities().is_none();
        let again = if has_more_authorities { request.try_clone() } else { None };
        let mut sent = route.send(request).await;
        if let (Err(failure), Some(again)) = (&sent, again)
            // Nothing was sent yet.
            && failure.is_unknown_issuer()
            && let Ok(all) = system_authorities(Roots::All)
        {
            let presents = self.presents(&url);
            sent = match &proxy {
                Some(proxy) => match self.build_proxied(proxy, all, presents) {
                    Ok(client) => Route::Proxied(&client).send(again).await,
                    Err(_) => sent,
                },
                None => match self.build(all, presents) {
                    Ok(client) => Route::Direct(&client).send(again).await,
                    Err(_) => sent,
                },
            };
        }
        match sent {
            Ok(response) => {
                log(&|| trace::response_lines(&response));
                Ok(response)
            }
            Err(failure) => {
                let certificate = match self.without_certificate.was_asked() {
                    _ if self.presents(&url) => Certificate::Presented,
                    true => Certificate::Asked,
                    false => Certificate::None,
                };
                let error = send_error(&failure, proxy.as_ref(), certificate);
                log(&|| vec![format!("* {}", error.in_trace())]);
                Err(error)
            }
        }
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

    fn build(&self, authorities: Arc<RootCertStore>, presents: bool) -> Result<Client> {
        let builder = Client::builder()
            .tls_backend_preconfigured(self.tls_to_server(authorities, presents)?)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            // By default, reqwest repeats requests that an HTTP/2 server says it did not process. A token request must not
            // be repeated without its caller.
            .retry(retry::never())
            .no_proxy()
            .dns_resolver(Resolver)
            .connect_timeout(CONNECT_TIMEOUT);
        let builder = match &self.connecting {
            Some(observer) => builder.connector_layer(connecting::ConnectingLayer(observer.clone())),
            None => builder,
        };
        builder.build().map_err(|error| system("building the HTTP client", &error.without_url()))
    }

    fn proxied(&self, url: &Url, proxy: &Proxy) -> Result<&ProxyClient> {
        let presents = self.presents(url);
        let slot = &self.proxied[usize::from(presents)];
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.build_proxied(proxy, self.authorities()?, presents)?;
        Ok(slot.get_or_init(|| client))
    }

    fn build_proxied(&self, proxy: &Proxy, authorities: Arc<RootCertStore>, presents: bool) -> Result<ProxyClient> {
        // The proxy is not one of the provider's servers: it gets neither the client certificate nor the provider's trust.
        let own = if proxy.is_tls() { self.proxy_authorities(&authorities)? } else { RootCertStore::empty().into() };
        let mut to_proxy = client_config(own, None, &NoCertificate::default())?;
        to_proxy.alpn_protocols.clear();
        let to_server = self.tls_to_server(authorities, presents)?;
        Ok(ProxyClient::new(proxy.clone(), to_proxy, to_server, self.connecting.clone()))
    }

    /// The certificate authorities that are trusted for an https proxy: those of the system.
    fn proxy_authorities(&self, of_servers: &Arc<RootCertStore>) -> Result<Arc<RootCertStore>> {
        if self.tls.authorities().is_none() { Ok(of_servers.clone()) } else { self.system_authorities() }
    }

    fn tls_to_server(&self, authorities: Arc<RootCertStore>, presents: bool) -> Result<rustls::ClientConfig> {
        client_config(authorities, self.tls.certificate().filter(|_| presents).cloned(), &self.without_certificate)
    }

    fn log(&self, url: &Url, secrets: &Redactor, lines: &dyn Fn() -> Vec<String>) {
        if let Some(trace) = &self.trace {
            let masks = trace::Masks::new(url, secrets);
            lines().into_iter().for_each(|line| trace(&clean::visible(&masks.mask(&line))));
        }
    }
}

impl Route<'_> {
    async fn send(&self, request: Request) -> std::result::Result<Response, Failure> {
        match self {
            Self::Direct(client) => client.execute(request).await.map_err(Failure::direct),
            Self::Proxied(client) => client.execute(request).await.map_err(Failure::proxied),
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
    use super::*;

    #[tokio::test]
    async fn silence_beyond_the_limit_is_told_from_a_broken_connection() {
        // The kernel accepts the connection; the program does not.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let http = Http::default();
        let client = http.client(&url).unwrap();
        let request = client.get(url.clone()).timeout(Duration::from_millis(1)).build().unwrap();
        let error = http.send(client, request, &Redactor::default()).await.unwrap_err();
        assert!(matches!(error, SendError::TimedOut), "{error:?}");
    }

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
            let client = http.client(&url).unwrap();
            let error =
                http.send(client, client.get(url.clone()).build().unwrap(), &Redactor::default()).await.unwrap_err();
            assert_eq!(error, SendError::NotSent("no connection within 10 seconds".into()));
        }
        let calls = calls.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(calls, [1, 1]);
    }
}
