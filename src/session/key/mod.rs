//! The key that seals the sessions, and its backends.

mod config;
pub(super) mod data_key;
#[cfg(any(test, feature = "keyring"))]
mod deadline;
mod error;
mod key_file;
mod keystore;
mod lock;
mod os_keyring;
mod passphrase;
mod rekey;
mod wait;

pub use config::{KeyBackend, KeyConfig, PassphraseSource};
pub use error::KeyError;
pub(super) use keystore::{HeldSeal, Result};
pub use keystore::{KeyLocation, Keystore};
pub use rekey::Moved;
pub(super) use rekey::{Begun, Rekey};
pub use wait::KeyWait;
