//! A refresh that failed, as it is remembered: those who waited take its word, and a server in trouble
//! is not asked by each of a hundred programs that start one after the other.

use serde::{Deserialize, Serialize};

use crate::failure::Failed;

/// How long a server that failed twice to refresh a session is left alone with it, in seconds.
const REST: i64 = 5;

/// What became of a refresh that failed, for whoever comes next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedRefresh {
    /// What the server did.
    #[serde(flatten)]
    pub failed: Failed,
    /// When that was, in Unix seconds.
    #[serde(default)]
    pub at: i64,
    /// Whether the server was there to do it.
    #[serde(default)]
    pub reached: bool,
    /// Whether it had done so a moment before.
    #[serde(default)]
    pub again: bool,
}

impl FailedRefresh {
    /// Whether a server that was there failed so lately that it may still be in the same trouble.
    pub fn is_of_just_now(&self, now: i64) -> bool {
        self.reached && (self.at..self.at.saturating_add(REST)).contains(&now)
    }
}
