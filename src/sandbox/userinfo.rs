//! The UserInfo endpoint (OpenID Connect Core, section 5.3).

use serde_json::json;

use super::id_token::uuid;
use super::script::Answer;
use super::token::refusal;
use super::{RecordedRequest, State};

/// `GET /userinfo`.
pub(super) fn userinfo(state: &State, request: &RecordedRequest) -> Answer {
    let bearer = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if !bearer.is_some_and(|token| state.grants.access_is_good(token)) {
        return refusal(401, "invalid_token", "unknown access token").header("www-authenticate", "Bearer");
    }
    let settings = &state.settings;
    let usual = || json!({ "sub": uuid(&settings.account), "email": settings.account });
    super::json(200, &settings.userinfo.clone().unwrap_or_else(usual))
}
