//! The Chat Completions endpoint. Its answer echoes the prompt. Headers of the Messages API are refused.

use std::time::Instant;

use serde_json::{Value, json};

use super::script::{Answer, Piece};
use super::settings::{model_created, model_owner};
use super::{RecordedRequest, State, messages};

/// The members that the API accepts. It refuses others.
const MEMBERS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

/// `POST /v1/chat/completions`: the answer, or the refusal.
pub(super) fn answer(state: &mut State, request: &RecordedRequest) -> Result<Answer, Answer> {
    let request_id = admit(state, request)?;
    if !state.limit.take(state.settings.messages_per_second, Instant::now()) {
        state.counts.throttled += 1;
        let throttled = refusal(429, "rate_limit_exceeded", "Rate limit reached", Value::Null);
        return Err(throttled.header("x-request-id", &request_id).header("retry-after", "1"));
    }
    let chat = read(state, request).map_err(|refusal| refusal.header("x-request-id", &request_id))?;
    state.counts.messages += 1;
    let answer = if chat.stream { Answer::stream(chat.chunks()) } else { super::json(200, &chat.whole()) };
    Ok(answer.header("x-request-id", &request_id))
}

/// `GET /v1/models` in OpenAI's shape, which has no pages.
pub(super) fn models(state: &mut State, request: &RecordedRequest) -> Result<Answer, Answer> {
    let request_id = admit(state, request)?;
    if !request.query.is_empty() {
        return Err(invalid("the list takes no parameters", Value::Null));
    }
    state.counts.models += 1;
    let model = |(age, id): (usize, &String)| json!({ "id": id, "object": "model", "created": model_created(age), "owned_by": model_owner(id) });
    let data: Vec<_> = state.settings.models.iter().enumerate().map(model).collect();
    Ok(super::json(200, &json!({ "object": "list", "data": data })).header("x-request-id", &request_id))
}

fn admit(state: &mut State, request: &RecordedRequest) -> Result<String, Answer> {
    let request_id = messages::request_id(state);
    if let Err(why) = messages::authorize(state, request) {
        return Err(refusal(401, "invalid_api_key", why, Value::Null).header("x-request-id", &request_id));
    }
    match request.headers.iter().find(|(name, _)| name.starts_with("anthropic-")) {
        Some((name, _)) => Err(invalid("this header does not belong to this API", json!(name))),
        None => Ok(request_id),
    }
}

fn refusal(status: u16, code: &str, message: &str, param: Value) -> Answer {
    let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
    super::json(status, &json!({ "error": error }))
}

fn invalid(message: &str, param: Value) -> Answer {
    refusal(400, "invalid_value", message, param)
}

/// The parts of a request that matter for the answer.
struct ChatRequest {
    model: String,
    stream: bool,
    include_usage: bool,
    words: Vec<String>,
    finish_reason: &'static str,
    input: usize,
}

fn read(state: &State, request: &RecordedRequest) -> Result<ChatRequest, Answer> {
    let json_sent = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let body = request.json();
    let members = body.as_object().filter(|_| json_sent);
    let members = members.ok_or_else(|| invalid("the body is not a JSON object", Value::Null))?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(invalid(&format!("Unrecognized request argument supplied: {unknown}"), Value::Null));
    }
    let model = body["model"].as_str().ok_or_else(|| invalid("you must provide a model parameter", Value::Null))?;
    if !state.settings.models.iter().any(|known| known == model) {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        return Err(refusal(404, "model_not_found", &message, Value::Null));
    }
    let limits: Vec<_> = ["max_tokens", "max_completion_tokens"]
        .into_iter()
        .filter_map(|name| Some((name, members.get(name)?)))
        .collect();
    let longest = match limits[..] {
        [] => usize::MAX,
        [(name, limit)] => {
            let limit = limit.as_u64().filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
            limit.ok_or_else(|| invalid("integer above 0 expected", json!(name)))?
        }
        _ => return Err(invalid("max_tokens and max_completion_tokens cannot both be set", Value::Null)),
    };
    let stream = body["stream"].as_bool().unwrap_or(false);
    if members.contains_key("stream_options") && !stream {
        return Err(invalid("only allowed when 'stream' is enabled", json!("stream_options")));
    }
    let turns = body["messages"].as_array().filter(|turns| !turns.is_empty());
    let (mut prompt, mut system) = (String::new(), String::new());
    for (at, turn) in turns.ok_or_else(|| invalid("empty array", json!("messages")))?.iter().enumerate() {
        let place = format!("messages[{at}]");
        let text = text_of(&turn["content"]).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| invalid("invalid content", json!(format!("{place}.content"))))?;
        match turn["role"].as_str() {
            Some("system" | "developer") if at == 0 => system = text,
            Some("user") => prompt = text,
            Some("assistant") => {}
            _ => return Err(invalid("invalid role", json!(format!("{place}.role")))),
        }
    }
    let (words, cut) = messages::echo(&prompt, &system, longest);
    Ok(ChatRequest {
        model: model.into(),
        stream,
        include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        words,
        finish_reason: if cut { "length" } else { "stop" },
        input: [prompt, system].iter().map(|text| text.split_whitespace().count()).sum(),
    })
}

/// The text of a string or of an array of parts. Images and files are replaced by their type.
fn text_of(content: &Value) -> Option<String> {
    if let Some(text) = content.as_str() {
        return Some(text.to_owned());
    }
    let mut texts = Vec::new();
    for part in content.as_array()? {
        texts.push(match part["type"].as_str()? {
            "text" => part["text"].as_str()?.to_owned(),
            "image_url" if part["image_url"]["url"].as_str()?.starts_with("data:image/") => "[image_url]".into(),
            "file" if part["file"]["file_data"].as_str()?.starts_with("data:application/pdf;base64,") => {
                format!("[file {}]", part["file"]["filename"].as_str()?)
            }
            _ => return None,
        });
    }
    Some(texts.join("\n"))
}

impl ChatRequest {
    fn object(&self, kind: &str, choices: &Value, usage: Option<Value>) -> Value {
        json!({
            "id": "chatcmpl-sandbox",
            "object": kind,
            "created": model_created(0),
            "model": self.model,
            "choices": choices,
            "usage": usage,
        })
    }

    fn usage(&self) -> Value {
        let output = self.words.len();
        json!({ "prompt_tokens": self.input, "completion_tokens": output, "total_tokens": self.input + output })
    }

    fn whole(&self) -> Value {
        let message = json!({ "role": "assistant", "content": self.words.concat() });
        let choices = json!([{ "index": 0, "message": message, "finish_reason": self.finish_reason }]);
        self.object("chat.completion", &choices, Some(self.usage()))
    }

    fn chunks(&self) -> Vec<Piece> {
        let piece = |data: &Value| Piece::text(&format!("data: {data}\n\n"));
        let chunk = |delta: Value, finish_reason: Option<&str>| {
            let choices = json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]);
            piece(&self.object("chat.completion.chunk", &choices, None))
        };
        let mut pieces = vec![chunk(json!({ "role": "assistant", "content": "" }), None)];
        for word in &self.words {
            pieces.push(chunk(json!({ "content": word }), None));
        }
        pieces.push(chunk(json!({}), Some(self.finish_reason)));
        if self.include_usage {
            pieces.push(piece(&self.object("chat.completion.chunk", &json!([]), Some(self.usage()))));
        }
        pieces.push(Piece::text("data: [DONE]\n\n"));
        pieces
    }
}
