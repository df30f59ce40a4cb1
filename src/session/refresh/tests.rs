use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Map;
use tempfile::TempDir;

use super::*;
use crate::http::HttpError;
use crate::oauth::{TokenFailure, TokenResponse};
use crate::secret::{AccessToken, RefreshToken};
use crate::session::key::Keystore;
use crate::session::stored::tests::session;
use crate::store::{BoxFuture, MemoryStore};

type Answer = Box<dyn FnOnce() -> std::result::Result<TokenResponse, SourceError> + Send>;

/// Answers one request after the other.
#[derive(Default)]
struct Script(Mutex<VecDeque<Answer>>);

impl TokenSource for Script {
    fn can_renew(&self, session: &Session) -> bool {
        session.refreshable
    }

    fn next_token<'a>(
        &'a self,
        _: &'a StoredSession,
    ) -> BoxFuture<'a, std::result::Result<TokenResponse, SourceError>> {
        let answer = self.0.lock().unwrap().pop_front().expect("a request that the script does not have");
        Box::pin(async move { answer() })
    }
}

fn tokens(name: &str) -> TokenResponse {
    TokenResponse {
        access_token: AccessToken::new(format!("access {name}")),
        refresh_token: Some(RefreshToken::new(format!("refresh {name}"))),
        token_type: "Bearer".into(),
        lifetime: Some(3_600),
        scopes: None,
        metadata: Map::new(),
        dated: None,
        client_auth: None,
        id_token: None,
    }
}

fn refusal(credential: CredentialState) -> SourceError {
    let failure = TokenFailure {
        description: "said no".into(),
        temporary: true,
        status: Some(400),
        invalid_target: false,
        retry_after: None,
    };
    SourceError { credential, failure, client_refused: None }
}

/// A refusal that is not temporary.
fn lasting_refusal() -> SourceError {
    let refusal = refusal(CredentialState::Valid);
    SourceError { failure: TokenFailure { temporary: false, ..refusal.failure }, ..refusal }
}

struct Setup {
    _home: TempDir,
    store: MemoryStore,
    script: Arc<Script>,
    notices: Arc<Mutex<Vec<String>>>,
    refresher: Refresher,
    key: SessionKey,
}

impl Setup {
    /// A session of this age, in seconds, whose token lives for an hour.
    async fn new(age: i64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = MemoryStore::new(|| crate::time::now() + 3_600);
        let keys = Keystore::new(&home.path().join("key"), &home.path().join("state"));
        let (script, notices) = (Arc::new(Script::default()), Arc::new(Mutex::new(Vec::new())));
        let heard = notices.clone();
        let refresher = Refresher {
            sessions: SealedSessions::new(Arc::new(store.clone()), keys),
            source: script.clone(),
            provider: Arc::new(ProviderConfig::named("p")),
            notice: Arc::new(move |notice| heard.lock().unwrap().push(notice.to_string())),
            pending_saves: PendingSaves::default(),
            turns: Turns::default(),
        };
        let key = SessionKey { provider: "p".into(), owner: "ada".into() };
        let mut locked = refresher.lock(&key).await.unwrap();
        let issued_at = locked.load().await.unwrap().time.now() - age;
        let session = Session { generation: 1, ..session(issued_at, Some(issued_at + 3_600)) };
        let refresh_token = Some(RefreshToken::new("refresh one".into()));
        let stored = StoredSession { id: [1; 16], session, refresh_token, client_secret: None };
        locked.commit(0, &stored).await.unwrap();
        drop(locked);
        Self { _home: home, store, script, notices, refresher, key }
    }

    fn answers(&self, answer: impl FnOnce() -> std::result::Result<TokenResponse, SourceError> + Send + 'static) {
        self.script.0.lock().unwrap().push_back(Box::new(answer));
    }

    async fn fresh(&self) -> Result<Session> {
        let seen = self.refresher.load(&self.key).await?;
        self.refresher.ensure_fresh(&self.key, Freshness::Request, seen).await
    }
}

/// Renews the session as another process does, which finds the lock free.
async fn renewed_by_another(refresher: &Refresher, key: &SessionKey, name: &str) {
    let mut locked = refresher.sessions.lock(key, Duration::ZERO).await.unwrap();
    let stored = locked.load().await.unwrap().session.unwrap().unwrap();
    let (spent, issued_at) = (stored.session.generation, stored.session.now());
    locked.commit(spent, &stored.renewed(tokens(name), issued_at)).await.unwrap();
}

#[tokio::test]
async fn a_token_expires_by_the_stores_clock() {
    // The store's clock is an hour ahead of this machine's.
    let setup = Setup::new(3_500).await;
    assert_eq!(setup.fresh().await.unwrap().generation, 1, "by this machine's clock it is not even issued");
    let setup = Setup::new(3_700).await;
    setup.answers(|| Ok(tokens("two")));
    let fresh = setup.fresh().await.unwrap();
    assert_eq!((fresh.generation, fresh.access_token.expose()), (2, "access two"));
    let age = crate::time::now() + 3_600 - fresh.issued_at;
    assert!((0..60).contains(&age), "issued by the store's clock, {age} seconds ago");
    assert_eq!(setup.fresh().await.unwrap().generation, 2, "and then it is fresh");
}

#[tokio::test]
async fn tokens_are_saved_although_the_lock_was_lost_meanwhile() {
    let setup = Setup::new(3_700).await;
    let store = setup.store.clone();
    setup.answers(move || {
        store.lose_locks();
        Ok(tokens("two"))
    });
    assert_eq!(setup.fresh().await.unwrap().generation, 2);
    assert_eq!(setup.refresher.load(&setup.key).await.unwrap().access_token.expose(), "access two");
    assert!(setup.notices.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_another_process_renewed_after_the_lock_was_lost_is_used() {
    let setup = Setup::new(3_700).await;
    let (store, refresher, key) = (setup.store.clone(), setup.refresher.clone(), setup.key.clone());
    setup.answers(move || {
        store.lose_locks();
        // In a thread of its own, as this one is in the middle of the refresh.
        let other = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(renewed_by_another(&refresher, &key, "other"));
        });
        other.join().unwrap();
        Err(refusal(CredentialState::Invalid(String::new())))
    });
    let fresh = setup.fresh().await.unwrap();
    assert_eq!((fresh.generation, fresh.access_token.expose()), (2, "access other"));
    assert_eq!(setup.refresher.load(&setup.key).await.unwrap().ended_at, None);
}

#[tokio::test]
async fn a_refusal_without_the_lock_is_checked_once_more_under_it() {
    let setup = Setup::new(3_700).await;
    let store = setup.store.clone();
    setup.answers(move || {
        store.lose_locks();
        Err(refusal(CredentialState::Invalid(String::new())))
    });
    setup.answers(|| Err(refusal(CredentialState::Invalid(String::new()))));
    let ended = setup.fresh().await;
    assert!(matches!(&ended, Err(SessionError::Ended { .. })), "{ended:?}");
    let stored = setup.refresher.sessions.load(&setup.key).await.unwrap().unwrap();
    assert_eq!((stored.ended_at.is_some(), stored.attempts), (true, 2));
}

#[tokio::test]
async fn tokens_for_a_session_that_was_replaced_meanwhile_are_used_once_and_not_saved() {
    let setup = Setup::new(3_700).await;
    let (store, refresher, key) = (setup.store.clone(), setup.refresher.clone(), setup.key.clone());
    setup.answers(move || {
        store.lose_locks();
        let other = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(renewed_by_another(&refresher, &key, "other"));
        });
        other.join().unwrap();
        Ok(tokens("two"))
    });
    assert_eq!(setup.fresh().await.unwrap().access_token.expose(), "access two");
    assert_eq!(setup.refresher.load(&setup.key).await.unwrap().access_token.expose(), "access other");
    let notices = setup.notices.lock().unwrap();
    assert!(matches!(&**notices, [notice] if notice.contains("could not be saved")), "{notices:?}");
}

#[tokio::test]
async fn a_requested_refresh_is_sent_in_the_pause_after_a_refusal() {
    let setup = Setup::new(3_700).await;
    setup.answers(|| Err(lasting_refusal()));
    let refused = setup.fresh().await;
    assert!(matches!(&refused, Err(SessionError::RefreshRefused { tried: None, .. })), "{refused:?}");
    for freshness in [Freshness::Request, Freshness::Export, Freshness::NotGeneration(1), Freshness::AtLeast(60)] {
        let loaded = setup.refresher.load(&setup.key).await.unwrap();
        assert_eq!(loaded.refused_at(), Some(loaded.failed.as_ref().unwrap().at));
        let paused = setup.refresher.ensure_fresh(&setup.key, freshness, loaded).await;
        assert!(matches!(&paused, Err(SessionError::RefreshRefused { tried: Some(_), .. })), "{paused:?}");
    }
    setup.answers(|| Ok(tokens("two")));
    let loaded = setup.refresher.load(&setup.key).await.unwrap();
    let renewed = setup.refresher.ensure_fresh(&setup.key, Freshness::Requested(1), loaded).await.unwrap();
    assert_eq!((renewed.generation, renewed.refused_at()), (2, None));
}

#[tokio::test]
async fn a_refresh_that_was_not_sent_does_not_undo_a_refusal() {
    let setup = Setup::new(3_700).await;
    setup.answers(|| Err(lasting_refusal()));
    setup.fresh().await.unwrap_err();
    let refused_at = setup.refresher.load(&setup.key).await.unwrap().refused_at();
    assert!(refused_at.is_some());
    setup.answers(|| Err(refusal(CredentialState::NotSent(Arc::new(HttpError::NotTls { host: "h".into() })))));
    let loaded = setup.refresher.load(&setup.key).await.unwrap();
    let not_sent = setup.refresher.ensure_fresh(&setup.key, Freshness::Requested(1), loaded).await;
    assert!(matches!(&not_sent, Err(SessionError::NotSent(_))), "{not_sent:?}");
    assert_eq!(setup.refresher.load(&setup.key).await.unwrap().refused_at(), refused_at);
}
