//! The list of models, page by page.

use serde_json::{Value, json};

use super::messages::{admit, refusal};
use super::request::only;
use super::script::Answer;
use super::settings::{model_created, model_owner};
use super::{RecordedRequest, State, completions};
use crate::time;

/// `GET /v1/models`: newest first, with `limit` (1 to 1000, default 20) and `after_id`. Without `anthropic-version`,
/// the list has OpenAI's format, as at gateways that serve both APIs.
pub(super) fn list(state: &mut State, request: &RecordedRequest) -> Result<Answer, Answer> {
    if request.header("anthropic-version").is_none() {
        return completions::models(state, request);
    }
    let request_id = admit(state, request)?;
    let invalid = |message: &str| refusal(400, "invalid_request_error", message).header("request-id", &request_id);
    let parameters = request.parameters();
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
        "owned_by": model_owner(id),
        "created_at": time::rfc3339(model_created(age)),
        "max_input_tokens": 200_000,
        "max_tokens": 4_096,
    })
}
