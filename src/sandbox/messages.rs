//! The Messages endpoint. Its answer echoes the prompt.

use std::time::Instant;

use serde_json::{Value, json};

use super::script::{Answer, Piece};
use super::{RecordedRequest, State};

/// The members that the Messages API accepts. It refuses others.
const MEMBERS: &[&str] = &[
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// The parts of a request that matter for the answer.
struct ChatRequest {
    model: String,
    max_tokens: usize,
    prompt: String,
    system: String,
    stream: bool,
}

/// `POST /v1/messages`: the answer, or the refusal.
pub(super) fn answer(state: &mut State, request: &RecordedRequest) -> Result<Answer, Answer> {
    let request_id = admit(state, request)?;
    if !state.limit.take(state.settings.messages_per_second, Instant::now()) {
        state.counts.throttled += 1;
        let message = "Number of requests has exceeded your rate limit";
        return Err(refusal_of(429, "rate_limit_error", message, &request_id).header("retry-after", "1"));
    }
    let chat = read(state, request).map_err(|refusal| refusal.header("request-id", &request_id))?;
    state.counts.messages += 1;
    let message = Message::new(chat, &request_id);
    let answer =
        if message.chat.stream { Answer::stream(message.events()) } else { super::json(200, &message.whole()) };
    Ok(answer.header("request-id", &request_id))
}

/// Checks the headers of a request and returns its id.
pub(super) fn admit(state: &mut State, request: &RecordedRequest) -> Result<String, Answer> {
    let request_id = request_id(state);
    let refused = |status, kind, message| Err(refusal_of(status, kind, message, &request_id));
    if let Err(why) = authorize(state, request) {
        return refused(401, "authentication_error", why);
    }
    if request.header("anthropic-version").is_none() {
        return refused(400, "invalid_request_error", "anthropic-version: header is required");
    }
    Ok(request_id)
}

pub(super) fn request_id(state: &mut State) -> String {
    state.grants.draw("request").replacen("sandbox-request-", "req_sandbox_", 1)
}

/// Checks the access token of a request.
pub(super) fn authorize(state: &State, request: &RecordedRequest) -> Result<(), &'static str> {
    let mut schemes = request.headers.iter().filter(|(name, _)| name == "authorization");
    let (Some((_, header)), None) = (schemes.next(), schemes.next()) else {
        return Err("exactly one authorization header is needed");
    };
    match header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, token)) if state.grants.access_is_good(token) => Ok(()),
        Some((_, token)) if state.grants.was_access(token) => {
            Err("OAuth token has expired. Please obtain a new token or refresh your existing token.")
        }
        _ => Err("Invalid bearer token"),
    }
}

/// The words of the answer to a prompt, and whether it was cut at the limit.
pub(super) fn echo(prompt: &str, system: &str, longest: usize) -> (Vec<String>, bool) {
    let mut text = format!("You said: {prompt}");
    if !system.is_empty() {
        text += &format!(" (Your system prompt: {system})");
    }
    text += " (This is the nexus sandbox: no model is behind it.)";
    let mut words: Vec<_> = text.split_inclusive(char::is_whitespace).map(String::from).collect();
    let cut = words.len() > longest;
    words.truncate(longest);
    (words, cut)
}

/// An error as the Messages API writes it.
pub(super) fn refusal(status: u16, kind: &str, message: &str) -> Answer {
    refusal_of(status, kind, message, "req_sandbox")
}

fn refusal_of(status: u16, kind: &str, message: &str, request_id: &str) -> Answer {
    let error = json!({ "type": kind, "message": message });
    super::json(status, &json!({ "type": "error", "error": error, "request_id": request_id }))
        .header("request-id", request_id)
}

fn invalid(message: &str) -> Answer {
    refusal(400, "invalid_request_error", message)
}

fn read(state: &State, request: &RecordedRequest) -> Result<ChatRequest, Answer> {
    let json_sent = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let body = request.json();
    let members = body.as_object().filter(|_| json_sent).ok_or_else(|| invalid("the body is not a JSON object"))?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(invalid(&format!("{unknown}: Extra inputs are not permitted")));
    }
    let model = body["model"].as_str().ok_or_else(|| invalid("model: Field required"))?;
    if !state.settings.models.iter().any(|known| known == model) {
        return Err(refusal(404, "not_found_error", &format!("model: {model}")));
    }
    let max_tokens = body["max_tokens"].as_u64().filter(|most| *most > 0);
    let max_tokens = max_tokens.ok_or_else(|| invalid("max_tokens: Input should be a positive integer"))?;
    let stream = match members.get("stream") {
        None => false,
        Some(stream) => stream.as_bool().ok_or_else(|| invalid("stream: Input should be a valid boolean"))?,
    };
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages: at least one message is required"))?;
    let mut prompt = String::new();
    for (at, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().filter(|role| matches!(*role, "user" | "assistant"));
        let role = role.ok_or_else(|| invalid(&format!("messages.{at}.role: must be user or assistant")))?;
        let text = text_of(&message["content"])
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| invalid(&format!("messages.{at}.content: text content must be non-empty")))?;
        if role == "user" {
            prompt = text;
        }
    }
    let system = match members.get("system") {
        None => String::new(),
        Some(system) => text_of(system).ok_or_else(|| invalid("system: must be text or text blocks"))?,
    };
    Ok(ChatRequest {
        model: model.into(),
        max_tokens: usize::try_from(max_tokens).unwrap_or(usize::MAX),
        prompt,
        system,
        stream,
    })
}

/// The text of a string or of an array of blocks. Other blocks than text are replaced by their type.
fn text_of(content: &Value) -> Option<String> {
    if let Some(text) = content.as_str() {
        return Some(text.to_owned());
    }
    let mut texts = Vec::new();
    for block in content.as_array()? {
        texts.push(match block["type"].as_str()? {
            "text" => block["text"].as_str()?.to_owned(),
            other => format!("[{other}]"),
        });
    }
    Some(texts.join("\n"))
}

/// An answer, for a stream or one piece.
struct Message {
    chat: ChatRequest,
    id: String,
    words: Vec<String>,
    stop_reason: &'static str,
    input: usize,
}

impl Message {
    fn new(chat: ChatRequest, request_id: &str) -> Self {
        let (words, cut) = echo(&chat.prompt, &chat.system, chat.max_tokens);
        let input = [&chat.prompt, &chat.system].iter().map(|text| text.split_whitespace().count()).sum();
        let stop_reason = if cut { "max_tokens" } else { "end_turn" };
        Self { id: request_id.replacen("req_", "msg_", 1), chat, words, stop_reason, input }
    }

    fn head(&self, content: &Value, stop_reason: Option<&str>, output: usize) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.chat.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": {
                "input_tokens": self.input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": output,
            },
        })
    }

    fn whole(&self) -> Value {
        let content = json!([{ "type": "text", "text": self.words.concat() }]);
        self.head(&content, Some(self.stop_reason), self.words.len())
    }

    fn events(&self) -> Vec<Piece> {
        let start = json!({ "type": "message_start", "message": self.head(&json!([]), None, 1) });
        let block = json!({ "type": "text", "text": "" });
        let mut pieces = vec![
            Piece::event(&start),
            Piece::event(&json!({ "type": "ping" })),
            Piece::event(&json!({ "type": "content_block_start", "index": 0, "content_block": block })),
        ];
        for word in &self.words {
            let delta = json!({ "type": "text_delta", "text": word });
            pieces.push(Piece::event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta })));
        }
        pieces.push(Piece::event(&json!({ "type": "content_block_stop", "index": 0 })));
        let delta = json!({ "stop_reason": self.stop_reason, "stop_sequence": null });
        let usage = json!({ "output_tokens": self.words.len() });
        pieces.push(Piece::event(&json!({ "type": "message_delta", "delta": delta, "usage": usage })));
        pieces.push(Piece::event(&json!({ "type": "message_stop" })));
        pieces
    }
}
