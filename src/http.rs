//! The HTTP client: TLS, CA certificates, proxies and tracing.
//!
//! The client is built at the first request. CA certificates are read for https only, because reading them takes longer
//! than the rest of the start-up. Proxies and private certificate authorities are configured as for curl
//! (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`). Loopback bypasses proxies. Redirects are not followed,
//! so a token is sent to configured URLs only.

mod body;
mod connecting;
mod error;
mod gzip;
mod send_error;

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Request, Response, redirect};

pub(crate) use body::{Body, BodyError, unsupported_encoding};
pub(crate) use connecting::Connecting;
use error::Result;
pub use error::{CertificateProblem, HttpError};
pub(crate) use send_error::{SendError, root_cause};
use send_error::{send_error, unknown_issuer};

use crate::clean;
use crate::provider::{self, Url};
use crate::redact::Redactor;
use crate::time;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) const USER_AGENT: &str = concat!("nexus/", env!("CARGO_PKG_VERSION"));

/// Reads an environment variable. `None` if it is not set or empty.
pub(crate) type Variable = fn(&'static str) -> Option<String>;

/// Receives one line for each step of a request, with secrets masked.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

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

/// Sends requests. Creating it does no work.
#[derive(Default)]
pub struct Http {
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
    secure_local: OnceLock<Client>,
    roots: Roots,
    /// Reads the proxy variables, to name the proxy in errors.
    variable: Option<Variable>,
    trace: Option<Trace>,
    connecting: Option<Connecting>,
}

impl Http {
    /// A client with these CA certificates. `variable` reads the proxy variables; `trace` receives the trace.
    pub fn new(roots: Roots, variable: Variable, trace: Option<Trace>) -> Self {
        Self { roots, variable: Some(variable), trace, ..Self::default() }
    }

    /// Reports connection attempts to `observer`.
    #[must_use]
    pub fn with_connecting(self, observer: Connecting) -> Self {
        Self { connecting: Some(observer), ..self }
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// [`HttpError::InvalidUrl`] for a URL that must not carry a secret, such as http to another machine,
    /// [`HttpError::UnusableProxy`], [`HttpError::NoRoots`], and [`HttpError::System`] if the client cannot be built.
    pub fn client(&self, url: &Url) -> Result<&Client> {
        if let Err(reason) = provider::endpoint_url(url.as_str()) {
            return Err(HttpError::InvalidUrl { host: provider::host(url), reason });
        }
        let local = provider::is_loopback(url);
        let (slot, secure) = match (url.scheme(), local) {
            ("http", _) => (&self.plain, false),
            (_, true) => (&self.secure_local, true),
            (_, false) => (&self.secure, true),
        };
        if !local {
            // reqwest ignores an unusable proxy.
            self.proxy(url)?;
        }
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let roots = if secure { roots(self.roots)? } else { rustls::RootCertStore::empty() };
        let client = self.build(roots, local)?;
        Ok(slot.get_or_init(|| client))
    }

    /// The host and port of the proxy for a URL, by the same rules as reqwest.
    fn proxy(&self, url: &Url) -> Result<Option<String>> {
        let Some(variable) = self.variable else { return Ok(None) };
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, variable(name)?.trim().to_owned())))
        };
        let named = first(["HTTPS_PROXY", "https_proxy"]).or_else(|| first(["ALL_PROXY", "all_proxy"]));
        let (Some((name, value)), Ok(uri)) = (named, url.as_str().parse()) else { return Ok(None) };
        let exempt = first(["NO_PROXY", "no_proxy"]).map(|(_, names)| names).unwrap_or_default();
        let passed_by = Matcher::builder().all("http://proxy").no(exempt).build().intercept(&uri).is_none();
        if passed_by || provider::is_loopback(url) {
            return Ok(None);
        }
        let proxy = if value.contains("://") { Url::parse(&value) } else { Url::parse(&format!("http://{value}")) };
        match proxy {
            Ok(proxy) if matches!(proxy.scheme(), "http" | "https") && proxy.host_str().is_some() => {
                let port = proxy.port_or_known_default().unwrap_or_default();
                Ok(Some(format!("{}:{port}", proxy.host_str().unwrap_or_default())))
            }
            Ok(proxy) if proxy.host_str().is_some() => {
                Err(unusable_proxy(name, &format!("{} proxies are not supported", proxy.scheme())))
            }
            _ => Err(unusable_proxy(name, "not a proxy URL")),
        }
    }

    /// Sends a request and waits for the head of the response.
    ///
    /// # Errors
    /// The variant tells whether the server may have received the request.
    pub async fn send(&self, client: &Client, mut request: Request) -> std::result::Result<Response, SendError> {
        // Compression would delay the events of a stream.
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        self.trace_request(&request);
        let credentials = if self.trace.is_some() { credentials(&request) } else { Redactor::default() };
        let again = request.try_clone();
        let url = request.url().clone();
        let local = provider::is_loopback(&url);
        let mut sent = client.execute(request).await;
        if let (Err(error), Some(again)) = (&sent, again)
            && unknown_issuer(error)
            // The certificate directory may contain the issuer. Nothing was sent yet.
            && self.roots == Roots::Bundle
            && let Ok(client) = roots(Roots::All).and_then(|roots| self.build(roots, local))
        {
            sent = client.execute(again).await;
        }
        match sent {
            Ok(response) => {
                self.trace_response(&response, &credentials);
                Ok(response)
            }
            Err(error) => {
                let unsent = match (send_error(error), self.proxy(&url)) {
                    (SendError::NotSent(why), Ok(Some(proxy))) => {
                        SendError::NotSent(format!("through the proxy {proxy}: {why}"))
                    }
                    (SendError::NoConnection(why), Ok(Some(proxy))) => {
                        SendError::NoConnection(format!("through the proxy {proxy}: {why}"))
                    }
                    (SendError::NotTls, Ok(Some(proxy))) => {
                        SendError::NotSent(format!("through the proxy {proxy}: the server does not speak TLS"))
                    }
                    (unsent, _) => unsent,
                };
                self.log(|| match &unsent {
                    SendError::Untrusted(problem) => format!("* not sent: {problem}"),
                    SendError::NoConnection(why) | SendError::NotSent(why) => format!("* not sent: {why}"),
                    SendError::NotTls => "* not sent: the server does not speak TLS".into(),
                    SendError::MaybeSent(why) => format!("* no response: {why}"),
                    SendError::TimedOut => "* no response in time".into(),
                });
                Err(unsent)
            }
        }
    }

    fn build(&self, roots: rustls::RootCertStore, local: bool) -> Result<Client> {
        // Explicit, because rustls's process-wide default panics if two crypto providers are linked.
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| system("setting up TLS", &error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        let builder = if local { builder.no_proxy() } else { builder };
        let builder = match &self.connecting {
            Some(observer) => builder.connector_layer(connecting::ConnectingLayer(observer.clone())),
            None => builder,
        };
        builder.build().map_err(|error| system("building the HTTP client", &error.without_url()))
    }

    fn log(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace(&clean::visible(&line()));
        }
    }

    fn trace_request(&self, request: &Request) {
        self.log(|| format!("> {} {}", request.method(), without_query_values(request.url())));
        for (name, value) in request.headers() {
            self.log(|| format!("> {name}: {}", masked(name.as_str(), value.to_str().unwrap_or("(not text)"))));
        }
    }

    fn trace_response(&self, response: &Response, credentials: &Redactor) {
        self.log(|| format!("< {}", response.status().as_u16()));
        for (name, value) in response.headers() {
            let value = masked(name.as_str(), value.to_str().unwrap_or("(not text)"));
            // A server may repeat a credential.
            let value = credentials.redact(value);
            self.log(|| format!("< {name}: {value}"));
        }
    }
}

/// Redacts the credentials in a request's sensitive headers. Short ones are skipped: they could be words.
fn credentials(request: &Request) -> Redactor {
    let sensitive = request.headers().values().filter(|value| value.is_sensitive());
    let texts = sensitive.filter_map(|value| value.to_str().ok()?.split(' ').next_back());
    Redactor::new(texts.filter(|text| text.len() >= 16))
}

/// A URL without the values of its query, which may be keys.
fn without_query_values(url: &Url) -> String {
    let mut without_query_values = url.clone();
    if url.query().is_some() {
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        without_query_values.set_query(None);
        return format!("{without_query_values}?{}", names.join("&"));
    }
    without_query_values.into()
}

/// Masks the values of all headers that are not known to be harmless: a gateway's key may be in any header.
fn masked<'a>(name: &str, value: &'a str) -> &'a str {
    const SHOWN: &[&str] = &[
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "host",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "transfer-encoding",
        "user-agent",
        "www-authenticate",
        "x-request-id",
        "x-should-retry",
    ];
    if SHOWN.contains(&name) || name.starts_with("anthropic-ratelimit-") { value } else { "(masked)" }
}

fn roots(from: Roots) -> Result<rustls::RootCertStore> {
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
        _ => rustls_native_certs::load_native_certs(),
    };
    let mut store = rustls::RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(HttpError::NoRoots { reason: clean::clean(&why) });
    }
    Ok(store)
}

fn unusable_proxy(variable: &str, reason: &str) -> HttpError {
    HttpError::UnusableProxy { variable: variable.into(), reason: reason.into() }
}

fn system(action: &'static str, error: &dyn Error) -> HttpError {
    HttpError::System { action, reason: clean::clean(&root_cause(error)) }
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
        let error = http.send(client, request).await.unwrap_err();
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
            let error = http.send(client, client.get(url.clone()).build().unwrap()).await.unwrap_err();
            assert_eq!(error, SendError::NotSent("no connection within 10 seconds".into()));
        }
        let calls = calls.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(calls, [1, 1]);
    }

    #[test]
    fn a_proxy_is_found_as_the_client_finds_it() {
        fn environment(name: &'static str) -> Option<String> {
            let value = match name {
                "https_proxy" => "ada:hush@proxy.example.com:3128",
                "ALL_PROXY" => "http://other.example.com",
                "NO_PROXY" => "example.org, 10.0.0.0/8",
                _ => return None,
            };
            Some(value.to_owned())
        }
        let http = Http::new(Roots::All, environment, None);
        for (url, proxy) in [
            ("https://llm.example.com/", Some("proxy.example.com:3128")),
            ("https://example.org/", None),
            ("https://id.example.org/", None),
            ("https://10.1.2.3/", None),
            ("https://localhost/", None),
        ] {
            assert_eq!(http.proxy(&Url::parse(url).unwrap()).unwrap().as_deref(), proxy, "{url}");
        }
    }
}
