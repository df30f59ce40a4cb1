//! One request and its response: the host for messages, and the redaction of secrets.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::error::{ApiError, Result};
use super::excerpt::beginning;
use super::incoming::Incoming;
use crate::clean::clean;
use crate::http::{self, Response};
use crate::provider::{self, Url};
use crate::redact::Redactor;
use crate::secret::AccessToken;

/// The largest response body that is not a stream, in bytes.
pub(super) const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// Whether a value may be a key. Shorter ones are words and versions.
fn is_long(value: &str) -> bool {
    value.len() >= 20
}

/// One request and its response.
pub(super) struct Exchange {
    url: Url,
    pub(super) host: String,
    redactor: Redactor,
    /// How long the server may be silent.
    pub(super) silence: Duration,
}

impl Exchange {
    /// An exchange whose messages contain neither the token nor a gateway's keys in the query and these headers.
    pub(super) fn new(url: &Url, token: &AccessToken, headers: &HeaderMap, silence: Duration) -> Self {
        let query: Vec<_> = url.query_pairs().map(|(_, value)| Zeroizing::new(value.into_owned())).collect();
        let keys = query.iter().map(|value| value.as_str()).filter(|value| is_long(value));
        let headers = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let redactor = Redactor::new([token.expose()].into_iter().chain(keys)).with_configured(headers);
        Self { url: url.clone(), host: provider::host(url), redactor, silence }
    }

    /// The secrets of the request.
    pub(super) fn secrets(&self) -> &Redactor {
        &self.redactor
    }

    /// The URL that a header of the response refers to.
    pub(super) fn resolve(&self, reference: &str) -> Option<Url> {
        self.url.join(reference).ok()
    }

    /// Text of the server for a message. Redacts before shortening, which could leave a part of a secret.
    pub(super) fn words(&self, text: &str) -> String {
        clean(&self.redactor.redact(beginning(text)))
    }

    pub(super) fn invalid(&self, description: impl Into<String>) -> ApiError {
        ApiError::InvalidResponse { host: self.host.clone(), description: description.into() }
    }

    pub(super) fn cut(&self, reason: impl Into<String>) -> ApiError {
        ApiError::AnswerCut { host: self.host.clone(), reason: reason.into() }
    }

    /// The error for an answer that ended before anything of it came.
    pub(super) fn empty(&self) -> ApiError {
        self.cut("")
    }

    /// The error for a body that is larger than [`MAX_WHOLE`].
    pub(super) fn too_large(&self) -> ApiError {
        self.invalid(format!("with more than {} MiB in one piece", MAX_WHOLE / 1024 / 1024))
    }

    /// Checks that the body of a response can be decoded.
    ///
    /// # Errors
    /// [`ApiError::InvalidResponse`].
    pub(super) fn check_encoding(&self, response: &Response) -> Result<()> {
        match http::unsupported_encoding(response.headers()) {
            Some(coding) => Err(self.invalid(format!("with the unsupported content encoding `{coding}`"))),
            None => Ok(()),
        }
    }

    /// Reads a body that is not a stream to its end. `None` if it has more than `limit` bytes. Complete JSON is whole
    /// even if the connection breaks after it.
    pub(super) async fn whole(&self, response: Response, limit: usize) -> Result<Option<Vec<u8>>> {
        self.check_encoding(&response)?;
        let mut incoming = Incoming::new(response, self.silence);
        let mut whole = Vec::new();
        loop {
            let chunk = match incoming.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(_) if serde_json::from_slice::<IgnoredAny>(&whole).is_ok() => break,
                Err(reason) => return Err(self.cut(reason)),
            };
            if whole.len() + chunk.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Some(whole))
    }

    /// The service's id of this request.
    pub(super) fn request_id(&self, response: &Response) -> Option<String> {
        ["request-id", "x-request-id"]
            .iter()
            .find_map(|name| response.headers().get(*name)?.to_str().ok())
            .map(|id| self.words(id))
            .filter(|id| !id.is_empty())
    }
}

/// The media type of a response, without its parameters.
pub(super) fn content_type(response: &Response) -> &str {
    let full = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    full.split(';').next().unwrap_or_default().trim()
}
