//! The only place that reads environment variables.

use std::sync::{Mutex, PoisonError};

use crate::cli::error::{CliError, Result};
use nexus::internal::invisible;

/// The value of an environment variable, without white space and invisible characters at its ends. If nothing is left,
/// it counts as unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    set(name).filter(|value| !value.is_empty())
}

/// Refuses a variable of nexus whose value is not UTF-8. As an unset one, it would make nexus use another store or another
/// home.
///
/// # Errors
/// [`CliError::Configuration`].
pub(crate) fn check_utf8() -> Result<()> {
    let is_own = |name: &str| ["NEXUS_", "CLAUDE_CODE_", "ANTHROPIC_"].iter().any(|start| name.starts_with(start));
    let unreadable = std::env::vars_os().filter(|(_, value)| value.to_str().is_none());
    match unreadable.filter_map(|(name, _)| name.into_string().ok()).find(|name| is_own(name)) {
        Some(name) => Err(CliError::Configuration {
            message: format!("the environment variable {name} is not UTF-8 text"),
            hint: format!("correct it, or run `unset {name}`"),
        }),
        None => Ok(()),
    }
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
