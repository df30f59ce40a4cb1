//! What our listener answers while a person is signing in.
//!
//! A browser that brings the answer is held while the code is redeemed, and is told how that ended:
//! a page that says "signed in" before anybody knows would be a guess. Then it is led to an address
//! without a query, so that the code stays neither in the address bar nor on the way back; the file of
//! its history may keep it, spent. Only [`AuthorizationRequest::judge`] looks at the state; whatever it turns away
//! does not end the wait.

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
use crate::loopback::{self, BindError, Listener, page};
use crate::provider::{self, ProviderConfig, Url};
use crate::secret::AuthorizationCode;

/// Where the listener hands out the authorization URL.
const SHORT_PATH: &str = "/oauth/claude/authorize";
/// How long a browser that was told where the page is has to fetch it.
const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// How many answers may wait to be judged; judging one takes no time.
const UNJUDGED: usize = 16;

/// The listener at the redirect URI. Dropped, it is gone with everything it holds.
#[derive(Debug)]
pub struct RedirectListener {
    provider: String,
    redirect_uri: String,
    short_url: String,
    arrivals: mpsc::Receiver<Arrival>,
    /// How many answers were not the one waited for.
    turned_away: u32,
    desk: Arc<Desk>,
    end: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

/// An answer that came to the redirect URI, and where to say whether it is ours.
struct Arrival {
    query: String,
    reply: oneshot::Sender<std::result::Result<(), &'static str>>,
}

/// What the connections share.
#[derive(Debug)]
struct Desk {
    port: u16,
    /// The path of the redirect URI.
    path: String,
    /// The path of the page that tells how it ended.
    page_path: String,
    arrivals: mpsc::Sender<Arrival>,
    /// The authorization URL, once there is an attempt.
    authorize: watch::Sender<Option<String>>,
    /// What the answer to this attempt looked like. A digest, as it held the code.
    answer: OnceLock<[u8; 32]>,
    outcome: watch::Sender<Option<Outcome>>,
    /// Browsers that were led to the page or are held for it, and how many have fetched it.
    browsers: watch::Sender<Browsers>,
}

#[derive(Debug, Default)]
struct Browsers {
    held: usize,
    told: usize,
}

impl RedirectListener {
    /// Listens at the provider's redirect URI.
    ///
    /// # Errors
    /// [`SignInError::RedirectUnusable`] where that is no plain loopback URL or may not be listened on,
    /// [`SignInError::PortTaken`] where another program listens there.
    pub async fn bind(provider: &ProviderConfig) -> Result<Self> {
        let configured = &provider.redirect_uri;
        let unusable = |why: String| SignInError::RedirectUnusable { uri: configured.clone(), reason: why };
        let mut url = listenable(configured).map_err(unusable)?;
        let wanted = url.port_or_known_default().unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        let listener = Listener::bind(host, wanted).await.map_err(|error| match error {
            BindError::Taken(address) => SignInError::PortTaken { address, provider: provider.name.clone() },
            BindError::Unusable(why) => unusable(why),
        })?;
        let port = listener.port();
        let redirect_uri = if wanted == 0 { with_port(configured, port) } else { configured.clone() };
        let path = url.path().to_owned();
        // Neither can fail: the URL has a host and is http.
        let _ = url.set_port(Some(port));
        url.set_path(SHORT_PATH);
        let (sender, arrivals) = mpsc::channel(UNJUDGED);
        let desk = Arc::new(Desk {
            port,
            page_path: format!("{}/done", path.trim_end_matches('/')),
            path,
            arrivals: sender,
            authorize: watch::Sender::new(None),
            answer: OnceLock::new(),
            outcome: watch::Sender::new(None),
            browsers: watch::Sender::new(Browsers::default()),
        });
        let (end, ended) = oneshot::channel::<()>();
        let at_desk = desk.clone();
        let answer = move |request| {
            let desk = at_desk.clone();
            async move { Some(desk.answer(request).await) }
        };
        let server = tokio::spawn(listener.serve(answer, async {
            let _ = ended.await;
        }));
        let (provider, short_url) = (provider.name.clone(), url.into());
        Ok(Self { provider, redirect_uri, short_url, arrivals, turned_away: 0, desk, end: Some(end), server })
    }

    /// The redirect URI exactly as configured, as servers compare it byte by byte; only port 0 has
    /// become the real one.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// A short address that leads to the authorization URL while the listener waits.
    pub fn short_url(&self) -> String {
        self.short_url.clone()
    }

    /// Waits for the answer to this attempt. Whoever brings it is held until [`tell`](Self::tell).
    ///
    /// Dropping the future and calling this again loses nothing.
    ///
    /// # Errors
    /// [`SignInError::TimedOut`] after `limit`, or why the answer is no.
    pub async fn wait(&mut self, attempt: &AuthorizationRequest, limit: Duration) -> Result<AuthorizationCode> {
        self.desk.authorize.send_replace(Some(attempt.url().to_string()));
        let verdict = tokio::time::timeout(limit, self.first_answer(attempt)).await;
        let verdict = verdict.unwrap_or_else(|_| {
            Err(SignInError::TimedOut {
                provider: self.provider.clone(),
                waited: limit,
                client_id: attempt.client_id().to_owned(),
                redirect_uri: attempt.redirect_uri().to_owned(),
                turned_away: self.turned_away,
            })
        });
        // What came while the answer was judged is compared with it at the desk.
        self.arrivals.close();
        while let Ok(late) = self.arrivals.try_recv() {
            let ours = self.desk.is_the_answer(&late.query);
            let _ = late.reply.send(ours.then_some(()).ok_or("this sign-in already has a response"));
        }
        verdict
    }

    async fn first_answer(&mut self, attempt: &AuthorizationRequest) -> Result<AuthorizationCode> {
        while let Some(Arrival { query, reply }) = self.arrivals.recv().await {
            let verdict = match attempt.judge(&query) {
                Verdict::NotOurs(why) => {
                    self.turned_away = self.turned_away.saturating_add(1);
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
            // Set before the reply, so that whoever asks from now on is compared with it.
            let _ = self.desk.answer.set(Sha256::digest(&query).into());
            let _ = reply.send(Ok(()));
            return verdict;
        }
        Err(SignInError::System { description: "the redirect listener has stopped".into() })
    }

    /// Tells the browsers that are held how it ended, and closes the listener. It waits for them to
    /// fetch the page, two seconds at most.
    pub async fn tell(mut self, outcome: &Outcome) {
        self.desk.outcome.send_replace(Some(outcome.clone()));
        let mut browsers = self.desk.browsers.subscribe();
        let told = browsers.wait_for(|browsers| browsers.told >= browsers.held);
        let _ = tokio::time::timeout(PAGE_LIMIT, told).await;
        drop(self.end.take());
        // Bounded: the listener gives answers under way half a second.
        let _ = (&mut self.server).await;
    }
}

impl Drop for RedirectListener {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !loopback::addressed_to_us(&request, self.port) {
            return page::text(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n");
        }
        let path = request.uri().path();
        if ![&self.path, &self.page_path, SHORT_PATH].contains(&path) {
            return page::text(StatusCode::NOT_FOUND, "not found\n");
        }
        if request.method() != Method::GET {
            return page::method_not_allowed("GET");
        }
        if speculative(request.headers()) {
            return page::text(StatusCode::SERVICE_UNAVAILABLE, "prefetching is not supported\n");
        }
        if path == self.path {
            self.take_in(request.uri().query().unwrap_or_default(), wants_page(request.headers())).await
        } else if path == self.page_path {
            self.show_outcome()
        } else {
            self.hand_out(request.headers()).await
        }
    }

    /// Somebody came to the redirect URI.
    async fn take_in(&self, query: &str, browser: bool) -> Response<Full<Bytes>> {
        let held = browser.then(|| PendingBrowser::new(&self.browsers));
        let ours = match self.answer.get() {
            Some(_) => self.is_the_answer(query).then_some(()).ok_or("this sign-in already has a response"),
            None => self.judged(query).await,
        };
        if let Err(why) = ours {
            return pages::not_ours(why);
        }
        let mut outcome = self.outcome.subscribe();
        let known = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match (held, known) {
            // From here on the browser counts until it has fetched the page.
            (Some(held), Some(_)) => held.led_on(),
            // A program keeps no history that the code would stay in, and may come for the page too late.
            (None, Some(outcome)) => return pages::told(&outcome),
            (_, None) => {}
        }
        page::redirect(StatusCode::SEE_OTHER, &self.page_path)
    }

    /// Has the one that waits judge a query.
    async fn judged(&self, query: &str) -> std::result::Result<(), &'static str> {
        let (reply, judgement) = oneshot::channel();
        let arrival = Arrival { query: query.to_owned(), reply };
        if self.arrivals.send(arrival).await.is_ok()
            && let Ok(judgement) = judgement.await
        {
            return judgement;
        }
        if self.is_the_answer(query) { Ok(()) } else { Err("this sign-in is over") }
    }

    fn is_the_answer(&self, query: &str) -> bool {
        self.answer.get().is_some_and(|answer| *answer == <[u8; 32]>::from(Sha256::digest(query)))
    }

    fn show_outcome(&self) -> Response<Full<Bytes>> {
        let outcome = self.outcome.borrow();
        let Some(outcome) = &*outcome else {
            return page::text(StatusCode::NOT_FOUND, "the sign-in has not ended yet\n");
        };
        self.browsers.send_modify(|browsers| browsers.told += 1);
        pages::outcome(outcome)
    }

    /// Hands out the authorization URL, unless another site asks: the state in it is for the person
    /// who started this sign-in.
    async fn hand_out(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        let foreign = site.is_some_and(|site| !matches!(site, b"none" | b"same-origin"));
        if foreign || headers.contains_key(ORIGIN) {
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

/// A browser that waits for the outcome; it no longer counts once it has gone away.
struct PendingBrowser<'a> {
    browsers: &'a watch::Sender<Browsers>,
    counts: bool,
}

impl<'a> PendingBrowser<'a> {
    fn new(browsers: &'a watch::Sender<Browsers>) -> Self {
        browsers.send_modify(|browsers| browsers.held += 1);
        Self { browsers, counts: true }
    }

    fn led_on(mut self) {
        self.counts = false;
    }
}

impl Drop for PendingBrowser<'_> {
    fn drop(&mut self) {
        if self.counts {
            self.browsers.send_modify(|browsers| browsers.held -= 1);
        }
    }
}

/// Whether a browser asks ahead of the person: that must not use up an answer that works once.
fn speculative(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().flat_map(|name| headers.get_all(*name)).any(|purpose| {
        let purpose = String::from_utf8_lossy(purpose.as_bytes()).to_ascii_lowercase();
        ["prefetch", "preview", "prerender"].iter().any(|ahead| purpose.contains(ahead))
    })
}

/// Whether a person will look at the answer, rather than a program read it.
fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.to_ascii_lowercase().contains("text/html")))
}

/// Reads a redirect URI that a listener on this machine can serve.
fn listenable(uri: &str) -> std::result::Result<Url, String> {
    let url = Url::parse(uri).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "it does not begin with `http://`".to_owned(),
        error => format!("it is not a URL ({error})"),
    })?;
    let why = match url.scheme() {
        "https" => "it is https, which needs a certificate; use http",
        "http" if !provider::is_loopback(&url) => "it points to another machine",
        "http" if !url.username().is_empty() || url.password().is_some() => "it contains a user name or password",
        "http" if url.query().is_some() => "it contains a query",
        "http" if url.fragment().is_some() => "it contains a fragment",
        "http" => return Ok(url),
        _ => "it is not http",
    };
    Err(why.into())
}

/// Writes a port in the place of `:0`, and changes no other byte.
fn with_port(uri: &str, port: u16) -> String {
    let start = uri.find("//").map_or(0, |at| at + 2);
    let end = uri[start..].find('/').map_or(uri.len(), |at| start + at);
    let colon = uri[start..end].rfind(':').map_or(end, |at| start + at);
    format!("{}:{port}{}", &uri[..colon], &uri[end..])
}

#[cfg(test)]
mod tests;
