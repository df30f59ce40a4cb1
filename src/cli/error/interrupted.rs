//! The end of a command by a signal.

/// The number of the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ended by signal {0}")]
pub(crate) struct Interrupted(pub(crate) u8);

impl Interrupted {
    /// SIGINT, which Ctrl-C sends.
    pub(crate) const CTRL_C: Self = Self(2);
}
