//! What opening the key may wait for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What opening the key waits for. `Display` gives a sentence.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeyWait {
    /// The program that prints the passphrase has not ended yet.
    Passphrase {
        /// The program's name.
        program: String,
    },
    /// The program that prints the keys has not ended yet.
    Keys {
        /// The program's name.
        program: String,
    },
    /// Another process is using or replacing the key.
    OtherProcess,
}

/// Is called with what has taken longer than [`PATIENCE`].
pub(in crate::session) type WaitFn = Arc<dyn Fn(KeyWait) + Send + Sync>;

/// How long to wait in silence.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl fmt::Display for KeyWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase { program } => write!(f, "waiting for passphrase_command `{program}`"),
            Self::Keys { program } => write!(f, "waiting for key_command `{program}`"),
            Self::OtherProcess => f.write_str("waiting for another nexus process that is using the key"),
        }
    }
}
