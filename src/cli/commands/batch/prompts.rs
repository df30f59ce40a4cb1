//! The lines of the input: JSON objects with `prompt` and mostly `id`.

use std::io::{self, BufRead, Read as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::question::attachment;
use crate::cli::text;
use nexus::Ordered;

/// The longest line, in bytes: the largest request of the Messages API, with every character escaped.
pub(super) const LONGEST_LINE: usize = 64 << 20;

/// The id of a line: text or an integer, repeated in its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    /// Text.
    Text(String),
    /// An integer.
    Number(i64),
}

/// The question of a line. Missing members have the same defaults as in `nexus chat`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    /// The question. Empty only with variables, if it is the template's.
    pub prompt: String,
    /// The files to attach.
    pub attach: Vec<PathBuf>,
    /// The variables of the template.
    pub vars: Vec<(String, String)>,
    /// The JSON Schema that the answer must match: JSON, or the name of a file.
    pub schema: Option<String>,
    /// The system prompt.
    pub system: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The maximum length of the answer, in tokens.
    pub max_tokens: Option<u32>,
}

/// A line that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number in the input; the first is 1.
    pub number: u64,
    /// Its id: its number if it has none. None if it has an invalid one, or is not an object.
    pub id: Option<Id>,
    /// Its question, or what is wrong with it.
    pub prompt: Result<Prompt, String>,
}

/// Reads lines, without the empty ones.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    longest: usize,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this input.
    pub(super) fn of(input: R) -> Self {
        Self { input, number: 0, longest: LONGEST_LINE }
    }

    /// The next line that is not empty.
    ///
    /// # Errors
    /// An input that cannot be read or has another encoding than UTF-8.
    pub(super) fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let read = read_line(&mut self.input, &mut bytes, self.longest)?;
            if read == Read::Nothing {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            if read == Read::TooLong {
                let why = format!("it is longer than {} MiB", self.longest >> 20);
                return Ok(Some(Line { number, id: None, prompt: Err(why) }));
            }
            if number == 1
                && let Some(encoding) = text::other_encoding(&bytes)
            {
                return Err(io::Error::other(encoding));
            }
            // Some programs begin a file with a byte order mark.
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&bytes);
            if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let (id, prompt) = read_prompt(bytes, number);
                return Ok(Some(Line { number, id, prompt }));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    Line,
    TooLong,
    Nothing,
}

/// How many times the longest line a line may have to be skipped. A longer one may never end, such as that of a device.
const SKIPPED: usize = 8;

/// Reads a line, but keeps at most `longest` bytes.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, longest: usize) -> io::Result<Read> {
    // One byte more, for the line break.
    let read = input.by_ref().take(longest as u64 + 1).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(Read::Nothing);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Read::Line);
    }
    if read <= longest {
        return Ok(Read::Line);
    }
    *line = Vec::new();
    let rest = longest * (SKIPPED - 1);
    if input.by_ref().take(rest as u64).skip_until(b'\n')? == rest {
        return Err(io::Error::other(format!("a line is longer than {} MiB", (longest * SKIPPED) >> 20)));
    }
    Ok(Read::TooLong)
}

/// Parses the line with this number.
fn read_prompt(line: &[u8], number: u64) -> (Option<Id>, Result<Prompt, String>) {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return (None, Err(format!("invalid UTF-8 at byte {}", error.valid_up_to()))),
    };
    let mut members: Map<String, Value> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) if error.is_data() => return (None, Err("not a JSON object".into())),
        Err(error) => return (None, Err(format!("not valid JSON: {}", in_column(&error)))),
    };
    let id = match members.remove("id") {
        None | Some(Value::Null) => Id::Number(i64::try_from(number).unwrap_or(i64::MAX)),
        Some(id) => match serde_json::from_value(id) {
            Ok(Id::Text(text)) if text.is_empty() => return (None, Err("`id` is empty".into())),
            Ok(id) => id,
            Err(_) => return (None, Err("`id` must be text or an integer".into())),
        },
    };
    let prompt = read_members(members, text);
    (Some(id), prompt)
}

/// Reads the members but `id` of a line.
fn read_members(mut members: Map<String, Value>, line: &str) -> Result<Prompt, String> {
    let attach = files(members.remove("attach"))?;
    let vars = variables(members.remove("vars"))?;
    let schema = schema(members.remove("schema"), line)?;
    let mut text = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` must be text")),
    };
    let prompt = match text("prompt")? {
        None if vars.is_empty() => return Err("`prompt` is missing".into()),
        None => String::new(),
        Some(prompt) if prompt.trim().is_empty() => return Err("`prompt` is empty".into()),
        Some(prompt) => prompt,
    };
    let (system, model) = (text("system")?, text("model")?);
    let max_tokens = match members.remove("max_tokens") {
        None | Some(Value::Null) => None,
        Some(most) => {
            let most = most.as_u64().and_then(|most| u32::try_from(most).ok()).filter(|most| *most > 0);
            Some(most.ok_or("`max_tokens` must be a whole number above zero")?)
        }
    };
    match members.keys().next() {
        // A word that was spelled wrongly must not pass for one that was left out.
        Some(unknown) => Err(format!(
            "`{}` is unknown: there are id, prompt, attach, vars, schema, system, model and max_tokens",
            unknown.chars().take(40).collect::<String>()
        )),
        None => Ok(Prompt { prompt, attach, vars, schema, system, model, max_tokens }),
    }
}

/// The names of the files to attach: one, or a list.
fn files(attach: Option<Value>) -> Result<Vec<PathBuf>, String> {
    let names = match attach {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(names)) => names,
        Some(name) => vec![name],
    };
    let files = names.into_iter().map(|name| match name {
        Value::String(name) => Ok(PathBuf::from(name)),
        _ => Err("`attach` must be the name of a file, or a list of names".into()),
    });
    let files = files.collect::<Result<Vec<_>, String>>()?;
    match files.iter().any(|file| attachment::is_stdin(file)) {
        true => Err("`attach` cannot be stdin".into()),
        false => Ok(files),
    }
}

/// The variables of the template.
fn variables(vars: Option<Value>) -> Result<Vec<(String, String)>, String> {
    let vars = match vars {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(vars)) => vars,
        Some(_) => return Err("`vars` must be an object".into()),
    };
    let vars = vars.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        // As in a template.
        Value::Bool(_) | Value::Number(_) => Ok((name, value.to_string())),
        _ => Err(format!("`vars.{}` must be text", name.chars().take(40).collect::<String>())),
    });
    vars.collect()
}

/// The schema, as `--schema` takes it.
fn schema(schema: Option<Value>, line: &str) -> Result<Option<String>, String> {
    /// The line once more, because a map does not keep the order of the schema's members.
    #[derive(Deserialize)]
    struct Line {
        schema: Ordered,
    }
    match schema {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(file)) => Ok(Some(file)),
        Some(Value::Object(_)) => {
            let line: Line =
                serde_json::from_str(line).map_err(|error| format!("not valid JSON: {}", in_column(&error)))?;
            Ok(Some(line.schema.to_string()))
        }
        Some(_) => Err("`schema` must be an object, or the name of a file".into()),
    }
}

/// The parser counts lines, too, and there is but one.
fn in_column(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    format!("{what} in column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], longest: usize, buffer: usize) -> Vec<(u64, Option<Id>, Result<Prompt, String>)> {
        let mut lines = Lines { longest, ..Lines::of(io::BufReader::with_capacity(buffer, input)) };
        std::iter::from_fn(|| lines.read().unwrap()).map(|line| (line.number, line.id, line.prompt)).collect()
    }

    #[test]
    fn a_line_says_what_it_asks_or_what_is_wrong() {
        let whole = r#"{"id":"a","prompt":"p","system":"s","model":"m","max_tokens":5}"#;
        let bare = Prompt { prompt: "p".into(), ..Prompt::default() };
        let asks = Prompt { system: Some("s".into()), model: Some("m".into()), max_tokens: Some(5), ..bare.clone() };
        let more = Prompt {
            attach: vec!["a.txt".into(), "b.txt".into()],
            vars: vec![("n".into(), "5".into()), ("x".into(), "y".into())],
            schema: Some(r#"{"z":1,"a":2}"#.into()),
            ..bare.clone()
        };
        let text = |id: &str| Some(Id::Text(id.into()));
        for (line, id, asks) in [
            (whole, text("a"), Ok(asks)),
            (r#"{"prompt":"p","id":"ü"}"#, text("ü"), Ok(bare.clone())),
            (
                r#"{"id":-5,"prompt":"p","system":null,"model":null,"max_tokens":null}"#,
                Some(Id::Number(-5)),
                Ok(bare.clone()),
            ),
            (r#"{"prompt":"p"}"#, Some(Id::Number(7)), Ok(bare.clone())),
            (
                r#"{"id":null,"prompt":"p","attach":null,"vars":null,"schema":null}"#,
                Some(Id::Number(7)),
                Ok(bare.clone()),
            ),
            (
                r#"{"id":"a","prompt":"p","attach":["a.txt","b.txt"],"vars":{"x":"y","n":5},"schema":{"z":1,"a":2}}"#,
                text("a"),
                Ok(more),
            ),
            (
                r#"{"id":"a","vars":{"x":true}}"#,
                text("a"),
                Ok(Prompt { prompt: String::new(), vars: vec![("x".into(), "true".into())], ..bare }),
            ),
            (
                r#"{"id":"a","prompt":"p","attach":[5]}"#,
                text("a"),
                Err("`attach` must be the name of a file, or a list of names"),
            ),
            (r#"{"id":"a","prompt":"p","attach":"-"}"#, text("a"), Err("`attach` cannot be stdin")),
            (r#"{"id":"a","prompt":"p","vars":["x"]}"#, text("a"), Err("`vars` must be an object")),
            (r#"{"id":"a","prompt":"p","vars":{"x":[]}}"#, text("a"), Err("`vars.x` must be text")),
            (
                r#"{"id":"a","prompt":"p","schema":5}"#,
                text("a"),
                Err("`schema` must be an object, or the name of a file"),
            ),
            ("nonsense", None, Err("not valid JSON: expected ident in column 2")),
            (r#"{"id":"a","prompt":"p"} x"#, None, Err("not valid JSON: trailing characters in column 25")),
            (r#"{"id":"a","prompt":"#, None, Err("not valid JSON: EOF while parsing a value in column 19")),
            ("[1]", None, Err("not a JSON object")),
            ("\"text\"", None, Err("not a JSON object")),
            ("{}", Some(Id::Number(7)), Err("`prompt` is missing")),
            (r#"{"id":"","prompt":"p"}"#, None, Err("`id` is empty")),
            (r#"{"id":1.5,"prompt":"p"}"#, None, Err("`id` must be text or an integer")),
            (r#"{"id":"a"}"#, text("a"), Err("`prompt` is missing")),
            (r#"{"id":"a","prompt":7}"#, text("a"), Err("`prompt` must be text")),
            (r#"{"id":"a","prompt":" \n"}"#, text("a"), Err("`prompt` is empty")),
            (r#"{"id":"a","prompt":"p","model":[]}"#, text("a"), Err("`model` must be text")),
            (
                r#"{"id":"a","prompt":"p","max_tokens":0}"#,
                text("a"),
                Err("`max_tokens` must be a whole number above zero"),
            ),
            (
                r#"{"id":"a","prompt":"p","max_token":9}"#,
                text("a"),
                Err("`max_token` is unknown: there are id, prompt, attach, vars, schema, system, model and max_tokens"),
            ),
        ] {
            let read = read_prompt(line.as_bytes(), 7);
            assert_eq!(read, (id, asks.map_err(String::from)), "{line}");
        }
        let (id, prompt) = read_prompt(b"{\"id\":\"a\xff\",\"prompt\":\"p\"}", 7);
        assert_eq!((id, prompt), (None, Err("invalid UTF-8 at byte 8".into())));
    }

    #[test]
    fn lines_are_counted_and_no_line_is_kept_beyond_its_limit() {
        let good = r#"{"id":1,"prompt":"p"}"#;
        let long = format!(r#"{{"id":2,"prompt":"{}"}}"#, "x".repeat(3 << 20));
        let input = format!("\u{feff}{good}\r\n\n  \n{long}\n{good}");
        for buffer in [1_000, 64 << 10] {
            let read = lines(input.as_bytes(), 1 << 20, buffer);
            assert_eq!(read.len(), 3);
            assert!(matches!(read[0], (1, Some(Id::Number(1)), Ok(_))), "{read:?}");
            assert_eq!(read[1], (4, None, Err("it is longer than 1 MiB".into())));
            assert!(matches!(read[2], (5, Some(Id::Number(1)), Ok(_))), "{read:?}");
        }
        for buffer in 1..30 {
            assert_eq!(lines(format!("{good}\n{good}\n").as_bytes(), 1_000, buffer).len(), 2);
        }
        assert_eq!(lines(b"", 10, 10), []);
        for (length, is_read) in [(7 << 20, true), (9 << 20, false)] {
            let input = io::BufReader::new(io::repeat(b'x').take(length));
            let mut lines = Lines { longest: 1 << 20, ..Lines::of(input) };
            let error = lines.read().err().map(|error| error.to_string());
            assert_eq!(error, (!is_read).then(|| "a line is longer than 8 MiB".to_owned()));
        }
    }
}
