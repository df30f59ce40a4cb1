//! The client of one provider's API. It is given a token and does not know where tokens come from.
//!
//! It does not retry, except with another spelling of the question after a refusal that asks for it. The caller retries
//! and refreshes tokens.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::dialect::Dialect;
use super::error::{ApiError, Result};
use super::exchange::{Exchange, content_type};
use super::model_list::{MAX_BYTES, MAX_MODELS, MAX_PAGES, Page};
use super::models::Model;
use super::question::Question;
use super::shape::Declared;
use super::spelling::{Respelling, Spelling};
use super::{anthropic, openai_chat, refusal, unexpected};
use crate::clean::clean;
use crate::http::{Http, Request, Response, SendError};
use crate::provider::{self, ProviderConfig, Url};
use crate::secret::AccessToken;

/// How long an answer that has begun may be silent.
pub const SILENCE: Duration = Duration::from_secs(90);

/// The implementation of a configured dialect.
pub(super) fn dialect(configured: provider::Dialect) -> &'static dyn Dialect {
    match configured {
        provider::Dialect::Anthropic => &anthropic::Messages,
        provider::Dialect::Openai => &openai_chat::ChatCompletions,
    }
}

/// How long to wait for a silent server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the head of the response: a gateway that does not stream sends nothing while the model thinks.
    pub(super) head: Duration,
    /// For the next bytes of its body. A stream's pings count.
    pub(super) body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: Duration::from_secs(300), body: SILENCE }
    }
}

/// Talks to one provider's API, in its dialect.
pub(crate) struct ApiClient<'a> {
    http: &'a Http,
    base: &'a Url,
    pub(super) dialect: &'static dyn Dialect,
    /// The name of the dialect.
    spoken: provider::Dialect,
    /// The header that carries the token, if not `Authorization`.
    token_header: Option<HeaderName>,
    headers: HeaderMap,
    pub(super) limits: Limits,
}

impl<'a> ApiClient<'a> {
    /// A client for the provider's `api_url`.
    ///
    /// # Errors
    /// [`ApiError::NoApiUrl`], and [`ApiError::UnusableHeader`] for a configured header that cannot be sent.
    pub(crate) fn new(http: &'a Http, provider: &'a ProviderConfig) -> Result<Self> {
        let base = provider.api.url.as_ref();
        let base = base.ok_or_else(|| ApiError::NoApiUrl { provider: provider.name.clone() })?;
        let spoken = provider.api.dialect;
        Ok(Self {
            http,
            base,
            dialect: dialect(spoken),
            spoken,
            token_header: token_header(provider)?,
            headers: headers(provider)?,
            limits: Limits::default(),
        })
    }

    /// Disables the time limit for the head of a response. The caller sets a deadline.
    pub(crate) fn without_head_limit(mut self) -> Self {
        self.limits.head = Duration::MAX;
        self
    }

    /// Asks, and returns as soon as the service begins to answer, before any text. A refusal that another spelling may
    /// cure changes `spelling`, and the question is asked again. It may take five minutes to begin, because a gateway
    /// that does not stream is silent while the model thinks.
    ///
    /// # Errors
    /// [`ApiError::Refused`] with what the service says, [`ApiError::Http`] if there is no response,
    /// [`ApiError::InvalidResponse`] if the response is neither a stream of events nor JSON,
    /// [`ApiError::ReservedField`] for an extra field that the question has already.
    pub(crate) async fn ask(
        &self,
        token: &AccessToken,
        question: &Question,
        spelling: &mut Spelling,
    ) -> Result<Answer> {
        let url = self.dialect.question_url(self.base, question);
        loop {
            let body = self.dialect.question_body(question, *spelling)?;
            let accept = if spelling.has(Spelling::WHOLE) { "application/json" } else { "text/event-stream" };
            let request = Request::post(url.clone(), "application/json", body, accept);
            match self.send(token, request).await {
                Ok((response, exchange)) => return Answer::new(response, exchange, self.dialect).await,
                Err(error) => self.respell(question, spelling, error)?,
            }
        }
    }

    /// Changes the spelling after a refusal that another one may cure. The question should be asked again then.
    ///
    /// # Errors
    /// The error, if another spelling does not help.
    pub(crate) fn respell(&self, question: &Question, spelling: &mut Spelling, error: ApiError) -> Result<()> {
        let ApiError::Refused(mut refusal) = error else { return Err(error) };
        match self.dialect.respell(question, *spelling, &refusal) {
            Respelling::Again(changed) => {
                *spelling = changed;
                return Ok(());
            }
            Respelling::Kept(field) => refusal.setting = Some(field),
            Respelling::Final => {}
        }
        refusal.dialect = Some(self.spoken);
        Err(ApiError::Refused(refusal))
    }

    /// Lists the models in the service's own order. The Messages API lists the newest first.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask); [`ApiError::InvalidResponse`] also for a list of more than 20 pages, 8 MiB in all
    /// or 10,000 models.
    pub(crate) async fn models(&self, token: &AccessToken) -> Result<Vec<Model>> {
        let mut models: Vec<Model> = Vec::new();
        let mut after: Option<String> = None;
        let mut left = MAX_BYTES;
        let too_large = |bound: String| ApiError::InvalidResponse {
            host: provider::host(self.base),
            description: format!("with a list of models with more than {bound}"),
        };
        for _ in 0..MAX_PAGES {
            let page = self.page(token, after.as_deref(), &mut left).await?;
            let page = page.ok_or_else(|| too_large(format!("{} MiB", MAX_BYTES / 1024 / 1024)))?;
            models.extend(page.models);
            if page.is_cut || models.len() > MAX_MODELS {
                return Err(too_large(format!("{MAX_MODELS} models")));
            }
            // A page that points to itself is the last one.
            if page.next.is_none() || page.next == after {
                return Ok(models);
            }
            after = page.next;
        }
        Err(too_large(format!("{MAX_PAGES} pages")))
    }

    /// Checks that the endpoint for questions exists, with a body that is no question.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask), but not a refusal of the body.
    pub(crate) async fn check_questions(&self, token: &AccessToken) -> Result<()> {
        let url = self.dialect.question_url(self.base, &Question::new(String::new(), Vec::new()));
        match self.send(token, Request::post(url, "application/json", "{}", "application/json")).await {
            Err(ApiError::Refused(refusal)) if matches!(refusal.status, Some(400 | 413 | 415 | 422)) => Ok(()),
            Err(error) => Err(error),
            Ok((response, exchange)) if Declared::of(content_type(&response)).is_none() => {
                Err(unexpected::content(response, &exchange).await)
            }
            Ok(_) => Ok(()),
        }
    }

    /// A page of the list of models. `None` if it has more than the bytes that are `left`.
    async fn page(&self, token: &AccessToken, after: Option<&str>, left: &mut usize) -> Result<Option<Page>> {
        let url = self.dialect.models_url(self.base, after);
        let (response, exchange) = self.send(token, Request::get(url, "application/json")).await?;
        let Some(declared) = Declared::of(content_type(&response)) else {
            return Err(unexpected::content(response, &exchange).await);
        };
        let Some(body) = exchange.whole(response, *left).await? else { return Ok(None) };
        *left -= body.len();
        self.dialect.models_page(&body).map(Some).ok_or_else(|| match declared {
            Declared::Unclear(media_type) => unexpected::body(media_type, &body, &exchange),
            Declared::Json | Declared::Events => unexpected::json("list of models", &body, &exchange),
        })
    }

    /// Sends a request and waits for the head of a successful response.
    async fn send(&self, token: &AccessToken, mut request: Request) -> Result<(Response, Exchange)> {
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        let (name, value) = credential_in(self.token_header.clone(), token)?;
        request.headers_mut().insert(name, value);
        let exchange = Exchange::new(request.url(), token, &self.headers, self.limits.body);
        let route = self.http.route(request.url())?;
        let sent = timeout(self.limits.head, route.send(request, exchange.secrets())).await;
        let silent = || SendError::MaybeSent(format!("no answer within {} seconds", self.limits.head.as_secs()));
        let response = sent.unwrap_or_else(|_| Err(silent())).map_err(|error| error.at(self.base))?;
        if response.status().is_success() {
            return Ok((response, exchange));
        }
        Err(ApiError::Refused(Box::new(refusal::read::read(response, &exchange).await)))
    }
}

/// The URL of a path of the provider's API, as a program asks for it that knows only the API's own paths.
///
/// # Errors
/// [`ApiError::NoApiUrl`].
pub fn resource_url(provider: &ProviderConfig, path: &str) -> Result<Url> {
    let base = provider.api.url.as_ref();
    let base = base.ok_or_else(|| ApiError::NoApiUrl { provider: provider.name.clone() })?;
    Ok(dialect(provider.api.dialect).resource_url(base, path))
}

/// The headers of the dialect, replaced and removed by the configured ones. A gateway's key may travel in any of these,
/// so they are sensitive.
pub(crate) fn headers(provider: &ProviderConfig) -> Result<HeaderMap> {
    let unusable =
        |name: &str, reason| ApiError::UnusableHeader { provider: provider.name.clone(), name: clean(name), reason };
    let defaults = dialect(provider.api.dialect).default_headers();
    let defaults =
        defaults.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let mut headers: HeaderMap = defaults.collect();
    for (name, value) in &provider.api.headers {
        let value = value.expose();
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable_name(provider, name))?;
        if value.is_empty() {
            headers.remove(key);
            continue;
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| unusable(name, "its value has characters that are not allowed in a header"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// The header that carries the token to a provider's API.
///
/// # Errors
/// [`ApiError::UnusableHeader`] for a configured header that cannot be sent, and [`ApiError::UnusableToken`].
pub(crate) fn credential(provider: &ProviderConfig, token: &AccessToken) -> Result<(HeaderName, HeaderValue)> {
    credential_in(token_header(provider)?, token)
}

fn credential_in(header: Option<HeaderName>, token: &AccessToken) -> Result<(HeaderName, HeaderValue)> {
    Ok(match header {
        None => (AUTHORIZATION, bearer(token)?),
        Some(name) => (name, sensitive(token.expose())?),
    })
}

/// The configured header of the token.
fn token_header(provider: &ProviderConfig) -> Result<Option<HeaderName>> {
    let Some(name) = &provider.api.token_header else { return Ok(None) };
    HeaderName::from_bytes(name.as_bytes()).map(Some).map_err(|_| unusable_name(provider, name))
}

fn unusable_name(provider: &ProviderConfig, name: &str) -> ApiError {
    let reason = "a header name has only letters, digits and hyphens";
    ApiError::UnusableHeader { provider: provider.name.clone(), name: clean(name), reason }
}

pub(super) fn bearer(token: &AccessToken) -> Result<HeaderValue> {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose())))
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ApiError::UnusableToken)?;
    value.set_sensitive(true);
    Ok(value)
}
