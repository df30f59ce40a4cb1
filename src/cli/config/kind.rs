//! The kinds of values: how they are parsed and described.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::checks::{self, Unusable};
use super::placeholder::is_placeholder;
use crate::cli::nearest::nearest;
use nexus::internal::time::parse_wait;
use nexus::internal::{invisible, provider};
use nexus::{ClientSecret, Url};

type Texts = BTreeMap<String, String>;

type Choose<T> = (&'static str, fn(&mut T));

/// A kind of value, with the function that sets it in a `T`.
pub(super) enum Kind<T: 'static> {
    Text(fn(&mut T, String)),
    /// A text that this check accepts.
    Checked(fn(&str) -> Result<(), Unusable>, fn(&mut T, String)),
    ClientId(fn(&mut T, String)),
    Secret(fn(&mut T, SecretValue)),
    Path(fn(&mut T, PathBuf)),
    /// An endpoint, as written and as parsed.
    Url(fn(&mut T, &str, Url)),
    Bool(fn(&mut T, bool)),
    /// A whole number, at least 1.
    Count(fn(&mut T, u32)),
    List(fn(&mut T, Vec<String>)),
    /// A program and its arguments, as a list.
    Command(fn(&mut T, Vec<String>)),
    /// A duration that is not zero, as text or in seconds.
    Duration(fn(&mut T, time::Duration)),
    Table(fn(&mut T, Texts)),
    /// Parameters of a request, except these.
    Params(&'static [&'static str], fn(&mut T, Texts)),
    /// Headers of a request, except these.
    Headers(&'static [&'static str], fn(&mut T, Vec<Header>)),
    /// One of a few words.
    Choice(&'static [Choose<T>]),
}

/// A header and where its value is.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: HeaderValue,
    /// Its offset in the file.
    pub(super) at: usize,
}

pub(super) enum HeaderValue {
    Text(String),
    File(PathBuf),
}

/// A secret, or where it is.
pub(super) enum SecretValue {
    Text(ClientSecret),
    /// The name of an environment variable.
    Variable(String),
}

/// Why a value was rejected.
pub(super) enum Fault {
    /// It is of the wrong kind.
    Kind {
        /// The offset of the wrong item, unless the whole value is wrong.
        at: Option<usize>,
        meant: Option<&'static str>,
    },
    Unusable(Unusable),
}

impl From<Unusable> for Fault {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

const RETYPE: &str = "type the value by hand instead of copying it";

const NOT_OF_THIS_KIND: Fault = Fault::Kind { at: None, meant: None };

impl<T> Kind<T> {
    /// Sets the value in the target, which is unchanged on error.
    pub(super) fn apply(&self, value: &DeValue<'_>, target: &mut T) -> Result<(), Fault> {
        match self {
            Self::Text(set) => {
                let text = word(value)?;
                if is_placeholder(text) {
                    return Err(
                        Unusable::value("is a placeholder", "set it to a value of your own, or remove it").into()
                    );
                }
                set(target, text.to_owned());
            }
            Self::Checked(check, set) => {
                let text = word(value)?;
                check(text)?;
                set(target, text.to_owned());
            }
            Self::ClientId(set) => {
                let id = text(value)?;
                if let Some(why) = checks::not_a_client_id(id) {
                    return Err(Unusable::value(why, "set it to the id of the registered client").into());
                }
                set(target, id.to_owned());
            }
            Self::Secret(set) => set(target, secret(value)?),
            Self::Path(set) => set(target, PathBuf::from(text(value)?)),
            Self::Url(set) => {
                let text = text(value)?;
                let url = provider::endpoint_url(text);
                set(
                    target,
                    text,
                    url.map_err(|why| {
                        Unusable::value(why, "use an `https://` URL without user name, password and fragment")
                    })?,
                );
            }
            Self::Bool(set) => set(target, value.as_bool().ok_or(NOT_OF_THIS_KIND)?),
            Self::Count(set) => set(target, count(value).ok_or(NOT_OF_THIS_KIND)?),
            Self::Command(set) => set(target, command(value)?),
            Self::Duration(set) => set(target, duration(value)?),
            Self::List(set) => {
                let items = list(value)?;
                if let Some(why) = items.iter().find_map(|item| invisible::inside(item, true)) {
                    return Err(Unusable::value(why, RETYPE).into());
                }
                set(target, items);
            }
            Self::Table(set) => set(target, texts(table(value)?)?),
            Self::Params(reserved, set) => {
                let table = table(value)?;
                let params = texts(table)?;
                checks::params(entries(table), reserved)?;
                set(target, params);
            }
            Self::Headers(reserved, set) => {
                let headers = headers(table(value)?)?;
                checks::headers(headers.iter().map(Header::entry), reserved)?;
                set(target, headers);
            }
            Self::Choice(choices) => {
                let word = text(value)?;
                match choices.iter().find(|(choice, _)| *choice == word) {
                    Some((_, choose)) => choose(target),
                    None => {
                        let meant = nearest(word, choices.iter().map(|(choice, _)| *choice));
                        return Err(Fault::Kind { at: None, meant });
                    }
                }
            }
        }
        Ok(())
    }

    /// How the value is written.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Text(_) | Self::Checked(..) | Self::ClientId(_) => "a quoted string".into(),
            Self::Secret(_) => "a quoted string, or { env = \"NAME\" } for an environment variable".into(),
            Self::Path(_) => "a quoted path".into(),
            Self::Url(_) => "a quoted URL".into(),
            Self::Bool(_) => "true or false, without quotes".into(),
            Self::Count(_) => format!("a whole number from 1 to {}, without quotes", u32::MAX),
            Self::List(_) => "a list of quoted strings: [\"one\", \"two\"]".into(),
            Self::Command(_) => "a list of quoted strings: [\"program\", \"argument\"]".into(),
            Self::Duration(_) => "a quoted duration: \"90s\", \"5m\", \"1h\" or \"2d\"; or a number of seconds".into(),
            Self::Table(_) | Self::Params(..) => "a table of quoted strings: { name = \"value\" }".into(),
            Self::Headers(..) => {
                "a table of quoted strings or files: { name = \"value\", other = { file = \"path\" } }".into()
            }
            Self::Choice(choices) => {
                let choices: Vec<_> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
                format!("one of {}", choices.join(", "))
            }
        }
    }
}

/// A text, without invisible characters at its ends.
fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Fault> {
    value.as_str().map(invisible::trim).ok_or(NOT_OF_THIS_KIND)
}

/// A text that a server or the user compares with another one, so an invisible character inside is a mistake.
fn word<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Fault> {
    let text = text(value)?;
    match invisible::inside(text, true) {
        Some(why) => Err(Unusable::value(why, RETYPE).into()),
        None => Ok(text),
    }
}

/// A text in a list or table.
fn item<'v>(value: &'v Spanned<DeValue<'_>>) -> Result<&'v str, Fault> {
    let not_text = Fault::Kind { at: Some(value.span().start), meant: None };
    value.get_ref().as_str().map(invisible::trim).ok_or(not_text)
}

fn count(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| *number > 0)
}

fn duration(value: &DeValue<'_>) -> Result<time::Duration, Fault> {
    let parsed = match value.as_integer() {
        Some(seconds) => parse_wait(seconds.as_str()),
        None => parse_wait(text(value)?),
    };
    parsed.map_err(|why| Unusable::value(format!("is not a duration: {why}"), "use a duration such as \"90s\"").into())
}

fn list(value: &DeValue<'_>) -> Result<Vec<String>, Fault> {
    let items = value.as_array().ok_or(NOT_OF_THIS_KIND)?;
    items.iter().map(|value| item(value).map(str::to_owned)).collect()
}

/// A list whose first item is a program.
fn command(value: &DeValue<'_>) -> Result<Vec<String>, Fault> {
    let words = list(value)?;
    match words.first().map(|program| program.trim()) {
        None | Some("") => Err(Unusable::value("is empty", "set it to a program and its arguments").into()),
        Some(_) => Ok(words),
    }
}

/// A secret as a text, or a table whose only key is `env`.
fn secret(value: &DeValue<'_>) -> Result<SecretValue, Fault> {
    let DeValue::Table(table) = value else {
        let secret = word(value)?;
        return match is_placeholder(secret) {
            true => Err(Unusable::value("is a placeholder", "set it to the secret of the registered client").into()),
            false => Ok(SecretValue::Text(ClientSecret::new(secret.to_owned()))),
        };
    };
    let name = table.get("env").filter(|_| table.len() == 1).ok_or(NOT_OF_THIS_KIND)?;
    match word(name.get_ref())? {
        "" => Err(Unusable::value("names no environment variable", "set `env` to the name of one").into()),
        name => Ok(SecretValue::Variable(name.to_owned())),
    }
}

fn table<'v, 't>(value: &'v DeValue<'t>) -> Result<&'v DeTable<'t>, Fault> {
    value.as_table().ok_or(NOT_OF_THIS_KIND)
}

/// Headers. The value of each is a text, or a table whose only key is `file`.
fn headers(table: &DeTable<'_>) -> Result<Vec<Header>, Fault> {
    let header = |(name, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let unusable = Fault::Kind { at: Some(value.span().start), meant: None };
        let value = match value.get_ref() {
            DeValue::String(text) => HeaderValue::Text(invisible::trim(text).to_owned()),
            DeValue::Table(table) if table.len() == 1 => {
                let file = table.get("file").and_then(|file| file.get_ref().as_str()).ok_or(unusable)?;
                HeaderValue::File(PathBuf::from(invisible::trim(file)))
            }
            _ => return Err(unusable),
        };
        Ok(Header { name: name.get_ref().to_string(), value, at: name.span().start })
    };
    table.iter().map(header).collect()
}

impl Header {
    fn entry(&self) -> checks::Entry<'_> {
        // The value of a file is checked when the file is read.
        let value = if let HeaderValue::Text(text) = &self.value { text } else { "" };
        checks::Entry { at: self.at, name: &self.name, value }
    }
}

fn texts(table: &DeTable<'_>) -> Result<Texts, Fault> {
    table.iter().map(|(name, value)| Ok((name.get_ref().to_string(), item(value)?.to_owned()))).collect()
}

fn entries<'v>(table: &'v DeTable<'_>) -> impl Iterator<Item = checks::Entry<'v>> {
    table.iter().filter_map(|(name, value)| {
        let value = invisible::trim(value.get_ref().as_str()?);
        Some(checks::Entry { at: name.span().start, name: name.get_ref(), value })
    })
}
