//! The device authorization grant (RFC 8628): the user approves on another device, and this one asks until that is
//! done.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::error::{Result, SignInError};
use super::id_token::ExpectedIdToken;
use super::metadata::check_reach;
use super::registration::RegisteredClient;
use super::token::{DEVICE_CODE_GRANT, Endpoint};
use super::token_error::TokenError;
use super::token_failure::TokenFailure;
use super::token_response::TokenResponse;
use crate::http::Http;
use crate::invisible;
use crate::provider::{ClientAuth, OAuthClient, ProviderConfig, ProviderError, RequestStyle, Url, endpoint_url};
use crate::secret::DeviceCode;

/// How long the request for a code may take, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How long a code is used at most, whatever the server says.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);

/// The pause between two polls if the server names none (RFC 8628, section 3.2), and its limits.
const USUAL_INTERVAL: f64 = 5.0;
const SHORTEST_INTERVAL: f64 = 1.0;
const LONGEST_INTERVAL: f64 = 60.0;

/// The longest code for the user and the longest verification URI, in bytes. Both are shown.
const LONGEST_USER_CODE: usize = 100;
const LONGEST_URI: usize = 2_000;

/// The longest device code, in bytes.
const LONGEST_DEVICE_CODE: usize = 16 * 1024;

/// The refusals that another poll does not change (RFC 8628, section 3.5; RFC 6749, section 5.2), whatever their
/// status.
const FINAL: &[&str] = &["access_denied", "expired_token", "invalid_grant"];

/// Codes of Microsoft, GitHub and django-oauth-toolkit, and the codes of the standards that they stand for.
const STANDARD_CODES: &[(&str, &str)] = &[
    ("authorization_declined", "access_denied"),
    ("code_expired", "expired_token"),
    ("bad_verification_code", "invalid_grant"),
    ("incorrect_device_code", "invalid_grant"),
    ("device_not_found", "invalid_grant"),
    ("incorrect_client_credentials", "invalid_client"),
    ("device_flow_disabled", "unauthorized_client"),
];

/// A sign-in that the user approves on another device. Show the user code and the verification URI.
#[derive(Debug)]
pub struct DeviceAuthorization {
    client_id: String,
    /// The client, unless it is the one in the provider's configuration.
    registered: Option<RegisteredClient>,
    /// How the client authenticated, if the server did not accept the configured method.
    client_auth: Option<ClientAuth>,
    codes: Codes,
    /// When the code expires.
    expires: Instant,
}

/// The answer of the device authorization endpoint (RFC 8628, section 3.2).
#[derive(Debug)]
struct Codes {
    device_code: DeviceCode,
    user_code: String,
    verification_uri: Url,
    complete_uri: Option<Url>,
    lifetime: Duration,
    interval: Duration,
}

/// The result of one poll.
#[derive(Debug)]
pub(crate) enum Poll {
    /// The user has approved.
    Granted(Box<TokenResponse>),
    /// Nothing is decided yet.
    Undecided(Undecided),
}

/// Why another poll is needed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Undecided {
    /// The user has not approved yet.
    Pending,
    /// The server asks to be polled less often, or to wait for this time.
    SlowDown(Option<Duration>),
    /// The server could not be reached, or failed.
    Failed(TokenFailure),
}

impl DeviceAuthorization {
    /// Requests the codes (RFC 8628, section 3.1). The client authenticates as at the token endpoint; one that the
    /// server refuses is tried once more with another method.
    ///
    /// # Errors
    /// The server refused, could not be reached, or sent codes that cannot be used.
    pub(crate) async fn begin(
        provider: &ProviderConfig,
        registered: Option<RegisteredClient>,
        http: &Http,
    ) -> Result<Self> {
        let url = provider.required(provider.device_url.as_ref(), "device_url")?;
        // Fail before the user approves.
        provider.required(provider.token_url.as_ref(), "token_url")?;
        let client = client(registered.as_ref(), provider)?;
        provider.check_client_auth(client.auth)?;
        let client_id = client.id.clone();
        let endpoint = Endpoint::new(url, client, client.auth, provider);
        let scope = provider.scopes.join(" ");
        let resource = provider.resource.as_deref().unwrap_or_default();
        let own = [("scope", &*scope), ("resource", resource)].into_iter().filter(|(_, value)| !value.is_empty());
        let further = provider.authorize_params.iter().map(|(name, value)| (&**name, &**value));
        let fields: Vec<_> = own.chain(further).collect();
        let (mut codes, mut client_auth) = (endpoint.request_codes(http, fields.clone()).await, None);
        if let Err(error) = &codes
            && error.is_client_refused()
            && let Some(endpoint) = endpoint.with_other_auth()
        {
            codes = endpoint.request_codes(http, fields).await;
            client_auth = Some(endpoint.auth);
        }
        let codes =
            codes.map_err(|error| SignInError::of_device_request(error, provider, &endpoint, registered.is_some()))?;
        let expires = Instant::now() + codes.lifetime;
        Ok(Self { client_id, registered, client_auth, codes, expires })
    }

    /// The code that the user enters at the [verification URI](Self::verification_uri), as the server wrote it.
    pub fn user_code(&self) -> &str {
        &self.codes.user_code
    }

    /// Where the user enters the code: an https URL, or one on loopback if the server is there too. Do not open it
    /// unasked: a code that comes from an attacker signs the attacker in (RFC 8628, section 5.4).
    pub fn verification_uri(&self) -> &Url {
        &self.codes.verification_uri
    }

    /// The verification URI with the code in it, for a QR code (RFC 8628, section 3.3.1). `None` if the server sent
    /// none that can be used.
    pub fn verification_uri_complete(&self) -> Option<&Url> {
        self.codes.complete_uri.as_ref()
    }

    /// How long the code is valid: as long as the server says, at most 30 minutes.
    pub fn lifetime(&self) -> Duration {
        self.codes.lifetime
    }

    /// Waits at most this long for the user, counted from the beginning.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        if limit < self.codes.lifetime {
            self.expires -= self.codes.lifetime - limit;
            self.codes.lifetime = limit;
        }
        self
    }

    /// The client id exactly as sent. Empty if the server knows clients without an id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client, if it was registered dynamically (RFC 7591).
    pub fn registered(&self) -> Option<&RegisteredClient> {
        self.registered.as_ref()
    }

    /// The pause between two polls.
    pub(crate) fn interval(&self) -> Duration {
        self.codes.interval
    }

    pub(crate) fn expires(&self) -> Instant {
        self.expires
    }

    /// The client of this sign-in: the registered one, or the one in the provider's configuration.
    pub(crate) fn client<'a>(
        &'a self,
        provider: &'a ProviderConfig,
    ) -> std::result::Result<&'a OAuthClient, ProviderError> {
        client(self.registered.as_ref(), provider)
    }

    /// What the ID token must say, if one is requested. No `nonce` can be sent.
    pub(crate) fn expected_id_token(&self, provider: &ProviderConfig) -> Option<ExpectedIdToken> {
        let server = provider.device_url.clone().filter(|_| provider.asks_for("openid"))?;
        Some(ExpectedIdToken {
            issuer: provider.issuer.clone(),
            server,
            client_id: self.client_id.clone(),
            nonce: None,
        })
    }

    /// Asks once whether the user has approved (RFC 8628, section 3.4).
    ///
    /// # Errors
    /// The sign-in has failed. Failures that may pass are no error.
    pub(crate) async fn poll(&self, provider: &ProviderConfig, http: &Http) -> Result<Poll> {
        let url = provider.required(provider.token_url.as_ref(), "token_url")?;
        let client = self.client(provider)?;
        let auth = self.client_auth.unwrap_or(client.auth);
        let endpoint = Endpoint::new(url, client, auth, provider);
        let fields = vec![("grant_type", DEVICE_CODE_GRANT), ("device_code", self.codes.device_code.expose())];
        let fields: Vec<_> = fields.into_iter().chain(provider.named_resource().map(|one| ("resource", one))).collect();
        let mut response = endpoint.request(http, fields.clone(), &provider.code).await.map_err(with_standard_code);
        if let Ok(response) = &mut response {
            response.client_auth = self.client_auth;
        }
        if let Err(error) = &response
            && error.is_client_refused()
            && let Some(endpoint) = endpoint.with_other_auth()
        {
            response = endpoint.request(http, fields, &provider.code).await.map_err(with_standard_code);
            response = response.map(|response| TokenResponse { client_auth: Some(endpoint.auth), ..response });
        }
        match response {
            Ok(response) => Ok(Poll::Granted(Box::new(response))),
            Err(error) => match undecided(&error) {
                Some(undecided) => Ok(Poll::Undecided(undecided)),
                None => Err(SignInError::of_device_poll(error, provider, &endpoint, self.registered.is_some())),
            },
        }
    }
}

fn client<'a>(
    registered: Option<&'a RegisteredClient>,
    provider: &'a ProviderConfig,
) -> std::result::Result<&'a OAuthClient, ProviderError> {
    registered.map_or_else(|| provider.client(), |registered| Ok(&registered.client))
}

/// The error with the code of the standards in place of a server's own.
fn with_standard_code(mut error: TokenError) -> TokenError {
    if let TokenError::Refused { error: code, .. } = &mut error
        && let Some((_, standard)) = STANDARD_CODES.iter().find(|(own, _)| own == code)
    {
        *code = (*standard).to_owned();
    }
    error
}

/// Whether the next poll may have another result (RFC 8628, section 3.5). Servers send `authorization_pending` with
/// many statuses.
fn undecided(error: &TokenError) -> Option<Undecided> {
    match error {
        TokenError::Refused { error: code, .. } if code == "authorization_pending" => Some(Undecided::Pending),
        TokenError::Refused { error: code, status, retry_after, .. } if code == "slow_down" || *status == 429 => {
            Some(Undecided::SlowDown(*retry_after))
        }
        TokenError::Refused { error: code, .. } if FINAL.contains(&&**code) => None,
        // The server may have used up the code for what came instead of a token.
        TokenError::InvalidResponse(_) => None,
        error => Some(error.failure()).filter(|failure| failure.temporary).map(Undecided::Failed),
    }
}

impl Endpoint<'_> {
    async fn request_codes(&self, http: &Http, fields: Vec<(&str, &str)>) -> std::result::Result<Codes, TokenError> {
        let style = RequestStyle::default();
        let response = self.exchange(http, fields, &style, TIME_LIMIT).await?.complete()?;
        // The fields are not secret: a browser would send them in a URL.
        let refused = || with_standard_code(response.refusal(self.redactor(&[], &style)));
        match response.status.as_u16() {
            200..=299 => Codes::parse(response.bytes(), self.url).map_err(|what| match refused() {
                // GitHub sends errors with status 200.
                refused if refused.names_an_error() => refused,
                _ => TokenError::InvalidResponse(what),
            }),
            status @ 300..=399 => {
                Err(TokenError::InvalidResponse(format!("a redirect ({status}), which is not followed")))
            }
            _ => Err(refused()),
        }
    }
}

impl Codes {
    /// Reads the answer of the endpoint at `from`, without quoting it in an error: it contains the device code.
    fn parse(body: &[u8], from: &Url) -> std::result::Result<Self, String> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err("not a JSON object".into());
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let device_code = text("device_code").ok_or("no `device_code`")?;
        if device_code.len() > LONGEST_DEVICE_CODE {
            return Err("a `device_code` of more than 16 KiB".into());
        }
        let user_code = text("user_code").map(str::trim).filter(|code| !code.is_empty()).ok_or("no `user_code`")?;
        if user_code.len() > LONGEST_USER_CODE || !user_code.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
            return Err("a `user_code` that cannot be typed".into());
        }
        // Some servers have the name of an earlier draft.
        let uri = text("verification_uri").or_else(|| text("verification_url")).ok_or("no `verification_uri`")?;
        let verification_uri = page_url(uri, from).map_err(|why| format!("a `verification_uri` that {why}"))?;
        let complete = text("verification_uri_complete").or_else(|| text("verification_url_complete"));
        let lifetime = seconds(&fields, "expires_in").filter(|seconds| *seconds > 0.0);
        let interval = seconds(&fields, "interval").unwrap_or(USUAL_INTERVAL);
        Ok(Self {
            device_code: DeviceCode::new(device_code.to_owned()),
            user_code: user_code.to_owned(),
            // The user is told to compare the page's host.
            complete_uri: complete
                .and_then(|complete| page_url(complete, from).ok())
                .filter(|complete| complete.origin() == verification_uri.origin()),
            lifetime: lifetime.map_or(LONGEST_LIFE, |seconds| {
                Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE)
            }),
            verification_uri,
            interval: Duration::from_secs_f64(interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)),
        })
    }
}

/// A number of seconds. Some servers write a text.
fn seconds(fields: &Map<String, Value>, name: &str) -> Option<f64> {
    let seconds = match fields.get(name)? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(seconds).filter(|seconds| seconds.is_finite())
}

/// The URL of a page, which may have a fragment, that the server at `from` sends the user to.
///
/// # Errors
/// Why it must not be used, as the end of a sentence.
fn page_url(text: &str, from: &Url) -> std::result::Result<Url, String> {
    if text.len() > LONGEST_URI {
        return Err(format!("has more than {LONGEST_URI} bytes"));
    }
    if let Some(why) = invisible::inside(text, false) {
        return Err(why);
    }
    check_reach(from, &endpoint_url(text.split('#').next().unwrap_or_default())?)?;
    Url::parse(text).map_err(|error| format!("is not a URL ({error})"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(change: Value) -> std::result::Result<Codes, String> {
        let mut answer = json!({
            "device_code": "d",
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://id.example.com/device",
            "expires_in": 600,
        });
        for (name, value) in change.as_object().unwrap() {
            answer[name] = value.clone();
        }
        Codes::parse(answer.to_string().as_bytes(), &Url::parse("https://id.example.com/codes").unwrap())
    }

    #[test]
    fn times_are_read_as_servers_write_them_and_kept_within_limits() {
        for (members, lifetime, interval) in [
            (json!({}), 600, 5),
            (json!({ "interval": 2, "expires_in": 300 }), 300, 2),
            (json!({ "interval": "7", "expires_in": "900" }), 900, 7),
            (json!({ "interval": 0, "expires_in": 1801 }), 1_800, 1),
            (json!({ "interval": -3, "expires_in": 0 }), 1_800, 1),
            (json!({ "interval": 3600, "expires_in": 1e300 }), 1_800, 60),
            (json!({ "interval": null, "expires_in": null }), 1_800, 5),
            (json!({ "interval": [], "expires_in": "soon" }), 1_800, 5),
        ] {
            let read = parse(members.clone()).unwrap();
            assert_eq!((read.lifetime.as_secs(), read.interval.as_secs()), (lifetime, interval), "{members}");
        }
    }

    #[test]
    fn only_a_page_that_is_safe_to_open_is_shown() {
        for (uri, why) in [
            ("https://other.example.com/activate#/device", None),
            ("http://id.example.com/device", Some("is http; plain http is allowed on loopback only")),
            ("http://127.0.0.1/device", Some("leads to this machine (127.0.0.1)")),
            ("javascript:alert(1)", Some("does not begin with `https://`")),
            ("https://user@id.example.com/", Some("must not contain a user name or password")),
            ("https://id.example.com/\u{202e}", Some("has an invisible character (U+202E) in it")),
            ("https://id.example.com/#\n", Some("has a line break in it")),
        ] {
            let read = parse(json!({ "verification_uri": uri }));
            let refused = why.map(|why| format!("a `verification_uri` that {why}"));
            assert_eq!(read.err(), refused, "{uri}");
            let complete = parse(json!({ "verification_uri_complete": uri })).unwrap().complete_uri;
            assert_eq!(complete, None, "{uri}: the page is at id.example.com");
        }
        let uri = "https://id.example.com/device?user_code=WDJB-MJHT";
        let complete = parse(json!({ "verification_uri_complete": uri })).unwrap().complete_uri;
        assert_eq!(complete.as_ref().map(Url::as_str), Some(uri));
        let named = parse(json!({ "verification_uri": null, "verification_url": "https://id.example.com/d" })).unwrap();
        assert_eq!(named.verification_uri.as_str(), "https://id.example.com/d");
    }

    #[test]
    fn codes_that_cannot_be_used_are_refused_without_quoting_them() {
        for (change, why) in [
            (json!({ "device_code": "" }), "no `device_code`"),
            (json!({ "device_code": 7 }), "no `device_code`"),
            (json!({ "device_code": "x".repeat(LONGEST_DEVICE_CODE + 1) }), "a `device_code` of more than 16 KiB"),
            (json!({ "user_code": " " }), "no `user_code`"),
            (json!({ "user_code": "AB\u{1b}[2J" }), "a `user_code` that cannot be typed"),
            (json!({ "user_code": "A".repeat(101) }), "a `user_code` that cannot be typed"),
            (json!({ "verification_uri": null }), "no `verification_uri`"),
        ] {
            assert_eq!(parse(change.clone()).unwrap_err(), why, "{change}");
        }
        let from = Url::parse("https://id.example.com/codes").unwrap();
        for body in ["", "<html>", "[]"] {
            assert_eq!(Codes::parse(body.as_bytes(), &from).unwrap_err(), "not a JSON object");
        }
    }

    #[test]
    fn only_what_the_server_may_still_decide_is_asked_again() {
        let refused = |status, error: &str| TokenError::Refused {
            status,
            error: error.into(),
            standard: true,
            description: String::new(),
            retry_after: None,
            assertion: None,
        };
        for status in [200, 400, 403, 428] {
            assert_eq!(undecided(&refused(status, "authorization_pending")), Some(Undecided::Pending), "{status}");
            assert_eq!(undecided(&refused(status, "slow_down")), Some(Undecided::SlowDown(None)), "{status}");
            for last in ["access_denied", "expired_token", "invalid_grant", "invalid_client", "an_error_of_its_own"] {
                assert_eq!(undecided(&refused(status, last)), None, "{status} {last}");
            }
        }
        assert_eq!(undecided(&refused(429, "")), Some(Undecided::SlowDown(None)));
        assert_eq!(undecided(&TokenError::InvalidResponse("no `access_token`".into())), None);
        for passing in [
            refused(408, ""),
            refused(400, "temporarily_unavailable"),
            TokenError::lost("cut"),
            TokenError::TimedOut(TIME_LIMIT),
            TokenError::Unreachable("refused".into()),
        ] {
            assert_eq!(undecided(&passing), Some(Undecided::Failed(passing.failure())));
        }
    }
}
