//! The one HTTP client: TLS, roots, proxies, and what `--verbose` tells of the wire.
//!
//! A client is built when a request is about to be made and not before, and only as heavy as that
//! request needs: certificate roots are read for https alone, because reading them costs more than
//! everything else at start-up together. Proxies and private certificate authorities are found as
//! curl finds them (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`); loopback bypasses
//! proxies. No redirect is ever followed: a token goes where the configuration says or nowhere.

mod connecting;
mod error;
mod send_error;

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderMap;
use reqwest::{Client, Request, Response, redirect};
use zeroize::Zeroizing;

pub(crate) use connecting::Connecting;
use error::Result;
pub use error::{CertificateProblem, HttpError};
pub(crate) use send_error::{SendError, root_cause};
use send_error::{send_error, unknown_issuer};

use crate::clean;
use crate::provider::{self, Url};
use crate::time;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What nexus calls itself.
pub(crate) const USER_AGENT: &str = concat!("nexus/", env!("CARGO_PKG_VERSION"));

/// A variable of the environment, if it is set and not empty.
pub(crate) type Variable = fn(&'static str) -> Option<String>;

/// Receives one line per thing that happens on the wire, secrets already masked.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// Which certificate roots an https request is checked with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Roots {
    /// Everything the system has, or exactly what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    #[default]
    All,
    /// The system's bundle file first. The directory beside it holds the same certificates at ten
    /// times the cost, and is read only when the bundle does not know an issuer.
    Bundle,
}

/// Sends requests. Cheap to make: nothing is built before the first request needs it.
#[derive(Default)]
pub struct Http {
    plain: OnceLock<Client>,
    secure: OnceLock<Client>,
    secure_local: OnceLock<Client>,
    roots: Roots,
    /// Where a proxy is named, so that it can be named where it fails.
    variable: Option<Variable>,
    trace: Option<Trace>,
    connecting: Option<Connecting>,
}

impl Http {
    /// A client with these roots that tells `trace` what happens on the wire, if there is one.
    /// `variable` reads the environment, which names the proxies.
    pub fn new(roots: Roots, variable: Variable, trace: Option<Trace>) -> Self {
        Self { roots, variable: Some(variable), trace, ..Self::default() }
    }

    /// The same client, which tells when it makes a connection.
    #[must_use]
    pub fn with_connecting(self, told: Connecting) -> Self {
        Self { connecting: Some(told), ..self }
    }

    /// The client for a URL, as heavy as this URL needs.
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
            // One that cannot be used would be passed by without a word.
            self.proxy(url)?;
        }
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let roots = if secure { roots(self.roots)? } else { rustls::RootCertStore::empty() };
        let client = self.build(roots, local)?;
        Ok(slot.get_or_init(|| client))
    }

    /// The proxy on the way to a URL, as host and port, found as the client finds it.
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
        // Not quoted in complaints: it may hold a password.
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

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// What is known of whether the server has seen it.
    pub async fn send(&self, client: &Client, request: Request) -> std::result::Result<Response, SendError> {
        self.trace_request(&request);
        let credentials = if self.trace.is_some() { credentials(&request) } else { Vec::new() };
        let again = request.try_clone();
        let url = request.url().clone();
        let local = provider::is_loopback(&url);
        let mut sent = client.execute(request).await;
        if let (Err(error), Some(again)) = (&sent, again)
            && unknown_issuer(error)
            // The bundle did not know the issuer; the certificate directory may. Nothing was sent yet.
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
                    (SendError::NeverSent(why), Ok(Some(proxy))) => {
                        SendError::NeverSent(format!("through the proxy {proxy}: {why}"))
                    }
                    (SendError::NotTls, Ok(Some(proxy))) => {
                        SendError::NeverSent(format!("through the proxy {proxy}: the server does not speak TLS"))
                    }
                    (unsent, _) => unsent,
                };
                self.tell(|| match &unsent {
                    SendError::Untrusted(problem) => format!("* not sent: {problem}"),
                    SendError::NeverSent(why) => format!("* not sent: {why}"),
                    SendError::NotTls => "* not sent: the server does not speak TLS".into(),
                    SendError::PerhapsSent(why) => format!("* no response: {why}"),
                    SendError::TooLate => "* no response in time".into(),
                });
                Err(unsent)
            }
        }
    }

    fn build(&self, roots: rustls::RootCertStore, local: bool) -> Result<Client> {
        // The provider is handed over explicitly: with a second one anywhere in the tree, rustls's
        // process-wide default would panic.
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
            Some(told) => builder.connector_layer(connecting::Tells(told.clone())),
            None => builder,
        };
        builder.build().map_err(|error| system("building the HTTP client", &error.without_url()))
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace(&clean::visible(&line()));
        }
    }

    fn trace_request(&self, request: &Request) {
        self.tell(|| format!("> {} {}", request.method(), shown(request.url())));
        for (name, value) in request.headers() {
            self.tell(|| format!("> {name}: {}", masked(name.as_str(), value.to_str().unwrap_or("(not text)"))));
        }
    }

    fn trace_response(&self, response: &Response, credentials: &[Zeroizing<String>]) {
        self.tell(|| format!("< {}", response.status().as_u16()));
        for (name, value) in response.headers() {
            let value = masked(name.as_str(), value.to_str().unwrap_or("(not text)"));
            // A server that repeats what it was sent does so in headers, too.
            let value = credentials.iter().fold(value.to_owned(), |value, secret| value.replace(&**secret, "(masked)"));
            self.tell(|| format!("< {name}: {value}"));
        }
    }
}

/// What a request's sensitive headers prove, as far as it is long enough to be told from other text.
fn credentials(request: &Request) -> Vec<Zeroizing<String>> {
    let sensitive = request.headers().values().filter(|value| value.is_sensitive());
    let texts =
        sensitive.filter_map(|value| value.to_str().ok()).map(|value| value.split(' ').next_back().unwrap_or(value));
    texts.filter(|text| text.len() >= 16).map(|text| Zeroizing::new(text.to_owned())).collect()
}

/// A URL without its query's values: an API's may carry keys.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    if url.query().is_some() {
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        shown.set_query(None);
        return format!("{shown}?{}", names.join("&"));
    }
    shown.into()
}

/// Header values that are known to be no secret are shown, all others are not: a gateway's key may
/// travel under any name.
fn masked<'a>(name: &str, value: &'a str) -> &'a str {
    const SHOWN: &[&str] = &[
        "accept",
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

/// How long a server asks to wait: `retry-after-ms`, else `retry-after` as seconds or as an HTTP
/// date, which is compared with the server's own clock.
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
        // A connection that is taken by the system, and by nobody else.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let http = Http::default();
        let client = http.client(&url).unwrap();
        let request = client.get(url.clone()).timeout(Duration::from_millis(1)).build().unwrap();
        let error = http.send(client, request).await.unwrap_err();
        assert!(matches!(error, SendError::TooLate), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_found_no_connection_was_never_sent_whether_somebody_watches_or_not() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        // Says no word of TLS.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
        let told = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let heard = told.clone();
        let watched = Http::default().with_connecting(Arc::new(move |begun| {
            heard[usize::from(begun)].fetch_add(1, Ordering::Relaxed);
        }));
        for http in [Http::default(), watched] {
            let client = http.client(&url).unwrap();
            let error = http.send(client, client.get(url.clone()).build().unwrap()).await.unwrap_err();
            assert_eq!(error, SendError::NeverSent("no connection within 10 seconds".into()));
        }
        let told = told.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(told, [1, 1]);
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
