//! The trace of requests and responses, with secrets masked.

use zeroize::Zeroizing;

use super::request::{Request, Response};
use crate::provider::Url;
use crate::redact::Redactor;

/// The lines of a request.
pub(super) fn request_lines(request: &Request) -> Vec<String> {
    let first = format!("> {} {}", request.method(), without_query_values(request.url()));
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| format!("> {name}: {}", masked(name.as_str(), value.to_str().unwrap_or("(not text)"))));
    [first].into_iter().chain(headers).collect()
}

/// Masks the secrets of a request by value, wherever they are: a server may repeat them, even in a header's name.
pub(super) struct Masks<'a> {
    secrets: &'a Redactor,
    query: Redactor,
}

impl<'a> Masks<'a> {
    /// The values in the query are secrets as well, except short ones, which could be words.
    pub(super) fn new(url: &Url, secrets: &'a Redactor) -> Self {
        let query: Vec<_> = url.query_pairs().map(|(_, value)| Zeroizing::new(value.into_owned())).collect();
        let query = query.iter().map(|value| value.as_str()).filter(|value| value.len() >= 8);
        Self { secrets, query: Redactor::new(query) }
    }

    pub(super) fn mask(&self, line: &str) -> String {
        self.query.redact(&self.secrets.redact(line))
    }
}

/// The lines of a response.
pub(super) fn response_lines(response: &Response) -> Vec<String> {
    let headers = response.headers().iter().map(|(name, value)| {
        let value = masked(name.as_str(), value.to_str().unwrap_or("(not text)"));
        format!("< {name}: {value}")
    });
    [format!("< {}", response.status().as_u16())].into_iter().chain(headers).collect()
}

/// A URL without the values of its query, which may be keys.
fn without_query_values(url: &Url) -> String {
    let mut without_query_values = url.clone();
    if url.query().is_some() {
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        without_query_values.set_query(None);
        return format!("{without_query_values}?{}", names.join("&"));
    }
    without_query_values.into()
}

/// Masks the values of all headers that are not known to be harmless: a gateway's key may be in any header.
fn masked<'a>(name: &str, value: &'a str) -> &'a str {
    const SHOWN: &[&str] = &[
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "host",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "transfer-encoding",
        "user-agent",
        "www-authenticate",
        "x-request-id",
        "x-should-retry",
    ];
    if SHOWN.contains(&name) || name.starts_with("anthropic-ratelimit-") { value } else { "(masked)" }
}
