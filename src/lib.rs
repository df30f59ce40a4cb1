//! Sign a user in once with OAuth, keep the session alive, and use Claude without an API key.
//!
//! [`Client`] is the entry point: one for each provider (an authorization server and the API that its tokens are good
//! for), for any number of users. It signs users in with the authorization code flow and PKCE (RFC 6749, RFC 7636) or
//! with a code for another device (RFC 8628), keeps their sessions sealed in a store, refreshes each session once
//! however many tasks and processes need it, and streams answers.
//!
//! # Example
//!
//! It talks to the [`sandbox`] (feature `sandbox`), an authorization server and API on loopback:
//!
//! ```
//! use std::sync::Arc;
//!
//! use nexus::sandbox::{Endpoint, Sandbox, Settings};
//! use nexus::{Client, Folders, Message, Notice, OAuthClient, ProviderConfig, Question};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(Settings::default()).await?;
//! let provider = ProviderConfig::named("sandbox")
//!     .with_client(OAuthClient::public("sandbox-client"))
//!     .with_redirect_uri("http://127.0.0.1:8080/callback")
//!     .with_authorize_url(&sandbox.url(Endpoint::Authorize))?
//!     .with_token_url(&sandbox.url(Endpoint::Token))?
//!     .with_api_url(&sandbox.origin())?;
//! let home = tempfile::tempdir()?;
//! let notice = Arc::new(|notice: &Notice| eprintln!("{notice}"));
//! let client = Client::new(provider, &Folders::under(home.path()), nexus::now, notice);
//!
//! // GET /login: keep the request for this browser, and redirect it to `request.url()`.
//! let request = client.authorization_url().await?;
//! # let redirect = Sandbox::approve(request.url().as_str()).await?;
//! # let query = redirect.split_once('?').map_or("", |(_, query)| query);
//!
//! // GET /callback?code=...&state=...: `query` is the query string.
//! let session = client.exchange_code("ada", request, query).await?;
//! assert_eq!(session.account(), Some("you@sandbox.example"));
//!
//! // POST /chat
//! let question = Question::new("sandbox-large", [Message::user("Hello!")]);
//! let mut answer = client.chat("ada", &question).await?;
//! assert!(answer.text().await?.starts_with("You said: Hello!"));
//!
//! // Before the program ends: tokens that were requested must be saved.
//! client.wait_for_saves().await;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/stream.rs` streams an answer, `examples/web_app.rs` is a web application with a session for each user.
//!
//! # Users
//!
//! An *owner* is any text that names a user, such as an id of your own. The command line uses the empty text, so a
//! program that shares its folders must not. A request that is begun in one process can be finished in another
//! ([`Client::keep_pending`], [`Client::take_pending`]). Without a client of your own, [`Client::begin_sign_in`]
//! registers one where the server allows that ([`ProviderConfig::with_registration_url`]).
//!
//! # Stores
//!
//! | store | for |
//! |---|---|
//! | [`store::SqliteStore`] (feature `sqlite`) | one machine, any number of processes; [`Client::new`] uses it |
//! | `store::PostgresStore` (feature `postgres`) | any number of machines; one of them at a time refreshes a session |
//! | [`store::MemoryStore`] | tests, and a single process that may forget its sessions |
//! | your own [`store::SessionStore`] | anything else; [`store::conformance`] checks that it keeps the contract |
//!
//! Sessions are sealed above the store ([`SealedSessions`]), so a store sees only opaque records. The key is in a file,
//! optionally wrapped with a passphrase, in the system's keyring (feature `keyring`), or printed by a program; see
//! [`key::KeyConfig`]. [`SealedSessions::activate_key`] and [`SealedSessions::reseal`] replace it while the store is in
//! use.
//!
//! # Other programs
//!
//! [`LocalProxy`] lets programs that take only a base URL and a static key use a session, on this machine.
//!
//! # Errors and notices
//!
//! Every error implements [`ErrorInfo`]: a stable [code](ErrorInfo::code) for programs, and a [class](ErrorClass) that
//! says what to do. A [`Notice`] reports an event for a log, such as a wait for another process. Neither contains a
//! secret or an owner.
//!
//! # Runtime
//!
//! The futures are [`Send`] and need a tokio runtime with I/O and time enabled. Dropping one loses no token: a
//! requested token is saved anyway.

mod api;
mod assertion;
mod clean;
mod client;
mod credential_command;
mod error_info;
mod html;
mod http;
mod invisible;
mod local_proxy;
mod loopback;
mod oauth;
mod private_fs;
mod provider;
mod redact;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod secret;
mod session;
pub mod store;
mod time;
mod trusted_file;

#[doc(inline)]
pub use api::{
    Answer, AnswerMeta, Delta, Message, Model, Ordered, Part, ProgressEvent, ProgressFn, Question, Retry, RetryPolicy,
    Role, Usage,
};
#[doc(inline)]
pub use assertion::{AssertionSource, ClientAssertion};
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use client::Folders;
#[doc(inline)]
pub use client::{Client, Error, Revocation, SignedOut};
#[doc(inline)]
pub use credential_command::CredentialCommand;
pub use error_info::{ErrorClass, ErrorInfo};
#[doc(inline)]
pub use local_proxy::{ErrorTextFn, LocalProxy};
#[doc(inline)]
pub use oauth::{
    ApiAnswer, AuthorizationRequest, ClientPlace, DeviceAuthorization, Found, Probe, ProtectedResource,
    RegisteredClient, ServerMetadata, Verdict,
};
#[doc(inline)]
pub use provider::{
    Api, AssertionFrom, ClientAuth, Dialect, Encoding, FromMetadata, Grant, OAuthClient, ProviderConfig, Registration,
    RequestStyle, SessionToken, Tls, TokenCommand, TokenExchange, Url,
};
#[doc(inline)]
pub use secret::{
    AccessToken, AssertionText, AuthorizationCode, ClientSecret, HeaderSecret, IdTokenText, ProxyKey,
    RegistrationToken, Secret,
};
#[doc(inline)]
pub use session::{
    EarlierSession, Freshness, MovedSessions, Notice, NoticeFn, SealedSessions, Session, SessionBinding,
};
pub use time::now;

/// The errors of the parts of the library. [`Error`] joins them.
pub mod error {
    #[doc(inline)]
    pub use crate::api::{ApiError, Refusal, RefusalReason};
    #[doc(inline)]
    pub use crate::assertion::AssertionError;
    #[doc(inline)]
    pub use crate::credential_command::CommandError;
    #[doc(inline)]
    pub use crate::http::{CertificateProblem, HttpError, ProxyRefusal};
    #[doc(inline)]
    pub use crate::local_proxy::LocalProxyError;
    #[doc(inline)]
    pub use crate::oauth::{DiscoveryError, IdTokenProblem, MetadataError, SignInError, TokenFailure};
    #[doc(inline)]
    pub use crate::provider::{ProviderError, TlsError};
    #[doc(inline)]
    pub use crate::session::key::KeyError;
    #[doc(inline)]
    pub use crate::session::{SessionError, UnusableResponse};
    pub use crate::trusted_file::{Fault, Subject, Untrusted};
}

/// The keys that seal the sessions: in a file, wrapped with a passphrase, in the operating system's keyring, or printed
/// by a program.
pub mod key {
    #[doc(inline)]
    pub use crate::session::key::{
        KeyBackend, KeyConfig, KeyLocation, KeyOrigin, KeyWait, Keystore, Moved, NewKey, PassphraseSource, Retired,
        ValueCount,
    };
    #[doc(inline)]
    pub use crate::session::{KeyUse, Resealed};
}

/// Items for the command line, the tests and the fuzz targets. Not part of the public interface.
#[doc(hidden)]
pub mod internal {
    pub mod api {
        pub use crate::api::{SILENCE, replay, resource_url, sse};
    }
    pub mod client {
        pub use crate::client::Reached;
    }
    pub mod clean {
        pub use crate::clean::{Lines, clean, visible, visible_json};
    }
    pub mod invisible {
        pub use crate::invisible::{inside, shown, trim};
    }
    pub mod http {
        pub use crate::http::{Http, Roots, Trace};
    }
    pub mod loopback {
        pub use crate::loopback::is_for_this_host;
    }
    pub mod oauth {
        pub use crate::oauth::{
            AUTHORIZATION_PARAMETERS, RedirectListener, ResponseSender, TOKEN_REQUEST_FIELDS, TokenResponse, account,
            answer_of_api, base_of, page, pkce, search,
        };
    }
    pub mod private_fs {
        pub use crate::private_fs::{ClosedFn, Privacy, create, survive_file_limit, sync_folder};
    }
    pub mod provider {
        pub use crate::provider::{
            ANT, BUILT_IN, FEDERATION, PLATFORM, endpoint_url, host, is_loopback, not_a_resource, without_query,
        };
    }
    pub mod secret {
        pub use crate::secret::{RefreshToken, Verifier};
    }
    pub mod session {
        pub use crate::session::{PendingSaves, SealError, StoreTime};
    }
    #[cfg(feature = "sqlite")]
    pub mod store {
        pub use crate::store::database;
    }
    pub mod time {
        pub use crate::time::*;
    }
    pub mod trusted_file {
        pub use crate::trusted_file::read;
    }
}
