//! The section of a provider whose URL is known: the one that is there, or the name of a new one.

use std::io;
use std::path::{Path, PathBuf};

use super::checks::warn_if_readable;
use super::document::header;
use super::file::read;
use super::files::ConfigFiles;
use super::keys::Section;
use super::{Configured, Variables, invalid, named_default};
use crate::cli::error::{CliError, Result};
use crate::cli::text::{NotUtf8, read_trusted};
use nexus::internal::invisible;
use nexus::internal::oauth::base_of;
use nexus::internal::provider::BUILT_IN;
use nexus::{ClientSecret, ProviderConfig, Url};

/// Where the provider of a URL is configured, or is going to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Existing(Existing),
    /// The name of a section that is not there yet.
    New(String),
}

/// A section that has the URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    pub(crate) name: String,
    pub(crate) client_secret_file: Option<PathBuf>,
    pub(crate) has_redirect_uri: bool,
}

impl Existing {
    fn new(name: String, section: &Section) -> Self {
        let client_secret_file =
            section.client_secret_file.as_ref().map(|file| section.source.beside("client_secret_file", file));
        Self { name, client_secret_file, has_redirect_uri: section.source.has("redirect_uri") }
    }
}

/// The section of a configured provider.
///
/// # Errors
/// If it is the built-in provider, which needs none.
pub(crate) fn existing(path: &ConfigFiles, name: &str) -> Result<Existing> {
    let section = read(path)?.providers.remove(name).filter(|_| name != BUILT_IN);
    let missing = || CliError::usage("oauth start", format!("{name} has no section in config.toml; pass URL"));
    section.map(|section| Existing::new(name.to_owned(), &section)).ok_or_else(missing)
}

/// The section for this URL: the one with this name, else one that has the URL, else a new one that is named by the
/// host. `is_taken` tells whether a name without a section belongs to something else.
///
/// # Errors
/// If the name is not allowed, or if its section has another URL.
pub(crate) fn place_for(
    path: &ConfigFiles,
    url: &Url,
    name: Option<&str>,
    is_taken: impl Fn(&str) -> bool,
) -> Result<Place> {
    let mut providers = read(path)?.providers;
    let Some(name) = name else {
        let known = providers.iter().find(|(_, section)| is_for(section, url)).map(|(name, _)| name.clone());
        if let Some((name, section)) = known.and_then(|name| providers.remove_entry(&name)) {
            return Ok(Place::Existing(Existing::new(name, &section)));
        }
        let is_built_in = |name: &str| ProviderConfig::built_in(name).is_some();
        let is_free = |name: &String| !is_built_in(name) && !providers.contains_key(name) && !is_taken(name);
        let free = names_of(url).into_iter().find(is_free);
        let taken = || CliError::usage("oauth start", "the name of this host is taken; pass another with --provider");
        return free.map(Place::New).ok_or_else(taken);
    };
    if ProviderConfig::built_in(name).is_some() {
        let message = format!("`{name}` is a built-in provider, which has other URLs");
        return Err(CliError::usage("oauth start", format!("{message}; pass another name with --provider")));
    }
    match providers.remove(name) {
        Some(section) if is_for(&section, url) => Ok(Place::Existing(Existing::new(name.to_owned(), &section))),
        Some(section) => {
            let has_url = section.provider.issuer.is_some() || section.provider.gateway.is_some();
            let what = if has_url { "has another URL" } else { "has no `issuer` and no `gateway`" };
            let message = format!("{} in {} {what}", header(name), path.display());
            Err(invalid(message, "pass another name with --provider, or change the section"))
        }
        None if name.bytes().all(|byte| byte == b'.') || !name.bytes().all(is_allowed) => {
            let message = "a name of dots, or with other characters than a-z, 0-9, `.`, `_` and `-`";
            Err(CliError::usage("oauth start", format!("--provider has {message}")))
        }
        None => Ok(Place::New(name.to_owned())),
    }
}

/// The configuration of a provider that has no section yet.
pub(crate) fn load_new(path: &ConfigFiles, variables: Variables<'_>, name: &str) -> Result<Configured> {
    let settings = read(path)?.settings;
    let mut warnings = Vec::new();
    let store = settings.store_config(variables, &mut warnings)?;
    let owner = store.owner()?;
    let default = named_default(&settings, variables).unwrap_or_else(|| BUILT_IN.into());
    let mut provider = ProviderConfig::named(name);
    provider.api.aliases = settings.aliases;
    Ok(Configured {
        provider,
        sources: Vec::new(),
        default,
        store,
        owner,
        history: !settings.no_history,
        warnings,
        is_by_environment: false,
        is_new: true,
        token_file: None,
    })
}

/// Whether the file chooses a provider or has one.
pub(crate) fn has_providers(path: &ConfigFiles) -> Result<bool> {
    let file = read(path)?;
    Ok(file.settings.default.is_some() || !file.providers.is_empty())
}

/// The client secret in the file of `--client-secret-file`. Adds a warning if other users can read the file.
pub(crate) fn client_secret_in(path: &Path, warnings: &mut Vec<String>) -> Result<ClientSecret> {
    let unusable = |why: &dyn std::fmt::Display, hint: String| CliError::Usage {
        message: format!("--client-secret-file is {}, which {why}", path.display()),
        hint,
    };
    let text = read_trusted(path).map_err(|error| {
        CliError::untrusted(path, &error).unwrap_or_else(|| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "create the file with only the secret in it".into(),
                _ => NotUtf8::of(&error).map_or_else(|| "make it a readable file".into(), NotUtf8::hint),
            };
            unusable(&format!("cannot be read: {error}"), hint)
        })
    })?;
    warn_if_readable(path, warnings);
    let secret = invisible::trim(&text);
    match if secret.is_empty() { Some("is empty".into()) } else { invisible::inside(secret, true) } {
        Some(why) => Err(unusable(&why, "write only the secret into the file".into())),
        None => Ok(ClientSecret::new(secret.to_owned())),
    }
}

/// Whether two URLs differ at most in a slash at the end.
pub(crate) fn is_same(one: &Url, other: &Url) -> bool {
    one.as_str().trim_end_matches('/') == other.as_str().trim_end_matches('/')
}

fn is_for(section: &Section, url: &Url) -> bool {
    let issuer = section.provider.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
    let gateway = section.provider.gateway.as_ref();
    issuer.is_some_and(|issuer| is_same(&issuer, url))
        || gateway.is_some_and(|gateway| base_of(gateway) == base_of(url))
}

fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// Names for a URL, the best first: its host, with its port, with its path.
fn names_of(url: &Url) -> Vec<String> {
    let allowed = |text: &str| {
        let kept = text
            .to_ascii_lowercase()
            .bytes()
            .map(|byte| if is_allowed(byte) { char::from(byte) } else { '-' })
            .collect::<String>();
        kept.trim_matches('-').to_owned()
    };
    let host = allowed(url.host_str().unwrap_or_default());
    let port = url.port_or_known_default().unwrap_or_default();
    // `[::]` has nothing that a name may have.
    let host = if host.is_empty() { "host".to_owned() } else { host };
    let mut names = vec![host.clone(), format!("{host}-{port}")];
    let path = allowed(url.path());
    if !path.is_empty() {
        names.extend([format!("{host}-{path}"), format!("{host}-{port}-{path}")]);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_named_by_its_host() {
        for (url, names) in [
            ("https://llm.example.com", vec!["llm.example.com", "llm.example.com-443"]),
            (
                "https://LLM.example.com:8443/Team/a b/",
                vec![
                    "llm.example.com",
                    "llm.example.com-8443",
                    "llm.example.com-team-a-20b",
                    "llm.example.com-8443-team-a-20b",
                ],
            ),
            ("http://[::1]:8080", vec!["1", "1-8080"]),
        ] {
            assert_eq!(names_of(&Url::parse(url).unwrap()), names, "{url}");
        }
    }
}
