//! Where the sessions are stored, and whose they are.

#[cfg(feature = "postgres")]
use std::path::PathBuf;

use super::checks::warn_if_readable;
use super::file::read;
use super::keys::Settings;
use super::kind::SecretValue;
use super::{ConfigFiles, Variables, invalid};
use crate::cli::error::{CliError, Result};
use nexus::internal::invisible;
use nexus::key::KeyConfig;
#[cfg(feature = "postgres")]
use nexus::store::{PostgresUrl, PostgresUrlError};

/// The variable that overrides `store` and `store_file`.
const VARIABLE: &str = "NEXUS_STORE";

/// The variable that overrides `owner`.
const OWNER: &str = "NEXUS_OWNER";

/// The longest name of an owner, in bytes.
const LONGEST_OWNER: usize = 255;

/// The store of the sessions, and the key that seals them.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreConfig {
    pub(crate) key: KeyConfig,
    /// The database, unless the sessions are in a SQLite file.
    #[cfg(feature = "postgres")]
    pub(crate) postgres: Option<PostgresUrl>,
    owner: Option<String>,
}

impl StoreConfig {
    /// Whose sessions are used. A database that several people may share has no default.
    pub(crate) fn owner(&self) -> Result<String> {
        match &self.owner {
            Some(owner) => Ok(owner.clone()),
            None if self.is_shared() => Err(invalid(
                "`store` is a PostgreSQL database, but `owner` is not set",
                "set NEXUS_OWNER, or `owner = \"...\"` at the top of config.toml, to a name for this account or job; \
                 everyone with the same owner shares one session",
            )),
            None => Ok(String::new()),
        }
    }

    /// The owner that is set, if one is.
    #[cfg(feature = "postgres")]
    pub(crate) fn configured_owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn is_shared(&self) -> bool {
        self.postgres.is_some()
    }

    #[cfg(not(feature = "postgres"))]
    #[expect(clippy::unused_self, reason = "it has a field for it with the feature")]
    pub(crate) fn is_shared(&self) -> bool {
        false
    }
}

/// A store of sessions.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone)]
pub(crate) enum StorePlace {
    /// A PostgreSQL database.
    Postgres(Box<PostgresUrl>),
    /// A SQLite file, by its absolute path.
    Sqlite(PathBuf),
}

#[cfg(feature = "postgres")]
impl StorePlace {
    /// Reads the value of a flag: a URL without a password, a path, or `env:NAME` for any URL or path in a variable.
    pub(crate) fn parse(flag: &str, value: &str, variables: Variables<'_>) -> Result<Self> {
        let usage = |message, hint: &str| CliError::Usage { message, hint: hint.into() };
        let from_variable = match value.strip_prefix("env:") {
            Some(name) => Some(variables(name).ok_or_else(|| {
                let message = format!("{flag} names the environment variable `{name}`, which is not set");
                usage(message, "set it to the URL or the path of the store")
            })?),
            None => None,
        };
        let text = from_variable.as_deref().unwrap_or(value);
        // A URL of another kind may have a password, too.
        if !text.contains("://") && !text.contains("password=") {
            let path = std::path::absolute(text).map_err(|_| {
                usage(format!("{flag} is empty"), "pass the URL of a PostgreSQL database or the path of a SQLite file")
            })?;
            return Ok(Self::Sqlite(path));
        }
        let url = PostgresUrl::parse(text)
            .map_err(|problem| usage(format!("the URL of {flag} {problem}"), &url_hint(&problem)))?;
        if url.has_password() && from_variable.is_none() {
            return Err(usage(
                format!("the URL of {flag} contains a password, which other users can read in the command line"),
                &format!("put the URL into an environment variable and pass `{flag} env:NAME`"),
            ));
        }
        Ok(Self::Postgres(Box::new(url)))
    }
}

/// An owner that can be stored and shown.
fn checked(owner: String, error: impl FnOnce(&str, &str) -> CliError) -> Result<String> {
    if owner.len() > LONGEST_OWNER {
        let why = format!("has {} bytes, and an owner may have {LONGEST_OWNER}", owner.len());
        return Err(error(&why, "use a shorter name"));
    }
    match invisible::inside(&owner, true) {
        Some(why) => Err(error(&why, "use a name of visible characters and spaces")),
        None => Ok(owner),
    }
}

/// The store that the file and the environment choose, and warnings.
pub(crate) fn store_config(path: &ConfigFiles, variables: Variables<'_>) -> Result<(StoreConfig, Vec<String>)> {
    let mut warnings = Vec::new();
    let store = read(path)?.settings.store_config(variables, &mut warnings)?;
    Ok((store, warnings))
}

/// [`store_config`] for a file that may be broken. What is wrong with the key is said when it is used.
pub(crate) fn usable_store_config(path: &ConfigFiles, variables: Variables<'_>) -> Result<(StoreConfig, Vec<String>)> {
    let settings = read(path).map(|file| file.settings).unwrap_or_default();
    let mut warnings = Vec::new();
    let key = settings.key_config(&mut warnings).unwrap_or_default();
    Ok((settings.with_key(key, variables, &mut warnings)?, warnings))
}

impl Settings {
    pub(super) fn store_config(&self, variables: Variables<'_>, warnings: &mut Vec<String>) -> Result<StoreConfig> {
        let key = self.key_config(warnings)?;
        self.with_key(key, variables, warnings)
    }

    fn with_key(&self, key: KeyConfig, variables: Variables<'_>, warnings: &mut Vec<String>) -> Result<StoreConfig> {
        let source = &self.source;
        let owner = match (variables(OWNER), &self.owner) {
            (Some(owner), _) => Some(checked(owner, |why, hint| invalid(format!("{OWNER} {why}"), hint))?),
            (None, Some(owner)) if !owner.is_empty() => {
                Some(checked(owner.clone(), |why, hint| source.invalid("owner", why, hint))?)
            }
            (None, _) => None,
        };
        let mut store = StoreConfig { key, owner, ..StoreConfig::default() };
        if let Some(url) = variables(VARIABLE) {
            store.set_url(&url, |why, hint| invalid(format!("{VARIABLE} {why}"), hint))?;
            return Ok(store);
        }
        match (&self.store, &self.store_file) {
            (Some(_), Some(_)) => {
                Err(source.invalid("store", "cannot be combined with `store_file`", "keep one of the two"))
            }
            (Some(SecretValue::Text(url)), None) => {
                warn_if_readable(source.path_of("store"), warnings);
                store.set_url(url.expose(), |why, hint| source.invalid("store", why, hint))?;
                Ok(store)
            }
            (Some(SecretValue::Variable(name)), None) => {
                let url = source.variable("store", name, "the URL of the store", variables)?;
                store.set_url(&url, |why, hint| invalid(format!("{name} {why}"), hint))?;
                Ok(store)
            }
            (None, Some(file)) => {
                let url = source.read_secret("store_file", file, "the URL of the store", warnings)?;
                store.set_url(&url, |why, hint| {
                    let why = format!("contains a URL that {why}");
                    source.unusable("store_file", file, &why, hint)
                })?;
                Ok(store)
            }
            (None, None) => Ok(store),
        }
    }
}

#[cfg(feature = "postgres")]
impl StoreConfig {
    fn set_url(&mut self, url: &str, error: impl FnOnce(&str, &str) -> CliError) -> Result<()> {
        let url = PostgresUrl::parse(url);
        self.postgres = Some(url.map_err(|problem| error(&problem.to_string(), &url_hint(&problem)))?);
        Ok(())
    }
}

#[cfg(not(feature = "postgres"))]
impl StoreConfig {
    fn set_url(&mut self, _: &str, error: impl FnOnce(&str, &str) -> CliError) -> Result<()> {
        Err(error("is not supported, because this nexus was built without PostgreSQL", "install nexus with PostgreSQL"))
    }
}

#[cfg(feature = "postgres")]
fn url_hint(problem: &PostgresUrlError) -> String {
    let hint = match problem {
        PostgresUrlError::Unsupported(_) => {
            return format!("use only parameters of libpq that nexus supports: {}", PostgresUrl::PARAMETERS.join(", "));
        }
        PostgresUrlError::Scheme => "set it to `postgres://USER:PASSWORD@HOST/DATABASE`; without it, SQLite is used",
        PostgresUrlError::Repeated(_) => "keep one of the two",
        PostgresUrlError::Value(_) => {
            "correct it as PostgreSQL's documentation of libpq says; `sslmode` is `verify-full`, or `disable` on loopback"
        }
        PostgresUrlError::Unverified => {
            "use `sslmode=verify-full`, with `sslrootcert=FILE` for a private certificate authority"
        }
        PostgresUrlError::PlainText => "remove it, or connect through a tunnel or a Unix socket on this machine",
        PostgresUrlError::MixedHosts => "name either of them",
        _ => {
            "write it as `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `%` escapes for special characters in the \
             password"
        }
    };
    hint.into()
}
