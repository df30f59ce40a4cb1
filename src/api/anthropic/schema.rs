//! JSON Schemas as the Messages API accepts them.
//!
//! The API forces the model to write what fits, but refuses a schema with keywords it does not support. As Anthropic's
//! SDKs do, such keywords are moved into the description, where the model reads them. The caller validates the finished
//! answer against the original schema.

use crate::api::ordered::Ordered;

/// The formats of strings that the API supports.
const FORMATS: &[&str] = &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The schema without the keywords that the Messages API refuses.
pub(super) fn for_messages(schema: &Ordered) -> Ordered {
    let Ordered::Object(members) = schema else { return schema.clone() };
    let refers = schema.get("$ref").is_some();
    let (mut kept, mut described) = (Vec::new(), Vec::new());
    for (name, value) in members {
        let mut keep = |value| kept.push((name.clone(), value));
        match &**name {
            "$ref" => keep(value.clone()),
            "$defs" | "definitions" => keep(each_member(value)),
            // Keywords beside a reference are not read.
            _ if refers => {}
            "type" | "enum" | "const" | "default" | "title" | "description" | "required" => keep(value.clone()),
            "properties" => keep(each_member(value)),
            "items" => keep(for_messages(value)),
            "anyOf" | "allOf" => keep(each_item(value)),
            "oneOf" if schema.get("anyOf").is_none() => kept.push(("anyOf".to_owned(), each_item(value))),
            "format" if value.as_text().is_some_and(|format| FORMATS.contains(&format)) => keep(value.clone()),
            "minItems" if matches!(value, Ordered::Number(least) if matches!(least.as_u64(), Some(0 | 1))) => {
                keep(value.clone());
            }
            // Objects get what the API demands; the others do not restrict an answer.
            "additionalProperties" | "$schema" | "$id" | "$comment" => {}
            _ => described.push((name.clone(), value.clone())),
        }
    }
    if !refers && is_object(schema) {
        kept.push(("additionalProperties".to_owned(), Ordered::Bool(false)));
    }
    if !described.is_empty() {
        describe(&mut kept, &Ordered::Object(described).to_string());
    }
    Ordered::Object(kept)
}

/// Whether what fits may be an object.
fn is_object(schema: &Ordered) -> bool {
    match schema.get("type") {
        Some(Ordered::Text(kind)) => kind == "object",
        Some(Ordered::List(kinds)) => kinds.iter().any(|kind| kind.as_text() == Some("object")),
        _ => schema.get("properties").is_some(),
    }
}

/// The schemas of an object that names them.
fn each_member(schemas: &Ordered) -> Ordered {
    match schemas {
        Ordered::Object(members) => {
            Ordered::Object(members.iter().map(|(name, schema)| (name.clone(), for_messages(schema))).collect())
        }
        other => other.clone(),
    }
}

/// The schemas of a list.
fn each_item(schemas: &Ordered) -> Ordered {
    match schemas {
        Ordered::List(items) => Ordered::List(items.iter().map(for_messages).collect()),
        other => other.clone(),
    }
}

/// Appends text to the description.
fn describe(members: &mut Vec<(String, Ordered)>, words: &str) {
    match members.iter_mut().find(|(name, _)| name == "description") {
        Some((_, Ordered::Text(description))) => *description += &format!("\n\n{words}"),
        _ => members.push(("description".to_owned(), Ordered::Text(words.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(schema: &str) -> String {
        for_messages(&schema.parse().unwrap()).to_string()
    }

    #[test]
    fn what_the_api_does_not_know_is_told_in_words() {
        for (schema, as_sent) in [
            (
                r#"{"type":"string","minLength":1,"maxLength":9}"#,
                r#"{"type":"string","description":"{\"minLength\":1,\"maxLength\":9}"}"#,
            ),
            (
                r#"{"type":"integer","description":"Years.","minimum":0}"#,
                r#"{"type":"integer","description":"Years.\n\n{\"minimum\":0}"}"#,
            ),
            (r#"{"type":"string","format":"date"}"#, r#"{"type":"string","format":"date"}"#),
            (r#"{"type":"string","format":"x"}"#, r#"{"type":"string","description":"{\"format\":\"x\"}"}"#),
            (
                r#"{"type":"array","items":{"type":"number","maximum":5},"minItems":1}"#,
                r#"{"type":"array","items":{"type":"number","description":"{\"maximum\":5}"},"minItems":1}"#,
            ),
            (r#"{"type":"array","minItems":2}"#, r#"{"type":"array","description":"{\"minItems\":2}"}"#),
            (
                r#"{"oneOf":[{"const":{"minimum":1}},{"type":"null"}]}"#,
                r#"{"anyOf":[{"const":{"minimum":1}},{"type":"null"}]}"#,
            ),
            (r#"{"enum":["a","b"],"$schema":"https://x"}"#, r#"{"enum":["a","b"]}"#),
            ("true", "true"),
        ] {
            assert_eq!(sent(schema), as_sent, "{schema}");
        }
    }

    #[test]
    fn objects_take_no_other_members_and_keep_their_order() {
        for (schema, as_sent) in [
            (
                r#"{"type":"object","properties":{"zreason":{"type":"string"},"minimum":{"properties":{}}},"required":["zreason"]}"#,
                r#"{"type":"object","properties":{"zreason":{"type":"string"},"minimum":{"properties":{},"additionalProperties":false}},"required":["zreason"],"additionalProperties":false}"#,
            ),
            (
                r#"{"additionalProperties":{"type":"string"},"type":["object","null"]}"#,
                r#"{"type":["object","null"],"additionalProperties":false}"#,
            ),
            (
                r##"{"$ref":"#/$defs/a","title":"t","$defs":{"a":{"type":"object","minProperties":1}}}"##,
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","additionalProperties":false,"description":"{\"minProperties\":1}"}}}"##,
            ),
            (
                r#"{"allOf":[{"type":"object"}],"anyOf":[{"type":"object"}]}"#,
                r#"{"allOf":[{"type":"object","additionalProperties":false}],"anyOf":[{"type":"object","additionalProperties":false}]}"#,
            ),
        ] {
            assert_eq!(sent(schema), as_sent, "{schema}");
        }
    }
}
