//! Reports when the HTTP client connects, so that a user can tell a slow network from a slow server.

use std::sync::Arc;

/// Called with `true` when a connection attempt starts, and with `false` when it succeeds, fails or is canceled.
pub(crate) type Connecting = Arc<dyn Fn(bool) + Send + Sync>;

/// A connection attempt. The client drops its future to cancel it.
pub(super) struct Attempt(Connecting);

impl Attempt {
    pub(super) fn begin(observer: Connecting) -> Self {
        observer(true);
        Self(observer)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        (self.0)(false);
    }
}
