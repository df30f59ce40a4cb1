//! Builds a [`ProviderConfig`] from the configuration file and the environment.
//!
//! [`keys`] lists the keys of the file. Unknown keys are errors, because an ignored typo is hard to find. Errors never
//! quote a line of the file, which may contain a secret.

use std::path::Path;

use crate::cli::environment::secret_variables;
use crate::cli::error::{CliError, Result};
use crate::cli::nearest::nearest;
use nexus::ProviderConfig;
use nexus::internal::invisible;
use nexus::internal::provider::{BUILT_IN, FEDERATION};
use nexus::key::{KeyBackend, KeyConfig, PassphraseSource};

mod assertion_from;
mod by_url;
mod certificates;
mod checks;
mod client;
mod client_assertion;
pub(crate) mod document;
pub(crate) mod edit;
mod federation;
mod file;
mod files;
mod grant;
mod headers;
mod keys;
mod kind;
pub(crate) mod placeholder;
#[cfg(test)]
mod property;
pub(crate) mod reference;
mod registration;
pub(crate) mod show;
mod source;
mod store;
mod token_command;

pub(crate) use by_url::{Existing, Place, client_secret_in, existing, has_providers, is_same, load_new, place_for};
pub(crate) use checks::not_a_client_id;
use file::{File, read};
pub(crate) use files::ConfigFiles;
use keys::{Section, Settings};
use registration::TokenFile;
#[cfg(feature = "postgres")]
pub(crate) use store::StorePlace;
pub(crate) use store::{StoreConfig, store_config, usable_store_config};

/// Lists the providers with a session.
pub(crate) type Stored<'a> = &'a dyn Fn() -> Vec<String>;

/// Reads an environment variable. An empty one counts as unset.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A provider and its settings.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) provider: ProviderConfig,
    /// The provider whose session it takes assertions from, then the one that that takes them from, and so on.
    pub(crate) sources: Vec<ProviderConfig>,
    /// The provider that a command uses if none is named.
    pub(crate) default: String,
    pub(crate) store: StoreConfig,
    /// Whose sessions are used.
    pub(crate) owner: String,
    /// Whether conversations at a terminal are saved.
    pub(crate) history: bool,
    pub(crate) warnings: Vec<String>,
    /// Whether the provider is only on the command line yet.
    pub(crate) is_new: bool,
    /// Whether it is used because nothing else is configured, and its environment variables are set.
    pub(crate) is_by_environment: bool,
    /// The token of the registration endpoint, for a sign-in.
    token_file: Option<TokenFile>,
}

/// Every provider that is configured, the built-in one first.
pub(crate) fn names(path: &ConfigFiles) -> Result<Vec<String>> {
    let mut names = vec![BUILT_IN.to_owned()];
    names.extend(read(path)?.providers.into_keys().filter(|name| name != BUILT_IN));
    Ok(names)
}

/// The provider that a command uses if none is named. `stored` lists the providers with a session.
pub(crate) fn default_name(path: &ConfigFiles, variables: Variables<'_>, stored: Stored<'_>) -> Result<String> {
    Ok(read(path)?.default_provider(variables, stored).name().to_owned())
}

/// Checks that this provider is configured or built in.
pub(crate) fn check_name(path: &ConfigFiles, name: &str) -> Result<()> {
    check_name_or(path, name, &add_section(path, name))
}

/// As [`check_name`], with another cure than to add a section.
///
/// # Errors
/// [`CliError::Configuration`].
pub(crate) fn check_name_or(path: &ConfigFiles, name: &str, otherwise: &str) -> Result<()> {
    let names = names(path)?;
    if ProviderConfig::built_in(name).is_some() || names.iter().any(|known| known == name) {
        Ok(())
    } else {
        Err(unknown_provider(name, names.into_iter(), otherwise))
    }
}

/// Loads a provider: `chosen` on the command line, else the [default](File::default_provider) one.
pub(crate) fn load(
    path: &ConfigFiles,
    variables: Variables<'_>,
    chosen: Option<&str>,
    stored: Stored<'_>,
) -> Result<Configured> {
    let file = read(path)?;
    let default = file.default_provider(variables, stored);
    let is_by_environment = chosen.is_none() && default == DefaultProvider::Environment;
    let default = default.name().to_owned();
    let File { settings, mut providers } = file;
    let name = chosen.map_or(&*default, invisible::trim).to_owned();
    let name = &*name;
    let section = providers.remove(name);
    let mut warnings = Vec::new();
    let store = settings.store_config(variables, &mut warnings)?;
    let owner = store.owner()?;
    let token_file = section.as_ref().and_then(Section::token_file);
    let source = section.as_ref().map(|section| section.source.clone()).unwrap_or_default();
    let mut provider = match section.or_else(|| ProviderConfig::built_in(name).map(Section::of)) {
        Some(section) => section.into_provider(variables, &mut warnings)?,
        None => return Err(unknown_provider(name, providers.into_keys(), &add_section(path, name))),
    };
    provider.name = name.to_owned();
    provider.api.aliases = settings.aliases;
    if name == BUILT_IN {
        warnings.extend(client::apply_variables(variables, path, &mut provider)?);
    }
    if name == FEDERATION {
        federation::apply_variables(variables, &mut provider)?;
    }
    if let Some((key, why)) = placeholder::in_provider(&provider) {
        return Err(source.invalid(key, &why, placeholder::HINT));
    }
    let sources = assertion_from::sources(&provider, source, providers, path, variables, &mut warnings)?;
    Ok(Configured {
        provider,
        sources,
        default,
        store,
        owner,
        history: !settings.no_history,
        warnings,
        is_new: false,
        is_by_environment,
        token_file,
    })
}

/// Loads a provider for a command that needs only its session, which contains its client and its endpoints. An error in
/// the file is returned beside the result, unless neither the file nor the store knows the provider.
pub(crate) fn load_stored(
    path: &ConfigFiles,
    variables: Variables<'_>,
    chosen: Option<&str>,
    stored: Stored<'_>,
) -> Result<(Configured, Option<CliError>)> {
    let failure = match load(path, variables, chosen, stored) {
        Ok(configured) => return Ok((configured, None)),
        Err(failure) => failure,
    };
    let (store, warnings) = usable_store_config(path, variables)?;
    let owner = store.owner()?;
    let stored = stored();
    let file = read(path).ok();
    let default = match &file {
        Some(file) => named_default(&file.settings, variables),
        None => variables("NEXUS_PROVIDER"),
    };
    let named = chosen.map(|chosen| invisible::trim(chosen).to_owned()).or_else(|| default.clone());
    // A session whose section was removed from the file is not an error.
    let removed =
        |name: &String| name != BUILT_IN && file.as_ref().is_some_and(|file| !file.providers.contains_key(name));
    let removed = named.as_ref().is_some_and(removed);
    let name = match (named, &*stored) {
        (Some(name), stored) if removed && !stored.contains(&name) => return Err(failure),
        (Some(name), _) => name,
        (None, [only]) if file.is_none() => only.clone(),
        (None, _) => BUILT_IN.into(),
    };
    let (provider, default) = (ProviderConfig::named(&name), default.unwrap_or_else(|| BUILT_IN.into()));
    let configured = Configured {
        provider,
        sources: Vec::new(),
        default,
        store,
        owner,
        history: true,
        warnings,
        is_new: false,
        is_by_environment: false,
        token_file: None,
    };
    Ok((configured, (!removed).then_some(failure)))
}

/// The provider that a command uses if none is named.
#[derive(Debug, PartialEq, Eq)]
enum DefaultProvider {
    /// `NEXUS_PROVIDER` or `default` names it.
    Named(String),
    /// The environment variables of [`FEDERATION`] are complete, and [`BUILT_IN`] is not used.
    Environment,
    BuiltIn,
}

impl DefaultProvider {
    fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Environment => FEDERATION,
            Self::BuiltIn => BUILT_IN,
        }
    }
}

impl File {
    fn default_provider(&self, variables: Variables<'_>, stored: Stored<'_>) -> DefaultProvider {
        if let Some(name) = named_default(&self.settings, variables) {
            return DefaultProvider::Named(name);
        }
        let section = self.providers.get(BUILT_IN);
        let has_client = || {
            variables("CLAUDE_CODE_CLIENT_ID").is_some() || section.is_some_and(|section| section.client_id.is_some())
        };
        // The store is read only if that decides.
        match federation::is_complete(variables) && !has_client() && !stored().iter().any(|name| name == BUILT_IN) {
            true => DefaultProvider::Environment,
            false => DefaultProvider::BuiltIn,
        }
    }
}

fn named_default(settings: &Settings, variables: Variables<'_>) -> Option<String> {
    variables("NEXUS_PROVIDER").or_else(|| settings.default.clone())
}

impl Settings {
    fn key_config(&self, warnings: &mut Vec<String>) -> Result<KeyConfig> {
        let source = &self.source;
        let passphrase = match (&self.passphrase_file, &self.passphrase_command) {
            (Some(_), Some(_)) => {
                let why = "cannot be combined with `passphrase_command`";
                return Err(source.invalid("passphrase_file", why, "keep one of the two"));
            }
            (Some(file), None) => {
                let file = source.beside("passphrase_file", file);
                checks::warn_if_readable(&file, warnings);
                Some(PassphraseSource::File(file))
            }
            (None, Some(words)) => Some(PassphraseSource::Command(words.clone())),
            (None, None) if self.key == Some(KeyBackend::Passphrase) => {
                let why = "is \"passphrase\", but neither `passphrase_file` nor `passphrase_command` is set";
                let hint = "set one of the two";
                return Err(source.invalid("key", why, hint));
            }
            (None, None) => None,
        };
        let command = match (&self.key_command, self.key) {
            (Some(words), Some(KeyBackend::Command)) => words.clone(),
            (None, Some(KeyBackend::Command)) => {
                let hint = "set `key_command = [\"PROGRAM\", \"ARGUMENT\"]` to a command that prints the keys";
                return Err(source.invalid("key", "is \"command\", but `key_command` is not set", hint));
            }
            (Some(_), _) => {
                let hint = "set `key = \"command\"`, or remove `key_command`";
                return Err(source.invalid("key_command", "is set, but `key` is not \"command\"", hint));
            }
            (None, _) => Vec::new(),
        };
        Ok(KeyConfig { backend: self.key, passphrase, command, hidden_variables: secret_variables() })
    }
}

fn add_section(path: &Path, name: &str) -> String {
    let name = nexus::internal::clean::clean(name);
    format!("add a section {} to {}", document::header(&invisible::shown(&name)), path.display())
}

/// The error of a name that no provider has. `otherwise` is what to do if none of the others is meant.
fn unknown_provider(name: &str, others: impl Iterator<Item = String>, otherwise: &str) -> CliError {
    let known: Vec<_> = [BUILT_IN.to_owned()].into_iter().chain(others.filter(|other| other != BUILT_IN)).collect();
    let typed = name;
    let name = nexus::internal::clean::clean(name);
    let name = invisible::shown(&name);
    invalid(
        format!("unknown provider `{name}`; configured: {}", known.join(", ")),
        match nearest(typed, known.iter().map(String::as_str)) {
            Some(nearest) => format!("did you mean `{nearest}`? Otherwise {otherwise}"),
            None => otherwise.to_owned(),
        },
    )
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> CliError {
    CliError::Configuration { message: message.into(), hint: hint.into() }
}

#[cfg(test)]
mod tests;
