//! The library's entry point: a client of one provider.

use std::sync::Arc;

use error::Result;

use crate::api::spelling::Spellings;
use crate::api::{ApiError, RetryPolicy};
use crate::http::Http;
use crate::provider::{Grant, ProviderConfig};
use crate::session::{
    CommandSource, Freshness, NoticeFn, OtherSession, PendingSaves, RefreshTokenSource, Refresher, SealedSessions,
    Session, SessionKey, TokenSource, Turns, WithoutUserSource,
};

mod account_name;
mod amend;
mod ask;
mod assertion_from;
mod device;
mod error;
#[cfg(feature = "sqlite")]
mod folders;
mod models;
mod pending;
mod reach;
mod registration;
mod sign_in;
mod sign_out;
mod tries;
mod without_user;

pub use error::Error;
#[cfg(feature = "sqlite")]
pub use folders::Folders;
pub use reach::Reached;
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
    spellings: Arc<Spellings>,
    /// The owner that the empty text stands for.
    default_owner: Arc<str>,
    /// The session with another provider that assertions come from.
    other: Option<Arc<dyn OtherSession>>,
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
        let http = Arc::new(Http::default().for_provider(&provider));
        let provider = Arc::new(provider);
        let source = token_source(&http, &provider, None);
        let pending_saves = PendingSaves::default();
        let sessions = sessions.reporting_waits(notice.clone()).tracked_by(pending_saves.clone());
        let refresher = Refresher { sessions, source, provider, notice, pending_saves, turns: Turns::default() };
        let (retry_policy, spellings) = (RetryPolicy::default(), Arc::default());
        Self { refresher, http, clock, retry_policy, spellings, default_owner: Arc::default(), other: None }
    }

    /// Sends requests with this HTTP client instead of one with the defaults.
    #[doc(hidden)]
    #[must_use]
    pub fn with_http(mut self, http: Http) -> Self {
        self.http = Arc::new(http.for_provider(self.provider()));
        self.renew_source();
        self
    }

    fn renew_source(&mut self) {
        self.refresher.source = token_source(&self.http, &self.refresher.provider, self.other.clone());
    }

    /// Shares the count of pending saves with other clients.
    #[doc(hidden)]
    #[must_use]
    pub fn with_pending_saves(mut self, pending_saves: PendingSaves) -> Self {
        self.refresher.sessions = self.refresher.sessions.tracked_by(pending_saves.clone());
        self.refresher.pending_saves = pending_saves;
        self
    }

    /// The owner that the empty text stands for, for a program with a single owner.
    #[must_use]
    pub fn with_default_owner(self, owner: &str) -> Self {
        Self { default_owner: owner.into(), ..self }
    }

    /// Whether this client can renew the session without its owner, such as with a refresh token.
    pub fn can_renew(&self, session: &Session) -> bool {
        session.ended_at.is_none() && self.refresher.source.can_renew(session)
    }

    /// The HTTP client.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// The provider.
    pub fn provider(&self) -> &ProviderConfig {
        &self.refresher.provider
    }

    /// A session whose access token is valid for a request that is sent now. It is refreshed if necessary.
    ///
    /// # Errors
    /// [`Error::Session`]; its [class](crate::ErrorInfo::class) says whether to sign in, to try again later, or to
    /// change the configuration.
    pub async fn get_valid(&self, owner: &str) -> Result<Session> {
        let loaded = self.load(owner).await?;
        self.ensure_fresh(owner, Freshness::Request, loaded).await
    }

    /// A session that was refreshed since this call began, by this process or another.
    ///
    /// # Errors
    /// Those of [`get_valid`](Self::get_valid).
    pub async fn refresh(&self, owner: &str) -> Result<Session> {
        // Not `get_valid`: it would refresh an expired token, and that one would be refreshed again.
        let loaded = self.load(owner).await?;
        self.ensure_fresh(owner, Freshness::Requested(loaded.generation), loaded).await
    }

    /// The stored session. Does not use the network.
    ///
    /// # Errors
    /// [`Error::Session`] if there is none, if it has ended, if it belongs to another client or server, or if the store
    /// cannot be read.
    pub async fn load(&self, owner: &str) -> Result<Session> {
        Ok(self.refresher.load(&self.key(owner)).await?)
    }

    /// [`load`](Self::load) without waiting. `None` if the store cannot answer at once. May block on disk reads.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn try_load(&self, owner: &str) -> Option<Result<Session>> {
        Some(self.refresher.try_load(&self.key(owner))?.map_err(Error::from))
    }

    /// The stored session in any state, if there is one. Does not use the network.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn find(&self, owner: &str) -> Result<Option<Session>> {
        Ok(self.refresher.find(&self.key(owner)).await?)
    }

    /// [`find`](Self::find) without waiting. `None` if the store cannot answer at once. May block on disk reads.
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
        let listed = self.refresher.sessions.list(&self.key(owner).owner).await?;
        Ok(listed.into_iter().map(|listed| listed.key.provider).collect())
    }

    /// A session whose access token is fresh enough, from one that was loaded before.
    ///
    /// # Errors
    /// Those of [`get_valid`](Self::get_valid).
    pub async fn ensure_fresh(&self, owner: &str, freshness: Freshness, loaded: Session) -> Result<Session> {
        Ok(self.refresher.ensure_fresh(&self.key(owner), freshness, loaded).await?)
    }

    /// Checks what is stored, without a change: the store, and that the key opens if there is one.
    ///
    /// # Errors
    /// A store or a key that cannot be read or is damaged.
    #[doc(hidden)]
    pub async fn check(&self) -> Result<()> {
        let sessions = &self.refresher.sessions;
        sessions.check().await?;
        Ok(sessions.check_key().await?)
    }

    /// Checks that a session could be saved. Call it before a sign-in.
    ///
    /// # Errors
    /// A store or a key that cannot be written, or a damaged store.
    pub async fn check_writable(&self) -> Result<()> {
        let sessions = &self.refresher.sessions;
        sessions.check().await?;
        Ok(sessions.check_writable().await?)
    }

    /// A session for a request that is sent now, from one that was loaded before.
    pub(crate) async fn fresh_for_request(&self, owner: &str, loaded: Session) -> Result<Session> {
        if loaded.is_fresh(Freshness::Request, loaded.now()) {
            self.refresh_ahead(owner, &loaded);
            return Ok(loaded);
        }
        self.ensure_fresh(owner, Freshness::Request, loaded).await
    }

    /// Refreshes a token that expires soon, in the background. Errors are ignored;
    /// [`wait_for_saves`](Self::wait_for_saves) waits for it.
    fn refresh_ahead(&self, owner: &str, loaded: &Session) {
        if !self.can_renew(loaded) || loaded.is_fresh(Freshness::Proactive, loaded.now()) {
            return;
        }
        let (refresher, key) = (self.refresher.clone(), self.key(owner));
        let pending = refresher.pending_saves.track_save();
        tokio::spawn(async move {
            if let Ok(loaded) = refresher.load(&key).await {
                let _ = refresher.ensure_fresh(&key, Freshness::Proactive, loaded).await;
            }
            drop(pending);
        });
    }

    /// The session for another try after the API rejected this one's token. It is refreshed unless another call has
    /// done that meanwhile.
    async fn after_rejection(&self, owner: &str, session: Session, rejection: ApiError) -> Result<Session> {
        if !self.can_renew(&session) {
            // The owner may have signed in again meanwhile.
            let now = self.load(owner).await?;
            return if now.generation == session.generation {
                Err(self.fresh_token_rejected(rejection))
            } else {
                Ok(now)
            };
        }
        self.ensure_fresh(owner, Freshness::NotGeneration(session.generation), session).await
    }

    /// The error if the API rejected a fresh token.
    fn fresh_token_rejected(&self, error: ApiError) -> Error {
        match error {
            ApiError::Refused(refusal) if refusal.is_unauthorized() => {
                ApiError::TokenRejected { provider: self.provider().name.clone(), refusal }.into()
            }
            other => other.into(),
        }
    }

    /// Waits until all requested tokens are saved. Await this before the runtime is dropped, or new tokens may be lost.
    pub async fn wait_for_saves(&self) {
        self.refresher.pending_saves.wait_for_saves().await;
    }

    /// The key of an owner's session with this provider.
    pub fn key(&self, owner: &str) -> SessionKey {
        let owner = if owner.is_empty() { &self.default_owner } else { owner };
        SessionKey { provider: self.provider().name.clone(), owner: owner.to_owned() }
    }
}

/// The source of new tokens that the provider's configuration asks for.
fn token_source(
    http: &Arc<Http>,
    provider: &Arc<ProviderConfig>,
    other: Option<Arc<dyn OtherSession>>,
) -> Arc<dyn TokenSource> {
    let provider = provider.clone();
    match &provider.grant {
        Grant::AuthorizationCode => Arc::new(RefreshTokenSource { http: http.clone(), provider }),
        Grant::Command(command) => {
            let command = command.clone();
            Arc::new(CommandSource { provider, command })
        }
        Grant::ClientCredentials | Grant::JwtBearer(_) | Grant::TokenExchange(_) => {
            Arc::new(WithoutUserSource { http: http.clone(), provider, other })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Question;

    fn is_send<T: Send>(_: T) {}

    /// Compiled, not run: a web framework takes no handler whose future is not `Send`.
    #[expect(dead_code, reason = "that it compiles is the test")]
    fn a_handler_may_await_all_of_it(client: &Client, owner: &str, question: &Question, loaded: fn() -> Session) {
        is_send(async move { client.chat(owner, question).await });
        is_send(async move { client.ask(owner, loaded(), question).await });
        is_send(async move { client.models(owner, loaded()).await });
        is_send(async move { client.get_valid(owner).await });
        is_send(async move { client.refresh(owner).await });
        is_send(async move { client.exchange_code(owner, client.authorization_url().await?, "").await });
        is_send(async move { client.sign_out(owner).await });
        is_send(async move { client.redeem_device(owner, client.authorize_device().await?).await });
        is_send(client.wait_for_saves());
    }
}
