//! The client against a server that says exactly what it is told to.

use std::io::ErrorKind;
use std::time::Duration;

use hyper::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::client::{bearer, headers};
use super::dialect::{StreamParser, v1};
use super::error::Result;
use super::exchange::Exchange;
use super::replay::Replayed;
use super::spelling::Spelling;
use super::*;
use crate::http::{Http, HttpError};
use crate::provider::{ProviderConfig, Url};
use crate::secret::{AccessToken, HeaderSecret};

/// Answers one connection after the other with the bytes of a script and keeps the requests.
pub(super) struct Server {
    pub(super) url: String,
    requests: JoinHandle<Vec<String>>,
}

impl Server {
    pub(super) async fn start<const N: usize>(script: [String; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = tokio::spawn(async move {
            let mut requests = Vec::new();
            for reply in script {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                requests.push(read_request(&mut stream).await);
                // A client that has heard enough hangs up; what it makes of it is what is tested.
                if stream.write_all(reply.as_bytes()).await.is_ok() {
                    stream.shutdown().await.ok();
                }
            }
            requests
        });
        Self { url, requests }
    }

    pub(super) async fn requests(self) -> Vec<String> {
        self.requests.await.expect("every reply was asked for")
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        stream.read_buf(&mut request).await.expect("a request");
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
    }
}

pub(super) fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn events(body: &str) -> String {
    reply("200 OK", "content-type: text/event-stream; charset=utf-8\r\nrequest-id: req_1\r\n", body)
}

const HELLO: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m-1\"}}\n\n",
    "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello \"}}\n\n",
    "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"there\"}}\n\n",
);
const STOP: &str = concat!(
    "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

pub(super) fn provider(url: &str) -> ProviderConfig {
    let mut provider = ProviderConfig::named("work");
    provider.api.url = Some(Url::parse(url).expect("a URL"));
    provider
}

/// An exchange with `llm.example.com` and the token `sk-token`.
pub(super) fn exchange() -> Exchange {
    let url = Url::parse("https://llm.example.com/").expect("a URL");
    Exchange::new(&url, &token(), &HeaderMap::new(), Duration::from_secs(90))
}

/// What a parser reads from a stream.
pub(super) fn parse<'a>(parser: impl StreamParser + 'static, chunks: impl IntoIterator<Item = &'a [u8]>) -> Replayed {
    replay::read(Box::new(parser), chunks, &exchange())
}

pub(super) fn token() -> AccessToken {
    AccessToken::new("sk-token".into())
}

pub(super) fn question() -> Question {
    Question { model: "m-1".into(), max_tokens: 9, messages: vec![Message::user("Hi")], ..Question::default() }
}

/// Asks the server at this URL: the text that came, and how it ended.
async fn chat(url: &str) -> (String, Result<AnswerMeta>) {
    let (http, provider) = (Http::default(), provider(url));
    let mut text = String::new();
    let mut answer = match ApiClient::new(&http, &provider)
        .expect("a client")
        .ask(&token(), &question(), &mut Spelling::default())
        .await
    {
        Ok(answer) => answer,
        Err(failure) => return (text, Err(failure)),
    };
    loop {
        match answer.next().await {
            Ok(Some(Delta::Text(piece))) => text += &piece,
            Ok(Some(Delta::Thinking(_))) => {}
            Ok(None) => return (text, Ok(answer.meta().clone())),
            Err(failure) => {
                assert_eq!(answer.next().await, Err(failure.clone()), "a failed answer never becomes a whole one");
                return (text, Err(failure));
            }
        }
    }
}

async fn chat_with(reply: String) -> (String, Result<AnswerMeta>) {
    let server = Server::start([reply]).await;
    let outcome = chat(&server.url).await;
    server.requests().await;
    outcome
}

async fn refusal(reply: String) -> Refusal {
    match chat_with(reply).await {
        (text, Err(ApiError::Refused(refusal))) if text.is_empty() => *refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

async fn list(url: &str) -> Result<Vec<Model>> {
    let (http, provider) = (Http::default(), provider(url));
    ApiClient::new(&http, &provider).expect("a client").models(&token()).await
}

#[test]
fn the_base_keeps_its_path_and_query() {
    for (base, messages) in [
        ("https://h.example", "https://h.example/v1/messages"),
        ("https://h.example/", "https://h.example/v1/messages"),
        ("https://h.example/v1", "https://h.example/v1/messages"),
        ("https://h.example/v1/", "https://h.example/v1/messages"),
        ("https://h.example/anthropic", "https://h.example/anthropic/v1/messages"),
        ("https://h.example/anthropic//", "https://h.example/anthropic/v1/messages"),
        ("https://h.example/a/v1", "https://h.example/a/v1/messages"),
        ("https://h.example/av1", "https://h.example/av1/v1/messages"),
        ("https://h.example/a%2Fb/v1?key=x%20y", "https://h.example/a%2Fb/v1/messages?key=x%20y"),
    ] {
        let base = Url::parse(base).expect("a URL");
        assert_eq!(v1(&base, "messages", "messages").as_str(), messages, "{base}");
    }
}

#[test]
fn a_provider_that_cannot_be_asked_names_its_setting() {
    let http = Http::default();
    let sentence = |provider: &ProviderConfig| ApiClient::new(&http, provider).err().map(|failure| failure.to_string());
    assert_eq!(sentence(&ProviderConfig::named("work")).as_deref(), Some("the provider work has no `api_url`"));
    for (name, value) in [("x key", "v"), ("x-key", "a\nb")] {
        let mut provider = provider("https://h.example");
        provider.api.set_header(name, HeaderSecret::new(value.into()));
        let sentence = sentence(&provider).expect("a failure");
        assert!(sentence.starts_with(&format!("the provider work has an unusable header `{name}`: ")), "{sentence}");
    }
}

#[test]
fn what_carries_a_secret_is_marked() {
    let value = bearer(&token()).expect("a header");
    assert!(value.is_sensitive());
    let unsendable = bearer(&AccessToken::new("sk\ntoken".into())).expect_err("no header");
    assert!(!unsendable.to_string().contains("sk"), "{unsendable}");
    let mut provider = provider("https://h.example");
    provider.api.set_header("x-key", HeaderSecret::new("k".into()));
    assert!(headers(&provider).expect("headers")["x-key"].is_sensitive());
}

#[test]
fn configured_headers_replace_and_remove_those_of_the_dialect() {
    let headers = |dialect, configured: &[(&str, &str)]| {
        let mut provider = provider("https://h.example").with_dialect(dialect);
        for (name, value) in configured {
            provider.api.set_header(name, HeaderSecret::new((*value).into()));
        }
        let headers = headers(&provider).expect("headers");
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect::<Vec<_>>()
    };
    use crate::provider::Dialect::{Anthropic, Openai};
    assert_eq!(headers(Anthropic, &[]), ["anthropic-version: 2023-06-01"]);
    assert_eq!(headers(Anthropic, &[("Anthropic-Version", "2")]), ["anthropic-version: 2"]);
    assert_eq!(headers(Anthropic, &[("Anthropic-Version", "")]), [""; 0]);
    assert_eq!(headers(Openai, &[]), [""; 0]);
    assert_eq!(headers(Openai, &[("anthropic-version", "2")]), ["anthropic-version: 2"]);
}

#[tokio::test]
async fn a_question_is_asked_and_its_answer_read() {
    let server = Server::start([events(&format!("{HELLO}{STOP}"))]).await;
    let (text, ending) = chat(&format!("{}/prefix?tenant=7", server.url)).await;
    assert_eq!(text, "Hello there");
    let usage = Usage { output_tokens: Some(2), ..Usage::default() };
    let (model, stop_reason, id) = (Some("m-1".into()), Some("end_turn".into()), Some("req_1".into()));
    assert_eq!(ending, Ok(AnswerMeta { model, stop_reason, usage, request_id: id }));
    let request = server.requests().await.remove(0);
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("host: ")).collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "POST /prefix/v1/messages?tenant=7 HTTP/1.1",
            "accept-encoding: identity",
            "accept: text/event-stream",
            "anthropic-version: 2023-06-01",
            "authorization: Bearer sk-token",
            "content-length: 88",
            "content-type: application/json",
            concat!("user-agent: nexus/", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert_eq!(body, r#"{"model":"m-1","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"stream":true}"#);
}

#[tokio::test]
async fn a_stream_that_ends_early_is_no_answer() {
    let cut = |(text, ending): (String, Result<AnswerMeta>)| match ending {
        Err(ApiError::AnswerCut { reason: why, .. }) => (text, why),
        other => panic!("not cut: {other:?}"),
    };
    let (text, why) = cut(chat_with(events(HELLO)).await);
    assert_eq!((&*text, &*why), ("Hello there", "it ended without the event message_stop"));
    let (text, why) = cut(chat_with(events(&format!("{HELLO}event: mess"))).await);
    assert_eq!((&*text, &*why), ("Hello there", "it ended inside an event"));
    // The connection breaks before the length that was promised, and inside a chunk.
    let short = events(&format!("{HELLO}{STOP}")).replace(STOP, "");
    assert_eq!(cut(chat_with(short).await).0, "Hello there");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let broken = format!("{head}{:x}\r\n{HELLO}\r\nffff\r\nevent: message_stop\n", HELLO.len());
    assert_eq!(cut(chat_with(broken).await).0, "Hello there");
}

#[tokio::test]
async fn the_end_is_the_message_stop_and_not_the_connections() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let (text, ending) = chat_with(format!("{head}{HELLO}{STOP}event: error\ndata: {{}}\n\n")).await;
    assert_eq!(text, "Hello there");
    assert!(ending.is_ok(), "{ending:?}");
}

#[tokio::test]
async fn an_error_in_the_middle_keeps_the_request_id() {
    let error = "event: error\ndata: {\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let (text, ending) = chat_with(events(&format!("{HELLO}{error}{STOP}"))).await;
    assert_eq!(text, "Hello there");
    let Err(ApiError::CutByError(refusal)) = ending else { panic!("{ending:?}") };
    assert_eq!(refusal.status, None);
    assert_eq!(refusal.request_id.as_deref(), Some("req_1"));
    assert!(refusal.is_temporary());
}

#[tokio::test]
async fn a_declined_question_shows_its_text_first() {
    let stop = STOP.replace("end_turn", "refusal");
    let (text, ending) = chat_with(events(&format!("{HELLO}{stop}"))).await;
    assert_eq!((&*text, ending), ("Hello there", Err(ApiError::Declined { description: String::new() })));
}

#[tokio::test]
async fn a_message_in_one_piece_is_an_answer_too() {
    let body =
        r#"{"type":"message","model":"m-1","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"}"#;
    let (text, ending) = chat_with(reply("200 OK", "content-type: application/json; charset=utf-8\r\n", body)).await;
    assert_eq!(text, "Hello");
    assert_eq!(ending.map(|ending| ending.stop_reason), Ok(Some("end_turn".into())));
}

#[tokio::test]
async fn another_kind_of_content_is_nonsense() {
    for (headers, expected) in [
        ("content-type: text/html; charset=utf-8\r\n", "with text/html instead of JSON or events: Sign in, (secret)"),
        ("", "without a content type: Sign in, (secret)"),
    ] {
        let (_, ending) = chat_with(reply("200 OK", headers, "<html><title>Sign in, sk-token</title>")).await;
        let Err(ApiError::InvalidResponse { description: what, .. }) = ending else { panic!("{ending:?}") };
        assert_eq!(what, expected);
    }
}

#[tokio::test]
async fn an_endless_event_is_nonsense() {
    let (_, ending) = chat_with(events(&format!("data: {}", "x".repeat(sse::MAX_EVENT + 1)))).await;
    let Err(ApiError::InvalidResponse { description: what, .. }) = ending else { panic!("{ending:?}") };
    assert_eq!(what, "with an event of more than 8 MiB");
}

#[tokio::test]
async fn refusals_carry_what_the_service_says() {
    let body = r#"{"error":{"type":"authentication_error","message":"sk-token is no good."},"request_id":"req_b"}"#;
    let unauthorized = refusal(reply("401 Unauthorized", "x-request-id: req_h\r\n", body)).await;
    assert_eq!(unauthorized.status, Some(401));
    assert_eq!(unauthorized.kind.as_deref(), Some("authentication_error"));
    assert_eq!(unauthorized.message, "(secret) is no good");
    assert_eq!(unauthorized.request_id.as_deref(), Some("req_h"));

    let limited = refusal(reply("429 Too Many Requests", "retry-after: 12\r\n", "slow down")).await;
    assert_eq!(
        (limited.status, limited.retry_after, &*limited.message),
        (Some(429), Some(Duration::from_secs(12)), "slow down")
    );

    let overloaded = refusal(reply("529 ", "", "<html><title>Overloaded</title></html>")).await;
    assert_eq!((overloaded.status, &*overloaded.message), (Some(529), "Overloaded"));

    let bearer = "www-authenticate: Bearer error=\"invalid_token\"\r\n";
    let proxied = refusal(reply("401 Unauthorized", bearer, "")).await;
    assert_eq!(proxied.message, "Bearer error=\"invalid_token\"");
}

#[tokio::test]
async fn a_refusal_that_breaks_off_or_never_ends_is_still_one() {
    let short = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 100\r\n\r\nshort";
    assert_eq!(refusal(short.into()).await.message, "short");
    let long = refusal(reply("500 Oops", "", &"long ".repeat(20_000))).await;
    assert_eq!(long.status, Some(500));
    assert!(long.message.ends_with("..."), "{}", long.message);
}

#[tokio::test]
async fn a_redirect_is_refused_and_the_token_goes_nowhere() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("a socket option");
    let host = elsewhere.local_addr().expect("an address");
    let location = format!("location: http://{host}/v1/messages?leak=1\r\n");
    let redirected = refusal(reply("307 Temporary Redirect", &location, "moved")).await;
    assert_eq!(redirected.status, Some(307));
    assert_eq!(redirected.message, format!("redirects to {host}; not followed"));
    // A connection would wait in the listener's queue.
    assert_eq!(elsewhere.accept().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let short = Duration::from_millis(1);
    let (http, token, question) = (Http::default(), token(), question());
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let deaf_provider = provider(&format!("http://{}", deaf.local_addr().expect("an address")));
    let mut client = ApiClient::new(&http, &deaf_provider).expect("a client");
    client.limits.head = short;
    let silent = client.ask(&token, &question, &mut Spelling::default()).await.err();
    assert!(matches!(&silent, Some(ApiError::Http(HttpError::Unreachable { .. }))), "{silent:?}");

    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mute_provider = provider(&format!("http://{}", mute.local_addr().expect("an address")));
    let mut client = ApiClient::new(&http, &mute_provider).expect("a client");
    client.limits.body = short;
    let mut spelling = Spelling::default();
    let (asked, _open) = tokio::join!(client.ask(&token, &question, &mut spelling), async {
        let (mut stream, _) = mute.accept().await.expect("a connection");
        read_request(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("the client listens");
        stream
    });
    let Ok(mut answer) = asked else { panic!("no answer") };
    let silent = answer.next().await;
    assert!(matches!(silent, Err(ApiError::AnswerCut { .. })), "{silent:?}");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/?key=hidden", listener.local_addr().expect("an address"));
    drop(listener);
    let (_, ending) = chat(&url).await;
    let Err(ApiError::Http(failure)) = ending else { panic!("{ending:?}") };
    assert!(matches!(failure, HttpError::NoConnection { .. }), "{failure:?}");
    assert!(!failure.to_string().contains("hidden"), "{failure}");
}

#[tokio::test]
async fn the_list_of_models_is_followed_to_its_end() {
    let json = |body: &str| reply("200 OK", "content-type: application/json\r\n", body);
    let first = r#"{"data":[{"type":"model","id":"m-3","display_name":"Model 3","created_at":"2026-11-09T00:00:00Z",
        "max_input_tokens":1000000,"max_tokens":128000,"capabilities":{"batch":{"supported":true}}},
        {"id":"m-2","max_tokens":null}],"has_more":true,"first_id":"m-3","last_id":"m-2"}"#;
    let second = r#"{"data":[{"id":"m-1"},{"object":"nameless"}],"has_more":false,"last_id":"m-1"}"#;
    let server = Server::start([json(first), json(second)]).await;
    let models = list(&format!("{}/?tenant=7", server.url)).await.expect("a list");
    assert_eq!(models.iter().map(|model| &*model.id).collect::<Vec<_>>(), ["m-3", "m-2", "m-1"]);
    assert_eq!(models[0].display_name.as_deref(), Some("Model 3"));
    assert_eq!(models[0].created_at.as_deref(), Some("2026-11-09T00:00:00Z"));
    assert_eq!((models[0].max_input_tokens, models[0].max_tokens), (Some(1_000_000), Some(128_000)));
    let requests = server.requests().await;
    let lines: Vec<_> = requests.iter().filter_map(|request| request.lines().next()).collect();
    assert_eq!(
        lines,
        ["GET /v1/models?tenant=7&limit=1000 HTTP/1.1", "GET /v1/models?tenant=7&limit=1000&after_id=m-2 HTTP/1.1"]
    );
}

#[tokio::test]
async fn lists_of_other_servers_are_read_or_refused() {
    let json = |body: &str| reply("200 OK", "content-type: application/json\r\n", body);
    let openai = r#"{"object":"list","data":[{"id":"gpt","object":"model","created":1686935002,"owned_by":"x"}]}"#;
    // A page that leads to itself is the last one.
    let circle = r#"{"data":[{"id":"m"}],"has_more":true,"last_id":"m"}"#;
    let server = Server::start([json(openai), json(circle), json(circle), json(r#"{"items":[]}"#)]).await;
    assert_eq!(list(&server.url).await.map(|models| models.len()), Ok(1));
    assert_eq!(list(&server.url).await.map(|models| models.len()), Ok(2));
    let strange = list(&server.url).await;
    assert!(matches!(strange, Err(ApiError::InvalidResponse { .. })), "{strange:?}");
    server.requests().await;
}

#[test]
fn futures_can_cross_threads() {
    fn send<T: Send>(_: T) {}
    let (http, provider) = (Http::default(), provider("https://h.example"));
    let (client, token, question) = (ApiClient::new(&http, &provider).expect("a client"), token(), question());
    send(client.ask(&token, &question, &mut Spelling::default()));
    send(client.models(&token));
    send(async |mut answer: Answer| answer.next().await);
}
