//! The pushed authorization request endpoint (RFC 9126).

use serde_json::json;

use super::authorization::{RequestError, check};
use super::script::Answer;
use super::token::{authenticate, fields, refusal};
use super::{RecordedRequest, State};

/// How long a `request_uri` is valid, as the answer says. No test waits for it.
const LIFETIME: u32 = 60;

/// `POST /par`. The request is checked here, and again when the browser brings its `request_uri`.
pub(super) fn push(state: &mut State, request: &RecordedRequest) -> Answer {
    let pushed = fields(request).and_then(|fields| {
        authenticate(state, None, request, &fields)?;
        if fields.iter().any(|(name, _)| name == "request_uri") {
            return Err(refusal(400, "invalid_request", "a pushed request has no `request_uri`"));
        }
        match check(state, &fields) {
            Ok(_) => Ok(state.grants.push(fields)),
            Err(RequestError::Page(why)) => Err(refusal(400, "invalid_request", &why)),
            Err(RequestError::Redirect { error, description, .. }) => Err(refusal(400, error, &description)),
        }
    });
    match pushed {
        Ok(uri) => super::json(201, &json!({ "request_uri": uri, "expires_in": LIFETIME })),
        Err(refusal) => refusal,
    }
}
