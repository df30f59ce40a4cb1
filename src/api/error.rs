//! What can go wrong between a question and its answer.
//!
//! Text that came from a server was made harmless and cut ([`clean`](crate::clean::clean)) before it entered a variant.
//! No variant holds a secret, the query of a URL or the body of a response.

use std::time::Duration;

use super::refusal::Refusal;
use crate::error_info::{ErrorClass, ErrorInfo, detail};
use crate::http::HttpError;
use crate::time;

pub(super) type Result<T> = std::result::Result<T, ApiError>;

/// Why the API gave no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The provider is configured without the URL of an API.
    #[error("the provider {provider} has no `api_url`")]
    NoApiUrl {
        /// The provider's name.
        provider: String,
    },
    /// A configured header cannot be sent.
    #[error("the provider {provider} has an unusable header `{name}`: {reason}")]
    UnusableHeader {
        /// The provider's name.
        provider: String,
        /// The header's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The access token cannot be sent.
    #[error("the access token has characters that are not allowed in a header")]
    UnusableToken,
    /// [`Question::extra`](super::Question::extra) has a field that the question itself already has.
    #[error("the extra field `{field}` is already set by the question")]
    ReservedField {
        /// The field's name.
        field: String,
    },
    /// The question cannot be written as JSON.
    #[error("the question cannot be written as JSON: {reason}")]
    UnwritableQuestion {
        /// What happened.
        reason: String,
    },
    /// The model does not support what the question asks for, by the provider's list of models.
    #[error("the model {model} does not support {wanted}, according to the provider's list of models")]
    UnsupportedByModel {
        /// The model's id.
        model: String,
        /// What the model does not support, in the caller's words.
        wanted: String,
    },
    /// The API has no list of models, as many gateways have none.
    #[error("{provider} has no list of models: {refusal}")]
    NoModelList {
        /// The provider's name.
        provider: String,
        /// What the API answered.
        refusal: Box<Refusal>,
    },
    /// The API does not know the model, but a known name is almost the same.
    #[error("{refusal}")]
    NoSuchModel {
        /// The name that may be meant: an alias or a model's id.
        nearest: String,
        /// What the API answered.
        refusal: Box<Refusal>,
    },
    /// The API rejects even a fresh access token.
    #[error("the API rejected a fresh access token: {refusal}")]
    TokenRejected {
        /// The provider's name.
        provider: String,
        /// What the API answered.
        refusal: Box<Refusal>,
    },
    /// The API refused the request.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The stream ended before the answer did.
    #[error("{}", cut(host, reason))]
    AnswerCut {
        /// The server's host.
        host: String,
        /// How it ended. Empty if nothing came at all.
        reason: String,
    },
    /// The service failed after a part of the answer's text. It was refused if there was no text yet.
    #[error("{}", .0.sentence("in the middle of its answer"))]
    CutByError(Box<Refusal>),
    /// The answer is complete, but has no text.
    #[error(
        "the answer from {host} is empty{}{}",
        if *.thinking { ": there is no text after the thinking" } else { "" },
        if *.reached_limit { ", which reached the limit of tokens" } else { "" }
    )]
    EmptyAnswer {
        /// The server's host.
        host: String,
        /// Whether the model was thinking before.
        thinking: bool,
        /// Whether it ended because it reached `max_tokens`.
        reached_limit: bool,
    },
    /// The model declined to answer (`stop_reason` `refusal`).
    #[error("the model declined to answer{}", detail(description))]
    Declined {
        /// The service's explanation. Empty if it gave none.
        description: String,
    },
    /// The conversation does not fit into the model's context.
    #[error("the conversation exceeds the model's context window")]
    ContextFull,
    /// The text of an answer is longer than what is collected in memory.
    #[error("the answer from {host} has more than {limit} MiB of text, the most that is kept in memory")]
    TooLong {
        /// The server's host.
        host: String,
        /// The limit, in MiB.
        limit: usize,
    },
    /// The server answered something that is not what the API sends.
    #[error("{host} answered {description}")]
    InvalidResponse {
        /// The server's host.
        host: String,
        /// What came instead.
        description: String,
    },
    /// The server did not begin to answer within the deadline.
    #[error("{host} did not begin to answer within {}", time::span(time::rounded_up(*waited)))]
    DeadlineExceeded {
        /// The server's host.
        host: String,
        /// The deadline.
        waited: Duration,
    },
    /// No request could be sent, or no response came.
    #[error(transparent)]
    Http(#[from] HttpError),
}

fn cut(host: &str, reason: &str) -> String {
    match reason {
        "" => format!("{host} sent an empty answer"),
        reason => format!("the answer from {host} was cut off: {reason}"),
    }
}

impl ApiError {
    /// What the API answered, if it refused the request: status, request id and the like.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal)
            | Self::CutByError(refusal)
            | Self::NoSuchModel { refusal, .. }
            | Self::TokenRejected { refusal, .. }
            | Self::NoModelList { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// Whether the API rejected the access token, so that a fresh one may be accepted.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_unauthorized())
    }

    /// Whether there is no connection, because the host's name does not resolve, or the connection is refused or has no
    /// route.
    pub(crate) fn is_no_connection(&self) -> bool {
        matches!(self, Self::Http(HttpError::NoConnection { .. }))
    }

    /// Whether the same question may be answered a moment later.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_worth_retrying(),
            Self::Http(error) => matches!(error, HttpError::Unreachable { .. } | HttpError::NoConnection { .. }),
            Self::AnswerCut { .. } => true,
            _ => false,
        }
    }
}

impl ErrorInfo for ApiError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoApiUrl { .. } | Self::UnusableHeader { .. } => "configuration",
            Self::ReservedField { .. } => "usage",
            Self::UnusableToken | Self::UnwritableQuestion { .. } => "system",
            Self::UnsupportedByModel { .. } => "unsupported",
            Self::NoModelList { .. } => "no_model_list",
            Self::TokenRejected { .. } => "token_rejected",
            Self::Refused(refusal) | Self::NoSuchModel { refusal, .. } => refusal.reason().code(),
            Self::AnswerCut { .. } | Self::CutByError(_) => "answer_cut",
            Self::EmptyAnswer { .. } => "answer_empty",
            Self::Declined { .. } => "refusal",
            Self::ContextFull => "context_exceeded",
            Self::TooLong { .. } => "too_long",
            Self::InvalidResponse { .. } => "invalid_response",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Http(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoApiUrl { .. } | Self::UnusableHeader { .. } => ErrorClass::Configuration,
            Self::UnsupportedByModel { .. } | Self::ReservedField { .. } => ErrorClass::Usage,
            Self::TokenRejected { .. } => ErrorClass::SignIn,
            Self::Refused(refusal) if refusal.is_unauthorized() => ErrorClass::SignIn,
            Self::Refused(refusal) if refusal.is_temporary() => ErrorClass::Temporary,
            Self::DeadlineExceeded { .. } | Self::AnswerCut { .. } | Self::CutByError(_) | Self::EmptyAnswer { .. } => {
                ErrorClass::Temporary
            }
            Self::Http(error) => error.class(),
            Self::UnusableToken
            | Self::UnwritableQuestion { .. }
            | Self::NoModelList { .. }
            | Self::NoSuchModel { .. }
            | Self::Refused(_)
            | Self::Declined { .. }
            | Self::ContextFull
            | Self::TooLong { .. }
            | Self::InvalidResponse { .. } => ErrorClass::Permanent,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after
    }
}
