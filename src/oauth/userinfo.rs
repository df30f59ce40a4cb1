//! The UserInfo endpoint (OpenID Connect Core, section 5.3), which names the account of an access token.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::id_token::names;
use super::refusal::refusal;
use super::token::body;
use super::token_error::TokenError;
use crate::http::{self, Http, Request};
use crate::provider::Url;
use crate::redact::Redactor;
use crate::secret::AccessToken;

/// How long the request may take, connecting included. A sign-in waits for it.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The longest response that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Requests the claims that name the account. `subject` is the `sub` of the ID token, if there was one: claims of
/// another account must not be used (section 5.3.2). Redirects are not followed.
///
/// # Errors
/// What the server did, as the end of a sentence that begins with its host.
pub(crate) async fn userinfo(
    http: &Http,
    url: &Url,
    token: &AccessToken,
    subject: Option<&str>,
) -> Result<Map<String, Value>, String> {
    let answered = tokio::time::timeout(TIME_LIMIT, request(http, url, token)).await;
    let claims = answered.unwrap_or(Err(TokenError::TimedOut(TIME_LIMIT))).map_err(|error| error.to_string())?;
    let named = claims.get("sub").and_then(Value::as_str);
    if subject.is_some() && named != subject {
        return Err("named another account than the ID token".into());
    }
    names(&claims).ok_or_else(|| "named no account".into())
}

async fn request(http: &Http, url: &Url, token: &AccessToken) -> Result<Map<String, Value>, TokenError> {
    let invalid = |what: &str| TokenError::InvalidResponse(what.to_owned());
    let route = http.route(url).map_err(TokenError::NotSent)?;
    let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| invalid("an invalid token"))?;
    bearer.set_sensitive(true);
    let mut request = Request::get(url.clone(), "application/json");
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let redactor = Redactor::new([token.expose()].into_iter());
    let sent = route.send(request, &redactor).await;
    let response = sent.map_err(|error| TokenError::NotSent(error.at(url)))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = body(response, BODY_LIMIT).await?;
    match status {
        200..=299 => serde_json::from_slice(&body).map_err(|_| invalid("not a JSON object")),
        300..=399 => Err(invalid(&format!("a redirect ({status}), which is not followed"))),
        status => Err(refusal(status, http::retry_after(&headers), &body, &redactor)),
    }
}
