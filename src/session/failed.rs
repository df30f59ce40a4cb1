//! A refresh that failed, as it is stored: processes that waited for it use its result, and a server in trouble is
//! not asked again by each of a hundred programs that start one after the other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a server that failed twice to refresh a session is not asked again, in seconds.
const PAUSE: i64 = 5;

/// What a token endpoint did instead of issuing a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFailure {
    /// What it did, as the end of "HOST ...".
    #[serde(rename = "why")]
    pub description: String,
    /// Whether the same request may succeed later.
    pub temporary: bool,
    /// The HTTP status, if it answered.
    #[serde(default)]
    pub status: Option<u16>,
    /// `Retry-After` (RFC 9110, section 10.2.3).
    #[serde(default, with = "whole_seconds")]
    pub retry_after: Option<Duration>,
}

/// A failed refresh, with what decides whether another process tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRefresh {
    /// What the server did.
    #[serde(flatten)]
    pub failure: RefreshFailure,
    /// When, in Unix seconds of the store's time.
    #[serde(default)]
    pub at: i64,
    /// Whether the server was reached.
    #[serde(default)]
    pub reached: bool,
    /// Whether the refresh before it failed a moment ago, too.
    #[serde(default)]
    pub again: bool,
}

impl FailedRefresh {
    /// Whether the server was reached, and failed so recently that it may still be in the same trouble.
    pub fn is_recent(&self, now: i64) -> bool {
        self.reached && (self.at..self.at.saturating_add(PAUSE)).contains(&now)
    }
}

/// A duration as whole seconds, rounded up.
mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        wait.map(crate::time::rounded_up).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<i64>::deserialize(deserializer)?;
        Ok(seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }
}
