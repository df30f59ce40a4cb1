//! The traits of a store, and what goes through them. `mod.rs` documents the contract.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::error::StoreError;

/// A boxed future, which keeps the traits object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The result of an operation of a store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Which session: a provider and an owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// The provider's name.
    pub provider: String,
    /// The owner, such as a user of a web application. The command line uses the empty text.
    pub owner: String,
}

/// A sealed session, as the session layer hands it to a store.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSession {
    /// The generation, at least 1. Each renewal increments it.
    pub generation: i64,
    /// When the access token was issued, in Unix seconds of the store's time.
    pub issued_at: i64,
    /// When the access token expires, in Unix seconds of the store's time, if known.
    pub expires_at: Option<i64>,
    /// The session, sealed. Opaque to the store; usually some KiB, 400 KiB at most.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSession")
            .field("generation", &self.generation)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// A stored session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The sealed session.
    pub session: SealedSession,
    /// How many refreshes were begun.
    pub attempts: i64,
    /// Since when a refresh is in flight, or its answer lost, in Unix seconds.
    pub refreshing_since: Option<i64>,
    /// When the authorization server ended the session, in Unix seconds.
    pub ended_at: Option<i64>,
    /// The name of the store that the session was moved to. This record must not be used then.
    pub moved_to: Option<String>,
}

/// What `load` returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The store's time, in Unix seconds.
    pub now: i64,
    /// The stored session, if there is one.
    pub record: Option<Record>,
}

/// What `list` returns for each session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which session.
    pub key: SessionKey,
    /// Its generation.
    pub generation: i64,
    /// When its access token expires, in Unix seconds, if known.
    pub expires_at: Option<i64>,
    /// When the authorization server ended it, in Unix seconds.
    pub ended_at: Option<i64>,
    /// The name of the store that it was moved to, if it was.
    pub moved_to: Option<String>,
}

impl Listed {
    /// Whether it has a token. A session that begins without a user is stored before it has one, as if that had expired
    /// in 1970.
    pub fn has_token(&self) -> bool {
        self.expires_at != Some(0)
    }
}

/// The kinds of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueKind {
    /// A session.
    Session,
    /// A pending sign-in.
    PendingSignIn,
    /// A registered client.
    Client,
}

impl ValueKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Session, Self::PendingSignIn, Self::Client];
}

/// Where a sealed value is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A session.
    Session {
        /// Which session.
        key: SessionKey,
        /// Its generation.
        generation: i64,
    },
    /// A pending sign-in.
    PendingSignIn {
        /// The owner.
        owner: String,
        /// The SHA-256 of the `state` parameter.
        state_hash: [u8; 32],
    },
    /// A registered client.
    Client {
        /// The issuer.
        issuer: String,
        /// The redirect URI.
        redirect_uri: String,
    },
}

/// A sealed value, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// Where it is stored.
    pub place: Place,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

/// A value to be sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Where it is stored.
    pub place: Place,
    /// The sealed bytes that are replaced.
    pub before: Vec<u8>,
    /// The sealed bytes that replace them.
    pub after: Vec<u8>,
}

/// Which part of the values of a store to read.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The kind of the values.
    pub kind: ValueKind,
    /// The place after which the page begins. `None` for the first page.
    pub after: Option<&'a Place>,
    /// How many values at most.
    pub limit: usize,
    /// How many bytes of each value at most. `None` for all of them.
    pub length: Option<usize>,
}

/// A store of sessions. See the [module](crate::store) for the contract.
pub trait SessionStore: Send + Sync {
    /// What error messages call the store, such as the path of its file.
    fn name(&self) -> String {
        "the session store".into()
    }

    /// The session and the store's time. Does not lock the session.
    fn load<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>>;

    /// `load` without waiting and without a runtime. `None` if the store cannot do that.
    fn try_load(&self, key: &SessionKey) -> Option<Result<Loaded>> {
        let _ = key;
        None
    }

    /// The sessions of one owner, or of all owners where none is given, ordered by owner and provider.
    fn list<'a>(&'a self, owner: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>>;

    /// `list` without waiting and without a runtime. `None` if the store cannot do that.
    fn try_list(&self, owner: Option<&str>) -> Option<Result<Vec<Listed>>> {
        let _ = owner;
        None
    }

    /// Waits for the lock of a session, which need not exist. With `wait` zero, tries once.
    ///
    /// Fails with [`StoreError::Busy`] if the lock is not free within `wait`.
    fn lock<'a>(&'a self, key: &'a SessionKey, wait: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>>;

    /// Keeps a pending sign-in until `expires_at`, in Unix seconds of the store's time. `state_hash` is the SHA-256
    /// of the `state` parameter (RFC 6749, section 4.1.1). Replaces one with the same owner and hash.
    fn put_pending<'a>(
        &'a self,
        owner: &'a str,
        state_hash: [u8; 32],
        sealed: Vec<u8>,
        expires_at: i64,
    ) -> BoxFuture<'a, Result<()>>;

    /// Removes a pending sign-in and returns it, unless it has expired. Exactly one of several concurrent calls gets
    /// it.
    fn take_pending<'a>(&'a self, owner: &'a str, state_hash: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// The registered client (RFC 7591) for an issuer and exactly this redirect URI, if one is kept.
    fn load_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// Keeps a registered client, replacing an earlier one.
    fn save_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str, sealed: Vec<u8>) -> BoxFuture<'a, Result<()>>;

    /// Deletes a registered client if one is kept.
    fn delete_client<'a>(&'a self, issuer: &'a str, redirect_uri: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The sealed values of one kind, in an order that does not change. A page that is not full is the last one.
    /// Pending sign-ins that have expired are left out.
    fn sealed_values<'a>(&'a self, page: Page<'a>) -> BoxFuture<'a, Result<Vec<SealedValue>>>;

    /// Replaces the sealed bytes of these values, all of one kind, and nothing else. Those whose bytes were changed
    /// meanwhile are left as they are. Returns how many were replaced. Needs no locks.
    fn replace_values(&self, values: Vec<Replacement>) -> BoxFuture<'_, Result<usize>>;

    /// The id of the active key, which seals new values. `None` if none is active yet, or if the store does not keep
    /// it: then the first key of each machine is its active key.
    fn active_key(&self) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async { Ok(None) })
    }

    /// Makes a key the active one, unless `if_none` is true and another key is active. Returns the id of the active
    /// key, or `None` if the store does not keep it.
    fn activate_key<'a>(&'a self, id: &'a str, if_none: bool) -> BoxFuture<'a, Result<Option<String>>> {
        let _ = (id, if_none);
        Box::pin(async { Ok(None) })
    }

    /// How long to wait for the lock of a session: longer than a token request of its holder and of another waiting
    /// process, and longer than the store keeps the lock of a process that was killed.
    fn lock_wait(&self) -> Duration {
        Duration::from_secs(90)
    }

    /// Waits until the locks that other machines hold now have been released or lost. A store of one machine need not
    /// wait.
    fn wait_for_locks(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Checks that what is stored is undamaged. May read all of it.
    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Checks that a session could be saved now. May create files.
    fn check_writable(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// A session while its lock is held. Dropping it releases the lock.
pub trait LockedSession: Send {
    /// The session and the store's time.
    fn load(&mut self) -> BoxFuture<'_, Result<Loaded>>;

    /// Reserves what the next commit needs, such as disk space, until the commit or the drop.
    fn reserve(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Records that a refresh is about to be sent: increments `attempts`, and sets `refreshing_since` to `now` unless
    /// it is set. Reserves what the commit needs. Must be durable before it returns. A session that was moved to
    /// another store has no generation to refresh: [`StoreError::Superseded`].
    fn begin_refresh(&mut self, generation: i64, now: i64) -> BoxFuture<'_, Result<()>>;

    /// Replaces the session if its generation is still `expected`, even if the lock was lost. `expected` is 0 if there
    /// is no session. A session that replaced a deleted one since `begin_refresh` is another one, whatever its
    /// generation. Clears `refreshing_since` and `ended_at`, and keeps `moved_to`.
    fn commit<'a>(&'a mut self, expected: i64, session: &'a SealedSession) -> BoxFuture<'a, Result<()>>;

    /// Records that a refresh failed: sets `refreshing_since`, and replaces the sealed bytes if any are given.
    fn fail(
        &mut self,
        generation: i64,
        bytes: Option<Vec<u8>>,
        refreshing_since: Option<i64>,
    ) -> BoxFuture<'_, Result<()>>;

    /// Replaces the sealed bytes and nothing else.
    fn amend(&mut self, generation: i64, bytes: Vec<u8>) -> BoxFuture<'_, Result<()>>;

    /// Records that the authorization server ended the session: sets `ended_at` and `refreshing_since`.
    fn end(&mut self, generation: i64, ended_at: i64, refreshing_since: Option<i64>) -> BoxFuture<'_, Result<()>>;

    /// Replaces the whole record, for a move between stores. `expected` is the stored generation, or 0 if there is no
    /// session. The new one may have any generation.
    fn replace<'a>(&'a mut self, expected: i64, record: &'a Record) -> BoxFuture<'a, Result<()>>;

    /// Deletes the session if it exists, whatever its generation.
    fn delete(&mut self) -> BoxFuture<'_, Result<()>>;

    /// Releases the lock, for a store that has to wait for that. `None` if the drop releases it. Dropping such a lock
    /// within a runtime starts the release and does not wait for it.
    fn release(&mut self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}
