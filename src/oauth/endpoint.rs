//! The token endpoint: two grants in, a [`Grant`] or a reason out; and the revocation endpoint.
//!
//! Every request to either goes through `Endpoint::post`, the one place where a client
//! authenticates. No redirect is followed, an answer is read to 1 MiB at most, and nothing of it
//! but the parsed `error` and a cleaned `error_description` ever leaves this file in a message.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::clean::clean;
use crate::failure::{Failed, Failure, Result};
use crate::http::{self, Http, HttpError, SendError};
use crate::oauth::grant::{self, Grant};
use crate::oauth::hidden::{self, Hidden};
use crate::provider::{self, ClientAuth, Encoding, Provider, RequestStyle, Url};
use crate::secret::{AuthorizationCode, ClientSecret, RefreshToken, Verifier};
use crate::time;

/// How long a token request may take in all, connecting included.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The fields whose values no answer may repeat to a person.
const CREDENTIALS: &[&str] = &["code", "code_verifier", "refresh_token", "token"];

/// The longest answer that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Where a client sends its token requests, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// The token or revocation URL.
    pub url: &'a Url,
    /// The client's public identifier.
    pub client_id: &'a str,
    /// The client's secret, if it is a confidential one.
    pub secret: Option<&'a ClientSecret>,
    /// How it authenticates.
    pub auth: ClientAuth,
}

/// Why a token request brought no grant. What became of the credential it carried is the
/// difference that matters: a refresh token may be single-use.
#[derive(Debug, Clone, PartialEq)]
pub enum Unredeemed {
    /// Nothing was sent, for a reason that stays until somebody mends it.
    Unsendable(HttpError),
    /// The server has seen nothing: the credential is as good as before.
    NeverSent(String),
    /// The server may have spent it: the answer was lost, or made no sense.
    PerhapsSpent {
        /// What happened.
        why: String,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// `retry-after`, in seconds.
        retry_after: Option<i64>,
    },
    /// The server may have spent it: there was no answer within so long.
    TooLate(Duration),
    /// The server answered, and may have spent it, but not with what its protocol says.
    Nonsense(String),
    /// The server said no (RFC 6749, section 5.2), in whatever shape.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `error` code, where one could be read.
        error: String,
        /// The server's own words, cleaned.
        said: String,
        /// `retry-after`, in seconds.
        retry_after: Option<i64>,
    },
}

impl Unredeemed {
    fn lost(why: impl Into<String>) -> Self {
        Self::PerhapsSpent { why: why.into(), status: None, retry_after: None }
    }

    /// The same for whoever is to be told, without the difference that it makes to the credential.
    pub fn failed(&self) -> Failed {
        let (temporary, status, retry_after) = match self {
            Self::Unsendable(_) => (false, None, None),
            Self::NeverSent(_) | Self::Nonsense(_) | Self::TooLate(_) => (true, None, None),
            Self::PerhapsSpent { status, retry_after, .. } => (true, *status, *retry_after),
            // Words of the authorization endpoint (RFC 6749, section 4.1.2.1) that some servers use here, too.
            Self::Refused { status, error, retry_after, .. } => {
                let passing = matches!(&**error, "temporarily_unavailable" | "server_error");
                (passing || matches!(status, 408 | 409 | 429 | 500..), Some(*status), *retry_after)
            }
        };
        Failed { why: self.what(), temporary, status, retry_after }
    }

    /// What happened, as the end of "HOST ...".
    pub fn what(&self) -> String {
        match self {
            Self::Unsendable(error) => format!("was not asked ({error})"),
            Self::NeverSent(why) => format!("could not be reached ({why})"),
            Self::PerhapsSpent { why, .. } | Self::Nonsense(why) => format!("gave no usable answer ({why})"),
            Self::TooLate(limit) => format!("did not answer within {} seconds", limit.as_secs()),
            Self::Refused { status, error, said, .. } => {
                let mut what = format!("answered {status}");
                for part in [error, said].into_iter().filter(|part| !part.is_empty()) {
                    what.push_str(": ");
                    what.push_str(part);
                }
                what
            }
        }
    }
}

/// Redeems an authorization code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
pub async fn redeem(
    http: &Http,
    provider: &Provider,
    code: AuthorizationCode,
    verifier: Verifier,
    state: &str,
    redirect_uri: &str,
) -> Result<Grant> {
    let client = provider.client()?;
    let endpoint = Endpoint {
        url: provider.required(provider.token_url.as_ref(), "token_url")?,
        client_id: &client.id.value,
        secret: client.secret.as_ref(),
        auth: client.auth,
    };
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier.expose()),
    ];
    if provider.code.with_state {
        fields.push(("state", state));
    }
    let host = provider::host(endpoint.url);
    let name = provider.name.clone();
    endpoint.grant(http, fields, &provider.code).await.map_err(|unredeemed| match unredeemed {
        Unredeemed::Unsendable(error) => error.into(),
        Unredeemed::NeverSent(why) => Failure::Unreachable { host, why },
        Unredeemed::Nonsense(what) => Failure::Nonsense { host, what },
        Unredeemed::Refused { status, error, said, .. } if status == 401 || is_client_error(&error) => {
            Failure::ClientRefused { provider: name, client_id: client.id.value.clone(), host, said }
        }
        Unredeemed::Refused { error, said, .. } if is_redirect_mismatch(&error, &said) => {
            Failure::RedirectMismatch { uri: redirect_uri.to_owned(), host, said }
        }
        // The one refusal that another sign-in mends: it is the code that is no longer good.
        Unredeemed::Refused { .. } if unredeemed.is_final() => {
            Failure::CodeRefused { provider: name, said: unredeemed.what(), host }
        }
        Unredeemed::Refused { .. } | Unredeemed::PerhapsSpent { .. } | Unredeemed::TooLate(_) => {
            Failure::ExchangeFailed { provider: name, host, failed: unredeemed.failed() }
        }
    })
}

/// Whether an error code blames the client or its authentication (RFC 6749, sections 4.1.2.1 and 5.2).
pub(super) fn is_client_error(error: &str) -> bool {
    matches!(error, "invalid_client" | "unauthorized_client")
}

/// Whether a refusal is about the redirect URI. RFC 6749 has no code for that; some servers made one
/// up, and others say so in the description of a code that means more.
pub(super) fn is_redirect_mismatch(error: &str, said: &str) -> bool {
    match error {
        "redirect_uri_mismatch" | "invalid_redirect_uri" => true,
        "invalid_grant" | "invalid_request" => {
            let said = said.to_ascii_lowercase();
            said.contains("redirect_uri") || said.contains("redirect uri")
        }
        _ => false,
    }
}

/// The status, the header, and the body as far as it came.
type Exchanged = (StatusCode, HeaderMap, std::result::Result<Vec<u8>, Unredeemed>);

impl Endpoint<'_> {
    /// Spends a refresh token (RFC 6749, section 6).
    ///
    /// # Errors
    /// What is known of the refresh token's fate.
    pub async fn refresh(
        &self,
        http: &Http,
        token: &RefreshToken,
        style: &RequestStyle,
    ) -> std::result::Result<Grant, Unredeemed> {
        let fields = vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        self.grant(http, fields, style).await
    }

    /// Revokes a token (RFC 7009, section 2.1). An unknown token counts as revoked, as the RFC says.
    ///
    /// # Errors
    /// What happened instead, as the end of "HOST ...".
    pub async fn revoke(&self, http: &Http, token: &str, hint: &str) -> std::result::Result<(), String> {
        let fields = vec![("token", token), ("token_type_hint", hint)];
        let hidden = self.hidden(&fields);
        let exchanged = self.exchange(http, fields, &RequestStyle::default(), Duration::from_secs(10)).await;
        let (status, _, body) = exchanged.map_err(|unsent| unsent.what())?;
        match status.as_u16() {
            200..=299 => Ok(()),
            status => Err(refusal(status, None, &body.unwrap_or_default(), &hidden).what()),
        }
    }

    async fn grant(
        &self,
        http: &Http,
        fields: Vec<(&str, &str)>,
        style: &RequestStyle,
    ) -> std::result::Result<Grant, Unredeemed> {
        let hidden = self.hidden(&fields);
        let (status, headers, body) = self.exchange(http, fields, style, TIME_LIMIT).await?;
        let body = body?;
        let dated = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(time::parse_http_date);
        let retry_after = http::retry_after(&headers).map(time::rounded_up);
        match status.as_u16() {
            status @ 200..=299 => grant::read(&body, dated).map_err(|what| {
                match refusal(status, retry_after, &body, &hidden) {
                    // Some servers say no under a status that says yes (GitHub's).
                    refused @ Unredeemed::Refused { .. } if refused.names_an_error() => refused,
                    _ => Unredeemed::Nonsense(what),
                }
            }),
            // A redirect is followed nowhere; whoever gave it may have read the credential.
            300..=399 => Err(Unredeemed::Nonsense(format!("a redirect ({status}), which is not followed"))),
            status @ 400..=499 => Err(refusal(status, retry_after, &body, &hidden)),
            status => match refusal(status, retry_after, &body, &hidden) {
                // Some gateways wrap a plain refusal into a 5xx.
                refused @ Unredeemed::Refused { .. } if refused.is_final() => Err(refused),
                _ => {
                    let why = format!("status {status}");
                    Err(Unredeemed::PerhapsSpent { why, status: Some(status), retry_after })
                }
            },
        }
    }

    /// What a request of these fields proves itself with. A server may quote it in its refusal, and a
    /// refusal is shown and stored.
    fn hidden(&self, fields: &[(&str, &str)]) -> Hidden {
        let credentials = fields.iter().filter(|(name, _)| CREDENTIALS.contains(name)).map(|(_, value)| *value);
        Hidden::new(credentials, self.client_id, self.secret.map(ClientSecret::expose))
    }

    /// Sends a request and reads its answer. The limit looks at the answer before the clock: a process
    /// that was stopped for a while must not throw away the tokens that have come meanwhile.
    async fn exchange(
        &self,
        http: &Http,
        fields: Vec<(&str, &str)>,
        style: &RequestStyle,
        limit: Duration,
    ) -> std::result::Result<Exchanged, Unredeemed> {
        let answered = async {
            let response = self.post(http, fields, style).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, body(response).await))
        };
        tokio::time::timeout(limit, answered).await.unwrap_or(Err(Unredeemed::TooLate(limit)))
    }

    async fn post(
        &self,
        http: &Http,
        mut fields: Vec<(&str, &str)>,
        style: &RequestStyle,
    ) -> std::result::Result<Response, Unredeemed> {
        let unsent = |why: &str| Unredeemed::NeverSent(why.to_owned());
        let secret = self.secret.map(ClientSecret::expose).unwrap_or_default();
        match self.auth {
            ClientAuth::None => fields.push(("client_id", self.client_id)),
            ClientAuth::Post => fields.extend([("client_id", self.client_id), ("client_secret", secret)]),
            ClientAuth::Basic => {}
        }
        fields.extend(style.params.iter().map(|(name, value)| (&**name, &**value)));
        let (content_type, body) = written(&fields, style.encoding);
        let client = http.client(self.url).map_err(Unredeemed::Unsendable)?;
        let mut request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, "application/json")
            .body(body)
            .build()
            .map_err(|error| unsent(&error.without_url().to_string()))?;
        if self.auth == ClientAuth::Basic {
            request.headers_mut().insert(AUTHORIZATION, basic(self.client_id, secret));
        }
        for (name, value) in &style.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsent("a configured header's name"))?;
            let value = HeaderValue::from_str(value).map_err(|_| unsent("a configured header's value"))?;
            request.headers_mut().insert(name, value);
        }
        http.send(client, request).await.map_err(|lost| match lost {
            unsent @ (SendError::Untrusted(_) | SendError::NotTls) => Unredeemed::Unsendable(unsent.at(self.url)),
            SendError::NeverSent(why) => Unredeemed::NeverSent(why),
            SendError::PerhapsSent(why) => Unredeemed::lost(why),
            SendError::TooLate => Unredeemed::TooLate(TIME_LIMIT),
        })
    }
}

impl Unredeemed {
    fn names_an_error(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if !error.is_empty())
    }

    /// Whether this is the one answer that ends a session: the grant itself is no longer good
    /// (RFC 6749, section 5.2; some say so with a 401). Under any other status it is somebody on the way
    /// who speaks, or a server in trouble.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 401, error, .. } if error == "invalid_grant")
    }
}

/// HTTP Basic as RFC 6749, section 2.3.1 wants it: id and secret are form-encoded first, so that a
/// colon or a non-ASCII letter in either survives.
fn basic(id: &str, secret: &str) -> HeaderValue {
    let [pair, _] = hidden::basic_pairs(id, secret);
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// The fields as a body; a later field of the same name wins, so that the configuration can
/// replace what nexus would send.
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

/// The whole body, up to the limit.
async fn body(mut response: Response) -> std::result::Result<Vec<u8>, Unredeemed> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_LIMIT => {
                return Err(Unredeemed::Nonsense("more than 1 MiB".into()));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err(Unredeemed::lost("the connection broke")),
        }
    }
}

/// A refusal in RFC 6749's shape or in the service's own envelope
/// (`{"type":"error","error":{"type":"...","message":"..."}}`), without what it must not repeat.
fn refusal(status: u16, retry_after: Option<i64>, body: &[u8], hidden: &Hidden) -> Unredeemed {
    // Hidden before it is cut to length, or half of it might remain.
    let words = |said: &str| clean(&hidden.within(said));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let (error, said) = match &body["error"] {
        Value::String(code) => (Some(&**code), body["error_description"].as_str()),
        envelope => (envelope["type"].as_str(), envelope["message"].as_str()),
    };
    // A code is a word of the protocol, and is understood before anything is hidden in it: a secret of
    // one letter must not tear `invalid_grant` apart.
    let code = |error: &str| match error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        true if !hidden.is(error) => clean(error),
        _ => words(error),
    };
    Unredeemed::Refused {
        status,
        error: error.map(code).unwrap_or_default(),
        said: said.map(words).unwrap_or_default(),
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_said_in_words() {
        let refused = Unredeemed::Refused { status: 404, error: String::new(), said: "no".into(), retry_after: None };
        for (unredeemed, what, temporary) in [
            (Unredeemed::TooLate(TIME_LIMIT), "did not answer within 30 seconds", true),
            (Unredeemed::NeverSent("refused".into()), "could not be reached (refused)", true),
            (Unredeemed::lost("cut"), "gave no usable answer (cut)", true),
            (refused, "answered 404: no", false),
        ] {
            let failed = unredeemed.failed();
            assert_eq!((&*failed.why, failed.temporary), (what, temporary));
        }
    }

    #[test]
    fn a_mismatch_is_told_by_its_code_or_by_its_description() {
        for (error, said, mismatch) in [
            ("redirect_uri_mismatch", "", true),
            ("invalid_redirect_uri", "", true),
            ("invalid_grant", "the redirect_uri is not the same", true),
            ("invalid_grant", "Redirect URI does not match", true),
            ("invalid_request", "Invalid parameter: REDIRECT_URI", true),
            ("invalid_grant", "this code was redeemed before the redirect ended", false),
            ("invalid_request", "too many redirects", false),
            ("access_denied", "not for this redirect_uri", false),
            ("my_redirect_uri_policy", "", false),
            ("invalid_scope", "", false),
        ] {
            assert_eq!(is_redirect_mismatch(error, said), mismatch, "{error}: {said}");
        }
    }

    #[test]
    fn basic_encodes_before_it_joins() {
        // RFC 6749, section 2.3.1: a colon in the id would otherwise move the boundary.
        let value = basic("my client:1", "s%cr et/ü");
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

    #[test]
    fn refusals_are_read_in_every_shape() {
        for (body, error, said) in [
            (
                r#"{"error":"invalid_grant","error_description":"Token \u001b[1m gone"}"#,
                "invalid_grant",
                "Token [1m gone",
            ),
            (r#"{"error":"invalid_grant"}"#, "invalid_grant", ""),
            (
                r#"{"type":"error","error":{"type":"not_found_error","message":"no token"}}"#,
                "not_found_error",
                "no token",
            ),
            (r#"{"error":{"type":"invalid_grant","message":"used"}}"#, "invalid_grant", "used"),
            ("<html>", "", ""),
            ("", "", ""),
            ("[]", "", ""),
        ] {
            let (error, said) = (error.into(), said.into());
            let expected = Unredeemed::Refused { status: 400, error, said, retry_after: None };
            assert_eq!(refusal(400, None, body.as_bytes(), &Hidden::default()), expected, "{body}");
        }
        let body = br#"{"error":"invalid_grant","error_description":"no such token r-1 of s-2"}"#;
        let expected = "answered 400: invalid_grant: no such token (secret) of (secret)";
        assert_eq!(refusal(400, None, body, &Hidden::new(["r-1"].into_iter(), "c", Some("s-2"))).what(), expected);
        let short = refusal(400, None, body, &Hidden::new(["a", "grant"].into_iter(), "c", None));
        assert!(short.is_final(), "a secret of one letter tears no code apart: {short:?}");
    }
}
