//! Requests to the token endpoint (RFC 6749, section 3.2).
//!
//! Every request to an endpoint where the client authenticates goes through `Endpoint::post`, the only place where the
//! client authenticates. Redirects are not followed. A response may have 1 MiB. Messages contain only its `error` and
//! its cleaned `error_description`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::refusal::refusal;
use super::token_error::TokenError;
use super::token_response::TokenResponse;
use crate::assertion::{Assertion, AssertionError, ClientAssertion, JWT_ASSERTION_TYPE};
use crate::http::{self, BodyError, Http, Request, Response, SendError};
use crate::provider::{ClientAuth, Encoding, OAuthClient, ProviderConfig, RequestStyle, Url};
use crate::redact::{self, Redactor};
use crate::secret::{ClientSecret, RefreshToken};
use crate::time;

/// How long a token request may take, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The fields of requests that may appear in messages. The values of all others are redacted.
const PUBLIC_FIELDS: &[&str] = &[
    "audience",
    "client_assertion_type",
    "code_challenge",
    "code_challenge_method",
    "grant_type",
    "nonce",
    "prompt",
    "redirect_uri",
    "requested_token_type",
    "resource",
    "response_type",
    "scope",
    "state",
    "subject_token_type",
    "token_type_hint",
];

/// The fields that the token requests set themselves (RFC 6749, sections 2.3.1, 4.1.3 and 6; RFC 7521, sections 4.1 and
/// 4.2; RFC 7636, section 4.5; RFC 8628, section 3.4).
pub const TOKEN_REQUEST_FIELDS: &[&str] = &[
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "state",
    "subject_token",
    "subject_token_type",
];

/// The grant type of the device flow (RFC 8628, section 3.4).
pub(crate) const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The longest response that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long a complete response waits for the end of its body, which some servers never send.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A token, revocation, device authorization or pushed authorization request endpoint, and the client that uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    /// The endpoint's URL.
    pub url: &'a Url,
    /// The client's public identifier. Empty for a client without one.
    pub client_id: &'a str,
    /// The client's secret, if it is a confidential one.
    pub secret: Option<&'a ClientSecret>,
    /// How it authenticates.
    pub auth: ClientAuth,
    /// Its assertion, if it authenticates with one.
    pub assertion: Option<&'a ClientAssertion>,
    /// The audience of an assertion that the client signs: the issuer, or the token endpoint if that is not known.
    pub audience: &'a str,
}

/// A response, and the assertion that the request authenticated with.
pub(super) struct Exchanged {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or why it is incomplete.
    pub(super) body: Result<Vec<u8>, TokenError>,
    assertion: Option<Assertion>,
}

impl Exchanged {
    /// This response if its body is complete.
    pub(super) fn complete(self) -> Result<Self, TokenError> {
        match self.body {
            Ok(_) => Ok(self),
            Err(error) => Err(error),
        }
    }

    /// The body, as far as it came.
    pub(super) fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The refusal in this response, without the secrets of `redactor` and without the assertion.
    pub(super) fn refusal(&self, redactor: Redactor) -> TokenError {
        let (status, retry_after) = (self.status.as_u16(), http::retry_after(&self.headers));
        let body = self.bytes();
        match &self.assertion {
            Some(sent) => {
                let redactor = redactor.with_secret(sent.text().expose());
                refusal(status, retry_after, body, &redactor).with_assertion(sent, time::now())
            }
            None => refusal(status, retry_after, body, &redactor),
        }
    }
}

impl<'a> Endpoint<'a> {
    /// The endpoint at `url` for this client of a provider, which authenticates with `auth`.
    pub(crate) fn new(url: &'a Url, client: &'a OAuthClient, auth: ClientAuth, provider: &'a ProviderConfig) -> Self {
        let token_url = provider.token_url.as_ref().unwrap_or(url).as_str();
        Self {
            url,
            client_id: &client.id,
            secret: client.secret.as_ref(),
            auth,
            assertion: client.assertion.as_ref(),
            audience: provider.issuer.as_deref().unwrap_or(token_url),
        }
    }
}

impl Endpoint<'_> {
    /// This endpoint with the authentication to try if the server refuses the client. Many servers expect the id and
    /// secret in HTTP Basic not form-encoded: `None` if that is the same, or if a colon in the id would move the
    /// boundary. Some register a client with a secret, which they require, and say that it needs none.
    pub(super) fn with_other_auth(self) -> Option<Self> {
        if self.auth == ClientAuth::None && self.secret.is_some() {
            return Some(Self { auth: ClientAuth::Post, ..self });
        }
        let [encoded, raw] = redact::basic_pairs(self.client_id, self.secret_text());
        let differs = self.auth == ClientAuth::Basic && encoded != raw && !self.client_id.contains(':');
        differs.then_some(Self { auth: ClientAuth::BasicRaw, ..self })
    }

    /// Exchanges a refresh token for new tokens (RFC 6749, section 6), for this resource (RFC 8707, section 2.2).
    ///
    /// # Errors
    /// The variant tells whether the refresh token may have been used up.
    pub(crate) async fn refresh(
        &self,
        http: &Http,
        token: &RefreshToken,
        resource: Option<&str>,
        style: &RequestStyle,
    ) -> Result<TokenResponse, TokenError> {
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        fields.extend(resource.map(|resource| ("resource", resource)));
        self.request(http, fields, style).await
    }

    pub(super) async fn request(
        &self,
        http: &Http,
        fields: Vec<(&str, &str)>,
        style: &RequestStyle,
    ) -> Result<TokenResponse, TokenError> {
        let redactor = self.redactor(&fields, style);
        let response = self.exchange(http, fields, style, TIME_LIMIT).await?.complete()?;
        let Exchanged { status, headers, .. } = &response;
        let dated = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(time::parse_http_date);
        match status.as_u16() {
            200..=299 => TokenResponse::parse(response.bytes(), dated).map_err(|what| {
                match response.refusal(redactor) {
                    // GitHub sends errors with status 200.
                    refused @ TokenError::Refused { .. } if refused.names_an_error() => refused,
                    _ => TokenError::InvalidResponse(what),
                }
            }),
            // Not followed. The redirecting server may have used the credential.
            300..=399 => Err(TokenError::InvalidResponse(format!("a redirect ({status}), which is not followed"))),
            400..=499 => Err(response.refusal(redactor)),
            status => match response.refusal(redactor) {
                // Some gateways turn a refusal into a 5xx.
                refused @ TokenError::Refused { .. } if refused.is_final() => Err(refused),
                _ => {
                    let reason = format!("status {status}");
                    let retry_after = http::retry_after(headers);
                    Err(TokenError::ResponseLost { reason, status: Some(status), retry_after })
                }
            },
        }
    }

    /// A redactor of the headers, and of the fields that are not public. A server may quote them in a refusal, which is
    /// shown and stored.
    pub(super) fn redactor(&self, fields: &[(&str, &str)], style: &RequestStyle) -> Redactor {
        let headers = style.headers.iter().map(|(name, value)| (&**name, value.expose()));
        let credentials = fields.iter().filter(|(name, _)| !PUBLIC_FIELDS.contains(name)).map(|(_, value)| *value);
        let secret = self.secret.map(ClientSecret::expose);
        Redactor::new(credentials).with_client(self.client_id, secret).with_configured(headers)
    }

    /// Sends a request and reads the response. `timeout` polls the response before the clock, so a process that was
    /// suspended does not lose tokens that arrived meanwhile. The time for an assertion does not count.
    pub(super) async fn exchange(
        &self,
        http: &Http,
        fields: Vec<(&str, &str)>,
        style: &RequestStyle,
        limit: Duration,
    ) -> Result<Exchanged, TokenError> {
        let assertion = self.client_assertion().await.map_err(TokenError::NoAssertion)?;
        let answered = async {
            let response = self.post(http, fields, style, assertion.as_ref()).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = body(response, BODY_LIMIT).await;
            Ok(Exchanged { status, headers, body, assertion })
        };
        timeout(limit, answered).await.unwrap_or(Err(TokenError::TimedOut(limit)))
    }

    /// The client's secret. Empty if it has none.
    fn secret_text(&self) -> &str {
        self.secret.map(ClientSecret::expose).unwrap_or_default()
    }

    /// A new assertion of the client for one request, if it authenticates with one.
    async fn client_assertion(&self) -> Result<Option<Assertion>, AssertionError> {
        match (self.auth, self.assertion) {
            (ClientAuth::PrivateKeyJwt, Some(own)) => {
                own.fetch(self.client_id, self.audience, time::now()).await.map(Some)
            }
            (ClientAuth::PrivateKeyJwt, None) => Err(AssertionError::NotConfigured),
            _ => Ok(None),
        }
    }

    async fn post(
        &self,
        http: &Http,
        mut fields: Vec<(&str, &str)>,
        style: &RequestStyle,
        assertion: Option<&Assertion>,
    ) -> Result<Response, TokenError> {
        let unsent = |why: &str| TokenError::Unreachable(why.to_owned());
        let params = style.params.iter().map(|(name, value)| (&**name, &**value));
        let assertion = assertion.map(|assertion| assertion.text().expose()).unwrap_or_default();
        let redactor = self.redactor(&fields, style).with_configured(params).with_secret(assertion);
        let secret = self.secret_text();
        match self.auth {
            ClientAuth::None if self.client_id.is_empty() => {}
            // With Basic too: some servers look the client up by the body.
            ClientAuth::None | ClientAuth::Basic | ClientAuth::BasicRaw => fields.push(("client_id", self.client_id)),
            ClientAuth::Post => fields.extend([("client_id", self.client_id), ("client_secret", secret)]),
            ClientAuth::PrivateKeyJwt => fields.extend([
                ("client_id", self.client_id),
                ("client_assertion_type", JWT_ASSERTION_TYPE),
                ("client_assertion", assertion),
            ]),
        }
        fields.extend(style.params.iter().map(|(name, value)| (&**name, &**value)));
        let (content_type, body) = written(&fields, style.encoding);
        let route = http.route(self.url).map_err(TokenError::NotSent)?;
        let mut request = Request::post(self.url.clone(), content_type, body, "application/json");
        let [encoded, raw] = redact::basic_pairs(self.client_id, secret);
        match self.auth {
            ClientAuth::None | ClientAuth::Post | ClientAuth::PrivateKeyJwt => {}
            ClientAuth::Basic => drop(request.headers_mut().insert(AUTHORIZATION, basic(&encoded))),
            ClientAuth::BasicRaw => drop(request.headers_mut().insert(AUTHORIZATION, basic(&raw))),
        }
        for (name, value) in &style.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsent("a configured header's name"))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unsent("a configured header's value"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        route.send(request, &redactor).await.map_err(|error| match error {
            SendError::NoConnection(why) | SendError::NotSent(why) => TokenError::Unreachable(why),
            SendError::MaybeSent(why) => TokenError::lost(why),
            permanent => TokenError::NotSent(permanent.at(self.url)),
        })
    }
}

/// HTTP Basic with this pair of id and secret.
fn basic(pair: &str) -> HeaderValue {
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// The fields as a body. A later field replaces one of the same name, so the configuration can replace any field.
fn written(fields: &[(&str, &str)], encoding: Encoding) -> (&'static str, String) {
    let mut kept: Vec<(&str, &str)> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match kept.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => kept.push((name, value)),
        }
    }
    match encoding {
        Encoding::Form => (
            "application/x-www-form-urlencoded",
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish(),
        ),
        Encoding::Json => {
            let object: Map<String, Value> =
                kept.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            ("application/json", Value::Object(object).to_string())
        }
    }
}

/// The whole body, up to `limit` bytes, a multiple of 1024. A complete JSON object is whole however its connection
/// ends: it may contain the only copy of a token.
pub(super) async fn body(response: Response, limit: usize) -> Result<Vec<u8>, TokenError> {
    if let Some(coding) = http::unsupported_encoding(response.headers()) {
        return Err(TokenError::InvalidResponse(format!("the unsupported content encoding `{coding}`")));
    }
    let (mut incoming, mut body) = (http::Body::from(response), Vec::new());
    loop {
        let chunk = match timeout(AFTERWARDS, incoming.chunk()).await {
            Ok(chunk) => chunk,
            Err(_) if is_object(&body) => return Ok(body),
            Err(_) => incoming.chunk().await,
        };
        match chunk {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return Err(TokenError::InvalidResponse(match limit % (1024 * 1024) {
                    0 => format!("more than {} MiB", limit / 1024 / 1024),
                    _ => format!("more than {} KiB", limit / 1024),
                }));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) if is_object(&body) => return Ok(body),
            Err(BodyError::Gzip) => return Err(TokenError::InvalidResponse("invalid gzip".into())),
            Err(BodyError::Connection(_)) => return Err(TokenError::lost("the connection broke")),
        }
    }
}

fn is_object(body: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_encodes_before_it_joins() {
        // RFC 6749, section 2.3.1: a colon in the id would otherwise move the boundary.
        let [encoded, _] = redact::basic_pairs("my client:1", "s%cr et/ü");
        let value = basic(&encoded);
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(text).unwrap(), b"my+client%3A1:s%25cr+et%2F%C3%BC");
        assert!(value.is_sensitive());
    }

    #[test]
    fn bodies_are_written_as_asked() {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", "a b&c"), ("grant_type", "x")];
        assert_eq!(written(&fields, Encoding::Form).1, "grant_type=x&refresh_token=a+b%26c");
        assert_eq!(written(&fields, Encoding::Json).1, r#"{"grant_type":"x","refresh_token":"a b&c"}"#);
    }
}
