//! What servers publish about themselves: where it is looked for, what is believed, and what is stored.

use nexus::ClientAuth;
use nexus::sandbox::{Answer, Endpoint, Issuer, Piece, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, approve, sandbox, visit};

/// A section with an issuer and a client id.
fn by_issuer(sandbox: &Sandbox, lines: &str) -> String {
    let origin = sandbox.origin();
    format!(
        "default = \"work\"\n[provider.work]\nissuer = \"{origin}\"\nclient_id = \"sandbox-client\"\n\
         redirect_uri = \"http://127.0.0.1:0/callback\"\napi_url = \"{origin}\"\n{lines}\n"
    )
}

/// A home whose provider `work` has only an issuer, a client id and an API.
fn at_issuer(sandbox: &Sandbox, lines: &str) -> Nexus {
    let nexus = Nexus::at(sandbox);
    nexus.configure(&by_issuer(sandbox, lines));
    nexus
}

/// Settings whose metadata has these members too. `null` removes one.
fn publishing(members: Value) -> Settings {
    let Value::Object(metadata) = members else { panic!("an object") };
    Settings { metadata, ..Settings::default() }
}

/// The paths that were asked for, in order.
fn asked(sandbox: &Sandbox) -> Vec<String> {
    sandbox.requests().into_iter().map(|request| request.path).collect()
}

fn start(nexus: &Nexus) -> Output {
    let mut started = nexus.start(&["--no-browser"]);
    if let Some(url) = started.url_or_end() {
        visit(&approve(&url));
    }
    started.finish()
}

#[test]
fn an_issuer_and_a_client_id_are_enough_to_sign_in() {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = at_issuer(&sandbox, "");
    let output = start(&nexus);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.starts_with("[SERVER] is an authorization server; signing in there.\n"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::ServerMetadata).len(), 1);
    // The session has the endpoints.
    nexus.run(&["oauth", "token"]).ok();
    nexus.run(&["chat", "x"]).ok();
    assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at [SERVER]"));
    assert!(sandbox.refreshes() > 0);
    let well_known = asked(&sandbox).into_iter().filter(|path| path.contains("well-known"));
    assert_eq!(well_known.collect::<Vec<_>>(), ["/.well-known/oauth-authorization-server"]);
}

#[test]
fn a_provider_with_both_endpoints_reads_no_metadata() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at_with(&sandbox, &format!("issuer = '{}'", sandbox.origin()));
    nexus.sign_in();
    assert!(asked(&sandbox).iter().all(|path| !path.contains("well-known")));
}

#[test]
fn metadata_is_also_found_where_openid_puts_it() {
    let sandbox = sandbox(Settings { publishes: vec![Endpoint::OpenidConfiguration], ..Settings::default() });
    assert_eq!(start(&at_issuer(&sandbox, "")).code, Some(0));
    assert_eq!(asked(&sandbox)[..2], ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]);
}

#[test]
fn an_issuer_with_a_path_is_asked_in_each_form() {
    let settings = Settings { prefix: "/realms/a".into(), publishes: Vec::new(), ..Settings::default() };
    let sandbox = sandbox(settings);
    let nexus = at_issuer(&sandbox, "");
    let issuer = format!("{}/realms/a", sandbox.origin());
    nexus.configure(
        &by_issuer(&sandbox, "").replace(&format!("issuer = \"{}", sandbox.origin()), &format!("issuer = \"{issuer}")),
    );
    assert_eq!(start(&nexus).code, Some(2));
    assert_eq!(
        asked(&sandbox),
        [
            "/.well-known/oauth-authorization-server/realms/a",
            "/realms/a/.well-known/openid-configuration",
            "/.well-known/openid-configuration/realms/a",
            "/realms/a/.well-known/oauth-authorization-server",
        ]
    );
    sandbox.change(|settings| {
        settings.publishes = vec![Endpoint::OpenidConfiguration];
        settings.metadata.insert("issuer".into(), issuer.clone().into());
        settings.issuer = Issuer::Other(issuer);
    });
    assert_eq!(start(&nexus).code, Some(0));
}

#[test]
fn a_slash_at_the_end_of_the_issuer_makes_no_difference() {
    for (configured, published) in [("", "/"), ("/", "")] {
        let sandbox = sandbox(Settings::default());
        let issuer = format!("{}{published}", sandbox.origin());
        sandbox.change(|settings| {
            settings.metadata.insert("issuer".into(), issuer.clone().into());
            settings.issuer = Issuer::Other(issuer.clone());
        });
        let nexus = at_issuer(&sandbox, "");
        let origin = sandbox.origin();
        let toml = by_issuer(&sandbox, "");
        nexus.configure(&toml.replace(&format!("issuer = \"{origin}"), &format!("issuer = \"{origin}{configured}")));
        let output = start(&nexus);
        assert_eq!(output.code, Some(0), "{configured} {published}: {output}");
        nexus.run(&["oauth", "token"]).ok();
    }
}

#[test]
fn configured_keys_win_over_metadata() {
    let elsewhere = json!({
        "authorization_endpoint": "http://127.0.0.1:1/authorize",
        "revocation_endpoint": "http://127.0.0.1:1/revoke",
    });
    let sandbox = sandbox(publishing(elsewhere));
    let (authorize, revoke) = (sandbox.url(Endpoint::Authorize), sandbox.url(Endpoint::Revoke));
    let lines = format!("authorize_url = '{authorize}'\nrevoke_url = '{revoke}'\nscopes = ['model.read']\n");
    let nexus = at_issuer(&sandbox, &lines);
    let output = start(&nexus);
    assert_eq!(output.code, Some(0), "{output}");
    let parameters = sandbox.requests_to(Endpoint::Authorize)[0].parameters();
    assert!(parameters.contains(&("scope".into(), "model.read".into())), "{parameters:?}");
    assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at [SERVER]"));
}

#[test]
fn the_listed_scopes_are_asked_for_unless_others_are_configured() {
    let scope = |listed: Value, lines: &str| {
        let sandbox = sandbox(publishing(json!({ "scopes_supported": listed })));
        assert_eq!(start(&at_issuer(&sandbox, lines)).code, Some(0));
        let parameters = sandbox.requests_to(Endpoint::Authorize)[0].parameters();
        parameters.into_iter().find(|(name, _)| name == "scope").map(|(_, scope)| scope)
    };
    let listed = json!(["email", "offline_access", "openid"]);
    assert_eq!(scope(listed.clone(), ""), Some("openid offline_access".into()));
    assert_eq!(scope(json!(["email"]), ""), None);
    assert_eq!(scope(Value::Null, ""), None);
    assert_eq!(scope(listed.clone(), "scopes = []"), None);
    assert_eq!(scope(listed, "scopes = ['x']"), Some("x".into()));
}

#[test]
fn the_secret_goes_into_the_body_where_the_server_lists_that() {
    for (auth, listed, lines, header) in [
        (ClientAuth::Post, json!(["client_secret_post"]), "", false),
        (ClientAuth::Post, json!(["client_secret_basic", "client_secret_post"]), "", false),
        (ClientAuth::Basic, json!(["client_secret_basic"]), "", true),
        (ClientAuth::Basic, Value::Null, "", true),
        (ClientAuth::Basic, json!(["client_secret_post"]), "client_auth = 'basic'", true),
    ] {
        let sandbox = sandbox(Settings {
            client_auth: auth,
            client_secret: Some("s3cr3t".into()),
            token_lifetime: Some(json!(0)),
            ..publishing(json!({ "token_endpoint_auth_methods_supported": listed }))
        });
        let nexus = at_issuer(&sandbox, &format!("client_secret = 's3cr3t'\n{lines}"));
        assert_eq!(start(&nexus).code, Some(0), "{listed} {lines}");
        nexus.run(&["oauth", "token"]).ok();
        let tokens = sandbox.requests_to(Endpoint::Token);
        let headers: Vec<_> = tokens.iter().map(|request| request.header("authorization").is_some()).collect();
        assert_eq!(headers, [header, header], "{listed} {lines}: the exchange and the refresh");
    }
}

#[test]
fn a_server_that_promises_iss_must_send_it() {
    for (lines, code) in [("", 4), ("require_iss = false", 0)] {
        let sandbox = sandbox(Settings { issuer: Issuer::Absent, ..Settings::default() });
        let output = start(&at_issuer(&sandbox, lines));
        assert_eq!(output.code, Some(code), "{lines}: {output}");
    }
    let sandbox = sandbox(Settings {
        issuer: Issuer::Absent,
        ..publishing(json!({ "authorization_response_iss_parameter_supported": null }))
    });
    assert_eq!(start(&at_issuer(&sandbox, "")).code, Some(0));
}

#[test]
fn a_session_stays_with_its_issuer() {
    let (first, second) = (sandbox(Settings::default()), sandbox(Settings::default()));
    let nexus = at_issuer(&first, "");
    start(&nexus);
    nexus.configure(
        &by_issuer(&second, "")
            .replace(&format!("api_url = \"{}\"", second.origin()), &format!("api_url = \"{}\"", first.origin())),
    );
    let output = nexus.run(&["oauth", "token"]);
    assert_eq!((output.code, &*output.stdout), (Some(4), ""), "{output}");
    assert!(output.stderr.contains("belongs to issuer `[ORIGIN]`, but the configuration now names"), "{output}");
    assert!(second.requests().is_empty());
}

#[test]
fn a_server_without_usable_metadata_is_shown_with_what_it_answered() {
    let sandbox = sandbox(Settings { publishes: Vec::new(), ..Settings::default() });
    let nexus = at_issuer(&sandbox, "");
    sandbox.script(Endpoint::OpenidConfiguration, [Scripted::text(200, "text/html", "<html>welcome</html>")]);
    assert_output!(
        start(&nexus),
        2,
        stdout: "",
        stderr: "  [ORIGIN]/.well-known/oauth-authorization-server  404\n  \
                 [ORIGIN]/.well-known/openid-configuration        200, but it is not a JSON object\n\
                 error: no metadata of the issuer `[ORIGIN]` was found\n  \
                 correct `issuer` under [provider.work] in config.toml; for a server without metadata, ask its operator \
                 for the authorization and token endpoints and set `authorize_url` and `token_url`\n",
    );
    assert!(sandbox.requests_to(Endpoint::Authorize).is_empty());
}

#[test]
fn a_server_that_is_down_is_temporary() {
    let sandbox = sandbox(Settings::default());
    let nexus = at_issuer(&sandbox, "");
    for endpoint in [Endpoint::ServerMetadata, Endpoint::OpenidConfiguration] {
        sandbox.script(endpoint, [Scripted::text(503, "text/plain", "down")]);
    }
    let output = start(&nexus);
    assert_eq!(output.code, Some(75), "{output}");
    drop(sandbox);
    let output = start(&nexus);
    assert_eq!(output.code, Some(75), "{output}");
    assert!(output.stderr.starts_with("error: cannot reach [SERVER]: "), "{output}");
}

/// Members of hostile metadata, and what is said about them.
#[test]
fn hostile_metadata_leads_nowhere() {
    for (members, why) in [
        (json!({ "issuer": "https://evil.example.com" }), "it belongs to the issuer `https://evil.example.com`"),
        (json!({ "issuer": null }), "it has no `issuer`"),
        (json!({ "issuer": [1] }), "it has a `issuer` that is not a string"),
        (
            json!({ "token_endpoint": "http://id.example.com/token" }),
            "it has a `token_endpoint` that is http; plain http is allowed on loopback only",
        ),
        (
            json!({ "authorization_endpoint": "javascript:alert(document.cookie)" }),
            "it has a `authorization_endpoint` that does not begin with `https://`",
        ),
        (
            json!({ "authorization_endpoint": "javascript://x/%0aalert(1)" }),
            "it has a `authorization_endpoint` that is javascript, but must be https",
        ),
        (
            json!({ "authorization_endpoint": "--incognito" }),
            "it has a `authorization_endpoint` that does not begin with `https://`",
        ),
        (
            json!({ "authorization_endpoint": "file:///etc/passwd" }),
            "it has a `authorization_endpoint` that is file, but must be https",
        ),
        (
            json!({ "revocation_endpoint": "https://169.254.169.254/latest/meta-data" }),
            "it has a `revocation_endpoint` that leads to the link-local address 169.254.169.254",
        ),
        (json!({ "token_endpoint": 7 }), "it has a `token_endpoint` that is not a string"),
        (json!({ "scopes_supported": "openid" }), "it has a `scopes_supported` that is not a list of strings"),
    ] {
        let sandbox = sandbox(publishing(members.clone()));
        let output = start(&at_issuer(&sandbox, ""));
        assert_eq!(output.code, Some(2), "{members}: {output}");
        assert_eq!(output.stderr.matches(&format!("  200, but {why}\n")).count(), 2, "{members}: {output}");
        assert!(asked(&sandbox).iter().all(|path| path.contains("well-known")), "{members}");
    }
}

#[test]
fn documents_and_redirects_without_an_end_are_given_up() {
    let elsewhere = sandbox(Settings::default());
    let endless = |answer: Answer| {
        Scripted::Answer(Answer { body: vec![Piece::text(&" ".repeat(65_537)), Piece::Hang], ..answer })
    };
    let to = |location: &str| Scripted::text(302, "text/plain", "").header("location", location);
    for (name, answer, why) in [
        ("huge", Scripted::json(200, &json!({ "issuer": "x".repeat(70_000) })), "200, but it has more than 64 KiB"),
        ("endless", endless(Answer::json(200, &json!({}))), "200, but it has more than 64 KiB"),
        ("deep", Scripted::text(200, "application/json", &"[".repeat(60_000)), "200, but it is not a JSON object"),
        ("broken", Scripted::Break(0), "200, but the connection broke"),
        (
            "redirected",
            to(&elsewhere.url(Endpoint::ServerMetadata)),
            "302, a redirect to [ELSEWHERE], which is not followed",
        ),
        ("redirected to a script", to("javascript:alert(1)"), "302, a redirect to javascript, which is not followed"),
        ("redirected nowhere", Scripted::text(302, "text/plain", ""), "302, a redirect to no URL"),
    ] {
        let sandbox = sandbox(Settings { publishes: vec![Endpoint::ServerMetadata], ..Settings::default() });
        let mut nexus = at_issuer(&sandbox, "");
        nexus.name(&elsewhere.origin().replace("http://", ""), "[ELSEWHERE]");
        sandbox.script(Endpoint::ServerMetadata, [answer]);
        let output = start(&nexus);
        assert_eq!(output.code, Some(2), "{name}: {output}");
        assert!(output.stderr.contains(&format!("server  {why}\n")), "{name}: {output}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn redirects_within_the_server_are_followed_for_a_while() {
    let sandbox = sandbox(Settings { publishes: vec![Endpoint::OpenidConfiguration], ..Settings::default() });
    let nexus = at_issuer(&sandbox, "");
    let to = |location: &str| Scripted::text(307, "text/plain", "").header("location", location);
    sandbox.script(Endpoint::ServerMetadata, [to("/.well-known/openid-configuration")]);
    assert_eq!(start(&nexus).code, Some(0));
    // A redirect without an end leaves the other places to be asked.
    sandbox.script(Endpoint::ServerMetadata, vec![to("/.well-known/oauth-authorization-server"); 4]);
    let asked = || sandbox.requests_to(Endpoint::ServerMetadata).len();
    let before = asked();
    assert_eq!(start(&nexus).code, Some(0));
    assert_eq!(asked() - before, 4);
}

#[test]
fn requests_for_metadata_carry_no_credential() {
    let sandbox = sandbox(Settings {
        client_secret: Some("s3cr3t".into()),
        client_auth: ClientAuth::Basic,
        ..Settings::default()
    });
    let nexus = at_issuer(&sandbox, "client_secret = 's3cr3t'\napi_headers = { x-key = 'k3y' }");
    assert_eq!(start(&nexus).code, Some(0));
    for request in sandbox.requests_to(Endpoint::ServerMetadata) {
        assert_eq!((request.header("authorization"), request.header("x-key"), &*request.query), (None, None, ""));
        assert!(request.header("cookie").is_none() && request.body.is_empty());
    }
}
