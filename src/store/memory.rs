//! A store in memory, for tests and for a single process that may lose its sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::contract::{
    BoxFuture, Listed, Loaded, LockedSession, Page, Place, Record, Replacement, Result, SealedSession, SealedValue,
    SessionKey, SessionStore, ValueKind,
};
use super::error::StoreError;

/// Keeps sessions in memory. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    clock: fn() -> i64,
    data: Arc<Mutex<Data>>,
}

#[derive(Debug, Default)]
struct Data {
    sessions: BTreeMap<SessionKey, Saved>,
    locks: BTreeMap<SessionKey, Arc<tokio::sync::Mutex<()>>>,
    pending: BTreeMap<(String, [u8; 32]), (i64, Vec<u8>)>,
    clients: BTreeMap<(String, String), Vec<u8>>,
}

#[derive(Debug)]
struct Saved {
    record: Record,
    /// Which commit saved it. A session that was signed in to after a sign-out may have the same generation.
    commit: Arc<()>,
}

impl MemoryStore {
    /// An empty store whose time is `clock`, in Unix seconds.
    pub fn new(clock: fn() -> i64) -> Self {
        Self { clock, data: Arc::default() }
    }

    /// Loses all locks, as a store whose leases expire.
    #[cfg(test)]
    pub(crate) fn lose_locks(&self) {
        self.data().locks.clear();
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self, key: &SessionKey) -> Loaded {
        Loaded { now: (self.clock)(), record: self.data().sessions.get(key).map(|saved| saved.record.clone()) }
    }

    fn values(&self, kind: ValueKind) -> Vec<SealedValue> {
        let now = (self.clock)();
        let data = self.data();
        match kind {
            ValueKind::Session => data
                .sessions
                .iter()
                .map(|(key, Saved { record, .. })| SealedValue {
                    place: Place::Session { key: key.clone(), generation: record.session.generation },
                    bytes: record.session.bytes.clone(),
                })
                .collect(),
            ValueKind::PendingSignIn => data
                .pending
                .iter()
                .filter(|(_, (expires_at, _))| *expires_at > now)
                .map(|((owner, state_hash), (_, bytes))| SealedValue {
                    place: Place::PendingSignIn { owner: owner.clone(), state_hash: *state_hash },
                    bytes: bytes.clone(),
                })
                .collect(),
            ValueKind::Client => data
                .clients
                .iter()
                .map(|((issuer, redirect_uri), bytes)| SealedValue {
                    place: Place::Client { issuer: issuer.clone(), redirect_uri: redirect_uri.clone() },
                    bytes: bytes.clone(),
                })
                .collect(),
        }
    }

    fn listed(&self, owner: Option<&str>) -> Vec<Listed> {
        let data = self.data();
        let mut listed: Vec<_> = data
            .sessions
            .iter()
            .filter(|(key, _)| owner.is_none_or(|owner| key.owner == owner))
            .map(|(key, Saved { record, .. })| Listed {
                key: key.clone(),
                generation: record.session.generation,
                expires_at: record.session.expires_at,
                ended_at: record.ended_at,
                moved_to: record.moved_to.clone(),
            })
            .collect();
        listed.sort_by(|a, b| (&a.key.owner, &a.key.provider).cmp(&(&b.key.owner, &b.key.provider)));
        listed
    }
}

impl SessionStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async { Ok(self.loaded(key)) })
    }

    fn try_load(&self, key: &SessionKey) -> Option<Result<Loaded>> {
        Some(Ok(self.loaded(key)))
    }

    fn list<'a>(&'a self, owner: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>> {
        Box::pin(async move { Ok(self.listed(owner)) })
    }

    fn try_list(&self, owner: Option<&str>) -> Option<Result<Vec<Listed>>> {
        Some(Ok(self.listed(owner)))
    }

    fn lock<'a>(&'a self, key: &'a SessionKey, wait: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>> {
        Box::pin(async move {
            let lock = {
                let mut data = self.data();
                data.locks.retain(|_, lock| Arc::strong_count(lock) > 1);
                data.locks.entry(key.clone()).or_default().clone()
            };
            let busy = || StoreError::Busy { waited: wait };
            let guard = if wait.is_zero() {
                lock.try_lock_owned().map_err(|_| busy())?
            } else {
                tokio::time::timeout(wait, lock.lock_owned()).await.map_err(|_| busy())?
            };
            let locked = LockedInMemory { store: self.clone(), key: key.clone(), guard, spent: None };
            Ok(Box::new(locked) as Box<dyn LockedSession>)
        })
    }

    fn put_pending<'a>(
        &'a self,
        owner: &'a str,
        state_hash: [u8; 32],
        sealed: Vec<u8>,
        expires_at: i64,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let now = (self.clock)();
            let mut data = self.data();
            data.pending.retain(|_, (expires_at, _)| *expires_at > now);
            data.pending.insert((owner.to_owned(), state_hash), (expires_at, sealed));
            Ok(())
        })
    }

    fn take_pending<'a>(&'a self, owner: &'a str, state_hash: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let now = (self.clock)();
            let taken = self.data().pending.remove(&(owner.to_owned(), state_hash));
            Ok(taken.filter(|(expires_at, _)| *expires_at > now).map(|(_, sealed)| sealed))
        })
    }

    fn load_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.data().clients.get(&(issuer.to_owned(), redirect_uri.to_owned())).cloned()) })
    }

    fn save_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str, sealed: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.data().clients.insert((issuer.to_owned(), redirect_uri.to_owned()), sealed);
            Ok(())
        })
    }

    fn delete_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.data().clients.remove(&(issuer.to_owned(), redirect_uri.to_owned()));
            Ok(())
        })
    }

    fn sealed_values<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Result<Vec<SealedValue>>> {
        Box::pin(async move {
            let mut values = self.values(page.kind);
            values.retain(|value| page.after.is_none_or(|after| value.place > *after));
            values.truncate(page.limit);
            for value in &mut values {
                value.bytes.truncate(page.length.unwrap_or(usize::MAX));
            }
            Ok(values)
        })
    }

    fn replace_values(&self, values: Vec<Replacement>) -> BoxFuture<'_, Result<usize>> {
        Box::pin(async move {
            let mut data = self.data();
            let mut replaced = 0;
            for Replacement { place, before, after } in values {
                let found = match place {
                    Place::Session { key, .. } => {
                        data.sessions.get_mut(&key).map(|saved| &mut saved.record.session.bytes)
                    }
                    Place::PendingSignIn { owner, state_hash } => {
                        data.pending.get_mut(&(owner, state_hash)).map(|(_, bytes)| bytes)
                    }
                    Place::Client { issuer, redirect_uri } => data.clients.get_mut(&(issuer, redirect_uri)),
                };
                if let Some(bytes) = found.filter(|bytes| **bytes == before) {
                    *bytes = after;
                    replaced += 1;
                }
            }
            Ok(replaced)
        })
    }
}

struct LockedInMemory {
    store: MemoryStore,
    key: SessionKey,
    guard: tokio::sync::OwnedMutexGuard<()>,
    /// The commit that saved the session whose refresh token is spent.
    spent: Option<Arc<()>>,
}

impl LockedInMemory {
    /// The data, if the lock was not lost.
    fn data(&self) -> Result<MutexGuard<'_, Data>> {
        let data = self.store.data();
        let lock = tokio::sync::OwnedMutexGuard::mutex(&self.guard);
        let is_held = data.locks.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, lock));
        if is_held { Ok(data) } else { Err(StoreError::LockLost) }
    }

    /// Changes the record if it has this generation.
    fn change<T>(&self, generation: i64, change: impl FnOnce(&mut Saved) -> T) -> Result<T> {
        match self.data()?.sessions.get_mut(&self.key) {
            Some(saved) if saved.record.session.generation == generation => Ok(change(saved)),
            _ => Err(StoreError::Superseded),
        }
    }
}

impl LockedSession for LockedInMemory {
    fn load(&mut self) -> BoxFuture<'_, Result<Loaded>> {
        Box::pin(async { Ok(self.store.loaded(&self.key)) })
    }

    fn begin_refresh(&mut self, generation: i64, now: i64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let begin = |saved: &mut Saved| {
                if saved.record.moved_to.is_some() {
                    return Err(StoreError::Superseded);
                }
                saved.record.attempts += 1;
                saved.record.refreshing_since.get_or_insert(now);
                Ok(saved.commit.clone())
            };
            self.spent = Some(self.change(generation, begin)??);
            Ok(())
        })
    }

    fn commit<'a>(&'a mut self, expected: i64, session: &'a SealedSession) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut data = self.store.data();
            let stored = data.sessions.get(&self.key);
            let is_another =
                stored.zip(self.spent.as_ref()).is_some_and(|(stored, spent)| !Arc::ptr_eq(&stored.commit, spent));
            if is_another || stored.map_or(0, |saved| saved.record.session.generation) != expected {
                return Err(StoreError::Superseded);
            }
            let attempts = stored.map_or(0, |saved| saved.record.attempts);
            let moved_to = stored.and_then(|saved| saved.record.moved_to.clone());
            let record =
                Record { session: session.clone(), attempts, refreshing_since: None, ended_at: None, moved_to };
            data.sessions.insert(self.key.clone(), Saved { record, commit: Arc::default() });
            drop(data);
            self.spent = None;
            Ok(())
        })
    }

    fn fail(
        &mut self,
        generation: i64,
        bytes: Option<Vec<u8>>,
        refreshing_since: Option<i64>,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.change(generation, |Saved { record, .. }| {
                record.refreshing_since = refreshing_since;
                if let Some(bytes) = bytes {
                    record.session.bytes = bytes;
                }
            })
        })
    }

    fn amend(&mut self, generation: i64, bytes: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.change(generation, |saved| saved.record.session.bytes = bytes) })
    }

    fn end(&mut self, generation: i64, ended_at: i64, refreshing_since: Option<i64>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.change(generation, |Saved { record, .. }| {
                record.ended_at = Some(ended_at);
                record.refreshing_since = refreshing_since;
            })
        })
    }

    fn replace<'a>(&'a mut self, expected: i64, record: &'a Record) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut data = self.data()?;
            if data.sessions.get(&self.key).map_or(0, |saved| saved.record.session.generation) != expected {
                return Err(StoreError::Superseded);
            }
            data.sessions.insert(self.key.clone(), Saved { record: record.clone(), commit: Arc::default() });
            Ok(())
        })
    }

    fn delete(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.data()?.sessions.remove(&self.key);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{self, Subject};

    impl Subject for MemoryStore {
        fn open(&self) -> Arc<dyn SessionStore> {
            Arc::new(self.clone())
        }

        fn lose_locks(&self) -> bool {
            Self::lose_locks(self);
            true
        }
    }

    /// With a clock of its own and locks that are lost, as a store over a network.
    #[tokio::test]
    async fn it_keeps_the_contract() {
        conformance::check(&MemoryStore::new(|| crate::time::now() + 3_600)).await;
    }
}
