//! A failed refresh, as it is stored. Processes that waited for it use its result instead of asking a failing server
//! again.

use serde::{Deserialize, Serialize};

use crate::oauth::TokenFailure;

/// How long a server that failed twice is not asked again, in seconds.
const PAUSE: i64 = 5;

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
}

impl FailedRefresh {
    /// Whether the server was reached, and failed so recently that it may still be in the same trouble.
    pub fn is_recent(&self, now: i64) -> bool {
        self.reached && (self.at..self.at.saturating_add(PAUSE)).contains(&now)
    }
}
