//! The library's entry point: a client of one provider, which joins sessions with the API.

use std::sync::Arc;

use error::Result;

use crate::api::{ApiError, RetryPolicy};
use crate::http::Http;
use crate::provider::ProviderConfig;
use crate::session::{
    Freshness, NoticeFn, PendingSaves, RefreshTokenSource, Refresher, SealedSessions, Session, SessionKey,
};

mod ask;
mod error;
#[cfg(feature = "sqlite")]
mod folders;
mod models;
mod pending;
mod sign_in;
mod sign_out;
mod tries;

pub use error::Error;
#[cfg(feature = "sqlite")]
pub use folders::Folders;
pub use sign_out::{Revocation, SignedOut};

/// A client of one provider: it signs owners in, keeps their sessions alive and asks questions as them. Cheap to clone;
/// clones share everything.
#[derive(Clone)]
pub struct Client {
    refresher: Refresher,
    http: Arc<Http>,
    /// This machine's time, in Unix seconds.
    clock: fn() -> i64,
    retry_policy: RetryPolicy,
}

impl Client {
    /// A client with sessions in any store. `clock` gives Unix seconds, as [`now`](crate::now) does; `notice` is for a
    /// log.
    pub fn with_sessions(
        provider: ProviderConfig,
        sessions: SealedSessions,
        clock: fn() -> i64,
        notice: NoticeFn,
    ) -> Self {
        let (provider, http) = (Arc::new(provider), Arc::new(Http::default()));
        let source = Arc::new(RefreshTokenSource { http: http.clone(), provider: provider.clone() });
        let refresher = Refresher { sessions, source, provider, notice, pending_saves: PendingSaves::default() };
        Self { refresher, http, clock, retry_policy: RetryPolicy::default() }
    }

    /// Sends requests with this HTTP client instead of one with the defaults.
    #[doc(hidden)]
    #[must_use]
    pub fn with_http(mut self, http: Http) -> Self {
        self.http = Arc::new(http);
        let provider = self.refresher.provider.clone();
        self.refresher.source = Arc::new(RefreshTokenSource { http: self.http.clone(), provider });
        self
    }

    /// Counts what is being saved here, so that one wait is enough for several clients.
    #[doc(hidden)]
    #[must_use]
    pub fn with_pending_saves(mut self, pending_saves: PendingSaves) -> Self {
        self.refresher.pending_saves = pending_saves;
        self
    }

    /// The provider.
    pub fn provider(&self) -> &ProviderConfig {
        &self.refresher.provider
    }

    /// A session whose access token is good for a request that is about to be sent, refreshed first if need be.
    ///
    /// # Errors
    /// [`Error::Session`]; its [class](crate::ErrorInfo::class) says whether to sign in, to try again later, or to change
    /// the configuration.
    pub async fn get_valid(&self, owner: &str) -> Result<Session> {
        let seen = self.load(owner).await?;
        self.ensure_fresh(owner, Freshness::Request, seen).await
    }

    /// A session that has been refreshed, by this call or by another since.
    ///
    /// # Errors
    /// Those of [`get_valid`](Self::get_valid).
    pub async fn refresh(&self, owner: &str) -> Result<Session> {
        // Not `get_valid`: it would refresh an expired token, and that one would be refreshed again.
        let seen = self.load(owner).await?;
        self.ensure_fresh(owner, Freshness::NotGeneration(seen.generation), seen).await
    }

    /// The stored session, without the network.
    ///
    /// # Errors
    /// Not signed in, ended, bound elsewhere, or a store that cannot be read.
    pub async fn load(&self, owner: &str) -> Result<Session> {
        Ok(self.refresher.load(&self.key(owner)).await?)
    }

    /// Like [`load`](Self::load), if the store can answer at once. It reads the disk, so it may block for a moment.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn try_load(&self, owner: &str) -> Option<Result<Session>> {
        Some(self.refresher.try_load(&self.key(owner))?.map_err(Error::from))
    }

    /// The stored session whatever its state, without the network; none if there is none.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn find(&self, owner: &str) -> Result<Option<Session>> {
        Ok(self.refresher.sessions.load(&self.key(owner)).await?)
    }

    /// Like [`find`](Self::find), if the store can answer at once. It reads the disk, so it may block for a moment.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn try_find(&self, owner: &str) -> Option<Result<Option<Session>>> {
        Some(self.refresher.sessions.try_load(&self.key(owner))?.map_err(Error::from))
    }

    /// The providers that this owner is signed in to, in this store.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn providers(&self, owner: &str) -> Result<Vec<String>> {
        let listed = self.refresher.sessions.list(owner).await?;
        Ok(listed.into_iter().map(|listed| listed.key.provider).collect())
    }

    /// A session whose access token is fresh enough, from one that was loaded before.
    ///
    /// # Errors
    /// Those of [`get_valid`](Self::get_valid).
    pub async fn ensure_fresh(&self, owner: &str, freshness: Freshness, seen: Session) -> Result<Session> {
        Ok(self.refresher.ensure_fresh(&self.key(owner), freshness, seen).await?)
    }

    /// Makes sure that a session could be saved. Call it before a user is sent to sign in.
    ///
    /// # Errors
    /// A store or a key that cannot be written, or a damaged store.
    pub async fn check_writable(&self) -> Result<()> {
        let sessions = &self.refresher.sessions;
        sessions.store().check().await?;
        Ok(sessions.check_writable().await?)
    }

    // Two steps instead of one function that takes the work: a future that holds a caller's async closure is not
    // `Send` for every lifetime, and web frameworks require `Send`.

    async fn serving(&self, owner: &str, seen: Session) -> Result<Session> {
        if seen.serves(Freshness::Request, seen.now()) {
            self.renew_ahead(owner, &seen);
            return Ok(seen);
        }
        self.ensure_fresh(owner, Freshness::Request, seen).await
    }

    /// Renews a token that still serves but is near its end, beside the request that uses it. Errors are left for the
    /// request that needs the token; [`wait_for_saves`](Self::wait_for_saves) waits for it.
    fn renew_ahead(&self, owner: &str, seen: &Session) {
        if !seen.refreshable || seen.serves(Freshness::Proactive, seen.now()) {
            return;
        }
        let (refresher, key) = (self.refresher.clone(), self.key(owner));
        let pending = refresher.pending_saves.track_save();
        tokio::spawn(async move {
            if let Ok(seen) = refresher.load(&key).await {
                let _ = refresher.ensure_fresh(&key, Freshness::Proactive, seen).await;
            }
            drop(pending);
        });
    }

    /// The session to try with after the API rejected this one's token: refreshed, unless another call has refreshed
    /// it meanwhile.
    async fn after_rejection(&self, owner: &str, session: Session, rejection: ApiError) -> Result<Session> {
        if !session.refreshable {
            // The owner may have signed in again meanwhile.
            let now = self.load(owner).await?;
            return if now.generation == session.generation { Err(self.rejected_afresh(rejection)) } else { Ok(now) };
        }
        self.ensure_fresh(owner, Freshness::NotGeneration(session.generation), session).await
    }

    /// The error if there is no fresher token than the one that was rejected.
    fn rejected_afresh(&self, error: ApiError) -> Error {
        match error {
            ApiError::Refused(refusal) if refusal.is_unauthorized() => {
                ApiError::TokenRejected { provider: self.provider().name.clone(), refusal }.into()
            }
            other => other.into(),
        }
    }

    /// Waits until no token is requested or saved. Await this before the runtime is dropped: the new tokens exist
    /// nowhere else until they are saved.
    pub async fn wait_for_saves(&self) {
        self.refresher.pending_saves.wait_for_saves().await;
    }

    /// The key of an owner's session with this provider.
    pub fn key(&self, owner: &str) -> SessionKey {
        SessionKey { provider: self.provider().name.clone(), owner: owner.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Question;

    fn is_send<T: Send>(_: T) {}

    /// Compiled, not run: a web framework takes no handler whose future is not `Send`.
    #[expect(dead_code, reason = "that it compiles is the test")]
    fn a_handler_may_await_all_of_it(client: &Client, owner: &str, question: &Question, seen: fn() -> Session) {
        is_send(async move { client.chat(owner, question).await });
        is_send(async move { client.ask(owner, seen(), question).await });
        is_send(async move { client.models(owner, seen()).await });
        is_send(async move { client.get_valid(owner).await });
        is_send(async move { client.refresh(owner).await });
        is_send(async move { client.exchange_code(owner, client.authorization_url()?, "").await });
        is_send(async move { client.sign_out(owner).await });
        is_send(client.wait_for_saves());
    }
}
