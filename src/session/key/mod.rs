//! The keys that seal the sessions, and their backends.

mod command;
mod config;
pub(super) mod data_key;
#[cfg(any(test, feature = "keyring"))]
mod deadline;
mod error;
mod key_file;
mod key_set;
mod keystore;
mod lock;
mod os_keyring;
mod passphrase;
mod printed;
mod rekey;
mod rotation;
mod value_count;
mod wait;

pub use config::{KeyBackend, KeyConfig, PassphraseSource};
pub use error::{KeyError, KeyOrigin};
pub(super) use key_set::KeySet;
pub(super) use keystore::{HeldSeal, Result};
pub use keystore::{KeyLocation, Keystore};
pub(super) use rekey::Begun;
pub use rekey::Moved;
pub use rotation::{NewKey, Retired};
pub use value_count::ValueCount;
pub use wait::KeyWait;
