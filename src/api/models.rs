//! Models and lists of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    ASKED_FOR.iter().filter(says_no).map(|name| (*name).to_owned()).collect()
}

impl Model {
    /// A model as a list has it. OpenAI's shape gives the time in Unix seconds, whichever dialect the
    /// service speaks otherwise.
    fn of(item: Value) -> Option<Self> {
        let created = item.get("created").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
        let adaptive = item.pointer("/capabilities/thinking/types/adaptive/supported") == Some(&Value::Bool(true));
        let denied = denied(&item);
        let model = Self::deserialize(item).ok()?;
        let thinks_adaptively = adaptive || model.thinks_adaptively;
        let created_at = model.created_at.or_else(|| created.map(time::rfc3339));
        // A list that has our own word for it is not asked twice.
        let cannot = if denied.is_empty() { model.cannot } else { denied };
        Some(Self { created_at, thinks_adaptively, cannot, ..model })
    }
}

/// A page of the list of models.
pub(super) struct Page {
    pub(super) models: Vec<Model>,
    /// The id that the next page begins after. `None` on the last page.
    pub(super) next: Option<String>,
}

/// Reads a page in the shape of the Messages API, or in that of OpenAI, which has no further pages. Gateways answer
/// with either, whatever they are asked.
pub(super) fn page(body: &[u8]) -> Option<Page> {
    #[derive(Deserialize)]
    struct Listed {
        data: Option<Vec<Value>>,
        has_more: Option<bool>,
        last_id: Option<String>,
    }
    let listed: Listed = serde_json::from_slice(body).ok()?;
    let models = listed.data?.into_iter().filter_map(Model::of);
    // A model without an id cannot be asked.
    let models: Vec<_> = models.filter(|model| !model.id.is_empty()).collect();
    let last = listed.last_id.or_else(|| models.last().map(|model| model.id.clone()));
    Some(Page { models, next: last.filter(|_| listed.has_more == Some(true)) })
}
