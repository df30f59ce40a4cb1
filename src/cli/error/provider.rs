//! How hints name a provider.

use std::sync::{Mutex, PoisonError};

use nexus::internal::provider::BUILT_IN;

/// The providers that hints refer to.
#[derive(Debug, Clone)]
pub(crate) struct Providers {
    /// The provider of this command, for errors that name none.
    pub(crate) current: String,
    /// The default one, for which hints need no `--provider`.
    pub(crate) default: String,
    /// The current one is only on the command line yet: the command itself must be repeated.
    pub(crate) is_new: bool,
}

static PROVIDERS: Mutex<Option<Providers>> = Mutex::new(None);

/// Sets the providers of this command.
pub(crate) fn set_providers(providers: Providers) {
    *PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner) = Some(providers);
}

/// "run `nexus oauth start`", with a provider if necessary, or "run the same command".
pub(crate) fn run_start(provider: &str) -> String {
    if is_new(provider) { "run the same command".into() } else { format!("run `{}`", start(provider)) }
}

/// [`run_start`] with this flag.
pub(super) fn run_start_with(flag: &str, provider: &str) -> String {
    match is_new(provider) {
        true => format!("run the same command with `{flag}`"),
        false => format!("run `{} {flag}`", start(provider)),
    }
}

fn start(provider: &str) -> String {
    format!("nexus oauth start{}", provider_option(provider))
}

fn providers() -> Providers {
    let built_in = || Providers { current: BUILT_IN.into(), default: BUILT_IN.into(), is_new: false };
    PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(built_in)
}

fn is_new(provider: &str) -> bool {
    let Providers { current, is_new, .. } = providers();
    is_new && current == provider
}

/// [`run_start`] for the provider of this command.
pub(super) fn run_start_current() -> String {
    run_start(&current_provider())
}

/// The name of the provider of this command.
pub(super) fn current_provider() -> String {
    providers().current
}

/// The option that selects this provider: ` --provider NAME`, or nothing for the default one.
fn provider_option(provider: &str) -> String {
    if provider == providers().default { String::new() } else { format!(" --provider {provider}") }
}
