//! Parses the configuration file by the table of keys.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::files::ConfigFiles;
use super::invalid;
use super::keys::{Key, PRESET, PROVIDER, Section, Settings, TOP};
use super::kind::{Fault, Kind};
use super::source::Source;
use crate::cli::error::{CliError, Result};
use crate::cli::nearest::nearest;
use crate::cli::text::{NotUtf8, read_trusted};
use nexus::ProviderConfig;
use nexus::internal::clean::clean;
use nexus::internal::invisible;

/// The key at the top of the file that holds the sections of the providers.
pub(super) const SECTIONS: &str = "provider";

#[derive(Default)]
pub(super) struct File {
    pub(super) settings: Settings,
    pub(super) providers: BTreeMap<String, Section>,
}

/// Reads the files. A missing one is empty. A key of the user's file replaces that of the system's.
pub(super) fn read(files: &ConfigFiles) -> Result<File> {
    let mut texts = Vec::new();
    for path in files.upper_first() {
        if let Some(text) = text(path)? {
            texts.push((path, text));
        }
    }
    let mut tables = Vec::new();
    for (path, text) in &texts {
        tables.push(DeTable::parse(text).map_err(|error| malformed(&error, text, path))?);
    }
    let mut file = File { settings: Settings::of(Source::new(files, String::new())), ..File::default() };
    for (at, (path, text)) in texts.iter().enumerate().rev() {
        let upper: Vec<_> = tables[..at].iter().map(|table| table.get_ref()).collect();
        Reader { user: files, path: (*path).into(), text }.file(tables[at].get_ref(), &upper, &mut file)?;
    }
    Ok(file)
}

/// The text of the file, if there is one.
pub(super) fn text(path: &Path) -> Result<Option<Zeroizing<String>>> {
    match read_trusted(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.read_link() {
            Ok(target) => {
                let message = format!("{} is a link to {}, which does not exist", path.display(), target.display());
                Err(invalid(message, "create that file, or remove the link"))
            }
            Err(_) => Ok(None),
        },
        Err(error) => {
            if let Some(untrusted) = CliError::untrusted(path, &error) {
                return Err(untrusted);
            }
            let message = format!("{} cannot be read: {error}", path.display());
            let hint = NotUtf8::of(&error).map(NotUtf8::hint);
            Err(invalid(message, hint.as_deref().unwrap_or("make it a readable file of UTF-8 text, or remove it")))
        }
    }
}

struct Reader<'a> {
    /// The user's file.
    user: &'a Path,
    /// The file that is read.
    path: Arc<Path>,
    text: &'a str,
}

impl Reader<'_> {
    /// Adds a file, without the keys that are in the `upper` ones.
    fn file(&self, table: &DeTable<'_>, upper: &[&DeTable<'_>], file: &mut File) -> Result<()> {
        let mut source = std::mem::take(&mut file.settings.source);
        if let Some(failure) = self.apply(table, upper, TOP, &mut source, &mut file.settings)? {
            return Err(failure);
        }
        if let Some((key, value)) = table.get_key_value(SECTIONS) {
            let not_a_section = |name: &str, at: usize| self.not_a_section(name, at);
            let sections = value.get_ref().as_table().ok_or_else(|| not_a_section(SECTIONS, key.span().start))?;
            for (name, value) in sections {
                let place = format!("{SECTIONS}.{}", name.get_ref());
                if let Some(why) = invalid_name(name.get_ref()) {
                    return Err(self.at_top().invalid_at(
                        self.line(name.span().start),
                        &place,
                        &why,
                        "retype the name",
                    ));
                }
                let table = value.get_ref().as_table().ok_or_else(|| not_a_section(&place, name.span().start))?;
                let upper: Vec<_> = upper.iter().filter_map(|upper| section(upper, name.get_ref())).collect();
                let added = file.providers.entry(name.get_ref().to_string());
                let preset = upper.iter().chain([&table]).find_map(|table| table.get(PRESET)?.get_ref().as_str());
                let added = added.or_insert_with(|| self.empty_section(name.get_ref(), preset, place));
                self.section(table, &upper, added)?;
            }
        }
        file.settings.source = source;
        Ok(())
    }

    /// The source of errors about the top of this file.
    fn at_top(&self) -> Source {
        Source::new(&self.path, String::new())
    }

    fn not_a_section(&self, name: &str, at: usize) -> CliError {
        self.at_top().invalid_at(self.line(at), name, "must be a section: [provider.NAME]", FIX)
    }

    fn empty_section(&self, name: &str, preset: Option<&str>, place: String) -> Section {
        let provider = ProviderConfig::built_in(name).or_else(|| ProviderConfig::like(preset?, name));
        let mut section = Section::of(provider.unwrap_or_else(|| ProviderConfig::named(name)));
        section.source = Source::new(self.user, place);
        section
    }

    fn section(&self, table: &DeTable<'_>, upper: &[&DeTable<'_>], section: &mut Section) -> Result<()> {
        let mut source = std::mem::take(&mut section.source);
        let unusable = self.apply(table, upper, PROVIDER, &mut source, section)?;
        section.unusable = section.unusable.take().or(unusable);
        section.source = source;
        Ok(())
    }

    /// Applies the keys of a table that are in none of the `upper` ones. An unknown key or a value of the wrong kind is
    /// an error. An unusable value of the right kind is returned: it matters only if the section is used.
    fn apply<T>(
        &self,
        table: &DeTable<'_>,
        upper: &[&DeTable<'_>],
        keys: &[Key<T>],
        source: &mut Source,
        target: &mut T,
    ) -> Result<Option<CliError>> {
        let sections = Some(SECTIONS).filter(|_| source.section.is_empty());
        let known: Vec<_> = keys.iter().map(|key| key.name).chain(sections).collect();
        if let Some(key) = table.keys().find(|key| !known.contains(&&**key.get_ref())) {
            return Err(self.unknown(key.get_ref(), key.span().start, &source.section, &known));
        }
        let mut unusable = None;
        for row in keys.iter().filter(|row| !upper.iter().any(|upper| upper.contains_key(row.name))) {
            let Some((key, value)) = table.get_key_value(row.name) else { continue };
            let line = self.line(key.span().start);
            source.add(row.name, &self.path, line);
            match row.kind.apply(value.get_ref(), target) {
                Ok(()) => {}
                Err(Fault::Kind { at, meant }) => {
                    let line = at.map_or(line, |at| self.line(at));
                    let hint = meant.map_or_else(|| FIX.into(), did_you_mean);
                    return Err(source.invalid_at(line, row.name, &must_be(&row.kind), &hint));
                }
                Err(Fault::Unusable(fault)) => {
                    let failure = match fault.entry {
                        Some((entry, at)) => {
                            let key = format!("{}.{entry}", row.name);
                            source.invalid_at(self.line(at), &key, &fault.why, fault.hint)
                        }
                        None => source.invalid_at(line, row.name, &fault.why, fault.hint),
                    };
                    unusable.get_or_insert(failure);
                }
            }
        }
        Ok(unusable)
    }

    fn unknown(&self, key: &str, at: usize, section: &str, known: &[&str]) -> CliError {
        let place = if section.is_empty() { "at the top".into() } else { format!("in [{}]", clean(section)) };
        let (path, line) = (self.path.display(), self.line(at));
        let hint = match nearest(key, known.iter().copied()) {
            Some(nearest) => did_you_mean(nearest),
            None => "`nexus help config` lists the keys".into(),
        };
        invalid(format!("{path}, line {line}: unknown key `{}` {place}", invisible::shown(&clean(key))), hint)
    }

    /// The line of an offset, from 1.
    fn line(&self, at: usize) -> usize {
        line(self.text, at)
    }
}

const FIX: &str = "fix that line";

/// The section of a provider.
fn section<'t, 'a>(table: &'t DeTable<'a>, name: &str) -> Option<&'t DeTable<'a>> {
    table.get(SECTIONS)?.get_ref().as_table()?.get(name)?.get_ref().as_table()
}

/// Why a name of a section cannot be typed as it is seen.
fn invalid_name(name: &str) -> Option<String> {
    match invisible::trim(name) {
        "" => Some("has no name".into()),
        trimmed if trimmed != name => Some("has white space at an end of its name".into()),
        _ => invisible::inside(name, true),
    }
}

fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

fn must_be<T>(kind: &Kind<T>) -> String {
    format!("must be {}", kind.description())
}

pub(super) fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The error of a file that is not TOML.
pub(super) fn malformed(error: &toml::de::Error, text: &str, path: &Path) -> CliError {
    let number = line(text, error.span().map_or(0, |span| span.start));
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let path = path.display();
    // TOML allows a tab, and any text in quotes and comments.
    let unquoted = line.split(['"', '\'', '#']).next().unwrap_or_default().replace('\t', " ");
    let what = match value_expected(line, error.message()) {
        _ if let Some(why) = invisible::inside(&unquoted, true) => format!("{path}, line {number}: the line {why}"),
        Some((key, must_be)) => format!("`{key}` in {path}, line {number}, {must_be}"),
        // The message of the parser may quote the value, which may be a secret.
        None if line.contains("secret") || line.contains("pass") => {
            format!("{path}, line {number}: the value is not a quoted string")
        }
        // Unlike the error's `Display`, its `message` does not quote the line.
        None => format!("{path}, line {number}: {}", error.message().trim().replace('\n', ", ")),
    };
    invalid(what, FIX)
}

/// For a line whose value is not TOML, such as an unquoted word: its key, and what the value must be.
fn value_expected<'l>(line: &'l str, message: &str) -> Option<(&'l str, String)> {
    let not_a_value = [
        "string values must be quoted",
        "invalid float",
        "invalid digit",
        "invalid integer",
        "invalid basic string",
        "invalid literal string",
    ];
    if !not_a_value.iter().any(|begin| message.starts_with(begin)) {
        return None;
    }
    let key = line.split_once('=')?.0.trim();
    let top = TOP.iter().find(|row| row.name == key).map(|row| must_be(&row.kind));
    let must_be = top.or_else(|| PROVIDER.iter().find(|row| row.name == key).map(|row| must_be(&row.kind)));
    Some((key, must_be?))
}
