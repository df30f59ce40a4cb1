//! What was read lately. It is used only while the server cannot be reached, so that an outage does not stop a program
//! whose tokens are still valid.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::contract::{Loaded, SessionKey};

/// How much memory the kept sessions take at most, in bytes.
const MEMORY: usize = 16 << 20;

/// What a session takes beside its sealed bytes and its key, about.
const OVERHEAD: usize = 512;

/// How old what is used may be.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The sessions that this process has read. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<Sessions>>);

/// Two halves, so that old ones are forgotten without a search for them.
#[derive(Default)]
struct Sessions {
    newer: HashMap<SessionKey, (Instant, Loaded)>,
    /// What `newer` takes, in bytes.
    size: usize,
    older: HashMap<SessionKey, (Instant, Loaded)>,
}

impl Recent {
    /// Keeps what was read now, or forgets the session if there is none.
    pub(super) fn keep(&self, key: &SessionKey, loaded: &Loaded) {
        let Sessions { newer, size, older } = &mut *self.lock();
        if let Some((_, replaced)) = newer.remove(key) {
            *size -= size_of(key, &replaced);
        }
        older.remove(key);
        if loaded.record.is_none() {
            return;
        }
        let added = size_of(key, loaded);
        if *size + added > MEMORY / 2 {
            *older = mem::take(newer);
            *size = 0;
        }
        if added <= MEMORY / 2 {
            newer.insert(key.clone(), (Instant::now(), loaded.clone()));
            *size += added;
        }
    }

    /// Whether there is something to [`get`](Self::get).
    pub(super) fn has(&self, key: &SessionKey) -> bool {
        self.lock().find(key).is_some()
    }

    /// What was read in the last five minutes, with the server's time as it must be now, unless the access token has
    /// expired.
    pub(super) fn get(&self, key: &SessionKey) -> Option<Loaded> {
        let sessions = self.lock();
        let (now, loaded) = sessions.find(key)?;
        Some(Loaded { now, ..loaded.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// What can be used, and the server's time as it must be now.
    fn find(&self, key: &SessionKey) -> Option<(i64, &Loaded)> {
        let (read_at, loaded) = self.newer.get(key).or_else(|| self.older.get(key))?;
        let age = read_at.elapsed();
        let now = loaded.now.saturating_add_unsigned(age.as_secs());
        let is_valid = |expires_at: i64| now < expires_at;
        let session = &loaded.record.as_ref()?.session;
        (age < MAX_AGE && session.expires_at.is_none_or(is_valid)).then_some((now, loaded))
    }
}

/// What a session takes, in bytes.
fn size_of(key: &SessionKey, loaded: &Loaded) -> usize {
    let sealed = loaded.record.as_ref().map_or(0, |record| record.session.bytes.len());
    OVERHEAD + key.provider.len() + key.owner.len() + sealed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::{Record, SealedSession};

    fn key() -> SessionKey {
        SessionKey { provider: "work".into(), owner: "ada".into() }
    }

    fn loaded(expires_at: Option<i64>) -> Loaded {
        let session = SealedSession { generation: 1, issued_at: 900, expires_at, bytes: vec![1] };
        let record = Record { session, attempts: 0, refreshing_since: None, ended_at: None, moved_to: None };
        Loaded { now: 1_000, record: Some(record) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_used_for_five_minutes() {
        let recent = Recent::default();
        assert_eq!(recent.get(&key()), None);
        recent.keep(&key(), &loaded(None));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(recent.get(&key()), Some(Loaded { now: 1_299, ..loaded(None) }));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(recent.get(&key()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_used_after_the_tokens_end() {
        let recent = Recent::default();
        recent.keep(&key(), &loaded(Some(1_060)));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(recent.get(&key()).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(recent.get(&key()), None);
    }

    #[test]
    fn a_session_that_is_gone_is_forgotten() {
        let recent = Recent::default();
        recent.keep(&key(), &loaded(None));
        recent.keep(&key(), &Loaded { now: 1_000, record: None });
        assert_eq!(recent.get(&key()), None);
    }

    #[test]
    fn their_memory_is_limited() {
        const SEALED: usize = 190 << 10;
        let recent = Recent::default();
        let mut large = loaded(None);
        if let Some(record) = &mut large.record {
            record.session.bytes = vec![1; SEALED];
        }
        let key_of = |number: usize| SessionKey { owner: number.to_string(), ..key() };
        let number = 2 * MEMORY / SEALED;
        for at in 0..number {
            recent.keep(&key_of(at), &large);
            // Reading one again takes no more.
            recent.keep(&key_of(at), &large);
        }
        let is_kept = |at: usize| recent.get(&key_of(at)).is_some();
        assert!(is_kept(number - 1) && is_kept(number - MEMORY / SEALED / 2) && !is_kept(0));
        let sessions = recent.0.lock().unwrap();
        assert!((sessions.newer.len() + sessions.older.len()) * SEALED <= MEMORY);
    }
}
