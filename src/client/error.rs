//! The error of the client: one variant for each part of the library that can fail.

use std::time::Duration;

use crate::api::ApiError;
use crate::error_info::{ErrorClass, ErrorInfo};
use crate::http::HttpError;
use crate::local_proxy::error::LocalProxyError;
use crate::oauth::{DiscoveryError, SignInError};
use crate::provider::ProviderError;
use crate::session::SessionError;
use crate::session::key::KeyError;
use crate::store::StoreError;

pub(super) type Result<T> = std::result::Result<T, Error>;

/// Why a call of [`Client`](crate::Client) failed.
///
/// The message, the [code](ErrorInfo::code), the [class](ErrorInfo::class) and the `source()` are those of the error
/// inside.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API gave no answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A sign-in failed.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The metadata of an authorization server could not be read.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// There is no usable session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The provider's configuration cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A request could not be sent.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A proxy for other programs cannot listen.
    #[error(transparent)]
    LocalProxy(#[from] LocalProxyError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Session(error.into())
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::Session(error.into())
    }
}

impl Error {
    fn inner(&self) -> &dyn ErrorInfo {
        match self {
            Self::Api(error) => error,
            Self::SignIn(error) => error,
            Self::Discovery(error) => error,
            Self::Session(error) => error,
            Self::Provider(error) => error,
            Self::Http(error) => error,
            Self::LocalProxy(error) => error,
        }
    }
}

impl ErrorInfo for Error {
    fn code(&self) -> &'static str {
        self.inner().code()
    }

    fn class(&self) -> ErrorClass {
        self.inner().class()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.inner().retry_after()
    }
}
