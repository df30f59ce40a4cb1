//! The configuration file as it is written: which keys there are, and what each holds. The only home
//! of the TOML parser.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::expected;
use crate::cli::nearest::nearest;
use nexus::internal::failure::{Failure, Result};
use nexus::internal::provider::{ClientAuth, Dialect, Encoding, Origin};
use nexus::internal::secret::ClientSecret;
use nexus::internal::session::key::Keeper;

/// The largest configuration file, in bytes. Nobody writes as much by hand.
const LARGEST: u64 = 1024 * 1024;

/// The keys at the top of the file.
const TOP: &[&str] = &["aliases", "default", "history", "key", "passphrase_command", "passphrase_file", "provider"];

/// The keys of a provider.
const KEYS: &[&str] = &[
    "issuer",
    "authorize_url",
    "token_url",
    "device_url",
    "revoke_url",
    "revoke_replaced",
    "client_id",
    "client_secret",
    "client_secret_file",
    "client_auth",
    "redirect_uri",
    "scopes",
    "authorize_params",
    "code_request",
    "code_params",
    "code_headers",
    "refresh_request",
    "refresh_params",
    "refresh_headers",
    "api_url",
    "api_headers",
    "dialect",
    "model",
    "max_tokens",
];

#[derive(Default, Deserialize)]
pub(super) struct File {
    pub(super) aliases: Option<BTreeMap<String, String>>,
    pub(super) default: Option<String>,
    pub(super) history: Option<bool>,
    pub(super) key: Option<Keeper>,
    pub(super) passphrase_file: Option<PathBuf>,
    pub(super) passphrase_command: Option<String>,
    #[serde(default)]
    pub(super) provider: BTreeMap<String, Section>,
}

#[derive(Default, Deserialize)]
pub(super) struct Section {
    pub(super) issuer: Option<String>,
    pub(super) authorize_url: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) device_url: Option<String>,
    pub(super) revoke_url: Option<String>,
    pub(super) revoke_replaced: Option<bool>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<ClientSecret>,
    pub(super) client_secret_file: Option<PathBuf>,
    pub(super) client_auth: Option<ClientAuth>,
    pub(super) redirect_uri: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) authorize_params: Option<BTreeMap<String, String>>,
    pub(super) code_request: Option<Encoding>,
    pub(super) code_params: Option<BTreeMap<String, String>>,
    pub(super) code_headers: Option<BTreeMap<String, String>>,
    pub(super) refresh_request: Option<Encoding>,
    pub(super) refresh_params: Option<BTreeMap<String, String>>,
    pub(super) refresh_headers: Option<BTreeMap<String, String>>,
    pub(super) api_url: Option<String>,
    pub(super) api_headers: Option<BTreeMap<String, String>>,
    pub(super) dialect: Option<Dialect>,
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<u32>,
}

/// Reads the file, if it is there.
///
/// # Errors
/// [`Failure::Configuration`], naming the key or the line.
pub(super) fn read(path: &Path) -> Result<Option<File>> {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::Configuration {
                sentence: format!("{} cannot be read: {error}", path.display()),
                cure: "make it a readable file of UTF-8 text, or remove it".into(),
            });
        }
    };
    let table: Table = toml::from_str(&text).map_err(|error| wrong(&error, &text, path, None))?;
    check_keys(&table, "", TOP, path)?;
    if let Some(providers) = table.get("provider").and_then(Value::as_table) {
        for (name, section) in providers {
            if let Some(section) = section.as_table() {
                check_keys(section, &format!("provider.{name}"), KEYS, path)?;
            }
        }
    }
    // A table has forgotten its lines; the text is read once more only to name one.
    table.try_into().or_else(|_| toml::from_str(&text)).map(Some).map_err(|error| {
        let culprit = toml::from_str(&text).ok().and_then(|table| culprit_in(&table));
        wrong(&error, &text, path, culprit)
    })
}

/// The text of a file that is one: nothing is ever read to the end of a device or a pipe.
fn text(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::other("this is no file"));
    }
    if found.len() > LARGEST {
        return Err(io::Error::other("this is larger than 1 MiB"));
    }
    fs::read_to_string(path)
}

/// A complaint of the parser, with its place and without the line itself, which may hold a secret.
fn wrong(error: &toml::de::Error, text: &str, path: &Path, culprit: Option<(String, String)>) -> Failure {
    let number = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
    let line = text.lines().nth(number).unwrap_or_default();
    let (key, value) = match culprit {
        Some((key, value)) => (Some(key), value),
        None => (key_of_no_value(line, error.message()), String::new()),
    };
    let origin = |key: &String| Origin::File(path.to_owned(), key.clone()).to_string();
    let place = key.as_ref().map_or_else(|| path.display().to_string(), origin);
    // `message` alone, because the error's own text would quote the line; and not even that where it
    // could quote a value that is meant to be hidden.
    let hidden = |place: &str| place.contains("secret") || place.contains("pass");
    let why = match &key {
        Some(key) => format!(", {}", expected::of(key)),
        None if hidden(line) => ": this is no text in quotes".into(),
        None => format!(": {}", error.message().trim().replace('\n', ", ")),
    };
    let meant = key.and_then(|key| expected::meant(&key, &value));
    Failure::Configuration {
        sentence: format!("{place}, line {}{why}", number + 1),
        cure: meant.map_or_else(|| "mend that line".into(), |meant| format!("did you mean `{meant}`?")),
    }
}

/// The key of a line whose value is nothing that TOML knows, such as a word without quotes, or with one.
fn key_of_no_value(line: &str, message: &str) -> Option<String> {
    let no_value = [
        "string values must be quoted",
        "invalid float",
        "invalid digit",
        "invalid integer",
        "invalid basic string",
        "invalid literal string",
    ];
    let key = line.split_once('=')?.0.trim();
    let known = TOP.contains(&key) || KEYS.contains(&key);
    (known && no_value.iter().any(|begin| message.starts_with(begin))).then(|| key.to_owned())
}

/// The first key whose value, taken alone, is not of its kind; and the value, if it is a text.
fn culprit_in(table: &Table) -> Option<(String, String)> {
    let alone = |key: &String, value: &Value| Table::from_iter([(key.clone(), value.clone())]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let in_section = |name: &String, section: &Table| {
        let mut keys = section.iter();
        let (key, value) = keys.find(|(key, value)| alone(key, value).try_into::<Section>().is_err())?;
        Some((format!("provider.{name}.{key}"), text(value)))
    };
    table.iter().find_map(|(key, value)| match (&**key, value.as_table()) {
        ("provider", Some(sections)) => sections.iter().find_map(|(name, section)| match section.as_table() {
            Some(section) => in_section(name, section),
            None => Some((format!("provider.{name}"), String::new())),
        }),
        _ => alone(key, value).try_into::<File>().is_err().then(|| (key.clone(), text(value))),
    })
}

fn check_keys(table: &Table, place: &str, known: &[&str], path: &Path) -> Result<()> {
    for key in table.keys() {
        if known.contains(&&**key) {
            continue;
        }
        let place = if place.is_empty() { "at the top".to_owned() } else { format!("in [{place}]") };
        return Err(Failure::Configuration {
            sentence: format!("{} has an unknown key `{}` {place}", path.display(), nexus::internal::clean::clean(key)),
            cure: match nearest(key, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known here are: {}", known.join(", ")),
            },
        });
    }
    Ok(())
}
