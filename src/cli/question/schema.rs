//! The JSON Schema of `--schema`: read before the question is sent, checked against the answer.

use std::error::Error;
use std::io;
use std::path::Path;

use boon::{CompileError, Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::question::answer_state::AnswerState;
use crate::cli::text;
use nexus::Ordered;
use nexus::internal::clean::clean;
use nexus::internal::invisible;

/// The schema's name in errors about its references.
const NAME: &str = "schema:/";

/// The longest answer that is checked, in bytes: four times what a model writes at once. As values, it can take eighty
/// times that.
const LARGEST_ANSWER: usize = 2 * 1024 * 1024;

/// A valid JSON Schema.
pub(crate) struct Schema {
    /// The schema as it was written.
    value: Ordered,
    compiled: Schemas,
    index: SchemaIndex,
}

/// Refuses references to other documents.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, _: &str) -> std::result::Result<Value, Box<dyn Error>> {
        Err("references to other documents are not supported".into())
    }
}

impl Schema {
    /// Reads the schema of a command's `--schema`: the JSON itself if it begins as an object does, else the file of
    /// that name.
    ///
    /// # Errors
    /// [`CliError::Usage`] if the file cannot be read or does not hold a JSON Schema.
    pub(crate) fn read(argument: &str, command: &str, context: &Context) -> Result<Self> {
        Self::of(argument, context)
            .map_err(|reason| CliError::usage(command, format!("--schema cannot be used: {reason}")))
    }

    /// As [`read`](Self::read), with what is wrong as the end of a sentence.
    ///
    /// # Errors
    /// A file that cannot be read or does not hold a JSON Schema.
    pub(crate) fn of(argument: &str, context: &Context) -> std::result::Result<Self, String> {
        let argument = invisible::trim(argument);
        let inline = argument.starts_with('{');
        let (text, name) = match inline {
            true => (argument.to_owned(), "it"),
            false => (text_of(argument, context).map_err(|error| format!("{argument}: {error}"))?, argument),
        };
        let invalid = |error: serde_json::Error| format!("{name} is not valid JSON: {error}");
        let value: Value = serde_json::from_str(&text).map_err(invalid)?;
        let written = text.parse().map_err(invalid)?;
        let (mut compiler, mut compiled) = (Compiler::new(), Schemas::new());
        compiler.use_loader(Box::new(NoLoader));
        compiler.enable_format_assertions();
        let no_schema = |error| format!("{name} is not a JSON Schema: {}", why(&error));
        compiler.add_resource(NAME, value).map_err(no_schema)?;
        let index = compiler.compile(NAME, &mut compiled).map_err(no_schema)?;
        Ok(Self { value: written, compiled, index })
    }

    /// The schema as it was written.
    pub(crate) fn value(&self) -> Ordered {
        self.value.clone()
    }

    /// Checks a complete answer.
    ///
    /// # Errors
    /// [`CliError::SchemaMismatch`].
    pub(crate) fn check_answer(&self, answer: &AnswerState) -> Result<()> {
        let cut = answer.meta.stop_reason.as_deref() == Some("max_tokens");
        self.check(&answer.text).map_err(|reason| CliError::SchemaMismatch { reason, cut })
    }

    /// The first place that does not fit, and why.
    fn check(&self, answer: &str) -> std::result::Result<(), String> {
        if answer.len() > LARGEST_ANSWER {
            return Err(format!("longer than {} MiB, too long to check", LARGEST_ANSWER / 1024 / 1024));
        }
        let value: Value = serde_json::from_str(answer).map_err(|error| format!("not valid JSON: {error}"))?;
        self.compiled.validate(&value, self.index).map_err(|error| first(&error))
    }
}

fn why(error: &CompileError) -> String {
    match error {
        CompileError::ValidationError { src, .. } => first(src),
        other => other.to_string().replace(NAME, ""),
    }
}

/// The text of a file or a pipe, which is no larger than any schema.
fn text_of(path: &str, context: &Context) -> io::Result<String> {
    const LARGEST: usize = 1024 * 1024;
    let refused = || io::Error::other("not a regular file, or larger than 1 MiB");
    let bytes = context.file(Path::new(path), LARGEST + 1)?.filter(|bytes| bytes.len() <= LARGEST);
    text::decode(bytes.ok_or_else(refused)?).map_err(io::Error::other)
}

/// The innermost of what does not fit, and where.
fn first(error: &ValidationError<'_, '_>) -> String {
    match error.causes.first() {
        Some(cause) => first(cause),
        None => {
            let place = error.instance_location.to_string();
            let place = if place.is_empty() { "the top".into() } else { format!("`{place}`") };
            format!("at {place}, {}", clean(&error.kind.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(argument: &str) -> std::result::Result<Schema, String> {
        Schema::read(argument, "chat", &Context::new(false)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_invalid_schema_is_a_usage_error() {
        for (argument, why) in [
            ("{", "it is not valid JSON: EOF while parsing an object at line 1 column 1"),
            ("{\"type\":\"thing\"}", "it is not a JSON Schema: at `/type`, "),
            ("{\"properties\":7}", "it is not a JSON Schema: at `/properties`, want object, but got number"),
            ("{\"$ref\":\"#/$defs/gone\"}", "it is not a JSON Schema: "),
            ("{\"$ref\":\"file:///etc/hostname\"}", "it is not a JSON Schema: "),
            ("no-such-file.json", "no-such-file.json: No such file or directory (os error 2)"),
        ] {
            let complaint = read(argument).err().unwrap_or_default();
            assert!(complaint.starts_with(&format!("--schema cannot be used: {why}")), "{argument}: {complaint}");
        }
    }

    #[test]
    fn an_answer_fits_or_the_place_is_named() {
        let text = r#"{ "type": "object", "properties": { "age": { "type": "integer" }, "on": { "format": "date" } },
            "required": ["age"], "additionalProperties": false }"#;
        let schema = read(text).unwrap();
        for (answer, why) in [
            (r#"{"age":7,"on":"2026-11-25"}"#, None),
            (r#"{"age":"7"}"#, Some("at `/age`, want integer, but got string")),
            (r#"{"age":7,"on":"today"}"#, Some("at `/on`, ")),
            (r#"{"on":"2026-11-25"}"#, Some("at the top, missing properties 'age'")),
            (r#"{"age":7,"x":1}"#, Some("at the top, additionalProperties 'x' not allowed")),
            ("Seven.", Some("not valid JSON: expected value at line 1 column 1")),
            (r#"{"age":7"#, Some("not valid JSON: EOF while parsing")),
            ("", Some("not valid JSON: EOF while parsing")),
        ] {
            let failed = schema.check(answer).err();
            match (failed, why) {
                (Some(failed), Some(why)) => assert!(failed.starts_with(why), "{answer}: {failed}"),
                (failed, why) => assert_eq!(failed.as_deref(), why, "{answer}"),
            }
        }
    }
}
