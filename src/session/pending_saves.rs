//! Counts the tokens that were requested and are not saved yet, and the locks that are being released. A process must
//! not end before that is done.

use std::sync::Arc;

use tokio::sync::watch;

/// The number of tokens that are being requested and of locks that are being released. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct PendingSaves(Arc<watch::Sender<usize>>);

/// A token that is being requested, until this is dropped.
#[derive(Debug)]
pub struct PendingSave(PendingSaves);

impl PendingSaves {
    /// Call this before a token is requested, and drop the result once it is saved.
    pub fn track_save(&self) -> PendingSave {
        self.0.send_modify(|count| *count += 1);
        PendingSave(self.clone())
    }

    /// Waits until no token is being requested or saved, and no lock released.
    pub async fn wait_for_saves(&self) {
        // The channel cannot be closed: the sender is in `self`.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for PendingSave {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
