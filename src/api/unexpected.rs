//! The error for a response in another format than the API's, with the message in it.

use reqwest::Response;

use super::error::ApiError;
use super::exchange::{Exchange, content_type};
use super::refusal::read;

/// The error for a response with another content type. It is often a sign-in page or an error of a proxy.
pub(super) async fn content(response: Response, exchange: &Exchange) -> ApiError {
    let untyped = content_type(&response).is_empty();
    let description = match content_type(&response) {
        "" => "without a content type".to_owned(),
        kind => format!("with {} instead of JSON or events", exchange.words(kind)),
    };
    let body = read::body(response, exchange).await;
    if untyped && body.trim().is_empty() {
        return exchange.empty();
    }
    with_message(description, &body, exchange)
}

/// The error for JSON that is not `expected`.
pub(super) fn json(expected: &str, body: &[u8], exchange: &Exchange) -> ApiError {
    with_message(format!("with JSON that is not a {expected}"), &String::from_utf8_lossy(body), exchange)
}

fn with_message(description: String, body: &str, exchange: &Exchange) -> ApiError {
    match read::parse(body, exchange).message {
        message if message.is_empty() => exchange.invalid(description),
        message => exchange.invalid(format!("{description}: {message}")),
    }
}
