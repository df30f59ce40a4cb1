//! What a token endpoint did instead of giving a token, as it is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a token endpoint did instead of giving a token. It is stored beside the session, for the processes that wait
/// for the same refresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// What it did, as the end of "HOST ...".
    pub why: String,
    /// Whether another try later may succeed.
    pub temporary: bool,
    /// The HTTP status, if it answered.
    #[serde(default)]
    pub status: Option<u16>,
    /// `Retry-After`, in seconds, as it is stored.
    #[serde(default)]
    pub retry_after: Option<i64>,
}

impl Failed {
    /// How long the server asks to wait (`Retry-After`, RFC 9110, section 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
    }
}
