//! The error for a response in another format than the API's, with the message in it.

use std::borrow::Cow;

use super::error::ApiError;
use super::excerpt::MAX_TEXT;
use super::exchange::{Exchange, content_type};
use super::refusal::read;
use super::shape::EVENTS;
use crate::http::Response;

/// The error for a response with another content type. It is often a sign-in page or an error of a proxy.
pub(super) async fn content(response: Response, exchange: &Exchange) -> ApiError {
    let media_type = content_type(&response).to_owned();
    body(&media_type, read::body(response, exchange).await.as_bytes(), exchange)
}

/// The error for a body of this content type.
pub(super) fn body(media_type: &str, body: &[u8], exchange: &Exchange) -> ApiError {
    let description = match media_type {
        "" if body.trim_ascii().is_empty() => return exchange.empty(),
        "" => "without a content type".to_owned(),
        EVENTS => format!("with {EVENTS} that has no events"),
        kind => format!("with {} instead of JSON or events", exchange.words(kind)),
    };
    with_message(description, &text(body), exchange)
}

/// The error for JSON that is not `expected`.
pub(super) fn json(expected: &str, body: &[u8], exchange: &Exchange) -> ApiError {
    with_message(format!("with JSON that is not a {expected}"), &text(body), exchange)
}

/// The error for an event of a stream that is not of this API.
pub(super) fn event(api: &str, data: &str, exchange: &Exchange) -> ApiError {
    with_message(format!("with an event that is not of the {api} API"), data, exchange)
}

/// A body as text. Of one that is not UTF-8, and so not JSON, only the beginning is a message.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]),
    }
}

fn with_message(description: String, body: &str, exchange: &Exchange) -> ApiError {
    match read::parse(body, exchange).message {
        message if message.is_empty() => exchange.invalid(description),
        message => exchange.invalid(format!("{description}: {message}")),
    }
}
