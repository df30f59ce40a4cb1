//! The sources of new access tokens, one file each. The refresh algorithm uses them through [`TokenSource`].

mod command;
mod refresh_token;
mod without_user;

use std::sync::Arc;

use crate::assertion::Assertion;
use crate::oauth::{TokenError, TokenFailure, TokenResponse, is_client_error, with_note};
use crate::session::error::SharedError;
use crate::session::stored::{Session, SessionBinding, StoredSession};
use crate::store::BoxFuture;

pub(crate) use command::CommandSource;
pub(crate) use refresh_token::RefreshTokenSource;
pub(crate) use without_user::WithoutUserSource;

/// A source of new access tokens.
pub(crate) trait TokenSource: Send + Sync {
    /// The binding of a session that it begins without a user. `None` if a user has to sign in first.
    ///
    /// Such a session is stored before it has a token, is replaced if its settings have changed, and never ends: each
    /// request has a new credential.
    fn binding(&self) -> Option<SessionBinding> {
        None
    }

    /// Whether it can renew this session.
    fn can_renew(&self, session: &Session) -> bool {
        session.binding.settings.is_some()
    }

    /// What messages call the place where the tokens come from, such as the token endpoint's host.
    fn name(&self, binding: &SessionBinding) -> String {
        binding.host()
    }

    /// Does what must be done before the session is locked, such as refreshing another session whose token is
    /// exchanged.
    fn prepare(&self) -> BoxFuture<'_, Result<(), SharedError>> {
        Box::pin(async { Ok(()) })
    }

    /// Requests a new token. The session is locked, and the refresh in flight is recorded.
    fn next_token<'a>(&'a self, stored: &'a StoredSession) -> BoxFuture<'a, Result<TokenResponse, SourceError>>;
}

/// A session with another provider, whose tokens are assertions.
pub(crate) trait OtherSession: Send + Sync {
    /// Makes sure that its token is valid. Locks that session, and refreshes it if necessary.
    fn refresh(&self) -> BoxFuture<'_, Result<(), SharedError>>;

    /// Its token, as it is stored.
    fn token(&self) -> BoxFuture<'_, Result<Assertion, SharedError>>;
}

/// Why a source returned no token.
#[derive(Debug)]
pub(crate) struct SourceError {
    /// Whether the credential is still valid.
    pub credential: CredentialState,
    /// What happened, for the processes that wait for the same refresh.
    pub failure: TokenFailure,
    /// The server's message if it refused the client itself.
    pub client_refused: Option<String>,
}

/// What is known about the credential after a failed request. A refresh token may be single-use.
#[derive(Debug, Clone)]
pub(crate) enum CredentialState {
    /// It was not sent, and a retry does not help.
    NotSent(SharedError),
    /// The server was unreachable, so it is valid.
    NotReceived,
    /// The response was lost, so the server may have used it up.
    Unknown,
    /// The response came and has no usable token. The server may have used the credential up.
    Unusable,
    /// The server refused the request but may accept the credential later.
    Valid,
    /// The server no longer accepts it: the session has ended. With the server's message, which may be empty.
    Invalid(String),
}

impl From<TokenError> for SourceError {
    fn from(error: TokenError) -> Self {
        let failure = error.failure();
        let is_final = error.is_final();
        let (credential, client_refused) = match error {
            TokenError::NotSent(error) => (CredentialState::NotSent(Arc::new(error)), None),
            TokenError::NoAssertion(error) => (CredentialState::NotSent(Arc::new(error)), None),
            TokenError::Unreachable(_) => (CredentialState::NotReceived, None),
            TokenError::ResponseLost { status: None, .. } | TokenError::TimedOut(_) => (CredentialState::Unknown, None),
            TokenError::ResponseLost { .. } | TokenError::InvalidResponse(_) => (CredentialState::Unusable, None),
            TokenError::Refused { error, description, assertion, .. } => {
                let description = with_note(&description, assertion.as_deref());
                match is_final {
                    true => (CredentialState::Invalid(description), None),
                    false => (CredentialState::Valid, is_client_error(&error).then_some(description)),
                }
            }
        };
        Self { credential, failure, client_refused }
    }
}
