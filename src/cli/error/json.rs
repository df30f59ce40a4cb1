//! Errors as JSON.

use nexus::ErrorInfo as _;
use nexus::internal::time;
use serde_json::{Value, json};

use super::CliError;

/// The object that a command prints for an error.
pub(crate) fn envelope(error: &CliError) -> Value {
    json!({ "version": 1, "error": object(error) })
}

pub(crate) fn object(error: &CliError) -> Value {
    let mut object = json!({
        "reason": error.code(),
        "message": error.to_string(),
        "hint": error.hint(),
        "exit_code": error.exit_code(),
    });
    let refusal = error.refusal();
    let line = if let CliError::BadLine { number, .. } = error { Some(*number) } else { None };
    let fields = [
        ("line", line.map(Into::into)),
        ("http_status", error.http_status().map(Into::into)),
        ("type", refusal.and_then(|refusal| refusal.kind.clone()).map(Into::into)),
        ("request_id", refusal.and_then(|refusal| refusal.request_id.clone()).map(Into::into)),
        ("retry_after", error.retry_after().map(time::rounded_up).map(Into::into)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            object[name] = value;
        }
    }
    object
}
