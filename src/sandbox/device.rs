//! The device authorization endpoint and its verification page (RFC 8628).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::authorization::{FOOT, LABEL, USUAL_SCOPE};
use super::grants::{Decision, DeviceRequest};
use super::request::only;
use super::script::Answer;
use super::token::{authenticate, fields, refusal};
use super::{Endpoint, RecordedRequest, Sandbox, State};
use crate::loopback::page::{self, Page, Tone, escape};

/// How long a code is valid, as the answer says. No test waits for it.
const LIFETIME: u32 = 600;

impl Sandbox {
    /// Approves the sign-in with this user code, as the user does on another device. Returns whether the code is known
    /// and waits for a decision.
    pub fn approve_device(&self, user_code: &str) -> bool {
        self.decide_device(user_code, Decision::Approved)
    }

    /// Denies the sign-in with this user code. Returns whether the code is known and waits for a decision.
    pub fn deny_device(&self, user_code: &str) -> bool {
        self.decide_device(user_code, Decision::Denied)
    }

    fn decide_device(&self, user_code: &str, decision: Decision) -> bool {
        let decided = self.shared.state().grants.decide_device(user_code, decision);
        self.shared.changed.send_replace(());
        decided
    }
}

/// `POST /device_authorization`.
pub(super) fn begin(state: &mut State, request: &RecordedRequest) -> Answer {
    let Some(members) = state.settings.device.clone() else {
        return super::json(404, &json!({ "error": "not_found" }));
    };
    let begun = fields(request).and_then(|fields| {
        let client_id = authenticate(state, None, request, &fields)?;
        let invalid = |why: String| refusal(400, "invalid_request", &why);
        if state.clients.get(&client_id).is_some_and(|client| !client.with_device) {
            return Err(refusal(400, "unauthorized_client", "this client may not use the device flow"));
        }
        let scope = only(&fields, "scope").map_err(invalid)?.unwrap_or(USUAL_SCOPE).to_owned();
        if let Some(scope) = state.settings.unknown_scope(&scope) {
            return Err(refusal(400, "invalid_scope", &format!("the scope {scope} is not supported")));
        }
        if !state.settings.allows_resource(only(&fields, "resource").map_err(invalid)?) {
            return Err(refusal(400, "invalid_target", "the resource is missing or unknown"));
        }
        Ok(state.grants.device(DeviceRequest { client_id, scope, decision: Decision::Pending }))
    });
    match begun {
        Ok((device_code, user_code)) => super::json(200, &response(state, &device_code, &user_code, members)),
        Err(refusal) => refusal,
    }
}

fn response(state: &State, device_code: &str, user_code: &str, members: Map<String, Value>) -> Value {
    let uri = format!("{}{}", state.origin, Endpoint::DevicePage.path());
    let mut body = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": uri,
        "verification_uri_complete": format!("{uri}?user_code={user_code}"),
        "expires_in": LIFETIME,
        "interval": 1,
    });
    if let Some(body) = body.as_object_mut() {
        body.extend(members);
        body.retain(|_, value| !value.is_null());
    }
    body
}

/// `GET /device`: asks for the code and for the decision.
pub(super) fn ask(state: &State, request: &RecordedRequest) -> Response<Full<Bytes>> {
    let parameters = request.parameters();
    let code = only(&parameters, "user_code").ok().flatten().unwrap_or_default();
    let body = format!(
        "<p>Enter the code that the other device shows. Only continue if you started this sign-in.</p>\n\
         <dl>\n<div><dt>Account</dt><dd>{account}, {organization}</dd></div>\n</dl>\n\
         <form method=\"post\" action=\"device/decision\">\n\
         <p><label>Code <input name=\"user_code\" value=\"{code}\" autocomplete=\"off\"></label></p>\n\
         <button name=\"decision\" value=\"allow\">Allow</button>\n\
         <button class=\"quiet\" name=\"decision\" value=\"deny\">Deny</button>\n</form>",
        account = escape(&state.settings.account),
        organization = escape(&state.settings.organization),
        code = escape(code),
    );
    let page = Page { title: "Connect another device", tone: Tone::Asking, label: LABEL, body, foot: FOOT };
    let mut response = page.answer(StatusCode::OK);
    page::harden(&mut response, Some("'self'"));
    response
}

/// `POST /device/decision`.
pub(super) fn decide(state: &mut State, request: &RecordedRequest) -> Response<Full<Bytes>> {
    let code = request.field("user_code").unwrap_or_default();
    let allowed = request.field("decision").as_deref() == Some("allow");
    let decision = if allowed { Decision::Approved } else { Decision::Denied };
    let (status, title, tone, text) = match state.grants.decide_device(&code, decision) {
        true if allowed => (StatusCode::OK, "Approved", Tone::Done, "Return to the other device."),
        true => (StatusCode::OK, "Denied", Tone::Failed, "The other device is not signed in."),
        false => (StatusCode::BAD_REQUEST, "Unknown code", Tone::Failed, "Go back and compare the code."),
    };
    let page = Page { title, tone, label: LABEL, body: format!("<p>{text}</p>"), foot: FOOT };
    page.answer(status)
}
