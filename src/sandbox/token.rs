//! The token endpoint (RFC 6749, sections 4.1.3, 5 and 6) and revocation (RFC 7009).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::assertions::{authenticates, spend};
use super::grants::{Decision, DeviceRequest, Family, Use};
use super::request::only;
use super::script::Answer;
use super::{RecordedRequest, State, id_token};
use crate::assertion::JWT_ASSERTION_TYPE;
use crate::provider::ClientAuth;

/// The grant type of the device flow (RFC 8628, section 3.4).
pub(super) const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The grant types (RFC 6749, section 4.4.2; RFC 7523, section 2.1; RFC 8693, section 2.1).
const CLIENT_CREDENTIALS: &str = "client_credentials";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// How long a code is valid. No test waits for it.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

pub(super) type Fields = [(String, String)];

/// `POST /token`.
pub(super) fn token(state: &mut State, request: &RecordedRequest) -> Answer {
    let worked = fields(request).and_then(|fields| {
        let client_id = authenticate(state, None, request, &fields)?;
        match required(&fields, "grant_type")? {
            "authorization_code" => exchange(state, &client_id, &fields),
            "refresh_token" => refresh(state, &client_id, &fields),
            DEVICE_CODE_GRANT if state.settings.device.is_some() => device(state, &client_id, &fields),
            CLIENT_CREDENTIALS if state.settings.assertions.grants => client_credentials(state, &client_id, &fields),
            JWT_BEARER if state.settings.assertions.grants => jwt_bearer(state, &client_id, &fields),
            TOKEN_EXCHANGE if state.settings.assertions.grants => token_exchange(state, &client_id, &fields),
            other => Err(refusal(400, "unsupported_grant_type", &format!("{other} is not supported"))),
        }
    });
    worked.unwrap_or_else(|refusal| refusal)
}

/// `POST /revoke`. An unknown token counts as revoked (RFC 7009, section 2.2).
pub(super) fn revoke(state: &mut State, request: &RecordedRequest) -> Answer {
    let worked = fields(request).and_then(|fields| {
        let revoke_auth = state.settings.revoke_auth;
        let client_id = authenticate(state, revoke_auth, request, &fields)?;
        let presented = required(&fields, "token")?;
        if state.grants.is_foreign(&client_id, presented) {
            return Err(invalid_grant("this token belongs to another client"));
        }
        if state.grants.revoke(presented) {
            state.counts.revocations += 1;
        }
        Ok(Answer { status: 200, headers: Vec::new(), body: Vec::new() }.header("cache-control", "no-store"))
    });
    worked.unwrap_or_else(|refusal| refusal)
}

fn exchange(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let presented = required(fields, "code")?;
    let (redirect_uri, verifier) = (required(fields, "redirect_uri")?, required(fields, "code_verifier")?);
    let Some(code) = state.grants.find_code(presented) else {
        return Err(invalid_grant("unknown code"));
    };
    if let Some(family) = code.spent_on {
        // RFC 6749, section 4.1.2: the tokens of the code are revoked.
        state.grants.end(family);
        return Err(invalid_grant("this code was already used"));
    }
    let approval = code.approval.clone();
    if code.issued.elapsed() > CODE_LIFETIME {
        return Err(invalid_grant("this code has expired"));
    }
    if approval.client_id != client_id {
        return Err(invalid_grant("this code belongs to another client"));
    }
    if approval.redirect_uri != redirect_uri {
        return Err(invalid_grant("redirect_uri differs from the authorization request"));
    }
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(refusal(400, "invalid_request", "code_verifier is malformed (RFC 7636, section 4.1)"));
    }
    if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != approval.challenge {
        return Err(invalid_grant("code_verifier does not match the code_challenge"));
    }
    if state.settings.state_at_exchange && one(fields, "state")? != Some(approval.state.as_str()) {
        return Err(refusal(400, "oauth_request_parse_error", "state is missing or wrong"));
    }
    check_resource(state, fields)?;
    let family = state.grants.spend_code(presented, state.settings.one_grant);
    state.counts.exchanges += 1;
    let offline = approval.consent && approval.scope.split(' ').any(|scope| scope == "offline_access");
    let refreshes = state.settings.refresh_tokens && (offline || !state.settings.offline_needs_consent);
    let refresh = refreshes.then(|| state.grants.refresh_token(client_id, family, &approval.scope));
    Ok(tokens(state, family, refresh, &approval.scope, (client_id, approval.nonce.as_deref())))
}

/// A poll (RFC 8628, section 3.4).
fn device(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let presented = required(fields, "device_code")?;
    let known = state.grants.find_device(presented).filter(|request| request.client_id == client_id);
    let Some(DeviceRequest { scope, decision, .. }) = known.cloned() else {
        return Err(invalid_grant("this device code was already used, or is unknown"));
    };
    match decision {
        Decision::Pending => return Err(refusal(400, "authorization_pending", "the user has not decided yet")),
        Decision::Denied => return Err(refusal(400, "access_denied", "the user denied the request")),
        Decision::Approved => {}
    }
    check_resource(state, fields)?;
    let family = state.grants.spend_device(presented, state.settings.one_grant);
    state.counts.exchanges += 1;
    let refresh = state.settings.refresh_tokens.then(|| state.grants.refresh_token(client_id, family, &scope));
    Ok(tokens(state, family, refresh, &scope, (client_id, None)))
}

/// A token for the client itself (RFC 6749, section 4.4).
fn client_credentials(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    if state.settings.client_auth == ClientAuth::None {
        return Err(refusal(400, "unauthorized_client", "a public client has no credentials"));
    }
    issue(state, client_id, fields)
}

/// A token for the subject of an assertion (RFC 7523, section 2.1).
fn jwt_bearer(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let assertion = required(fields, "assertion")?.to_owned();
    spend_assertion(state, &assertion)?;
    issue(state, client_id, fields)
}

/// A token for the subject of another token (RFC 8693, section 2.1). An access token of this server is accepted too.
fn token_exchange(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let (subject, kind) = (required(fields, "subject_token")?.to_owned(), required(fields, "subject_token_type")?);
    let Some(kind) = kind.strip_prefix("urn:ietf:params:oauth:token-type:") else {
        return Err(refusal(400, "invalid_request", "unknown subject_token_type"));
    };
    if !(kind == "access_token" && state.grants.access_is_good(&subject)) {
        spend_assertion(state, &subject)?;
    }
    issue(state, client_id, fields)
}

fn issue(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    check_resource(state, fields)?;
    let scope = one(fields, "scope")?.unwrap_or_default().to_owned();
    let family = state.grants.new_family(false);
    state.counts.exchanges += 1;
    Ok(tokens(state, family, None, &scope, (client_id, None)))
}

fn spend_assertion(state: &mut State, assertion: &str) -> Result<(), Answer> {
    let opaque = state.settings.assertions.opaque;
    spend(state, assertion).map_err(|why| invalid_grant(if opaque { "" } else { why }))
}

fn check_resource(state: &State, fields: &Fields) -> Result<(), Answer> {
    match state.settings.allows_resource(one(fields, "resource")?) {
        true => Ok(()),
        false => Err(refusal(400, "invalid_target", "the resource is missing or unknown")),
    }
}

fn refresh(state: &mut State, client_id: &str, fields: &Fields) -> Result<Answer, Answer> {
    let presented = required(fields, "refresh_token")?;
    check_resource(state, fields)?;
    let (rotate, grace) = (state.settings.rotate, state.settings.grace);
    match state.grants.use_refresh(client_id, presented, rotate, grace) {
        Use::Unknown => Err(invalid_grant("unknown refresh token")),
        // RFC 6749, section 5.2.
        Use::Foreign => Err(invalid_grant("this refresh token belongs to another client")),
        Use::Reused => Err(invalid_grant("this refresh token was already used; the session has ended")),
        Use::Granted { family, scope } => {
            state.counts.refreshes += 1;
            let next = rotate.then(|| state.grants.refresh_token(client_id, family, &scope));
            Ok(tokens(state, family, next, &scope, (client_id, None)))
        }
    }
}

/// A successful response (RFC 6749, section 5.1), with the members of the Claude Console and the `grant_id` of Grant
/// Management for OAuth 2.0.
fn tokens(
    state: &mut State,
    family: Family,
    refresh: Option<String>,
    scope: &str,
    (client_id, nonce): (&str, Option<&str>),
) -> Answer {
    let mut body = json!({
        "access_token": state.grants.access_token(family),
        "token_type": "Bearer",
        "scope": scope,
        "grant_id": format!("sandbox-grant-{family}"),
        "account": { "uuid": id_token::uuid(&state.settings.account), "email_address": state.settings.account },
        "organization": { "uuid": "5a2d6b0e-0000-4000-8000-000000000042", "name": state.settings.organization },
    });
    if let Some(refresh) = refresh {
        body["refresh_token"] = refresh.into();
    }
    if state.settings.id_token && scope.split(' ').any(|scope| scope == "openid") {
        let id_token = id_token::id_token(state, client_id, nonce);
        state.grants.keep(Some(id_token.clone()));
        body["id_token"] = id_token.into();
    }
    if let Some(lifetime) = &state.settings.token_lifetime {
        body["expires_in"] = lifetime.clone();
    }
    for (name, value) in &state.settings.token_extra {
        body[name] = value.clone();
    }
    let answer = super::json(200, &body).header("pragma", "no-cache");
    match &state.settings.date {
        Some(date) => answer.header("date", date),
        None => answer,
    }
}

pub(super) fn fields(request: &RecordedRequest) -> Result<Vec<(String, String)>, Answer> {
    request.fields().ok_or_else(|| refusal(400, "invalid_request", "the body is neither a form nor a flat JSON object"))
}

fn one<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, Answer> {
    only(fields, name).map_err(|why| refusal(400, "invalid_request", &why))
}

fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Answer> {
    one(fields, name)?.ok_or_else(|| refusal(400, "invalid_request", &format!("{name} is missing")))
}

/// Client authentication (RFC 6749, section 2.3), with the method of the client only, or with `other` if it has a
/// secret. Returns the client's id.
pub(super) fn authenticate(
    state: &mut State,
    other: Option<ClientAuth>,
    request: &RecordedRequest,
    fields: &Fields,
) -> Result<String, Answer> {
    let header = request.header("authorization");
    let (id, secret) = (one(fields, "client_id")?, one(fields, "client_secret")?);
    let registered = id.and_then(|id| Some((id, state.clients.get(id)?)));
    if registered.is_some_and(|(_, registered)| registered.has_expired()) {
        return Err(invalid_client("the secret of this client has expired"));
    }
    let settings = &state.settings;
    if registered.is_none() && id.is_some_and(|id| id != settings.client_id) {
        return Err(unknown_client());
    }
    let (expected_id, expected_secret, auth) = match registered {
        Some((id, registered)) => (id, registered.secret.as_deref(), registered.auth),
        None => (settings.client_id.as_str(), settings.client_secret.as_deref(), settings.client_auth),
    };
    let auth = other.filter(|_| expected_secret.is_some()).unwrap_or(auth);
    if auth == ClientAuth::PrivateKeyJwt {
        let expected_id = expected_id.to_owned();
        return by_assertion(state, expected_id, request, fields);
    }
    let raw = auth == ClientAuth::BasicRaw;
    let header = header.map(|header| basic(header, raw));
    let way = match (&header, secret) {
        (Some(_), Some(_)) => {
            return Err(refusal(400, "invalid_request", "the client uses two authentication methods"));
        }
        (Some(_), None) if raw => ClientAuth::BasicRaw,
        (Some(_), None) => ClientAuth::Basic,
        (None, Some(_)) => ClientAuth::Post,
        (None, None) => ClientAuth::None,
    };
    let expected = (Some(expected_id).filter(|id| !id.is_empty()), expected_secret);
    let known = match &header {
        Some(Some((user, password))) => {
            (Some(user.as_str()), Some(password.as_str())) == expected && id.is_none_or(|id| id == user)
        }
        Some(None) => false,
        None => (id, secret) == expected,
    };
    if way != auth {
        let why = format!("this client must authenticate by {}", auth.as_str());
        return Err(invalid_client(&why));
    }
    if known { Ok(expected_id.to_owned()) } else { Err(unknown_client()) }
}

/// Client authentication with an assertion (RFC 7523, section 2.2), and with nothing else.
fn by_assertion(
    state: &mut State,
    client_id: String,
    request: &RecordedRequest,
    fields: &Fields,
) -> Result<String, Answer> {
    let why = "this client must authenticate by private_key_jwt";
    if request.header("authorization").is_some() || one(fields, "client_secret")?.is_some() {
        return Err(invalid_client(why));
    }
    if one(fields, "client_assertion_type")? != Some(JWT_ASSERTION_TYPE) {
        return Err(invalid_client(why));
    }
    let assertion = one(fields, "client_assertion")?.ok_or_else(|| invalid_client(why))?;
    match authenticates(state, &client_id, assertion) {
        Ok(()) => Ok(client_id),
        Err(_) if state.settings.assertions.opaque => Err(invalid_client("")),
        Err(why) => Err(invalid_client(why)),
    }
}

/// The id and secret of a Basic header, each form-decoded (RFC 6749, section 2.3.1) unless they are `raw`.
fn basic(header: &str, raw: bool) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    if raw {
        return Some((user.to_owned(), password.to_owned()));
    }
    let decoded = |text: &str| {
        let pair = format!("x={text}");
        let value = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
        // A raw `&` would have to be encoded.
        value.filter(|_| !text.contains('&'))
    };
    Some((decoded(user)?, decoded(password)?))
}

fn invalid_grant(why: &str) -> Answer {
    refusal(400, "invalid_grant", why)
}

fn invalid_client(why: &str) -> Answer {
    refusal(401, "invalid_client", why).header("www-authenticate", "Basic realm=\"nexus sandbox\"")
}

fn unknown_client() -> Answer {
    invalid_client("unknown client or wrong secret")
}

/// An error as RFC 6749, section 5.2 writes it.
pub(super) fn refusal(status: u16, error: &str, description: &str) -> Answer {
    let body: Value = match description {
        "" => json!({ "error": error }),
        description => json!({ "error": error, "error_description": description }),
    };
    super::json(status, &body)
}
