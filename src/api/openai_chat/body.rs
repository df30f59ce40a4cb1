//! Writes a question for the Chat Completions API.

use std::borrow::Cow;

use serde::Serialize;

use crate::api::ordered::Ordered;
use crate::api::question::{Message, Part, Question};
use crate::api::refusal::Refusal;
use crate::api::spelling::{Remedy, Spelling};

/// The body of the request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    /// The API requires a name.
    name: &'static str,
    schema: &'a Ordered,
}

/// `max_completion_tokens` instead of `max_tokens`. The older name comes first: every gateway knows it, while a gateway
/// that does not know the newer one may ignore it without a word. The models that want the newer name refuse the older
/// one and say so.
const NEWER_LIMIT: u8 = 4;

/// No limit of the answer, if it was only a default.
const WITHOUT_LIMIT: u8 = 8;

/// No `stream_options`, which older services refuse.
const WITHOUT_USAGE: u8 = 16;

/// The system prompt has the role `developer`, the newer name of `system`.
const DEVELOPER: u8 = 32;

/// What can be done about a refused field.
pub(super) fn remedy(field: &str, question: &Question, spelling: Spelling, refusal: &Refusal) -> Option<Remedy> {
    let mut steps = field.split('.');
    match (steps.next()?, steps.next_back().unwrap_or_default()) {
        ("stream", _) => Some(Remedy::Spell(Spelling::WHOLE)),
        ("stream_options" | "include_usage", _) => Some(Remedy::Spell(WITHOUT_USAGE)),
        // It is not in the body.
        ("max_tokens", _) if spelling.has(NEWER_LIMIT) => Some(Remedy::Spell(NEWER_LIMIT)),
        ("max_tokens" | "max_completion_tokens", _) => {
            let wants_other = refusal.message.contains("max_completion_tokens") || refusal.says_unsupported();
            Some(match wants_other && !spelling.has(NEWER_LIMIT) {
                true => Remedy::Spell(NEWER_LIMIT),
                false if question.max_tokens_is_default => Remedy::Spell(WITHOUT_LIMIT),
                false => Remedy::Keep,
            })
        }
        ("messages", "role") | ("system" | "developer", _) if question.system.is_some() => {
            Some(Remedy::Spell(if spelling.has(DEVELOPER) { Spelling::SYSTEM_IN_MESSAGE } else { DEVELOPER }))
        }
        ("temperature", _) if question.temperature.is_some() => Some(Remedy::Keep),
        ("stop", _) if !question.stop_sequences.is_empty() => Some(Remedy::Keep),
        ("reasoning_effort", _) if question.effort.is_some() => Some(Remedy::Keep),
        ("response_format", _) if question.schema.is_some() => Some(Remedy::Keep),
        _ => None,
    }
}

#[derive(Serialize)]
struct StreamOptions {
    /// One more event with the usage, which a stream does not contain otherwise.
    include_usage: bool,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Content<'a>,
}

/// Text alone is sent as one string, which every gateway understands; anything else as a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Piece<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageUrl },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

#[derive(Serialize)]
struct File<'a> {
    filename: &'a str,
    file_data: String,
}

impl<'a> Body<'a> {
    pub(super) fn new(question: &'a Question, spelling: Spelling) -> Self {
        let role = if spelling.has(DEVELOPER) { "developer" } else { "system" };
        let system = question.system.as_deref().map(|system| Turn { role, content: Content::Text(system.into()) });
        let limit = (!spelling.has(WITHOUT_LIMIT)).then_some(question.max_tokens);
        let stream = !spelling.has(Spelling::WHOLE);
        let (max_tokens, max_completion_tokens) = if spelling.has(NEWER_LIMIT) { (None, limit) } else { (limit, None) };
        Self {
            model: &question.model,
            messages: system.into_iter().chain(question.messages.iter().map(Turn::of)).collect(),
            max_tokens,
            max_completion_tokens,
            stream,
            temperature: question.temperature,
            stop: &question.stop_sequences,
            stream_options: (stream && !spelling.has(WITHOUT_USAGE)).then_some(StreamOptions { include_usage: true }),
            reasoning_effort: question.effort.as_deref(),
            response_format: question.schema.as_ref().map(|schema| ResponseFormat {
                kind: "json_schema",
                json_schema: JsonSchema { name: "answer", schema },
            }),
        }
    }
}

impl<'a> Turn<'a> {
    fn of(message: &'a Message) -> Self {
        let texts: Option<Vec<_>> = message.parts.iter().map(text).collect();
        let content = match texts {
            Some(texts) => {
                let joined = texts.into_iter().reduce(|all, text| format!("{all}\n\n{text}").into());
                Content::Text(joined.unwrap_or_default())
            }
            None => Content::Parts(message.parts.iter().map(Piece::of).collect()),
        };
        Self { role: message.role.as_str(), content }
    }
}

/// The text of a part. The API has no part for a text file, so the file is quoted under its name.
fn text(part: &Part) -> Option<Cow<'_, str>> {
    match part {
        Part::Text(text) => Some(text.into()),
        Part::Document { title, text } => Some(format!("{title}:\n\n{text}").into()),
        Part::Image { .. } | Part::Pdf { .. } => None,
    }
}

impl<'a> Piece<'a> {
    fn of(part: &'a Part) -> Self {
        let url = |media_type: &str, data: &str| format!("data:{media_type};base64,{data}");
        match part {
            Part::Image { media_type, data } => Self::ImageUrl { image_url: ImageUrl { url: url(media_type, data) } },
            Part::Pdf { title, data } => {
                Self::File { file: File { filename: title, file_data: url("application/pdf", data) } }
            }
            words => Self::Text { text: text(words).unwrap_or_default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Role;
    use crate::api::spelling::Respelling;

    fn question(parts: Vec<Part>) -> Question {
        Question {
            model: "m".into(),
            max_tokens: 9,
            system: Some("Be brief.".into()),
            messages: vec![Message::user("Hi"), Message::assistant("Hello"), Message { role: Role::User, parts }],
            ..Question::default()
        }
    }

    #[test]
    fn words_are_one_text_and_files_are_parts() {
        let document = || Part::Document { title: "a.txt".into(), text: "hi".into() };
        let files = vec![
            Part::Image { media_type: "image/png", data: "aGk=".into() },
            Part::Pdf { title: "a.pdf".into(), data: "JVBERg==".into() },
            document(),
            Part::Text("What is this?".into()),
        ];
        let content = |parts| {
            let written = serde_json::to_value(Body::new(&question(parts), Spelling::default())).unwrap();
            let mut turns = written["messages"].as_array().unwrap().clone();
            let last = turns.pop().unwrap();
            assert_eq!(last["role"], "user");
            assert_eq!(
                json!(turns),
                json!([
                    { "role": "system", "content": "Be brief." },
                    { "role": "user", "content": "Hi" },
                    { "role": "assistant", "content": "Hello" },
                ])
            );
            last["content"].clone()
        };
        assert_eq!(content(vec![document(), Part::Text("What is this?".into())]), "a.txt:\n\nhi\n\nWhat is this?");
        assert_eq!(
            content(files),
            json!([
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,aGk=" } },
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg==" } },
                { "type": "text", "text": "a.txt:\n\nhi" },
                { "type": "text", "text": "What is this?" },
            ])
        );
    }

    #[test]
    fn a_refusal_that_names_a_field_changes_it_once() {
        let refusal =
            |status, message: &str| Refusal { status: Some(status), message: message.into(), ..Refusal::default() };
        let newer = refusal(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead");
        let usage = refusal(422, "body.stream_options: Extra inputs are not permitted");
        let first = Spelling::default();
        let asked = question(vec![]);
        let respell = |spelling: Spelling, refusal: &Refusal| match spelling
            .after(refusal, &asked, |field| remedy(field, &asked, spelling, refusal))
        {
            Respelling::Again(changed) => Some(changed),
            Respelling::Kept(_) | Respelling::Final => None,
        };
        let limits = |spelling| {
            let body = serde_json::to_value(Body::new(&question(vec![]), spelling)).unwrap();
            (body["max_tokens"].clone(), body["max_completion_tokens"].clone(), body["stream_options"].clone())
        };
        assert_eq!(limits(first), (json!(9), json!(null), json!({ "include_usage": true })));
        let second = respell(first, &newer).unwrap();
        assert_eq!(limits(second), (json!(null), json!(9), json!({ "include_usage": true })));
        let third = respell(second, &usage).unwrap();
        assert_eq!(limits(third), (json!(null), json!(9), json!(null)));
        for (spelling, refusal) in [
            (second, &newer),
            (third, &usage),
            (first, &refusal(400, "max_tokens: 9 is too much")),
            (first, &refusal(429, "max_completion_tokens")),
        ] {
            assert_eq!(respell(spelling, refusal), None, "{refusal:?}");
        }
    }

    #[test]
    fn what_is_asked_for_has_the_names_of_the_api() {
        let question = Question { temperature: Some(0.7), stop_sequences: vec!["END".into()], ..Question::default() };
        let sent = serde_json::to_string(&Body::new(&question, Spelling(WITHOUT_USAGE))).unwrap();
        assert_eq!(sent, r#"{"model":"","messages":[],"max_tokens":0,"stream":true,"temperature":0.7,"stop":["END"]}"#);
    }
}
