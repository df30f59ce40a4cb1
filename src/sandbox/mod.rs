//! An authorization server and API on loopback, for tests and demonstrations.
//!
//! It implements the Messages and the Chat Completions API without a model: it echoes the prompt. It is as strict as
//! the strictest real servers: S256 is verified, redirect URIs match exactly, codes and refresh tokens are single-use,
//! and a reused refresh token revokes all tokens of its sign-in. Tests configure misbehavior with [`Settings`] and
//! [`Scripted`], and inspect the recorded requests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use crate::loopback::{self, BindError, Listener, page};
use crate::provider;

mod assertions;
mod authorization;
mod browser;
mod completions;
mod device;
mod documents;
mod grants;
mod id_token;
mod messages;
mod models;
mod pushed;
mod rate_limit;
mod registration;
mod request;
mod script;
mod settings;
mod token;
mod userinfo;

pub use assertions::AssertionRules;
pub use browser::BrowserError;
pub use registration::Registration;
pub use request::RecordedRequest;
pub use script::{Answer, Gate, Piece, Scripted};
pub use settings::{Issuer, RedirectRule, Settings};

use grants::Grants;
use registration::Clients;
use script::{AnyBody, boxed};

/// The largest request body, as the Messages API documents it: 32 MB.
const BODY_BYTES: usize = 32 << 20;

/// A running sandbox. Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    running: Running,
}

/// An endpoint of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /authorize`: the page that asks for approval.
    Authorize,
    /// `POST /authorize/decision`: the form of that page.
    Decision,
    /// `POST /par`: pushed authorization requests.
    Par,
    /// `POST /device_authorization` (RFC 8628).
    DeviceAuthorization,
    /// `GET /device`: the page where the user enters the code.
    DevicePage,
    /// `POST /device/decision`: the form of that page.
    DeviceDecision,
    /// `POST /token`.
    Token,
    /// `POST /revoke`.
    Revoke,
    /// `GET /userinfo`.
    Userinfo,
    /// `POST /register`.
    Register,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/chat/completions`.
    Completions,
    /// `GET /v1/models`.
    Models,
    /// `GET /.well-known/oauth-authorization-server` (RFC 8414).
    ServerMetadata,
    /// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0).
    OpenidConfiguration,
    /// `GET /.well-known/litellm-cli-auth`: LiteLLM's contract for native clients.
    LitellmContract,
    /// `GET /.well-known/oauth-protected-resource` (RFC 9728).
    ProtectedResource,
}

/// The number of successful operations. [`Sandbox::requests`] has all requests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Authorization codes and device codes redeemed, and tokens issued without a user.
    pub exchanges: usize,
    /// Refresh tokens redeemed.
    pub refreshes: usize,
    /// Known tokens revoked.
    pub revocations: usize,
    /// Messages answered, completions included.
    pub messages: usize,
    /// Messages refused with 429.
    pub throttled: usize,
    /// Lists of models answered.
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
    /// Notified after every request and every operation.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    origin: String,
    settings: Settings,
    grants: Grants,
    clients: Clients,
    /// How many clients were ever registered.
    registrations: usize,
    /// The assertions that were used, by their `jti`.
    used_assertions: HashSet<String>,
    limit: rate_limit::RateLimit,
    scripts: HashMap<Endpoint, VecDeque<Scripted>>,
    requests: Vec<RecordedRequest>,
    counts: Counts,
}

/// The response of an endpoint: a page for a browser, or data for a program.
enum Reply {
    Page(Response<Full<Bytes>>),
    Data(Answer),
}

impl Sandbox {
    /// Starts on a free port of 127.0.0.1, as a task of the current runtime.
    ///
    /// # Errors
    /// No free port, or no random bytes.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let (listener, shared) = open(settings).await?;
        let task = tokio::spawn(serve(listener, shared.clone())).abort_handle();
        Ok(Self { shared, running: Running::Task(task) })
    }

    /// Starts on its own thread and runtime, for blocking callers.
    ///
    /// # Errors
    /// No free port, no thread, or no random bytes.
    pub fn start_on_thread(settings: Settings) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        // Bound on the new thread, because a runtime must not be entered inside another one.
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

    /// The origin, `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        self.shared.state().origin.clone()
    }

    /// The URL of an endpoint, with the prefix if there is one.
    pub fn url(&self, endpoint: Endpoint) -> String {
        let state = self.shared.state();
        format!("{}{}{}", state.origin, state.settings.prefix, endpoint.path())
    }

    /// Changes the settings from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state().settings);
    }

    /// All requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.state().requests.clone()
    }

    /// The requests to one endpoint.
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<RecordedRequest> {
        self.shared.state().requests.iter().filter(|request| request.endpoint == Some(endpoint)).cloned().collect()
    }

    /// The operations so far.
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// The number of successful refreshes.
    pub fn refreshes(&self) -> usize {
        self.counts().refreshes
    }

    /// The number of refresh requests, successful or not.
    pub fn refreshes_asked(&self) -> usize {
        let refresh = |request: &RecordedRequest| request.field("grant_type").as_deref() == Some("refresh_token");
        self.requests_to(Endpoint::Token).iter().filter(|request| refresh(request)).count()
    }

    /// Every secret that was issued or received: codes, tokens, verifiers, the client secret.
    pub fn issued(&self) -> Vec<String> {
        let state = self.shared.state();
        let registration = state.settings.registration.iter().filter_map(|registration| registration.token.clone());
        let own = state.settings.client_secret.iter().cloned().chain(registration);
        own.chain(state.grants.secrets().map(str::to_owned)).collect()
    }

    /// Invalidates all access tokens.
    pub fn expire_access(&self) {
        self.shared.state().grants.expire_access();
    }

    /// Invalidates all tokens.
    pub fn end_session(&self) {
        self.shared.state().grants.end_all();
    }

    /// Forgets all clients that were registered.
    pub fn forget_clients(&self) {
        self.shared.state().clients.clear();
    }

    /// Scripts the responses to the next requests to an endpoint, in order.
    pub fn script(&self, endpoint: Endpoint, answers: impl IntoIterator<Item = Scripted>) {
        self.shared.state().scripts.entry(endpoint).or_default().extend(answers);
    }

    /// Waits until a condition holds. It is checked after every request and every operation.
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
    const ALL: [Self; 17] = [
        Self::Authorize,
        Self::Decision,
        Self::Par,
        Self::DeviceAuthorization,
        Self::DevicePage,
        Self::DeviceDecision,
        Self::Token,
        Self::Revoke,
        Self::Userinfo,
        Self::Register,
        Self::Messages,
        Self::Completions,
        Self::Models,
        Self::ServerMetadata,
        Self::OpenidConfiguration,
        Self::LitellmContract,
        Self::ProtectedResource,
    ];

    /// The path below the origin and the prefix.
    pub fn path(self) -> &'static str {
        match self {
            Self::Authorize => "/authorize",
            Self::Decision => "/authorize/decision",
            Self::Par => "/par",
            Self::DeviceAuthorization => "/device_authorization",
            Self::DevicePage => "/device",
            Self::DeviceDecision => "/device/decision",
            Self::Token => "/token",
            Self::Revoke => "/revoke",
            Self::Userinfo => "/userinfo",
            Self::Register => "/register",
            Self::Messages => "/v1/messages",
            Self::Completions => "/v1/chat/completions",
            Self::Models => "/v1/models",
            Self::ServerMetadata => "/.well-known/oauth-authorization-server",
            Self::OpenidConfiguration => "/.well-known/openid-configuration",
            Self::LitellmContract => "/.well-known/litellm-cli-auth",
            Self::ProtectedResource => "/.well-known/oauth-protected-resource",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Authorize
            | Self::DevicePage
            | Self::Userinfo
            | Self::Models
            | Self::ServerMetadata
            | Self::OpenidConfiguration
            | Self::LitellmContract
            | Self::ProtectedResource => Method::GET,
            Self::Decision
            | Self::Par
            | Self::DeviceAuthorization
            | Self::DeviceDecision
            | Self::Token
            | Self::Revoke
            | Self::Register
            | Self::Messages
            | Self::Completions => Method::POST,
        }
    }

    /// The endpoint of a path, with or without the prefix. Well-known paths have it at their end too (RFC 8414, section
    /// 3.1).
    fn of(path: &str, prefix: &str) -> Option<Self> {
        let bare = path.strip_prefix(prefix).filter(|bare| bare.starts_with('/')).unwrap_or(path);
        let bare = bare.strip_suffix(prefix).filter(|bare| bare.starts_with("/.well-known/")).unwrap_or(bare);
        if bare == "/v1/oauth/token" {
            // The path of the Claude Console.
            return Some(Self::Token);
        }
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
        clients: Clients::new(),
        registrations: 0,
        used_assertions: HashSet::new(),
        limit: rate_limit::RateLimit::default(),
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

/// Records the request, follows the script if there is one, and performs the operation.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Option<Response<AnyBody>> {
    if !loopback::is_for_this_host(&request, shared.port) && !is_below_localhost(&request, shared.port) {
        return Some(boxed(page::text(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n")));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return Some(boxed(page::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete\n")));
    };
    let (request, script) = {
        let mut state = shared.state();
        let endpoint = Endpoint::of(head.uri.path(), &state.settings.prefix);
        let request = RecordedRequest::new(endpoint, &head, &body.to_bytes());
        state.grants.record_secrets(&request);
        if state.settings.keep_requests {
            state.requests.push(request.clone());
        }
        (request, endpoint.and_then(|endpoint| state.scripts.get_mut(&endpoint)?.pop_front()))
    };
    shared.changed.send_replace(());
    let done = || {
        let reply = work(&mut shared.state(), &request, &head.method);
        shared.changed.send_replace(());
        reply
    };
    let reply = match script.unwrap_or(Scripted::Normal) {
        Scripted::Normal => done(),
        Scripted::Answer(answer) => {
            shared.state().grants.record_tokens(&answer);
            Reply::Data(answer)
        }
        Scripted::Wait(gate) => {
            gate.pass().await;
            done()
        }
        Scripted::Paused(gate) => {
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

/// Performs the operation of an endpoint.
fn work(state: &mut State, request: &RecordedRequest, method: &Method) -> Reply {
    let Some(endpoint) = request.endpoint else {
        return Reply::Data(messages::refusal(404, "not_found_error", "not found"));
    };
    if *method != endpoint.method() {
        return Reply::Page(page::method_not_allowed(match endpoint.method() {
            Method::GET => "GET",
            _ => "POST",
        }));
    }
    match endpoint {
        Endpoint::Authorize => Reply::Page(authorization::ask(state, request)),
        Endpoint::Decision => Reply::Page(authorization::decide(state, request)),
        Endpoint::Par => Reply::Data(pushed::push(state, request)),
        Endpoint::DeviceAuthorization => Reply::Data(device::begin(state, request)),
        Endpoint::DevicePage => Reply::Page(device::ask(state, request)),
        Endpoint::DeviceDecision => Reply::Page(device::decide(state, request)),
        Endpoint::Token => Reply::Data(token::token(state, request)),
        Endpoint::Revoke => Reply::Data(token::revoke(state, request)),
        Endpoint::Userinfo => Reply::Data(userinfo::userinfo(state, request)),
        Endpoint::Register => Reply::Data(registration::register(state, request)),
        Endpoint::Messages => Reply::Data(messages::answer(state, request).unwrap_or_else(|refusal| refusal)),
        Endpoint::Completions => Reply::Data(completions::answer(state, request).unwrap_or_else(|refusal| refusal)),
        Endpoint::Models => Reply::Data(models::list(state, request).unwrap_or_else(|refusal| refusal)),
        Endpoint::ServerMetadata
        | Endpoint::OpenidConfiguration
        | Endpoint::LitellmContract
        | Endpoint::ProtectedResource => Reply::Data(documents::document(state, endpoint)),
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

/// Whether a request names a host below `localhost`, and this port. A browser does not look such names up either.
fn is_below_localhost<B>(request: &Request<B>, port: u16) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.split_once(':'));
    host.is_some_and(|(name, named)| provider::is_localhost(name) && named.parse() == Ok(port))
}

#[cfg(test)]
mod tests;
