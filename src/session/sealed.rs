//! A session store and the key that seals its sessions.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::error::SessionError;
use super::key::{HeldSeal, Keystore};
#[cfg(feature = "sqlite")]
use super::legacy;
use super::notice::{Notice, NoticeFn, noticed};
use super::pending_saves::PendingSaves;
use super::record;
use super::seal::Seal;
use super::stored::{Session, StoreTime, StoredSession};
#[cfg(feature = "sqlite")]
use crate::store::SqliteStore;
use crate::store::{
    Listed, Loaded, LockedSession as LockedRecord, MemoryStore, Record, SessionKey, SessionStore, StoreError,
};

type Result<T> = std::result::Result<T, SessionError>;

/// Finds the seal for new values, given the id of the active key if the store names one.
pub(super) type SealFn = fn(&Keystore, Option<&str>) -> super::key::Result<HeldSeal>;

/// A store and the key to it. Clones share both.
#[derive(Clone)]
pub struct SealedSessions {
    store: Arc<dyn SessionStore>,
    keys: Keystore,
    /// Counts the locks that are being released.
    pending: PendingSaves,
    /// Receives notices about waits.
    notice: NoticeFn,
}

impl SealedSessions {
    /// The sessions of this store, sealed with this key.
    pub fn new(store: Arc<dyn SessionStore>, keys: Keystore) -> Self {
        // Other machines may have a copy of the key.
        Self { store, keys: keys.shared(), pending: PendingSaves::default(), notice: Arc::new(|_| ()) }
    }

    /// Sessions in memory, sealed with a key in memory, for a process that may lose them. `clock` gives the time in
    /// Unix seconds.
    ///
    /// # Errors
    /// The operating system returned no random bytes.
    pub fn in_memory(clock: fn() -> i64) -> Result<Self> {
        Ok(Self::new(Arc::new(MemoryStore::new(clock)), Keystore::in_memory()?))
    }

    #[cfg(feature = "sqlite")]
    /// The sessions of a SQLite store, whose key nothing else uses. Sessions of an earlier version are sealed anew when
    /// they are first read.
    pub fn in_sqlite(store: SqliteStore, keys: Keystore) -> Self {
        let resealing = keys.clone();
        let store = store.resealing(Arc::new(move |key, record| legacy::reseal(&resealing, key, record)));
        Self { keys: keys.clone(), ..Self::new(Arc::new(store), keys) }
    }

    /// Calls `notice` when the store takes longer than a second to answer, when another process holds the lock of a
    /// session for longer, and when opening the key takes long.
    #[must_use]
    pub fn reporting_waits(self, notice: NoticeFn) -> Self {
        let of_key = notice.clone();
        self.keys.report_waits(Arc::new(move |wait| of_key(&Notice::WaitingForKey(wait))));
        Self { notice, ..self }
    }

    /// Waits for the store. Sends a notice after a second.
    #[doc(hidden)]
    pub async fn waiting<T>(&self, work: impl Future<Output = T>) -> T {
        noticed(&self.notice, work, || Notice::WaitingForStore { store: self.store.name() }).await
    }

    /// Counts the locks that are being released among these pending saves.
    #[doc(hidden)]
    #[must_use]
    pub fn tracked_by(self, pending: PendingSaves) -> Self {
        Self { pending, ..self }
    }

    /// The key.
    pub fn keystore(&self) -> &Keystore {
        &self.keys
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        &self.store
    }

    /// The stored session, whatever its state. Takes no lock.
    ///
    /// # Errors
    /// If the store or the key cannot be used.
    pub async fn load(&self, key: &SessionKey) -> Result<Option<Session>> {
        let loaded = self.waiting(self.store.load(key)).await?;
        self.opened(key, loaded, record::open).await.map(|(_, session)| session)
    }

    /// The store's time, in Unix seconds.
    pub(super) async fn now(&self, key: &SessionKey) -> Result<i64> {
        Ok(self.store.load(key).await?.now)
    }

    /// [`load`](Self::load) without waiting. `None` if the store cannot answer at once or the record does not open;
    /// then `load` says why. May block on reads of the disk and the key.
    ///
    /// # Errors
    /// If the store or the key cannot be used.
    pub fn try_load(&self, key: &SessionKey) -> Option<Result<Option<Session>>> {
        let loaded = match self.store.try_load(key)? {
            Ok(loaded) => loaded,
            Err(error) => return Some(Err(error.into())),
        };
        let Some(record) = &loaded.record else { return Some(Ok(None)) };
        if let Err(moved) = check_not_moved(key, record) {
            return Some(Err(moved));
        }
        let time = StoreTime::read_now(loaded.now);
        let id = record::key_id(&record.session.bytes);
        match self.keys.open_value(id, |seal| record::open(seal, key, record, time)) {
            Ok(Some(session)) => Some(Ok(Some(session))),
            Ok(None) => None,
            Err(error) => match self.store.try_load(key) {
                Some(Ok(again)) if again.record.as_ref() == Some(record) => Some(Err(error.into())),
                // The key was replaced after the record was read.
                _ => None,
            },
        }
    }

    /// The sessions of one owner.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, owner: &str) -> Result<Vec<Listed>> {
        Ok(self.waiting(self.store.list(Some(owner))).await?)
    }

    /// [`list`](Self::list) without waiting. `None` if the store cannot answer at once.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn try_list(&self, owner: &str) -> Option<Result<Vec<Listed>>> {
        self.store.try_list(Some(owner)).map(|listed| listed.map_err(Into::into))
    }

    /// Waits for the session's lock for at most `wait`.
    ///
    /// # Errors
    /// [`StoreError::Busy`](crate::store::StoreError::Busy), or if the store cannot be used.
    pub async fn lock(&self, key: &SessionKey, wait: Duration) -> Result<LockedSession> {
        let locked = self.store.lock(key, wait).await?;
        Ok(LockedSession { sessions: self.clone(), key: key.clone(), seal: None, locked, has_mark: false })
    }

    /// Waits for the session's lock for as long as the store advises. Sends a notice after a second, which says whether
    /// another process or the store is waited for.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after [`SessionStore::lock_wait`], or if the store cannot be used.
    pub(super) async fn wait_for_lock(&self, key: &SessionKey) -> Result<LockedSession> {
        match self.waiting(self.lock(key, Duration::ZERO)).await {
            Err(SessionError::Store(StoreError::Busy { .. })) => {
                let locked = self.lock(key, self.store.lock_wait());
                noticed(&self.notice, locked, || Notice::WaitingForOtherProcess).await
            }
            locked => locked,
        }
    }

    /// Checks that the store can be used and is undamaged. May read all of it.
    ///
    /// # Errors
    /// If it cannot be used.
    pub async fn check(&self) -> Result<()> {
        Ok(self.waiting(self.store.check()).await?)
    }

    /// Checks that the key opens the stored sessions, at most a hundred of them.
    ///
    /// # Errors
    /// If the key is missing or does not open a session.
    pub async fn check_readable(&self) -> Result<()> {
        let afresh = Self { keys: self.keys.afresh(), ..self.clone() };
        afresh.check_key().await?;
        let listed = self.waiting(self.store.list(None)).await?;
        let listed = listed.into_iter().filter(|listed| listed.moved_to.is_none());
        for listed in listed.take(100) {
            afresh.load(&listed.key).await?;
        }
        Ok(())
    }

    /// Checks that the key can be opened, if there is one.
    pub(crate) async fn check_key(&self) -> Result<()> {
        let keys = self.keys.clone();
        off_thread(move || Ok(keys.check()?)).await
    }

    /// Checks that a session could be saved. Creates the store and the key if necessary.
    ///
    /// # Errors
    /// If the store or the key cannot be written.
    pub async fn check_writable(&self) -> Result<()> {
        self.waiting(self.store.check_writable()).await?;
        let (keys, active) = (self.keys.clone(), self.store.active_key().await?);
        off_thread(move || Ok(keys.check_writable(active.as_deref())?)).await
    }

    /// The seal for new values, with the active key. If none is active, the key that `seal` chooses becomes active.
    pub(super) async fn seal_with(&self, seal: SealFn) -> Result<HeldSeal> {
        let active = self.store.active_key().await?;
        let is_first = active.is_none();
        let keys = self.keys.clone();
        let held = off_thread(move || Ok(seal(&keys, active.as_deref())?)).await?;
        if is_first
            && let Some(id) = self.store.activate_key(held.seal.id(), true).await?
            && id != held.seal.id()
        {
            // Another machine was first.
            let keys = self.keys.clone();
            return off_thread(move || Ok(keys.seal(Some(&id))?)).await;
        }
        Ok(held)
    }

    /// Opens a record that was loaded.
    async fn opened<T: Send + 'static>(
        &self,
        key: &SessionKey,
        mut loaded: Loaded,
        open: fn(&Seal, &SessionKey, &Record, StoreTime) -> Option<T>,
    ) -> Result<(StoreTime, Option<T>)> {
        loop {
            let time = StoreTime::read_now(loaded.now);
            let Some(record) = loaded.record else { return Ok((time, None)) };
            check_not_moved(key, &record)?;
            let id = record::key_id(&record.session.bytes);
            if let Some(session) = self.keys.opened(id).and_then(|seal| open(&seal, key, &record, time)) {
                return Ok((time, Some(session)));
            }
            let (keys, place) = (self.keys.clone(), key.clone());
            let open = move || {
                let id = record::key_id(&record.session.bytes);
                let opened = keys.open_value(id, |seal| open(seal, &place, &record, time));
                Ok((record, opened))
            };
            let (record, opened) = off_thread(open).await?;
            if let Ok(Some(session)) = opened {
                return Ok((time, Some(session)));
            }
            // The key may have been replaced after the record was read.
            loaded = self.store.load(key).await?;
            if loaded.record.as_ref() == Some(&record) {
                opened?;
                // Damage or a newer version explains it better.
                self.store.check().await?;
                return Err(self.does_not_open());
            }
        }
    }

    /// These sessions, opened with the key in whatever backend it is.
    pub(super) fn of_any_backend(&self) -> Self {
        Self { keys: self.keys.of_any_backend(), ..self.clone() }
    }

    pub(super) fn does_not_open(&self) -> SessionError {
        SessionError::DoesNotOpen { store: self.store.name(), key: self.keys.origin() }
    }
}

/// Refuses a session that was moved to another store.
fn check_not_moved(key: &SessionKey, record: &Record) -> Result<()> {
    match &record.moved_to {
        Some(to) => Err(SessionError::Moved {
            provider: key.provider.clone(),
            to: to.clone(),
            is_finished: record::is_finished(&record.session.bytes),
        }),
        None => Ok(()),
    }
}

/// A locked session. Only its holder can read the refresh token and change the session. Dropping it releases the lock.
pub struct LockedSession {
    sessions: SealedSessions,
    key: SessionKey,
    /// The seal, once something is to be saved. The key is not moved until then.
    seal: Option<Arc<HeldSeal>>,
    locked: Box<dyn LockedRecord>,
    /// Whether there is only the mark of a finished move, which a commit replaces.
    has_mark: bool,
}

/// The result of [`LockedSession::load`].
#[derive(Debug)]
pub struct LockedLoad {
    /// The store's time.
    pub time: StoreTime,
    /// The generation, or 0 if nothing is stored.
    pub generation: i64,
    /// The session, if there is one, or why it cannot be opened.
    pub session: Result<Option<StoredSession>>,
}

impl LockedSession {
    /// The records of the store, for a move to another one.
    pub(super) fn records(&mut self) -> &mut dyn LockedRecord {
        &mut *self.locked
    }

    /// The session with its secrets.
    ///
    /// # Errors
    /// If the store cannot be read, or the session was moved to another one.
    pub async fn load(&mut self) -> Result<LockedLoad> {
        let loaded = self.locked.load().await?;
        self.has_mark = false;
        loaded.record.as_ref().map_or(Ok(()), |record| check_not_moved(&self.key, record))?;
        self.open(loaded).await
    }

    /// [`load`](Self::load) for a sign-in, which replaces the session. The mark of a finished move counts as no session.
    ///
    /// # Errors
    /// If the store cannot be read, or the move to another store is not finished.
    pub async fn load_to_replace(&mut self) -> Result<LockedLoad> {
        let mut loaded = self.locked.load().await?;
        let moved = loaded.record.as_ref().map_or(Ok(()), |record| check_not_moved(&self.key, record));
        self.has_mark = matches!(moved, Err(SessionError::Moved { is_finished: true, .. }));
        if !self.has_mark {
            moved?;
            return self.open(loaded).await;
        }
        let generation = loaded.record.take().map_or(0, |record| record.session.generation);
        Ok(LockedLoad { time: StoreTime::read_now(loaded.now), generation, session: Ok(None) })
    }

    async fn open(&mut self, loaded: Loaded) -> Result<LockedLoad> {
        let time = StoreTime::read_now(loaded.now);
        let generation = loaded.record.as_ref().map_or(0, |record| record.session.generation);
        let session = self.sessions.opened(&self.key, loaded, record::open_locked).await.map(|(_, session)| session);
        Ok(LockedLoad { time, generation, session })
    }

    /// Reserves what a commit needs: the key, which is created if there is none, and the disk space.
    ///
    /// # Errors
    /// If the key cannot be used or there is not enough space.
    pub async fn reserve(&mut self) -> Result<()> {
        self.hold_seal(Keystore::seal_or_create).await?;
        Ok(self.locked.reserve().await?)
    }

    /// Records that the session's refresh token is about to be sent, and holds the key for its successor.
    ///
    /// # Errors
    /// If the store or the key cannot be used. Then the token must not be sent.
    pub async fn begin_refresh(&mut self, session: &mut Session) -> Result<()> {
        self.hold_seal(Keystore::seal).await?;
        self.locked.begin_refresh(session.generation, session.now()).await?;
        session.attempts += 1;
        Ok(())
    }

    /// Saves a session in place of the generation `expected`, or of none (0).
    ///
    /// # Errors
    /// If it could not be saved.
    pub async fn commit(&mut self, expected: i64, stored: &StoredSession) -> Result<()> {
        let held = self.hold_seal(Keystore::seal_or_create).await?;
        let session = record::seal(&held.seal, &self.key, stored)?;
        if self.has_mark {
            // A commit keeps the mark.
            let record = Record { session, attempts: 0, refreshing_since: None, ended_at: None, moved_to: None };
            return Ok(self.locked.replace(expected, &record).await?);
        }
        Ok(self.locked.commit(expected, &session).await?)
    }

    /// Saves that a refresh failed. If `failed` is `None`, nothing was sent.
    ///
    /// # Errors
    /// If it could not be saved.
    pub async fn fail(&mut self, stored: &StoredSession, refreshing_since: Option<i64>) -> Result<()> {
        let bytes = match stored.session.failed {
            Some(_) => Some(self.resealed(stored).await?),
            None => None,
        };
        Ok(self.locked.fail(stored.session.generation, bytes, refreshing_since).await?)
    }

    /// Saves a session without a new generation.
    ///
    /// # Errors
    /// If it could not be saved.
    pub async fn amend(&mut self, stored: &StoredSession) -> Result<()> {
        let bytes = self.resealed(stored).await?;
        Ok(self.locked.amend(stored.session.generation, bytes).await?)
    }

    /// Saves that the authorization server ended the session. It is not deleted, so that no process sends the token
    /// again.
    ///
    /// # Errors
    /// If it could not be saved.
    pub async fn end(&mut self, generation: i64, ended_at: i64, cut_off: Option<i64>) -> Result<()> {
        Ok(self.locked.end(generation, ended_at, cut_off).await?)
    }

    /// Deletes the session. If the store is empty then, its key is removed from a plain file, so that an old copy of
    /// the store stays sealed for good.
    ///
    /// # Errors
    /// If it could not be deleted. A key that could not be removed is no error; it seals the next session.
    pub async fn delete(&mut self) -> Result<()> {
        self.locked.delete().await?;
        self.seal = None;
        let _ = self.sessions.remove_unused_key().await;
        Ok(())
    }

    async fn resealed(&mut self, stored: &StoredSession) -> Result<Vec<u8>> {
        let held = self.hold_seal(Keystore::seal).await?;
        Ok(record::seal(&held.seal, &self.key, stored)?.bytes)
    }

    /// The seal, which is held until this is dropped.
    async fn hold_seal(&mut self, seal: SealFn) -> Result<Arc<HeldSeal>> {
        if let Some(held) = &self.seal {
            return Ok(held.clone());
        }
        let held = Arc::new(self.sessions.seal_with(seal).await?);
        self.seal = Some(held.clone());
        Ok(held)
    }
}

impl Drop for LockedSession {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current()
            && let Some(release) = self.locked.release()
        {
            let pending = self.sessions.pending.track_save();
            runtime.spawn(async move {
                release.await;
                drop(pending);
            });
        }
    }
}

/// Runs blocking work on another thread.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| SessionError::Abandoned("work with the key"))?
}
