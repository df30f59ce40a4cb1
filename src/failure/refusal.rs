//! What a server says no with, and what that means: whether to ask again, with another token, or to
//! see to something first.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a token endpoint did instead of giving a token. It is stored, too, for those who waited
/// meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What it did, as the end of "HOST ...".
    pub why: String,
    /// Whether trying again later makes sense.
    pub temporary: bool,
    /// The HTTP status, if it answered.
    #[serde(default)]
    pub status: Option<u16>,
    /// `retry-after`, in seconds.
    #[serde(default)]
    pub retry_after: Option<i64>,
}

/// An HTTP refusal by the API, read from whatever shape its body had.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Refusal {
    /// Who refused.
    pub host: String,
    /// The HTTP status; none when the refusal came as an event inside a stream. Some gateways refuse with one of success.
    pub status: Option<u16>,
    /// `error.type`, as far as the body has one.
    pub kind: Option<String>,
    /// The server's own words.
    pub message: String,
    /// The `request-id` header or `request_id` field, for support.
    pub request_id: Option<String>,
    /// How long the server asks to wait (`retry-after-ms`, `retry-after`).
    pub retry_after: Option<Duration>,
    /// Whether trying again makes sense, where the server says so itself (`x-should-retry`).
    pub should_retry: Option<bool>,
    /// Whether a challenge says that the token is no good (RFC 6750, section 3.1), whatever the status.
    pub invalid_token: bool,
}

impl Refusal {
    /// Whether the same request may succeed later.
    ///
    /// The statuses are those the Messages API documents as transient, and every 5xx; inside a
    /// stream there is no status and the type decides.
    pub fn temporary(&self) -> bool {
        if self.spend_cap() || self.unauthorized() || self.billing() {
            return false;
        }
        match self.refusing_status() {
            Some(status) => matches!(status, 408 | 409 | 429) || status >= 500,
            None => matches!(
                self.kind.as_deref(),
                Some(
                    "overloaded_error"
                        | "api_error"
                        | "rate_limit_error"
                        | "timeout_error"
                        // The other dialect's names.
                        | "server_error"
                        | "rate_limit_exceeded"
                )
            ),
        }
    }

    /// The status as far as it says anything about the refusal.
    fn refusing_status(&self) -> Option<u16> {
        self.status.filter(|status| !(200..300).contains(status))
    }

    /// Whether the token was refused, and a fresh one may be accepted: a 401, or another 4xx whose
    /// challenge says so.
    pub fn unauthorized(&self) -> bool {
        self.status == Some(401) || self.invalid_token
    }

    /// Who answered what, without its words: the beginning of a sentence.
    pub fn answered(&self) -> String {
        let status = self.status.map(|status| format!(" {status}")).unwrap_or_default();
        let kind = self.kind.as_ref().map(|kind| format!(" {kind}")).unwrap_or_default();
        match (&*status, &*kind) {
            ("", "") => format!("{} answered with an error", self.host),
            (status, kind) => format!("{} answered{status}{kind}", self.host),
        }
    }

    /// Whether to ask again in a moment. The server knows best, except where what it lacks is money or
    /// another token.
    pub fn worth_retrying(&self) -> bool {
        let hopeless = self.spend_cap() || self.unauthorized() || self.reason() == "billing";
        !hopeless && self.should_retry.unwrap_or_else(|| self.temporary())
    }

    /// A 429 that no waiting cures: the organisation's own spend limit, or OpenAI's.
    fn spend_cap(&self) -> bool {
        matches!(self.kind.as_deref(), Some("enforced_spend_limit_reached" | "insufficient_quota"))
    }

    /// Somebody has to pay first, whatever the status says: an account without credit is told so with a 400.
    fn billing(&self) -> bool {
        self.status == Some(402)
            || self.kind.as_deref() == Some("billing_error")
            || (self.status == Some(400) && self.message.contains("credit balance is too low"))
    }

    /// The question alone is longer than the model's context. Each service has its own words for it.
    fn context_full(&self) -> bool {
        let words = self.message.to_ascii_lowercase();
        let said = ["prompt is too long", "maximum context length", "context window"];
        matches!(self.refusing_status(), None | Some(400 | 413 | 422))
            && (self.kind.as_deref() == Some("context_length_exceeded") || said.iter().any(|said| words.contains(said)))
    }

    /// The name programs go by, of which [`Failure::reason`](super::Failure::reason) speaks.
    pub(super) fn reason(&self) -> &'static str {
        if self.spend_cap() {
            return "spend_cap";
        }
        if self.unauthorized() {
            return "unauthorized";
        }
        if self.billing() {
            return "billing";
        }
        if self.context_full() {
            return "context_exceeded";
        }
        match (self.refusing_status(), self.kind.as_deref()) {
            (None, Some("authentication_error")) => "unauthorized",
            (Some(403), _) | (None, Some("permission_error")) => "forbidden",
            (Some(404), _) | (None, Some("not_found_error")) => "not_found",
            (Some(413), _) | (None, Some("request_too_large")) => "too_large",
            (Some(429), _) | (None, Some("rate_limit_error")) => "rate_limited",
            (Some(529), _) | (None, Some("overloaded_error")) => "overloaded",
            (Some(status), _) if status >= 500 => "server_error",
            (Some(408), _) | (None, Some("timeout_error")) => "timeout",
            (Some(409), _) => "conflict",
            (None, Some("api_error")) => "server_error",
            (Some(300..=399), _) => "redirected",
            _ if self.temporary() => "server_error",
            _ => "refused",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.answered())?;
        if self.status.is_none() {
            f.write_str(" in the middle of its answer")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}
