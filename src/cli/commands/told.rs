//! Failures as programs read them.

use std::io;

use serde_json::{Value, json};

use crate::cli::terminal::Interrupted;
use nexus::internal::failure::Failure;
use nexus::internal::time;
use nexus::store::StoreError;
use nexus::{ApiError, HttpError, KeyError, ProviderError, SessionError, SignInError};

/// The error as a failure with its way out, if the command line or the library returned it.
pub(crate) fn failure(error: &anyhow::Error) -> Option<Failure> {
    fn of<E: Clone + Into<Failure> + std::error::Error + Send + Sync + 'static>(
        error: &anyhow::Error,
    ) -> Option<Failure> {
        error.downcast_ref::<E>().cloned().map(Into::into)
    }
    of::<Failure>(error)
        .or_else(|| of::<ApiError>(error))
        .or_else(|| of::<SignInError>(error))
        .or_else(|| of::<SessionError>(error))
        .or_else(|| of::<StoreError>(error))
        .or_else(|| of::<KeyError>(error))
        .or_else(|| of::<ProviderError>(error))
        .or_else(|| of::<HttpError>(error))
}

/// What has no variant of its own: the machine's doing.
pub(crate) fn unforeseen(error: &anyhow::Error) -> Failure {
    let written = if lost_stdout(error).is_some() { "writing to stdout: " } else { "" };
    Failure::System { sentence: format!("{written}{error:#}") }
}

/// What stdout answered, if that is what went wrong: whatever else can fail so has a context.
pub(crate) fn lost_stdout(error: &anyhow::Error) -> Option<&io::Error> {
    error.chain().next()?.downcast_ref()
}

/// Whatever went wrong as programs read it; none where the reader has gone.
pub(crate) fn error(error: &anyhow::Error) -> Option<Value> {
    if let Some(Interrupted(signal)) = error.downcast_ref() {
        let message = format!("ended by signal {signal}");
        return Some(json!({ "reason": "interrupted", "message": message, "hint": "", "exit_code": 128 + signal }));
    }
    match failure(error) {
        Some(failure) => Some(object(&failure)),
        None if lost_stdout(error).is_some() => None,
        None => Some(object(&unforeseen(error))),
    }
}

/// What went wrong in an object of its own.
pub(crate) fn envelope(error: &Value) -> Value {
    json!({ "version": 1, "error": error })
}

/// A failure as programs read it.
pub(crate) fn object(failure: &Failure) -> Value {
    let mut error = json!({
        "reason": failure.reason(),
        "message": failure.to_string(),
        "hint": failure.hint(),
        "exit_code": failure.exit_code(),
    });
    let (refusal, failed) = (failure.refusal(), failure.failed());
    let status = refusal.and_then(|refusal| refusal.status).or(failed.and_then(|failed| failed.status));
    let retry_after = refusal.and_then(|refusal| refusal.retry_after).map(time::rounded_up);
    let fields = [
        ("http_status", status.map(Into::into)),
        ("type", refusal.and_then(|refusal| refusal.kind.clone()).map(Into::into)),
        ("request_id", refusal.and_then(|refusal| refusal.request_id.clone()).map(Into::into)),
        ("retry_after", retry_after.or(failed.and_then(|failed| failed.retry_after)).map(Into::into)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            error[name] = value;
        }
    }
    error
}
