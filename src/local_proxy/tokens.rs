//! The access token of the session, as long as it is good.

use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api;
use crate::client::{Client, Error};
use crate::redact::Redactor;
use crate::session::{Freshness, Session};

/// How long the session is used before it is loaded again, so that a sign-out or another sign-in has an effect.
const RELOAD: Duration = Duration::from_secs(1);

/// How long no token is renewed after the API rejected one that was just renewed.
const PAUSE: Duration = Duration::from_secs(60);

/// A token, ready to be sent.
pub(super) struct Token {
    session: Session,
    loaded: Instant,
    /// The header that carries it.
    pub(super) header: (HeaderName, HeaderValue),
    /// What must not be in a trace.
    pub(super) secrets: Redactor,
}

/// The tokens of one owner. Requests at the same moment share a refresh.
pub(super) struct Tokens {
    client: Client,
    owner: String,
    headers: HeaderMap,
    current: Mutex<Option<Arc<Token>>>,
    /// Until when no token is renewed after a rejection.
    paused_until: SyncMutex<Option<Instant>>,
}

impl Tokens {
    /// `headers` are the provider's, which may contain keys.
    pub(super) fn new(client: Client, owner: String, headers: HeaderMap) -> Self {
        Self { client, owner, headers, current: Mutex::default(), paused_until: SyncMutex::default() }
    }

    /// A token for a request that is sent now.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn current(&self) -> Result<Arc<Token>, Error> {
        let mut current = self.current.lock().await;
        if let Some(token) = &*current
            && token.loaded.elapsed() < RELOAD
            && token.session.is_fresh(Freshness::Request, token.session.now())
        {
            return Ok(token.clone());
        }
        Ok(current.insert(Box::pin(self.load()).await?).clone())
    }

    /// Boxed by its caller: every connection would hold, and every request move, a future of many kilobytes for what
    /// happens once a second.
    async fn load(&self) -> Result<Arc<Token>, Error> {
        let loaded = self.client.load(&self.owner).await?;
        self.token(self.client.fresh_for_request(&self.owner, loaded).await?)
    }

    /// Another token than the one that the API rejected, or `None` if there is no other.
    ///
    /// # Errors
    /// Why it could not be renewed.
    pub(super) async fn after_rejection(&self, rejected: &Token) -> Result<Option<Arc<Token>>, Error> {
        let mut current = self.current.lock().await;
        let generation = rejected.session.generation;
        if let Some(token) = &*current
            && token.session.generation != generation
        {
            return Ok(Some(token.clone()));
        }
        let loaded = self.client.load(&self.owner).await?;
        if loaded.generation == generation && (!self.client.can_renew(&loaded) || self.is_paused()) {
            return Ok(None);
        }
        let session = self.client.ensure_fresh(&self.owner, Freshness::NotGeneration(generation), loaded).await?;
        Ok(Some(current.insert(self.token(session)?).clone()))
    }

    /// Renews no token for a minute, unless the API takes the current one before: it rejects even a fresh one, so it is not
    /// the token that it dislikes.
    pub(super) fn pause(&self) {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }

    /// Renews tokens again: the API took the current one.
    pub(super) fn resume(&self) {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_paused(&self) -> bool {
        self.paused_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    fn token(&self, session: Session) -> Result<Arc<Token>, Error> {
        let headers = self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let secrets = Redactor::new([session.access_token.expose()].into_iter()).with_configured(headers);
        let header = api::credential(self.client.provider(), &session.access_token)?;
        Ok(Arc::new(Token { session, loaded: Instant::now(), header, secrets }))
    }
}
