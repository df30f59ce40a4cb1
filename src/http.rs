//! The one HTTP client: TLS, roots, proxies, and what `--verbose` tells of the wire.
//!
//! A client is built when a request is about to be made and not before, and only as heavy as that
//! request needs: certificate roots are read for https alone, because reading them costs more than
//! everything else at start-up together. Proxies and private certificate authorities are found as
//! curl finds them (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`); loopback bypasses
//! proxies. No redirect is ever followed: a token goes where the configuration says or nowhere.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, Request, Response, redirect};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::provider::{self, Url};
use crate::terminal;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What nexus calls itself.
pub const USER_AGENT: &str = concat!("nexus/", env!("CARGO_PKG_VERSION"));

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
    trace: Option<Trace>,
}

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Lost {
    /// No connection came about, so the server has seen nothing of it.
    NeverSent(String),
    /// The connection was there; what the server has seen is unknown.
    PerhapsSent(String),
}

impl Lost {
    /// As a failure to reach this URL's host.
    pub fn at(self, url: &Url) -> Failure {
        let (Lost::NeverSent(why) | Lost::PerhapsSent(why)) = self;
        Failure::Unreachable { host: provider::host(url), why }
    }
}

impl Http {
    /// A client with these roots that tells `trace` what happens on the wire, if there is one.
    pub fn new(roots: Roots, trace: Option<Trace>) -> Self {
        Self { roots, trace, ..Self::default() }
    }

    /// The client for a URL, as heavy as this URL needs.
    ///
    /// # Errors
    /// [`Failure::Configuration`] for a URL that must not carry a secret, such as http to another
    /// machine; [`Failure::System`] where no certificate root can be found or the client cannot be built.
    pub fn client(&self, url: &Url) -> Result<&Client> {
        if let Err(why) = provider::endpoint_url(url.as_str()) {
            return Err(Failure::Configuration {
                sentence: format!("the URL of {} {why}", provider::host(url)),
                cure: "write it as `https://...`".into(),
            });
        }
        let local = provider::is_loopback(url);
        let (slot, secure) = match (url.scheme(), local) {
            ("http", _) => (&self.plain, false),
            (_, true) => (&self.secure_local, true),
            (_, false) => (&self.secure, true),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let roots = if secure { roots(self.roots)? } else { rustls::RootCertStore::empty() };
        let client = build(roots, local)?;
        Ok(slot.get_or_init(|| client))
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// What is known of whether the server has seen it.
    pub async fn send(&self, client: &Client, request: Request) -> std::result::Result<Response, Lost> {
        self.trace_request(&request);
        let credentials = if self.trace.is_some() { credentials(&request) } else { Vec::new() };
        let again = request.try_clone();
        let local = provider::is_loopback(request.url());
        let mut sent = client.execute(request).await;
        if let (Err(error), Some(again)) = (&sent, again)
            && unknown_issuer(error)
            // The bundle did not know the issuer; the certificate directory may. Nothing was sent yet.
            && self.roots == Roots::Bundle
            && let Ok(client) = roots(Roots::All).and_then(|roots| build(roots, local))
        {
            sent = client.execute(again).await;
        }
        match sent {
            Ok(response) => {
                self.trace_response(&response, &credentials);
                Ok(response)
            }
            Err(error) => {
                let lost = lost(error);
                self.tell(|| match &lost {
                    Lost::NeverSent(why) => format!("* never sent: {why}"),
                    Lost::PerhapsSent(why) => format!("* no answer: {why}"),
                });
                Err(lost)
            }
        }
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace(&terminal::visible(&line()));
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

fn build(roots: rustls::RootCertStore, local: bool) -> Result<Client> {
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
    builder.build().map_err(|error| system("building the HTTP client", &error.without_url()))
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
        return Err(Failure::System {
            sentence: format!(
                "no certificate authorities to check https with ({}); install the system's CA certificates or set \
                 SSL_CERT_FILE",
                terminal::clean(&why)
            ),
        });
    }
    Ok(store)
}

fn system(doing: &str, error: &dyn Error) -> Failure {
    Failure::System { sentence: format!("{doing}: {}", terminal::clean(&root_cause(error))) }
}

/// What is known about a request that failed. reqwest's own text would show the URL.
fn lost(error: reqwest::Error) -> Lost {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        let why = if error.is_timeout() {
            format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs())
        } else if unknown_issuer(&error) {
            "its certificate is from an authority that this machine does not know; SSL_CERT_FILE can name one".into()
        } else {
            terminal::clean(&root_cause(&error))
        };
        Lost::NeverSent(why)
    } else if error.is_timeout() {
        Lost::PerhapsSent("no answer in time".into())
    } else {
        Lost::PerhapsSent(terminal::clean(&root_cause(&error)))
    }
}

/// The innermost cause, which is the one that says what happened ("Connection refused").
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn unknown_issuer(error: &(dyn Error + 'static)) -> bool {
    use rustls::{CertificateError::UnknownIssuer, Error::InvalidCertificate};
    if let Some(InvalidCertificate(UnknownIssuer)) = error.downcast_ref() {
        return true;
    }
    // rustls's error travels inside one io::Error inside another, and the `source` of each skips the
    // one it holds.
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|held| unknown_issuer(held)) || error.source().is_some_and(unknown_issuer)
}
