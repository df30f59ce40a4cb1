//! Models.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::excerpt::MAX_TEXT;
use super::meta::figure;
use crate::time;

/// A model. Only the id is certain: gateways and older servers leave out the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The id that a question names.
    pub id: String,
    /// The name for people.
    pub display_name: Option<String>,
    /// When it was released (RFC 3339).
    pub created_at: Option<String>,
    /// The longest question, in tokens.
    #[serde(default, deserialize_with = "figure")]
    pub max_input_tokens: Option<u64>,
    /// The longest answer, in tokens.
    #[serde(default, deserialize_with = "figure")]
    pub max_tokens: Option<u64>,
    /// Whether it is a Claude model, by its id or by the owner that the list gives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_claude: bool,
    /// Whether it decides itself how much to think, and can show a summary of its thinking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thinks_adaptively: bool,
    /// The capabilities of a [`Question`](super::Question) that the list denies: `effort`, `effort.max`,
    /// `structured_outputs`, `image_input` ... A capability that the list does not mention is not in here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot: Vec<String>,
}

/// The capabilities that a question may need, as the list calls them; a dot leads into one.
const ASKED_FOR: &[&str] = &[
    "effort",
    "effort.low",
    "effort.medium",
    "effort.high",
    "effort.xhigh",
    "effort.max",
    "structured_outputs",
    "image_input",
    "pdf_input",
];

/// Those of them that an item of the list denies.
fn denied(item: &Value) -> Vec<String> {
    let says_no = |name: &&&str| {
        let path = format!("/capabilities/{}/supported", name.replace('.', "/"));
        item.pointer(&path) == Some(&Value::Bool(false))
    };
    asked_for(says_no)
}

fn asked_for(is_denied: impl FnMut(&&&str) -> bool) -> Vec<String> {
    ASKED_FOR.iter().filter(is_denied).map(|name| (*name).to_owned()).collect()
}

impl Model {
    /// A model of which only the id is known.
    pub(crate) fn named(id: &str) -> Option<Self> {
        Self::of(id.into())
    }

    /// A model as a list has it: an object, or its id alone. OpenAI's shape gives the time in Unix seconds, whichever
    /// dialect the service speaks otherwise.
    pub(super) fn of(mut item: Value) -> Option<Self> {
        if item.is_string() {
            item = json!({ "id": item });
        }
        // LiteLLM's and Ollama's names of the id.
        let names = ["id", "model_name", "model", "name"];
        let id = names.iter().find_map(|name| item.get(*name)?.as_str().filter(|id| is_usable(id)))?.to_owned();
        let created = item.get("created").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
        let adaptive = item.pointer("/capabilities/thinking/types/adaptive/supported") == Some(&Value::Bool(true));
        let is_claude = is_claude(&id, &item);
        // LiteLLM's `max_tokens` may be the longest question.
        let limit = |name: &str| {
            let places = [item.get(name), item.get("model_info").and_then(|info| info.get(name))];
            places.into_iter().flatten().find_map(Value::as_u64)
        };
        let (longest, longest_input) = (limit("max_output_tokens"), limit("max_input_tokens"));
        let denied = denied(&item);
        item["id"] = id.into();
        let model = Self::deserialize(item).ok()?;
        let thinks_adaptively = adaptive || model.thinks_adaptively;
        let created_at = model.created_at.or_else(|| created.map(time::rfc3339));
        // A list that has our own word for it is not asked twice.
        let denies = |name: &&&str| model.cannot.iter().any(|denied| denied == **name);
        let cannot = if denied.is_empty() { asked_for(denies) } else { denied };
        let (max_tokens, max_input_tokens) = (longest.or(model.max_tokens), longest_input);
        Some(Self { created_at, thinks_adaptively, cannot, max_tokens, max_input_tokens, is_claude, ..model })
    }
}

/// The members of an item, and of the objects in it, that are read.
pub(super) const MEMBERS: &[&str] = &[
    "id",
    "model_name",
    "model",
    "name",
    "display_name",
    "created",
    "created_at",
    "owned_by",
    "max_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "model_info",
    "is_claude",
    "thinks_adaptively",
    "cannot",
    "capabilities",
    "supported",
    "thinking",
    "types",
    "adaptive",
    "effort",
    "low",
    "medium",
    "high",
    "xhigh",
    "max",
    "structured_outputs",
    "image_input",
    "pdf_input",
];

/// Whether a question can name this id. A longer text than this is none.
fn is_usable(id: &str) -> bool {
    !id.is_empty() && id.len() < MAX_TEXT
}

/// Whether an item of a list is a Claude model: by its id, or by its owner for a gateway that renames models.
fn is_claude(id: &str, item: &Value) -> bool {
    id.to_ascii_lowercase().contains("claude") || item.get("owned_by").is_some_and(|owner| owner == "anthropic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model_list::page;

    fn read(body: &str) -> Option<Vec<(String, Option<u64>)>> {
        Some(page(body.as_bytes())?.models.into_iter().map(|model| (model.id, model.max_tokens)).collect())
    }

    #[test]
    fn a_limit_has_several_names() {
        for (item, limit) in [
            (r#"{"id":"a","max_tokens":5}"#, Some(5)),
            (r#"{"id":"a","max_tokens":200000,"max_output_tokens":7}"#, Some(7)),
            (r#"{"id":"a","model_info":{"max_output_tokens":7}}"#, Some(7)),
            (r#"{"id":"a","max_tokens":5,"max_output_tokens":null}"#, Some(5)),
            (r#"{"id":"a","max_output_tokens":"many"}"#, None),
        ] {
            assert_eq!(read(&format!("[{item}]")), Some(vec![("a".into(), limit)]), "{item}");
        }
    }

    #[test]
    fn a_model_is_a_claude_by_its_id_or_its_owner() {
        for (item, expected) in [
            (r#""anthropic/claude-x""#, true),
            (r#""Claude-X""#, true),
            (r#"{"id":"fast","owned_by":"anthropic"}"#, true),
            (r#"{"id":"fast","owned_by":"openai"}"#, false),
            (r#""dall-e-3""#, false),
        ] {
            let models = page(format!("[{item}]").as_bytes()).unwrap().models;
            assert_eq!(models[0].is_claude, expected, "{item}");
            let saved: Model = serde_json::from_str(&serde_json::to_string(&models[0]).unwrap()).unwrap();
            assert_eq!(saved, models[0]);
        }
    }
}
