//! The key that seals the sessions, and its backends.

mod config;
pub(super) mod data_key;
mod deadline;
mod error;
mod key_file;
mod keystore;
mod lock;
mod os_keyring;
mod passphrase;

pub use config::{KeyBackend, KeyConfig, PassphraseSource};
pub use error::KeyError;
pub use keystore::{KeyLocation, Keystore, Moved};
