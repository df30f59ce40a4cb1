//! A small web application, each of whose users talks to Claude with a session of their own.
//!
//! ```sh
//! CLAUDE_CODE_CLIENT_ID=... CLAUDE_CODE_CLIENT_SECRET=... cargo run --example web_app
//! ```
//!
//! Then open the address it prints. It reads these variables:
//!
//! | variable | what it says | if unset |
//! |---|---|---|
//! | `CLAUDE_CODE_CLIENT_ID` | the client you registered | an error |
//! | `CLAUDE_CODE_CLIENT_SECRET` | its secret | a public client |
//! | `CLAUDE_CODE_REDIRECT_URI` | the redirect URI you registered | `http://localhost:PORT/oauth/claude/callback` |
//! | `AUTHORIZE_URL`, `TOKEN_URL`, `API_URL` | the endpoints | the Claude Console's |
//! | `REVOKE_URL` | where tokens are revoked (RFC 7009) | nowhere |
//! | `MODEL` | the model | the first that a user may use |
//! | `LISTEN` | where to listen; port 0 is any free one | `127.0.0.1:4000` |
//! | `NEXUS_HOME` | the folder of the sessions and their key | `nexus-home` |
//! | `NEXUS_STORE` | the URL of a PostgreSQL database for the sessions (feature `postgres`) | SQLite in that folder |
//!
//! Two instances on one database, on ports 4000 and 4001. A browser can sign in on either and chat on the other:
//!
//! ```sh
//! export CLAUDE_CODE_CLIENT_ID=... CLAUDE_CODE_REDIRECT_URI=http://localhost:4000/oauth/claude/callback
//! export NEXUS_STORE=postgres:///nexus
//! for port in 4000 4001; do LISTEN=127.0.0.1:$port cargo run --example web_app --features postgres & done; wait
//! ```
//!
//! `GET /oauth/claude/authorize` starts a sign-in, `POST /chat` with `{"message": "..."}` answers
//! `{"response": "..."}`, `POST /logout` ends the session. A browser only ever holds random cookies:
//! the tokens stay in the sealed store, and survive a restart there.

// The environment and stdout belong to the program, and an example is one.
#![expect(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nexus::error::{ApiError, ProviderError, SignInError};
use nexus::{
    AuthorizationRequest, Client, ClientAuth, ClientSecret, Error, ErrorClass, ErrorInfo as _, Folders, Message,
    OAuthClient, ProviderConfig, Question, SealedSessions, Url, Verdict,
};
#[cfg(feature = "postgres")]
use nexus::{
    key::Keystore,
    store::{PostgresStore, PostgresUrl},
};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};

/// The maximum number of pending sign-ins that this instance began. Every visitor may start one.
const MOST_PENDING: usize = 100;

/// How long a sign-in may take.
const TIME_TO_SIGN_IN: Duration = Duration::from_secs(600);

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>Ask Claude</title>
<p><a href="/oauth/claude/authorize">Sign in</a></p>
<form id="form"><input id="message" size="60"> <button>Ask</button></form><pre id="answer"></pre>
<script>form.onsubmit = async event => { event.preventDefault();
  const headers = { "content-type": "application/json" }, body = JSON.stringify({ message: message.value });
  const said = await (await fetch("/chat", { method: "POST", headers, body })).json();
  answer.textContent = said.response ?? said.message }</script>"#;

struct App {
    client: Client,
    /// The sign-ins that this instance began, the oldest first: the browser and `state`. They are in the store, because
    /// the authorization server may send the browser to another instance.
    begun: Mutex<VecDeque<(String, String)>>,
    /// What every cookie ends with.
    cookie_attributes: &'static str,
}

// One thread is plenty for an example; nothing in it depends on there being no second.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = variable("LISTEN").unwrap_or_else(|| "127.0.0.1:4000".into());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let port = listener.local_addr()?.port();
    let provider = provider(port)?;
    let redirect_uri = Url::parse(&provider.redirect_uri)?;
    let home = variable("NEXUS_HOME").unwrap_or_else(|| "nexus-home".into());
    let notice = Arc::new(|notice: &nexus::Notice| eprintln!("{notice}"));
    let folders = Folders::under(Path::new(&home));
    let client = match variable("NEXUS_STORE") {
        Some(url) => Client::with_sessions(provider, shared(&folders, &url).await?, nexus::now, notice),
        None => Client::new(provider, &folders, nexus::now, notice),
    };
    client.check_writable().await?;

    // Lax, not Strict: the way back from the authorization server comes from another site.
    let cookie_attributes = match redirect_uri.scheme() {
        "https" => "Path=/; HttpOnly; SameSite=Lax; Secure",
        _ => "Path=/; HttpOnly; SameSite=Lax",
    };
    let app = App { client: client.clone(), begun: Mutex::default(), cookie_attributes };
    let router = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/oauth/claude/authorize", get(start))
        .route(redirect_uri.path(), get(callback))
        .route("/chat", post(chat))
        .route("/logout", post(logout))
        .with_state(Arc::new(app));
    // The redirect URI's own host: cookies set on 127.0.0.1 would not come back to localhost.
    let mut address = redirect_uri.clone();
    if address.scheme() == "http" {
        // Another instance may be the one that it leads to.
        let _ = address.set_port(Some(port));
    }
    println!("Listening on {}", address.origin().ascii_serialization());
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
            eprintln!("Finishing what has begun");
        })
        .await?;
    // A refresh token that was just spent must be replaced in the store before the runtime goes.
    client.wait_for_saves().await;
    Ok(())
}

/// The sessions in a database that other instances share. Their key is in a file, of which every machine needs a copy.
#[cfg(feature = "postgres")]
async fn shared(folders: &Folders, url: &str) -> Result<SealedSessions, Box<dyn std::error::Error>> {
    let store = PostgresStore::new(&PostgresUrl::parse(url).map_err(|why| format!("NEXUS_STORE {why}"))?);
    store.migrate().await?;
    Ok(SealedSessions::new(Arc::new(store), Keystore::new(&folders.key, &folders.state)))
}

#[cfg(not(feature = "postgres"))]
async fn shared(_: &Folders, _: &str) -> Result<SealedSessions, Box<dyn std::error::Error>> {
    Err("NEXUS_STORE needs the feature `postgres`".into())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn provider(port: u16) -> Result<ProviderConfig, ProviderError> {
    let mut provider = ProviderConfig::claude_code().with_redirect_uri(
        variable("CLAUDE_CODE_REDIRECT_URI").unwrap_or(format!("http://localhost:{port}/oauth/claude/callback")),
    );
    if let Some(id) = variable("CLAUDE_CODE_CLIENT_ID") {
        provider = provider.with_client(match variable("CLAUDE_CODE_CLIENT_SECRET") {
            Some(secret) => OAuthClient::confidential(id, ClientSecret::new(secret), ClientAuth::Post),
            None => OAuthClient::public(id),
        });
    }
    type WithUrl = fn(ProviderConfig, &str) -> Result<ProviderConfig, ProviderError>;
    let endpoints: [(&str, WithUrl); 4] = [
        ("AUTHORIZE_URL", ProviderConfig::with_authorize_url),
        ("TOKEN_URL", ProviderConfig::with_token_url),
        ("REVOKE_URL", ProviderConfig::with_revoke_url),
        ("API_URL", ProviderConfig::with_api_url),
    ];
    for (name, with_url) in endpoints {
        if let Some(url) = variable(name) {
            provider = with_url(provider, &url)?;
        }
    }
    provider.api.model = variable("MODEL");
    // Better to learn here that there is no client than from the first user.
    provider.client()?;
    Ok(provider)
}

/// Sends the browser to the authorization server, and sets a cookie that ties the sign-in to this browser.
async fn start(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let attempt = app.client.authorization_url().await?;
    let browser = match cookie(&headers, "browser") {
        Some(known) if known.len() == 64 => known.to_owned(),
        _ => random_text()?,
    };
    app.client.keep_pending(&owner(&browser), &attempt, TIME_TO_SIGN_IN).await?;
    let oldest = {
        let mut begun = app.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.push_back((browser.clone(), attempt.state().to_owned()));
        if begun.len() > MOST_PENDING { begun.pop_front() } else { None }
    };
    if let Some((browser, state)) = oldest {
        app.client.take_pending(&owner(&browser), &state).await?;
    }
    Ok((app.set_cookie("browser", &browser), Redirect::to(attempt.url().as_str())).into_response())
}

/// Takes the authorization response, if it belongs to a sign-in of this browser.
async fn callback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let browser = cookie(&headers, "browser").unwrap_or_default();
    let pending = app.take_pending(browser, &query).await?.ok_or_else(Refusal::no_such_sign_in)?;
    // A new cookie, because an attacker may have set the old one (session fixation).
    let user = random_text()?;
    app.client.exchange_code(&owner(&user), pending, &query).await?;
    if let Some(before) = cookie(&headers, "user") {
        // Its cookie is gone, so an error here changes nothing for the user.
        let _ = app.client.sign_out(&owner(before)).await;
    }
    // Keeps the code out of the browser's history.
    Ok((app.set_cookie("user", &user), Redirect::to("/")).into_response())
}

#[derive(serde::Deserialize)]
struct ChatRequest {
    message: String,
}

/// Asks as the user of this cookie. If the browser disconnects, this future is dropped; a refresh that was sent is
/// still saved.
async fn chat(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<ChatRequest>,
) -> Result<Json<serde_json::Value>, Refusal> {
    // Without a cookie this is an owner without a session.
    let owner = owner(cookie(&headers, "user").unwrap_or_default());
    let question = Question {
        model: app.model(&owner).await?,
        max_tokens: 4_096,
        system: Some("You are a helpful assistant.".into()),
        messages: vec![Message::user(request.message)],
        ..Question::default()
    };
    let response = app.client.chat(&owner, &question).await?.text().await?;
    Ok(Json(serde_json::json!({ "response": response })))
}

/// Deletes the session, and revokes it at the authorization server if that has a revocation endpoint.
async fn logout(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(user) = cookie(&headers, "user") {
        app.client.sign_out(&owner(user)).await?;
    }
    Ok((app.set_cookie("user", "; Max-Age=0"), StatusCode::NO_CONTENT).into_response())
}

impl App {
    /// Takes the pending sign-in of this browser that the query answers, whichever instance began it. Other queries
    /// leave it pending.
    async fn take_pending(&self, browser: &str, query: &str) -> Result<Option<AuthorizationRequest>, Refusal> {
        let owner = owner(browser);
        let Ok(callback) = Url::parse(&format!("http://localhost/?{query}")) else { return Ok(None) };
        for (_, state) in callback.query_pairs().filter(|(name, _)| name == "state") {
            let Some(attempt) = self.client.take_pending(&owner, &state).await? else { continue };
            if !matches!(attempt.judge(query), Verdict::NotOurs(_) | Verdict::Unclear(_)) {
                return Ok(Some(attempt));
            }
            self.client.keep_pending(&owner, &attempt, TIME_TO_SIGN_IN).await?;
        }
        Ok(None)
    }

    /// The configured model, or the first that this user may use.
    async fn model(&self, owner: &str) -> Result<String, Refusal> {
        let provider = self.client.provider();
        if let Some(model) = &provider.api.model {
            return Ok(model.clone());
        }
        let session = self.client.get_valid(owner).await?;
        let models = self.client.models(owner, session).await?;
        let first = models.into_iter().next().map(|model| model.id);
        first.ok_or_else(Refusal::no_model)
    }

    fn set_cookie(&self, name: &str, value: &str) -> [(header::HeaderName, String); 1] {
        [(header::SET_COOKIE, format!("{name}={value}; {}", self.cookie_attributes))]
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|sent| sent.to_str().ok());
    sent.flat_map(|sent| sent.split("; ")).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// A value for a cookie: 256 random bits.
fn random_text() -> Result<String, Refusal> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| Refusal::no_random_numbers())?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The owner of the session that a cookie opens: its hash, so that the database has no usable cookie, and no cookie can
/// name the owner of the command line's sessions, which is the empty text.
fn owner(cookie: &str) -> String {
    hex(&Sha256::digest(cookie))
}

/// An error as the browser gets it.
struct Refusal {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn no_such_sign_in() -> Self {
        let message = "this answers no sign-in that this browser began: start again".into();
        Self { status: StatusCode::BAD_REQUEST, reason: "no_such_sign_in", message }
    }

    fn no_random_numbers() -> Self {
        let message = "the operating system gave no random numbers".into();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, reason: "system", message }
    }

    fn no_model() -> Self {
        let message = "this account may use no model".into();
        Self { status: StatusCode::FORBIDDEN, reason: "no_model", message }
    }
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        let (reason, message) = (error.code(), error.to_string());
        let status = match (&error, error.class()) {
            (Error::SignIn(SignInError::Refused { .. }), _) => StatusCode::FORBIDDEN,
            (Error::SignIn(SignInError::CodeRefused { .. } | SignInError::IssuerMismatch { .. }), _) => {
                StatusCode::BAD_REQUEST
            }
            (Error::Api(ApiError::Declined { .. } | ApiError::ContextFull), _) => StatusCode::UNPROCESSABLE_ENTITY,
            (Error::Api(ApiError::Refused(_) | ApiError::AnswerCut { .. }), _) => StatusCode::BAD_GATEWAY,
            (_, ErrorClass::SignIn) => StatusCode::UNAUTHORIZED,
            (_, ErrorClass::Temporary) => StatusCode::SERVICE_UNAVAILABLE,
            // A fault of this application is for its log, not for its users.
            _ => {
                eprintln!("{error}");
                let message = "something is wrong with this application".into();
                return Self { status: StatusCode::INTERNAL_SERVER_ERROR, reason, message };
            }
        };
        Self { status, reason, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.reason, "message": self.message });
        (self.status, Json(body)).into_response()
    }
}
