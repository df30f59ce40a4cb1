//! Templates: `templates/NAME.toml` beside `config.toml`.
//!
//! They are filled in one pass: a value is never searched for placeholders, so piped input stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::error::{CliError, Result};
use crate::cli::nearest::nearest;
use crate::cli::template_files;
use crate::cli::text::{NotUtf8, read_trusted};
use nexus::internal::{clean, invisible};

/// The placeholder for the prompt and piped input.
const INPUT: &str = "input";

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    system: Option<String>,
    prompt: Option<String>,
    model: Option<String>,
    max_tokens: Option<u32>,
    #[serde(default)]
    vars: BTreeMap<String, toml::Value>,
}

/// A template with the values of its own and of the flags.
#[derive(Debug)]
pub(super) struct Template {
    name: String,
    path: PathBuf,
    system: Option<String>,
    prompt: Option<String>,
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<u32>,
    values: BTreeMap<String, String>,
}

/// A template with its input.
#[derive(Debug, PartialEq)]
pub(super) struct Filled {
    pub(super) system: Option<String>,
    pub(super) prompt: String,
}

/// One `NAME=VALUE` of the command line.
///
/// # Errors
/// What is wrong with it, for clap.
pub(super) fn variable(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((INPUT, _)) => Err("`input` is the prompt and piped input, not a variable".into()),
        Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".into()),
    }
}

/// Reads a template. Its placeholders get the given values, or its own defaults.
///
/// # Errors
/// [`CliError::Configuration`], naming the template and what is wrong.
pub(super) fn load(name: &str, given: &[(String, String)], folder: &Path) -> Result<Template> {
    // A path in the name could leave the folder.
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
    let path = folder.join(format!("{name}.toml"));
    let text = if plain { read_trusted(&path) } else { Err(io::ErrorKind::NotFound.into()) };
    let text = match text {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown(name, folder)),
        Err(error) => {
            if let Some(untrusted) = CliError::untrusted(&path, &error) {
                return Err(untrusted);
            }
            let hint =
                NotUtf8::of(&error).map_or_else(|| "make it a readable file of UTF-8 text".into(), NotUtf8::hint);
            return Err(config_error(format!("{} cannot be read: {error}", path.display()), &hint));
        }
    };
    let file: File = toml::from_str(&text).map_err(|error| {
        let number = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
        let line = text.lines().nth(number).unwrap_or_default();
        let why =
            expected(line, error.message()).unwrap_or_else(|| format!(": {}", error.message().replace('\n', ", ")));
        config_error(format!("{}, line {}{why}", path.display(), number + 1), "fix that line")
    })?;
    if file.max_tokens == Some(0) {
        return Err(config_error(
            format!("`max_tokens` in {} is 0", path.display()),
            "write the maximum length of an answer, in tokens",
        ));
    }
    let File { system, prompt, model, max_tokens, vars } = file;
    let model = model.map(|model| invisible::trim(&model).to_owned());
    let mut template =
        Template { name: name.to_owned(), path, system, prompt, model, max_tokens, values: BTreeMap::new() };
    template.values = template.defaults(vars)?;
    template.check_known(given)?;
    template.values.extend(given.iter().cloned());
    Ok(template)
}

/// What the value on this line must be, if the parser found another type. Its own message names Rust types.
fn expected(line: &str, message: &str) -> Option<String> {
    let other_kind = ["invalid type", "invalid value"].iter().any(|begin| message.starts_with(begin));
    let key = line.split_once('=').filter(|_| other_kind)?.0.trim();
    let kind = match key {
        "max_tokens" => "a whole number from 1 to 4294967295, without quotes",
        "vars" => "a section: [vars]",
        _ => "text in quotes",
    };
    Some(format!(", `{}` must be {kind}", clean::clean(key)))
}

impl Template {
    /// Fills the template, with more values for its variables.
    ///
    /// # Errors
    /// [`CliError::Usage`] if the template needs input and there is none, [`CliError::Configuration`] for variables
    /// that are missing or unknown.
    pub(super) fn fill(&self, input: &str, vars: &[(String, String)]) -> Result<Filled> {
        self.check_known(vars)?;
        self.check_complete(vars)?;
        let wanted = self.texts().any(|text| placeholders(text).any(|name| name == INPUT));
        let given = !input.trim().is_empty();
        if wanted && !given {
            let name = &self.name;
            return Err(CliError::Usage {
                message: format!("the template {name} needs {{{{input}}}}, but there is no question"),
                hint: "pass it as an argument or pipe it in; in a batch, give the line a `prompt`".into(),
            });
        }
        let value = |name: &str| match vars.iter().find(|(key, _)| key == name) {
            _ if name == INPUT => Some(input),
            Some((_, value)) => Some(value.as_str()),
            None => self.values.get(name).map(String::as_str),
        };
        let fill = |text: &String| filled(text, value);
        let prompt = self.prompt.as_ref().map(fill).unwrap_or_default();
        let prompt = match (prompt.trim().is_empty(), given && !wanted) {
            (true, true) => input.to_owned(),
            (false, true) => format!("{}\n\n{input}", prompt.trim_end()),
            (_, false) => prompt,
        };
        Ok(Filled { system: self.system.as_ref().map(fill), prompt })
    }

    /// Checks that each variable has a value.
    ///
    /// # Errors
    /// [`CliError::Configuration`], naming those that have none.
    pub(super) fn check_complete(&self, vars: &[(String, String)]) -> Result<()> {
        let has_value = |name: &str| self.values.contains_key(name) || vars.iter().any(|(key, _)| key == name);
        let missing: Vec<_> = self.variables().into_iter().filter(|name| !has_value(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let flags: Vec<_> = missing.iter().map(|name| format!("--var {name}=...")).collect();
        let (name, path) = (&self.name, self.path.display());
        Err(config_error(
            format!("the template {name} needs a value for: {}", listed(missing.into_iter())),
            format!("add {}, or a default under [vars] in {path}", flags.join(" ")),
        ))
    }

    /// Checks that there is a place for each of these values.
    fn check_known(&self, vars: &[(String, String)]) -> Result<()> {
        if vars.is_empty() {
            return Ok(());
        }
        let wanted = self.variables();
        let Some((key, _)) = vars.iter().find(|(key, _)| !wanted.contains(key.as_str())) else { return Ok(()) };
        let has = if wanted.is_empty() { "none".into() } else { listed(wanted.iter().copied()) };
        let see = || format!("see {}", self.path.display());
        let hint = did_you_mean(key, wanted.iter().copied()).unwrap_or_else(see);
        let (name, key) = (&self.name, clean::clean(key));
        Err(config_error(format!("the template {name} has no variable `{key}`; it has: {has}"), hint))
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.system, &self.prompt].into_iter().flatten()
    }

    /// The names of the variables.
    fn variables(&self) -> BTreeSet<&str> {
        self.texts().flat_map(|text| placeholders(text)).filter(|name| *name != INPUT).collect()
    }

    /// The values under `[vars]`. There is a place for each.
    fn defaults(&self, vars: BTreeMap<String, toml::Value>) -> Result<BTreeMap<String, String>> {
        let (wanted, path) = (self.variables(), self.path.display());
        let mut values = BTreeMap::new();
        for (key, value) in vars {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                _ => return Err(config_error(format!("`vars.{key}` in {path} is not text"), "write it in quotes")),
            };
            values.insert(key, value);
        }
        if let Some(unused) = values.keys().find(|key| !wanted.contains(key.as_str())) {
            let message = format!("`vars.{unused}` in {path} is not used: there is no {{{{{unused}}}}}");
            return Err(config_error(
                message,
                did_you_mean(unused, wanted.iter().copied()).unwrap_or_else(|| "remove it".into()),
            ));
        }
        Ok(values)
    }
}

/// The error of variables for a question that has no template.
pub(super) fn without_template() -> CliError {
    config_error("`vars` are the variables of a template, and there is none".into(), "pass --template NAME")
}

fn config_error(message: String, hint: impl Into<String>) -> CliError {
    CliError::Configuration { message, hint: hint.into() }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn unknown(name: &str, folder: &Path) -> CliError {
    let known = template_files::names(folder);
    let known = || known.iter().map(String::as_str);
    let there =
        if known().next().is_none() { "there are none".into() } else { format!("there are: {}", listed(known())) };
    let name = clean::clean(name);
    let folder = folder.display();
    let write = || format!("write {folder}/{name}.toml, with `prompt = \"... {{{{input}}}}\"` in it");
    config_error(
        format!("no template is called `{name}` in {folder}; {there}"),
        did_you_mean(&name, known()).unwrap_or_else(write),
    )
}

fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|nearest| format!("did you mean `{nearest}`?"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// The next placeholder: its start, name and end. Double braces around anything else are text, as other languages use
/// them too.
fn next(text: &str, from: usize) -> Option<(usize, &str, usize)> {
    let mut at = from;
    loop {
        let start = at + text[at..].find("{{")?;
        let inside = text[start + 2..].trim_start();
        let (name, rest) = inside.split_at(inside.find(|c| !is_name_char(c)).unwrap_or(inside.len()));
        if let Some(behind) = rest.trim_start().strip_prefix("}}").filter(|_| !name.is_empty()) {
            return Some((start, name, text.len() - behind.len()));
        }
        at = start + 1;
    }
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (_, name, end) = next(text, at)?;
        at = end;
        Some(name)
    })
}

fn filled<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let (mut filled, mut at) = (String::with_capacity(text.len()), 0);
    while let Some((start, name, end)) = next(text, at) {
        filled.push_str(&text[at..start]);
        filled.push_str(value(name).unwrap_or(&text[start..end]));
        at = end;
    }
    filled.push_str(&text[at..]);
    filled
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn template(toml: &str, given: &[&str]) -> std::result::Result<Template, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("review.toml"), toml).unwrap();
        let given: Vec<_> = given.iter().map(|text| variable(text).unwrap()).collect();
        load("review", &given, folder.path()).and_then(complete).map_err(|failure| {
            format!("{failure} | {}", failure.hint()).replace(&*folder.path().to_string_lossy(), "DIR")
        })
    }

    fn complete(template: Template) -> Result<Template> {
        template.check_complete(&[]).map(|()| template)
    }

    fn prompt(toml: &str, given: &[&str], input: &str) -> String {
        template(toml, given).unwrap().fill(input, &[]).unwrap().prompt
    }

    #[test]
    fn placeholders_are_filled_once() {
        let text = "prompt = 'Review this {{ lang }} {{lang}}, {{tone}}: {{input}}!'\n[vars]\nlang = 'Rust'\ntone = 5";
        assert_eq!(prompt(text, &[], "x"), "Review this Rust Rust, 5: x!");
        assert_eq!(prompt(text, &["tone=a=b"], "{{lang}}"), "Review this Rust Rust, a=b: {{lang}}!");
        assert_eq!(prompt(text, &["tone={{input}}"], "x"), "Review this Rust Rust, {{input}}: x!");
        // What other languages mean by braces.
        let braces = "prompt = '{{}} {{ a b }} {{.x}} {{{lang}}} {{{{ {{'\n[vars]\nlang = 'Rust'";
        assert_eq!(prompt(braces, &[], ""), "{{}} {{ a b }} {{.x}} {Rust} {{{{ {{");
    }

    #[test]
    fn input_without_a_place_follows_the_prompt() {
        assert_eq!(prompt("prompt = \"Summarize.\\n\"", &[], "text"), "Summarize.\n\ntext");
        assert_eq!(prompt("prompt = 'Tell a joke.'", &[], " "), "Tell a joke.");
        assert_eq!(prompt("system = 'Be brief.'", &[], "text"), "text");
        let filled = template("system = 'About {{input}}.'\nprompt = 'Go.'", &[]).unwrap().fill("x", &[]).unwrap();
        assert_eq!(filled, Filled { system: Some("About x.".into()), prompt: "Go.".into() });
        let missing = template("prompt = '{{input}}'", &[]).unwrap().fill("\n", &[]).unwrap_err();
        assert_eq!(missing.to_string(), "the template review needs {{input}}, but there is no question");
    }

    #[test]
    fn errors_name_what_is_wrong_and_the_nearest_name() {
        let file = "prompt = '{{lang}} {{tone}}'\n[vars]\ntone = 'kind'";
        for (toml, given, message) in [
            (
                file,
                &[][..],
                "the template review needs a value for: lang | add --var lang=..., or a default under [vars] in DIR/review.toml",
            ),
            (
                file,
                &["lnag=x"],
                "the template review has no variable `lnag`; it has: lang, tone | did you mean `lang`?",
            ),
            ("prompt = 'x'", &["a=x"], "the template review has no variable `a`; it has: none | see DIR/review.toml"),
            (
                "prompt = '{{lang}}'\n[vars]\nlagn = 'x'",
                &[],
                "`vars.lagn` in DIR/review.toml is not used: there is no {{lagn}} | did you mean `lang`?",
            ),
            ("prompt = '{{a}}'\n[vars]\na = []", &[], "`vars.a` in DIR/review.toml is not text | write it in quotes"),
            (
                "max_tokens = 0",
                &[],
                "`max_tokens` in DIR/review.toml is 0 | write the maximum length of an answer, in tokens",
            ),
            (
                "\npromt = 'x'",
                &[],
                "DIR/review.toml, line 2: unknown field `promt`, expected one of `system`, `prompt`, `model`, `max_tokens`, \
                 `vars` | fix that line",
            ),
        ] {
            assert_eq!(template(toml, given).unwrap_err(), message);
        }
        for wrong in ["x", "=x", "a b=x", "input=x", ""] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_leads_to_no_other_folder() {
        let folder = tempfile::tempdir().unwrap();
        let templates = folder.path().join("templates");
        let message = |name: &str| {
            let failure = load(name, &[], &templates).unwrap_err();
            format!("{failure} | {}", failure.hint()).replace(&*templates.to_string_lossy(), "DIR")
        };
        assert_eq!(
            message("review"),
            "no template is called `review` in DIR; there are none | write DIR/review.toml, with `prompt = \"... {{input}}\"` in it"
        );
        fs::create_dir(&templates).unwrap();
        fs::write(folder.path().join("outside.toml"), "prompt = 'x'").unwrap();
        fs::write(templates.join("review.toml"), "prompt = 'x'").unwrap();
        fs::write(templates.join("notes.md"), "").unwrap();
        assert_eq!(
            message("reveiw"),
            "no template is called `reveiw` in DIR; there are: review | did you mean `review`?"
        );
        for name in ["../outside", "a/../../outside", "..\\outside", "", ".hidden"] {
            assert!(message(name).starts_with("no template is called "), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_unknown_placeholders_stay(text in "[{} a-zA-Z\u{fc}]{0,40}") {
            let names: Vec<_> = placeholders(&text).collect();
            let same = filled(&text, |_| None);
            prop_assert_eq!(&same, &text);
            let gone = filled(&text, |_| Some(""));
            prop_assert!(names.is_empty() == (gone == text));
        }
    }
}
