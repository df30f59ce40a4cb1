//! What a token endpoint did instead of giving a token.

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
