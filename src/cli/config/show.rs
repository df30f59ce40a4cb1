//! Each value of the configuration, and where it comes from, for `nexus config show`.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Variables;
use super::file::{SECTIONS, line, malformed, text};
use super::files::ConfigFiles;
use super::keys::{Key, PROVIDER, TOP};
use super::kind::Kind;
use crate::cli::error::Result;
use nexus::internal::provider::BUILT_IN;
use nexus::{Encoding, Grant, ProviderConfig, Url};

/// What a secret is shown as.
const SECRET: &str = "(secret)";

/// The variables that replace a key, of which provider.
const VARIABLES: &[(&str, &str)] = &[
    ("client_id", "CLAUDE_CODE_CLIENT_ID"),
    ("client_secret", "CLAUDE_CODE_CLIENT_SECRET"),
    ("redirect_uri", "CLAUDE_CODE_REDIRECT_URI"),
];

/// The variables that replace a key at the top.
const TOP_VARIABLES: &[(&str, &str)] =
    &[("default", "NEXUS_PROVIDER"), ("store", "NEXUS_STORE"), ("owner", "NEXUS_OWNER")];

/// A key and its value.
pub(crate) struct Shown {
    /// With its section.
    pub(crate) key: String,
    /// As it is written in the file. `None` if there is none.
    pub(crate) value: Option<String>,
    /// What applies without a value, in words.
    pub(crate) otherwise: Option<&'static str>,
    pub(crate) origin: Origin,
}

/// Where a value comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable(&'static str),
    File { path: PathBuf, line: usize },
    Default,
}

/// The values at the top of the files, and those of the provider that was loaded from them, in the order of the
/// reference.
///
/// # Errors
/// A file that cannot be read or is not TOML.
pub(crate) fn values(files: &ConfigFiles, variables: Variables<'_>, loaded: &ProviderConfig) -> Result<Vec<Shown>> {
    let mut texts = Vec::new();
    for path in files.upper_first() {
        if let Some(text) = text(path)? {
            texts.push((path, text));
        }
    }
    let mut layers = Vec::new();
    for (path, text) in &texts {
        let table = DeTable::parse(text).map_err(|error| malformed(&error, text, path))?;
        layers.push(Layer { path: path.to_path_buf(), text, table: table.into_inner() });
    }
    let mut shown = Vec::new();
    for key in TOP {
        let own = TOP_VARIABLES.iter().find(|(name, _)| *name == key.name);
        shown.push(value(key, "", &layers, own.map(|(_, variable)| *variable), variables, None));
    }
    let provider = &*loaded.name;
    for key in PROVIDER {
        let own = VARIABLES.iter().find(|(name, _)| provider == BUILT_IN && *name == key.name);
        let built_in = value_of(loaded, key.name);
        shown.push(value(key, provider, &layers, own.map(|(_, variable)| *variable), variables, built_in));
    }
    Ok(shown)
}

/// A parsed file.
struct Layer<'a> {
    path: PathBuf,
    text: &'a str,
    table: DeTable<'a>,
}

fn value<T>(
    key: &Key<T>,
    provider: &str,
    layers: &[Layer<'_>],
    variable: Option<&'static str>,
    variables: Variables<'_>,
    built_in: Option<String>,
) -> Shown {
    let name = if provider.is_empty() { key.name.to_owned() } else { format!("{SECTIONS}.{provider}.{}", key.name) };
    if let Some((variable, value)) = variable.and_then(|variable| Some((variable, variables(variable)?))) {
        let value = if matches!(key.kind, Kind::Secret(_)) { SECRET.to_owned() } else { quoted(&value) };
        return Shown { key: name, value: Some(value), otherwise: None, origin: Origin::Variable(variable) };
    }
    for layer in layers {
        let Some((written, value)) = find(&layer.table, provider, key.name) else { continue };
        let origin = Origin::File { path: layer.path.clone(), line: line(layer.text, written.span().start) };
        let value = Some(render(value, layer, &key.kind));
        return Shown { key: name, value, otherwise: None, origin };
    }
    let value = built_in.or_else(|| Some(key.default.to_owned()).filter(|default| is_toml(default)));
    let otherwise = Some(key.default).filter(|default| value.is_none() && !["none", "unset"].contains(default));
    Shown { key: name, value, otherwise, origin: Origin::Default }
}

type Entry<'t, 'a> = (&'t Spanned<DeString<'a>>, &'t Spanned<DeValue<'a>>);

fn find<'t, 'a>(table: &'t DeTable<'a>, provider: &str, key: &str) -> Option<Entry<'t, 'a>> {
    if provider.is_empty() {
        return table.get_key_value(key);
    }
    let sections = table.get(SECTIONS)?.get_ref().as_table()?;
    sections.get(provider)?.get_ref().as_table()?.get_key_value(key)
}

/// A value as it is written, without secrets.
fn render<T>(value: &Spanned<DeValue<'_>>, layer: &Layer<'_>, kind: &Kind<T>) -> String {
    let text = layer.text;
    match (value.get_ref(), kind) {
        (_, Kind::Secret(_)) => SECRET.into(),
        (DeValue::Table(table), Kind::Table(_)) => entries(table, |value| plain(value, text)),
        // A header or a field may hold a key. A table names the file that holds it.
        (DeValue::Table(table), _) => entries(table, |value| match value.get_ref() {
            DeValue::Table(named) => entries(named, |value| plain(value, text)),
            _ => SECRET.into(),
        }),
        // A relative path starts at the file.
        (DeValue::String(path), Kind::Path(_)) => {
            quoted(&layer.path.with_file_name("").join(path.as_ref()).to_string_lossy())
        }
        (DeValue::String(url), Kind::Url(_)) => match url.split_once('?') {
            Some((url, _)) => format!("\"{url}?{SECRET}\""),
            None => quoted(url),
        },
        _ => plain(value, text),
    }
}

fn entries(table: &DeTable<'_>, render: impl Fn(&Spanned<DeValue<'_>>) -> String) -> String {
    let entries: Vec<_> = table.iter().map(|(name, value)| format!("{} = {}", name.get_ref(), render(value))).collect();
    if entries.is_empty() { "{}".into() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn plain(value: &Spanned<DeValue<'_>>, text: &str) -> String {
    match value.get_ref() {
        DeValue::String(word) => quoted(word),
        _ => text.get(value.span()).unwrap_or_default().to_owned(),
    }
}

/// Whether a text is a value of TOML, and not words.
fn is_toml(text: &str) -> bool {
    text.parse::<toml_edit::Value>().is_ok()
}

/// The value of a key that is not in the files, in a provider that was loaded: that of the built-in provider that it
/// is, or is like.
fn value_of(provider: &ProviderConfig, key: &str) -> Option<String> {
    let url = |url: &Option<Url>| Some(quoted(url.as_ref()?.as_str()));
    let words = |words: &[String]| words.iter().map(String::as_str).collect::<toml_edit::Array>().to_string();
    let encoding = |encoding| if encoding == Encoding::Json { "\"json\"" } else { "\"form\"" };
    match key {
        "authorize_url" => url(&provider.authorize_url),
        "token_url" => url(&provider.token_url),
        "api_url" => url(&provider.api.url),
        "par_url" => url(&provider.par_url),
        "revoke_url" => url(&provider.revoke_url),
        "userinfo_url" => url(&provider.userinfo_url),
        "device_url" => url(&provider.device_url),
        "registration_url" => url(&provider.registration.url),
        "issuer" => provider.issuer.as_deref().map(quoted),
        "redirect_uri" => Some(quoted(&provider.redirect_uri)),
        "scopes" => Some(words(&provider.scopes)).filter(|_| !provider.scopes.is_empty()),
        "code_request" => Some(encoding(provider.code.encoding).into()),
        "refresh_request" => Some(encoding(provider.refresh.encoding).into()),
        "token_command" => match &provider.grant {
            Grant::Command(command) => Some(words(&command.command.words)),
            _ => None,
        },
        _ => None,
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}
