//! What the sandbox publishes about itself, for programs that find out by themselves how to sign in.

use serde_json::{Value, json};

use super::token::DEVICE_CODE_GRANT;
use super::{Answer, Endpoint, State, json as answer, messages};

/// A document, if the sandbox publishes it.
pub(super) fn document(state: &State, endpoint: Endpoint) -> Answer {
    if !state.settings.publishes.contains(&endpoint) {
        return messages::refusal(404, "not_found_error", "not found");
    }
    let mut document = match endpoint {
        Endpoint::LitellmContract => litellm_contract(state),
        Endpoint::ProtectedResource => protected_resource(state),
        _ => server_metadata(state),
    };
    for (name, value) in &state.settings.metadata {
        match value {
            Value::Null => drop(document.as_object_mut().and_then(|members| members.remove(name))),
            value => document[name] = value.clone(),
        }
    }
    answer(200, &document)
}

/// RFC 8414, section 2.
fn server_metadata(state: &State) -> Value {
    let url = |endpoint: Endpoint| format!("{}{}", state.origin, endpoint.path());
    let method = state.settings.client_auth.registered_name();
    let mut document = json!({
        "issuer": state.origin,
        "authorization_endpoint": url(Endpoint::Authorize),
        "token_endpoint": url(Endpoint::Token),
        "revocation_endpoint": url(Endpoint::Revoke),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [method],
        "authorization_response_iss_parameter_supported": true,
    });
    let settings = &state.settings;
    if let Some(registration) = &settings.registration {
        document["registration_endpoint"] = url(Endpoint::Register).into();
        document["token_endpoint_auth_methods_supported"] = json!([registration.auth.registered_name()]);
    }
    if settings.require_par {
        document["require_pushed_authorization_requests"] = true.into();
        document["pushed_authorization_request_endpoint"] = url(Endpoint::Par).into();
    }
    if settings.device.is_some() {
        document["device_authorization_endpoint"] = url(Endpoint::DeviceAuthorization).into();
        document["grant_types_supported"] = json!(["authorization_code", "refresh_token", DEVICE_CODE_GRANT]);
    }
    if settings.userinfo.is_some() {
        document["userinfo_endpoint"] = url(Endpoint::Userinfo).into();
    }
    if let Some(method) = settings.revoke_auth {
        document["revocation_endpoint_auth_methods_supported"] = json!([method.registered_name()]);
    }
    if let Some(scopes) = &settings.scopes {
        document["scopes_supported"] = json!(scopes);
    }
    document
}

/// What LiteLLM tells native clients.
fn litellm_contract(state: &State) -> Value {
    let mut document = server_metadata(state);
    document["contract_version"] = 1.into();
    document["resource"] = state.origin.clone().into();
    document["registration_endpoint"] = format!("{}/register", state.origin).into();
    document
}

/// RFC 9728, section 2.
fn protected_resource(state: &State) -> Value {
    json!({
        "resource": state.origin,
        "authorization_servers": [state.origin],
        "scopes_supported": ["model.request", "model.read"],
        "bearer_methods_supported": ["header"],
    })
}
