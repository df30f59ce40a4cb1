//! The authorization code flow (RFC 6749, section 4.1): begin, send the user to the URL, judge the response, redeem.
//!
//! Only the request knows the `state` and the verifier, so only it can tell whether a response answers it. Any code may
//! receive the response: the redirect listener, a pasted URL or a web framework.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::{Result, SignInError};
use super::id_token::ExpectedIdToken;
use super::pkce;
use super::registration::{self, RegisteredClient};
use super::token::Endpoint;
use super::token_error::{is_client_error, is_redirect_mismatch};
use super::token_response::TokenResponse;
use crate::clean::clean;
use crate::http::Http;
use crate::provider::{self, ClientAuth, OAuthClient, ProviderConfig, ProviderError, Url};
use crate::secret::{AuthorizationCode, Verifier, constant_time_eq};

/// The parameters that only the request sets. If one were sent twice, the server could use either.
pub const AUTHORIZATION_PARAMETERS: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request_uri",
    "response_type",
    "state",
];

/// An authorization request that waits for its response.
#[derive(Debug)]
pub struct AuthorizationRequest {
    provider: String,
    client_id: String,
    /// The client, unless it is the one in the provider's configuration.
    registered: Option<RegisteredClient>,
    issuer: Option<String>,
    require_iss: bool,
    redirect_uri: String,
    state: String,
    verifier: Verifier,
    /// Comes back in the ID token, if one is requested (OpenID Connect Core, section 3.1.2.1).
    nonce: Option<String>,
    /// How the client authenticated, if the server did not accept the configured method.
    client_auth: Option<ClientAuth>,
    url: Url,
    url_lifetime: Option<Duration>,
}

/// The result of [`AuthorizationRequest::judge`].
#[derive(Debug)]
pub enum Verdict {
    /// The response has another `state`, or none: keep waiting. The reason is for the sender.
    NotOurs(&'static str),
    /// The response cannot be read: keep waiting. The reason is for the sender.
    Unclear(&'static str),
    /// The response is a refusal.
    Refused(SignInError),
    /// The response grants this code.
    Granted(AuthorizationCode),
}

impl AuthorizationRequest {
    /// Generates a `state`, a verifier and, for an ID token, a `nonce`, and builds the authorization URL (RFC 6749,
    /// section 4.1.1). The request is not pushed, even if the provider has a `par_url`.
    ///
    /// # Errors
    /// [`SignInError::Provider`] without a client id, `authorize_url` or `token_url`;
    /// [`SignInError::ReservedParameter`] if the configuration sets a parameter that this sets; [`SignInError::System`]
    /// without random bytes.
    pub fn begin(provider: &ProviderConfig, redirect_uri: &str) -> Result<Self> {
        let (mut request, parameters) = Self::generate(provider, None, redirect_uri)?;
        request.add_to_url(&parameters);
        Ok(request)
    }

    /// [`begin`](Self::begin), with a registered client if there is one. Pushes the request to the provider's
    /// `par_url`, if it has one. The authorization URL then has only the client id and the server's reference to the
    /// request (RFC 9126, section 4). A client that the server refuses is tried once more, as in
    /// [`redeem`](Self::redeem).
    ///
    /// # Errors
    /// Also that the server refused the request or could not be reached.
    pub(crate) async fn begin_pushed(
        provider: &ProviderConfig,
        registered: Option<RegisteredClient>,
        redirect_uri: &str,
        http: &Http,
    ) -> Result<Self> {
        let (mut request, parameters) = Self::generate(provider, registered, redirect_uri)?;
        let Some(url) = &provider.par_url else {
            if provider.require_par {
                return Err(ProviderError::MissingUrl { provider: provider.name.clone(), setting: "par_url" }.into());
            }
            // Fail before the user approves.
            if let Some(assertion) = &request.client(provider)?.assertion {
                assertion.check().await?;
            }
            request.add_to_url(&parameters);
            return Ok(request);
        };
        let endpoint = request.endpoint(provider, url)?;
        let (mut pushed, mut client_auth) =
            (endpoint.push(http, &parameters, &provider.par_params, &request.url).await, None);
        if let Err(error) = &pushed
            && error.is_client_refused()
            && let Some(endpoint) = endpoint.with_other_auth()
        {
            pushed = endpoint.push(http, &parameters, &provider.par_params, &request.url).await;
            client_auth = Some(endpoint.auth);
        }
        let registered = request.registered.is_some();
        let pushed = pushed.map_err(|error| {
            SignInError::of_pushed_request(error, provider, &endpoint, &request.redirect_uri, registered)
        })?;
        request.client_auth = client_auth;
        request.add_to_url(&[
            ("client_id".to_owned(), request.client_id.clone()),
            ("request_uri".to_owned(), pushed.request_uri),
        ]);
        request.url_lifetime = pushed.lifetime;
        Ok(request)
    }

    /// A request whose URL is the endpoint's, and the parameters of the request. A registered client has its own
    /// redirect URI.
    fn generate(
        provider: &ProviderConfig,
        registered: Option<RegisteredClient>,
        redirect_uri: &str,
    ) -> Result<(Self, Vec<(String, String)>)> {
        let (client, redirect_uri) = match &registered {
            Some(registered) => (&registered.client, &*registered.redirect_uri),
            None => (provider.client()?, redirect_uri),
        };
        provider.check_client_auth(client.auth)?;
        let (client_id, redirect_uri) = (client.id.clone(), redirect_uri.to_owned());
        let url = provider.required(provider.authorize_url.as_ref(), "authorize_url")?.clone();
        // Fail before the user approves.
        provider.required(provider.token_url.as_ref(), "token_url")?;
        let (verifier, state) = (pkce::verifier()?, pkce::random_text()?);
        let nonce = if provider.asks_for("openid") { Some(pkce::random_text()?) } else { None };
        let scope = provider.scopes.join(" ");
        let challenge = pkce::challenge(&verifier);
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let own = [
            ("response_type", "code"),
            ("client_id", &*client_id),
            ("redirect_uri", &*redirect_uri),
            ("scope", &*scope),
            ("state", &*state),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
            ("nonce", &*some(&nonce)),
            ("resource", &*some(&provider.resource)),
            ("prompt", &*some(&provider.prompt)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut parameters: Vec<_> = own.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let configured = provider.authorize_params.keys().map(String::as_str);
        let asked: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        let is_set =
            |name: &&str| AUTHORIZATION_PARAMETERS.contains(name) || parameters.iter().any(|(own, _)| own == name);
        if let Some(name) = configured.chain(asked.iter().map(String::as_str)).find(is_set) {
            let (provider, parameter) = (provider.name.clone(), name.to_owned());
            return Err(SignInError::ReservedParameter { provider, parameter });
        }
        parameters.extend(provider.authorize_params.clone());
        let request = Self {
            provider: provider.name.clone(),
            client_id,
            registered,
            issuer: provider.issuer.clone(),
            require_iss: provider.require_iss,
            redirect_uri,
            state,
            verifier,
            nonce,
            client_auth: None,
            url,
            url_lifetime: None,
        };
        Ok((request, parameters))
    }

    fn add_to_url(&mut self, parameters: &[(String, String)]) {
        self.url.query_pairs_mut().extend_pairs(parameters);
        // The form encoding writes a space as `+`, which some servers take literally.
        let spaced = self.url.query().unwrap_or_default().replace('+', "%20");
        self.url.set_query(Some(&spaced));
    }

    /// An endpoint at which the client authenticates.
    fn endpoint<'a>(&'a self, provider: &'a ProviderConfig, url: &'a Url) -> Result<Endpoint<'a>> {
        let client = self.client(provider)?;
        let auth = self.client_auth.unwrap_or(client.auth);
        Ok(Endpoint::new(url, client, auth, provider))
    }

    /// The URL to send the user to. It is not secret: the state and the challenge in it redeem nothing without the
    /// verifier.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How long the URL can be opened, if the server limits it: only a pushed request has a limit (RFC 9126, section
    /// 2.2). A request that was read from bytes does not know it.
    pub fn url_lifetime(&self) -> Option<Duration> {
        self.url_lifetime
    }

    /// What the ID token must say, if one is requested.
    pub(crate) fn expected_id_token(&self) -> Option<ExpectedIdToken> {
        let nonce = Some(self.nonce.clone()?);
        let (issuer, client_id) = (self.issuer.clone(), self.client_id.clone());
        Some(ExpectedIdToken { issuer, server: self.url.clone(), client_id, nonce })
    }

    /// The `state`. A web application may use it as the key of this request.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The client id exactly as sent.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client, if it was registered dynamically (RFC 7591).
    pub fn registered(&self) -> Option<&RegisteredClient> {
        self.registered.as_ref()
    }

    /// The client of this request: the registered one, or the one in the provider's configuration.
    pub(crate) fn client<'a>(
        &'a self,
        provider: &'a ProviderConfig,
    ) -> std::result::Result<&'a OAuthClient, ProviderError> {
        self.registered.as_ref().map_or_else(|| provider.client(), |registered| Ok(&registered.client))
    }

    /// The redirect URI exactly as sent.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Checks the query that came to the redirect URI (RFC 6749, section 4.1.2). The `state` is compared first, in
    /// constant time, then the issuer (RFC 9207, section 2.4). Nothing else, not even `error`, counts before that.
    pub fn judge(&self, query: &str) -> Verdict {
        let answer = match AuthorizationResponse::read(query) {
            Ok(answer) => answer,
            Err(why) => return Verdict::Unclear(why),
        };
        match &answer.state {
            Some(state) if constant_time_eq(state, &self.state) => {}
            Some(_) => return Verdict::NotOurs("this response belongs to another sign-in"),
            None => return Verdict::NotOurs("this response has no `state`"),
        }
        if let Err(mismatch) = self.check_issuer(answer.issuer.as_deref()) {
            return Verdict::Refused(mismatch);
        }
        match (answer.error, answer.code) {
            (Some(error), None) => Verdict::Refused(self.refused(&error, answer.description)),
            (None, Some(code)) => Verdict::Granted(AuthorizationCode::new(code)),
            _ => Verdict::Unclear("this response has neither `code` nor `error`"),
        }
    }

    /// Whether this query reports an error, whatever its `state`.
    pub(super) fn is_error(query: &str) -> bool {
        AuthorizationResponse::read(query).is_ok_and(|answer| answer.error.is_some())
    }

    /// Without a configured issuer, the response's issuer must have the origin of the authorization URL.
    fn check_issuer(&self, got: Option<&str>) -> Result<()> {
        let got = match got {
            None if !self.require_iss => return Ok(()),
            got => got.unwrap_or_default(),
        };
        let (expected, same) = match &self.issuer {
            Some(issuer) => (issuer.clone(), issuer == got),
            None => {
                let asked = self.url.origin();
                (asked.ascii_serialization(), Url::parse(got).is_ok_and(|url| url.origin() == asked))
            }
        };
        let provider = self.provider.clone();
        if same { Ok(()) } else { Err(SignInError::IssuerMismatch { provider, expected, got: clean(got) }) }
    }

    fn refused(&self, error: &str, description: Option<String>) -> SignInError {
        let description = clean(&description.unwrap_or_default());
        let host = provider::host(&self.url);
        if is_client_error(error) {
            let (provider, client_id) = (self.provider.clone(), self.client_id.clone());
            SignInError::ClientRefused { provider, client_id, host, description, registered: self.registered.is_some() }
        } else if is_redirect_mismatch(error, &description) {
            SignInError::RedirectMismatch { uri: self.redirect_uri.clone(), host, description }
        } else {
            let error = Some(clean(error)).filter(|error| !error.is_empty()).unwrap_or_else(|| "unreadable".into());
            SignInError::Refused { provider: self.provider.clone(), error, description }
        }
    }

    /// The request as bytes, for an application that does not keep it in memory between the redirect and the response.
    /// They contain the code verifier and the secret of a registered client in plain text: encrypt them or store them
    /// where only the application can read them, and delete them once the request is redeemed.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let record = Record {
            version: VERSION,
            provider: Cow::Borrowed(&self.provider),
            client_id: Cow::Borrowed(&self.client_id),
            registered: self.registered.as_ref().map(RegisteredClient::record),
            issuer: self.issuer.as_deref().map(Cow::Borrowed),
            require_iss: self.require_iss,
            redirect_uri: Cow::Borrowed(&self.redirect_uri),
            state: Cow::Borrowed(&self.state),
            verifier: Cow::Borrowed(self.verifier.expose()),
            nonce: self.nonce.as_deref().map(Cow::Borrowed),
            client_auth: self.client_auth.map(|auth| Cow::Borrowed(auth.as_str())),
            url: Cow::Borrowed(self.url.as_str()),
        };
        // Large enough that the buffer is never moved, which would leave a copy behind.
        let client = self.registered.as_ref().map_or(0, |registered| registered.to_bytes().len());
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024 + 6 * self.url.as_str().len() + client));
        // Writing strings and numbers into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &record);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `None` if the bytes are damaged or come from a version of this
    /// library with another format; the sign-in then has to start again.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let record: Record<'_> =
            serde_json::from_slice(bytes).ok().filter(|record: &Record<'_>| record.version == VERSION)?;
        Some(Self {
            provider: record.provider.into_owned(),
            client_id: record.client_id.into_owned(),
            registered: match record.registered {
                Some(registered) => Some(registered.into_client()?),
                None => None,
            },
            issuer: record.issuer.map(Cow::into_owned),
            require_iss: record.require_iss,
            redirect_uri: record.redirect_uri.into_owned(),
            state: record.state.into_owned(),
            verifier: Verifier::new(record.verifier.into_owned()),
            nonce: record.nonce.map(Cow::into_owned),
            client_auth: match record.client_auth {
                Some(word) => Some(ClientAuth::from_word(&word)?),
                None => None,
            },
            url: Url::parse(&record.url).ok()?,
            url_lifetime: None,
        })
    }

    /// Exchanges the code for tokens (RFC 6749, section 4.1.3; RFC 7636, section 4.5). The code is used up even if this
    /// fails. A client with [`ClientAuth::Basic`](crate::ClientAuth::Basic) that the server refuses is tried once more
    /// with [`ClientAuth::BasicRaw`](crate::ClientAuth::BasicRaw), if that differs.
    ///
    /// # Errors
    /// The server refused the code or could not be reached.
    pub async fn redeem(
        self,
        code: AuthorizationCode,
        provider: &ProviderConfig,
        http: &Http,
    ) -> Result<TokenResponse> {
        let url = provider.required(provider.token_url.as_ref(), "token_url")?;
        let endpoint = self.endpoint(provider, url)?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &*self.redirect_uri),
            ("code_verifier", self.verifier.expose()),
        ];
        if provider.code.with_state {
            fields.push(("state", &*self.state));
        }
        fields.extend(provider.named_resource().map(|one| ("resource", one)));
        let mut response = endpoint.request(http, fields.clone(), &provider.code).await;
        if let Ok(response) = &mut response {
            response.client_auth = self.client_auth;
        }
        if let Err(error) = &response
            && error.is_client_refused()
            && let Some(endpoint) = endpoint.with_other_auth()
        {
            response = endpoint.request(http, fields, &provider.code).await;
            response = response.map(|response| TokenResponse { client_auth: Some(endpoint.auth), ..response });
        }
        let registered = self.registered.is_some();
        response
            .map_err(|error| SignInError::of_token_request(error, provider, &endpoint, &self.redirect_uri, registered))
    }
}

/// The format of [`AuthorizationRequest::to_bytes`].
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    version: u32,
    provider: Cow<'a, str>,
    client_id: Cow<'a, str>,
    #[serde(default, borrow)]
    registered: Option<registration::Record<'a>>,
    issuer: Option<Cow<'a, str>>,
    #[serde(default)]
    require_iss: bool,
    redirect_uri: Cow<'a, str>,
    state: Cow<'a, str>,
    verifier: Cow<'a, str>,
    nonce: Option<Cow<'a, str>>,
    client_auth: Option<Cow<'a, str>>,
    url: Cow<'a, str>,
}

/// The parameters of an authorization response. Others are ignored, as RFC 6749 asks.
#[derive(Default)]
struct AuthorizationResponse {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    description: Option<String>,
    issuer: Option<String>,
}

impl AuthorizationResponse {
    /// Refuses a repeated parameter (RFC 6749, section 3.1): two parsers could use different ones.
    fn read(query: &str) -> std::result::Result<Self, &'static str> {
        let mut answer = Self::default();
        let mut names = HashSet::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !names.insert(name.clone()) {
                return Err("this response repeats a parameter");
            }
            let slot = match &*name {
                "code" => &mut answer.code,
                "state" => &mut answer.state,
                "error" => &mut answer.error,
                "error_description" => &mut answer.description,
                "iss" => &mut answer.issuer,
                _ => continue,
            };
            // A parameter without a value counts as omitted (RFC 6749, section 3.1).
            *slot = Some(value.into_owned()).filter(|value| !value.is_empty());
        }
        Ok(answer)
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests {
    use super::*;
    use crate::provider::OAuthClient;
    use crate::sandbox::{Endpoint, Sandbox, Settings};

    #[tokio::test]
    async fn a_request_that_was_written_and_read_back_judges_and_redeems_the_same() {
        let sandbox = Sandbox::start(Settings::default()).await.expect("starts");
        let provider = ProviderConfig::named("work")
            .with_client(OAuthClient::public("sandbox-client"))
            .with_redirect_uri("http://127.0.0.1:8080/callback")
            .with_authorize_url(&sandbox.url(Endpoint::Authorize))
            .and_then(|provider| provider.with_token_url(&sandbox.url(Endpoint::Token)))
            .expect("loopback URLs");
        let request = AuthorizationRequest::begin(&provider, &provider.redirect_uri).expect("begins");
        let came_back = Sandbox::approve(request.url().as_str()).await.expect("approves");
        let (_, query) = came_back.split_once('?').expect("a query");

        let again = AuthorizationRequest::from_bytes(&request.to_bytes()).expect("reads what it wrote");
        assert_eq!(format!("{again:?}"), format!("{request:?}"));
        assert_eq!(again.verifier.expose(), request.verifier.expose());
        assert!(matches!(again.judge("code=c&state=other"), Verdict::NotOurs(_)));
        let Verdict::Granted(code) = again.judge(query) else { panic!("it does not know its answer") };
        let response = again.redeem(code, &provider, &Http::default()).await.expect("redeems");
        assert!(!response.access_token.expose().is_empty());
    }

    #[test]
    fn damaged_bytes_and_other_versions_are_no_request() {
        let provider = ProviderConfig::claude_code().with_client(OAuthClient::public("client"));
        let request = AuthorizationRequest::begin(&provider, "http://127.0.0.1:8080/callback").expect("begins");
        let bytes = request.to_bytes();
        let later = String::from_utf8_lossy(&bytes).replacen("\"version\":1", "\"version\":2", 1);
        for bytes in [&b""[..], b"{}", &bytes[..bytes.len() - 1], later.as_bytes()] {
            assert!(AuthorizationRequest::from_bytes(bytes).is_none());
        }
        assert!(AuthorizationRequest::from_bytes(&bytes).is_some());
    }
}
