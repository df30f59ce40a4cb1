//! A failed token request, as it is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A failed token request. It is stored with the session, for the processes that wait for the same refresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFailure {
    /// What the token endpoint did, as the end of a sentence that begins with its host.
    #[serde(rename = "why")]
    pub description: String,
    /// Whether the same request may succeed later.
    pub temporary: bool,
    /// The HTTP status of the response, if there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// Whether the server refused the resource (`invalid_target` of RFC 8707, section 2).
    #[serde(default)]
    pub invalid_target: bool,
    /// `Retry-After` (RFC 9110, section 10.2.3).
    #[serde(default, with = "whole_seconds")]
    pub retry_after: Option<Duration>,
}

impl TokenFailure {
    /// A failure without a response.
    pub(crate) fn without_response(description: String, temporary: bool) -> Self {
        Self { description, temporary, status: None, invalid_target: false, retry_after: None }
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
