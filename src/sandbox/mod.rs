//! An authorization server and a Messages endpoint (Chat Completions too) on loopback, for `nexus demo` and the tests.
//!
//! It is strict where real servers differ in strictness (S256 verified, exact redirect, single-use
//! codes, rotation, the whole family revoked when a spent refresh token comes again), so that what
//! works here works there. Every misbehaviour that a test needs is a setting or a script of it, and
//! everything it was asked is kept for assertions. No model is behind it, and it says so.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use crate::loopback::{self, BindError, Listener, page};

mod authorization;
mod completions;
mod grants;
mod limit;
mod messages;
mod models;
mod person;
mod script;
mod seen;
mod settings;
mod token;

pub use person::BrowserError;
pub use script::{Answer, Gate, Piece, Scripted};
pub use seen::Seen;
pub use settings::{Issuer, RedirectRule, Settings};

use grants::Grants;
use script::{AnyBody, boxed};

/// The largest request body, as the Messages API documents it: 32 MB.
const BODY_BYTES: usize = 32 << 20;

/// A running sandbox. Dropped, it is gone with its connections.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    running: Running,
}

/// What the sandbox answers at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /authorize`: the page that asks for approval.
    Authorize,
    /// `POST /authorize/decision`: what its buttons send.
    Decision,
    /// `POST /token`.
    Token,
    /// `POST /revoke`.
    Revoke,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/chat/completions`.
    Completions,
    /// `GET /v1/models`.
    Models,
}

/// How often the sandbox did its work. What was merely asked is in [`Sandbox::requests`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Authorization codes redeemed.
    pub exchanges: usize,
    /// Refresh tokens redeemed.
    pub refreshes: usize,
    /// Tokens revoked that were known.
    pub revocations: usize,
    /// Messages answered, completions included.
    pub messages: usize,
    /// Messages turned away because there were too many.
    pub throttled: usize,
    /// Lists of models given out.
    pub models: usize,
}

#[derive(Debug)]
enum Running {
    Task(AbortHandle),
    Thread { stop: Option<oneshot::Sender<()>>, thread: Option<thread::JoinHandle<()>> },
}

#[derive(Debug)]
struct Shared {
    port: u16,
    state: Mutex<State>,
    /// Ticks whenever something was asked or done.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    origin: String,
    settings: Settings,
    grants: Grants,
    limit: limit::Limit,
    scripts: HashMap<Endpoint, VecDeque<Scripted>>,
    requests: Vec<Seen>,
    counts: Counts,
}

/// What an endpoint gives back: a page for a person, or data for a program.
enum Reply {
    Page(Response<Full<Bytes>>),
    Data(Answer),
}

impl Sandbox {
    /// Starts on a free port of 127.0.0.1, as a task of the runtime that this is called on.
    ///
    /// # Errors
    /// No port, or no random numbers.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let (listener, shared) = open(settings).await?;
        let task = tokio::spawn(serve(listener, shared.clone())).abort_handle();
        Ok(Self { shared, running: Running::Task(task) })
    }

    /// Starts on a thread and runtime of its own, for callers that block.
    ///
    /// # Errors
    /// No port, no thread, or no random numbers.
    pub fn start_on_thread(settings: Settings) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        // Bound on the new thread: a runtime must not be entered from within another one.
        let (opened, ready) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("sandbox".into()).spawn(move || {
            runtime.block_on(async {
                match open(settings).await {
                    Ok((listener, shared)) => {
                        let _ = opened.send(Ok(shared.clone()));
                        tokio::select! {
                            () = serve(listener, shared) => {}
                            _ = stopped => {}
                        }
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                }
            });
        })?;
        let shared = ready.recv().map_err(io::Error::other)??;
        Ok(Self { shared, running: Running::Thread { stop: Some(stop), thread: Some(thread) } })
    }

    /// `http://127.0.0.1:PORT`; the endpoints are [`Endpoint::path`]s below it.
    pub fn origin(&self) -> String {
        self.shared.state().origin.clone()
    }

    /// The URL of an endpoint, below the prefix if there is one.
    pub fn url(&self, endpoint: Endpoint) -> String {
        let state = self.shared.state();
        format!("{}{}{}", state.origin, state.settings.prefix, endpoint.path())
    }

    /// Changes the settings from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state().settings);
    }

    /// Everything that was asked so far, in order of arrival.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state().requests.clone()
    }

    /// What was asked of one endpoint.
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<Seen> {
        self.shared.state().requests.iter().filter(|seen| seen.endpoint == Some(endpoint)).cloned().collect()
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// How many refresh tokens were redeemed.
    pub fn refreshes(&self) -> usize {
        self.counts().refreshes
    }

    /// How many refreshes were asked for, whatever came of them.
    pub fn refreshes_asked(&self) -> usize {
        let refresh = |seen: &Seen| seen.field("grant_type").as_deref() == Some("refresh_token");
        self.requests_to(Endpoint::Token).iter().filter(|seen| refresh(seen)).count()
    }

    /// Every secret that was issued or received: codes, tokens, verifiers, the client secret. For
    /// tests that look for leaks.
    pub fn issued(&self) -> Vec<String> {
        let state = self.shared.state();
        state.settings.client_secret.iter().cloned().chain(state.grants.secrets().map(str::to_owned)).collect()
    }

    /// Makes the API refuse every access token that is out there.
    pub fn expire_access(&self) {
        self.shared.state().grants.expire_access();
    }

    /// Ends every session: its tokens are no longer good for anything.
    pub fn end_session(&self) {
        self.shared.state().grants.end_all();
    }

    /// What the next requests to an endpoint get, in order; after that it works normally again.
    pub fn script(&self, endpoint: Endpoint, answers: impl IntoIterator<Item = Scripted>) {
        self.shared.state().scripts.entry(endpoint).or_default().extend(answers);
    }

    /// Waits until something holds true of this sandbox. It is looked at after every request and
    /// every piece of work, so nothing has to sleep; the limit is the caller's.
    pub async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changes = self.shared.changed.subscribe();
        while !holds(self) {
            // The sender lives as long as this sandbox does.
            let _ = changes.changed().await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        match &mut self.running {
            Running::Task(task) => task.abort(),
            Running::Thread { stop, thread } => {
                drop(stop.take());
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
        }
    }
}

impl Endpoint {
    const ALL: [Self; 7] =
        [Self::Authorize, Self::Decision, Self::Token, Self::Revoke, Self::Messages, Self::Completions, Self::Models];

    /// The path below the origin and the prefix.
    pub fn path(self) -> &'static str {
        match self {
            Self::Authorize => "/authorize",
            Self::Decision => "/authorize/decision",
            Self::Token => "/token",
            Self::Revoke => "/revoke",
            Self::Messages => "/v1/messages",
            Self::Completions => "/v1/chat/completions",
            Self::Models => "/v1/models",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Authorize | Self::Models => Method::GET,
            Self::Decision | Self::Token | Self::Revoke | Self::Messages | Self::Completions => Method::POST,
        }
    }

    /// The endpoint of a path, which may or may not carry the prefix.
    fn of(path: &str, prefix: &str) -> Option<Self> {
        let bare = path.strip_prefix(prefix).filter(|bare| bare.starts_with('/')).unwrap_or(path);
        Self::ALL.into_iter().find(|endpoint| endpoint.path() == bare)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open(settings: Settings) -> io::Result<(Listener, Arc<Shared>)> {
    let listener = Listener::bind("127.0.0.1", 0).await.map_err(|error| match error {
        BindError::Taken(why) | BindError::Unusable(why) => io::Error::other(why),
    })?;
    let state = State {
        origin: format!("http://127.0.0.1:{}", listener.port()),
        settings,
        grants: Grants::new()?,
        limit: limit::Limit::default(),
        scripts: HashMap::new(),
        requests: Vec::new(),
        counts: Counts::default(),
    };
    let shared = Arc::new(Shared { port: listener.port(), state: Mutex::new(state), changed: watch::Sender::new(()) });
    Ok((listener, shared))
}

async fn serve(listener: Listener, shared: Arc<Shared>) {
    listener.serve(move |request| answer(shared.clone(), request), pending()).await;
}

/// Keeps what was asked, follows the script if there is one, and does the work.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Option<Response<AnyBody>> {
    if !loopback::addressed_to_us(&request, shared.port) {
        return Some(boxed(page::text(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n")));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return Some(boxed(page::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete\n")));
    };
    let (seen, script) = {
        let mut state = shared.state();
        let endpoint = Endpoint::of(head.uri.path(), &state.settings.prefix);
        let seen = Seen::new(endpoint, &head, &body.to_bytes());
        state.grants.notice(&seen);
        if state.settings.keep_requests {
            state.requests.push(seen.clone());
        }
        (seen, endpoint.and_then(|endpoint| state.scripts.get_mut(&endpoint)?.pop_front()))
    };
    shared.changed.send_replace(());
    let done = || {
        let reply = work(&mut shared.state(), &seen, &head.method);
        shared.changed.send_replace(());
        reply
    };
    let reply = match script.unwrap_or(Scripted::Normal) {
        Scripted::Normal => done(),
        Scripted::Answer(answer) => {
            shared.state().grants.notice_tokens(&answer);
            Reply::Data(answer)
        }
        Scripted::Wait(gate) => {
            gate.pass().await;
            done()
        }
        Scripted::Held(gate) => {
            let reply = done();
            gate.pass().await;
            reply
        }
        Scripted::Lose => {
            done();
            return None;
        }
        Scripted::Hang => pending().await,
        Scripted::Close => return None,
        Scripted::Cut(pieces) => done().cut(pieces, None),
        Scripted::Break(pieces) => done().cut(pieces, Some(Piece::Break)),
    };
    Some(match reply {
        Reply::Page(page) => boxed(page),
        Reply::Data(answer) => answer.into_response(),
    })
}

/// Does what an endpoint does.
fn work(state: &mut State, seen: &Seen, method: &Method) -> Reply {
    let Some(endpoint) = seen.endpoint else {
        return Reply::Data(messages::refusal(404, "not_found_error", "not found"));
    };
    if *method != endpoint.method() {
        return Reply::Page(page::method_not_allowed(match endpoint.method() {
            Method::GET => "GET",
            _ => "POST",
        }));
    }
    match endpoint {
        Endpoint::Authorize => Reply::Page(authorization::ask(state, seen)),
        Endpoint::Decision => Reply::Page(authorization::decide(state, seen)),
        Endpoint::Token => Reply::Data(token::token(state, seen)),
        Endpoint::Revoke => Reply::Data(token::revoke(state, seen)),
        Endpoint::Messages => Reply::Data(messages::answer(state, seen).unwrap_or_else(|refusal| refusal)),
        Endpoint::Completions => Reply::Data(completions::answer(state, seen).unwrap_or_else(|refusal| refusal)),
        Endpoint::Models => Reply::Data(models::list(state, seen).unwrap_or_else(|refusal| refusal)),
    }
}

impl Reply {
    fn cut(self, pieces: usize, end: Option<Piece>) -> Self {
        match self {
            Self::Data(answer) => Self::Data(answer.cut(pieces, end)),
            page @ Self::Page(_) => page,
        }
    }
}

/// The answer of an endpoint for programs.
fn json(status: u16, body: &Value) -> Answer {
    Answer::json(status, body).header("cache-control", "no-store")
}

#[cfg(test)]
mod tests;
