//! Turns an [`ApiError`] into the [`Failure`] that the command line still reads.

use super::error::ApiError;
use crate::failure::Failure;
use crate::time;

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let sentence = error.to_string();
        match error {
            ApiError::NoApiUrl { provider } => Self::Configuration {
                sentence,
                cure: format!("write `api_url = \"https://...\"` under [provider.{provider}] in config.toml"),
            },
            ApiError::UnusableHeader { provider, .. } => Self::Configuration {
                sentence,
                cure: format!("mend `api_headers` under [provider.{provider}] in config.toml"),
            },
            ApiError::ReservedField { .. } => Self::Usage { sentence, cure: "leave it out".into() },
            ApiError::UnusableToken | ApiError::UnwritableQuestion { .. } => Self::System { sentence },
            ApiError::UnsupportedByModel { model, wanted } => Self::Incapable { model, wanted },
            ApiError::NoModelList { provider, refusal } => Self::NoModelList { provider, refusal },
            ApiError::NoSuchModel { nearest, refusal } => Self::NoSuchModel { nearest, refusal },
            ApiError::TokenRejected { provider, refusal } => Self::TokenRejected { provider, refusal },
            ApiError::Refused(refusal) => Self::Refused(refusal),
            ApiError::AnswerCut { host, reason } => Self::AnswerCut { host, why: reason },
            ApiError::Declined { description } => Self::Declined { said: description },
            ApiError::ContextFull => Self::ContextFull,
            ApiError::TooLong { host, limit } => Self::TooLong { host, limit },
            ApiError::InvalidResponse { host, description } => Self::Nonsense { host, what: description },
            ApiError::DeadlineExceeded { host, waited } => Self::Overdue { host, waited: time::rounded_up(waited) },
            ApiError::Http(failure) => *failure,
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self::Http(Box::new(failure))
    }
}
