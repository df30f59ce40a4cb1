//! The room that joins a session with the API: "ask this, as that person". The library's front door.
//!
//! A web application makes one [`Accounts`] per provider and calls, for each of its users (the
//! *owner*, any text that names one):
//!
//! 1. [`Accounts::authorization_url`], sends the browser to [`AuthorizationRequest::url`](crate::oauth::AuthorizationRequest::url) and files the attempt
//!    where only this browser leads to it;
//! 2. [`Accounts::exchange_code`] with the query that came to the redirect URI;
//! 3. [`Accounts::chat`], as often as it likes. The token is renewed when it has to be, once for
//!    all that wait for it, and [`Accounts::get_valid`] and [`Accounts::refresh`] are there for
//!    those who talk to the API themselves. A service that is busy is asked again, as
//!    [`RetryPolicy`] says; [`Accounts::with_retry_policy`] sets another one.
//!
//! Here at the sandbox, which needs nothing configured and no network:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nexus::internal::provider::Client;
//! use nexus::sandbox::{Endpoint, Sandbox, Settings};
//! use nexus::{Accounts, Folders, Message, Provider, Question};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(Settings::default()).await?;
//! let provider = Provider::named("sandbox")
//!     .with_client(Client::public("sandbox-client"))
//!     .with_redirect_uri("http://127.0.0.1:8080/callback")
//!     .with_authorize_url(&sandbox.url(Endpoint::Authorize))?
//!     .with_token_url(&sandbox.url(Endpoint::Token))?
//!     .with_api_url(&sandbox.origin())?;
//! let home = tempfile::tempdir()?;
//! let notice = Arc::new(|sentence: &str| eprintln!("{sentence}"));
//! let accounts = Accounts::new(provider, &Folders::under(home.path()), nexus::now, notice);
//!
//! // GET /login: keep the attempt for this browser, and redirect it to `attempt.url()`.
//! let attempt = accounts.authorization_url()?;
//! # let came_back = Sandbox::approve(attempt.url().as_str()).await?;
//! # let query = came_back.split_once('?').map_or("", |(_, query)| query);
//!
//! // GET /callback?code=...&state=...: `query` is what stands behind the question mark.
//! let session = accounts.exchange_code("ada", attempt, query).await?;
//! assert_eq!(session.account(), Some("you@sandbox.example"));
//!
//! // POST /chat
//! let question = Question::new("sandbox-large", [Message::user("Hello!")]);
//! let mut answer = accounts.chat("ada", &question).await?;
//! assert!(answer.text().await?.starts_with("You said: Hello!"));
//!
//! // Before the program ends.
//! accounts.settled().await;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/web_app.rs` is a whole application. The command line does the same with an empty owner,
//! so a web application that shares its folders must never name a user by an empty text.
//!
//! The futures are [`Send`], want a tokio runtime with its I/O and time enabled, and may be dropped at
//! any point: what has been sent is saved all the same. Failures name their status for a browser by
//! [`Failure::reason`] and [`Failure::exit_code`] (4 asks for a sign-in, 75 for patience).

use std::sync::Arc;

use crate::api::{ApiError, RetryPolicy};
use crate::failure::{Failure, Result};
use crate::http::Http;
use crate::provider::Provider;
use crate::session::key::Keeping;
use crate::session::renew::{self, Clock, Notice, Renewal};
use crate::session::{Key, Need, Session};

mod ask;
mod folders;
mod models;
mod sign_in;
mod sign_out;
mod tries;

pub use folders::Folders;
pub use sign_out::{Revocation, SignedOut};

/// One provider's accounts. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Accounts {
    /// Keeps the sessions alive.
    pub renewal: Renewal,
    /// When a question is asked again.
    pub retry_policy: RetryPolicy,
}

impl Accounts {
    /// The accounts of this provider, kept under these folders, the key to them in a file unless
    /// [`keeping`](Self::keeping) says otherwise. Nothing is read, made or contacted yet;
    /// [`prove_writable`](Self::prove_writable) tells whether the folders will do.
    ///
    /// `clock` gives Unix seconds, as [`now`](crate::now) does; `notice` is told of waiting and of
    /// trouble that needs no answer, and belongs into a log.
    pub fn new(provider: Provider, folders: &Folders, clock: Clock, notice: Notice) -> Self {
        Self {
            renewal: Renewal {
                vault: folders.vault().telling(notice.clone()).naming(&provider.name),
                http: Arc::new(Http::default()),
                provider: Arc::new(provider),
                clock,
                notice,
                flights: Arc::default(),
            },
            retry_policy: RetryPolicy::default(),
        }
    }

    /// The same accounts, the key to their sessions kept in another way than in a file.
    ///
    /// This says where a key that is made goes, and where the passphrase of a wrapped one comes
    /// from; a key that exists is used wherever it is, and `nexus key move` moves it.
    #[must_use]
    pub fn keeping(mut self, keeping: Keeping) -> Self {
        self.renewal.vault = self.renewal.vault.keeping(keeping);
        self
    }

    /// The provider.
    pub fn provider(&self) -> &Provider {
        &self.renewal.provider
    }

    /// A session whose access token is good for a request that is about to be made, refreshed first
    /// if it has to be.
    ///
    /// # Errors
    /// [`Failure::NotSignedIn`], [`Failure::SessionEnded`], [`Failure::NoRefreshToken`] and
    /// [`Failure::SessionElsewhere`] ask for a sign-in, [`Failure::RefreshFailed`] and
    /// [`Failure::Busy`] for patience; [`Failure::Store`] and
    /// [`Failure::ClientRefused`] want somebody to mend something.
    pub async fn get_valid(&self, owner: &str) -> Result<Session> {
        self.renewal.serve(&self.key(owner), Need::Request).await
    }

    /// A session that has been refreshed, by this call or by another since.
    ///
    /// # Errors
    /// As [`get_valid`](Self::get_valid).
    pub async fn refresh(&self, owner: &str) -> Result<Session> {
        let key = self.key(owner);
        // Not `get_valid`: it would refresh an expired token, and that one would be refreshed again.
        let seen = self.renewal.look_aside(&key).await?;
        self.renewal.serve_after(&key, Need::OtherThan(seen.generation), seen).await
    }

    /// The stored session, without the network. It reads the disk and so may block for a moment, as
    /// do [`peek`](Self::peek) and [`prove_writable`](Self::prove_writable).
    ///
    /// # Errors
    /// Not signed in, ended, made elsewhere, or a store that cannot be read.
    pub fn look(&self, owner: &str) -> Result<Session> {
        self.renewal.look(&self.key(owner))
    }

    /// The stored session whatever its state, without the network; none if there is none.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn peek(&self, owner: &str) -> Result<Option<Session>> {
        self.renewal.vault.look(&self.key(owner))
    }

    /// The providers that the command line is signed in to, whichever this one is.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn signed_in(&self) -> Result<Vec<String>> {
        self.renewal.vault.providers()
    }

    /// A session that serves this need as far as the server makes such, from one that was looked at.
    ///
    /// # Errors
    /// As [`get_valid`](Self::get_valid).
    pub async fn serve(&self, owner: &str, need: Need, seen: Session) -> Result<Session> {
        self.renewal.serve_after(&self.key(owner), need, seen).await
    }

    /// Makes sure that a session could be stored, before anybody is asked to approve one.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn prove_writable(&self) -> Result<()> {
        self.renewal.vault.prove_sound()?;
        self.renewal.vault.prove_writable()
    }

    // Two steps instead of one function that is handed the work: a future that holds somebody
    // else's async closure is not `Send` for every lifetime, so no web framework would take it.

    async fn serving(&self, owner: &str, seen: Session) -> Result<Session> {
        match seen.serves(Need::Request, (self.renewal.clock)()) {
            true => {
                self.renew_ahead(owner, &seen);
                Ok(seen)
            }
            false => self.renewal.serve_after(&self.key(owner), Need::Request, seen).await,
        }
    }

    /// Renews a token that still serves but is near its end, beside the request that uses it. What goes
    /// wrong is left for the request that needs it; [`settled`](Self::settled) waits for it.
    fn renew_ahead(&self, owner: &str, seen: &Session) {
        if !seen.refreshable || seen.serves(Need::Ahead, (self.renewal.clock)()) {
            return;
        }
        let (renewal, key, flight) = (self.renewal.clone(), self.key(owner), self.renewal.fly());
        tokio::spawn(async move {
            let _ = renewal.serve(&key, Need::Ahead).await;
            drop(flight);
        });
    }

    /// The session to try with after the API rejected this one's token: refreshed, unless another call has refreshed
    /// it meanwhile.
    async fn after_rejection(&self, owner: &str, session: Session, rejection: ApiError) -> Result<Session> {
        if !session.refreshable {
            // The owner may have signed in again meanwhile.
            let now = self.renewal.look_aside(&self.key(owner)).await?;
            return if now.generation == session.generation { Err(self.rejected_afresh(rejection)) } else { Ok(now) };
        }
        let need = Need::OtherThan(session.generation);
        self.renewal.serve_after(&self.key(owner), need, session).await
    }

    /// The error if there is no fresher token than the one that was rejected.
    fn rejected_afresh(&self, error: ApiError) -> Failure {
        match error {
            ApiError::Refused(refusal) if refusal.is_unauthorized() => {
                ApiError::TokenRejected { provider: self.provider().name.clone(), refusal }.into()
            }
            other => other.into(),
        }
    }

    /// Waits until no refresh or sign-in of these accounts is between "sent" and "saved". A program
    /// awaits this before it lets its runtime go: the new tokens live nowhere else until then.
    pub async fn settled(&self) {
        renew::settled(&self.renewal.flights).await;
    }

    /// The key of this owner's session.
    pub fn key(&self, owner: &str) -> Key {
        Key { provider: self.provider().name.to_string(), owner: owner.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Question;

    fn is_send<T: Send>(_: T) {}

    /// Compiled, not run: a web framework takes no handler whose future is not `Send`.
    #[expect(dead_code, reason = "that it compiles is the test")]
    fn a_handler_may_await_all_of_it(accounts: &Accounts, owner: &str, question: &Question, seen: fn() -> Session) {
        is_send(async move { accounts.chat(owner, question).await });
        is_send(async move { accounts.ask(owner, seen(), question).await });
        is_send(async move { accounts.models(owner, seen()).await });
        is_send(async move { accounts.get_valid(owner).await });
        is_send(async move { accounts.refresh(owner).await });
        is_send(async move { accounts.exchange_code(owner, accounts.authorization_url()?, "").await });
        is_send(async move { accounts.sign_out(owner).await });
        is_send(accounts.settled());
    }
}
