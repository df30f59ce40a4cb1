//! HTTP Basic at the token endpoint: form-encoded first (RFC 6749, section 2.3.1), and as it is for servers that do not
//! decode it.

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, approve, config, sandbox, visit};

/// A secret that the form encoding changes.
const SECRET: &str = "s/cr=t+";

/// base64 of `sandbox-client:s%2Fcr%3Dt%2B` and of `sandbox-client:s/cr=t+`.
const ENCODED: &str = "Basic c2FuZGJveC1jbGllbnQ6cyUyRmNyJTNEdCUyQg==";
const RAW: &str = "Basic c2FuZGJveC1jbGllbnQ6cy9jcj10Kw==";

/// A sandbox that expects `auth`, and a home whose configuration does not say how to authenticate.
fn with_secret(auth: ClientAuth, id: &str, secret: &str) -> (Sandbox, Nexus) {
    let sandbox = sandbox(Settings {
        client_auth: auth,
        client_id: id.into(),
        client_secret: Some(secret.into()),
        token_lifetime: Some(json!(0)),
        ..Settings::default()
    });
    let nexus = Nexus::at(&sandbox);
    let lines = format!("client_secret = '{secret}'");
    nexus.configure(&config(&sandbox, &lines).replace("\"sandbox-client\"", &format!("'{id}'")));
    (sandbox, nexus)
}

/// How each token request authenticated: the header, and the client id in the body.
fn authentications(sandbox: &Sandbox) -> Vec<(Option<String>, Option<String>)> {
    let requests = sandbox.requests_to(Endpoint::Token);
    let both = |request: &nexus::sandbox::RecordedRequest| {
        (request.header("authorization").map(str::to_owned), request.field("client_id"))
    };
    requests.iter().map(both).collect()
}

fn sent(headers: &[&str]) -> Vec<(Option<String>, Option<String>)> {
    headers.iter().map(|header| (Some((*header).to_owned()), Some("sandbox-client".to_owned()))).collect()
}

fn start(nexus: &Nexus) -> Output {
    let mut started = nexus.start(&["--no-browser"]);
    visit(&approve(&started.url()));
    started.finish()
}

#[test]
fn a_server_that_does_not_decode_basic_gets_the_raw_pair_from_then_on() {
    let (sandbox, nexus) = with_secret(ClientAuth::BasicRaw, "sandbox-client", SECRET);
    assert_eq!(start(&nexus).code, Some(0));
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(authentications(&sandbox), sent(&[ENCODED, RAW, RAW]), "the exchange tries both, the refresh knows");
    assert_eq!((sandbox.counts().exchanges, sandbox.refreshes()), (1, 1));
    assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at"));
}

#[test]
fn a_server_that_decodes_basic_gets_no_raw_pair() {
    let (sandbox, nexus) = with_secret(ClientAuth::Basic, "sandbox-client", SECRET);
    assert_eq!(start(&nexus).code, Some(0));
    sandbox.script(Endpoint::Token, [Scripted::json(401, &json!({ "error": "invalid_client" }))]);
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(2));
    assert_eq!(authentications(&sandbox), sent(&[ENCODED, ENCODED]), "a refresh tries nothing else");
}

#[test]
fn a_configured_raw_pair_is_sent_at_once() {
    let (sandbox, nexus) = with_secret(ClientAuth::BasicRaw, "sandbox-client", SECRET);
    nexus.configure(&config(&sandbox, &format!("client_secret = '{SECRET}'\nclient_auth = 'basic_raw'")));
    assert_eq!(start(&nexus).code, Some(0));
    assert_eq!(authentications(&sandbox), sent(&[RAW]));
}

#[test]
fn the_raw_pair_is_tried_only_if_the_client_was_refused() {
    let refused = |status, error: &str| Scripted::json(status, &json!({ "error": error }));
    for (answer, asked) in [
        (refused(401, "invalid_client"), 2),
        (refused(400, "invalid_client"), 2),
        (refused(403, "unauthorized_client"), 2),
        (refused(400, "invalid_grant"), 1),
        (refused(400, "invalid_request"), 1),
        (refused(503, "invalid_client"), 1),
        (Scripted::text(401, "text/html", "<html>"), 1),
        (Scripted::Close, 1),
    ] {
        let (sandbox, nexus) = with_secret(ClientAuth::Basic, "sandbox-client", SECRET);
        sandbox.script(Endpoint::Token, [answer.clone(), answer.clone()]);
        let output = start(&nexus);
        assert_ne!(output.code, Some(0), "{answer:?}");
        assert_eq!(sandbox.requests_to(Endpoint::Token).len(), asked, "{answer:?}: {output}");
        assert_eq!(sandbox.counts().exchanges, 0);
    }
}

#[test]
fn the_raw_pair_is_not_tried_if_it_is_the_same_or_ambiguous() {
    for (id, secret) in [("sandbox-client", "plain"), ("https://client.example", SECRET)] {
        let (sandbox, nexus) = with_secret(ClientAuth::Post, id, secret);
        assert_eq!(start(&nexus).code, Some(2));
        assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 1, "{id}");
    }
}

#[test]
fn a_raw_pair_with_a_colon_in_the_id_is_a_configuration_error() {
    let (sandbox, nexus) = with_secret(ClientAuth::BasicRaw, "a:b", SECRET);
    let lines = format!("client_secret = '{SECRET}'\nclient_auth = 'basic_raw'");
    nexus.configure(&config(&sandbox, &lines).replace("\"sandbox-client\"", "'a:b'"));
    let output = nexus.run(&["oauth", "start"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("is basic_raw, which cannot carry a `client_id` with a colon"), "{output}");
}
