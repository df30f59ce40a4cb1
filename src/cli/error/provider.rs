//! How hints name a provider.

use std::sync::{Mutex, PoisonError};

use nexus::internal::provider::BUILT_IN;

/// The provider of this command, for errors that name none, and the one that a command uses if none is named.
static PROVIDERS: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Sets the provider that this command is about, and the one that a command uses if none is named. Hints then say
/// `--provider` only where it is needed.
pub(crate) fn set_providers(current: &str, default: &str) {
    *PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner) = Some((current.to_owned(), default.to_owned()));
}

/// What to do to sign in to this provider.
pub(crate) fn start(provider: &str) -> String {
    format!("run `nexus oauth start{}`", option_for(provider))
}

/// What to do to sign in to the provider of this command.
pub(super) fn start_current() -> String {
    let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    start(providers.as_ref().map_or(BUILT_IN, |(current, _)| current))
}

/// What a command needs so that this provider is meant: ` --provider NAME`, or nothing.
pub(super) fn option_for(provider: &str) -> String {
    let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let default = providers.as_ref().map_or(BUILT_IN, |(_, default)| default);
    if provider == default { String::new() } else { format!(" --provider {provider}") }
}
