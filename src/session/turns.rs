//! The tasks of this process that want to refresh one session. One of them at a time locks it; the others use what it
//! saved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::store::{SessionKey, StoreError};

/// The queues of this process, by session. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<SessionKey, Weak<Turn<()>>>>>);

impl Turns {
    /// Waits until no other task of this process refreshes the session, or wants to. Tells whether there was one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after `wait`.
    pub(super) async fn turn(
        &self,
        key: &SessionKey,
        wait: Duration,
    ) -> Result<(OwnedMutexGuard<()>, bool), StoreError> {
        let turn = self.of(key);
        if let Ok(free) = turn.clone().try_lock_owned() {
            return Ok((free, false));
        }
        match tokio::time::timeout(wait, turn.lock_owned()).await {
            Ok(waited_for) => Ok((waited_for, true)),
            Err(_) => Err(StoreError::Busy { waited: wait }),
        }
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
