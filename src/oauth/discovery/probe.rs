//! Requests for public documents: without a credential, limited in size, time and number.

use std::time::Duration;

use hyper::header::{HeaderMap, LOCATION};
use tokio::time::{Instant, timeout, timeout_at};

use crate::http::{Body, Http, HttpError, Request, SendError, unsupported_encoding};
use crate::provider::{self, Url};
use crate::redact::Redactor;

/// The longest document that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// How long one request may take, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How long all requests of one search may take.
const TOTAL_TIME_LIMIT: Duration = Duration::from_secs(20);

/// How many requests one search sends, those of followed redirects included.
const REQUEST_LIMIT: usize = 20;

/// How many redirects are followed for one document.
const REDIRECT_LIMIT: usize = 3;

/// What the request for one document gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The URL.
    pub url: Url,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// What came, or why it cannot be used, such as "404" or "200, but it is not a JSON object".
    pub description: String,
}

impl Probe {
    /// What a request for a document gave.
    pub fn new(url: Url, status: Option<u16>, description: String) -> Self {
        Self { url, status, description }
    }
}

/// A response.
#[derive(Clone)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body of a successful response.
    pub body: Vec<u8>,
}

/// Sends the requests of one search and keeps what each of them gave.
pub(super) struct Prober<'a> {
    http: &'a Http,
    probes: Vec<Probe>,
    /// The response to each probe.
    responses: Vec<Option<Response>>,
    requests: usize,
    /// When the search must end. Set by the first request.
    ends: Option<Instant>,
}

/// Why a request gave no response that can be used.
enum Failure {
    /// A description of it.
    Told(Option<u16>, String),
    /// Nothing was sent. No other request to this server will do better.
    Unreachable(HttpError),
}

impl<'a> Prober<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http, probes: Vec::new(), responses: Vec::new(), requests: 0, ends: None }
    }

    /// Requests a URL, once. `None` if it gave no response; [`probes`](Self::into_probes) says why.
    ///
    /// # Errors
    /// If the first server cannot be reached at all.
    pub(super) async fn get(&mut self, url: &Url) -> Result<Option<Response>, HttpError> {
        if let Some(at) = self.probes.iter().position(|probe| probe.url == *url) {
            return Ok(self.responses[at].clone());
        }
        let (status, description, response) = match self.request(url).await {
            Ok(response) => (Some(response.status), response.status.to_string(), Some(response)),
            Err(Failure::Told(status, description)) => (status, description, None),
            Err(Failure::Unreachable(error)) if self.probes.is_empty() => return Err(error),
            Err(Failure::Unreachable(error)) => (None, error.to_string(), None),
        };
        self.probes.push(Probe { url: url.clone(), status, description });
        self.responses.push(response.clone());
        Ok(response)
    }

    /// Requests a document. `None` if there is none.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub(super) async fn document(&mut self, url: &Url) -> Result<Option<Vec<u8>>, HttpError> {
        let response = self.get(url).await?;
        Ok(response.filter(|response| response.status == 200).map(|response| response.body))
    }

    /// Says why the response to a request cannot be used, as the end of a sentence about it. The first reason stays.
    pub(super) fn reject(&mut self, url: &Url, why: &str) {
        let is_open = |probe: &&mut Probe| probe.status.is_some_and(|status| probe.description == status.to_string());
        if let Some(probe) = self.probes.iter_mut().filter(is_open).find(|probe| probe.url == *url) {
            probe.description = format!("{}, but it {why}", probe.description);
        }
    }

    /// What the request for a URL gave.
    pub(super) fn probe(&self, url: Url) -> Probe {
        let asked = self.probes.iter().find(|probe| probe.url == url).cloned();
        asked.unwrap_or_else(|| Probe { url, status: None, description: "not asked".into() })
    }

    /// What each request gave.
    pub(super) fn into_probes(self) -> Vec<Probe> {
        self.probes
    }

    /// Follows redirects within the origin of the URL.
    async fn request(&mut self, url: &Url) -> Result<Response, Failure> {
        let (origin, mut url, mut redirects) = (url.origin(), url.clone(), 0);
        loop {
            let now = Instant::now();
            let ends = *self.ends.get_or_insert(now + TOTAL_TIME_LIMIT);
            if self.requests >= REQUEST_LIMIT {
                return Err(Failure::Told(None, format!("not asked, after {REQUEST_LIMIT} requests")));
            }
            if now >= ends {
                return Err(Failure::Told(None, format!("not asked, after {} seconds", TOTAL_TIME_LIMIT.as_secs())));
            }
            self.requests += 1;
            let response = timeout_at(ends, timeout(TIME_LIMIT, self.once(&url))).await;
            let response = response.ok().and_then(Result::ok).unwrap_or_else(|| {
                Err(Failure::Told(None, format!("no answer within {} seconds", TIME_LIMIT.as_secs())))
            })?;
            if !(300..400).contains(&response.status) {
                return Ok(response);
            }
            let told = |what: String| Failure::Told(Some(response.status), format!("{}, {what}", response.status));
            let location = response.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| told("a redirect to no URL".into()))?;
            if next.origin() != origin {
                return Err(told(format!("a redirect to {}, which is not followed", provider::host(&next))));
            }
            if redirects >= REDIRECT_LIMIT {
                return Err(told(format!("after {redirects} redirects")));
            }
            redirects += 1;
            url = next;
        }
    }

    async fn once(&self, url: &Url) -> Result<Response, Failure> {
        let route = self.http.route(url).map_err(Failure::Unreachable)?;
        let sent = route.send(Request::get(url.clone(), "application/json"), &Redactor::default()).await;
        let response = sent.map_err(|error| match error {
            SendError::MaybeSent(why) => Failure::Told(None, why),
            error => Failure::Unreachable(error.at(url)),
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if status != 200 {
            return Ok(Response { status, headers, body: Vec::new() });
        }
        let told = |what: String| Failure::Told(Some(status), format!("{status}, {what}"));
        if let Some(coding) = unsupported_encoding(&headers) {
            return Err(told(format!("in the unsupported content encoding `{coding}`")));
        }
        let (mut incoming, mut body) = (Body::from(response), Vec::new());
        while let Some(chunk) = incoming.chunk().await.map_err(|_| told("but the connection broke".into()))? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(told(format!("but it has more than {} KiB", BODY_LIMIT / 1024)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body })
    }
}
