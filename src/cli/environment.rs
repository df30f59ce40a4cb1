//! The only place that reads environment variables.

use std::sync::{Mutex, PoisonError};

use nexus::internal::invisible;

/// The value of an environment variable, without white space and invisible characters at its ends. If nothing is left,
/// it counts as unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    set(name).filter(|value| !value.is_empty())
}

/// Whether an environment variable is set to nothing.
pub(crate) fn is_empty(name: &str) -> bool {
    set(name).is_some_and(|value| value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn set(name: &str) -> Option<String> {
    Some(invisible::trim(&std::env::var(name).ok()?).to_owned())
}

/// The variables that the configuration names as secrets.
static CONFIGURED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds a variable to those that contain secrets.
pub(crate) fn add_secret_variable(name: &str) {
    let mut configured = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
    if !configured.iter().any(|known| known == name) {
        configured.push(name.to_owned());
    }
}

/// The environment variables that contain secrets. No child process inherits them.
pub(crate) fn secret_variables() -> Vec<String> {
    let configured = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
    SECRET_VARIABLES.iter().map(ToString::to_string).chain(configured.iter().cloned()).collect()
}

/// The environment variables that contain secrets, of nexus, and of the programs and SDKs that use the same servers.
const SECRET_VARIABLES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_WEBHOOK_SIGNING_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "CLAUDE_CODE_CLIENT_SECRET",
    "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "NEXUS_STORE",
];
