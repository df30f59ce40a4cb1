//! A dialect that is not registered, with the model in the path, and what all dialects have in common.

use crate::provider::Url;
use serde_json::json;

use super::*;
use crate::api::client::{self, ApiClient};
use crate::api::model_list;
use crate::api::tests::{Server, provider, question, reply, token};
use crate::http::Http;
use crate::provider;

/// `POST /model/{id}/invoke`: one text in, a stream of texts out.
struct Invoke;

impl Dialect for Invoke {
    fn question_url(&self, base: &Url, question: &Question) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["model", &question.model, "invoke"]);
        }
        url
    }

    fn question_body(&self, question: &Question, spelling: Spelling) -> Result<Vec<u8>> {
        let limit = if spelling.has(4) { "maxTokens" } else { "limit" };
        body(&json!({ "input": "Hi", limit: question.max_tokens }), &question.extra)
    }

    fn respell(&self, _question: &Question, spelling: Spelling, refusal: &Refusal) -> Respelling {
        match refusal.message.contains("maxTokens") && !spelling.has(4) {
            true => Respelling::Again(Spelling(4)),
            false => Respelling::Final,
        }
    }

    fn parser(&self, request_id: Option<String>) -> Box<dyn StreamParser> {
        Box::new(Texts(AnswerMeta { request_id, ..AnswerMeta::default() }))
    }

    fn models_url(&self, base: &Url, _after: Option<&str>) -> Url {
        let mut url = base.clone();
        url.set_path("/foundation-models");
        url
    }

    fn models_page(&self, body: &[u8]) -> Option<Page> {
        let ids: Vec<String> = serde_json::from_slice(body).ok()?;
        let data: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
        model_list::page(json!({ "data": data }).to_string().as_bytes())
    }
}

struct Texts(AnswerMeta);

impl StreamParser for Texts {
    fn meta(&self) -> &AnswerMeta {
        &self.0
    }

    fn event(&mut self, event: Event<'_>, _exchange: &Exchange) -> Result<StreamEvent> {
        Ok(if event.name == "end" { StreamEvent::Stop } else { StreamEvent::Text(event.data.to_owned()) })
    }

    fn whole(&mut self, body: &[u8], _exchange: &Exchange) -> Result<StreamEvent> {
        Ok(StreamEvent::Text(String::from_utf8_lossy(body).into_owned()))
    }

    fn held(&mut self) -> Option<StreamEvent> {
        None
    }

    fn ended(&self, _between_events: bool, exchange: &Exchange) -> Result<StreamEvent> {
        Err(exchange.empty())
    }

    fn verdict(&self, _exchange: &Exchange) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn another_dialect_needs_nothing_of_the_client() {
    let refused = reply("400 Bad Request", "", "use maxTokens");
    let stream = "data: Hello\n\nevent: end\ndata: -\n\n";
    let answered = reply("200 OK", "content-type: text/event-stream\r\nrequest-id: req_1\r\n", stream);
    let listed = reply("200 OK", "content-type: application/json\r\n", r#"["m-1","m-2"]"#);
    let server = Server::start([refused, answered, listed]).await;
    let (http, provider) = (Http::default(), provider(&format!("{}/base/", server.url)));
    let mut client = ApiClient::new(&http, &provider).expect("a client");
    client.dialect = &Invoke;

    let question = Question { model: "vendor/m:0 1".into(), ..question() };
    let mut answer = client.ask(&token(), &question, &mut Spelling::default()).await.expect("an answer");
    assert_eq!(answer.text().await, Ok("Hello".into()));
    assert_eq!(answer.meta().request_id.as_deref(), Some("req_1"));
    let models = client.models(&token()).await.expect("a list");
    assert_eq!(models.iter().map(|model| &*model.id).collect::<Vec<_>>(), ["m-1", "m-2"]);

    let requests = server.requests().await;
    let lines: Vec<_> = requests.iter().map(|request| request.lines().next().unwrap_or_default()).collect();
    let asked = "POST /base/model/vendor%2Fm:0%201/invoke HTTP/1.1";
    assert_eq!(lines, [asked, asked, "GET /foundation-models HTTP/1.1"]);
    let bodies: Vec<_> =
        requests.iter().filter_map(|request| request.split_once("\r\n\r\n")).map(|(_, body)| body).collect();
    assert_eq!(bodies, [r#"{"input":"Hi","limit":9}"#, r#"{"input":"Hi","maxTokens":9}"#, ""]);
}

#[test]
fn extra_fields_are_sent_as_they_are_unless_the_question_sets_them() {
    let with = |field: &str, value: Value| Question {
        temperature: Some(0.7),
        extra: Map::from_iter([(field.to_owned(), value)]),
        ..question()
    };
    for configured in [provider::Dialect::Anthropic, provider::Dialect::Openai] {
        let write = |question: &Question| client::dialect(configured).question_body(question, Spelling::default());
        let body = write(&with("top_k", json!({ "b": [1, null] }))).expect("a body");
        let body = String::from_utf8(body).expect("a text");
        let without = write(&Question { extra: Map::new(), ..with("", Value::Null) }).expect("a body");
        let without = String::from_utf8(without).expect("a text");
        assert_eq!(body, format!(r#"{},"top_k":{{"b":[1,null]}}}}"#, &without[..without.len() - 1]));
        for field in ["model", "stream", "temperature", "max_tokens"] {
            let refused = write(&with(field, Value::Null));
            assert_eq!(refused, Err(ApiError::ReservedField { field: field.into() }), "{configured:?}");
        }
        // What the question leaves open is the caller's.
        assert!(write(&with("thinking", json!({ "type": "disabled" }))).is_ok(), "{configured:?}");
    }
}
