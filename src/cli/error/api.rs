//! Hints for errors of the API.

use nexus::internal::failure::Failure;
use nexus::internal::time;
use nexus::{ApiError, Refusal, RefusalReason};

/// What to type or change after this error. `provider_option` is what a command line needs to name the provider:
/// ` --provider NAME`, or nothing.
pub(crate) fn api_hint(error: &ApiError, provider_option: &str) -> String {
    match error {
        ApiError::NoApiUrl { provider } => {
            format!("write `api_url = \"https://...\"` under [provider.{provider}] in config.toml")
        }
        ApiError::UnusableHeader { provider, .. } => {
            format!("mend `api_headers` under [provider.{provider}] in config.toml")
        }
        ApiError::ReservedField { .. } => "leave it out".into(),
        ApiError::UnsupportedByModel { .. } => {
            "leave that out, or name another model with -m; `nexus models` lists them and asks anew what they can"
                .into()
        }
        ApiError::NoModelList { provider, .. } => format!(
            "name a model with --model, or write `model = \"...\"` under [provider.{provider}] in config.toml; check \
             `api_url` if chat fails all the same"
        ),
        ApiError::NoSuchModel { nearest, .. } => format!(
            "did you mean `{nearest}`? If not, `nexus models` lists the models; check `api_url` if that fails too"
        ),
        ApiError::TokenRejected { .. } => format!("run `nexus oauth start{provider_option}`"),
        ApiError::Refused(refusal) => refused(refusal),
        ApiError::AnswerCut { .. } => "the same question may be answered whole another time".into(),
        ApiError::Declined { .. } => "ask differently, or another --model".into(),
        ApiError::ContextFull => SHORTER.into(),
        ApiError::TooLong { .. } => {
            "bound it with --max-tokens, or print it as it comes: `nexus chat` without --json".into()
        }
        ApiError::InvalidResponse { .. } => "check the provider's URLs in config.toml".into(),
        ApiError::DeadlineExceeded { .. } => "give it longer with --deadline, or try again later".into(),
        ApiError::Http(error) => Failure::from(error.clone()).hint(),
        // The machine's doing, and what a later version of the library adds.
        _ => "mend that, then run the command again".into(),
    }
}

const SHORTER: &str = "ask with less text, or a model with a larger context";

fn refused(refusal: &Refusal) -> String {
    match refusal.reason() {
        RefusalReason::Unauthorized => "run `nexus oauth start`".into(),
        RefusalReason::NotFound => "`nexus models` lists the models; check `api_url` if that fails too".into(),
        RefusalReason::TooLarge => "send less text".into(),
        RefusalReason::ContextExceeded => SHORTER.into(),
        RefusalReason::RateLimited
        | RefusalReason::Overloaded
        | RefusalReason::ServerError
        | RefusalReason::Timeout
        | RefusalReason::Conflict => match refusal.retry_after {
            Some(wait) => format!("try again in {}", time::span(time::rounded_up(wait))),
            None => "try again in a minute".into(),
        },
        RefusalReason::Redirected => {
            "check `api_url`: nexus sends a token to no other address than the configured one".into()
        }
        RefusalReason::Forbidden => {
            "this account may not do that: try another --model, or ask whoever runs the account".into()
        }
        RefusalReason::Billing | RefusalReason::SpendCap => "raise the limit with whoever pays for the account".into(),
        _ => "the server's words above say what it dislikes".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use nexus::{ErrorInfo as _, HttpError};

    fn refusal(status: u16, kind: &str) -> Box<Refusal> {
        let kind = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
        Box::new(Refusal { host: "h".into(), status: Some(status), kind, message: "No".into(), ..Refusal::default() })
    }

    #[test]
    fn every_error_reads_as_the_command_line_reads_it_so_far() {
        let text = || String::from("x");
        let refusals = [400, 401, 402, 403, 404, 408, 409, 413, 429, 500, 529, 307].map(|status| refusal(status, ""));
        let kinds = ["enforced_spend_limit_reached", "context_length_exceeded"].map(|kind| refusal(400, kind));
        let later = Refusal { retry_after: Some(Duration::from_millis(90_001)), ..*refusal(429, "") };
        let refused = refusals.into_iter().chain(kinds).chain([Box::new(later)]).map(ApiError::Refused);
        let others = [
            ApiError::NoApiUrl { provider: "work".into() },
            ApiError::UnusableHeader { provider: "work".into(), name: text(), reason: "x" },
            ApiError::UnusableToken,
            ApiError::ReservedField { field: text() },
            ApiError::UnwritableQuestion { reason: text() },
            ApiError::UnsupportedByModel { model: text(), wanted: text() },
            ApiError::NoModelList { provider: "work".into(), refusal: refusal(404, "") },
            ApiError::NoSuchModel { nearest: text(), refusal: refusal(404, "") },
            ApiError::TokenRejected { provider: "work".into(), refusal: refusal(401, "") },
            ApiError::AnswerCut { host: text(), reason: String::new() },
            ApiError::AnswerCut { host: text(), reason: text() },
            ApiError::Declined { description: String::new() },
            ApiError::Declined { description: text() },
            ApiError::ContextFull,
            ApiError::TooLong { host: text(), limit: 64 },
            ApiError::InvalidResponse { host: text(), description: text() },
            ApiError::DeadlineExceeded { host: text(), waited: Duration::from_secs(120) },
            ApiError::Http(HttpError::Unreachable { host: text(), reason: text() }),
        ];
        for error in refused.chain(others) {
            let failure = Failure::from(error.clone());
            assert_eq!(api_hint(&error, " --provider work"), failure.hint(), "{error:?}");
            assert_eq!(error.to_string(), failure.to_string());
            assert_eq!(error.code(), failure.reason(), "{error:?}");
            let exit_code = match error.class() {
                nexus::ErrorClass::Usage | nexus::ErrorClass::Configuration => 2,
                nexus::ErrorClass::SignIn => 4,
                nexus::ErrorClass::Temporary => 75,
                _ => 1,
            };
            assert_eq!(exit_code, failure.exit_code(), "{error:?}");
        }
    }
}
