use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderValue};
use serde_json::json;

use super::*;
use crate::http::{Http, Request, whole};
use crate::provider::ClientAuth;
use crate::redact::Redactor;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:4711/callback";

async fn sandbox() -> Sandbox {
    Sandbox::start(Settings::default()).await.expect("a port")
}

fn authorize_url(sandbox: &Sandbox, change: &[(&str, &str)]) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", "sandbox-client"),
        ("redirect_uri", REDIRECT),
        ("state", "s&t"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in change {
        parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    url::Url::parse_with_params(&sandbox.url(Endpoint::Authorize), parameters).expect("a URL").into()
}

fn message(location: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(location).expect("a URL");
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

async fn code(sandbox: &Sandbox) -> String {
    let location = Sandbox::approve(&authorize_url(sandbox, &[])).await.expect("approved");
    message(&location, "code").expect("a code")
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn call(sandbox: &Sandbox, endpoint: Endpoint, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Option<Got> {
    request(&sandbox.url(endpoint), headers, body).await
}

async fn request(address: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Option<Got> {
    let url = url::Url::parse(address).expect("a URL");
    let http = Http::default();
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let names = headers.iter().map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?)));
    let headers = names.collect::<Option<HeaderMap>>().expect("headers");
    let request = Request::new(method, url.clone()).with_headers(headers).with_body(whole(body.unwrap_or_default()));
    let response = http.route(&url).expect("a route").send(request, &Redactor::default()).await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.ok()?.to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    Some(Got { status, headers, body })
}

async fn form(sandbox: &Sandbox, endpoint: Endpoint, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Got {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [&[("content-type", "application/x-www-form-urlencoded")], headers].concat();
    call(sandbox, endpoint, &headers, Some(body.into_bytes())).await.expect("an answer")
}

async fn exchange(sandbox: &Sandbox, code: &str, change: &[(&str, &str)]) -> Got {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("client_id", "sandbox-client"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in change {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    form(sandbox, Endpoint::Token, &fields, &[]).await
}

async fn refresh(sandbox: &Sandbox, token: &str) -> Got {
    let fields = [("grant_type", "refresh_token"), ("client_id", "sandbox-client"), ("refresh_token", token)];
    form(sandbox, Endpoint::Token, &fields, &[]).await
}

fn text<'a>(got: &'a Got, name: &str) -> &'a str {
    got.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", got.body))
}

async fn ask(sandbox: &Sandbox, token: &str, body: &Value) -> Option<Got> {
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")];
    call(sandbox, Endpoint::Messages, &headers, Some(body.to_string().into_bytes())).await
}

fn hello(stream: bool) -> Value {
    json!({
        "model": "sandbox-large",
        "max_tokens": 100,
        "stream": stream,
        "messages": [{ "role": "user", "content": "Hello, Claude!" }],
    })
}

#[tokio::test]
async fn an_approval_becomes_tokens_and_a_denial_does_not() {
    let sandbox = sandbox().await;
    let location = Sandbox::approve(&authorize_url(&sandbox, &[])).await.expect("approved");
    assert!(location.starts_with("http://127.0.0.1:4711/callback?code=sandbox-code-"), "{location}");
    assert_eq!(message(&location, "state").as_deref(), Some("s&t"));
    assert_eq!(message(&location, "iss"), Some(sandbox.origin()));
    let tokens = exchange(&sandbox, &message(&location, "code").expect("a code"), &[]).await;
    assert_eq!(tokens.status, 200);
    assert_eq!(tokens.headers["cache-control"], "no-store");
    assert!(text(&tokens, "access_token").starts_with("sandbox-access-"));
    assert_eq!(tokens.body["account"]["email_address"], "you@sandbox.example");
    assert_eq!(sandbox.counts().exchanges, 1);
    for secret in [text(&tokens, "access_token"), text(&tokens, "refresh_token"), VERIFIER] {
        assert!(sandbox.issued().iter().any(|issued| issued == secret));
    }

    let location = Sandbox::deny(&authorize_url(&sandbox, &[])).await.expect("denied");
    assert_eq!(message(&location, "error").as_deref(), Some("access_denied"));
    assert_eq!(message(&location, "state").as_deref(), Some("s&t"));
}

#[tokio::test]
async fn authorization_requests_are_read_strictly() {
    let sandbox = sandbox().await;
    for untrusted in [
        ("client_id", "other"),
        ("client_id", ""),
        ("redirect_uri", "http://127.0.0.1:4711/other"),
        ("redirect_uri", "http://evil.example/callback"),
        ("redirect_uri", ""),
    ] {
        let refused = Sandbox::approve(&authorize_url(&sandbox, &[untrusted])).await;
        assert!(refused.is_err(), "{untrusted:?}: {refused:?}");
    }
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("state", ""), "invalid_request"),
    ] {
        let location = Sandbox::approve(&authorize_url(&sandbox, &[change])).await.expect("led back");
        assert_eq!(message(&location, "error").as_deref(), Some(error), "{change:?}");
    }
    sandbox.change(|settings| settings.scopes = Some(vec!["model.read".into()]));
    let location =
        Sandbox::approve(&authorize_url(&sandbox, &[("scope", "model.read admin")])).await.expect("led back");
    assert_eq!(message(&location, "error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn a_code_is_bound_to_its_verifier_and_redirect_and_used_once() {
    let sandbox = sandbox().await;
    for change in [
        ("code_verifier", "0000000000000000000000000000000000000000000"),
        ("redirect_uri", "http://127.0.0.1:4712/callback"),
        ("code", "sandbox-code-invented"),
    ] {
        let refused = exchange(&sandbox, &code(&sandbox).await, &[change]).await;
        assert_eq!((refused.status, text(&refused, "error")), (400, "invalid_grant"), "{change:?}");
    }
    let code = code(&sandbox).await;
    let tokens = exchange(&sandbox, &code, &[]).await;
    let again = exchange(&sandbox, &code, &[]).await;
    assert_eq!((again.status, text(&again, "error")), (400, "invalid_grant"));
    // What was bought with it is gone, too.
    assert_eq!(refresh(&sandbox, text(&tokens, "refresh_token")).await.status, 400);
    let api = ask(&sandbox, text(&tokens, "access_token"), &hello(false)).await.expect("an answer");
    assert_eq!(api.status, 401);
}

#[tokio::test]
async fn a_ticket_decides_once() {
    let sandbox = sandbox().await;
    let (_, _, page) = Sandbox::visit(&authorize_url(&sandbox, &[])).await.expect("a page");
    assert!(page.contains("Sandbox: not a real account"));
    let ticket =
        page.split("name=\"ticket\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a ticket");
    let fields = [("ticket", ticket), ("decision", "allow")];
    assert_eq!(form(&sandbox, Endpoint::Decision, &fields, &[("origin", "http://evil.example")]).await.status, 400);
    assert_eq!(form(&sandbox, Endpoint::Decision, &fields, &[("origin", "null")]).await.status, 303);
    assert_eq!(form(&sandbox, Endpoint::Decision, &fields, &[]).await.status, 400);
}

#[tokio::test]
async fn a_spent_refresh_token_ends_its_whole_family() {
    let sandbox = sandbox().await;
    let first = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let second = refresh(&sandbox, text(&first, "refresh_token")).await;
    assert_eq!(second.status, 200);
    assert_ne!(text(&first, "refresh_token"), text(&second, "refresh_token"));
    let other = exchange(&sandbox, &code(&sandbox).await, &[]).await;

    let reused = refresh(&sandbox, text(&first, "refresh_token")).await;
    assert_eq!((reused.status, text(&reused, "error")), (400, "invalid_grant"));
    assert_eq!(refresh(&sandbox, text(&second, "refresh_token")).await.status, 400);
    let api = ask(&sandbox, text(&second, "access_token"), &hello(false)).await.expect("an answer");
    assert_eq!(api.status, 401);
    assert_eq!(refresh(&sandbox, text(&other, "refresh_token")).await.status, 200, "another sign-in is untouched");
    assert_eq!((sandbox.refreshes(), sandbox.refreshes_asked()), (2, 4));

    sandbox.change(|settings| settings.grace = 1);
    let first = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    for status in [200, 200, 400] {
        assert_eq!(refresh(&sandbox, text(&first, "refresh_token")).await.status, status);
    }
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client() {
    let sandbox = sandbox().await;
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let token = text(&tokens, "refresh_token");
    sandbox.change(|settings| settings.client_id = "another".into());
    let renew = [("grant_type", "refresh_token"), ("client_id", "another"), ("refresh_token", token)];
    let revoke = [("client_id", "another"), ("token", token)];
    for (endpoint, fields) in [(Endpoint::Token, &renew[..]), (Endpoint::Revoke, &revoke)] {
        let refused = form(&sandbox, endpoint, fields, &[]).await;
        assert_eq!((refused.status, text(&refused, "error")), (400, "invalid_grant"), "{endpoint:?}");
    }
    sandbox.change(|settings| settings.client_id = "sandbox-client".into());
    assert_eq!(refresh(&sandbox, token).await.status, 200);
}

#[tokio::test]
async fn a_client_authenticates_as_configured_and_no_other_way() {
    let sandbox = sandbox().await;
    let secret = "s:e c%r+t&";
    sandbox.change(|settings| settings.client_secret = Some(secret.into()));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let post = [&refresh[..], &[("client_id", "sandbox-client"), ("client_secret", secret)]].concat();
    let wrong = [&refresh[..], &[("client_id", "sandbox-client"), ("client_secret", "x")]].concat();
    let public = [&refresh[..], &[("client_id", "sandbox-client")]].concat();
    // base64 of sandbox-client:s%3Ae+c%25r%2Bt%26
    let basic = [("authorization", "Basic c2FuZGJveC1jbGllbnQ6cyUzQWUrYyUyNXIlMkJ0JTI2")];
    let cases: [(&[_], &[_], ClientAuth); 4] = [
        (&post, &[], ClientAuth::Post),
        (&refresh, &basic, ClientAuth::Basic),
        (&public, &[], ClientAuth::None),
        (&wrong, &[], ClientAuth::Post),
    ];
    for auth in [ClientAuth::Post, ClientAuth::Basic] {
        sandbox.change(|settings| settings.client_auth = auth);
        for (at, (fields, headers, way)) in cases.iter().enumerate() {
            let got = form(&sandbox, Endpoint::Token, fields, headers).await;
            // Authenticated, it is the refresh token that is refused.
            let expected = if *way == auth && at != 3 { (400, "invalid_grant") } else { (401, "invalid_client") };
            assert_eq!((got.status, text(&got, "error")), expected, "{auth:?} {at}");
        }
    }
    let both = form(&sandbox, Endpoint::Token, &post, &basic).await;
    assert_eq!((both.status, text(&both, "error")), (400, "invalid_request"));
}

#[tokio::test]
async fn revocation_ends_what_it_names() {
    let sandbox = sandbox().await;
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let named = |token| [("client_id", "sandbox-client"), ("token", token)];
    for token in [text(&tokens, "refresh_token"), "unknown"] {
        assert_eq!(form(&sandbox, Endpoint::Revoke, &named(token), &[]).await.status, 200);
    }
    assert_eq!(sandbox.counts().revocations, 1);
    assert_eq!(refresh(&sandbox, text(&tokens, "refresh_token")).await.status, 400);
}

#[tokio::test]
async fn the_api_echoes_streams_and_checks() {
    let sandbox = sandbox().await;
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let token = text(&tokens, "access_token");
    let echo = "You said: Hello, Claude! (This is the nexus sandbox: no model is behind it.)";

    let whole = ask(&sandbox, token, &hello(false)).await.expect("an answer");
    assert_eq!(whole.body["content"][0]["text"], echo);
    assert_eq!(whole.body["stop_reason"], "end_turn");

    let stream = ask(&sandbox, token, &hello(true)).await.expect("an answer");
    assert!(stream.headers["content-type"].to_str().expect("text").starts_with("text/event-stream"));
    let events: Vec<Value> = stream
        .body
        .as_str()
        .expect("text")
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    assert_eq!(events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect::<String>(), echo);
    assert_eq!(events.first().expect("one")["type"], "message_start");
    assert_eq!(events.last().expect("one")["type"], "message_stop");

    let mut short = hello(false);
    short["max_tokens"] = 2.into();
    short["system"] = "Be brief.".into();
    let short = ask(&sandbox, token, &short).await.expect("an answer");
    assert_eq!(
        (&short.body["content"][0]["text"], &short.body["stop_reason"]),
        (&json!("You said: "), &json!("max_tokens"))
    );

    for (member, value, status, kind) in [
        ("model", json!("claude-nothing"), 404, "not_found_error"),
        ("max_tokens", json!(0), 400, "invalid_request_error"),
        ("messages", json!([]), 400, "invalid_request_error"),
        ("messages", json!([{ "role": "system", "content": "x" }]), 400, "invalid_request_error"),
        ("invented", json!(1), 400, "invalid_request_error"),
    ] {
        let mut body = hello(false);
        body[member] = value;
        let got = ask(&sandbox, token, &body).await.expect("an answer");
        assert_eq!((got.status, got.body["error"]["type"].as_str()), (status, Some(kind)), "{member}");
        assert!(got.headers.contains_key("request-id"));
    }
    sandbox.expire_access();
    let expired = ask(&sandbox, token, &hello(false)).await.expect("an answer");
    assert_eq!((expired.status, expired.body["error"]["type"].as_str()), (401, Some("authentication_error")));
    assert_eq!(refresh(&sandbox, text(&tokens, "refresh_token")).await.status, 200);
    sandbox.end_session();
    assert_eq!(refresh(&sandbox, text(&tokens, "refresh_token")).await.status, 400);
}

#[tokio::test]
async fn completions_are_as_strict_in_their_own_way() {
    let sandbox = sandbox().await;
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let json_sent = ("content-type", "application/json");
    let ask = async |body: &Value, headers: &[(&str, &str)]| {
        let body = Some(body.to_string().into_bytes());
        call(&sandbox, Endpoint::Completions, headers, body).await.expect("an answer")
    };
    let headers = [("authorization", bearer.as_str()), json_sent];
    let whole = ask(&hello(false), &headers).await;
    let message = "You said: Hello, Claude! (This is the nexus sandbox: no model is behind it.)";
    assert_eq!(whole.body["choices"][0]["message"]["content"], message);
    assert_eq!(whole.body["choices"][0]["finish_reason"], "stop");
    let with = |name: &str, value: Value| {
        let mut body = hello(false);
        body[name] = value;
        body
    };
    for (body, headers, status) in [
        (hello(false), &[("authorization", "Bearer x"), json_sent][..], 401),
        (hello(false), &[headers[0], ("anthropic-version", "2023-06-01"), json_sent], 400),
        (hello(false), &headers[..1], 400),
        (with("top_k", json!(1)), &headers, 400),
        (with("max_completion_tokens", json!(1)), &headers, 400),
        (with("stream_options", json!({})), &headers, 400),
        (with("model", json!("gone")), &headers, 404),
        (with("messages", json!([])), &headers, 400),
        (with("messages", json!([{ "role": "user", "content": " " }])), &headers, 400),
        (with("messages", json!([{ "role": "user", "content": [{ "type": "image" }] }])), &headers, 400),
    ] {
        let got = ask(&body, headers).await;
        assert_eq!(got.status, status, "{body}: {}", got.body);
        assert!(got.body["error"]["message"].is_string(), "{}", got.body);
    }
}

#[tokio::test]
async fn models_come_in_pages() {
    let sandbox = sandbox().await;
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let mut listed = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let address = format!("{}?{query}", sandbox.url(Endpoint::Models));
        let headers = [("authorization", &*bearer), ("anthropic-version", "2023-06-01")];
        let page = request(&address, &headers, None).await.expect("an answer").body;
        listed.extend(
            page["data"].as_array().expect("a list").iter().map(|model| model["id"].as_str().map(String::from)),
        );
        if page["has_more"] != true {
            break;
        }
        query = format!("limit=2&after_id={}", page["last_id"].as_str().expect("an id"));
    }
    assert_eq!(listed, ["sandbox-large", "sandbox-small", "sandbox-old"].map(|id| Some(id.to_owned())));
    assert_eq!(sandbox.counts().models, 2);
}

#[tokio::test]
async fn scripts_are_followed_in_order_and_end() {
    let sandbox = Sandbox::start(Settings { prefix: "/gateway".into(), ..Settings::default() }).await.expect("a port");
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let token = text(&tokens, "access_token");
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    sandbox.script(
        Endpoint::Messages,
        [
            Scripted::json(529, &overloaded).header("retry-after", "1"),
            Scripted::Close,
            Scripted::Lose,
            Scripted::Break(4),
            Scripted::Cut(4),
        ],
    );
    let refused = ask(&sandbox, token, &hello(true)).await.expect("an answer");
    assert_eq!((refused.status, &refused.body), (529, &overloaded));
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(ask(&sandbox, token, &hello(true)).await.is_none(), "closed");
    assert_eq!(sandbox.counts().messages, 0);
    assert!(ask(&sandbox, token, &hello(true)).await.is_none(), "lost");
    assert_eq!(sandbox.counts().messages, 1);
    assert!(ask(&sandbox, token, &hello(true)).await.is_none(), "broken off");
    let cut = ask(&sandbox, token, &hello(true)).await.expect("an answer");
    let cut = cut.body.as_str().expect("text");
    assert_eq!(cut.matches("event: ").count(), 4);
    assert!(!cut.contains("message_stop"));
    assert_eq!(ask(&sandbox, token, &hello(false)).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_gate_holds_until_it_is_opened() {
    let sandbox = sandbox().await;
    let tokens = exchange(&sandbox, &code(&sandbox).await, &[]).await;
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let renewed = refresh(&sandbox, text(&tokens, "refresh_token"));
    let opened = async {
        gate.arrived(1).await;
        assert_eq!((sandbox.refreshes(), sandbox.refreshes_asked()), (0, 1));
        gate.open();
        sandbox.until(|sandbox| sandbox.refreshes() == 1).await;
    };
    let (renewed, ()) = tokio::join!(renewed, opened);
    assert_eq!(renewed.status, 200);
}

#[test]
fn on_its_own_thread_it_serves_callers_that_block() {
    let sandbox = Sandbox::start_on_thread(Settings::default()).expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let location = runtime.block_on(Sandbox::approve(&authorize_url(&sandbox, &[]))).expect("approved");
    assert!(message(&location, "code").is_some());
    let origin = sandbox.origin();
    drop(sandbox);
    assert!(runtime.block_on(Sandbox::visit(&origin)).is_err(), "still there");
}
