//! Why a proxy cannot listen.

use crate::error_info::{ErrorClass, ErrorInfo};

/// Why a proxy cannot listen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalProxyError {
    /// Another program listens there.
    #[error("another program listens on {address}")]
    AddressTaken {
        /// The host and port.
        address: String,
    },
    /// The address is not on loopback, or this account may not listen there.
    #[error("cannot listen on {address}: {reason}")]
    AddressUnusable {
        /// The host and port.
        address: String,
        /// Why.
        reason: String,
    },
}

impl ErrorInfo for LocalProxyError {
    fn code(&self) -> &'static str {
        match self {
            Self::AddressTaken { .. } => "address_taken",
            Self::AddressUnusable { .. } => "address_unusable",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::AddressTaken { .. } => ErrorClass::Permanent,
            Self::AddressUnusable { .. } => ErrorClass::Usage,
        }
    }
}
