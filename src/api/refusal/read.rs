//! Parses a refusal of the API or of a gateway, proxy or load balancer in front of it. The body may be JSON of
//! Anthropic, OpenAI, RFC 6750 or FastAPI, plain text, HTML, or empty.

use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::timeout;

use super::{Refusal, challenge, fields};
use crate::api::error::ApiError;
use crate::api::excerpt::{self, beginning};
use crate::api::exchange::Exchange;
use crate::api::meta::AnswerMeta;
use crate::api::surrogates;
use crate::html;
use crate::http::{Body, Response, retry_after, unsupported_encoding};

/// How much of a refusal's body is read, in bytes.
pub(in crate::api) const MAX_BODY: usize = 64 * 1024;

/// Reads a refusal.
pub(in crate::api) async fn read(response: Response, exchange: &Exchange) -> Refusal {
    let (status, headers) = (response.status(), response.headers().clone());
    let (request_id, location) = (exchange.request_id(&response), redirect(&response, exchange));
    let body = body(response, exchange).await;
    let mut refusal = parse(&body, exchange);
    refusal.status = Some(status.as_u16());
    // LiteLLM repeats the status in `code`.
    refusal.kind = refusal.kind.filter(|kind| kind != status.as_str());
    refusal.request_id = request_id.or(refusal.request_id);
    refusal.retry_after = retry_after(&headers);
    refusal.should_retry = match header(&headers, "x-should-retry") {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    // RFC 6750, section 3: the challenge describes an error with the token.
    let challenge = challenge::bearer(&headers);
    refusal.invalid_token = status.is_client_error() && challenge.error.as_deref() == Some("invalid_token");
    refusal.wrong_audience = (refusal.is_unauthorized() || status == StatusCode::FORBIDDEN)
        && [&challenge.description, &body].into_iter().any(|text| names_audience(text));
    let is_json = serde_json::from_str::<IgnoredAny>(&body).is_ok();
    if status.is_redirection() {
        refusal.message = location;
    } else if !challenge.description.is_empty() && (refusal.message.is_empty() || !is_json) {
        refusal.message = exchange.words(&challenge.description);
    } else if let Some(coding) = unsupported_encoding(&headers) {
        refusal.message = format!("its message has the unsupported content encoding `{coding}`");
    } else if refusal.message.is_empty() {
        refusal.message = exchange.words(header(&headers, "www-authenticate"));
    }
    refusal
}

/// Whether a text is about the audience of a token, or its claim `aud` (RFC 7519, section 4.1.3).
fn names_audience(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("audience") || lower.split(|c: char| !c.is_alphanumeric()).any(|word| word == "aud")
}

/// The text of the body, up to [`MAX_BODY`]. A broken or hanging body gives what was received.
pub(in crate::api) async fn body(response: Response, exchange: &Exchange) -> String {
    let mut body = Vec::new();
    if unsupported_encoding(response.headers()).is_some() {
        return String::new();
    }
    let mut incoming = Body::from(response);
    let reading = async {
        while let Ok(Some(chunk)) = incoming.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_BODY {
                break;
            }
        }
    };
    let _ = timeout(exchange.silence, reading).await;
    body.truncate(MAX_BODY);
    String::from_utf8_lossy(&body).into_owned()
}

/// Parses the type, message and request id in a body.
pub(in crate::api) fn parse(body: &str, exchange: &Exchange) -> Refusal {
    let mut refusal = Refusal { host: exchange.host.clone(), ..Refusal::default() };
    match excerpt::parse(&surrogates::replaced(body)) {
        Ok(body) => {
            refusal.fields = fields::structured(&body).iter().map(|field| exchange.words(field)).collect();
            refusal.kind = kind(&body).map(|kind| exchange.words(kind));
            refusal.message = exchange.words(&placed(&body, words(&body).unwrap_or_default()));
            refusal.request_id = body.get("request_id").and_then(Value::as_str).map(|id| exchange.words(id));
        }
        Err(_) if body.trim_start().starts_with(['{', '[']) => refusal.message = "invalid JSON".into(),
        Err(_) => refusal.message = page_title(beginning(body), exchange).unwrap_or_else(|| exchange.words(body)),
    }
    refusal
}

/// Parses an error inside a stream. Some services send it without the object around it, and with an HTTP status as its
/// code. The answer's own request id counts if the error has none.
pub(in crate::api) fn event(data: &str, answer: &AnswerMeta, exchange: &Exchange) -> ApiError {
    let refusal = parse(data, exchange);
    let body = excerpt::parse(data).unwrap_or_default();
    let bare = || kind_of(&body).filter(|kind| *kind != "error").map(|kind| exchange.words(kind));
    let kind = refusal.kind.or_else(bare).filter(|kind| kind.parse::<u16>().is_err());
    let code = ["/error/code", "/code", "/status"].iter().find_map(|path| body.pointer(path));
    let status = || code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let kind = kind.or_else(|| status_kind(status()?).map(str::to_owned));
    let request_id = refusal.request_id.or_else(|| answer.request_id.clone());
    ApiError::Refused(Box::new(Refusal { kind, request_id, ..refusal }))
}

/// The error type of the Messages API for a status.
fn status_kind(status: u64) -> Option<&'static str> {
    Some(match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500..=599 => "api_error",
        _ => return None,
    })
}

/// Replaces `message` with the one in an event that is not of the API, if it has one.
pub(in crate::api) fn note_message(message: &mut String, data: &str, exchange: &Exchange) {
    let found = parse(data, exchange).message;
    if !found.is_empty() {
        *message = found;
    }
}

/// The message in a JSON body: the first text in one of the usual fields, at any depth.
fn words(body: &Value) -> Option<&str> {
    match body {
        Value::String(words) if !words.trim().is_empty() => Some(words),
        Value::Array(items) => items.iter().find_map(words),
        Value::Object(fields) => ["message", "error_description", "msg", "detail", "error", "errors", "title"]
            .iter()
            .find_map(|name| words(fields.get(*name)?)),
        _ => None,
    }
}

/// The message, with the name of the field that it is about (OpenAI's `param` or FastAPI's `loc`) if it does not name
/// it.
fn placed(body: &Value, words: &str) -> String {
    match ["/error/param", "/detail/0/loc"].iter().find_map(|pointer| fields::joined(body.pointer(pointer)?)) {
        Some(place) if !words.is_empty() && !words.contains(place.rsplit('.').next().unwrap_or(&place)) => {
            format!("{place}: {words}")
        }
        _ => words.to_owned(),
    }
}

/// The error type in a JSON body.
fn kind(body: &Value) -> Option<&str> {
    let error = body.get("error")?;
    if error.is_string() {
        // The error code of RFC 6750, which has a separate description. Others put the message here.
        return body.get("error_description").and(error.as_str());
    }
    if let Some(full @ "context_length_exceeded") = error.get("code").and_then(Value::as_str) {
        return Some(full);
    }
    let code = error.pointer("/details/error_code").and_then(Value::as_str);
    const KNOWN: [&str; 7] = [
        "enforced_spend_limit_reached",
        // Claude Platform OAuth: billing of a linked organization.
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
        "user_profile_billing_not_authorized",
        "user_profile_not_billable",
        "user_profile_not_found",
        "user_profile_required",
    ];
    if let Some(code) = code.filter(|code| KNOWN.contains(code)) {
        return Some(code);
    }
    kind_of(error)
}

/// The type of an error.
fn kind_of(error: &Value) -> Option<&str> {
    // LiteLLM writes a missing type as the word "None".
    ["type", "code"].iter().find_map(|name| error.get(*name)?.as_str().filter(|kind| !matches!(*kind, "" | "None")))
}

/// The title of an HTML page for a message. `None` if the text is not HTML.
fn page_title(body: &str, exchange: &Exchange) -> Option<String> {
    let title = exchange.words(html::title(body)?);
    Some(if title.is_empty() { "an HTML page".into() } else { title })
}

/// The message for a redirect, with only the host of its target.
fn redirect(response: &Response, exchange: &Exchange) -> String {
    let location = response.headers().get("location").and_then(|location| location.to_str().ok());
    match location.and_then(|location| exchange.resolve(location)) {
        Some(url) => format!("redirects to {}; not followed", exchange.words(&crate::provider::host(&url))),
        None => "redirects without a location".into(),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::api::tests::exchange;

    #[test]
    fn every_shape_of_body_becomes_one_line() {
        let long = format!(r#"{{"error":{{"message":"{}sk-token"}}}}"#, "x".repeat(296));
        let cut = format!("{}(sec...", "x".repeat(296));
        for (body, kind, message) in [
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too\n large."}}"#,
                Some("invalid_request_error"),
                "max_tokens: too large",
            ),
            (
                r#"{"error":{"message":"Bad key","type":"invalid_request_error","param":null,"code":"bad_key"}}"#,
                Some("invalid_request_error"),
                "Bad key",
            ),
            (r#"{"error":{"message":"No","type":null,"code":"bad_key"}}"#, Some("bad_key"), "No"),
            (r#"{"error":{"message":"No","type":"None","code":401}}"#, None, "No"),
            (
                r#"{"error":{"type":"rate_limit_error","message":"Cap","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                Some("enforced_spend_limit_reached"),
                "Cap",
            ),
            (
                r#"{"error":{"type":"rate_limit_error","message":"Slow","details":{"error_code":"other"}}}"#,
                Some("rate_limit_error"),
                "Slow",
            ),
            (r#"{"error":"model not loaded"}"#, None, "model not loaded"),
            (r#"{"error":"invalid_token","error_description":"It expired"}"#, Some("invalid_token"), "It expired"),
            (r#"{"message":"no Route matched with those values"}"#, None, "no Route matched with those values"),
            (r#"{"detail":"Not Found"}"#, None, "Not Found"),
            (r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, None, "body: field required"),
            (r#"{"detail":{"error":"no such team"}}"#, None, "no such team"),
            (r#"{"type":"about:blank","title":"Forbidden","status":403}"#, None, "Forbidden"),
            (r#"{"error":{}}"#, None, ""),
            (r#"{"error":{"type":"api_error","message":""}}"#, Some("api_error"), ""),
            (r#"{"secret_looking":"value"}"#, None, ""),
            (r#""quoted""#, None, "quoted"),
            ("null", None, ""),
            (r#"{"error":{"message":"cut o"#, None, "invalid JSON"),
            ("upstream connect error", None, "upstream connect error"),
            (" plain\r\n\x1b[2Jtext \u{202e}x", None, "plain [2Jtext x"),
            ("<html><head><TITLE lang=en> 502 Bad\nGateway </TITLE></head>", None, "502 Bad Gateway"),
            ("\n<!DOCTYPE HTML><p>who <title", None, "an HTML page"),
            ("<html><title></title>", None, "an HTML page"),
            ("<html>\u{130}<title>\u{130}\u{fc}</title>", None, "\u{130}\u{fc}"),
            ("", None, ""),
            ("  \n", None, ""),
            (r#"{"error":{"message":"bad sk-token!"}}"#, None, "bad (secret)!"),
            (&long, None, &cut),
            ("sk-token", None, "(secret)"),
        ] {
            let refusal = parse(body, &exchange());
            assert_eq!((refusal.kind.as_deref(), refusal.message.as_str()), (kind, message), "{body}");
            assert_eq!(refusal.host, "llm.example.com");
        }
    }

    #[test]
    fn a_field_that_the_words_do_not_name_is_named() {
        for (body, message) in [
            (
                r#"{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs"}]}"#,
                "body.stream_options: Extra inputs",
            ),
            (r#"{"detail":[{"loc":["body","messages",0],"msg":"Too long"}]}"#, "body.messages.0: Too long"),
            (r#"{"error":{"message":"Not allowed","param":"top_p"}}"#, "top_p: Not allowed"),
            (r#"{"error":{"message":"'top_p' is not allowed","param":"top_p"}}"#, "'top_p' is not allowed"),
            (r#"{"error":{"message":"No","param":null}}"#, "No"),
            (r#"{"error":{"message":"No","param":"None"}}"#, "No"),
            (r#"{"error":{"param":"top_p"}}"#, ""),
        ] {
            assert_eq!(parse(body, &exchange()).message, message, "{body}");
        }
    }

    #[test]
    fn the_request_id_is_found_in_the_body() {
        let refusal = parse(r#"{"error":{"message":"x"},"request_id":"req_1\u001b"}"#, &exchange());
        assert_eq!(refusal.request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn waits_are_read_from_either_header() {
        let date = ("date", "Mon, 23 Nov 2026 08:00:00 GMT");
        for (headers, millis) in [
            (vec![("retry-after", "20")], Some(20_000)),
            (vec![("retry-after", "0")], Some(0)),
            (vec![("retry-after", "1.2")], Some(1_200)),
            (vec![("retry-after", "20"), ("retry-after-ms", "1500")], Some(1_500)),
            (vec![("retry-after-ms", "1")], Some(1)),
            (vec![("retry-after", "20"), ("retry-after-ms", "soon")], Some(20_000)),
            (vec![("retry-after", "Mon, 23 Nov 2026 08:01:30 GMT"), date], Some(90_000)),
            (vec![("retry-after", "Mon, 23 Nov 2026 07:59:00 GMT"), date], None),
            (vec![("retry-after", "Mon, 23 Nov 2026 08:01:30 GMT")], None),
            (vec![("retry-after", "-10")], None),
            (vec![("retry-after", "NaN")], None),
            (vec![("retry-after", "inf")], None),
            (vec![("retry-after", "1e300")], None),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "")], None),
            (vec![], None),
        ] {
            let headers = headers
                .into_iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let headers: HeaderMap = headers.collect();
            assert_eq!(retry_after(&headers), millis.map(Duration::from_millis), "{headers:?}");
        }
    }
}
