//! Sessions: how they are sealed, stored and refreshed.
//!
//! [`SealedSessions`] combines a [store](crate::store) with the key. [`Refresher`] returns a session whose access token
//! is fresh enough, with a new token of a [`source::TokenSource`] if necessary. The refresh token is readable only
//! through a [`LockedSession`].

mod error;
mod failed_refresh;
mod freshness;
pub(crate) mod key;
#[cfg(feature = "sqlite")]
mod legacy;
mod moves;
mod notice;
mod pages;
mod pending_saves;
mod record;
mod refresh;
mod rekey;
mod rotation;
mod seal;
mod sealed;
mod sign_in_values;
pub(crate) mod source;
mod stored;
mod turns;

pub(crate) use crate::store::SessionKey;
pub use error::SessionError;
pub(crate) use error::SharedError;
pub use failed_refresh::UnusableResponse;
pub use freshness::Freshness;
pub use moves::MovedSessions;
pub use notice::{EarlierSession, Notice, NoticeFn};
pub use pending_saves::PendingSaves;
pub(crate) use refresh::Refresher;
pub use rotation::{KeyUse, Resealed};
pub use seal::SealError;
pub use sealed::SealedSessions;
pub(crate) use sealed::{LockedLoad, LockedSession};
pub(crate) use source::{CommandSource, OtherSession, RefreshTokenSource, TokenSource, WithoutUserSource};
pub(crate) use stored::StoredSession;
pub use stored::{Session, SessionBinding, StoreTime};
pub(crate) use turns::Turns;
