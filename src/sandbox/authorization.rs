//! The authorization endpoint and its consent page (RFC 6749, section 4.1).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use url::Url;

use super::grants::{ApprovalRequest, Parameters};
use super::request::only;
use super::{Issuer, RecordedRequest, State};
use crate::loopback::page::{self, Page, Tone, capitalized, escape};

pub(super) const LABEL: &str = "Sandbox: not a real account";
pub(super) const FOOT: &str =
    "This page is served on this machine. It asks for no password and sends nothing elsewhere.";
const DENIED: &str = "the user denied the request";

/// The scopes that are granted if the request names none.
pub(super) const USUAL_SCOPE: &str = "model.request model.read";

/// An error in an authorization request.
pub(super) enum RequestError {
    /// The client or the redirect URI is invalid, so the error is shown to the user (RFC 6749, section 4.1.2.1).
    Page(String),
    /// The error is sent to the redirect URI.
    Redirect { uri: String, state: Option<String>, error: &'static str, description: String },
}

/// `GET /authorize`.
pub(super) fn ask(state: &mut State, request: &RecordedRequest) -> Response<Full<Bytes>> {
    let checked = parameters(state, request).and_then(|parameters| check(state, &parameters));
    match checked {
        Ok(approval) => consent(state, approval),
        Err(RequestError::Page(why)) => refuse(&why),
        Err(RequestError::Redirect { uri, state: sent, error, description }) => {
            let parameters = [("error", error), ("error_description", description.as_str())];
            redirect_back(state, &uri, sent.as_deref(), &parameters)
        }
    }
}

/// `POST /authorize/decision`.
pub(super) fn decide(state: &mut State, request: &RecordedRequest) -> Response<Full<Bytes>> {
    // Browsers send `null` as the origin of a form on a page with `no-referrer`. The ticket protects against other
    // sites.
    if request.header("origin").is_some_and(|origin| origin != "null" && origin != state.origin) {
        return refuse("this decision was sent by another site");
    }
    let ticket = request.field("ticket").unwrap_or_default();
    let Some(approval) = state.grants.take_ticket(&ticket) else {
        return refuse("this decision was already made, or its page has expired");
    };
    let (uri, sent) = (approval.redirect_uri.clone(), approval.state.clone());
    match request.field("decision").as_deref() {
        Some("allow") => {
            let code = state.grants.code(approval);
            redirect_back(state, &uri, Some(&sent), &[("code", &code)])
        }
        _ => redirect_back(state, &uri, Some(&sent), &[("error", "access_denied"), ("error_description", DENIED)]),
    }
}

/// The parameters of the query, or those that were pushed (RFC 9126, section 4).
fn parameters(state: &mut State, request: &RecordedRequest) -> Result<Parameters, RequestError> {
    let sent = request.parameters();
    match only(&sent, "request_uri").map_err(RequestError::Page)? {
        None if state.settings.require_par => Err(RequestError::Page("authorization requests must be pushed".into())),
        None => Ok(sent),
        Some(uri) if sent.len() == 2 => {
            let pushed = state.grants.take_pushed(uri);
            let known = pushed.filter(|pushed| only(pushed, "client_id") == only(&sent, "client_id"));
            known.ok_or_else(|| RequestError::Page("this `request_uri` was already used, or is unknown".into()))
        }
        Some(_) => Err(RequestError::Page("a `request_uri` goes with a `client_id` and nothing else".into())),
    }
}

pub(super) fn check(state: &State, parameters: &Parameters) -> Result<ApprovalRequest, RequestError> {
    let settings = &state.settings;
    let trusted = |name| {
        only(parameters, name)
            .map_err(RequestError::Page)?
            .ok_or_else(|| RequestError::Page(format!("`{name}` is missing")))
    };
    let client_id = trusted("client_id")?;
    let registered = state.clients.get(client_id);
    if client_id != settings.client_id && registered.is_none() {
        return Err(RequestError::Page(format!("no client `{client_id}` is registered")));
    }
    let redirect_uri = trusted("redirect_uri")?;
    let allowed = match registered {
        Some(registered) => registered.redirect_uris.iter().any(|uri| uri == redirect_uri),
        None => settings.redirect.allows(redirect_uri),
    };
    if !allowed {
        return Err(RequestError::Page(format!("the redirect URI `{redirect_uri}` is not registered for this client")));
    }
    // Further errors are sent to the redirect URI.
    let sent = only(parameters, "state").ok().flatten();
    let wrong = |error, description: String| RequestError::Redirect {
        uri: redirect_uri.to_owned(),
        state: sent.map(str::to_owned),
        error,
        description,
    };
    let invalid = |description| wrong("invalid_request", description);
    let required = |name| only(parameters, name).map_err(invalid)?.ok_or_else(|| invalid(format!("{name} is missing")));
    if required("response_type")? != "code" {
        return Err(wrong("unsupported_response_type", "only the response_type `code` is supported".into()));
    }
    required("state")?;
    let challenge = required("code_challenge")?;
    if required("code_challenge_method")? != "S256" {
        return Err(invalid("code_challenge_method must be S256".into()));
    }
    if challenge.len() != 43 || !challenge.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(invalid("code_challenge is not an S256 challenge".into()));
    }
    let scope = only(parameters, "scope").map_err(invalid)?.unwrap_or(USUAL_SCOPE);
    if let Some(scope) = settings.unknown_scope(scope) {
        return Err(wrong("invalid_scope", format!("the scope {scope} is not supported")));
    }
    let forbidden = |scope: &&str| registered.is_some_and(|registered| !registered.allows_scope(scope));
    if let Some(scope) = scope.split(' ').find(forbidden) {
        return Err(wrong("invalid_scope", format!("the client is not registered for the scope {scope}")));
    }
    let [nonce, resource, prompt] = ["nonce", "resource", "prompt"].map(|name| only(parameters, name).map_err(invalid));
    let (nonce, resource, prompt) = (nonce?, resource?, prompt?);
    if nonce.is_none() && settings.id_token && scope.split(' ').any(|scope| scope == "openid") {
        return Err(invalid("nonce is missing".into()));
    }
    if !settings.allows_resource(resource) {
        return Err(wrong("invalid_target", "the resource is missing or unknown".into()));
    }
    Ok(ApprovalRequest {
        client_id: client_id.into(),
        client_name: registered.map_or(client_id, |registered| &registered.name).into(),
        nonce: nonce.map(str::to_owned),
        consent: prompt.is_some_and(|prompt| prompt.split(' ').any(|word| word == "consent")),
        redirect_uri: redirect_uri.into(),
        state: sent.unwrap_or_default().into(),
        challenge: challenge.into(),
        scope: scope.into(),
    })
}

/// Redirects the browser to the client. With 303, the body of the form is not sent again (RFC 9700, section 4.12).
fn redirect_back(
    state: &State,
    redirect_uri: &str,
    sent: Option<&str>,
    parameters: &[(&str, &str)],
) -> Response<Full<Bytes>> {
    let Ok(mut to) = Url::parse(redirect_uri) else { return refuse("the redirect URI is not a URL") };
    {
        let mut query = to.query_pairs_mut();
        query.extend_pairs(parameters);
        if let Some(sent) = sent {
            query.append_pair("state", sent);
        }
        match &state.settings.issuer {
            Issuer::Absent => {}
            Issuer::Own => drop(query.append_pair("iss", &state.origin)),
            Issuer::Other(issuer) => drop(query.append_pair("iss", issuer)),
        }
    }
    page::redirect(StatusCode::SEE_OTHER, to.as_str())
}

fn refuse(why: &str) -> Response<Full<Bytes>> {
    let body = format!(
        "<p>{}.</p>\n<p>For your safety, this page does not redirect back to the program. Close this tab, compare the \
         program's settings with the registered client, and start again.</p>",
        page::sentence(&capitalized(why))
    );
    let page = Page { title: "This request cannot be trusted", tone: Tone::Failed, label: LABEL, body, foot: FOOT };
    page.answer(StatusCode::BAD_REQUEST)
}

fn consent(state: &mut State, approval: ApprovalRequest) -> Response<Full<Bytes>> {
    // Browsers apply `form-action` to the redirect that follows the form as well.
    let back = Url::parse(&approval.redirect_uri).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let scopes: Vec<_> = approval.scope.split(' ').map(|scope| format!("<code>{}</code>", escape(scope))).collect();
    let (scopes, back_shown) = (scopes.join(" "), escape(&back));
    let client = escape(&approval.client_name);
    let ticket = state.grants.ticket(approval);
    let settings = &state.settings;
    let body = format!(
        "<p><strong>{client}</strong> wants to use the sandbox's models on your behalf until you sign out.</p>\n\
         <dl>\n<div><dt>Account</dt><dd>{account}, {organization}</dd></div>\n\
         <div><dt>Scopes</dt><dd>{scopes}</dd></div>\n\
         <div><dt>Redirects to</dt><dd><code>{back_shown}</code></dd></div>\n</dl>\n\
         <form method=\"post\" action=\"authorize/decision\">\n\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\n\
         <button name=\"decision\" value=\"allow\">Allow</button>\n\
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Deny</button>\n</form>",
        account = escape(&settings.account),
        organization = escape(&settings.organization),
        ticket = escape(&ticket),
    );
    let page = Page { title: "Allow this program?", tone: Tone::Asking, label: LABEL, body, foot: FOOT };
    let mut response = page.answer(StatusCode::OK);
    page::harden(&mut response, Some(&format!("'self' {back}")));
    response
}
