//! The page that asks a person, and what comes of the answer (RFC 6749, section 4.1).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use url::Url;

use super::grants::Asked;
use super::seen::only;
use super::{Issuer, Seen, State};
use crate::loopback::page::{self, Page, Tone, escape};

const LABEL: &str = "Sandbox: part of nexus demo, not a real account";
const FOOT: &str = "This page is served on this machine. It asks for no password and sends nothing elsewhere.";
const DENIED: &str = "the user denied the request";

/// What is granted when no scope is asked for.
const USUAL_SCOPE: &str = "model.request model.read";

/// What is wrong with an authorization request.
enum Wrong {
    /// Nobody can be told but the person: the client or the redirect URI cannot be trusted (RFC
    /// 6749, section 4.1.2.1).
    Page(String),
    /// The client is told.
    Redirect { uri: String, state: Option<String>, error: &'static str, description: String },
}

/// `GET /authorize`.
pub(super) fn ask(state: &mut State, seen: &Seen) -> Response<Full<Bytes>> {
    match check(state, seen) {
        Ok(asked) => consent(state, asked),
        Err(Wrong::Page(why)) => refuse(&why),
        Err(Wrong::Redirect { uri, state: sent, error, description }) => {
            let said = [("error", error), ("error_description", description.as_str())];
            lead_back(state, &uri, sent.as_deref(), &said)
        }
    }
}

/// `POST /authorize/decision`.
pub(super) fn decide(state: &mut State, seen: &Seen) -> Response<Full<Bytes>> {
    // A form on a page that says `no-referrer` is sent with the origin `null`, ours among them; what
    // keeps others out then is the ticket.
    if seen.header("origin").is_some_and(|origin| origin != "null" && origin != state.origin) {
        return refuse("this decision was sent by another site");
    }
    let ticket = seen.field("ticket").unwrap_or_default();
    let Some(asked) = state.grants.take_ticket(&ticket) else {
        return refuse("this decision was already made, or its page has expired");
    };
    let (uri, sent) = (asked.redirect_uri.clone(), asked.state.clone());
    match seen.field("decision").as_deref() {
        Some("allow") => {
            let code = state.grants.code(asked);
            lead_back(state, &uri, Some(&sent), &[("code", &code)])
        }
        _ => lead_back(state, &uri, Some(&sent), &[("error", "access_denied"), ("error_description", DENIED)]),
    }
}

fn check(state: &State, seen: &Seen) -> Result<Asked, Wrong> {
    let parameters = seen.parameters();
    let settings = &state.settings;
    let trusted =
        |name| only(&parameters, name).map_err(Wrong::Page)?.ok_or_else(|| Wrong::Page(format!("`{name}` is missing")));
    let client_id = trusted("client_id")?;
    if client_id != settings.client_id {
        return Err(Wrong::Page(format!("no client `{client_id}` is registered")));
    }
    let redirect_uri = trusted("redirect_uri")?;
    if !settings.redirect.allows(redirect_uri) {
        return Err(Wrong::Page(format!("the redirect URI `{redirect_uri}` is not registered for this client")));
    }
    // From here on the client can be told.
    let sent = only(&parameters, "state").ok().flatten();
    let wrong = |error, description: String| Wrong::Redirect {
        uri: redirect_uri.to_owned(),
        state: sent.map(str::to_owned),
        error,
        description,
    };
    let invalid = |description| wrong("invalid_request", description);
    let required =
        |name| only(&parameters, name).map_err(invalid)?.ok_or_else(|| invalid(format!("{name} is missing")));
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
    let scope = only(&parameters, "scope").map_err(invalid)?.unwrap_or(USUAL_SCOPE);
    let unknown = |scope: &&str| settings.scopes.as_ref().is_some_and(|known| !known.iter().any(|one| one == scope));
    if let Some(scope) = scope.split(' ').find(unknown) {
        return Err(wrong("invalid_scope", format!("the scope {scope} is not supported")));
    }
    Ok(Asked {
        redirect_uri: redirect_uri.into(),
        state: sent.unwrap_or_default().into(),
        challenge: challenge.into(),
        scope: scope.into(),
    })
}

/// Leads the browser back to the client. 303, so that the form's body is not sent on (RFC 9700,
/// section 4.12).
fn lead_back(state: &State, redirect_uri: &str, sent: Option<&str>, said: &[(&str, &str)]) -> Response<Full<Bytes>> {
    let Ok(mut to) = Url::parse(redirect_uri) else { return refuse("the redirect URI is not a URL") };
    {
        let mut query = to.query_pairs_mut();
        query.extend_pairs(said);
        if let Some(sent) = sent {
            query.append_pair("state", sent);
        }
        match &state.settings.issuer {
            Issuer::Unsaid => {}
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

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn consent(state: &mut State, asked: Asked) -> Response<Full<Bytes>> {
    // Browsers apply `form-action` to the redirect that follows the form as well.
    let back = Url::parse(&asked.redirect_uri).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let scopes: Vec<_> = asked.scope.split(' ').map(|scope| format!("<code>{}</code>", escape(scope))).collect();
    let (scopes, back_shown) = (scopes.join(" "), escape(&back));
    let ticket = state.grants.ticket(asked);
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
        client = escape(&settings.client_id),
        account = escape(&settings.account),
        organization = escape(&settings.organization),
        ticket = escape(&ticket),
    );
    let page = Page { title: "Allow this program?", tone: Tone::Asking, label: LABEL, body, foot: FOOT };
    let mut response = page.answer(StatusCode::OK);
    page::harden(&mut response, Some(&format!("'self' {back}")));
    response
}
