//! Excerpts of JSON that a server sends. A tree of values takes up to eighty times the memory of its JSON. So only the
//! first values become a tree, and only their members that are read; the rest is checked and left out.

use std::cell::Cell;

use serde::Deserializer;
use serde::de::{DeserializeSeed as _, IgnoredAny, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::json::{FromJson, Json};

/// The most values of one tree.
const MAX_VALUES: usize = 1_024;

/// The most of one text, in bytes. Messages, names and figures are shorter.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// The first values of a tree.
pub(super) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Excerpt::new(&values(), None).deserialize(deserializer)
}

/// The first values of a tree. `null` is `None`.
pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    value(deserializer).map(|value| Some(value).filter(|value| !value.is_null()))
}

/// Parses JSON into the first values of its tree.
///
/// # Errors
/// That of serde_json for text that is not JSON, or is nested deeper than 128 levels.
pub(super) fn parse(json: &str) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = value(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// The beginning of a text that only a message quotes. It ends at a space, so that it does not end with a part of a
/// secret, which would not be recognized.
pub(super) fn beginning(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let start = &text[..text.floor_char_boundary(MAX_TEXT)];
    let end = start.rfind(|c: char| c.is_whitespace() || c.is_control());
    &start[..end.unwrap_or(start.len())]
}

/// How many values one tree may have.
pub(super) fn values() -> Cell<usize> {
    Cell::new(MAX_VALUES)
}

/// Reads the first values of a tree.
#[derive(Clone, Copy)]
pub(super) struct Excerpt<'a> {
    /// How many more values may be kept.
    left: &'a Cell<usize>,
    names: Option<&'static [&'static str]>,
}

impl<'a> Excerpt<'a> {
    /// Keeps as many values as are `left`, and of objects only the members with these names, or all.
    pub(super) fn new(left: &'a Cell<usize>, names: Option<&'static [&'static str]>) -> Json<Self> {
        Json(Self { left, names })
    }

    /// Whether another value may be kept.
    fn has_room(self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl<'de> FromJson<'de> for Excerpt<'_> {
    type Value = Value;

    fn scalar(self, value: Value) -> Value {
        value
    }

    fn text(self, text: &str) -> Value {
        beginning(text).into()
    }

    fn array<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while self.has_room() {
            match list.next_element_seed(Json(self))? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(items))
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let is_read = self.names.is_none_or(|names| names.contains(&&*name));
            if name.len() <= MAX_TEXT && is_read && self.has_room() {
                // Of a repeated name the last counts, as with other JSON readers.
                members.insert(name, object.next_value_seed(Json(self))?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_small_value_is_read_whole() {
        for json in [
            "null",
            "-1",
            "18446744073709551615",
            "0.5",
            r#""a\n""#,
            r#"[[],{},[true,{"a":null}]]"#,
            r#"{"a":{"b":[1,2,3]},"c":"d"}"#,
        ] {
            assert_eq!(parse(json).unwrap(), serde_json::from_str::<Value>(json).unwrap(), "{json}");
        }
        assert_eq!(parse(r#"{"a":1,"a":2}"#).unwrap(), json!({ "a": 2 }));
        for json in ["", "{", "1 2", "[1,]", &"[".repeat(1000)] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn of_a_large_value_only_the_beginning_is_kept() {
        let list = parse(&format!("[{}0]", "{},".repeat(5_000))).unwrap();
        assert_eq!(list.as_array().unwrap().len(), MAX_VALUES);
        let object = parse(&format!(r#"{{"a":"b","c":[{}0],"d":1}}"#, "[],".repeat(5_000))).unwrap();
        assert_eq!((&object["a"], &object["d"]), (&json!("b"), &Value::Null));
        assert!(parse(&format!("[{}", "0,".repeat(5_000))).unwrap_err().is_eof());
    }

    #[test]
    fn only_the_named_members_are_kept() {
        let json = r#"{"junk":[{"id":1}],"id":{"id":2,"junk":3}}"#;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let read = Excerpt::new(&values(), Some(&["id"])).deserialize(&mut deserializer).unwrap();
        assert_eq!(read, json!({ "id": { "id": 2 } }));
    }

    #[test]
    fn a_long_text_is_cut_at_a_space() {
        let (short, long) = ("x".repeat(MAX_TEXT), "ü ".repeat(MAX_TEXT));
        assert_eq!(beginning(&short), short);
        assert!(beginning(&long).ends_with('ü') && beginning(&long).len() > MAX_TEXT - 4);
        assert_eq!(beginning(&"x".repeat(MAX_TEXT + 1)), short);
        assert_eq!(parse(&format!("\"{long}\"")).unwrap(), beginning(&long));
    }
}
