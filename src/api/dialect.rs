//! The interface between the client and the formats of the APIs. Each API is a folder beside this file and an arm in
//! [`client::dialect`](super::client::dialect).

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::error::{ApiError, Result};
use super::exchange::Exchange;
use super::meta::{AnswerMeta, StreamEvent};
use super::model_list::{self, Page};
use super::question::Question;
use super::refusal::Refusal;
use super::spelling::{Respelling, Spelling};
use super::sse::Event;
use crate::provider::Url;

#[cfg(test)]
mod tests;

/// The format of an API.
pub(super) trait Dialect: Send + Sync {
    /// Headers of every request, unless the configuration replaces or removes them.
    fn default_headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The URL that a question is sent to. `base` is the configured `api_url`.
    fn question_url(&self, base: &Url, question: &Question) -> Url;

    /// The URL of a path of the API, such as `/v1/models`, behind `base`. A path outside of `/v1` is appended.
    fn resource_url(&self, base: &Url, path: &str) -> Url {
        resource_url(base, "", path)
    }

    /// The JSON body of a question, written with [`body`].
    ///
    /// # Errors
    /// [`ApiError::ReservedField`] for an extra field that the body has already.
    fn question_body(&self, question: &Question, spelling: Spelling) -> Result<Vec<u8>>;

    /// What follows from a refusal. Each call must name a spelling that was not tried yet, so that this comes to an
    /// end.
    fn respell(&self, _question: &Question, _spelling: Spelling, _refusal: &Refusal) -> Respelling {
        Respelling::Final
    }

    /// The parser of one answer, streamed or whole.
    fn parser(&self, request_id: Option<String>) -> Box<dyn StreamParser>;

    /// The URL of a page of the list of models. `after` is the [`Page::next`] of the page before.
    fn models_url(&self, base: &Url, after: Option<&str>) -> Url;

    /// Reads a page of the list of models. `None` if it is not such a page.
    fn models_page(&self, body: &[u8]) -> Option<Page> {
        model_list::page(body)
    }
}

/// The parser of one answer.
pub(super) trait StreamParser: Send {
    /// What is known about the answer so far.
    fn meta(&self) -> &AnswerMeta;

    /// Reads one event of a stream.
    ///
    /// # Errors
    /// [`ApiError::Refused`] for an error event, [`ApiError::InvalidResponse`] for an event that is not the API's.
    fn event(&mut self, event: Event<'_>, exchange: &Exchange) -> Result<StreamEvent>;

    /// Reads an answer that came in one piece, up to its first thinking or text. [`held`](Self::held) has the rest.
    ///
    /// # Errors
    /// [`ApiError::AnswerCut`] if it breaks off, [`ApiError::Refused`] if it is an error,
    /// [`ApiError::InvalidResponse`] if it is not the API's.
    fn whole(&mut self, body: &[u8], exchange: &Exchange) -> Result<StreamEvent>;

    /// The text of an event or answer that was read as thinking first.
    fn held(&mut self) -> Option<StreamEvent>;

    /// Whether the answer is complete before the stream ends.
    fn is_finished(&self) -> bool {
        false
    }

    /// The meaning of the end of the stream.
    ///
    /// # Errors
    /// [`ApiError::AnswerCut`] and [`ApiError::InvalidResponse`] if it ended too early.
    fn ended(&self, between_events: bool, exchange: &Exchange) -> Result<StreamEvent>;

    /// Checks that the complete answer answers the question.
    ///
    /// # Errors
    /// [`ApiError::Declined`] or [`ApiError::ContextFull`].
    fn verdict(&self, exchange: &Exchange) -> Result<()>;
}

/// The URL of a resource below `/v1/`: the path of the base, `/v1` once, the resource, the query of the base. The base
/// may also be the whole URL of `questions`, so that a gateway need not have a `/v1`.
pub(super) fn v1(base: &Url, questions: &str, resource: &str) -> Url {
    let mut url = base.clone();
    let prefix = url.path().trim_end_matches('/');
    let whole = prefix.strip_suffix(questions).and_then(|prefix| prefix.strip_suffix('/'));
    let path = match whole {
        Some(prefix) => format!("{prefix}/{resource}"),
        None => format!("{}/v1/{resource}", prefix.strip_suffix("/v1").unwrap_or(prefix)),
    };
    url.set_path(&path);
    url
}

/// The URL of a path of the API. `base` and `questions` are those of [`v1`].
pub(super) fn resource_url(base: &Url, questions: &str, path: &str) -> Url {
    match path.strip_prefix("/v1/") {
        Some(resource) => v1(base, questions, resource),
        None => {
            let mut url = v1(base, questions, "");
            let prefix = url.path().trim_end_matches('/').trim_end_matches("/v1").to_owned();
            url.set_path(&format!("{prefix}{path}"));
            url
        }
    }
}

/// The fields of a body and the extra ones of the question, as JSON.
///
/// # Errors
/// [`ApiError::ReservedField`] for an extra field that the body has already.
pub(super) fn body(fields: &impl Serialize, extra: &Map<String, Value>) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Extended<'a, T> {
        #[serde(flatten)]
        fields: &'a T,
        #[serde(flatten)]
        extra: &'a Map<String, Value>,
    }
    let unwritable = |error: serde_json::Error| ApiError::UnwritableQuestion { reason: error.to_string() };
    let body = serde_json::to_vec(fields).map_err(unwritable)?;
    if extra.is_empty() {
        return Ok(body);
    }
    let written: BTreeMap<String, IgnoredAny> = serde_json::from_slice(&body).map_err(unwritable)?;
    match extra.keys().find(|field| written.contains_key(*field)) {
        Some(field) => Err(ApiError::ReservedField { field: field.clone() }),
        None => serde_json::to_vec(&Extended { fields, extra }).map_err(unwritable),
    }
}
