//! How hints name a provider.

use std::sync::{Mutex, PoisonError};

use nexus::internal::provider::BUILT_IN;

/// The provider of this command, and the default one.
static PROVIDERS: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Sets the provider of this command, for errors that name none, and the default one, for which hints need no
/// `--provider`.
pub(crate) fn set_providers(current: &str, default: &str) {
    *PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner) = Some((current.to_owned(), default.to_owned()));
}

/// "run `nexus oauth start`", with a provider if necessary.
pub(crate) fn run_start(provider: &str) -> String {
    format!("run `nexus oauth start{}`", provider_option(provider))
}

/// [`run_start`] for the provider of this command.
pub(super) fn run_start_current() -> String {
    run_start(&current_provider())
}

/// The name of the provider of this command.
pub(super) fn current_provider() -> String {
    let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    providers.as_ref().map_or(BUILT_IN, |(current, _)| current).to_owned()
}

/// The option that selects this provider: ` --provider NAME`, or nothing for the default one.
pub(super) fn provider_option(provider: &str) -> String {
    let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let default = providers.as_ref().map_or(BUILT_IN, |(_, default)| default);
    if provider == default { String::new() } else { format!(" --provider {provider}") }
}
