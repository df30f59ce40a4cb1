//! Failures as programs read them.

use std::io;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::moment;
use crate::world::Interrupted;

/// What has no variant of its own: the machine's doing.
pub(crate) fn unforeseen(error: &anyhow::Error) -> Failure {
    let written = if error.is::<io::Error>() { "writing to stdout: " } else { "" };
    Failure::System { sentence: format!("{written}{error:#}") }
}

/// Whatever went wrong as programs read it; none where the reader has gone.
pub(crate) fn error(error: &anyhow::Error) -> Option<Value> {
    if let Some(Interrupted(signal)) = error.downcast_ref() {
        let message = format!("ended by signal {signal}");
        return Some(json!({ "reason": "interrupted", "message": message, "hint": "", "exit_code": 128 + signal }));
    }
    match error.downcast_ref::<Failure>() {
        Some(failure) => Some(object(failure)),
        None if error.is::<io::Error>() => None,
        None => Some(object(&unforeseen(error))),
    }
}

/// A failure in an object of its own.
pub(crate) fn envelope(failure: &Failure) -> Value {
    json!({ "version": 1, "error": object(failure) })
}

/// A failure as programs read it.
pub(crate) fn object(failure: &Failure) -> Value {
    let mut error = json!({
        "reason": failure.reason(),
        "message": failure.to_string(),
        "hint": failure.hint(),
        "exit_code": failure.exit_code(),
    });
    if let Some(refusal) = failure.refusal() {
        let fields = [
            ("http_status", refusal.status.map(Into::into)),
            ("type", refusal.kind.clone().map(Into::into)),
            ("request_id", refusal.request_id.clone().map(Into::into)),
            ("retry_after", refusal.retry_after.map(|wait| moment::rounded_up(wait).into())),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                error[name] = value;
            }
        }
    }
    error
}
