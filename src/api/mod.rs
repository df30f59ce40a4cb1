//! The client of the Messages API, and of the Chat Completions API where a provider speaks that:
//! asks a model, lists models, reads what comes back.
//!
//! It is given a token and knows nothing of where tokens come from. Nothing here tries again (but for a
//! refusal that names another spelling of the same question): only the caller knows whether a new
//! token or a second attempt is due.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::clean::clean;
use crate::failure::{Failure, Result};
use crate::http::{self, Http};
use crate::provider::{self, Dialect, Provider, Url};
use crate::secret::AccessToken;

pub mod chat;
pub mod models;
pub mod ordered;
pub mod question;
pub mod sse;

mod body;
mod completions;
mod message;
mod reading;
mod refusal;
mod schema;
#[cfg(test)]
mod tests;

pub use chat::{Answer, Piece};
pub use message::{Ending, Usage};
pub use models::Model;
pub use ordered::Ordered;
pub use question::{Message, Part, Question, Role};

/// The largest answer that is not a stream, in bytes.
const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// How long an answer that has begun may be silent.
pub const SILENCE: Duration = Duration::from_secs(90);

/// How long to wait for a server that says nothing.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For the head of the answer: a gateway that does not stream thinks before it says anything.
    head: Duration,
    /// For the next bytes of its body. A stream's pings count.
    body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(300), body: SILENCE }
    }
}

/// Talks to one provider's endpoint, in its dialect.
pub struct Client<'a> {
    http: &'a Http,
    base: &'a Url,
    dialect: Dialect,
    headers: HeaderMap,
    patience: Patience,
}

impl<'a> Client<'a> {
    /// A client for the provider's `api_url`.
    ///
    /// # Errors
    /// [`Failure::Configuration`] where there is none, or a header of `api_headers` is none.
    pub fn new(http: &'a Http, provider: &'a Provider) -> Result<Self> {
        let base = provider.required(provider.api.url.as_ref(), "api_url")?;
        let dialect = provider.api.dialect;
        Ok(Self { http, base, dialect, headers: headers(provider)?, patience: Patience::default() })
    }

    /// The same, for a caller who knows himself how long he waits for an answer to begin.
    pub fn patient(mut self) -> Self {
        self.patience.head = Duration::MAX;
        self
    }

    /// Sends a request and waits for the head of a good answer.
    async fn send(&self, token: &AccessToken, mut request: Request) -> Result<(Response, Peer)> {
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        request.headers_mut().insert(AUTHORIZATION, bearer(token)?);
        let peer = Peer::new(request.url(), token, self.patience.body).hiding(&self.headers);
        let client = self.http.client(request.url())?;
        let response = match timeout(self.patience.head, self.http.send(client, request)).await {
            Ok(sent) => sent.map_err(|lost| lost.at(self.base))?,
            Err(_) => {
                let why = format!("no answer within {} seconds", self.patience.head.as_secs());
                return Err(Failure::Unreachable { host: peer.host, why });
            }
        };
        if response.status().is_success() {
            return Ok((response, peer));
        }
        Err(Failure::Refused(Box::new(refusal::read(response, &peer).await)))
    }

    /// The URL of one of the API's resources: the base's path, `/v1` once, the resource, the base's
    /// query. A base that is the whole URL of the questions is one too, so that a gateway need not
    /// have a `/v1`.
    fn url(&self, resource: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/');
        let whole = prefix.strip_suffix(self.dialect.resource()).and_then(|prefix| prefix.strip_suffix('/'));
        let path = match whole {
            Some(prefix) => format!("{prefix}/{resource}"),
            None => format!("{}/v1/{resource}", prefix.strip_suffix("/v1").unwrap_or(prefix)),
        };
        url.set_path(&path);
        url
    }
}

/// A request that asks for this kind of answer; with a body, it is JSON.
fn request(method: Method, url: Url, accept: &'static str, body: Option<Vec<u8>>) -> Request {
    let mut request = Request::new(method, url);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(body) = body {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
    }
    request
}

/// The provider's own headers. A gateway's key may travel in any of them, so all are sensitive.
fn headers(provider: &Provider) -> Result<HeaderMap> {
    let unusable = |name: &str, what: &str| Failure::Configuration {
        sentence: format!("the provider {} has an unusable header `{}`: {what}", provider.name, clean(name)),
        cure: format!("mend `api_headers` under [provider.{}] in config.toml", provider.name),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &provider.api.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| unusable(name, "a header's name is letters, digits and hyphens"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| unusable(name, "its value has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn bearer(token: &AccessToken) -> Result<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Failure::System { sentence: "the access token has characters that no header can carry".into() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a value may be a key: shorter ones are words and versions.
fn is_long(value: &str) -> bool {
    value.len() >= 20
}

/// The other side of one exchange: its name in messages, what must not appear when its words are
/// repeated, and how long it may be silent.
struct Peer {
    host: String,
    token: AccessToken,
    /// A gateway's own keys, which travel in headers and in the query.
    keys: Vec<Zeroizing<String>>,
    silence: Duration,
}

impl Peer {
    fn new(url: &Url, token: &AccessToken, silence: Duration) -> Self {
        let keys = url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| is_long(value));
        let keys = keys.map(Zeroizing::new).collect();
        Self { host: provider::host(url), token: AccessToken::new(token.expose().to_owned()), keys, silence }
    }

    /// The same, which repeats none of these headers' values either.
    fn hiding(mut self, headers: &HeaderMap) -> Self {
        let values = headers.values().filter_map(|value| value.to_str().ok()).filter(|value| is_long(value));
        self.keys.extend(values.map(|value| Zeroizing::new(value.to_owned())));
        self
    }

    /// Its words, fit to be shown. The token goes first: cut to length, half of it might remain.
    fn words(&self, said: &str) -> String {
        let token = Some(self.token.expose()).filter(|token| !token.is_empty());
        let hidden = token.into_iter().chain(self.keys.iter().map(|key| key.as_str()));
        clean(&hidden.fold(said.to_owned(), |said, secret| said.replace(secret, "(secret)")))
    }

    fn nonsense(&self, what: impl Into<String>) -> Failure {
        Failure::Nonsense { host: self.host.clone(), what: what.into() }
    }

    fn cut(&self, why: impl Into<String>) -> Failure {
        Failure::AnswerCut { host: self.host.clone(), why: why.into() }
    }

    /// The next bytes of its answer; none at the end.
    async fn chunk(&self, response: &mut Response) -> Result<Option<impl AsRef<[u8]> + use<>>> {
        match timeout(self.silence, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(self.cut(broken_off(&error.without_url()))),
            Err(_) => Err(self.cut(format!("nothing came for {} seconds", self.silence.as_secs()))),
        }
    }

    /// What to say of an answer that ended before anything of it came.
    fn empty(&self) -> Failure {
        self.cut("")
    }

    /// An answer that is no stream, to its end.
    async fn whole(&self, response: &mut Response) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk(response).await? {
            whole.extend_from_slice(chunk.as_ref());
            if whole.len() > MAX_WHOLE {
                return Err(self.nonsense(format!("more than {} MiB at once", MAX_WHOLE / 1024 / 1024)));
            }
        }
        Ok(whole)
    }

    /// What to say of an answer of another kind than was asked for: often a sign-in page or a
    /// proxy's complaint, whose words say more than its kind does.
    async fn unexpected(&self, response: Response) -> Failure {
        let untold = content_type(&response).is_empty();
        let what = match content_type(&response) {
            "" => "without saying what kind of content it sends".to_owned(),
            kind => format!("with {} where the API would send JSON or events", self.words(kind)),
        };
        let body = refusal::body(response, self).await;
        if untold && body.trim().is_empty() {
            return self.empty();
        }
        match refusal::said(&body, self).message {
            words if words.is_empty() => self.nonsense(what),
            words => self.nonsense(format!("{what}: {words}")),
        }
    }

    /// What to say of JSON that is none of the API's, with its words for a person if it has any.
    fn strange_json(&self, none: &str, body: &[u8]) -> Failure {
        match refusal::said(&String::from_utf8_lossy(body), self).message {
            words if words.is_empty() => self.nonsense(format!("with JSON that is {none}")),
            words => self.nonsense(format!("with JSON that is {none}: {words}")),
        }
    }
}

/// What broke an answer off. In which part of a chunk that was is nothing that a person could do anything about.
fn broken_off(error: &(dyn Error + 'static)) -> String {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    let is_end = |cause: &(dyn Error + 'static)| matches!(cause.downcast_ref::<io::Error>(), Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof);
    if causes.any(is_end) { "the connection broke".into() } else { clean(&http::root_cause(error)) }
}

/// The media type of an answer, without its parameters.
fn content_type(response: &Response) -> &str {
    let full = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    full.split(';').next().unwrap_or_default().trim()
}

fn is_json(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    lower == "application/json" || (lower.starts_with("application/") && lower.ends_with("+json"))
}

/// The service's own name for this exchange.
fn request_id(response: &Response, peer: &Peer) -> Option<String> {
    ["request-id", "x-request-id"]
        .iter()
        .find_map(|name| response.headers().get(*name)?.to_str().ok())
        .map(|id| peer.words(id))
        .filter(|id| !id.is_empty())
}
