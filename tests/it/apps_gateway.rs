//! Claude apps gateways: a device flow without a registered client.

use std::fs;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::device::{object, sign_in, with_device};
use crate::nexus::{Nexus, sandbox};

/// A gateway with the contract of Claude apps gateways, below this path.
fn apps_gateway(prefix: &str) -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings {
        client_id: String::new(),
        publishes: vec![Endpoint::ServerMetadata],
        metadata: object(json!({ "authorization_endpoint": null, "scopes_supported": ["openid", "offline_access"] })),
        prefix: prefix.into(),
        ..with_device(json!({ "verification_uri_complete": null }))
    });
    if !prefix.is_empty() {
        sandbox.script(Endpoint::ServerMetadata, [Scripted::text(404, "text/plain", "")]);
    }
    let nexus = Nexus::at(&sandbox);
    fs::remove_file(nexus.path("config.toml")).unwrap();
    (sandbox, nexus)
}

#[test]
fn a_claude_apps_gateway_needs_its_url_and_nothing_else() {
    for prefix in ["", "/claude_code_gateway"] {
        let (sandbox, nexus) = apps_gateway(prefix);
        sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
        let origin = sandbox.origin();
        let output = sign_in(&sandbox, &nexus, &[&origin]);
        assert_eq!(output.code, Some(0), "{output}");
        assert!(
            output.stderr.starts_with(
                "[SERVER] is a Claude apps gateway; signing in with a code to enter on another device.\nTo sign in,"
            ),
            "{output}"
        );
        let written = fs::read_to_string(nexus.path("config.toml")).unwrap();
        let section = format!("default = \"127.0.0.1\"\n\n[provider.\"127.0.0.1\"]\ngateway = \"{origin}\"\n");
        assert_eq!(written, section);
        let [request] = &sandbox.requests_to(Endpoint::DeviceAuthorization)[..] else { panic!("one request") };
        assert_eq!(request.fields(), Some(Vec::new()), "neither a client id nor a scope");

        nexus.run(&["oauth", "token"]).ok();
        nexus.run(&["chat", "x"]).ok();
        assert!(sandbox.refreshes() > 0);
        assert_eq!(sign_in(&sandbox, &nexus, &[]).code, Some(0), "from the section alone");
        let output = nexus.run(&["oauth", "logout"]);
        assert!(output.stderr.starts_with("Revoked the session at"), "{output}");
        for request in [Endpoint::Token, Endpoint::Revoke].into_iter().flat_map(|at| sandbox.requests_to(at)) {
            assert_eq!(request.field("client_id"), None);
        }
    }
}

#[test]
fn a_gateway_that_wants_a_client_says_so() {
    let (sandbox, nexus) = apps_gateway("");
    sandbox.change(|settings| settings.client_id = "sandbox-client".into());
    let output = nexus.run(&["oauth", "start", &sandbox.origin()]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("error: [SERVER] rejected a client without an id: unknown client"), "{output}");
    assert!(output.stderr.contains("have a client registered there and set `client_id`"), "{output}");
    let output = sign_in(&sandbox, &nexus, &[&sandbox.origin(), "--client-id", "sandbox-client"]);
    assert_eq!(output.code, Some(0), "{output}");
}
