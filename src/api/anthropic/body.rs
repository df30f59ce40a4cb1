//! Writes a question for the Messages API.

use serde::Serialize;

use super::schema;
use crate::api::ordered::Ordered;
use crate::api::question::{Message, Part, Question};

/// The body of the request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: Vec<Turn<'a>>,
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

/// Newer models decide how much to think, and show a summary only if asked to.
#[derive(Serialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: &'static str,
    display: &'static str,
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
    Text { text: &'a str },
    Image { source: Source<'a> },
    Document { source: Source<'a>, title: &'a str },
}

#[derive(Serialize)]
struct Source<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    media_type: &'static str,
    data: &'a str,
}

impl<'a> Body<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        Self {
            model: &question.model,
            max_tokens: question.max_tokens,
            system: question.system.as_deref(),
            messages: question.messages.iter().map(Turn::of).collect(),
            stream: true,
            temperature: question.temperature,
            stop_sequences: &question.stop_sequences,
            thinking: question.thinking.then_some(Thinking { kind: "adaptive", display: "summarized" }),
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
    fn of(message: &'a Message) -> Self {
        let content = match &*message.parts {
            [Part::Text(text)] => Content::Text(text),
            parts => Content::Blocks(parts.iter().map(Block::of).collect()),
        };
        Self { role: message.role.as_str(), content }
    }
}

impl<'a> Block<'a> {
    fn of(part: &'a Part) -> Self {
        let base64 = |media_type, data| Source { kind: "base64", media_type, data };
        match part {
            Part::Text(text) => Self::Text { text },
            Part::Image { media_type, data } => Self::Image { source: base64(media_type, data) },
            Part::Pdf { title, data } => Self::Document { source: base64("application/pdf", data), title },
            Part::Document { title, text } => {
                Self::Document { source: Source { kind: "text", media_type: "text/plain", data: text }, title }
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
            serde_json::to_value(Body::new(&question)).unwrap(),
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
            let mut body = serde_json::to_value(Body::new(question)).unwrap();
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
        let sent = serde_json::to_string(&Body::new(&question)).unwrap();
        assert_eq!(
            sent,
            r#"{"model":"","max_tokens":0,"system":"Be brief.","messages":[],"stream":true,"temperature":0.7,"stop_sequences":["END"]}"#
        );
    }
}
