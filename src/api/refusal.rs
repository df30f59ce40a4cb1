//! A refusal by the API, and what it means for the caller.

use std::fmt;
use std::time::Duration;

use crate::provider::Dialect;

mod challenge;
mod fields;
pub(super) mod read;

/// The API's refusal of a request, read from whatever shape its body had.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Refusal {
    /// The server's host.
    pub host: String,
    /// The HTTP status. `None` if the refusal came as an event inside a stream. Some gateways refuse with a status of
    /// success.
    pub status: Option<u16>,
    /// The `error.type` of the body.
    pub kind: Option<String>,
    /// The server's message.
    pub message: String,
    /// The `request-id` header or the `request_id` field, for support.
    pub request_id: Option<String>,
    /// How long the server asks to wait (`retry-after-ms`, `retry-after`).
    pub retry_after: Option<Duration>,
    /// Whether the server says that a retry makes sense (`x-should-retry`).
    pub should_retry: Option<bool>,
    /// Whether a challenge says that the token is invalid (RFC 6750, section 3.1), whatever the status.
    pub invalid_token: bool,
    /// Whether the server says that the token is for another audience.
    pub wrong_audience: bool,
    /// The fields of the request that the body names in members made for that (`param`, `loc`, ...), as paths such as
    /// `stream_options` or `messages.0.role`. Empty if only the message names them.
    pub fields: Vec<String>,
    /// The field that the caller set and that the API refuses, if it names one. It is never left out.
    pub setting: Option<String>,
    /// The dialect of the question. `None` for a list of models and inside an answer that has begun.
    pub dialect: Option<Dialect>,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The organization's spend limit is reached. Waiting does not help.
    SpendCap,
    /// The access token was rejected.
    Unauthorized,
    /// The account has no credit.
    Billing,
    /// The question is longer than the model's context.
    ContextExceeded,
    /// The account may not do this.
    Forbidden,
    /// There is no such model, or no API at this URL.
    NotFound,
    /// The request body is too large.
    TooLarge,
    /// Too many requests or tokens.
    RateLimited,
    /// The service is overloaded.
    Overloaded,
    /// The service failed.
    ServerError,
    /// The service ran out of time.
    Timeout,
    /// The request conflicts with another one.
    Conflict,
    /// The service redirects to another address, which is not followed.
    Redirected,
    /// Anything else. The server's message says what.
    Other,
}

impl RefusalReason {
    /// The name for programs, such as `rate_limited`. It does not change between releases.
    pub fn code(self) -> &'static str {
        match self {
            Self::SpendCap => "spend_cap",
            Self::Unauthorized => "unauthorized",
            Self::Billing => "billing",
            Self::ContextExceeded => "context_exceeded",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::Redirected => "redirected",
            Self::Other => "refused",
        }
    }
}

impl Refusal {
    /// What the refusal means. Inside a stream there is no status, and the type decides.
    pub fn reason(&self) -> RefusalReason {
        if self.is_spend_cap() {
            return RefusalReason::SpendCap;
        }
        if self.is_unauthorized() {
            return RefusalReason::Unauthorized;
        }
        if self.is_billing() {
            return RefusalReason::Billing;
        }
        if self.is_context_full() {
            return RefusalReason::ContextExceeded;
        }
        match (self.refusing_status(), self.kind.as_deref()) {
            (None, Some("authentication_error")) => RefusalReason::Unauthorized,
            (Some(403), _) | (None, Some("permission_error")) => RefusalReason::Forbidden,
            (Some(404), _) | (None, Some("not_found_error")) => RefusalReason::NotFound,
            (Some(413), _) | (None, Some("request_too_large")) => RefusalReason::TooLarge,
            (Some(429), _) | (None, Some("rate_limit_error")) => RefusalReason::RateLimited,
            (Some(529), _) | (None, Some("overloaded_error")) => RefusalReason::Overloaded,
            (Some(status), _) if is_server_error(status) => RefusalReason::ServerError,
            (Some(408), _) | (None, Some("timeout_error")) => RefusalReason::Timeout,
            (Some(409), _) => RefusalReason::Conflict,
            (None, Some("api_error")) => RefusalReason::ServerError,
            (Some(300..=399), _) => RefusalReason::Redirected,
            _ if self.is_temporary() => RefusalReason::ServerError,
            _ => RefusalReason::Other,
        }
    }

    /// Whether the same request may succeed later.
    ///
    /// The statuses are those the Messages API documents as transient, and every 5xx but 501 and 505, which say that
    /// the server cannot do this; inside a stream there is no status and the type decides.
    pub fn is_temporary(&self) -> bool {
        if self.is_spend_cap() || self.is_unauthorized() || self.is_billing() {
            return false;
        }
        match self.refusing_status() {
            Some(status) => matches!(status, 408 | 409 | 429) || is_server_error(status),
            None => matches!(
                self.kind.as_deref(),
                Some(
                    "overloaded_error"
                        | "api_error"
                        | "rate_limit_error"
                        | "timeout_error"
                        // The names of the Chat Completions API.
                        | "server_error"
                        | "rate_limit_exceeded"
                )
            ),
        }
    }

    /// Whether the token was rejected, and a fresh one may be accepted: a 401, or another 4xx whose challenge says so.
    pub fn is_unauthorized(&self) -> bool {
        self.status == Some(401) || self.invalid_token
    }

    /// Whether a retry in a moment makes sense. The server's own word counts, except where only money or another
    /// token helps.
    pub fn is_worth_retrying(&self) -> bool {
        let hopeless = self.is_spend_cap() || self.is_unauthorized() || self.is_billing();
        !hopeless && self.should_retry.unwrap_or_else(|| self.is_temporary())
    }

    /// Host, status and type, without the server's message: the beginning of a sentence.
    pub fn summary(&self) -> String {
        let status = self.status.map(|status| format!(" {status}")).unwrap_or_default();
        let kind = self.kind.as_ref().map(|kind| format!(" {kind}")).unwrap_or_default();
        match (&*status, &*kind) {
            ("", "") => format!("{} answered with an error", self.host),
            (status, kind) => format!("{} answered{status}{kind}", self.host),
        }
    }

    /// The sentence. `when` follows the status and the type if there is no status.
    pub(super) fn sentence(&self, when: &str) -> String {
        let mut sentence = self.summary();
        if self.status.is_none() {
            sentence = format!("{sentence} {when}");
        }
        if !self.message.is_empty() {
            sentence = format!("{sentence}: {}", self.message);
        }
        match &self.request_id {
            Some(id) => format!("{sentence} (request {id})"),
            None => sentence,
        }
    }

    /// The status, if it says anything about the refusal.
    fn refusing_status(&self) -> Option<u16> {
        self.status.filter(|status| !(200..300).contains(status))
    }

    /// A 429 that no waiting cures: the organization's own spend limit, or OpenAI's.
    fn is_spend_cap(&self) -> bool {
        matches!(self.kind.as_deref(), Some("enforced_spend_limit_reached" | "insufficient_quota"))
    }

    /// An account without credit is told so with a 400.
    fn is_billing(&self) -> bool {
        self.status == Some(402)
            || self.kind.as_deref() == Some("billing_error")
            || (self.status == Some(400) && self.message.contains("credit balance is too low"))
    }

    /// Each service has its own words for a question that is longer than the model's context.
    fn is_context_full(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        let phrases = ["prompt is too long", "maximum context length", "context window"];
        matches!(self.refusing_status(), None | Some(400 | 413 | 422))
            && (self.kind.as_deref() == Some("context_length_exceeded")
                || phrases.iter().any(|phrase| message.contains(phrase)))
    }
}

/// A server error that may pass: not "not implemented", and not a version of HTTP that is not supported.
fn is_server_error(status: u16) -> bool {
    status >= 500 && !matches!(status, 501 | 505)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence("instead of an answer"))
    }
}
