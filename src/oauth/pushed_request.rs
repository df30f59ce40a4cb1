//! Pushed authorization requests (RFC 9126).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::token::Endpoint;
use super::token_error::TokenError;
use crate::http::Http;
use crate::provider::{RequestStyle, Url};

/// How long the request may take, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The longest `request_uri`, in bytes. It must fit into the address line of a browser.
const LONGEST_URI: usize = 2_000;

/// The longest lifetime. A longer one is cut to it.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);

/// The answer to a pushed authorization request (RFC 9126, section 2.2).
#[derive(Debug)]
pub(super) struct PushedRequest {
    /// Stands for the request at the authorization endpoint.
    pub(super) request_uri: String,
    /// How long the user may take to open the authorization URL, if the server says it.
    pub(super) lifetime: Option<Duration>,
}

impl Endpoint<'_> {
    /// Pushes the parameters of an authorization request, with the client's authentication (RFC 9126, section 2.1).
    /// `additional` parameters replace those of the same name; `authorize_url` is the endpoint that the answer is for.
    ///
    /// # Errors
    /// The server refused the request or sent something else.
    pub(super) async fn push(
        &self,
        http: &Http,
        parameters: &[(String, String)],
        additional: &BTreeMap<String, String>,
        authorize_url: &Url,
    ) -> Result<PushedRequest, TokenError> {
        // `post` adds the client id itself.
        let fields = parameters.iter().filter(|(name, _)| name != "client_id");
        let fields = fields.map(|(name, value)| (&**name, &**value)).collect();
        let style = RequestStyle { params: additional.clone(), ..RequestStyle::default() };
        let response = self.exchange(http, fields, &style, TIME_LIMIT).await?.complete()?;
        match response.status.as_u16() {
            200..=299 => read(response.bytes(), &[self.url, authorize_url]).map_err(TokenError::InvalidResponse),
            status @ 300..=399 => {
                Err(TokenError::InvalidResponse(format!("a redirect ({status}), which is not followed")))
            }
            // The parameters are not secret: without PAR, they are in the URL.
            _ => Err(response.refusal(self.redactor(&[], &style))),
        }
    }
}

/// Reads the answer. A `request_uri` that is itself a URL must be at one of these servers.
fn read(body: &[u8], servers: &[&Url]) -> Result<PushedRequest, String> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "not a JSON object")?;
    let request_uri = body.get("request_uri").and_then(Value::as_str).unwrap_or_default();
    if request_uri.is_empty() {
        return Err("no `request_uri`".into());
    }
    let fits = request_uri.len() <= LONGEST_URI && request_uri.bytes().all(|byte| byte.is_ascii_graphic());
    let uri = Url::parse(request_uri).ok().filter(|_| fits).ok_or("a `request_uri` that is not a URI")?;
    if uri.has_host() && !servers.iter().any(|server| server.origin() == uri.origin()) {
        return Err("a `request_uri` at another server".into());
    }
    let lifetime = body.get("expires_in").and_then(Value::as_f64).filter(|seconds| *seconds >= 0.0);
    let lifetime =
        lifetime.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE));
    Ok(PushedRequest { request_uri: request_uri.to_owned(), lifetime })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<PushedRequest, String> {
        let [par, authorize] = ["https://par.example.com/par", "https://id.example.com/authorize"].map(Url::parse);
        super::read(body.as_bytes(), &[&par.unwrap(), &authorize.unwrap()])
    }

    #[test]
    fn answers_are_read_as_servers_write_them() {
        for (body, uri, seconds) in [
            (
                r#"{"request_uri":"urn:ietf:params:oauth:request_uri:a-b_c","expires_in":60}"#,
                "urn:ietf:params:oauth:request_uri:a-b_c",
                Some(60),
            ),
            (r#"{"request_uri":"urn:example:1"}"#, "urn:example:1", None),
            (
                r#"{"request_uri":"https://id.example.com/requests/1","expires_in":1e300}"#,
                "https://id.example.com/requests/1",
                Some(86_400),
            ),
            (r#"{"request_uri":"https://par.example.com/1","expires_in":-1}"#, "https://par.example.com/1", None),
        ] {
            let read = read(body).unwrap();
            assert_eq!((&*read.request_uri, read.lifetime.map(|life| life.as_secs())), (uri, seconds), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_quoting_it() {
        let long = format!(r#"{{"request_uri":"urn:{}"}}"#, "x".repeat(LONGEST_URI));
        for (body, why) in [
            ("", "not a JSON object"),
            ("<html>", "not a JSON object"),
            ("[]", "no `request_uri`"),
            (r#"{"request_uri":""}"#, "no `request_uri`"),
            (r#"{"request_uri":7}"#, "no `request_uri`"),
            (r#"{"request_uri":"no URI"}"#, "a `request_uri` that is not a URI"),
            (r#"{"request_uri":"urn:a\nb"}"#, "a `request_uri` that is not a URI"),
            (&long, "a `request_uri` that is not a URI"),
            (r#"{"request_uri":"https://evil.example.com/1"}"#, "a `request_uri` at another server"),
            (r#"{"request_uri":"http://id.example.com/1"}"#, "a `request_uri` at another server"),
        ] {
            assert_eq!(read(body).unwrap_err(), why, "{body}");
        }
    }
}
