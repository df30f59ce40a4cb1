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

/// What the requests of this moment share.
#[derive(Default)]
struct Current {
    token: Option<Arc<Token>>,
    /// The last failure to get a token, and when it was.
    failed: Option<(Instant, Error)>,
}

impl Current {
    /// Keeps a token, or why there is none.
    fn keep(&mut self, got: Result<Arc<Token>, Error>) -> Result<Arc<Token>, Error> {
        match &got {
            Ok(token) => self.token = Some(token.clone()),
            Err(error) => self.failed = Some((Instant::now(), error.clone())),
        }
        got
    }

    /// The failure of another request since `asked`. Requests that waited for it would otherwise try one after the
    /// other, and each might take as long.
    fn failed_since(&self, asked: Instant) -> Result<(), Error> {
        match &self.failed {
            Some((at, error)) if *at >= asked => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

/// The tokens of one owner. Requests at the same moment share a refresh, and its failure.
pub(super) struct Tokens {
    client: Client,
    owner: String,
    headers: HeaderMap,
    current: Mutex<Current>,
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
        let asked = Instant::now();
        let mut current = self.current.lock().await;
        if let Some(token) = &current.token
            && token.loaded.elapsed() < RELOAD
            && token.session.is_fresh(Freshness::Request, token.session.now())
        {
            return Ok(token.clone());
        }
        current.failed_since(asked)?;
        current.keep(Box::pin(self.load()).await)
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
        let asked = Instant::now();
        let mut current = self.current.lock().await;
        let generation = rejected.session.generation;
        if let Some(token) = &current.token
            && token.session.generation != generation
        {
            return Ok(Some(token.clone()));
        }
        current.failed_since(asked)?;
        match self.renewed(generation).await.transpose() {
            Some(got) => current.keep(got).map(Some),
            None => Ok(None),
        }
    }

    /// A token of another generation than this, or `None` if there is no other.
    async fn renewed(&self, generation: i64) -> Result<Option<Arc<Token>>, Error> {
        let loaded = self.client.load(&self.owner).await?;
        if loaded.generation == generation && (!self.client.can_renew(&loaded) || self.is_paused()) {
            return Ok(None);
        }
        let session = self.client.ensure_fresh(&self.owner, Freshness::NotGeneration(generation), loaded).await?;
        self.token(session).map(Some)
    }

    /// Renews no token for a minute, unless the API takes the current one before: it rejects even a fresh one, so it is
    /// not the token that it dislikes.
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::provider::ProviderConfig;
    use crate::session::SealedSessions;
    use crate::session::key::Keystore;
    use crate::store::{
        BoxFuture, Listed, Loaded, LockedSession, Page, Replacement, Result, SealedValue, SessionKey, SessionStore,
        StoreError,
    };

    /// A store that answers no question, after ten seconds.
    #[derive(Default)]
    struct Silent {
        loads: AtomicU32,
    }

    impl SessionStore for Silent {
        fn load<'a>(&'a self, _: &'a SessionKey) -> BoxFuture<'a, Result<Loaded>> {
            self.loads.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err(StoreError::Failed(Arc::new(io::Error::other("no answer"))))
            })
        }

        fn list<'a>(&'a self, _: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Listed>>> {
            unreachable!()
        }

        fn lock<'a>(&'a self, _: &'a SessionKey, _: Duration) -> BoxFuture<'a, Result<Box<dyn LockedSession>>> {
            unreachable!()
        }

        fn put_pending<'a>(&'a self, _: &'a str, _: [u8; 32], _: Vec<u8>, _: i64) -> BoxFuture<'a, Result<()>> {
            unreachable!()
        }

        fn take_pending<'a>(&'a self, _: &'a str, _: [u8; 32]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
            unreachable!()
        }

        fn load_client<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
            unreachable!()
        }

        fn save_client<'a>(&'a self, _: &'a str, _: &'a str, _: Vec<u8>) -> BoxFuture<'a, Result<()>> {
            unreachable!()
        }

        fn delete_client<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<()>> {
            unreachable!()
        }

        fn sealed_values<'a>(&'a self, _: Page<'a>) -> BoxFuture<'a, Result<Vec<SealedValue>>> {
            unreachable!()
        }

        fn replace_values(&self, _: Vec<Replacement>) -> BoxFuture<'_, Result<usize>> {
            unreachable!()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_wait_for_one_that_fails_share_its_failure() {
        let store = Arc::new(Silent::default());
        let sessions = SealedSessions::new(store.clone(), Keystore::new(Path::new(""), Path::new("")));
        let client = Client::with_sessions(ProviderConfig::named("work"), sessions, crate::time::now, Arc::new(|_| {}));
        let tokens = Tokens::new(client, "ada".into(), HeaderMap::new());
        let [one, two, three] = [tokens.current(), tokens.current(), tokens.current()];
        let (one, two, three) = tokio::join!(one, two, three);
        for failed in [one, two, three] {
            assert!(failed.is_err_and(|error| error.to_string().contains("no answer")));
        }
        assert_eq!(store.loads.load(Ordering::Relaxed), 1);
        // A later request tries again.
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(tokens.current().await.is_err());
        assert_eq!(store.loads.load(Ordering::Relaxed), 2);
    }
}
