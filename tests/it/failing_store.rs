//! A store in memory whose first commits fail.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nexus::store::{
    BoxFuture, Listed, Loaded, LockedSession, MemoryStore, Page, Record, Replacement, Result, SealedSession,
    SealedValue, SessionKey, SessionStore, StoreError,
};

pub(crate) struct FailingStore {
    inner: MemoryStore,
    failures_left: Arc<AtomicU32>,
    commits: Arc<AtomicU32>,
}

impl FailingStore {
    /// A store whose first commits fail, as many as that.
    pub(crate) fn new(failures: u32) -> Self {
        let inner = MemoryStore::new(nexus::now);
        Self { inner, failures_left: Arc::new(AtomicU32::new(failures)), commits: Arc::default() }
    }

    /// How many commits there were, failed ones included.
    pub(crate) fn commits(&self) -> u32 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl SessionStore for FailingStore {
    fn load<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>> {
        self.inner.load(key)
    }

    fn list<'a>(&'a self, owner: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>> {
        self.inner.list(owner)
    }

    fn lock<'a>(&'a self, key: &'a SessionKey, wait: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>> {
        Box::pin(async move {
            let (failures_left, commits) = (self.failures_left.clone(), self.commits.clone());
            let inner = self.inner.lock(key, wait).await?;
            Ok(Box::new(Failing { inner, failures_left, commits }) as Box<dyn LockedSession>)
        })
    }

    fn put_pending<'a>(
        &'a self,
        owner: &'a str,
        state_hash: [u8; 32],
        sealed: Vec<u8>,
        expires_at: i64,
    ) -> BoxFuture<'a, Result<()>> {
        self.inner.put_pending(owner, state_hash, sealed, expires_at)
    }

    fn take_pending<'a>(&'a self, owner: &'a str, state_hash: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.inner.take_pending(owner, state_hash)
    }

    fn load_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.inner.load_client(issuer, redirect_uri)
    }

    fn save_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str, sealed: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        self.inner.save_client(issuer, redirect_uri, sealed)
    }

    fn delete_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<()>> {
        self.inner.delete_client(issuer, redirect_uri)
    }

    fn sealed_values<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Result<Vec<SealedValue>>> {
        self.inner.sealed_values(page)
    }

    fn replace_values(&self, values: Vec<Replacement>) -> BoxFuture<'_, Result<usize>> {
        self.inner.replace_values(values)
    }
}

struct Failing {
    inner: Box<dyn LockedSession>,
    failures_left: Arc<AtomicU32>,
    commits: Arc<AtomicU32>,
}

impl LockedSession for Failing {
    fn load(&mut self) -> BoxFuture<'_, Result<Loaded>> {
        self.inner.load()
    }

    fn begin_refresh(&mut self, generation: i64, now: i64) -> BoxFuture<'_, Result<()>> {
        self.inner.begin_refresh(generation, now)
    }

    fn commit<'a>(&'a mut self, expected: i64, session: &'a SealedSession) -> BoxFuture<'a, Result<()>> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let fails = self.failures_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match fails {
            Ok(_) => Box::pin(async { Err(StoreError::Failed(Arc::new(io::Error::other("out of order")))) }),
            Err(_) => self.inner.commit(expected, session),
        }
    }

    fn fail(
        &mut self,
        generation: i64,
        bytes: Option<Vec<u8>>,
        refreshing_since: Option<i64>,
    ) -> BoxFuture<'_, Result<()>> {
        self.inner.fail(generation, bytes, refreshing_since)
    }

    fn amend(&mut self, generation: i64, bytes: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        self.inner.amend(generation, bytes)
    }

    fn end(&mut self, generation: i64, ended_at: i64, refreshing_since: Option<i64>) -> BoxFuture<'_, Result<()>> {
        self.inner.end(generation, ended_at, refreshing_since)
    }

    fn replace<'a>(&'a mut self, expected: i64, record: &'a Record) -> BoxFuture<'a, Result<()>> {
        self.inner.replace(expected, record)
    }

    fn delete(&mut self) -> BoxFuture<'_, Result<()>> {
        self.inner.delete()
    }
}
