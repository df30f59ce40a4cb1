//! The list of models, page by page.

use serde_json::{Value, json};

use super::messages::{admit, refusal};
use super::script::Answer;
use super::seen::only;
use super::settings::model_created;
use super::{Seen, State, completions};
use crate::time;

/// `GET /v1/models`: newest first, `limit` (1 to 1000, usually 20) and `after_id` honoured. Without
/// `anthropic-version` it is OpenAI's list, as it is with gateways that serve both dialects.
pub(super) fn list(state: &mut State, seen: &Seen) -> Result<Answer, Answer> {
    if seen.header("anthropic-version").is_none() {
        return completions::models(state, seen);
    }
    let request_id = admit(state, seen)?;
    let invalid = |message: &str| refusal(400, "invalid_request_error", message).header("request-id", &request_id);
    let parameters = seen.parameters();
    let parameter = |name| only(&parameters, name).map_err(|why| invalid(&why));
    let limit = match parameter("limit")? {
        None => 20,
        Some(limit) => {
            let limit = limit.parse().ok().filter(|limit| (1..=1_000).contains(limit));
            limit.ok_or_else(|| invalid("limit: must be between 1 and 1000"))?
        }
    };
    let models = &state.settings.models;
    let start = match parameter("after_id")? {
        None => 0,
        Some(last) => {
            let at = models.iter().position(|model| model == last);
            at.ok_or_else(|| invalid("after_id: no such model"))? + 1
        }
    };
    let page: Vec<_> = models.iter().enumerate().skip(start).take(limit).map(|(age, id)| model(age, id)).collect();
    let body = json!({
        "data": page,
        "has_more": start + page.len() < models.len(),
        "first_id": page.first().map(|model| &model["id"]),
        "last_id": page.last().map(|model| &model["id"]),
    });
    state.counts.models += 1;
    Ok(super::json(200, &body).header("request-id", &request_id))
}

fn model(age: usize, id: &str) -> Value {
    let mut words: Vec<String> = id.split('-').map(String::from).collect();
    for word in &mut words {
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
    }
    json!({
        "type": "model",
        "id": id,
        "display_name": words.join(" "),
        "created_at": time::rfc3339(model_created(age)),
        "max_input_tokens": 200_000,
        "max_tokens": 4_096,
    })
}
