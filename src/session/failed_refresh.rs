//! A failed refresh, as it is stored. Processes that waited for it use its result instead of asking a failing server
//! again.

use serde::{Deserialize, Serialize};

use crate::oauth::TokenFailure;

/// How long a server that failed twice is not asked again, in seconds.
const PAUSE: i64 = 5;

/// How long a server that refused is not asked again, in seconds.
const PAUSE_AFTER_REFUSAL: i64 = 60;

/// A failed refresh, with what decides whether another process tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRefresh {
    /// What the server did.
    #[serde(flatten)]
    pub failure: TokenFailure,
    /// When, in Unix seconds of the store's time.
    #[serde(default)]
    pub at: i64,
    /// Whether the server was reached.
    #[serde(default)]
    pub reached: bool,
    /// Whether the refresh before it failed a moment ago as well.
    #[serde(default)]
    pub again: bool,
    /// The server's message if it refused the client itself.
    #[serde(default)]
    pub client_refused: Option<String>,
    /// The server's message if it ended the session.
    #[serde(default)]
    pub ended: Option<String>,
    /// When the server last refused before this failure, in Unix seconds. Another failure does not undo a refusal.
    #[serde(default)]
    pub refused_before: Option<i64>,
    /// The last response without a usable token since the last success.
    #[serde(default)]
    pub unusable: Option<UnusableResponse>,
}

/// A response to a refresh that contained no usable token. The server may have used up the refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusableResponse {
    /// When the refresh was sent, in Unix seconds.
    pub at: i64,
    /// What the server did, as the end of a sentence that begins with the server.
    pub description: String,
}

impl FailedRefresh {
    /// A failure that no other one came before.
    pub(super) fn new(failure: TokenFailure, client_refused: Option<String>) -> Self {
        Self {
            failure,
            at: 0,
            reached: true,
            again: false,
            client_refused,
            ended: None,
            refused_before: None,
            unusable: None,
        }
    }

    /// Whether the server was reached, and failed so recently that it may still be in the same trouble.
    pub fn is_recent(&self, now: i64) -> bool {
        self.is_within(PAUSE, now)
    }

    /// Whether no refresh is sent yet because of this failure.
    pub fn is_paused(&self, now: i64) -> bool {
        match self.is_refusal() {
            true => self.is_within(PAUSE_AFTER_REFUSAL, now),
            false => self.is_failing_again(now),
        }
    }

    /// Whether this is at least the second failure within a few seconds.
    pub fn is_failing_again(&self, now: i64) -> bool {
        self.again && self.is_recent(now)
    }

    /// Whether the server refused the session, as opposed to the client, and not because of a temporary problem.
    pub fn is_refusal(&self) -> bool {
        self.reached && !self.failure.temporary && self.client_refused.is_none() && self.ended.is_none()
    }

    /// When the server last refused to refresh the session, in Unix seconds.
    pub fn refused_at(&self) -> Option<i64> {
        if self.is_refusal() { Some(self.at) } else { self.refused_before }
    }

    fn is_within(&self, seconds: i64, now: i64) -> bool {
        self.reached && (self.at..self.at.saturating_add(seconds)).contains(&now)
    }
}
