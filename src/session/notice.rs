//! Notices: events for a program's log.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::SessionError;
use super::key::KeyWait;
use crate::oauth::TokenFailure;
use crate::private_fs::ClosedFn;
use crate::time;

/// An event for a log. It contains no secret and no owner. `Display` gives a sentence.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice {
    /// Another process or task is refreshing the session. The call waits for it.
    WaitingForOtherProcess,
    /// The store takes long to answer. The call waits for it.
    WaitingForStore {
        /// The store, without a password.
        store: String,
    },
    /// Opening the key takes long. The call waits for it.
    WaitingForKey(KeyWait),
    /// The token endpoint issued no token; the old token is used.
    NotRefreshed {
        /// The token endpoint's host.
        host: String,
        /// What happened.
        failure: TokenFailure,
        /// How long the old token is valid, if known.
        left: Option<Duration>,
    },
    /// The token was not refreshed, because the result could not be saved; the old token is used.
    NotWritable {
        /// Why it could not be saved.
        error: SessionError,
    },
    /// The token was refreshed, and the result could not be saved. The session is lost with the next refresh or the
    /// end of this process.
    NotSaved {
        /// Why it could not be saved.
        error: SessionError,
    },
    /// This machine's clock differs from the server's by more than five minutes.
    ClockDiffers {
        /// The server.
        host: String,
        /// By how much.
        by: Duration,
        /// Whether this machine's clock is ahead.
        ahead: bool,
    },
    /// The list of models could not be saved with the session.
    ModelsNotKept {
        /// Why not.
        error: SessionError,
    },
    /// The server issued no refresh token, although the scope `offline_access` was requested (OpenID Connect Core,
    /// section 11).
    NoRefreshToken {
        /// The provider's name.
        provider: String,
        /// The server.
        host: String,
        /// Whether the server was asked to let the user consent (`prompt`), as many servers require.
        consent_asked: bool,
    },
    /// The server sent no ID token, although the scope `openid` was requested.
    NoIdToken {
        /// The server.
        host: String,
    },
    /// The UserInfo endpoint did not name the account.
    NotNamed {
        /// The server.
        host: String,
        /// What it did, as the end of a sentence that begins with its host.
        description: String,
    },
    /// The name of the account could not be saved with the session.
    NameNotKept {
        /// Why not.
        error: SessionError,
    },
    /// The token endpoint did not say whether the user has approved the device code. It is asked again.
    NotPolled {
        /// The server.
        host: String,
        /// What it did.
        failure: TokenFailure,
        /// The time until then.
        pause: Duration,
    },
    /// A file or folder was open to other users and was made private.
    PermissionsClosed {
        /// The file or folder.
        path: PathBuf,
        /// The mode it had, such as `0o644`.
        mode: u32,
    },
    /// A sign-in replaced a session.
    EarlierSession {
        /// The provider's name.
        provider: String,
        /// The host that revokes or issued its tokens.
        host: String,
        /// What became of the earlier session.
        end: EarlierSession,
    },
    /// A request to the API is sent again.
    Retrying {
        /// The failure, the wait and the number of the retry.
        description: String,
    },
}

/// What became of a session that a sign-in replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlierSession {
    /// It was revoked.
    Revoked,
    /// The server did not revoke it. The text completes a sentence that begins with the host.
    NotRevoked(String),
    /// The provider has no revocation endpoint.
    NoEndpoint,
    /// The configuration says not to revoke it.
    KeptByConfiguration,
    /// It was not revoked, because that might have revoked the new session too.
    PerhapsShared,
}

/// Receives notices.
pub type NoticeFn = Arc<dyn Fn(&Notice) + Send + Sync>;

/// How long a wait takes before a notice says so.
const WAIT_BEFORE_NOTICE: Duration = Duration::from_secs(1);

/// Does work. Sends a notice if it takes longer than a second.
pub(super) async fn noticed<T>(notice: &NoticeFn, work: impl Future<Output = T>, about: impl FnOnce() -> Notice) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(WAIT_BEFORE_NOTICE) => {
            notice(&about());
            work.await
        }
    }
}

impl Notice {
    /// Reports closed files as notices.
    pub fn of_closed_files(notice: NoticeFn) -> ClosedFn {
        Arc::new(move |path: &Path, mode| notice(&Self::PermissionsClosed { path: path.to_owned(), mode }))
    }

    /// A notice if the server's `Date` and this machine's clock differ by more than five minutes. Both are in Unix
    /// seconds.
    pub fn of_clocks(date: Option<i64>, now: i64, host: &str) -> Option<Self> {
        const TOLERATED: Duration = Duration::from_secs(300);
        let ahead = now.saturating_sub(date?);
        let by = Duration::from_secs(ahead.unsigned_abs());
        (by > TOLERATED).then(|| Self::ClockDiffers { host: host.to_owned(), by, ahead: ahead > 0 })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForOtherProcess => {
                f.write_str("waiting for another nexus process that is refreshing this session")
            }
            Self::WaitingForStore { store } => write!(f, "waiting for the session store {store}"),
            Self::WaitingForKey(wait) => wait.fmt(f),
            Self::NotRefreshed { host, failure, left } => {
                write!(f, "the token was not refreshed ({host} {}); using the old token", failure.description)?;
                left.map_or(Ok(()), |left| write!(f, ", valid for {}", time::span(time::rounded_up(left))))
            }
            Self::NotWritable { error } => {
                write!(f, "the token was not refreshed, because the result could not be saved: {error}")
            }
            Self::NotSaved { error } => write!(
                f,
                "the refreshed session could not be saved and is lost with the next refresh or the end of this \
                 process: {error}"
            ),
            Self::ClockDiffers { host, by, ahead } => {
                let way = if *ahead { "ahead of" } else { "behind" };
                let by = time::span(time::rounded_up(*by));
                write!(f, "this machine's clock is {by} {way} that of {host}; displayed times are wrong by as much")
            }
            Self::ModelsNotKept { error } => write!(f, "the list of models could not be saved: {error}"),
            Self::NoRefreshToken { host, consent_asked, .. } => {
                write!(f, "{host} issued no refresh token, although `offline_access` was requested")?;
                if *consent_asked { Ok(()) } else { f.write_str("; many servers require the prompt `consent`") }
            }
            Self::NoIdToken { host } => {
                write!(f, "{host} sent no ID token, although `openid` was requested; it may not support OpenID Connect")
            }
            Self::NotNamed { host, description } => {
                write!(f, "the name of the account is not known: {host} {description}")
            }
            Self::NameNotKept { error } => write!(f, "the name of the account could not be saved: {error}"),
            Self::NotPolled { host, failure, pause } => {
                let pause = time::span(time::rounded_up(*pause));
                write!(f, "{host} {}; asking again in {pause}", failure.description)
            }
            Self::PermissionsClosed { path, mode } => {
                write!(f, "{} was open to other users (mode {mode:o}); it is private now", path.display())
            }
            Self::EarlierSession { host, end: EarlierSession::Revoked, .. } => {
                write!(f, "the earlier session was revoked at {host}")
            }
            Self::EarlierSession { host, end, .. } => {
                write!(f, "the earlier session stays valid at {host} until it expires")?;
                match end {
                    EarlierSession::NotRevoked(description) => write!(f, ": not revoked, {host} {description}"),
                    EarlierSession::NoEndpoint => f.write_str(": this provider has no revocation endpoint"),
                    EarlierSession::KeptByConfiguration => f.write_str(", as `revoke_replaced` says"),
                    EarlierSession::PerhapsShared => {
                        f.write_str("; set `revoke_replaced` if this server keeps sign-ins apart")
                    }
                    EarlierSession::Revoked => Ok(()),
                }
            }
            Self::Retrying { description } => f.write_str(description),
        }
    }
}
