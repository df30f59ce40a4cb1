//! Hints for errors of the API.

use nexus::Dialect;
use nexus::error::{ApiError, Refusal, RefusalReason};

use super::provider::{current_provider, run_start, run_start_current};
use super::sign_in::http_hint;
use super::{FIX_AND_REPEAT, wait_time};
use crate::cli::config::document::header;

pub(super) fn api_hint(error: &ApiError) -> String {
    match error {
        ApiError::NoApiUrl { provider } => {
            format!("set `api_url = \"https://...\"` under {section} in config.toml", section = header(provider))
        }
        ApiError::UnusableHeader { provider, .. } => {
            format!("fix `api_headers` under {section} in config.toml", section = header(provider))
        }
        ApiError::ReservedField { .. } => "remove it".into(),
        ApiError::UnsupportedByModel { .. } => {
            "drop that option, or choose another model with --model; `nexus models` refreshes the list".into()
        }
        ApiError::NoModelList { provider, .. } => no_list(provider),
        ApiError::NoSuchModel { nearest, .. } => format!(
            "did you mean `{nearest}`? Otherwise run `nexus models` to list the models; if that fails too, check \
             `api_url`"
        ),
        ApiError::TokenRejected { provider, refusal } if refusal.wrong_audience => audience(provider),
        ApiError::TokenRejected { provider, .. } => run_start(provider),
        ApiError::Refused(refusal) => refused(refusal),
        ApiError::CutByError(refusal) if refusal.is_temporary() => refused(refusal),
        ApiError::AnswerCut { .. } | ApiError::CutByError(_) => "ask again".into(),
        ApiError::EmptyAnswer { reached_limit: true, .. } => "raise --max-tokens".into(),
        ApiError::EmptyAnswer { .. } => "ask again, or rephrase the question".into(),
        ApiError::Declined { .. } => "rephrase the question, or try another --model".into(),
        ApiError::ContextFull => SHORTER.into(),
        ApiError::TooLong { .. } => "limit it with --max-tokens, or stream it: `nexus chat` without --json".into(),
        ApiError::InvalidResponse { .. } => "check the provider's URLs in config.toml".into(),
        ApiError::DeadlineExceeded { .. } => "raise --deadline, or try again later".into(),
        ApiError::Http(error) => http_hint(error),
        _ => FIX_AND_REPEAT.into(),
    }
}

/// The hint if there is no list of models.
pub(super) fn no_list(provider: &str) -> String {
    format!(
        "pass --model, or set `model = \"...\"` under {section} in config.toml; if that fails too, check \
         `api_url`",
        section = header(provider)
    )
}

const SHORTER: &str = "shorten the input, or use a model with a larger context";

/// The hint for a request that is not billed to a linked organization (Claude Platform OAuth).
fn not_billed(kind: &str) -> Option<String> {
    Some(match kind {
        "linked_organization_spend_limit_reached" => {
            "ask an Admin or Billing member of the customer's organization to raise its limit or to add credit".into()
        }
        "linked_organization_billing_unavailable" => {
            "ask an Admin or Billing member of the customer's organization to check its billing".into()
        }
        "user_profile_billing_not_authorized" => format!("link the organization again: {}", run_start_current()),
        "user_profile_not_billable" | "user_profile_not_found" | "user_profile_required" => {
            "check the customer's user profile in the Claude Console".into()
        }
        _ => return None,
    })
}

fn refused(refusal: &Refusal) -> String {
    if let Some(hint) = refusal.kind.as_deref().and_then(not_billed) {
        return hint;
    }
    match refusal.reason() {
        RefusalReason::Unauthorized => run_start_current(),
        RefusalReason::NotFound => {
            format!(
                "run `nexus models` to list the models; if that fails too, check `api_url`{}",
                other_dialect(refusal)
            )
        }
        RefusalReason::TooLarge => "shorten the input".into(),
        RefusalReason::ContextExceeded => SHORTER.into(),
        RefusalReason::RateLimited
        | RefusalReason::Overloaded
        | RefusalReason::ServerError
        | RefusalReason::Timeout
        | RefusalReason::Conflict => format!("try again in {}", wait_time(refusal.retry_after)),
        RefusalReason::Redirected => {
            "check `api_url`: nexus follows no redirects, so that a token goes to the configured address only".into()
        }
        RefusalReason::Forbidden if refusal.wrong_audience => audience(&current_provider()),
        RefusalReason::Forbidden => {
            "the account lacks this permission: try another --model, or ask its administrator".into()
        }
        RefusalReason::Billing | RefusalReason::SpendCap => {
            "check the credit and the spend limit of the account".into()
        }
        _ if matches!(refusal.status, Some(405 | 501)) => format!("check `api_url`{}", other_dialect(refusal)),
        _ => refused_option(refusal).unwrap_or_else(|| "see the server's message".into()),
    }
}

/// The end of a hint for an address that knows nothing of the dialect. Empty where the API knows it: then it names the
/// type of the error.
fn other_dialect(refusal: &Refusal) -> &'static str {
    match refusal.dialect.filter(|_| refusal.kind.is_none()) {
        Some(Dialect::Anthropic) => ", or set `dialect = \"openai\"`",
        Some(Dialect::Openai) => ", or set `dialect = \"anthropic\"`",
        _ => "",
    }
}

/// The hint for a token that is meant for another API.
fn audience(provider: &str) -> String {
    format!(
        "the token is for another audience: name the API's in `authorize_params` under {section} in \
         config.toml, such as `authorize_params = {{ audience = \"...\" }}`, then {}",
        run_start(provider),
        section = header(provider)
    )
}

/// The hint that names the option behind a field that the API refuses.
fn refused_option(refusal: &Refusal) -> Option<String> {
    let field = refusal.setting.as_ref()?;
    let option = match field.split('.').collect::<Vec<_>>()[..] {
        ["max_tokens" | "max_completion_tokens", ..] => "--max-tokens (or `max_tokens` in config.toml)",
        ["thinking" | "adaptive", ..] => "--thinking",
        ["reasoning_effort", ..] | ["output_config", "effort", ..] => "--effort",
        ["response_format", ..] | ["output_config", "format", ..] => "--schema",
        ["output_config", ..] => "--effort or --schema",
        _ => return None,
    };
    Some(format!("change or drop {option}, which sets `{field}`, or choose another model with --model"))
}
