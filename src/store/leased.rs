//! A store for tests, like one over a network: its clock is an hour ahead, and its locks can be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::conformance::{self, Subject};
use super::contract::{BoxFuture, Listed, Loaded, LockedSession, Result, SealedSession, SessionKey, SessionStore};
use super::error::StoreError;
use super::memory::MemoryStore;

#[derive(Debug, Clone)]
pub(crate) struct LeasedStore {
    memory: MemoryStore,
    /// How often all locks were lost.
    losses: Arc<AtomicU64>,
}

impl LeasedStore {
    pub(crate) fn new() -> Self {
        Self { memory: MemoryStore::new(|| crate::time::now() + 3_600), losses: Arc::default() }
    }

    pub(crate) fn lose_locks(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.memory.forget_locks();
    }
}

impl SessionStore for LeasedStore {
    fn load<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>> {
        self.memory.load(key)
    }

    fn list<'a>(&'a self, owner: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>> {
        self.memory.list(owner)
    }

    fn lock<'a>(&'a self, key: &'a SessionKey, wait: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>> {
        Box::pin(async move {
            let losses = self.losses.load(Ordering::SeqCst);
            let locked = self.memory.lock(key, wait).await?;
            Ok(Box::new(Leased { locked, losses, now: self.losses.clone() }) as Box<dyn LockedSession>)
        })
    }

    fn put_pending<'a>(
        &'a self,
        owner: &'a str,
        state_hash: [u8; 32],
        sealed: Vec<u8>,
        expires_at: i64,
    ) -> BoxFuture<'a, Result<()>> {
        self.memory.put_pending(owner, state_hash, sealed, expires_at)
    }

    fn take_pending<'a>(&'a self, owner: &'a str, state_hash: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.memory.take_pending(owner, state_hash)
    }

    fn load_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.memory.load_client(issuer, redirect_uri)
    }

    fn save_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str, sealed: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        self.memory.save_client(issuer, redirect_uri, sealed)
    }
}

struct Leased {
    locked: Box<dyn LockedSession>,
    losses: u64,
    now: Arc<AtomicU64>,
}

impl Leased {
    fn held<'a>(
        &'a mut self,
        write: impl FnOnce(&'a mut dyn LockedSession) -> BoxFuture<'a, Result<()>>,
    ) -> BoxFuture<'a, Result<()>> {
        match self.now.load(Ordering::SeqCst) == self.losses {
            true => write(&mut *self.locked),
            false => Box::pin(async { Err(StoreError::LockLost) }),
        }
    }
}

impl LockedSession for Leased {
    fn load(&mut self) -> BoxFuture<'_, Result<Loaded>> {
        self.locked.load()
    }

    fn begin_refresh(&mut self, generation: i64, now: i64) -> BoxFuture<'_, Result<()>> {
        self.held(move |locked| locked.begin_refresh(generation, now))
    }

    fn commit<'a>(&'a mut self, spent: i64, session: &'a SealedSession) -> BoxFuture<'a, Result<()>> {
        self.locked.commit(spent, session)
    }

    fn fail(
        &mut self,
        generation: i64,
        bytes: Option<Vec<u8>>,
        refreshing_since: Option<i64>,
    ) -> BoxFuture<'_, Result<()>> {
        self.held(move |locked| locked.fail(generation, bytes, refreshing_since))
    }

    fn amend(&mut self, generation: i64, bytes: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        self.held(move |locked| locked.amend(generation, bytes))
    }

    fn end(&mut self, generation: i64, ended_at: i64, refreshing_since: Option<i64>) -> BoxFuture<'_, Result<()>> {
        self.held(move |locked| locked.end(generation, ended_at, refreshing_since))
    }

    fn delete(&mut self) -> BoxFuture<'_, Result<()>> {
        self.held(|locked| locked.delete())
    }
}

impl Subject for LeasedStore {
    fn open(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.clone())
    }

    fn lose_locks(&self) -> bool {
        Self::lose_locks(self);
        true
    }
}

#[tokio::test]
async fn a_store_with_a_clock_of_its_own_that_loses_locks_keeps_the_contract() {
    conformance::check(&LeasedStore::new()).await;
}
