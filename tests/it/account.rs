//! `Client` when its caller gives up, when a session cannot be saved, and when the server fails.

use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus::error::{ApiError, SessionError};
use nexus::key::Keystore;
use nexus::sandbox::{Endpoint, Gate, Piece, Sandbox, Scripted, Settings};
use nexus::{
    Client, Error, ErrorInfo as _, Folders, Message, Notice, ProgressEvent, Question, RetryPolicy, SealedSessions,
    Session,
};
use serde_json::json;
use tempfile::TempDir;

use crate::failing_store::FailingStore;
use crate::nexus::{block_on, lifetime, provider, sign_in};

struct Setup {
    home: TempDir,
    sandbox: Sandbox,
    client: Client,
}

async fn setup(settings: Settings) -> Setup {
    setup_with(nexus::now, tempfile::tempdir().unwrap(), settings, |_| {}).await
}

async fn setup_with(
    clock: fn() -> i64,
    home: TempDir,
    settings: Settings,
    notice: impl Fn(&Notice) + Send + Sync + 'static,
) -> Setup {
    let sandbox = Sandbox::start(settings).await.unwrap();
    let client = Client::new(provider(&sandbox), &Folders::under(home.path()), clock, Arc::new(notice));
    Setup { home, sandbox, client }
}

impl Setup {
    async fn sign_in(&self) -> Result<Session, Error> {
        sign_in(&self.client, "ada").await
    }
}

/// Drops a call when its request to this endpoint has arrived; the gate then lets the server answer.
async fn hang_up(
    sandbox: &Sandbox,
    endpoint: Endpoint,
    answer: fn(Gate) -> Scripted,
    call: impl Future<Output = Result<impl Sized, Error>>,
) -> Gate {
    let gate = Gate::new();
    sandbox.script(endpoint, [answer(gate.clone())]);
    tokio::select! {
        _ = call => panic!("the server has not answered"),
        () = gate.arrived(1) => gate,
    }
}

#[test]
fn refresh_sends_one_request() {
    block_on(async {
        let born_dead = lifetime(0);
        let setup = setup(born_dead).await;
        setup.sign_in().await.unwrap();
        let refreshed = setup.client.refresh("ada").await.unwrap();
        assert_eq!((refreshed.generation, setup.sandbox.refreshes_asked()), (2, 1));
    });
}

#[test]
fn after_two_failures_no_request_is_sent_for_a_moment() {
    static CLOCK: AtomicI64 = AtomicI64::new(2_000_000_000);
    block_on(async {
        for trouble in [Scripted::text(503, "text/plain", "busy"), Scripted::Close] {
            let born_dead = lifetime(0);
            let home = tempfile::tempdir().unwrap();
            let setup = setup_with(|| CLOCK.load(Ordering::Relaxed), home, born_dead, |_| {}).await;
            setup.sign_in().await.unwrap();
            setup.sandbox.script(Endpoint::Token, std::iter::repeat_n(trouble, 3));
            // One failure is retried at once; after two, no request is sent for some seconds.
            for (seconds, asked) in [(0, 1), (0, 2), (0, 2), (4, 2), (1, 3)] {
                CLOCK.fetch_add(seconds, Ordering::Relaxed);
                let failed = setup.client.get_valid("ada").await;
                assert!(matches!(&failed, Err(Error::Session(SessionError::RefreshFailed { .. }))), "{failed:?}");
                assert_eq!(setup.sandbox.refreshes_asked(), asked);
            }
            // After one failure the next call sends a request.
            setup.client.get_valid("ada").await.unwrap();
        }
    });
}

#[test]
fn an_old_failure_does_not_stop_a_new_refresh() {
    static CLOCK: AtomicI64 = AtomicI64::new(2_000_000_000);
    block_on(async {
        let home = tempfile::tempdir().unwrap();
        let setup = setup_with(|| CLOCK.load(Ordering::Relaxed), home, Settings::default(), |_| {}).await;
        setup.sign_in().await.unwrap();
        let seen = setup.client.load("ada").await.unwrap();
        setup.sandbox.script(Endpoint::Token, [Scripted::text(503, "text/plain", "busy")]);
        setup.client.refresh("ada").await.unwrap_err();
        CLOCK.fetch_add(60, Ordering::Relaxed);
        setup.sandbox.script(Endpoint::Messages, [Scripted::json(401, &json!({}))]);
        let question = Question { model: "sandbox-small".into(), max_tokens: 9, ..Question::default() };
        let question = Question { messages: vec![Message::user("x")], ..question };
        setup.client.ask("ada", seen, &question).await.unwrap();
        assert_eq!((setup.sandbox.refreshes_asked(), setup.sandbox.refreshes()), (2, 1));
    });
}

#[test]
fn a_code_is_not_sent_if_the_session_cannot_be_saved() {
    block_on(async {
        let setup = setup(Settings::default()).await;
        // A file in place of the data folder.
        fs::write(setup.home.path().join("data"), "").unwrap();
        assert_eq!(setup.sign_in().await.unwrap_err().code(), "store");
        assert_eq!(setup.sandbox.requests_to(Endpoint::Token).len(), 0);
    });
}

#[test]
fn a_session_that_cannot_be_saved_is_revoked() {
    block_on(async {
        let (_home, sandbox, store, client) = failing_setup(u32::MAX).await;
        assert_eq!(sign_in(&client, "ada").await.unwrap_err().code(), "store");
        assert!(store.commits() > 1 && sandbox.counts().revocations > 0);
    });
}

#[test]
fn saving_a_session_is_retried() {
    block_on(async {
        let (_home, sandbox, store, client) = failing_setup(2).await;
        sign_in(&client, "ada").await.unwrap();
        assert_eq!((store.commits(), sandbox.counts().revocations), (3, 0));
        assert_eq!(client.load("ada").await.unwrap().generation, 1);
    });
}

/// A client whose store fails to save as many times as that.
async fn failing_setup(failures: u32) -> (TempDir, Sandbox, Arc<FailingStore>, Client) {
    let home = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let store = Arc::new(FailingStore::new(failures));
    let sessions = SealedSessions::new(store.clone(), Keystore::new(home.path(), home.path()));
    let client = Client::with_sessions(provider(&sandbox), sessions, nexus::now, Arc::new(|_| {}));
    (home, sandbox, store, client)
}

#[test]
fn a_dropped_sign_in_is_completed() {
    block_on(async {
        let setup = setup(Settings::default()).await;
        let gate = hang_up(&setup.sandbox, Endpoint::Token, Scripted::Paused, setup.sign_in()).await;
        gate.open();
        setup.client.wait_for_saves().await;
        assert_eq!(setup.client.load("ada").await.unwrap().generation, 1);
    });
}

#[test]
fn a_dropped_second_sign_in_revokes_the_replaced_session() {
    block_on(async {
        let setup = setup(Settings::default()).await;
        setup.sign_in().await.unwrap();
        let gate = hang_up(&setup.sandbox, Endpoint::Revoke, Scripted::Wait, setup.sign_in()).await;
        assert_eq!(setup.client.load("ada").await.unwrap().generation, 2);
        gate.open();
        setup.client.wait_for_saves().await;
        assert_eq!(setup.sandbox.counts().revocations, 1);
    });
}

#[test]
fn a_dropped_sign_out_revokes_the_session() {
    block_on(async {
        let setup = setup(Settings::default()).await;
        setup.sign_in().await.unwrap();
        let gate = hang_up(&setup.sandbox, Endpoint::Revoke, Scripted::Wait, setup.client.sign_out("ada")).await;
        gate.open();
        setup.sandbox.until(|sandbox| sandbox.requests_to(Endpoint::Revoke).len() == 2).await;
        assert!(matches!(setup.client.load("ada").await, Err(Error::Session(SessionError::NotSignedIn { .. }))));
    });
}

#[test]
fn models_are_saved_only_with_the_session_that_listed_them() {
    block_on(async {
        let setup = setup(Settings::default()).await;
        let before = setup.sign_in().await.unwrap();
        let gate = Gate::new();
        setup.sandbox.script(Endpoint::Models, [Scripted::Paused(gate.clone())]);
        let (listed, ()) = tokio::join!(setup.client.models("ada", before), async {
            gate.arrived(1).await;
            setup.sign_in().await.unwrap();
            gate.open();
        });
        assert_eq!(listed.unwrap().len(), 3);
        assert_eq!(setup.client.load("ada").await.unwrap().models, None, "another account may have signed in since");
    });
}

fn question() -> Question {
    let messages = vec![Message::user("x")];
    Question { model: "sandbox-large".into(), max_tokens: 99, messages, ..Question::default() }
}

#[test]
fn an_answer_that_fails_before_its_first_text_is_retried() {
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let error = Scripted::stream([Piece::event(&json!({ "type": "ping" })), Piece::event(&error)]);
    block_on(async {
        let setup = setup(Settings::default()).await;
        setup.sign_in().await.unwrap();
        let waited = Arc::new(Mutex::new(Vec::new()));
        let told = {
            let waited = waited.clone();
            move |waiting: &ProgressEvent| waited.lock().unwrap().push(waiting.clone())
        };
        let patience =
            RetryPolicy { backoff: Duration::from_millis(1), progress: Some(Arc::new(told)), ..RetryPolicy::default() };
        let client = setup.client.clone().with_retry_policy(patience.clone());
        for script in [error.clone(), Scripted::Close, Scripted::Cut(0), Scripted::Cut(2), Scripted::Break(3)] {
            waited.lock().unwrap().clear();
            setup.sandbox.script(Endpoint::Messages, [script]);
            let text = client.chat("ada", &question()).await.unwrap().text().await.unwrap();
            assert!(text.starts_with("You said: x"), "{text}");
            let mut waited = waited.lock().unwrap();
            assert_eq!(waited.last(), Some(&ProgressEvent::WaitingForText));
            // Some answers begin before they fail.
            waited.retain(|waiting| *waiting != ProgressEvent::WaitingForText);
            let [
                ProgressEvent::WaitingForToken,
                ProgressEvent::WaitingForAnswer,
                ProgressEvent::Retrying(retry),
                ProgressEvent::WaitingForAnswer,
            ] = &**waited
            else {
                panic!("{waited:?}");
            };
            assert_eq!((retry.number, retry.of), (1, None));
        }
        let once = setup.client.clone().with_retry_policy(RetryPolicy { retries: Some(0), ..patience });
        setup.sandbox.script(Endpoint::Messages, [error]);
        let asked = setup.sandbox.requests_to(Endpoint::Messages).len();
        let ended = once.chat("ada", &question()).await.unwrap().text().await;
        assert!(matches!(&ended, Err(ApiError::Refused(refusal)) if refusal.status.is_none()), "{ended:?}");
        assert_eq!(setup.sandbox.requests_to(Endpoint::Messages).len(), asked + 1);
    });
}
