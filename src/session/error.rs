//! Errors of a session.

use std::sync::Arc;
use std::time::Duration;

use super::failed_refresh::UnusableResponse;
use super::key::{KeyError, KeyOrigin};
use super::seal::SealError;
use crate::clean;
use crate::error_info::{ErrorClass, ErrorInfo, client, detail};
use crate::oauth::TokenFailure;
use crate::store::StoreError;
use crate::time;

/// An error of another module of this library. Shared, so that errors can be cloned.
pub(crate) type SharedError = Arc<dyn ErrorInfo + Send + Sync>;

/// Why there is no usable session.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No session is stored.
    #[error("not signed in to {provider}")]
    NotSignedIn {
        /// The provider's name.
        provider: String,
        /// The providers that the command line's owner (the empty one) is signed in to.
        others: Vec<String>,
    },
    /// The authorization server ended the session: it no longer accepts the refresh token.
    #[error(
        "the session with {provider} was ended by the server at {}{}",
        time::rfc3339(*at), why_ended(*cut_off, unusable.as_ref(), description)
    )]
    Ended {
        /// The provider's name.
        provider: String,
        /// When the server refused the refresh token, in Unix seconds.
        at: i64,
        /// When an earlier refresh was sent whose response was never saved, in Unix seconds. Most likely the server
        /// accepts only the token in that response.
        cut_off: Option<i64>,
        /// An earlier response without a usable token. Most likely the refresh token was used up for it.
        unusable: Option<UnusableResponse>,
        /// The server's message. Empty if it gave none.
        description: String,
    },
    /// The access token has expired or was rejected, and there is no refresh token.
    #[error("the access token {} and there is no refresh token", expired(*expired_at, *now))]
    NoRefreshToken {
        /// The provider's name.
        provider: String,
        /// When it expired, in Unix seconds.
        expired_at: i64,
        /// The time of the check, in Unix seconds.
        now: i64,
    },
    /// The session belongs to another client or server than the configuration names.
    #[error(
        "the session with {provider} belongs to {setting} `{bound}`, but the configuration now \
         names `{configured}`; the token was not sent"
    )]
    BoundElsewhere {
        /// The provider's name.
        provider: String,
        /// Which setting differs: `client_id`, `token_url`, `issuer` or `api_url`.
        setting: &'static str,
        /// What the session belongs to.
        bound: String,
        /// What the configuration names.
        configured: String,
    },
    /// The token endpoint issued no token, for a reason that may pass. The session is kept.
    #[error("the access token could not be refreshed: {host} {}; the session is kept", failure.description)]
    RefreshFailed {
        /// The provider's name.
        provider: String,
        /// The token endpoint's host.
        host: String,
        /// What happened.
        failure: TokenFailure,
    },
    /// The token endpoint refused to refresh the session, without saying that it has ended. The session is kept.
    #[error(
        "the access token could not be refreshed: {host} {}{}; the session is kept",
        failure.description, last_tried(*tried)
    )]
    RefreshRefused {
        /// The provider's name.
        provider: String,
        /// The token endpoint's host.
        host: String,
        /// What happened.
        failure: TokenFailure,
        /// How long ago, if no refresh was sent now because of an earlier refusal.
        tried: Option<Duration>,
    },
    /// No token came, and none is asked of a user. The next use tries again.
    #[error("no access token for {provider}: {host} {}{}", failure.description, last_tried(*tried))]
    NotFetched {
        /// The provider's name.
        provider: String,
        /// The grant, as the configuration names it, such as `token_command`.
        grant: &'static str,
        /// The token endpoint's host, or the command.
        host: String,
        /// What happened.
        failure: Box<TokenFailure>,
        /// How long ago, if no token was requested now because of an earlier failure.
        tried: Option<Duration>,
    },
    /// The authorization server does not know the client, or its authentication failed.
    #[error("{host} rejected {}{}", client(client_id), detail(description))]
    ClientRefused {
        /// The provider's name.
        provider: String,
        /// The client id as sent.
        client_id: String,
        /// The token endpoint's host.
        host: String,
        /// The server's message. Empty if it gave none.
        description: String,
    },
    /// The stored session cannot be decrypted with the key.
    #[error("{store}: the stored session cannot be decrypted with the key in {key}")]
    DoesNotOpen {
        /// The store, such as its path.
        store: String,
        /// Where the key is.
        key: KeyOrigin,
    },
    /// The session was moved to another store. It is not used here, because a refresh would end it there.
    #[error("the session with {provider} was moved to {to}")]
    Moved {
        /// The provider's name.
        provider: String,
        /// The name of the other store, without a password.
        to: String,
        /// Whether the move is finished. Then only a mark is left here, which a sign-in replaces and a sign-out
        /// deletes. Otherwise a token may be left here, or the one there cannot be used yet.
        is_finished: bool,
    },
    /// Sessions cannot be moved, because both names are of one store. Nothing was changed.
    #[error("{from} and {to} are the same store")]
    SameStore {
        /// The name of the store that they were to be moved from, without a password.
        from: String,
        /// The name of the store that they were to be moved to, without a password.
        to: String,
    },
    /// A session cannot be moved, because the other store has one of the same provider and owner. Nothing was moved.
    #[error("{store} already has another session with {provider}{}; it was not replaced", of_owner(owner))]
    Occupied {
        /// The provider's name.
        provider: String,
        /// The owner in the other store.
        owner: String,
        /// The name of the other store, without a password.
        store: String,
    },
    /// Sessions cannot be moved, because two of them would have the same place in the other store. Nothing was moved.
    #[error("two sessions with {provider} in {store} would be the session{} in the other store", of_owner(owner))]
    OwnerTaken {
        /// The provider's name.
        provider: String,
        /// The owner that both would have.
        owner: String,
        /// The name of the store that both are in, without a password.
        store: String,
    },
    /// Sessions cannot be moved, because the other store is used with another key. Nothing was moved.
    #[error("the sessions in {store} do not open with the keys of the other store, {key}")]
    OtherKey {
        /// The name of the store whose sessions do not open, without a password.
        store: String,
        /// Where the keys of the other store are.
        key: KeyOrigin,
    },
    /// The store cannot be read or written, or the session is locked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The session could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The session has no ID token that is still valid, and a refresh brought none (OpenID Connect Core, section 12.2).
    #[error("the session with {provider} has no valid ID token, and a refresh brought none")]
    NoIdToken {
        /// The provider's name.
        provider: String,
    },
    /// The request for a token could not be sent.
    #[error("{0}")]
    NotSent(SharedError),
    /// The task ended before its work was done, because the runtime shut down or the task panicked.
    #[error("the {0} was abandoned")]
    Abandoned(&'static str),
}

/// A refresh token that was lost explains the end better than the server's message, such as "token reuse detected".
fn why_ended(cut_off: Option<i64>, unusable: Option<&UnusableResponse>, description: &str) -> String {
    match (cut_off, unusable) {
        (Some(at), _) => {
            format!(", probably because a refresh at {} was cut off before its response was saved", time::rfc3339(at))
        }
        (None, Some(UnusableResponse { at, description })) => {
            format!(", probably because it {description} to a refresh at {}", time::rfc3339(*at))
        }
        (None, None) => detail(description),
    }
}

fn of_owner(owner: &str) -> String {
    if owner.is_empty() { String::new() } else { format!(" of the owner `{}`", clean::clean(owner)) }
}

fn last_tried(ago: Option<Duration>) -> String {
    ago.map_or_else(String::new, |ago| format!(" (last tried {} ago)", time::span(time::rounded_up(ago))))
}

fn expired(expired_at: i64, now: i64) -> String {
    // The API rejected it, or the clock was set back.
    match expired_at > now {
        true => "is no longer valid".to_owned(),
        false => format!("expired {} ago", time::span(now.saturating_sub(expired_at))),
    }
}

impl ErrorInfo for SessionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotSignedIn { .. } => "not_signed_in",
            Self::Ended { .. } => "session_ended",
            Self::NoRefreshToken { .. } => "no_refresh_token",
            Self::NoIdToken { .. } => "no_id_token",
            Self::BoundElsewhere { .. } => "session_elsewhere",
            Self::RefreshFailed { .. } => "refresh_failed",
            Self::RefreshRefused { .. } => "refresh_refused",
            Self::NotFetched { .. } => "no_token",
            Self::ClientRefused { .. } => "invalid_client",
            Self::DoesNotOpen { .. } => "store",
            Self::Moved { .. } => "session_moved",
            Self::SameStore { .. } => "same_store",
            Self::Occupied { .. } => "store_occupied",
            Self::OwnerTaken { .. } => "owner_taken",
            Self::OtherKey { .. } => "other_key",
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::NotSent(error) => error.code(),
            Self::Seal(_) | Self::Abandoned(_) => "system",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NotSignedIn { .. }
            | Self::Ended { .. }
            | Self::NoRefreshToken { .. }
            | Self::NoIdToken { .. }
            | Self::RefreshRefused { .. }
            | Self::BoundElsewhere { .. } => ErrorClass::SignIn,
            Self::RefreshFailed { failure, .. } if failure.temporary => ErrorClass::Temporary,
            Self::NotFetched { failure, .. } if failure.temporary => ErrorClass::Temporary,
            Self::NotFetched { .. } => ErrorClass::SignIn,
            Self::ClientRefused { .. }
            | Self::Moved { .. }
            | Self::SameStore { .. }
            | Self::Occupied { .. }
            | Self::OwnerTaken { .. }
            | Self::OtherKey { .. } => ErrorClass::Configuration,
            Self::Store(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::NotSent(error) => error.class(),
            Self::RefreshFailed { .. } | Self::DoesNotOpen { .. } | Self::Seal(_) | Self::Abandoned(_) => {
                ErrorClass::Permanent
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RefreshFailed { failure, .. } | Self::RefreshRefused { failure, .. } => failure.retry_after,
            Self::NotFetched { failure, .. } => failure.retry_after,
            Self::NotSent(error) => error.retry_after(),
            _ => None,
        }
    }
}
