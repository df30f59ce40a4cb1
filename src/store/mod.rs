//! Session stores: the traits that a store implements, and the stores of this library.
//!
//! A store sees the key of a session, its generation, a few times and an opaque sealed blob. Sessions are encrypted
//! above the store, so a store can neither read nor forge one. It can delete a session or restore an older one.
//!
//! [`SqliteStore`] keeps sessions in a file, `PostgresStore` in a database that many machines share, [`MemoryStore`] in
//! memory. Another store implements [`SessionStore`]
//! and [`LockedSession`], and shows with [`conformance::check`] that it keeps the contract.
//!
//! # Contract
//!
//! - **Durability.** When the future of a write completes, the write survives a crash of the process and of the
//!   store. This holds for `begin_refresh` too: it is committed before a refresh token is spent.
//! - **Visibility.** After a write completed, every handle on the same data sees it, in this process or another.
//! - **Lock.** At most one handle holds a session's lock. Dropping the [`LockedSession`] releases it; so does the
//!   end of the process that holds it. What that process wrote before stays, including `refreshing_since`.
//! - **Lost locks.** A store whose locks can be lost (a lease, a connection) returns [`StoreError::LockLost`] for every
//!   write but `commit` once the lock is lost. A commit needs no lock: the refresh token is used up, and its successor
//!   exists nowhere else.
//! - **Generations.** Every write names the generation that the caller expects. If the stored generation is another
//!   one, the write changes nothing and returns [`StoreError::Superseded`].
//! - **Moves.** A record whose `moved_to` is set is not used: the session is in another store. It is listed and loaded
//!   like others, and only [`LockedSession::replace`] and [`LockedSession::delete`] remove the mark.
//! - **Keys.** Sealed values are replaced by comparing them first, so a concurrent write is never lost. A store that several
//!   machines share keeps the id of the active key, so that all of them seal with it.
//! - **Time.** `load` returns the store's time with the record. It decides what has expired. A store that several
//!   machines share returns its own time, not the caller's.

pub mod conformance;
mod contract;
#[cfg(feature = "sqlite")]
#[doc(hidden)]
pub mod database;
mod error;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use contract::{
    BoxFuture, Listed, Loaded, LockedSession, Page, Place, Record, Replacement, Result, SealedSession, SealedValue,
    SessionKey, SessionStore, ValueKind,
};
pub use error::{Cause, FileProblem, ServerProblem, StoreError};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresUrl, PostgresUrlError};
#[cfg(feature = "sqlite")]
pub use sqlite::{ResealFn, SqliteStore};
