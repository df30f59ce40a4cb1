//! The tasks of this process that want to lock one session. One of them at a time asks the server, so that many tasks do
//! not occupy all connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::store::contract::{Result, SessionKey};
use crate::store::error::StoreError;

/// The queues of this process, by session. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Queue(Arc<Mutex<BTreeMap<SessionKey, Weak<Turn<()>>>>>);

impl Queue {
    /// Waits until no other task of this process locks the session, or wants to.
    pub(super) async fn turn(&self, key: &SessionKey, wait: Duration) -> Result<OwnedMutexGuard<()>> {
        let turn = self.of(key);
        let busy = |_| StoreError::Busy { waited: wait };
        if wait.is_zero() {
            return turn.try_lock_owned().map_err(|_| StoreError::Busy { waited: wait });
        }
        tokio::time::timeout(wait, turn.lock_owned()).await.map_err(busy)
    }

    fn of(&self, key: &SessionKey) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}
