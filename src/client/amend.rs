//! Changes of a stored session that need no new token.

use std::time::Duration;

use super::Client;
use crate::session::{SessionError, StoredSession};
use crate::store::StoreError;

/// How long to wait for the session's lock. If another process holds it for longer, nothing is saved.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

impl Client {
    /// Changes the stored session, if it is still this generation: after another sign-in it may be another account's.
    /// Nothing is changed while another process has the lock.
    pub(super) async fn amend(
        &self,
        owner: &str,
        generation: i64,
        change: impl FnOnce(&mut StoredSession) + Send,
    ) -> Result<(), SessionError> {
        let mut locked = match self.refresher.sessions.lock(&self.key(owner), LOCK_TIMEOUT).await {
            Err(SessionError::Store(StoreError::Busy { .. })) => return Ok(()),
            locked => locked?,
        };
        let Some(mut stored) = locked.load().await?.session? else { return Ok(()) };
        if stored.session.generation != generation {
            return Ok(());
        }
        change(&mut stored);
        locked.amend(&stored).await
    }
}
