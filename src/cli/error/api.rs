//! Hints for errors of the API.

use nexus::{ApiError, Refusal, RefusalReason};

use super::provider::{start, start_current};
use super::sign_in::http_hint;
use super::{FIX_AND_REPEAT, wait};

/// What to do about an error of the API.
pub(super) fn api_hint(error: &ApiError) -> String {
    match error {
        ApiError::NoApiUrl { provider } => {
            format!("write `api_url = \"https://...\"` under [provider.{provider}] in config.toml")
        }
        ApiError::UnusableHeader { provider, .. } => {
            format!("fix `api_headers` under [provider.{provider}] in config.toml")
        }
        ApiError::ReservedField { .. } => "leave it out".into(),
        ApiError::UnsupportedByModel { .. } => {
            "leave that out, or name another model with -m; `nexus models` lists them and asks anew what they can"
                .into()
        }
        ApiError::NoModelList { provider, .. } => no_list(provider),
        ApiError::NoSuchModel { nearest, .. } => format!(
            "did you mean `{nearest}`? If not, `nexus models` lists the models; check `api_url` if that fails too"
        ),
        ApiError::TokenRejected { provider, .. } => start(provider),
        ApiError::Refused(refusal) => refused(refusal),
        ApiError::AnswerCut { .. } => "the same question may be answered whole another time".into(),
        ApiError::Declined { .. } => "ask differently, or another --model".into(),
        ApiError::ContextFull => SHORTER.into(),
        ApiError::TooLong { .. } => {
            "bound it with --max-tokens, or print it as it comes: `nexus chat` without --json".into()
        }
        ApiError::InvalidResponse { .. } => "check the provider's URLs in config.toml".into(),
        ApiError::DeadlineExceeded { .. } => "give it longer with --deadline, or try again later".into(),
        ApiError::Http(error) => http_hint(error),
        _ => FIX_AND_REPEAT.into(),
    }
}

/// What to do where there is no list to choose a model from.
pub(super) fn no_list(provider: &str) -> String {
    format!(
        "name a model with --model, or write `model = \"...\"` under [provider.{provider}] in config.toml; check `api_url` \
         if chat fails all the same"
    )
}

const SHORTER: &str = "ask with less text, or a model with a larger context";

fn refused(refusal: &Refusal) -> String {
    match refusal.reason() {
        RefusalReason::Unauthorized => start_current(),
        RefusalReason::NotFound => "`nexus models` lists the models; check `api_url` if that fails too".into(),
        RefusalReason::TooLarge => "send less text".into(),
        RefusalReason::ContextExceeded => SHORTER.into(),
        RefusalReason::RateLimited
        | RefusalReason::Overloaded
        | RefusalReason::ServerError
        | RefusalReason::Timeout
        | RefusalReason::Conflict => format!("try again in {}", wait(refusal.retry_after)),
        RefusalReason::Redirected => {
            "check `api_url`: nexus sends a token to no other address than the configured one".into()
        }
        RefusalReason::Forbidden => {
            "this account may not do that: try another --model, or ask whoever runs the account".into()
        }
        RefusalReason::Billing | RefusalReason::SpendCap => "raise the limit with whoever pays for the account".into(),
        _ => "the server's message above says why".into(),
    }
}
