//! Where a new access token comes from. The refresh algorithm knows only [`TokenSource`]; each source is one file.

mod refresh_token;

use crate::oauth::TokenFailure;
use crate::oauth::TokenResponse;
use crate::session::error::SharedError;
use crate::session::stored::{Session, StoredSession};
use crate::store::BoxFuture;

pub(crate) use refresh_token::RefreshTokenSource;

/// Where a new access token comes from.
pub(crate) trait TokenSource: Send + Sync {
    /// Whether it can renew this session.
    fn can_renew(&self, session: &Session) -> bool;

    /// Requests the next token. Called while the session is locked, after "refresh in flight" was committed.
    fn next_token<'a>(&'a self, stored: &'a StoredSession) -> BoxFuture<'a, Result<TokenResponse, SourceError>>;
}

/// Why a source gave no token.
#[derive(Debug)]
pub(crate) struct SourceError {
    /// What became of the credential that was sent.
    pub fate: Fate,
    /// What happened, for the processes that wait.
    pub failure: TokenFailure,
    /// Whether the client itself was refused; the server's own words.
    pub client_refused: Option<String>,
}

/// What became of the credential. A refresh token may be single-use, so the difference matters.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// Nothing was sent, for a reason that a retry does not change.
    NotSent(SharedError),
    /// The server was not reached: the credential is as good as before.
    NotReached,
    /// The server may have spent it: the answer was lost or unusable.
    InDoubt,
    /// The server refused, and may accept it later.
    Refused,
    /// The server will never accept it again: the session is over.
    Ended,
}
