//! The refresh algorithm: look, lock, look again.
//!
//! Load the session; if its token is fresh enough, use it, without a lock or a write. Otherwise lock the session and
//! load it again: a process that waited finds what the others did. Only then is the refresh token readable. Before it
//! is spent, "refresh in flight" is committed, which proves that the store can be written; after it was spent, nothing
//! happens before the save. Only the server's word that the token is no longer good ends a session.

use std::sync::Arc;
use std::time::Duration;

use super::error::SessionError;
use super::failed_refresh::FailedRefresh;
use super::freshness::Freshness;
use super::notice::{Notice, NoticeFn};
use super::pending_saves::PendingSaves;
use super::sealed::{LockedSession, SealedSessions};
use super::source::{Fate, SourceError, TokenSource};
use super::stored::{Session, StoredSession};
use crate::oauth::TokenFailure;
use crate::provider::{self, ProviderConfig};
use crate::store::{SessionKey, StoreError};

type Result<T> = std::result::Result<T, SessionError>;

/// How long to wait for the lock: its holder may use up the limit of a token request, and another process may be
/// ahead in the queue.
const WAIT: Duration = Duration::from_secs(90);

/// How long to wait for another process before a notice says so.
const WAIT_BEFORE_NOTICE: Duration = Duration::from_secs(1);

/// How often a save is tried after a token was spent, and the pause between: the new tokens exist nowhere else.
const SAVES: u32 = 5;
const SAVE_PAUSE: Duration = Duration::from_millis(200);

/// How often a refresh starts over because its lock was lost before the token was spent.
const LOST_LOCKS: u32 = 3;

/// Keeps the sessions of one provider alive. Clones share everything.
#[derive(Clone)]
pub(crate) struct Refresher {
    /// Where sessions are kept.
    pub sessions: SealedSessions,
    /// Where a new token comes from.
    pub source: Arc<dyn TokenSource>,
    /// The provider.
    pub provider: Arc<ProviderConfig>,
    /// Receives notices of waiting and of trouble.
    pub notice: NoticeFn,
    /// The tokens that are requested and not saved yet.
    pub pending_saves: PendingSaves,
}

impl Refresher {
    /// The stored session, if it is usable: not ended, and bound to the configured client and servers.
    ///
    /// # Errors
    /// Why there is no usable session.
    pub(crate) async fn load(&self, key: &SessionKey) -> Result<Session> {
        match self.sessions.load(key).await? {
            Some(session) => self.usable(session),
            None => {
                let others = match &*key.owner {
                    "" => self.sessions.list("").await.unwrap_or_default(),
                    _ => Vec::new(),
                };
                Err(self.not_signed_in(others.into_iter().map(|listed| listed.key.provider).collect()))
            }
        }
    }

    /// Like [`load`](Self::load), if the store can answer at once. May block for a moment.
    ///
    /// # Errors
    /// Why there is no usable session.
    pub(crate) fn try_load(&self, key: &SessionKey) -> Option<Result<Session>> {
        Some(match self.sessions.try_load(key)? {
            Ok(Some(session)) => self.usable(session),
            Ok(None) => {
                let others = match &*key.owner {
                    "" => self.sessions.try_list("")?.unwrap_or_default(),
                    _ => Vec::new(),
                };
                Err(self.not_signed_in(others.into_iter().map(|listed| listed.key.provider).collect()))
            }
            Err(error) => Err(error),
        })
    }

    /// A session whose access token is fresh enough, or as fresh as the server issues them: refreshed once if need be.
    /// `seen` is the session as it was loaded before.
    ///
    /// The refresh runs in its own task, so dropping this future loses no token.
    ///
    /// # Errors
    /// Why there is no usable session, or why it could not be refreshed.
    pub(crate) async fn ensure_fresh(&self, key: &SessionKey, freshness: Freshness, seen: Session) -> Result<Session> {
        if seen.serves(freshness, seen.now()) {
            return Ok(seen);
        }
        if !self.source.can_renew(&seen) {
            return self.without_renewal(seen, freshness);
        }
        let (this, key) = (self.clone(), key.clone());
        let renewed = tokio::spawn(async move { this.renew(&key, freshness, &seen).await });
        renewed.await.map_err(|_| SessionError::Abandoned("refresh"))?
    }

    /// Waits for the session's lock; after a second a notice says so.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after 90 seconds, or if the store cannot be used.
    pub(crate) async fn lock(&self, key: &SessionKey) -> Result<LockedSession> {
        let mut locked = std::pin::pin!(self.sessions.lock(key, WAIT));
        tokio::select! {
            locked = &mut locked => return locked,
            () = tokio::time::sleep(WAIT_BEFORE_NOTICE) => {}
        }
        (self.notice)(&Notice::WaitingForOtherProcess);
        locked.await
    }

    /// Saves tokens that exist nowhere else, and tries again for a second.
    ///
    /// # Errors
    /// If they could not be saved.
    pub(crate) async fn save(&self, locked: &mut LockedSession, spent: i64, stored: &StoredSession) -> Result<()> {
        let mut attempt = 1;
        loop {
            match locked.commit(spent, stored).await {
                Err(error) if attempt < SAVES && !is_lock_lost(&error) => {}
                saved => return saved,
            }
            tokio::time::sleep(SAVE_PAUSE).await;
            attempt += 1;
        }
    }

    /// Saves a new sign-in in place of the generation `replaced`, or of one that another process saved meanwhile.
    ///
    /// # Errors
    /// If it could not be saved.
    pub(crate) async fn save_sign_in(
        &self,
        locked: &mut LockedSession,
        replaced: i64,
        stored: &mut StoredSession,
    ) -> Result<()> {
        let mut saved = self.save(locked, replaced, stored).await;
        for _ in 0..LOST_LOCKS {
            if !matches!(saved, Err(SessionError::Store(StoreError::Superseded))) {
                break;
            }
            let replaced = locked.load().await?.generation;
            stored.session.generation = replaced.saturating_add(1);
            saved = self.save(locked, replaced, stored).await;
        }
        saved
    }

    async fn renew(&self, key: &SessionKey, freshness: Freshness, seen: &Session) -> Result<Session> {
        // A failure from before this call is no answer to it, so what counts is the store's time now.
        let since = match self.sessions.load(key).await? {
            Some(session) => session.now(),
            None => seen.now(),
        };
        let mut losses = 0;
        loop {
            let locked = match freshness {
                // Nothing waits for this: if another process is renewing the session, so much the better.
                Freshness::Proactive => self.sessions.lock(key, Duration::ZERO).await?,
                _ => self.lock(key).await?,
            };
            match self.renew_locked(locked, freshness, seen, since).await {
                Err(error) if is_lock_lost(&error) && losses < LOST_LOCKS => losses += 1,
                renewed => return renewed,
            }
        }
    }

    async fn renew_locked(
        &self,
        mut locked: LockedSession,
        freshness: Freshness,
        seen: &Session,
        since: i64,
    ) -> Result<Session> {
        let current = locked.load().await?.session?.ok_or_else(|| self.not_signed_in(Vec::new()))?;
        self.check_usable(&current.session)?;
        let now = current.session.now();
        // A newer generation is as fresh as the server issues them. Without this, each process that waited would
        // refresh again where a short-lived token is less fresh than it asked for.
        let renewed = current.session.generation != seen.generation && current.session.alive(now);
        if renewed || current.session.serves(freshness, now) {
            return Ok(current.session);
        }
        // Either a refresh was begun since, or the one that was in flight has failed since (`seen` may be old by now),
        // or a second one has failed just now: many programs that start one after the other must not all ask a server
        // in trouble.
        if let Some(failed) = &current.session.failed
            && (failed.at >= since && (current.session.attempts != seen.attempts || seen.failed.is_none())
                || failed.again && failed.is_recent(now))
        {
            let failure = failed.failure.clone();
            return self.fall_back(current.session, freshness, failure);
        }
        let _pending = self.pending_saves.track_save();
        self.refresh(&mut locked, current, freshness).await
    }

    async fn refresh(
        &self,
        locked: &mut LockedSession,
        mut current: StoredSession,
        freshness: Freshness,
    ) -> Result<Session> {
        loop {
            if !self.source.can_renew(&current.session) {
                return self.without_renewal(current.session, freshness);
            }
            let begun_at = current.session.now();
            if let Err(error) = locked.begin_refresh(&mut current.session).await {
                // The token was not spent: while the old one lives, nothing is lost.
                if self.may_use_old(&current.session, freshness) && !is_lock_lost(&error) {
                    (self.notice)(&Notice::NotWritable { error });
                    return Ok(current.session);
                }
                return Err(error);
            }
            // From before the request is sent: the server's clock for the token starts no earlier.
            let issued_at = current.session.now();
            let error = match self.source.next_token(&current).await {
                Ok(token) => {
                    let spent = current.session.generation;
                    let renewed = current.renewed(token, issued_at);
                    if let Err(error) = self.save(locked, spent, &renewed).await {
                        // It can still be used by this process.
                        (self.notice)(&Notice::NotSaved { error });
                    }
                    return Ok(renewed.session);
                }
                Err(error) => error,
            };
            if !matches!(error.fate, Fate::Ended) {
                return self.failed(locked, current, freshness, begun_at, error).await;
            }
            // A process without our lock (a copy of the store, another machine) may have renewed it: then the token in
            // the store is the one that is good now. It takes another such renewal during the next request to get here
            // again.
            current = self.newer_or_ended(locked, current.session).await?;
            self.check_usable(&current.session)?;
            if current.session.alive(current.session.now()) {
                return Ok(current.session);
            }
        }
    }

    /// The session of another generation, if one is in the store by now; otherwise the session has ended.
    async fn newer_or_ended(&self, locked: &mut LockedSession, session: Session) -> Result<StoredSession> {
        let loaded = locked.load().await.and_then(|loaded| loaded.session);
        if let Ok(Some(newer)) = loaded
            && newer.session.generation != session.generation
        {
            return Ok(newer);
        }
        // An earlier answer that was never saved: the token in it is the one that is good now.
        let (at, cut_off) = (session.now(), session.refreshing_since);
        match locked.end(session.generation, at, cut_off).await {
            Err(error) if is_lock_lost(&error) => Err(error),
            // The server's word stands, whether it could be saved or not.
            _ => Err(SessionError::Ended { provider: self.provider.name.clone(), at, cut_off }),
        }
    }

    /// Saves that a refresh failed, and decides what the caller gets.
    async fn failed(
        &self,
        locked: &mut LockedSession,
        mut current: StoredSession,
        freshness: Freshness,
        begun_at: i64,
        error: SourceError,
    ) -> Result<Session> {
        let SourceError { fate, failure, client_refused } = error;
        let session = &mut current.session;
        let in_doubt = matches!(fate, Fate::InDoubt).then_some(begun_at);
        let in_doubt = session.refreshing_since.or(in_doubt);
        let again = session.failed.as_ref().is_some_and(|before| before.is_recent(begun_at));
        // If nothing was there to be asked, the next process may reach it.
        let reached = !matches!(fate, Fate::NotReached | Fate::NotSent(_));
        session.failed = match fate {
            Fate::NotSent(_) => None,
            _ => Some(FailedRefresh { failure: failure.clone(), at: session.now(), reached, again: reached && again }),
        };
        // If it cannot be saved, the processes that wait try for themselves.
        let _ = locked.fail(&current, in_doubt).await;
        let session = current.session;
        if self.may_use_old(&session, freshness) {
            return self.fall_back(session, freshness, failure);
        }
        match (fate, client_refused) {
            (Fate::NotSent(error), _) => Err(SessionError::NotSent(error)),
            (_, Some(description)) => Err(SessionError::ClientRefused {
                provider: self.provider.name.clone(),
                client_id: session.binding.client_id,
                host: provider::host(&session.binding.token_url),
                description,
            }),
            _ => self.fall_back(session, freshness, failure),
        }
    }

    /// The old token while it lives, with a notice; the failure when it does not.
    fn fall_back(&self, session: Session, freshness: Freshness, failure: TokenFailure) -> Result<Session> {
        let host = provider::host(&session.binding.token_url);
        if self.may_use_old(&session, freshness) {
            if freshness != Freshness::Proactive {
                let left = session.expires_at.map(|at| at.saturating_sub(session.now()));
                let left = left.map(|seconds| Duration::from_secs(seconds.try_into().unwrap_or(0)));
                (self.notice)(&Notice::NotRefreshed { host, failure, left });
            }
            return Ok(session);
        }
        Err(SessionError::RefreshFailed { provider: self.provider.name.clone(), host, failure })
    }

    fn without_renewal(&self, session: Session, freshness: Freshness) -> Result<Session> {
        if self.may_use_old(&session, freshness) {
            return Ok(session);
        }
        let now = session.now();
        let expired_at = session.expires_at.unwrap_or(now);
        Err(SessionError::NoRefreshToken { provider: self.provider.name.clone(), expired_at, now })
    }

    /// Whether a token that is not fresh enough is better than none.
    fn may_use_old(&self, session: &Session, freshness: Freshness) -> bool {
        session.alive(session.now()) && !matches!(freshness, Freshness::NotGeneration(_))
    }

    fn usable(&self, session: Session) -> Result<Session> {
        self.check_usable(&session).map(|()| session)
    }

    fn check_usable(&self, session: &Session) -> Result<()> {
        if let Some(at) = session.ended_at {
            let provider = self.provider.name.clone();
            return Err(SessionError::Ended { provider, at, cut_off: session.refreshing_since });
        }
        session.check_binding(&self.provider)
    }

    fn not_signed_in(&self, others: Vec<String>) -> SessionError {
        SessionError::NotSignedIn { provider: self.provider.name.clone(), others }
    }
}

/// Whether a write failed because another process has the lock, or had it and wrote.
fn is_lock_lost(error: &SessionError) -> bool {
    matches!(error, SessionError::Store(StoreError::LockLost | StoreError::Superseded))
}

#[cfg(test)]
mod tests;
