//! Dynamic client registration (RFC 7591).

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::error::{Result, SignInError};
use super::metadata::without_slash;
use super::refusal::refusal;
use super::token::{DEVICE_CODE_GRANT, body};
use super::token_error::TokenError;
use crate::clean::clean;
use crate::http::{self, Http, HttpError, Request, SendError};
use crate::provider::{self, ClientAuth, OAuthClient, ProviderConfig, Url};
use crate::redact::Redactor;
use crate::secret::{ClientSecret, RegistrationToken};

/// How long a registration may take, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The longest response that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The longest client id, in bytes. It is part of the authorization URL; some servers put all they know into it.
const LONGEST_ID: usize = 8 * 1024;

/// The longest client secret, in bytes.
const LONGEST_SECRET: usize = 16 * 1024;

/// The format of [`RegisteredClient::to_bytes`].
const VERSION: u32 = 1;

/// A registration that is asked for (RFC 7591, section 2).
pub(crate) struct RegistrationRequest<'a> {
    /// The provider's name, for errors.
    pub provider: &'a str,
    /// The client registration endpoint.
    pub url: &'a Url,
    /// The initial access token, for endpoints that require one (section 1.2).
    pub token: Option<&'a RegistrationToken>,
    /// What the server calls the client when it asks the user.
    pub client_name: &'a str,
    /// The redirect URI, byte for byte as it will be sent.
    pub redirect_uri: &'a str,
    /// The scopes to register, the best choice first. An empty choice registers none.
    pub scopes: &'a [Vec<&'a str>],
    /// The authentication methods that the server supports, if that is known.
    pub auth_methods: Option<&'a [ClientAuth]>,
    /// Whether the client shall be allowed the device flow too (RFC 8628, section 4).
    pub with_device: bool,
}

/// Where a store keeps a registered client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPlace {
    /// The authorization server's issuer, or the URL of the gateway that names the server, or that of the registration
    /// endpoint if no issuer is known.
    pub issuer: String,
    /// The configured redirect URI.
    pub redirect_uri: String,
}

/// A client that was registered dynamically (RFC 7591, section 3.2.1).
#[derive(Debug)]
pub struct RegisteredClient {
    /// The client.
    pub client: OAuthClient,
    /// The redirect URI that it is registered with. It differs from the configured one if that has port 0 or its port
    /// was in use.
    pub redirect_uri: String,
    /// When the secret expires, in Unix seconds of the server's clock. `None` if it does not expire.
    pub secret_expires_at: Option<i64>,
    /// Where it is kept.
    pub place: ClientPlace,
}

/// A registered client as bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Record<'a> {
    version: u32,
    client_id: Cow<'a, str>,
    client_secret: Option<Cow<'a, str>>,
    client_auth: Cow<'a, str>,
    redirect_uri: Cow<'a, str>,
    secret_expires_at: Option<i64>,
    place: Cow<'a, ClientPlace>,
}

impl RegisteredClient {
    /// The client as bytes, with its secret in plain text.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Large enough that the buffer is never moved, which would leave a copy of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(6 * (LONGEST_ID + LONGEST_SECRET) + 64 * 1024));
        // Writing strings and numbers into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &self.record());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `None` if the bytes are damaged or have another format.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Record<'_>>(bytes).ok()?.into_client()
    }

    pub(super) fn record(&self) -> Record<'_> {
        let OAuthClient { id, secret, auth, .. } = &self.client;
        Record {
            version: VERSION,
            client_id: id.into(),
            client_secret: secret.as_ref().map(|secret| secret.expose().into()),
            client_auth: auth.as_str().into(),
            redirect_uri: (&self.redirect_uri).into(),
            secret_expires_at: self.secret_expires_at,
            place: Cow::Borrowed(&self.place),
        }
    }
}

impl Record<'_> {
    pub(super) fn into_client(self) -> Option<RegisteredClient> {
        if self.version != VERSION {
            return None;
        }
        let secret = self.client_secret.map(|secret| ClientSecret::new(secret.into_owned()));
        let auth = ClientAuth::from_word(&self.client_auth)?;
        Some(RegisteredClient {
            client: OAuthClient { id: self.client_id.into_owned(), secret, auth, assertion: None },
            redirect_uri: self.redirect_uri.into_owned(),
            secret_expires_at: self.secret_expires_at,
            place: self.place.into_owned(),
        })
    }
}

impl RegistrationRequest<'_> {
    /// Registers a client. A server that refuses its metadata is asked again with the next choice of scopes, then with
    /// the next authentication method.
    ///
    /// # Errors
    /// [`SignInError::RegistrationFailed`] if the server refused or gave no response,
    /// [`SignInError::InvalidRegistration`] if the response cannot be used, and [`SignInError::Http`] if the server was
    /// not reached.
    pub(crate) async fn send(&self, http: &Http, place: ClientPlace) -> Result<RegisteredClient> {
        let mut choices = self.choices().into_iter();
        // There is always one.
        let mut choice = choices.next().unwrap_or((&[], ClientAuth::None));
        loop {
            let exchanged = tokio::time::timeout(TIME_LIMIT, self.exchange(http, choice.0, choice.1)).await;
            match (exchanged.unwrap_or(Err(TokenError::TimedOut(TIME_LIMIT))), choices.next()) {
                (Ok(fields), _) => return self.registered(fields, place),
                (Err(TokenError::Refused { error, .. }), Some(next)) if error == "invalid_client_metadata" => {
                    choice = next;
                }
                (Err(error), _) => return Err(self.failed(error)),
            }
        }
    }

    /// The scopes and authentication methods to ask for, the best first.
    fn choices(&self) -> Vec<(&[&str], ClientAuth)> {
        let methods = self.methods();
        methods.iter().flat_map(|method| self.scopes.iter().map(|scopes| (&scopes[..], *method))).collect()
    }

    /// The authentication methods to ask for, the best first: a program on the user's machine cannot keep a secret (RFC
    /// 8252, section 8.5).
    fn methods(&self) -> Vec<ClientAuth> {
        // Servers differ in how they decode HTTP Basic.
        const PREFERRED: [ClientAuth; 3] = [ClientAuth::None, ClientAuth::Post, ClientAuth::Basic];
        let known = self.auth_methods.unwrap_or_default();
        let known: Vec<_> = PREFERRED
            .into_iter()
            .filter(|method| known.iter().any(|known| known.registered_name() == method.registered_name()))
            .collect();
        if known.is_empty() { vec![ClientAuth::None, ClientAuth::Basic] } else { known }
    }

    fn metadata(&self, scopes: &[&str], method: ClientAuth) -> Value {
        // OpenID Connect Dynamic Client Registration 1.0, section 2: only native clients have loopback redirect URIs.
        let native = Url::parse(self.redirect_uri).is_ok_and(|uri| provider::is_loopback(&uri));
        let mut metadata = json!({
            "application_type": if native { "native" } else { "web" },
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method.registered_name(),
            "client_name": self.client_name,
        });
        if let (true, Some(grants)) = (self.with_device, metadata["grant_types"].as_array_mut()) {
            grants.push(DEVICE_CODE_GRANT.into());
        }
        if !scopes.is_empty() {
            metadata["scope"] = scopes.join(" ").into();
        }
        metadata
    }

    async fn exchange(
        &self,
        http: &Http,
        scopes: &[&str],
        method: ClientAuth,
    ) -> std::result::Result<Map<String, Value>, TokenError> {
        let unsent = |why: String| TokenError::Unreachable(why);
        let route = http.route(self.url).map_err(TokenError::NotSent)?;
        let metadata = self.metadata(scopes, method).to_string();
        let mut request = Request::post(self.url.clone(), "application/json", metadata, "application/json");
        if let Some(token) = self.token {
            let text = Zeroizing::new(format!("Bearer {}", token.expose()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| unsent("the registration token".into()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let redactor = Redactor::new(self.token.iter().map(|token| token.expose()));
        let response = route.send(request, &redactor).await.map_err(|error| match error {
            SendError::NoConnection(why) | SendError::NotSent(why) => TokenError::Unreachable(why),
            SendError::MaybeSent(why) => TokenError::lost(why),
            permanent => TokenError::NotSent(permanent.at(self.url)),
        })?;
        let (status, retry_after) = (response.status().as_u16(), http::retry_after(response.headers()));
        let body = body(response, BODY_LIMIT).await;
        match status {
            200..=299 => {
                let body = Zeroizing::new(body?);
                match serde_json::from_slice(&body) {
                    Ok(Value::Object(fields)) if fields.contains_key("client_id") => Ok(fields),
                    Ok(Value::Object(_)) => Err(match refusal(status, retry_after, &body, &redactor) {
                        refused if refused.names_an_error() => refused,
                        _ => TokenError::InvalidResponse("no `client_id`".into()),
                    }),
                    _ => Err(TokenError::InvalidResponse("not a JSON object".into())),
                }
            }
            300..=399 => Err(TokenError::InvalidResponse(format!("a redirect ({status}), which is not followed"))),
            _ => Err(refusal(status, retry_after, &body.unwrap_or_default(), &redactor)),
        }
    }

    /// Reads the response (RFC 7591, section 3.2.1). The server may replace what was asked for.
    fn registered(&self, fields: Map<String, Value>, place: ClientPlace) -> Result<RegisteredClient> {
        let host = provider::host(self.url);
        let invalid = |description: String| {
            let (provider, host) = (self.provider.to_owned(), host.clone());
            SignInError::InvalidRegistration { provider, host, description }
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // RFC 6749, appendices A.1 and A.2.
        let visible = |text: &str| text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        let id = text("client_id").ok_or_else(|| invalid("no `client_id`".into()))?;
        if id.len() > LONGEST_ID || !visible(id) {
            return Err(invalid("a `client_id` that cannot be sent".into()));
        }
        let secret = text("client_secret");
        if secret.is_some_and(|secret| secret.len() > LONGEST_SECRET || !visible(secret)) {
            return Err(invalid("a `client_secret` that cannot be sent".into()));
        }
        let auth = match (text("token_endpoint_auth_method"), secret) {
            (Some("none"), _) | (None, None) => ClientAuth::None,
            // RFC 7591, section 2: the default method.
            (Some("client_secret_basic") | None, Some(_)) => ClientAuth::Basic,
            (Some("client_secret_post"), Some(_)) => ClientAuth::Post,
            (Some("client_secret_basic" | "client_secret_post"), None) => {
                return Err(invalid("no `client_secret`, which its `token_endpoint_auth_method` requires".into()));
            }
            (Some(other), _) => {
                let method = clean(other);
                return Err(invalid(format!("the unsupported `token_endpoint_auth_method` {method}")));
            }
        };
        if let Some(Value::Array(uris)) = fields.get("redirect_uris")
            && !uris.iter().any(|uri| uri.as_str() == Some(self.redirect_uri))
        {
            let uris: Vec<_> = uris.iter().filter_map(Value::as_str).map(clean).collect();
            let asked = self.redirect_uri;
            return Err(invalid(format!("the redirect URI `{}` instead of `{asked}`", clean(&uris.join("` `")))));
        }
        Ok(RegisteredClient {
            secret_expires_at: fields.get("client_secret_expires_at").and_then(expiry).filter(|_| secret.is_some()),
            client: OAuthClient {
                id: id.to_owned(),
                secret: secret.map(|secret| ClientSecret::new(secret.to_owned())),
                auth,
                assertion: None,
            },
            redirect_uri: self.redirect_uri.to_owned(),
            place,
        })
    }

    fn failed(&self, error: TokenError) -> SignInError {
        let (provider, host) = (self.provider.to_owned(), provider::host(self.url));
        let failure = Box::new(error.failure());
        match error {
            TokenError::NotSent(error) => error.into(),
            TokenError::NoAssertion(error) => error.into(),
            TokenError::Unreachable(reason) => HttpError::Unreachable { host, reason }.into(),
            TokenError::InvalidResponse(description) => {
                SignInError::InvalidRegistration { provider, host, description }
            }
            TokenError::Refused { error, .. } => {
                SignInError::RegistrationFailed { provider, host, error, with_token: self.token.is_some(), failure }
            }
            TokenError::ResponseLost { .. } | TokenError::TimedOut(_) => {
                let (error, with_token) = (String::new(), self.token.is_some());
                SignInError::RegistrationFailed { provider, host, error, with_token, failure }
            }
        }
    }
}

impl ProviderConfig {
    /// Where a store keeps the client that is registered for this provider. `None` if neither the issuer nor the
    /// registration endpoint is known.
    pub(crate) fn client_place(&self) -> Option<ClientPlace> {
        // Several servers may be on one origin, so the origin alone would mix up their clients.
        let issuer = match (&self.gateway, &self.issuer) {
            // Its issuer is known at sign-in only, and is what the gateway says.
            (Some(gateway), _) => without_slash(gateway.as_str()).to_owned(),
            // A configured issuer and that of the metadata may differ in this.
            (None, Some(issuer)) => without_slash(issuer).to_owned(),
            (None, None) => provider::without_query(self.registration.url.as_ref()?),
        };
        Some(ClientPlace { issuer, redirect_uri: self.redirect_uri.clone() })
    }
}

/// Reads `client_secret_expires_at`: Unix seconds, or 0 for a secret that does not expire. Some servers write a text.
fn expiry(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds.is_finite() && seconds > 0.0).then_some(seconds as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "http://127.0.0.1:4000/callback";

    fn place() -> ClientPlace {
        ClientPlace { issuer: "https://id.example.com".into(), redirect_uri: URI.into() }
    }

    /// What becomes of a response to a registration.
    fn read(response: &str) -> std::result::Result<RegisteredClient, String> {
        let url = Url::parse("https://id.example.com/register").unwrap();
        let request = RegistrationRequest {
            provider: "work",
            url: &url,
            token: None,
            client_name: "nexus",
            redirect_uri: URI,
            scopes: &[],
            auth_methods: None,
            with_device: false,
        };
        let Ok(Value::Object(fields)) = serde_json::from_str(response) else { panic!("{response}") };
        request.registered(fields, place()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_method_and_the_secret_are_those_of_the_response() {
        for (response, auth, secret, expires_at) in [
            (r#"{"client_id":"c"}"#, ClientAuth::None, None, None),
            (r#"{"client_id":"c","client_secret":""}"#, ClientAuth::None, None, None),
            (r#"{"client_id":"c","client_secret":"s"}"#, ClientAuth::Basic, Some("s"), None),
            (
                r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"client_secret_post",
                    "client_secret_expires_at":1700000000}"#,
                ClientAuth::Post,
                Some("s"),
                Some(1_700_000_000),
            ),
            (
                r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"client_secret_basic",
                    "client_secret_expires_at":0}"#,
                ClientAuth::Basic,
                Some("s"),
                None,
            ),
            (
                r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":"1700000000"}"#,
                ClientAuth::Basic,
                Some("s"),
                Some(1_700_000_000),
            ),
            (
                r#"{"client_id":"c","token_endpoint_auth_method":"none","client_secret_expires_at":1}"#,
                ClientAuth::None,
                None,
                None,
            ),
        ] {
            let read = read(response).unwrap();
            let found =
                (read.client.auth, read.client.secret.as_ref().map(ClientSecret::expose), read.secret_expires_at);
            assert_eq!(found, (auth, secret, expires_at), "{response}");
        }
    }

    #[test]
    fn a_response_that_cannot_be_used_is_refused() {
        let long = format!(r#"{{"client_id":"{}"}}"#, "x".repeat(LONGEST_ID + 1));
        for (response, why) in [
            ("{}", "no `client_id`"),
            (r#"{"client_id":""}"#, "no `client_id`"),
            (r#"{"client_id":7}"#, "no `client_id`"),
            (r#"{"client_id":"a\nb"}"#, "a `client_id` that cannot be sent"),
            (&long, "a `client_id` that cannot be sent"),
            (r#"{"client_id":"c","client_secret":"a\u0000b"}"#, "a `client_secret` that cannot be sent"),
            (
                r#"{"client_id":"c","token_endpoint_auth_method":"client_secret_basic"}"#,
                "no `client_secret`, which its `token_endpoint_auth_method` requires",
            ),
            (
                r#"{"client_id":"c","token_endpoint_auth_method":"private_key_jwt\u001b[1m"}"#,
                "the unsupported `token_endpoint_auth_method` private_key_jwt [1m",
            ),
            (
                r#"{"client_id":"c","redirect_uris":["http://127.0.0.1:4000/callback/"]}"#,
                "the redirect URI `http://127.0.0.1:4000/callback/` instead of `http://127.0.0.1:4000/callback`",
            ),
        ] {
            let expected = format!("id.example.com sent an invalid registration response: {why}");
            assert_eq!(read(response).unwrap_err(), expected, "{response}");
        }
    }

    #[test]
    fn a_client_that_was_written_and_read_back_is_the_same() {
        let response = r#"{"client_id":"c","client_secret":"s\"","client_secret_expires_at":9}"#;
        let written = read(response).unwrap();
        let bytes = written.to_bytes();
        let again = RegisteredClient::from_bytes(&bytes).unwrap();
        assert_eq!(format!("{again:?}"), format!("{written:?}"));
        assert_eq!(again.client.secret.unwrap().expose(), "s\"");
        assert!(!format!("{written:?}").contains("s\\\""), "a secret is not shown");
        assert!(RegisteredClient::from_bytes(&bytes[1..]).is_none());
    }

    #[test]
    fn a_public_client_is_preferred_and_only_what_the_server_supports_is_asked_for() {
        let methods = |known: Option<&[ClientAuth]>| {
            let url = Url::parse("https://id.example.com/register").unwrap();
            let request = RegistrationRequest {
                provider: "work",
                url: &url,
                token: None,
                client_name: "nexus",
                redirect_uri: "https://app.example.com/callback",
                scopes: &[],
                auth_methods: known,
                with_device: false,
            };
            let metadata = request.metadata(&["a", "b"], ClientAuth::Post);
            assert_eq!((&metadata["application_type"], &metadata["scope"]), (&json!("web"), &json!("a b")));
            request.methods()
        };
        assert_eq!(methods(None), [ClientAuth::None, ClientAuth::Basic]);
        assert_eq!(methods(Some(&[])), [ClientAuth::None, ClientAuth::Basic]);
        assert_eq!(methods(Some(&[ClientAuth::Basic, ClientAuth::Post])), [ClientAuth::Post, ClientAuth::Basic]);
        assert_eq!(methods(Some(&[ClientAuth::Post])), [ClientAuth::Post]);
    }
}
