//! The only place that reads environment variables.

use nexus::internal::invisible;

/// The value of an environment variable, without white space and invisible characters at its ends. If nothing is left, it
/// counts as unset.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn variable(name: &'static str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let trimmed = invisible::trim(&value);
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// The environment variables that contain secrets, of nexus, and of the programs and SDKs that use the same servers. No
/// child process inherits them.
pub(crate) const SECRET_VARIABLES: &[&str] = &[
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
