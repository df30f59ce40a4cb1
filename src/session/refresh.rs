//! The refresh algorithm: load, lock, load again.
//!
//! If the loaded token is fresh enough, it is used without a lock or a write. Otherwise the session is locked and
//! loaded again, because another process may have refreshed it. Only then is the refresh token readable. Before it is
//! sent, the refresh in flight is committed, which proves that the store is writable. After the response, the new
//! tokens are saved first. Only an `invalid_grant` of the server ends a session.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::error::{SessionError, SharedError};
use super::failed_refresh::{FailedRefresh, UnusableResponse};
use super::freshness::Freshness;
use super::notice::{Notice, NoticeFn};
use super::pending_saves::PendingSaves;
use super::sealed::{LockedLoad, LockedSession, SealedSessions};
use super::source::{CredentialState, SourceError, TokenSource};
use super::stored::{Session, SessionBinding, StoreTime, StoredSession};
use super::turns::Turns;
use crate::oauth::TokenFailure;
use crate::provider::ProviderConfig;
use crate::store::{Listed, SessionKey, StoreError};

type Result<T> = std::result::Result<T, SessionError>;

/// How often a save of new tokens is tried, and the pause between two tries.
const SAVES: u32 = 5;
/// How long a save of new tokens is tried while the store is unavailable, such as while its server is restarted.
const UNAVAILABLE_STORE: Duration = Duration::from_secs(60);
const SAVE_PAUSE: Duration = Duration::from_millis(200);

/// How often a refresh starts over because its lock was lost before the token was sent.
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
    /// Receives notices.
    pub notice: NoticeFn,
    /// Counts the tokens that are requested and not saved yet.
    pub pending_saves: PendingSaves,
    /// The tasks that want to refresh a session.
    pub turns: Turns,
}

impl Refresher {
    /// The stored session, whatever its state.
    ///
    /// # Errors
    /// If the store or the key cannot be used.
    pub(crate) async fn find(&self, key: &SessionKey) -> Result<Option<Session>> {
        self.sessions.load(key).await
    }

    /// The stored session, if it is usable: not ended, and bound to the configured client and servers. If no user is
    /// needed, a session without a token stands for none.
    ///
    /// # Errors
    /// Why there is no usable session.
    pub(crate) async fn load(&self, key: &SessionKey) -> Result<Session> {
        match self.current(self.find(key).await?) {
            Some(session) => self.usable(session),
            None => Err(self.not_signed_in(self.sessions.list(&key.owner).await.unwrap_or_default())),
        }
    }

    /// [`load`](Self::load) without waiting. `None` if the store cannot answer at once. May block on disk reads.
    ///
    /// # Errors
    /// Why there is no usable session.
    pub(crate) fn try_load(&self, key: &SessionKey) -> Option<Result<Session>> {
        Some(match self.sessions.try_load(key)?.map(|stored| self.current(stored)) {
            Ok(Some(session)) => self.usable(session),
            Ok(None) => Err(self.not_signed_in(self.sessions.try_list(&key.owner)?.unwrap_or_default())),
            Err(error) => Err(error),
        })
    }

    /// A session whose access token is fresh enough, or as fresh as the server issues them. `loaded` is the session as
    /// it was loaded before; it is refreshed if necessary.
    ///
    /// The refresh runs in its own task, so dropping this future loses no token.
    ///
    /// # Errors
    /// Why there is no usable session, or why it could not be refreshed.
    pub(crate) async fn ensure_fresh(
        &self,
        key: &SessionKey,
        freshness: Freshness,
        loaded: Session,
    ) -> Result<Session> {
        if loaded.is_fresh(freshness, loaded.now()) {
            return Ok(loaded);
        }
        if !self.source.can_renew(&loaded) {
            return self.without_renewal(loaded, freshness);
        }
        let (this, key) = (self.clone(), key.clone());
        let span = tracing::info_span!("refresh", provider = this.provider.name);
        let renewed = async move {
            match this.renew(&key, freshness, &loaded).await {
                // Nothing was sent: that needs the store.
                Err(SessionError::Store(error)) if error.is_unavailable() && this.may_use_old(&loaded, freshness) => {
                    (this.notice)(&Notice::NotWritable { error: error.into() });
                    Ok(loaded)
                }
                renewed => renewed,
            }
        };
        tokio::spawn(renewed.instrument(span)).await.map_err(|_| SessionError::Abandoned("refresh"))?
    }

    /// Waits for the session's lock. Sends a notice after a second, which says whether another process or the store is
    /// waited for.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after [`SessionStore::lock_wait`](crate::store::SessionStore::lock_wait), or if the store
    /// cannot be used.
    pub(crate) async fn lock(&self, key: &SessionKey) -> Result<LockedSession> {
        let begun = Instant::now();
        let locked = self.sessions.wait_for_lock(key).await;
        tracing::debug!(histogram.nexus_lock_wait_seconds = begun.elapsed().as_secs_f64());
        locked
    }

    /// Saves new tokens, with retries for a second, or for a minute if the store is unavailable: they exist nowhere
    /// else.
    ///
    /// # Errors
    /// If they could not be saved.
    pub(crate) async fn save(&self, locked: &mut LockedSession, expected: i64, stored: &StoredSession) -> Result<()> {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            match locked.commit(expected, stored).await {
                Err(SessionError::Store(error)) if error.is_unavailable() && begun.elapsed() < UNAVAILABLE_STORE => {}
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
            let replaced = locked.load_to_replace().await?.generation;
            stored.session.generation = replaced.saturating_add(1);
            saved = self.save(locked, replaced, stored).await;
        }
        saved
    }

    async fn renew(&self, key: &SessionKey, freshness: Freshness, loaded: &Session) -> Result<Session> {
        // Only failures since now, by the store's time, count for this call.
        let since = match self.sessions.load(key).await? {
            Some(session) => session.now(),
            None => self.sessions.now(key).await?,
        };
        let prepared = self.source.prepare().await;
        // Another process or task that refreshes the session already is not waited for if the token is valid.
        let wait = match freshness {
            Freshness::Proactive => Duration::ZERO,
            _ => self.sessions.store().lock_wait(),
        };
        let (_turn, has_waited) = self.turns.turn(key, wait).await?;
        if has_waited
            && let Some(current) = self.current(self.sessions.load(key).await?)
            && self.check_usable(&current).is_ok()
            && is_renewed(&current, freshness, loaded)
        {
            return Ok(current);
        }
        let mut losses = 0;
        loop {
            let locked = match freshness {
                Freshness::Proactive => self.sessions.lock(key, Duration::ZERO).await?,
                _ => self.lock(key).await?,
            };
            match self.renew_locked(locked, freshness, loaded, since, prepared.clone()).await {
                Err(error) if is_lock_lost(&error) && losses < LOST_LOCKS => losses += 1,
                renewed => return renewed,
            }
        }
    }

    async fn renew_locked(
        &self,
        mut locked: LockedSession,
        freshness: Freshness,
        loaded: &Session,
        since: i64,
        prepared: std::result::Result<(), SharedError>,
    ) -> Result<Session> {
        let current = self.load_locked(&mut locked).await?;
        self.check_usable(&current.session)?;
        if is_renewed(&current.session, freshness, loaded) {
            return Ok(current.session);
        }
        let now = current.session.now();
        if let Some(failed) = &current.session.failed {
            // Use the failure of another process: a refresh that was begun or has failed since `loaded`.
            let shared = failed.at >= since && (current.session.attempts != loaded.attempts || loaded.failed.is_none());
            // Many programs that start one after the other must not all ask a failing server.
            let asks_anyway = failed.is_refusal() && matches!(freshness, Freshness::Requested(_));
            let is_paused = match current.session.binding.settings {
                // What was refused is not sent again.
                Some(_) => failed.is_failing_again(now),
                None => failed.is_paused(now),
            };
            if shared || is_paused && !asks_anyway {
                let ago = now.saturating_sub(failed.at).max(1).unsigned_abs();
                let tried = (!shared).then_some(Duration::from_secs(ago));
                let failed = failed.clone();
                return self.fall_back(current.session, freshness, failed, tried);
            }
        }
        let _pending = self.pending_saves.track_save();
        self.refresh(&mut locked, current, freshness, prepared).await
    }

    /// The locked session. If no user is needed, one without a token is saved in place of none and of one that was made
    /// from other settings, so that other processes share the failure if it gets no token.
    async fn load_locked(&self, locked: &mut LockedSession) -> Result<StoredSession> {
        let LockedLoad { time, generation, session } = locked.load().await?;
        let stored = session?;
        let Some(binding) = self.to_begin(stored.as_ref().map(|stored| &stored.session)) else {
            return stored.ok_or_else(|| self.not_signed_in(Vec::new()));
        };
        let empty = StoredSession::without_token(binding, time, generation.saturating_add(1))?;
        self.save(locked, generation, &empty).await?;
        Ok(empty)
    }

    async fn refresh(
        &self,
        locked: &mut LockedSession,
        mut current: StoredSession,
        freshness: Freshness,
        prepared: std::result::Result<(), SharedError>,
    ) -> Result<Session> {
        loop {
            if !self.source.can_renew(&current.session) {
                return self.without_renewal(current.session, freshness);
            }
            let begun_at = current.session.now();
            if let Err(error) = locked.begin_refresh(&mut current.session).await {
                // The refresh token was not sent.
                if self.may_use_old(&current.session, freshness) && !is_lock_lost(&error) {
                    (self.notice)(&Notice::NotWritable { error });
                    return Ok(current.session);
                }
                return Err(error);
            }
            // Before the request: the token's lifetime on the server starts later.
            let issued_at = current.session.now();
            let requested = match prepared.clone() {
                Ok(()) => self.source.next_token(&current).await,
                Err(error) => Err(SourceError::not_sent(error)),
            };
            let error = match requested {
                Ok(token) => {
                    tracing::info!(monotonic_counter.nexus_refreshes = 1_u64);
                    let spent = current.session.generation;
                    let renewed = match freshness {
                        Freshness::AtLeast(_) => current.renewed_for_longer(token, issued_at),
                        _ => current.renewed(token, issued_at),
                    };
                    if let Err(error) = self.save(locked, spent, &renewed).await {
                        // This process can still use it.
                        (self.notice)(&Notice::NotSaved { error });
                    }
                    return Ok(renewed.session);
                }
                Err(error) => error,
            };
            tracing::warn!(monotonic_counter.nexus_refresh_failures = 1_u64);
            let message = match error.credential {
                CredentialState::Invalid(message) if current.session.binding.settings.is_none() => message,
                _ => return self.failed(locked, current, freshness, begun_at, error).await,
            };
            // A process without this lock (a copy of the store, another machine) may have refreshed the session. Then
            // the store has a newer token.
            current = self.newer_or_ended(locked, current, error.failure, message).await?;
            self.check_usable(&current.session)?;
            if current.session.is_valid(current.session.now()) {
                return Ok(current.session);
            }
        }
    }

    /// The session of another generation if the store has one by now. Otherwise ends the session, for the reason in
    /// `message`.
    async fn newer_or_ended(
        &self,
        locked: &mut LockedSession,
        mut stored: StoredSession,
        failure: TokenFailure,
        message: String,
    ) -> Result<StoredSession> {
        let loaded = locked.load().await.and_then(|loaded| loaded.session);
        if let Ok(Some(newer)) = loaded
            && newer.session.generation != stored.session.generation
        {
            return Ok(newer);
        }
        // If an earlier response was never saved or had no usable token, the server may have used up the token for it.
        let (at, cut_off) = (stored.session.now(), stored.session.refreshing_since);
        let unusable = unusable(&stored.session).cloned();
        if unusable.is_some() || !message.is_empty() {
            // This attempt made the earlier failure obsolete.
            stored.session.failed = Some(FailedRefresh {
                failure,
                at,
                reached: true,
                again: false,
                client_refused: None,
                ended: Some(message),
                refused_before: None,
                unusable,
            });
            let _ = locked.amend(&stored).await;
        }
        match locked.end(stored.session.generation, at, cut_off).await {
            Err(error) if is_lock_lost(&error) => Err(error),
            // The session has ended even if that could not be saved.
            _ => Err(self.ended(&stored.session, at)),
        }
    }

    fn ended(&self, session: &Session, at: i64) -> SessionError {
        let provider = self.provider.name.clone();
        let (cut_off, unusable) = (session.refreshing_since, unusable(session).cloned());
        let description = session.failed.as_ref().and_then(|failed| failed.ended.clone()).unwrap_or_default();
        SessionError::Ended { provider, at, cut_off, unusable, description }
    }

    /// Saves that a refresh failed. Returns the old session if it can still be used.
    async fn failed(
        &self,
        locked: &mut LockedSession,
        mut current: StoredSession,
        freshness: Freshness,
        begun_at: i64,
        error: SourceError,
    ) -> Result<Session> {
        let SourceError { credential, failure, mut client_refused } = error;
        let session = &mut current.session;
        if let (Some(place), Some(_)) = (&session.binding.registered, &client_refused) {
            if !failure.temporary {
                // Only a sign-in registers a client anew. If this fails, that one learns that it is not accepted.
                let _ = self.sessions.forget_client(place, &session.binding.client_id).await;
            }
            // No configuration is to be corrected: the session is refused.
            client_refused = None;
        }
        let in_doubt = matches!(credential, CredentialState::Unknown).then_some(begun_at);
        let in_doubt = session.refreshing_since.or(in_doubt);
        let before = session.failed.take();
        let again = before.as_ref().is_some_and(|before| before.is_recent(begun_at));
        // If the server was unreachable, the next process tries again.
        let reached = !matches!(credential, CredentialState::NotReceived | CredentialState::NotSent(_));
        let unusable = matches!(credential, CredentialState::Unusable)
            .then(|| UnusableResponse { at: begun_at, description: failure.description.clone() });
        let failed = FailedRefresh {
            failure,
            at: session.now(),
            reached,
            again: reached && again,
            client_refused,
            ended: None,
            refused_before: before.as_ref().and_then(FailedRefresh::refused_at),
            unusable: unusable.or_else(|| before.as_ref().and_then(|before| before.unusable.clone())),
        };
        // A request that was not sent tells nothing new about the session.
        session.failed = if matches!(credential, CredentialState::NotSent(_)) { before } else { Some(failed.clone()) };
        // If this fails, waiting processes send their own requests.
        let _ = locked.fail(&current, in_doubt).await;
        match credential {
            CredentialState::NotSent(error) if !self.may_use_old(&current.session, freshness) => {
                Err(SessionError::NotSent(error))
            }
            _ => self.fall_back(current.session, freshness, failed, None),
        }
    }

    /// The old session with a notice if its token can still be used. Otherwise the failure. `tried` is how long ago it
    /// happened, if that is worth saying.
    fn fall_back(
        &self,
        session: Session,
        freshness: Freshness,
        failed: FailedRefresh,
        tried: Option<Duration>,
    ) -> Result<Session> {
        if self.may_use_old(&session, freshness) {
            let (host, failure) = (self.source.name(&session.binding), failed.failure);
            if freshness != Freshness::Proactive {
                let left = session.expires_at.map(|at| at.saturating_sub(session.now()));
                let left = left.map(|seconds| Duration::from_secs(seconds.try_into().unwrap_or(0)));
                (self.notice)(&Notice::NotRefreshed { host, failure, left });
            }
            return Ok(session);
        }
        Err(self.no_token(&session.binding, failed, tried))
    }

    fn no_token(&self, binding: &SessionBinding, failed: FailedRefresh, tried: Option<Duration>) -> SessionError {
        let (provider, host) = (self.provider.name.clone(), self.source.name(binding));
        let refused = failed.is_refusal();
        let FailedRefresh { failure, client_refused, .. } = failed;
        match client_refused {
            Some(description) => {
                let client_id = binding.client_id.clone();
                SessionError::ClientRefused { provider, client_id, host, description }
            }
            None if binding.settings.is_some() => {
                let (grant, failure) = (self.provider.grant.as_str(), Box::new(failure));
                SessionError::NotFetched { provider, grant, host, failure, tried }
            }
            None if refused => SessionError::RefreshRefused { provider, host, failure, tried },
            None => SessionError::RefreshFailed { provider, host, failure },
        }
    }

    /// The error if the source returned no first token.
    pub(crate) fn not_fetched(&self, binding: &SessionBinding, error: SourceError) -> SessionError {
        let SourceError { credential, failure, client_refused } = error;
        match credential {
            CredentialState::NotSent(error) => SessionError::NotSent(error),
            _ => self.no_token(binding, FailedRefresh::new(failure, client_refused), None),
        }
    }

    fn without_renewal(&self, session: Session, freshness: Freshness) -> Result<Session> {
        if self.may_use_old(&session, freshness) {
            return Ok(session);
        }
        let now = session.now();
        let expired_at = session.expires_at.unwrap_or(now);
        Err(SessionError::NoRefreshToken { provider: self.provider.name.clone(), expired_at, now })
    }

    /// Whether a token that is not fresh enough may be used.
    fn may_use_old(&self, session: &Session, freshness: Freshness) -> bool {
        session.is_valid(session.now()) && !matches!(freshness, Freshness::NotGeneration(_) | Freshness::Requested(_))
    }

    /// The stored session, or one without a token in its place if one [is to begin](Self::to_begin).
    fn current(&self, stored: Option<Session>) -> Option<Session> {
        match self.to_begin(stored.as_ref()) {
            // It is expired at any time.
            Some(binding) => Some(Session::without_token(binding, StoreTime::read_now(0), 0)),
            None => stored,
        }
    }

    /// The binding of a session that is to begin without a user, in place of none or of one that was made from other
    /// settings. A session that a user signed in to is not replaced.
    pub(crate) fn to_begin(&self, stored: Option<&Session>) -> Option<SessionBinding> {
        let binding = self.source.binding()?;
        let was = stored.map(|session| &session.binding.settings);
        was.is_none_or(|was| was.is_some() && *was != binding.settings).then_some(binding)
    }

    fn usable(&self, session: Session) -> Result<Session> {
        self.check_usable(&session).map(|()| session)
    }

    fn check_usable(&self, session: &Session) -> Result<()> {
        if let Some(at) = session.ended_at {
            return Err(self.ended(session, at));
        }
        session.check_binding(&self.provider)
    }

    fn not_signed_in(&self, others: Vec<Listed>) -> SessionError {
        let others = others.into_iter().filter(Listed::has_token).map(|listed| listed.key.provider).collect();
        SessionError::NotSignedIn { provider: self.provider.name.clone(), others }
    }
}

/// Whether a session is fresh enough. A newer generation is as fresh as the server issues them: otherwise each waiting
/// process would refresh again if the server issues short-lived tokens.
fn is_renewed(current: &Session, freshness: Freshness, loaded: &Session) -> bool {
    let now = current.now();
    current.generation != loaded.generation && current.is_valid(now) || current.is_fresh(freshness, now)
}

/// The last response without a usable token since the last success.
fn unusable(session: &Session) -> Option<&UnusableResponse> {
    session.failed.as_ref()?.unusable.as_ref()
}

/// Whether a write failed because another process got the lock.
fn is_lock_lost(error: &SessionError) -> bool {
    matches!(error, SessionError::Store(StoreError::LockLost | StoreError::Superseded))
}

#[cfg(test)]
mod tests;
