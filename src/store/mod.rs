//! Where sessions are kept: the interface that a store implements, and the stores of this library.
//!
//! A store sees the key of a session, its generation, a few times and an opaque sealed blob. Encryption is above
//! the store, so a store can neither read a session nor change it unnoticed. It can delete one, or put back an
//! older one.
//!
//! [`SqliteStore`] keeps sessions in a file, [`MemoryStore`] in memory. Another store implements [`SessionStore`]
//! and [`LockedSession`], and shows with [`conformance::check`] that it keeps the contract.
//!
//! # Contract
//!
//! - **Durability.** When the future of a write completes, the write survives a crash of the process and of the
//!   store. This holds for `begin_refresh` too: it is committed before a refresh token is spent.
//! - **Visibility.** After a write completed, every handle on the same data sees it, in this process or another.
//! - **Lock.** At most one handle holds a session's lock. Dropping the [`LockedSession`] releases it; so does the
//!   end of the process that holds it. What that process wrote before stays, including `refreshing_since`.
//! - **Lost locks.** A store whose locks can be lost (a lease, a connection) answers every write but `commit` with
//!   [`StoreError::LockLost`] once the lock is lost. A commit needs no lock: the token was spent, and its successor
//!   exists nowhere else.
//! - **Generations.** Every write names the generation that the caller saw. If the stored generation is another
//!   one, the write changes nothing and answers [`StoreError::Superseded`].
//! - **Time.** `load` returns the store's time with the record. All expiry is reckoned by it. Stores that several
//!   machines share return their own time, not the caller's.

pub mod conformance;
mod contract;
#[cfg(feature = "sqlite")]
#[doc(hidden)]
pub mod database;
mod error;
#[cfg(test)]
pub(crate) mod leased;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use contract::{BoxFuture, Listed, Loaded, LockedSession, Record, Result, SealedSession, SessionKey, SessionStore};
pub use error::{Cause, FileProblem, StoreError};
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{ResealFn, SqliteStore};
