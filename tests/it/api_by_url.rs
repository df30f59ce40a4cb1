//! `nexus oauth start URL` and an API, alone or beside its issuer: what it says about its tokens (RFC 9728).

use std::net::TcpListener;

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, RecordedRequest, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::by_url::{CLIENT, bare, config, documented, registering, sent, start};
use crate::nexus::{Nexus, sandbox};

/// The API answers 401 and names its metadata.
fn challenge(sandbox: &Sandbox) {
    let place = sandbox.url(Endpoint::ProtectedResource);
    let challenge = format!("Bearer resource_metadata=\"{place}\"");
    sandbox.script(Endpoint::Models, [Scripted::json(401, &json!({})).header("www-authenticate", &challenge)]);
}

#[test]
fn the_url_of_an_api_leads_to_its_authorization_server() {
    let (sandbox, nexus) = bare(documented(&[Endpoint::ServerMetadata, Endpoint::ProtectedResource]));
    challenge(&sandbox);
    let origin = sandbox.origin();
    let output = start(&nexus, &format!("{origin}/v1"), CLIENT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.starts_with("[SERVER] takes tokens of [SERVER]; signing in there.\n"), "{output}");
    assert!(
        config(&nexus).contains(&format!("[provider.\"127.0.0.1\"]\ngateway = \"{origin}\"\n")),
        "{}",
        config(&nexus)
    );
    let parameters = sandbox.requests_to(Endpoint::Authorize)[0].parameters();
    assert!(parameters.contains(&("scope".into(), "model.request model.read".into())), "{parameters:?}");
    nexus.run(&["chat", "x"]).ok();
    // From the section alone.
    challenge(&sandbox);
    nexus.sign_in();
}

#[test]
fn an_api_may_not_speak_for_others() {
    let elsewhere = sandbox(Settings::default());
    let other = elsewhere.origin();
    for (name, document, why) in [
        (
            "another resource",
            json!({ "resource": "https://other.example.com" }),
            "belongs to the resource `https://other.example.com`",
        ),
        ("no resource", json!({ "resource": null }), "has no `resource`"),
        ("no server", json!({ "authorization_servers": [] }), "names no authorization server"),
        (
            "a server in plain http",
            json!({ "authorization_servers": ["http://id.example.com"] }),
            "names an authorization server that is http; plain http is allowed on loopback only",
        ),
        (
            "a link-local server",
            json!({ "authorization_servers": ["https://169.254.169.254"] }),
            "names an authorization server that leads to the link-local address 169.254.169.254",
        ),
    ] {
        let (sandbox, nexus) = bare(documented(&[Endpoint::ProtectedResource]));
        sandbox.change(|settings| settings.metadata = document.as_object().unwrap().clone());
        challenge(&sandbox);
        let output = start(&nexus, &sandbox.origin(), CLIENT);
        assert_eq!(output.code, Some(2), "{name}: {output}");
        assert!(output.stderr.contains(&format!("  200, but it {why}\n")), "{name}: {output}");
        assert_eq!(config(&nexus), "");
    }
    let (sandbox, nexus) = bare(Settings { publishes: Vec::new(), ..Settings::default() });
    let challenge = format!("Bearer resource_metadata=\"{other}/.well-known/oauth-protected-resource\"");
    sandbox.script(Endpoint::Models, [Scripted::json(401, &json!({})).header("www-authenticate", &challenge)]);
    let output = start(&nexus, &sandbox.origin(), CLIENT);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("401, but it names a `resource_metadata` at 127.0.0.1:"), "{output}");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn an_api_that_needs_no_sign_in_is_told() {
    let (sandbox, nexus) = bare(documented(&[]));
    sandbox.script(Endpoint::Models, [Scripted::json(200, &json!({ "data": [] }))]);
    assert_output!(
        start(&nexus, &sandbox.origin(), &[]),
        0,
        stdout: "",
        stderr: "[SERVER] lists its models without a credential: no sign-in is needed.\n",
    );
    // A page for people is no list of models.
    sandbox.script(Endpoint::Models, [Scripted::text(200, "text/html", "<html>")]);
    assert_eq!(start(&nexus, &sandbox.origin(), &[]).code, Some(2));
    // With an issuer, the sign-in goes on.
    for (answer, note) in [
        (Scripted::json(200, &json!({ "data": [] })), "the API at [SERVER] lists its models without a credential"),
        (Scripted::text(200, "text/html", "<html>"), "the API at [SERVER]: 200, but it has no list of models"),
        (Scripted::json(503, &json!({})), "the API at [SERVER]: 503"),
    ] {
        let (server, nexus) = bare(Settings::default());
        let api = crate::nexus::sandbox(Settings::default());
        // The search asks it too.
        for _ in 0..2 {
            api.script(Endpoint::Models, [answer.clone()]);
        }
        let output = start(&nexus, &server.origin(), &[CLIENT, &["--api-url", &api.origin()]].concat());
        assert_eq!(output.code, Some(0), "{output}");
        let host = api.origin().replace("http://", "");
        assert!(output.stderr.replace(&host, "[SERVER]").contains(note), "{output}");
    }
}

#[test]
fn an_api_that_cannot_be_reached_is_told_before_the_browser_opens() {
    let (sandbox, nexus) = bare(Settings::default());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let api = format!("http://127.0.0.1:{port}");
    let output = start(&nexus, &sandbox.origin(), &[CLIENT, &["--api-url", &api]].concat());
    assert_eq!(output.code, Some(75), "{output}");
    assert!(output.stderr.contains(&format!("cannot reach 127.0.0.1:{port}")), "{output}");
    assert!(sandbox.requests_to(Endpoint::Authorize).is_empty());
}

#[test]
fn the_resource_of_an_api_is_requested_unless_the_configuration_says_otherwise() {
    for (line, resource) in [
        ("", Some("[ORIGIN]")),
        ("resource = \"\"", None),
        ("resource = \"https://llm.example.com\"", Some("https://llm.example.com")),
        ("authorize_params = { resource = \"urn:llm\" }", Some("urn:llm")),
    ] {
        let (sandbox, nexus) = bare(documented(&[Endpoint::ServerMetadata, Endpoint::ProtectedResource]));
        let origin = sandbox.origin();
        challenge(&sandbox);
        nexus.configure(&format!(
            "default = \"work\"\n[provider.work]\ngateway = \"{origin}\"\nclient_id = \"sandbox-client\"\n\
             redirect_uri = \"http://127.0.0.1:0/callback\"\n{line}\n"
        ));
        nexus.sign_in();
        let asked = sent(&sandbox.requests_to(Endpoint::Authorize)[0], "resource");
        assert_eq!(asked.map(|asked| asked.replace(&origin, "[ORIGIN]")).as_deref(), resource, "{line}");
    }
}

/// An authorization server that registers clients for the scopes in its metadata, or for others too, and an API that
/// names it and two scopes of its own.
fn apart(is_strict: bool) -> (Sandbox, Sandbox, Nexus) {
    let (server, nexus) = bare(registering(ClientAuth::None));
    let listed = json!(["openid", "model.read"]);
    server.change(|settings| {
        settings.metadata.insert("scopes_supported".into(), listed);
        if is_strict {
            settings.scopes = Some(vec!["openid".into(), "model.read".into()]);
        }
    });
    let api = sandbox(documented(&[Endpoint::ProtectedResource]));
    api.change(|settings| drop(settings.metadata.insert("authorization_servers".into(), json!([server.origin()]))));
    (server, api, nexus)
}

#[test]
fn an_api_beside_its_issuer_says_what_to_request() {
    let (server, api, nexus) = apart(false);
    let check = |line: &str, resource: Option<String>, scope: &str| {
        let asked = server.requests_to(Endpoint::Authorize).pop().unwrap();
        assert_eq!(sent(&asked, "resource"), resource, "{line}");
        assert_eq!(sent(&asked, "scope").as_deref(), Some(scope), "{line}");
    };
    for _ in 0..2 {
        // By the check before the browser opens, too.
        challenge(&api);
    }
    let output = start(&nexus, &server.origin(), &["--api-url", &api.origin()]);
    assert_eq!(output.code, Some(0), "{output}");
    check("flag", Some(api.origin()), "openid model.request model.read");
    assert!(config(&nexus).contains(&format!("issuer = \"{}\"\n", server.origin())), "{}", config(&nexus));
    // From the section alone.
    for (line, resource, scope) in [
        ("", Some(api.origin()), "openid model.request model.read"),
        ("resource = \"\"", None, "openid model.request model.read"),
        ("scopes = [\"model.read\"]", Some(api.origin()), "model.read"),
    ] {
        challenge(&api);
        nexus.configure(&format!(
            "default = \"work\"\n[provider.work]\nissuer = \"{}\"\napi_url = \"{}\"\n\
             redirect_uri = \"http://127.0.0.1:0/callback\"\n{line}\n",
            server.origin(),
            api.origin()
        ));
        nexus.sign_in();
        check(line, resource, scope);
    }
}

#[test]
fn an_api_beside_an_issuer_that_it_does_not_name_decides_nothing() {
    let (server, api, nexus) = apart(true);
    let other = "takes tokens of https://id.example.com; those of [SERVER_URL] may be rejected";
    for (servers, note) in [(json!(["https://id.example.com"]), Some(other)), (json!([]), None)] {
        api.change(|settings| drop(settings.metadata.insert("authorization_servers".into(), servers)));
        for _ in 0..2 {
            challenge(&api);
        }
        let output = start(&nexus, &server.origin(), &["--api-url", &api.origin()]);
        assert_eq!(output.code, Some(0), "{output}");
        let said = output.stderr.replace(&server.origin(), "[SERVER_URL]").replace("[ORIGIN]", "[SERVER_URL]");
        assert_eq!(said.contains("may be rejected"), note.is_some(), "{said}");
        assert!(said.contains(note.unwrap_or_default()), "{said}");
        let asked = server.requests_to(Endpoint::Authorize).pop().unwrap();
        assert_eq!((sent(&asked, "resource"), sent(&asked, "scope")), (None, Some("openid".into())));
    }
}

#[test]
fn a_server_that_registers_clients_is_preferred_if_there_is_no_client() {
    for (flags, is_second) in [(&[][..], true), (CLIENT, false)] {
        let (second, api, nexus) = apart(false);
        let first = sandbox(documented(&[Endpoint::ServerMetadata]));
        let servers = json!([first.origin(), second.origin()]);
        api.change(|settings| drop(settings.metadata.insert("authorization_servers".into(), servers)));
        challenge(&api);
        let output = start(&nexus, &api.origin(), flags);
        assert_eq!(output.code, Some(0), "{output}");
        let [first, second] = [&first, &second].map(|server| server.requests_to(Endpoint::Token).len());
        assert_eq!((first, second), if is_second { (0, 1) } else { (1, 0) }, "{output}");
    }
}

#[test]
fn an_authorization_server_that_fails_is_told_from_one_that_is_not_named() {
    for (document, code) in [(Scripted::json(503, &json!({})), 75), (Scripted::json(404, &json!({})), 2)] {
        let (server, api, nexus) = apart(false);
        server.script(Endpoint::ServerMetadata, [document.clone()]);
        server.script(Endpoint::OpenidConfiguration, [document]);
        challenge(&api);
        let output = start(&nexus, &api.origin(), &[]);
        assert_eq!(output.code, Some(code), "{output}");
        assert!(output.stderr.contains("names the authorization server at "), "{output}");
    }
}

#[test]
fn an_api_without_a_list_of_models_is_told_after_the_sign_in() {
    let (sandbox, nexus) = bare(documented(&[Endpoint::ServerMetadata, Endpoint::ProtectedResource]));
    challenge(&sandbox);
    sandbox.script(Endpoint::Models, [Scripted::json(404, &json!({}))]);
    let output = start(&nexus, &sandbox.origin(), CLIENT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("has no list of models: "), "{output}");
    assert!(output.stderr.contains("pass --model, or set `model = "), "{output}");
}

#[test]
fn the_scopes_of_an_api_are_registered_where_the_server_accepts_them() {
    for (is_strict, registered) in [
        (false, &["openid model.request model.read"][..]),
        (true, &["openid model.request model.read", "openid model.read"]),
    ] {
        let (server, api, nexus) = apart(is_strict);
        challenge(&api);
        let output = start(&nexus, &api.origin(), &[]);
        let asked: Vec<_> = server.requests_to(Endpoint::Register).iter().map(RecordedRequest::json).collect();
        assert_eq!(asked.iter().map(|asked| &asked["scope"]).collect::<Vec<_>>(), registered, "{output}");
        // What a strict server says about the API's scope is the user's to see.
        assert_eq!(output.code, Some(if is_strict { 2 } else { 0 }), "{output}");
    }
}
