//! The HTTP listener at a loopback redirect URI (RFC 8252, section 7.3).
//!
//! The browser that brings the authorization response waits until the code is exchanged. It is then redirected to a
//! page without a query, so that the code stays neither in the address bar nor in the back button. A response that
//! [`AuthorizationRequest::judge`] rejects does not end the wait.
//!
//! Pages of other programs that were served at the same origin, and their service workers, are not trusted: they could
//! read the authorization URL and forge a response with their own account. So a browser may only navigate here (Fetch
//! Metadata Request Headers, W3C), and only the user may open the short URL.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HeaderMap, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::authorization_code::{AuthorizationRequest, Verdict};
use super::error::{Result, SignInError};
use super::page::{self as pages, Outcome};
use super::pkce;
use crate::invisible;
use crate::loopback::{self, BindError, Listener, page};
use crate::provider::{self, ProviderConfig, Url};
use crate::secret::AuthorizationCode;

/// The path that redirects to the authorization URL.
const SHORT_PATH: &str = "/oauth/claude/authorize";
/// How long [`RedirectListener::finish`] waits for browsers to fetch the outcome page.
const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// How many responses may wait for [`AuthorizationRequest::judge`].
const QUEUE: usize = 16;

/// The listener at the redirect URI. Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct RedirectListener {
    provider: String,
    /// The scopes of the request, separated by spaces.
    scopes: String,
    redirect_uri: String,
    short_url: String,
    arrivals: mpsc::Receiver<Arrival>,
    /// How many responses had a wrong `state`.
    turned_away: u32,
    on_stray_error: Option<StrayErrorFn>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

/// Called once, when an error response has a wrong `state` or none.
struct StrayErrorFn(Box<dyn FnOnce() + Send>);

impl fmt::Debug for StrayErrorFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StrayErrorFn")
    }
}

/// A query that came to the redirect URI. `reply` says whether it answers the request.
struct Arrival {
    query: String,
    reply: oneshot::Sender<std::result::Result<(), &'static str>>,
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    port: u16,
    /// The path of the redirect URI.
    path: String,
    /// The path of the outcome page. It is random, because other accounts of this machine can connect, and the page
    /// names the account.
    page_path: String,
    arrivals: mpsc::Sender<Arrival>,
    /// The authorization URL, once [`RedirectListener::wait`] knows it.
    authorize: watch::Sender<Option<String>>,
    /// The digest of the accepted query, which contains the code.
    accepted: OnceLock<[u8; 32]>,
    outcome: watch::Sender<Option<Outcome>>,
    browsers: watch::Sender<Browsers>,
}

/// How many browsers wait for the outcome page, and how many have fetched it.
#[derive(Debug, Default)]
struct Browsers {
    waiting: usize,
    served: usize,
}

impl RedirectListener {
    /// Listens at the provider's redirect URI.
    ///
    /// # Errors
    /// [`SignInError::RedirectUnusable`] if it is not an http URL on loopback or the port may not be bound,
    /// [`SignInError::PortTaken`] if another program listens on the port.
    pub async fn bind(provider: &ProviderConfig) -> Result<Self> {
        Self::bind_at(provider, &provider.redirect_uri).await
    }

    /// Listens for a provider that registers its client with whatever port is bound: at the redirect URI of the client
    /// that is registered already, else at the provider's, else at that with any free port.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub async fn bind_any(provider: &ProviderConfig, registered: Option<&str>) -> Result<Self> {
        for uri in registered.into_iter().chain([&*provider.redirect_uri]) {
            match Self::bind_at(provider, uri).await {
                Err(SignInError::PortTaken { .. }) => {}
                bound => return bound,
            }
        }
        Self::bind_at(provider, &with_port(&provider.redirect_uri, 0)).await
    }

    async fn bind_at(provider: &ProviderConfig, configured: &str) -> Result<Self> {
        let unusable = |why: String| SignInError::RedirectUnusable { uri: configured.to_owned(), reason: why };
        let mut url = parse_redirect_uri(configured).map_err(unusable)?;
        let wanted = url.port_or_known_default().unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        let listener = Listener::bind(host, wanted).await.map_err(|error| match error {
            BindError::Taken(address) => SignInError::PortTaken { address, provider: provider.name.clone() },
            BindError::Unusable(why) => unusable(why),
        })?;
        let port = listener.port();
        let redirect_uri = if wanted == 0 { with_port(configured, port) } else { configured.to_owned() };
        let path = url.path().to_owned();
        // Neither can fail: the URL has a host and is http.
        let _ = url.set_port(Some(port));
        url.set_path(SHORT_PATH);
        let (sender, arrivals) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            port,
            page_path: format!("{}/done/{}", path.trim_end_matches('/'), pkce::random_text()?),
            path,
            arrivals: sender,
            authorize: watch::Sender::new(None),
            accepted: OnceLock::new(),
            outcome: watch::Sender::new(None),
            browsers: watch::Sender::new(Browsers::default()),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let handler = shared.clone();
        let answer = move |request| {
            let shared = handler.clone();
            async move { Some(shared.answer(request).await) }
        };
        let server = tokio::spawn(listener.serve(answer, async {
            let _ = stopped.await;
        }));
        let elsewhere = provider.authorize_params.get("scope").cloned().unwrap_or_default();
        let scopes = if provider.scopes.is_empty() { elsewhere } else { provider.scopes.join(" ") };
        let short_url = url.into();
        Ok(Self {
            provider: provider.name.clone(),
            scopes,
            redirect_uri,
            short_url,
            arrivals,
            turned_away: 0,
            on_stray_error: None,
            shared,
            stop: Some(stop),
            server,
        })
    }

    /// Calls this once, when the first error response with a wrong `state` or none has arrived. Anyone can send one, so
    /// it does not end the wait; a server that leaves out `state` sends one when the user refuses.
    pub fn on_stray_error(mut self, call: impl FnOnce() + Send + 'static) -> Self {
        self.on_stray_error = Some(StrayErrorFn(Box::new(call)));
        self
    }

    /// The redirect URI exactly as configured, because servers compare it byte by byte. A port 0 is replaced by the
    /// port that was bound.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// A short URL that redirects to the authorization URL while the listener waits.
    pub fn short_url(&self) -> String {
        self.short_url.clone()
    }

    /// Passes on responses that come another way.
    pub fn response_sender(&self) -> ResponseSender {
        ResponseSender(self.shared.clone())
    }

    /// Waits for the response to this request. The browser that brings it waits for [`finish`](Self::finish).
    ///
    /// Dropping the future and calling this again loses nothing.
    ///
    /// # Errors
    /// [`SignInError::TimedOut`] after `limit`, or the refusal in the response.
    pub async fn wait(&mut self, request: &AuthorizationRequest, limit: Duration) -> Result<AuthorizationCode> {
        self.shared.authorize.send_replace(Some(request.url().to_string()));
        let verdict = tokio::time::timeout(limit, self.first_response(request)).await;
        let verdict = verdict.unwrap_or_else(|_| {
            Err(SignInError::TimedOut {
                provider: self.provider.clone(),
                waited: limit,
                client_id: request.client_id().to_owned(),
                redirect_uri: request.redirect_uri().to_owned(),
                scopes: self.scopes.clone(),
                turned_away: self.turned_away,
                registered: request.registered().is_some(),
            })
        });
        self.arrivals.close();
        while let Ok(late) = self.arrivals.try_recv() {
            let _ = late.reply.send(self.shared.check_accepted(&late.query));
        }
        verdict
    }

    async fn first_response(&mut self, request: &AuthorizationRequest) -> Result<AuthorizationCode> {
        while let Some(Arrival { query, reply }) = self.arrivals.recv().await {
            let verdict = match request.judge(&query) {
                Verdict::NotOurs(why) => {
                    self.turned_away = self.turned_away.saturating_add(1);
                    if AuthorizationRequest::is_error(&query)
                        && let Some(StrayErrorFn(call)) = self.on_stray_error.take()
                    {
                        call();
                    }
                    let _ = reply.send(Err(why));
                    continue;
                }
                Verdict::Unclear(why) => {
                    let _ = reply.send(Err(why));
                    continue;
                }
                Verdict::Granted(code) => Ok(code),
                Verdict::Refused(error) => Err(error),
            };
            // Set before the reply, so that later queries are compared with this one.
            let _ = self.shared.accepted.set(Sha256::digest(&query).into());
            let _ = reply.send(Ok(()));
            return verdict;
        }
        Err(SignInError::System { description: "the redirect listener has stopped".into() })
    }

    /// Shows the outcome to the waiting browsers and closes the listener. Waits up to two seconds for the browsers to
    /// fetch the page.
    pub async fn finish(mut self, outcome: &Outcome) {
        self.shared.outcome.send_replace(Some(outcome.clone()));
        let mut browsers = self.shared.browsers.subscribe();
        let served = browsers.wait_for(|browsers| browsers.served >= browsers.waiting);
        let _ = tokio::time::timeout(PAGE_LIMIT, served).await;
        drop(self.stop.take());
        // Bounded by the listener's shutdown limit.
        let _ = (&mut self.server).await;
    }
}

/// Passes responses to [`RedirectListener::wait`] that did not come to the redirect URI, such as a pasted URL.
#[derive(Debug, Clone)]
pub struct ResponseSender(Arc<Shared>);

impl ResponseSender {
    /// Passes the query of a response. It is judged as if it had come to the redirect URI.
    ///
    /// # Errors
    /// Why it does not answer the request; the listener keeps waiting.
    pub async fn send(&self, query: &str) -> std::result::Result<(), &'static str> {
        self.0.submit(query).await
    }
}

impl Drop for RedirectListener {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !loopback::is_for_this_host(&request, self.port) {
            return page::text(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n");
        }
        let path = request.uri().path();
        if ![&self.path, &self.page_path, SHORT_PATH].contains(&path) {
            return page::text(StatusCode::NOT_FOUND, "not found\n");
        }
        if request.method() != Method::GET {
            return page::method_not_allowed("GET");
        }
        if is_prefetch(request.headers()) {
            return page::text(StatusCode::SERVICE_UNAVAILABLE, "prefetching is not supported\n");
        }
        if !is_navigation(request.headers()) {
            return page::text(StatusCode::FORBIDDEN, "only a browser's own navigation is served here\n");
        }
        if path == self.path {
            self.callback(request.uri().query().unwrap_or_default(), wants_page(request.headers())).await
        } else if path == self.page_path {
            self.outcome_page()
        } else {
            self.authorization_url(request.headers()).await
        }
    }

    /// Answers a request to the redirect URI.
    async fn callback(&self, query: &str, is_browser: bool) -> Response<Full<Bytes>> {
        let pending = is_browser.then(|| PendingBrowser::new(&self.browsers));
        let accepted = match self.accepted.get() {
            Some(_) => self.check_accepted(query),
            None => self.submit(query).await,
        };
        if let Err(why) = accepted {
            return pages::not_ours(why);
        }
        let mut outcome = self.outcome.subscribe();
        let outcome = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match (pending, outcome) {
            (Some(pending), Some(_)) => pending.redirected(),
            // Other clients get the outcome at once: they have no history, and may follow the redirect too late.
            (None, Some(outcome)) => return pages::outcome_text(&outcome),
            (_, None) => {}
        }
        page::redirect(StatusCode::SEE_OTHER, &self.page_path)
    }

    /// Passes a query to [`RedirectListener::wait`].
    async fn submit(&self, query: &str) -> std::result::Result<(), &'static str> {
        let (reply, verdict) = oneshot::channel();
        let arrival = Arrival { query: query.to_owned(), reply };
        if self.arrivals.send(arrival).await.is_ok()
            && let Ok(verdict) = verdict.await
        {
            return verdict;
        }
        self.check_accepted(query).map_err(|_| "this sign-in is over")
    }

    /// Whether this is the accepted query once more.
    fn check_accepted(&self, query: &str) -> std::result::Result<(), &'static str> {
        let accepted = self.accepted.get().is_some_and(|accepted| *accepted == <[u8; 32]>::from(Sha256::digest(query)));
        accepted.then_some(()).ok_or("this sign-in already has a response")
    }

    fn outcome_page(&self) -> Response<Full<Bytes>> {
        let outcome = self.outcome.borrow();
        let Some(outcome) = &*outcome else {
            return page::text(StatusCode::NOT_FOUND, "the sign-in has not ended yet\n");
        };
        self.browsers.send_modify(|browsers| browsers.served += 1);
        pages::outcome(outcome)
    }

    /// Redirects to the authorization URL, except from a page of any site: its `state` belongs to the user who started
    /// this sign-in.
    async fn authorization_url(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let from_page = has_fetch_metadata(headers) && !has_only(headers, "sec-fetch-site", "none");
        if from_page || headers.contains_key(ORIGIN) {
            return page::text(StatusCode::FORBIDDEN, "");
        }
        let mut authorize = self.authorize.subscribe();
        let Ok(url) = authorize.wait_for(Option::is_some).await.map(|url| url.clone().unwrap_or_default()) else {
            return page::text(StatusCode::SERVICE_UNAVAILABLE, "no sign-in is in progress\n");
        };
        if wants_page(headers) {
            page::redirect(StatusCode::FOUND, &url)
        } else {
            page::text(StatusCode::OK, &format!("{url}\n"))
        }
    }
}

/// A browser that waits for the outcome. It is no longer counted if it disconnects before the redirect.
struct PendingBrowser<'a> {
    browsers: &'a watch::Sender<Browsers>,
    redirected: bool,
}

impl<'a> PendingBrowser<'a> {
    fn new(browsers: &'a watch::Sender<Browsers>) -> Self {
        browsers.send_modify(|browsers| browsers.waiting += 1);
        Self { browsers, redirected: false }
    }

    fn redirected(mut self) {
        self.redirected = true;
    }
}

impl Drop for PendingBrowser<'_> {
    fn drop(&mut self) {
        if !self.redirected {
            self.browsers.send_modify(|browsers| browsers.waiting -= 1);
        }
    }
}

/// Whether a browser prefetches the page. A prefetch must not use up a single-use code.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().flat_map(|name| headers.get_all(*name)).any(|purpose| {
        let purpose = String::from_utf8_lossy(purpose.as_bytes()).to_ascii_lowercase();
        ["prefetch", "preview", "prerender"].iter().any(|prefetch| purpose.contains(prefetch))
    })
}

/// Whether this is no browser, or a browser that shows the response in a tab. A `fetch` by a page or a service worker,
/// a frame and a subresource have other values.
fn is_navigation(headers: &HeaderMap) -> bool {
    !has_fetch_metadata(headers)
        || (has_only(headers, "sec-fetch-mode", "navigate") && has_only(headers, "sec-fetch-dest", "document"))
}

fn has_fetch_metadata(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// Whether the headers have this field once, with this value.
fn has_only(headers: &HeaderMap, name: &str, value: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_some_and(|found| found.as_bytes() == value.as_bytes()) && values.next().is_none()
}

/// Whether the client is a browser.
fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.to_ascii_lowercase().contains("text/html")))
}

/// Parses a redirect URI that this machine can listen on: http on loopback without user name, query and fragment.
fn parse_redirect_uri(uri: &str) -> std::result::Result<Url, String> {
    // `Url::parse` drops line breaks and characters without a width, and the server compares the text.
    if let Some(why) = invisible::inside(uri, false) {
        return Err(format!("it {why}"));
    }
    let url = Url::parse(uri).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "it does not begin with `http://`".to_owned(),
        error => format!("it is not a URL ({error})"),
    })?;
    let why = match url.scheme() {
        "https" => "it is https, which needs a certificate; use http",
        "http" if !provider::is_loopback(&url) => "it points to another machine",
        "http" if url.host_str().is_some_and(|host| host.ends_with(".localhost") || host.ends_with('.')) => {
            "its host must be localhost, 127.0.0.1 or [::1]"
        }
        "http" if !url.username().is_empty() || url.password().is_some() => "it contains a user name or password",
        "http" if url.query().is_some() => "it contains a query",
        "http" if url.fragment().is_some() => "it contains a fragment",
        "http" => return Ok(url),
        _ => "it is not http",
    };
    Err(why.into())
}

/// Replaces the port and changes no other byte.
fn with_port(uri: &str, port: u16) -> String {
    let start = uri.find("//").map_or(0, |at| at + 2);
    let end = uri[start..].find('/').map_or(uri.len(), |at| start + at);
    let colon = uri[start..end].rfind(':').map(|at| start + at);
    // Not one inside the brackets of an IPv6 address.
    let colon = colon.filter(|at| !uri[*at..end].contains(']')).unwrap_or(end);
    format!("{}:{port}{}", &uri[..colon], &uri[end..])
}

#[cfg(test)]
mod tests;
