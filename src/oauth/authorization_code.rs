//! One sign-in, consumed as it goes: begin, send somebody to its URL, judge what comes back, redeem.
//!
//! The attempt alone knows the `state` and the verifier, so it alone can say whether an answer is
//! the answer to it, whatever brought that answer: the listener, a pasted line, a web framework.

use std::collections::HashSet;

use super::error::{Result, SignInError};
use super::pkce;
use super::token::Endpoint;
use super::token_error::{TokenError, is_client_error, is_redirect_mismatch};
use super::token_response::TokenResponse;
use crate::clean::clean;
use crate::http::{Http, HttpError};
use crate::provider::{self, Provider, Url};
use crate::secret::{AuthorizationCode, Verifier, same};

/// The parameters that every sign-in sets anew. Said twice, a server may believe either.
const OURS: &[&str] =
    &["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"];

/// A sign-in that has begun.
#[derive(Debug)]
pub struct AuthorizationRequest {
    provider: provider::Name,
    client_id: String,
    issuer: Option<String>,
    redirect_uri: String,
    state: String,
    verifier: Verifier,
    url: Url,
}

/// What an attempt says of an answer.
#[derive(Debug)]
pub enum Verdict {
    /// It answers something else: go on waiting. Why, for the one who sent it.
    NotOurs(&'static str),
    /// It says nothing that can be understood: go on waiting. Why, for the one who sent it.
    Unclear(&'static str),
    /// It is the answer, and it is no.
    Refused(SignInError),
    /// It is the answer, and this is the code.
    Granted(AuthorizationCode),
}

impl AuthorizationRequest {
    /// Draws a fresh state and verifier and writes the authorization URL (RFC 6749, section 4.1.1).
    ///
    /// # Errors
    /// No client id, no `authorize_url` or `token_url`, an authorization URL that says already what only a
    /// sign-in can say, or no random numbers.
    pub fn begin(provider: &Provider, redirect_uri: &str) -> Result<Self> {
        let client = provider.client()?;
        let mut url = provider.required(provider.authorize_url.as_ref(), "authorize_url")?.clone();
        // Nobody is asked to approve what could not be redeemed.
        provider.required(provider.token_url.as_ref(), "token_url")?;
        let configured = provider.authorize_params.keys().map(String::as_str);
        let asked: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        if let Some(name) = configured.chain(asked.iter().map(String::as_str)).find(|name| OURS.contains(name)) {
            let (provider, parameter) = (provider.name.clone(), name.to_owned());
            return Err(SignInError::ReservedParameter { provider, parameter });
        }
        let (verifier, state) = (pkce::verifier()?, pkce::random_text()?);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            query.append_pair("client_id", &client.id.value);
            query.append_pair("redirect_uri", redirect_uri);
            if !provider.scopes.is_empty() {
                query.append_pair("scope", &provider.scopes.join(" "));
            }
            query.append_pair("state", &state);
            query.append_pair("code_challenge", &pkce::challenge(&verifier));
            query.append_pair("code_challenge_method", "S256");
            for (name, value) in &provider.authorize_params {
                query.append_pair(name, value);
            }
        }
        // The form encoding writes a space as `+`, which some servers take literally.
        let spaced = url.query().unwrap_or_default().replace('+', "%20");
        url.set_query(Some(&spaced));
        Ok(Self {
            provider: provider.name.clone(),
            client_id: client.id.value.clone(),
            issuer: provider.issuer.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state,
            verifier,
            url,
        })
    }

    /// Where to send the person. Public by design: it holds the state and the challenge, neither of
    /// which redeems anything without the verifier.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The `state`, under which a web application may file this attempt.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The client id exactly as sent.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The redirect URI exactly as sent.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Reads the query that came to the redirect URI (RFC 6749, section 4.1.2). The state is
    /// compared, in constant time, before anything else is believed, `error` included; then the
    /// issuer (RFC 9207, section 2.4).
    pub fn judge(&self, query: &str) -> Verdict {
        let answer = match Answer::read(query) {
            Ok(answer) => answer,
            Err(why) => return Verdict::Unclear(why),
        };
        match &answer.state {
            Some(state) if same(state, &self.state) => {}
            Some(_) => return Verdict::NotOurs("this answer belongs to another sign-in"),
            None => return Verdict::NotOurs("this answer has no state"),
        }
        if let Err(mismatch) = self.check_issuer(answer.issuer.as_deref()) {
            return Verdict::Refused(mismatch);
        }
        match (answer.error, answer.code) {
            // A parameter without a value counts as left out (RFC 6749, section 3.1).
            (Some(error), None) if !error.is_empty() => Verdict::Refused(self.refused(&error, answer.description)),
            (None, Some(code)) if !code.is_empty() => Verdict::Granted(AuthorizationCode::new(code)),
            _ => Verdict::Unclear("this answer has neither a code nor an error"),
        }
    }

    /// Without a configured issuer, one that is sent must at least live where the person was sent.
    fn check_issuer(&self, got: Option<&str>) -> Result<()> {
        let Some(got) = got else { return Ok(()) };
        let (expected, same) = match &self.issuer {
            Some(issuer) => (issuer.clone(), issuer == got),
            None => {
                let asked = self.url.origin();
                (asked.ascii_serialization(), Url::parse(got).is_ok_and(|url| url.origin() == asked))
            }
        };
        if same { Ok(()) } else { Err(SignInError::IssuerMismatch { expected, got: clean(got) }) }
    }

    fn refused(&self, error: &str, description: Option<String>) -> SignInError {
        let description = clean(&description.unwrap_or_default());
        let host = provider::host(&self.url);
        if is_client_error(error) {
            let (provider, client_id) = (self.provider.clone(), self.client_id.clone());
            SignInError::ClientRefused { provider, client_id, host, description }
        } else if is_redirect_mismatch(error, &description) {
            SignInError::RedirectMismatch { uri: self.redirect_uri.clone(), host, description }
        } else {
            let error = Some(clean(error)).filter(|error| !error.is_empty()).unwrap_or_else(|| "unreadable".into());
            SignInError::Refused { provider: self.provider.clone(), error, description }
        }
    }

    /// Redeems the code (RFC 6749, section 4.1.3). AuthorizationRequest and code are spent, whatever comes of it.
    ///
    /// # Errors
    /// Why the server would not, or that it could not be reached.
    pub async fn redeem(self, code: AuthorizationCode, provider: &Provider, http: &Http) -> Result<TokenResponse> {
        redeem(http, provider, code, self.verifier, &self.state, &self.redirect_uri).await
    }
}

/// Redeems an authorization code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
async fn redeem(
    http: &Http,
    provider: &Provider,
    code: AuthorizationCode,
    verifier: Verifier,
    state: &str,
    redirect_uri: &str,
) -> Result<TokenResponse> {
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
    endpoint.request(http, fields, &provider.code).await.map_err(|token_error| match token_error {
        TokenError::Unsendable(error) => error.into(),
        TokenError::NeverSent(why) => HttpError::Unreachable { host, reason: why }.into(),
        TokenError::InvalidResponse(what) => SignInError::InvalidResponse { host, description: what },
        TokenError::Refused { status, error, description, .. } if status == 401 || is_client_error(&error) => {
            SignInError::ClientRefused { provider: name, client_id: client.id.value.clone(), host, description }
        }
        TokenError::Refused { error, description, .. } if is_redirect_mismatch(&error, &description) => {
            SignInError::RedirectMismatch { uri: redirect_uri.to_owned(), host, description }
        }
        // The one refusal that another sign-in mends: it is the code that is no longer good.
        TokenError::Refused { .. } if token_error.is_final() => {
            SignInError::CodeRefused { provider: name, description: token_error.to_string(), host }
        }
        TokenError::Refused { .. } | TokenError::PerhapsSpent { .. } | TokenError::TooLate(_) => {
            SignInError::ExchangeFailed { provider: name, host, failed: token_error.failed() }
        }
    })
}

/// The parameters of an authorization response. Others are ignored, as RFC 6749 asks.
#[derive(Default)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    description: Option<String>,
    issuer: Option<String>,
}

impl Answer {
    /// A parameter that comes twice is refused (RFC 6749, section 3.1): two readers could believe
    /// different ones.
    fn read(query: &str) -> std::result::Result<Self, &'static str> {
        let mut answer = Self::default();
        let mut names = HashSet::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !names.insert(name.clone()) {
                return Err("this answer says something twice");
            }
            let slot = match &*name {
                "code" => &mut answer.code,
                "state" => &mut answer.state,
                "error" => &mut answer.error,
                "error_description" => &mut answer.description,
                "iss" => &mut answer.issuer,
                _ => continue,
            };
            *slot = Some(value.into_owned());
        }
        Ok(answer)
    }
}
