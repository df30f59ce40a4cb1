//! Checks that a store keeps the [contract](super). Run it in a test, against an empty store:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nexus::store::conformance::{self, Subject};
//! use nexus::store::{MemoryStore, SessionStore};
//!
//! struct Memory(MemoryStore);
//!
//! impl Subject for Memory {
//!     fn open(&self) -> Arc<dyn SessionStore> {
//!         Arc::new(self.0.clone())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::check(&Memory(MemoryStore::new(nexus::now))).await;
//! # }
//! ```

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::contract::{
    LockedSession, Page, Place, Record, Replacement, Result, SealedSession, SealedValue, SessionKey, SessionStore,
    ValueKind,
};
use super::error::StoreError;

/// The store under test.
pub trait Subject: Send + Sync {
    /// Opens another handle on the same data, as another process would.
    fn open(&self) -> Arc<dyn SessionStore>;

    /// Makes the store lose all locks. Returns `false` if its locks cannot be lost.
    fn lose_locks(&self) -> bool {
        false
    }
}

/// Long enough for a lock that is free, in a slow store.
const SOON: Duration = Duration::from_secs(30);

/// Runs all checks.
///
/// # Panics
/// With what the store did wrong.
pub async fn check(subject: &dyn Subject) {
    a_missing_session_is_none(subject).await;
    a_commit_is_seen_by_every_handle(subject).await;
    sessions_are_kept_apart(subject).await;
    sessions_are_listed(subject).await;
    one_handle_holds_the_lock(subject).await;
    a_refresh_in_flight_survives_its_process(subject).await;
    a_failure_is_kept(subject).await;
    an_end_is_kept_until_the_next_commit(subject).await;
    a_superseded_write_changes_nothing(subject).await;
    a_deleted_session_is_gone(subject).await;
    a_lost_lock_stops_every_write_but_a_commit(subject).await;
    a_late_commit_replaces_no_other_session(subject).await;
    a_pending_sign_in_is_taken_once(subject).await;
    a_pending_sign_in_expires_by_the_stores_time(subject).await;
    clients_are_kept_by_issuer_and_redirect_uri(subject).await;
    a_moved_session_is_kept_and_not_refreshed(subject).await;
    sealed_values_are_read_in_pages_and_replaced(subject).await;
    the_active_key_is_one_for_all(subject).await;
    must(subject.open().check().await, "check an undamaged store");
    must(subject.open().check_writable().await, "check_writable");
}

#[track_caller]
fn must<T>(result: Result<T>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error} ({error:?})"),
    }
}

#[track_caller]
fn is_superseded<T: Debug>(result: Result<T>, what: &str) {
    assert!(matches!(result, Err(StoreError::Superseded)), "{what} of another generation: {result:?}");
}

fn key(owner: &str) -> SessionKey {
    SessionKey { provider: "conformance".into(), owner: owner.into() }
}

fn sealed(generation: i64, text: &str) -> SealedSession {
    SealedSession { generation, issued_at: 1_000, expires_at: Some(4_600), bytes: text.as_bytes().to_vec() }
}

async fn lock(store: &Arc<dyn SessionStore>, key: &SessionKey) -> Box<dyn LockedSession> {
    must(store.lock(key, SOON).await, "lock a free session")
}

async fn record(store: &Arc<dyn SessionStore>, key: &SessionKey) -> Option<Record> {
    let loaded = must(store.load(key).await, "load").record;
    if let Some(at_once) = store.try_load(key) {
        assert_eq!(must(at_once, "try_load").record, loaded, "try_load and load see the same");
    }
    loaded
}

/// A new session of generation 1.
async fn signed_in(subject: &dyn Subject, owner: &str) -> (Arc<dyn SessionStore>, SessionKey) {
    let (store, key) = (subject.open(), key(owner));
    let mut locked = lock(&store, &key).await;
    must(locked.reserve().await, "reserve");
    must(locked.commit(0, &sealed(1, "one")).await, "commit a first session");
    (store, key)
}

async fn a_missing_session_is_none(subject: &dyn Subject) {
    let (store, key) = (subject.open(), key("missing"));
    assert_eq!(record(&store, &key).await, None, "a session that was never stored");
    let mut locked = lock(&store, &key).await;
    let loaded = must(locked.load().await, "load a missing session under its lock");
    assert_eq!(loaded.record, None, "a session that was never stored");
    let later = must(store.load(&key).await, "load").now;
    assert!(later >= loaded.now && later - loaded.now < 600, "the store's time goes on: {} {later}", loaded.now);
}

async fn a_commit_is_seen_by_every_handle(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "commit").await;
    let expected =
        Record { session: sealed(1, "one"), attempts: 0, refreshing_since: None, ended_at: None, moved_to: None };
    for store in [store, subject.open()] {
        assert_eq!(record(&store, &key).await.as_ref(), Some(&expected));
        let mut locked = lock(&store, &key).await;
        assert_eq!(must(locked.load().await, "load under the lock").record.as_ref(), Some(&expected));
    }
    // The largest session, without an expiry, with every byte.
    let bytes = (0..400 << 10).map(|at: u32| at.to_le_bytes()[0]).collect();
    let large = SealedSession { generation: i64::MAX, issued_at: i64::MIN, expires_at: None, bytes };
    must(lock(&subject.open(), &key).await.commit(1, &large).await, "commit 400 KiB");
    assert!(record(&subject.open(), &key).await.is_some_and(|record| record.session == large), "400 KiB come back");
}

async fn sessions_are_kept_apart(subject: &dyn Subject) {
    let store = subject.open();
    let keys = [("a", "bc"), ("ab", "c"), ("abc", ""), ("a", "BC"), ("a", "bc ")];
    let keys = keys.map(|(provider, owner)| SessionKey { provider: provider.into(), owner: owner.into() });
    for key in &keys {
        let mut locked = lock(&store, key).await;
        must(locked.commit(0, &sealed(1, &format!("{key:?}"))).await, "commit");
    }
    for key in &keys {
        let found = record(&store, key).await;
        assert!(found.is_some_and(|found| found.session == sealed(1, &format!("{key:?}"))), "{key:?}");
    }
}

async fn sessions_are_listed(subject: &dyn Subject) {
    let store = subject.open();
    let mut expected = Vec::new();
    for (owner, provider) in [("list-a", "q"), ("list-b", "p"), ("list-b", "q")] {
        let key = SessionKey { provider: provider.into(), owner: owner.into() };
        must(lock(&store, &key).await.commit(0, &sealed(1, "one")).await, "commit");
        expected.push(key);
    }
    must(lock(&store, &expected[2]).await.end(1, 2_000, None).await, "end");
    let all = must(subject.open().list(None).await, "list");
    let all: Vec<_> = all.into_iter().filter(|listed| listed.key.owner.starts_with("list-")).collect();
    assert_eq!(all.iter().map(|listed| listed.key.clone()).collect::<Vec<_>>(), expected, "by owner and provider");
    assert!(all.iter().all(|listed| (listed.generation, listed.expires_at) == (1, Some(4_600))), "{all:?}");
    assert_eq!(all[2].ended_at, Some(2_000));
    let own = must(store.list(Some("list-b")).await, "list one owner");
    assert_eq!(own, all[1..]);
    if let Some(at_once) = store.try_list(Some("list-b")) {
        assert_eq!(must(at_once, "try_list"), own, "try_list and list see the same");
    }
}

async fn one_handle_holds_the_lock(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "lock").await;
    let locked = lock(&store, &key).await;
    for (other, which) in [(subject.open(), "another handle"), (store.clone(), "the same handle")] {
        for wait in [Duration::ZERO, Duration::from_millis(10)] {
            let second = other.lock(&key, wait).await.map(drop);
            assert!(matches!(second, Err(StoreError::Busy { waited }) if waited == wait), "{which}: {second:?}");
        }
        drop(lock(&other, &self::key("lock of another session")).await);
    }
    let other = subject.open();
    let (next, ()) = tokio::join!(other.lock(&key, SOON), async {
        tokio::task::yield_now().await;
        drop(locked);
    });
    drop(must(next, "lock once it is free"));
}

async fn a_refresh_in_flight_survives_its_process(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "in flight").await;
    let mut locked = lock(&store, &key).await;
    must(locked.begin_refresh(1, 2_000).await, "begin_refresh");
    let begun = Record {
        session: sealed(1, "one"),
        attempts: 1,
        refreshing_since: Some(2_000),
        ended_at: None,
        moved_to: None,
    };
    assert_eq!(record(&subject.open(), &key).await.as_ref(), Some(&begun), "seen while the lock is held");
    // A process that ends lets go of its lock without another write.
    drop(locked);
    drop(store);
    let store = subject.open();
    let mut locked = lock(&store, &key).await;
    assert_eq!(record(&store, &key).await, Some(begun), "what a dead process leaves");
    must(locked.begin_refresh(1, 3_000).await, "begin_refresh again");
    let begun = record(&store, &key).await.map(|record| (record.attempts, record.refreshing_since));
    assert_eq!(begun, Some((2, Some(2_000))), "the earlier time stays");
    must(locked.commit(1, &sealed(2, "two")).await, "commit");
    let kept =
        Record { session: sealed(2, "two"), attempts: 2, refreshing_since: None, ended_at: None, moved_to: None };
    assert_eq!(record(&subject.open(), &key).await, Some(kept), "a commit ends the flight");
}

async fn a_failure_is_kept(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "failure").await;
    let mut locked = lock(&store, &key).await;
    must(locked.begin_refresh(1, 2_000).await, "begin_refresh");
    must(locked.fail(1, Some(b"failed".to_vec()), Some(1_500)).await, "fail");
    let failed = Record {
        session: sealed(1, "failed"),
        attempts: 1,
        refreshing_since: Some(1_500),
        ended_at: None,
        moved_to: None,
    };
    assert_eq!(record(&subject.open(), &key).await, Some(failed.clone()));
    must(locked.fail(1, None, None).await, "fail without bytes");
    let failed = Record { refreshing_since: None, ..failed };
    assert_eq!(record(&subject.open(), &key).await, Some(failed.clone()), "the bytes stay");
    must(locked.amend(1, b"amended".to_vec()).await, "amend");
    let amended = Record { session: sealed(1, "amended"), ..failed };
    assert_eq!(record(&subject.open(), &key).await, Some(amended));
}

async fn an_end_is_kept_until_the_next_commit(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "end").await;
    let mut locked = lock(&store, &key).await;
    must(locked.end(1, 3_000, Some(2_000)).await, "end");
    let ended = Record {
        session: sealed(1, "one"),
        attempts: 0,
        refreshing_since: Some(2_000),
        ended_at: Some(3_000),
        moved_to: None,
    };
    assert_eq!(record(&subject.open(), &key).await, Some(ended));
    must(locked.commit(1, &sealed(2, "two")).await, "commit over an end");
    let kept =
        Record { session: sealed(2, "two"), attempts: 0, refreshing_since: None, ended_at: None, moved_to: None };
    assert_eq!(record(&subject.open(), &key).await, Some(kept), "a commit clears the end");
}

async fn a_superseded_write_changes_nothing(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "superseded").await;
    let mut locked = lock(&store, &key).await;
    must(locked.commit(1, &sealed(2, "two")).await, "commit");
    let before = record(&store, &key).await;
    for generation in [0, 1, 3] {
        is_superseded(locked.commit(generation, &sealed(9, "nine")).await, "commit");
        is_superseded(locked.begin_refresh(generation, 2_000).await, "begin_refresh");
        is_superseded(locked.fail(generation, Some(b"failed".to_vec()), Some(1)).await, "fail");
        is_superseded(locked.fail(generation, None, None).await, "fail without bytes");
        is_superseded(locked.amend(generation, b"amended".to_vec()).await, "amend");
        is_superseded(locked.end(generation, 2_000, None).await, "end");
    }
    assert_eq!(record(&subject.open(), &key).await, before);
}

async fn a_deleted_session_is_gone(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "delete").await;
    let mut locked = lock(&store, &key).await;
    must(locked.delete().await, "delete");
    must(locked.delete().await, "delete what is gone");
    assert_eq!(record(&subject.open(), &key).await, None);
    is_superseded(locked.commit(1, &sealed(2, "two")).await, "commit after the delete");
    is_superseded(locked.begin_refresh(1, 2_000).await, "begin_refresh after the delete");
    must(locked.commit(0, &sealed(1, "again")).await, "commit a new session");
    assert!(record(&subject.open(), &key).await.is_some(), "a new session after the delete");
}

async fn a_moved_session_is_kept_and_not_refreshed(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "moved").await;
    let mut locked = lock(&store, &key).await;
    let moved = Record {
        session: sealed(1, ""),
        attempts: 3,
        refreshing_since: Some(2_000),
        ended_at: Some(3_000),
        moved_to: Some("elsewhere".into()),
    };
    for generation in [0, 2] {
        is_superseded(locked.replace(generation, &moved).await, "replace");
    }
    must(locked.replace(1, &moved).await, "replace");
    assert_eq!(record(&subject.open(), &key).await.as_ref(), Some(&moved), "the whole record, empty bytes included");
    let listed = must(subject.open().list(Some("moved")).await, "list");
    assert_eq!(listed.iter().map(|listed| listed.moved_to.as_deref()).collect::<Vec<_>>(), [Some("elsewhere")]);
    is_superseded(locked.begin_refresh(1, 2_500).await, "begin_refresh of a moved session");
    is_superseded(locked.commit(0, &sealed(1, "one")).await, "a sign-in over a moved session");
    assert_eq!(record(&store, &key).await.as_ref(), Some(&moved), "nothing was written");
    // Its holder was late: the pair exists nowhere else.
    must(locked.commit(1, &sealed(2, "two")).await, "commit");
    let late = record(&subject.open(), &key).await.map(|record| (record.session, record.moved_to));
    assert_eq!(late, Some((sealed(2, "two"), Some("elsewhere".into()))), "a commit keeps the mark");
    let back = Record { session: sealed(1, "back"), moved_to: None, ..moved };
    must(locked.replace(2, &back).await, "replace by an earlier generation");
    assert_eq!(record(&subject.open(), &key).await.as_ref(), Some(&back));
    must(locked.delete().await, "delete");
    must(locked.replace(0, &back).await, "replace none");
    assert_eq!(record(&subject.open(), &key).await, Some(back));
}

async fn a_lost_lock_stops_every_write_but_a_commit(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "lost").await;
    let mut first = lock(&store, &key).await;
    must(first.begin_refresh(1, 2_000).await, "begin_refresh");
    if !subject.lose_locks() {
        return;
    }
    let other = subject.open();
    let mut second = lock(&other, &key).await;
    let before = record(&store, &key).await;
    let is_lost = |result: Result<()>, what: &str| {
        assert!(matches!(result, Err(StoreError::LockLost)), "{what} without its lock: {result:?}");
    };
    is_lost(first.begin_refresh(1, 2_500).await, "begin_refresh");
    is_lost(first.fail(1, Some(b"failed".to_vec()), None).await, "fail");
    is_lost(first.amend(1, b"amended".to_vec()).await, "amend");
    is_lost(first.end(1, 2_500, None).await, "end");
    let moved = Record { moved_to: Some("elsewhere".into()), ..before.clone().unwrap_or_else(|| unreachable!()) };
    is_lost(first.replace(1, &moved).await, "replace");
    is_lost(first.delete().await, "delete");
    assert_eq!(record(&other, &key).await, before, "nothing was written");
    // The server told the second one that the token is spent; the first one has its successor.
    must(second.end(1, 3_000, Some(2_000)).await, "end by the new holder");
    must(first.commit(1, &sealed(2, "two")).await, "commit without its lock");
    let kept = record(&subject.open(), &key).await;
    let kept = kept.map(|record| (record.session, record.refreshing_since, record.ended_at));
    assert_eq!(kept, Some((sealed(2, "two"), None, None)), "the commit clears the end");
    is_superseded(second.commit(1, &sealed(2, "other")).await, "commit by the new holder");
    drop(first);
    let third = subject.open().lock(&key, Duration::ZERO).await.map(drop);
    assert!(matches!(third, Err(StoreError::Busy { .. })), "dropping a lost lock frees nobody else's: {third:?}");
}

async fn a_late_commit_replaces_no_other_session(subject: &dyn Subject) {
    let (store, key) = signed_in(subject, "late").await;
    let mut late = lock(&store, &key).await;
    must(late.begin_refresh(1, 2_000).await, "begin_refresh");
    if !subject.lose_locks() {
        return;
    }
    let other = subject.open();
    let mut next = lock(&other, &key).await;
    must(next.delete().await, "delete");
    is_superseded(late.commit(1, &sealed(2, "late")).await, "commit after the delete");
    must(next.commit(0, &sealed(1, "another sign-in")).await, "commit a new session");
    is_superseded(late.commit(1, &sealed(2, "late")).await, "commit after another sign-in");
    let kept = record(&subject.open(), &key).await.map(|record| record.session);
    assert_eq!(kept, Some(sealed(1, "another sign-in")));
}

async fn a_pending_sign_in_is_taken_once(subject: &dyn Subject) {
    let store = subject.open();
    let until = must(store.load(&key("pending")).await, "load").now + 600;
    let (one, two) = ([1; 32], [2; 32]);
    must(store.put_pending("ada", one, b"first".to_vec(), until).await, "put_pending");
    must(store.put_pending("ada", one, b"second".to_vec(), until).await, "put_pending over another");
    must(store.put_pending("ada", two, b"other state".to_vec(), until).await, "put_pending");
    let take = |owner, hash| {
        let store = subject.open();
        async move { must(store.take_pending(owner, hash).await, "take_pending") }
    };
    assert_eq!(take("grace", one).await, None, "another owner's");
    let taken = tokio::join!(take("ada", one), take("ada", one), take("ada", one), take("ada", one));
    let taken: Vec<_> = [taken.0, taken.1, taken.2, taken.3].into_iter().flatten().collect();
    assert_eq!(taken, [b"second".to_vec()], "exactly one of four gets it");
    assert_eq!(take("ada", two).await.as_deref(), Some(&b"other state"[..]));
    assert_eq!(take("ada", two).await, None);
}

async fn a_pending_sign_in_expires_by_the_stores_time(subject: &dyn Subject) {
    let store = subject.open();
    let now = must(store.load(&key("pending")).await, "load").now;
    must(store.put_pending("ada", [3; 32], b"old".to_vec(), now - 1).await, "put_pending");
    must(store.put_pending("ada", [4; 32], b"new".to_vec(), now + 60).await, "put_pending");
    assert_eq!(must(store.take_pending("ada", [3; 32]).await, "take_pending"), None, "an expired one");
    let taken = must(store.take_pending("ada", [4; 32]).await, "take_pending");
    assert_eq!(taken.as_deref(), Some(&b"new"[..]), "one that has not expired");
}

async fn clients_are_kept_by_issuer_and_redirect_uri(subject: &dyn Subject) {
    let (issuer, uri) = ("https://id.example.com", "http://127.0.0.1/callback");
    let store = subject.open();
    must(store.save_client(issuer, uri, b"first".to_vec()).await, "save_client");
    must(store.save_client(issuer, uri, b"second".to_vec()).await, "save_client over another");
    for (issuer, uri, found) in [
        (issuer, uri, Some(b"second".to_vec())),
        (issuer, "http://127.0.0.1/Callback", None),
        ("https://id.example.com/", uri, None),
    ] {
        let client = must(subject.open().load_client(issuer, uri).await, "load_client");
        assert_eq!(client, found, "{issuer} {uri}");
    }
    must(store.delete_client("https://id.example.com/", uri).await, "delete_client of another issuer");
    must(store.delete_client(issuer, "http://127.0.0.1/Callback").await, "delete_client of another redirect URI");
    assert!(must(store.load_client(issuer, uri).await, "load_client").is_some(), "another client was deleted");
    must(store.delete_client(issuer, uri).await, "delete_client");
    assert_eq!(must(subject.open().load_client(issuer, uri).await, "load_client"), None, "it was deleted");
    must(store.delete_client(issuer, uri).await, "delete_client of none");
}

/// All values of one kind, read in pages of this size.
async fn values(store: &Arc<dyn SessionStore>, kind: ValueKind, limit: usize) -> Vec<SealedValue> {
    let mut values: Vec<SealedValue> = Vec::new();
    loop {
        let after = values.last().map(|value| value.place.clone());
        let page = Page { kind, after: after.as_ref(), limit, length: None };
        let page = must(store.sealed_values(page).await, "sealed_values");
        let is_last = page.len() < limit;
        values.extend(page);
        if is_last {
            return values;
        }
    }
}

async fn sealed_values_are_read_in_pages_and_replaced(subject: &dyn Subject) {
    let (store, first) = signed_in(subject, "replace a").await;
    let (_, second) = signed_in(subject, "replace b").await;
    let (_, third) = signed_in(subject, "replace c").await;
    must(lock(&store, &second).await.begin_refresh(1, 2_000).await, "begin_refresh");
    let now = must(store.load(&first).await, "load").now;
    must(store.put_pending("replace", [5; 32], b"new".to_vec(), now + 600).await, "put_pending");
    must(store.put_pending("replace", [6; 32], b"old".to_vec(), now - 1).await, "put_pending");
    must(store.save_client("replace", "uri", b"client".to_vec()).await, "save_client");

    let session = |key: &SessionKey| Place::Session { key: key.clone(), generation: 1 };
    let pending = |hash| Place::PendingSignIn { owner: "replace".into(), state_hash: [hash; 32] };
    let client = Place::Client { issuer: "replace".into(), redirect_uri: "uri".into() };
    for (kind, expected) in [
        (ValueKind::Session, vec![session(&first), session(&second), session(&third)]),
        (ValueKind::PendingSignIn, vec![pending(5)]),
        (ValueKind::Client, vec![client.clone()]),
    ] {
        let all = values(&store, kind, 1_000).await;
        for limit in [1, 2] {
            assert_eq!(values(&store, kind, limit).await, all, "pages of {limit}");
        }
        let of_this_test = |value: &&SealedValue| match &value.place {
            Place::Session { key, .. } => key.owner.starts_with("replace "),
            Place::PendingSignIn { owner, .. } => owner == "replace",
            Place::Client { issuer, .. } => issuer == "replace",
        };
        let found: Vec<_> = all.iter().filter(of_this_test).map(|value| value.place.clone()).collect();
        assert_eq!(found, expected, "all values that have not expired");
        let page = Page { kind, after: None, limit: 1_000, length: Some(2) };
        let begun = must(store.sealed_values(page).await, "sealed_values");
        let cut: Vec<_> = all.iter().map(|value| value.bytes.iter().copied().take(2).collect::<Vec<_>>()).collect();
        assert_eq!(begun.into_iter().map(|value| value.bytes).collect::<Vec<_>>(), cut, "only the beginning is read");
    }

    let before = [record(&store, &first).await, record(&store, &second).await];
    let third_before = record(&store, &third).await;
    let again = |place: Place, before: &str| Replacement {
        place,
        before: before.as_bytes().to_vec(),
        after: format!("again {before}").into_bytes(),
    };
    // The second value was read before another process changed it.
    let replaced = [again(session(&first), "one"), again(session(&third), "zero"), again(session(&second), "one")];
    assert_eq!(must(store.replace_values(replaced.to_vec()).await, "replace_values"), 2, "one was changed meanwhile");
    assert_eq!(must(store.replace_values(replaced.to_vec()).await, "replace_values"), 0, "all were replaced");
    let replaced = vec![again(pending(5), "new"), again(pending(7), "none")];
    assert_eq!(must(store.replace_values(replaced).await, "replace_values"), 1, "a pending sign-in");
    assert_eq!(must(store.replace_values(vec![again(client, "client")]).await, "replace_values"), 1, "a client");
    assert_eq!(must(store.replace_values(Vec::new()).await, "replace_values"), 0, "nothing");

    let other = subject.open();
    for (key, before) in [(&first, &before[0]), (&second, &before[1])] {
        let expected = before.clone().map(|mut record| {
            record.session.bytes = [b"again ", &*record.session.bytes].concat();
            record
        });
        assert_eq!(record(&other, key).await, expected, "only the sealed bytes are replaced");
    }
    assert_eq!(record(&other, &third).await, third_before, "a value that was changed meanwhile stays");
    let taken = must(other.take_pending("replace", [5; 32]).await, "take_pending");
    assert_eq!(taken.as_deref(), Some(&b"again new"[..]));
    let client = must(other.load_client("replace", "uri").await, "load_client");
    assert_eq!(client.as_deref(), Some(&b"again client"[..]));
}

async fn the_active_key_is_one_for_all(subject: &dyn Subject) {
    let (store, other) = (subject.open(), subject.open());
    let Some(first) = must(store.activate_key("first", true).await, "activate_key") else {
        assert_eq!(must(other.active_key().await, "active_key"), None, "a store that keeps no key");
        return;
    };
    assert_eq!(must(other.active_key().await, "active_key"), Some(first.clone()));
    assert_eq!(must(other.activate_key("late", true).await, "activate_key"), Some(first), "another machine was first");
    assert_eq!(must(other.activate_key("second", false).await, "activate_key").as_deref(), Some("second"));
    assert_eq!(must(store.active_key().await, "active_key").as_deref(), Some("second"));
    must(store.wait_for_locks().await, "wait_for_locks");
}
