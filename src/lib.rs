//! `nexus` signs a person in once, with OAuth, and then lets every shell, script and program on
//! that account use Claude without an API key.

mod api;
mod clean;
mod client;
mod error;
mod failure;
mod http;
mod loopback;
mod oauth;
mod private_fs;
mod provider;
mod redact;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod secret;
mod session;
mod store;
mod time;

#[doc(inline)]
pub use api::{
    Answer, AnswerMeta, ApiError, Delta, Message, Model, Ordered, Part, ProgressEvent, ProgressFn, Question, Refusal,
    RefusalReason, Retry, RetryPolicy, Role, Usage,
};
#[doc(inline)]
pub use client::{Accounts, Folders};
pub use error::{ErrorClass, ErrorInfo};
pub use failure::Failure;
pub use http::{CertificateProblem, HttpError};
#[doc(inline)]
pub use oauth::{AuthorizationRequest, SignInError, TokenError, TokenResponse, Verdict};
#[doc(inline)]
pub use provider::{Provider, ProviderError};
pub use time::now;

/// What only the command line, the tests and the fuzz targets need. No part of the public interface.
#[doc(hidden)]
pub mod internal {
    pub mod api {
        pub use crate::api::*;
    }
    pub mod clean {
        pub use crate::clean::*;
    }
    pub mod client {
        pub use crate::client::*;
    }
    pub mod failure {
        pub use crate::failure::*;
    }
    pub mod http {
        pub use crate::http::*;
    }
    pub mod loopback {
        pub use crate::loopback::*;
    }
    pub mod oauth {
        pub use crate::oauth::*;
    }
    pub mod private_fs {
        pub use crate::private_fs::*;
    }
    pub mod provider {
        pub use crate::provider::*;
    }
    pub mod secret {
        pub use crate::secret::*;
    }
    pub mod session {
        pub use crate::session::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
    pub mod time {
        pub use crate::time::*;
    }
}
