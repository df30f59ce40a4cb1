//! The key that seals the sessions: where it is kept, how it is made, and how it moves.

mod bounded;
mod config;
pub(super) mod data_key;
mod error;
mod key_file;
mod keystore;
mod lock;
mod os_keyring;
mod passphrase;

pub use config::{KeyBackend, KeyConfig, PassphraseSource};
pub use error::KeyError;
pub use keystore::{KeyLocation, Keystore, Moved};
