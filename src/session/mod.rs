//! Sessions: what a sign-in leaves behind, how it is sealed, and how it stays alive.
//!
//! A [`SealedSessions`] joins a [store](crate::store) with the key. [`Refresher`] answers with a session whose access
//! token is fresh enough, and renews it from a [`TokenSource`] if it is not. The refresh token is readable only through
//! a [`LockedSession`].

mod error;
mod failed_refresh;
mod freshness;
pub mod key;
#[cfg(feature = "sqlite")]
mod legacy;
mod notice;
mod pending_saves;
mod record;
mod refresh;
mod seal;
mod sealed;
pub mod source;
mod stored;

pub use crate::store::SessionKey;
pub use error::{SessionError, SharedError};
pub use failed_refresh::FailedRefresh;
pub use freshness::Freshness;
pub use notice::{EarlierSession, Notice, NoticeFn};
pub use pending_saves::{PendingSave, PendingSaves};
pub use refresh::Refresher;
pub use seal::SealError;
pub use sealed::{LockedLoad, LockedSession, SealedSessions};
pub use source::{RefreshTokenSource, TokenSource};
pub use stored::{Session, SessionBinding, StoreTime, StoredSession};
