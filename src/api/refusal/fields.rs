//! Which fields of the request a refusal names: in members of its body that are made for that, or in its message.

use serde_json::Value;

use super::Refusal;

/// The most fields that are read.
const MAX_FIELDS: usize = 32;

/// How deep the members may be nested.
const MAX_DEPTH: u8 = 8;

/// Members that hold the name or path of one field: OpenAI's `param`, pydantic's `loc`, JSON:API's `pointer`, zod's
/// `path`, those of JSON Schema validators, and Google's `field`.
const PATHS: [&str; 9] =
    ["param", "loc", "field", "pointer", "path", "instancePath", "additionalProperty", "property", "parameter"];

/// Members that repeat what was sent.
const ECHOES: [&str; 3] = ["input", "ctx", "value"];

/// The fields in a JSON body, as paths such as `stream_options` or `messages.0.role`.
pub(super) fn structured(body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(body, MAX_DEPTH, &mut found);
    found
}

fn collect(body: &Value, depth: u8, found: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match body {
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    name if ECHOES.contains(&name) => {}
                    name if PATHS.contains(&name) => push(value, found),
                    // zod's list of unknown fields.
                    "keys" => value.as_array().into_iter().flatten().for_each(|key| push(key, found)),
                    _ => collect(value, depth, found),
                }
            }
        }
        _ => {}
    }
}

fn push(value: &Value, found: &mut Vec<String>) {
    if let Some(path) = joined(value).and_then(|joined| path(&joined))
        && found.len() < MAX_FIELDS
        && !found.contains(&path)
    {
        found.push(path);
    }
}

/// The name or path in a member that is made for that, its steps joined by dots.
pub(super) fn joined(value: &Value) -> Option<String> {
    match value {
        // LiteLLM writes a missing one as the word "None".
        Value::String(path) if !matches!(&**path, "" | "None" | "null") => Some(path.clone()),
        Value::Array(steps) => {
            let steps = steps.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
            Some(steps.collect::<Vec<_>>().join("."))
        }
        _ => None,
    }
}

/// The path of a field with dots between its steps. `None` if the text is not a path.
fn path(text: &str) -> Option<String> {
    if text.len() > 200 || !text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./[]$#".contains(c)) {
        return None;
    }
    let steps = text.split(['.', '/', '[', ']', '$', '#']).filter(|step| !step.is_empty());
    let path = steps.skip_while(|step| *step == "body").collect::<Vec<_>>().join(".");
    (!path.is_empty()).then_some(path)
}

impl Refusal {
    /// The fields that the server's message names, in its order. A word counts as a name if it is quoted, has an
    /// underscore or a dot, is followed by a colon or an equals sign, or is the last one after a colon. A sentence
    /// that streaming or thinking is not supported counts as `stream` or `thinking`, one about the system prompt as
    /// `system`.
    pub(in crate::api) fn mentioned_fields(&self) -> Vec<String> {
        let message = self.message.to_ascii_lowercase();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let mut fields = Vec::new();
        let mut rest = &*message;
        while let Some(start) = rest.find(is_part) {
            let before = &rest[..start];
            let mut end = start + rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
            // An index, as in `messages[0].role`.
            while let Some(close) = rest[end..].strip_prefix('[').and_then(|index| index.find(']')) {
                let after = end + close + 2;
                end = after + rest[after..].find(|c| !is_part(c)).unwrap_or(rest.len() - after);
            }
            let word = rest[start..end].trim_end_matches('.');
            let after = &rest[end..];
            let quoted = before.ends_with(['\'', '"', '`', '[', '(']) && after.starts_with(['\'', '"', '`', ']', ')']);
            let last = before.ends_with(": ") && after.trim_end_matches('.').is_empty();
            if quoted || last || word.contains(['_', '.', '[']) || after.starts_with([':', '=']) {
                fields.extend(path(word));
            }
            rest = after;
            if fields.len() >= MAX_FIELDS {
                break;
            }
        }
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
        if message.replace("stream_options", "").contains("stream") && says(&CANNOT) {
            fields.push("stream".into());
        }
        if message.contains("thinking") && says(&CANNOT) {
            fields.push("thinking".into());
        }
        if says(&SYSTEM) || (message.contains("role") && says(&["system", "developer"])) {
            fields.push("system".into());
        }
        fields
    }

    /// Whether the server's words say that it does not know a field or cannot handle it, not that a value is wrong.
    pub(in crate::api) fn says_unsupported(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        CANNOT.iter().any(|phrase| message.contains(phrase))
    }
}

/// How servers say that they do not know something, or cannot or may not do it.
const CANNOT: [&str; 19] = [
    "not support",
    "n't support",
    "unsupported",
    "not available",
    "not enabled",
    "not allowed",
    "not permitted",
    "not implemented",
    "disabled",
    "must be verified",
    "cannot",
    "can't",
    "unknown",
    "unrecognized",
    "unrecognised",
    "unexpected",
    "extra",
    "additional propert",
    "deprecated",
];

/// How servers name the system prompt, or say that their template has no place for it.
const SYSTEM: [&str; 5] =
    ["system message", "system prompt", "system instruction", "developer instruction", "roles must alternate"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_members_for_fields_are_read() {
        for (body, fields) in [
            (json!({ "error": { "param": "stream" } }), &["stream"][..]),
            (json!({ "error": { "param": "messages[0].role" } }), &["messages.0.role"]),
            (json!({ "error": { "param": "None" } }), &[]),
            (json!({ "error": { "param": null } }), &[]),
            (
                json!({ "detail": [{ "loc": ["body", "a"] }, { "loc": ["body", "messages", 0, "role"] }] }),
                &["a", "messages.0.role"],
            ),
            (json!({ "message": { "detail": [{ "loc": ["body", "stream_options"] }] } }), &["stream_options"]),
            (json!([{ "error": { "details": [{ "fieldViolations": [{ "field": "a" }] }] } }]), &["a"]),
            (json!({ "errors": [{ "source": { "pointer": "/body/a" } }] }), &["a"]),
            (json!({ "issues": [{ "path": [], "keys": ["a", "b"] }] }), &["a", "b"]),
            (json!({ "errors": [{ "instancePath": "", "params": { "additionalProperty": "a" } }] }), &["a"]),
            (json!({ "detail": [{ "loc": ["body", "a"], "input": { "param": "b" } }] }), &["a"]),
            (json!({ "error": { "param": "not a name\u{1b}" } }), &[]),
            (json!({ "field": ["a".repeat(201)] }), &[]),
        ] {
            assert_eq!(structured(&body), fields, "{body}");
        }
        let many: Vec<_> = (0..100).map(|number| json!({ "param": number.to_string() })).collect();
        assert_eq!(structured(&json!(many)).len(), MAX_FIELDS);
    }

    #[test]
    fn a_message_names_fields() {
        for (message, fields) in [
            ("Unrecognized request argument supplied: stream_options", &["supplied", "stream_options"][..]),
            ("Unrecognized request argument supplied: stream", &["supplied", "stream", "stream"]),
            ("stream_options: Extra inputs are not permitted", &["stream_options"]),
            ("thinking.adaptive.display: Extra inputs are not permitted", &["thinking.adaptive.display", "thinking"]),
            ("unknown field `stream_options`, expected one of `model`", &["stream_options", "model"]),
            ("Unsupported value: 'messages[0].role' is bad", &["value", "messages.0.role"]),
            ("[{'type': 'extra_forbidden', 'loc': ('body', 'a')}]", &["type", "extra_forbidden", "loc", "a"]),
            ("#: extraneous key [stream_options] is not permitted", &["stream_options"]),
            ("Unknown name \"a\": Cannot find field.", &["a"]),
            ("property 'a' is unsupported", &["a"]),
            ("Your organization must be verified to stream this model", &["stream"]),
            ("Streaming is not supported for this model", &["stream"]),
            ("System role not supported", &["system"]),
            ("Conversation roles must alternate user/assistant", &["system"]),
            ("the model is busy in the stream", &[]),
            ("a plain sentence.", &[]),
            ("", &[]),
            ("[", &[]),
            ("a[b", &[]),
        ] {
            let refusal = Refusal { message: message.into(), ..Refusal::default() };
            assert_eq!(refusal.mentioned_fields(), fields, "{message}");
        }
    }
}
