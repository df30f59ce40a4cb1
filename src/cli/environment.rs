//! The only place that reads environment variables.

/// The value of an environment variable. An empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn variable(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The environment variables that contain secrets. Child processes do not inherit them.
pub(crate) const SECRET_VARIABLES: &[&str] = &["CLAUDE_CODE_CLIENT_SECRET"];
