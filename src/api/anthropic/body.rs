//! Writes a question for the Messages API.

use serde::Serialize;

use super::schema;
use crate::api::ordered::Ordered;
use crate::api::question::{Message, Part, Question};
use crate::api::refusal::Refusal;
use crate::api::spelling::{Remedy, Spelling};

/// The body of the request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
}

/// Newer models decide how much to think, and show a summary only if asked to. Older ones need a limit.
#[derive(Serialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u32>,
}

/// No `thinking.display`.
const WITHOUT_DISPLAY: u8 = 4;

/// Documents without their titles.
const WITHOUT_TITLES: u8 = 8;

/// Thinking with a limit, as models before adaptive thinking want it.
const LIMITED_THINKING: u8 = 16;

/// At most [`OLDER_LIMIT`] tokens, for models that write less than the default.
const SHORTER_ANSWER: u8 = 32;

/// The longest answer of the oldest models, in tokens.
const OLDER_LIMIT: u32 = 4_096;

/// The smallest limit of thinking that the API accepts, in tokens. It must be smaller than that of the answer.
const MIN_BUDGET: u32 = 1_024;

/// What can be done about a refused field.
pub(super) fn remedy(field: &str, question: &Question, spelling: Spelling, refusal: &Refusal) -> Option<Remedy> {
    let mut steps = field.split('.');
    let adaptive = !spelling.has(LIMITED_THINKING) && question.max_tokens > MIN_BUDGET;
    match (steps.next()?, steps.next_back().unwrap_or_default()) {
        ("stream", _) => Some(Remedy::Spell(Spelling::WHOLE)),
        ("system", _) if question.system.is_some() => Some(Remedy::Spell(Spelling::SYSTEM_IN_MESSAGE)),
        ("messages", "title") => Some(Remedy::Spell(WITHOUT_TITLES)),
        ("thinking", "display") if question.thinking => Some(Remedy::Spell(WITHOUT_DISPLAY)),
        ("thinking", "type") if question.thinking && adaptive => Some(Remedy::Spell(LIMITED_THINKING)),
        ("thinking" | "adaptive", _) if question.thinking && adaptive && refusal.message.contains("daptive") => {
            Some(Remedy::Spell(LIMITED_THINKING))
        }
        ("thinking", _) if question.thinking => Some(Remedy::Keep),
        ("max_tokens", _) if !question.max_tokens_is_default => Some(Remedy::Keep),
        ("max_tokens", _) if question.max_tokens > OLDER_LIMIT => Some(Remedy::Spell(SHORTER_ANSWER)),
        ("temperature", _) if question.temperature.is_some() => Some(Remedy::Keep),
        ("stop_sequences", _) if !question.stop_sequences.is_empty() => Some(Remedy::Keep),
        ("output_config", _) if question.effort.is_some() || question.schema.is_some() => Some(Remedy::Keep),
        _ => None,
    }
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
}

#[derive(Serialize)]
struct Format {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Ordered,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Content<'a>,
}

/// Text alone is sent as a string, which every gateway understands; anything else as a list of blocks.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct Source<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    media_type: &'static str,
    data: &'a str,
}

impl<'a> Body<'a> {
    pub(super) fn new(question: &'a Question, spelling: Spelling) -> Self {
        let longest = if spelling.has(SHORTER_ANSWER) { OLDER_LIMIT } else { u32::MAX };
        let max_tokens = question.max_tokens.min(longest);
        let thinking = if spelling.has(LIMITED_THINKING) {
            let budget_tokens = Some((max_tokens / 2).max(MIN_BUDGET));
            Thinking { kind: "enabled", display: None, budget_tokens }
        } else {
            let display = (!spelling.has(WITHOUT_DISPLAY)).then_some("summarized");
            Thinking { kind: "adaptive", display, budget_tokens: None }
        };
        Self {
            model: &question.model,
            max_tokens,
            system: question.system.as_deref(),
            messages: question.messages.iter().map(|message| Turn::of(message, spelling)).collect(),
            stream: !spelling.has(Spelling::WHOLE),
            temperature: question.temperature,
            stop_sequences: &question.stop_sequences,
            thinking: question.thinking.then_some(thinking),
            output_config: OutputConfig::of(question),
        }
    }
}

impl<'a> OutputConfig<'a> {
    fn of(question: &'a Question) -> Option<Self> {
        let effort = question.effort.as_deref();
        let format = question.schema.as_ref().map(schema::for_messages);
        let format = format.map(|schema| Format { kind: "json_schema", schema });
        (effort.is_some() || format.is_some()).then_some(Self { effort, format })
    }
}

impl<'a> Turn<'a> {
    fn of(message: &'a Message, spelling: Spelling) -> Self {
        let content = match &*message.parts {
            [Part::Text(text)] => Content::Text(text),
            parts => Content::Blocks(parts.iter().map(|part| Block::of(part, spelling)).collect()),
        };
        Self { role: message.role.as_str(), content }
    }
}

impl<'a> Block<'a> {
    fn of(part: &'a Part, spelling: Spelling) -> Self {
        let title = |title: &'a str| (!spelling.has(WITHOUT_TITLES)).then_some(title);
        let base64 = |media_type, data| Source { kind: "base64", media_type, data };
        match part {
            Part::Text(text) => Self::Text { text },
            Part::Image { media_type, data } => Self::Image { source: base64(media_type, data) },
            Part::Pdf { title: name, data } => {
                Self::Document { source: base64("application/pdf", data), title: title(name) }
            }
            Part::Document { title: name, text } => {
                let source = Source { kind: "text", media_type: "text/plain", data: text };
                Self::Document { source, title: title(name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Role;

    #[test]
    fn words_alone_are_a_text_and_files_are_blocks() {
        let parts = vec![
            Part::Image { media_type: "image/png", data: "aGk=".into() },
            Part::Pdf { title: "a.pdf".into(), data: "JVBERg==".into() },
            Part::Document { title: "a.txt".into(), text: "hi".into() },
            Part::Text("What is this?".into()),
        ];
        let question = Question {
            model: "m".into(),
            max_tokens: 9,
            messages: vec![Message::user("Hi"), Message::assistant("Hello"), Message { role: Role::User, parts }],
            ..Question::default()
        };
        let base64 = |kind, data| json!({ "type": "base64", "media_type": kind, "data": data });
        assert_eq!(
            serde_json::to_value(Body::new(&question, Spelling::default())).unwrap(),
            json!({
                "model": "m", "max_tokens": 9, "stream": true,
                "messages": [
                    { "role": "user", "content": "Hi" },
                    { "role": "assistant", "content": "Hello" },
                    { "role": "user", "content": [
                        { "type": "image", "source": base64("image/png", "aGk=") },
                        { "type": "document", "title": "a.pdf", "source": base64("application/pdf", "JVBERg==") },
                        { "type": "document", "title": "a.txt",
                          "source": { "type": "text", "media_type": "text/plain", "data": "hi" } },
                        { "type": "text", "text": "What is this?" },
                    ] },
                ],
            })
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_sent() {
        let sent = |question: &Question| {
            let mut body = serde_json::to_value(Body::new(question, Spelling::default())).unwrap();
            (body["thinking"].take(), body["output_config"].take())
        };
        let plain = Question::default();
        assert_eq!(sent(&plain), (Value::Null, Value::Null));
        let hard = Question { effort: Some("high".into()), thinking: true, ..Question::default() };
        let thinking = json!({ "type": "adaptive", "display": "summarized" });
        assert_eq!(sent(&hard), (thinking, json!({ "effort": "high" })));
        let formed = Question { schema: Some(r#"{"type":"object"}"#.parse().unwrap()), ..Question::default() };
        let format = json!({ "format": { "type": "json_schema", "schema": { "type": "object", "additionalProperties": false } } });
        assert_eq!(sent(&formed), (Value::Null, format));
    }

    #[test]
    fn what_is_asked_for_has_the_names_of_the_api() {
        let question = Question {
            system: Some("Be brief.".into()),
            temperature: Some(0.7),
            stop_sequences: vec!["END".into()],
            ..Question::default()
        };
        let sent = serde_json::to_string(&Body::new(&question, Spelling::default())).unwrap();
        assert_eq!(
            sent,
            r#"{"model":"","max_tokens":0,"system":"Be brief.","messages":[],"stream":true,"temperature":0.7,"stop_sequences":["END"]}"#
        );
    }
}
