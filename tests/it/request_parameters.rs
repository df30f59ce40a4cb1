//! The keys `resource`, `prompt` and `par_url`, and the method of client authentication at the revocation endpoint.

use std::sync::Arc;

use nexus::sandbox::{Endpoint, RecordedRequest, Sandbox, Scripted, Settings};
use nexus::{Client, ClientAuth, ClientSecret, OAuthClient, Revocation};
use serde_json::json;

use crate::nexus::{Nexus, Output, Running, approve, block_on, config, provider, sandbox, visit};

const RESOURCE: &str = "https://llm.example.com/v1/";

fn parameter(request: &RecordedRequest, name: &str) -> Option<String> {
    request.parameters().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn par_url(sandbox: &Sandbox) -> String {
    format!("par_url = \"{}\"", sandbox.url(Endpoint::Par))
}

/// The end of a sign-in that fails before there is a URL.
fn ended(mut started: Running) -> Output {
    assert_eq!(started.url_or_end(), None);
    started.finish()
}

#[test]
fn the_resource_is_sent_with_every_request_byte_for_byte() {
    let sandbox =
        sandbox(Settings { resource: Some(RESOURCE.into()), token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &format!("resource = \"{RESOURCE}\""));
    nexus.sign_in();
    nexus.run(&["oauth", "token"]).ok();
    let asked = &sandbox.requests_to(Endpoint::Authorize)[0];
    assert_eq!(parameter(asked, "resource").as_deref(), Some(RESOURCE));
    let requests = sandbox.requests_to(Endpoint::Token);
    let sent: Vec<_> = requests.iter().map(|request| request.field("resource")).collect();
    assert_eq!(sent, [Some(RESOURCE.to_owned()), Some(RESOURCE.to_owned())]);
    // The session knows it without the configuration.
    nexus.configure(&config(&sandbox, ""));
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.requests_to(Endpoint::Token)[2].field("resource").as_deref(), Some(RESOURCE));
}

#[test]
fn an_empty_resource_sends_none() {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &format!("resource = \"{RESOURCE}\""));
    nexus.sign_in();
    nexus.configure(&config(&sandbox, "resource = \"\""));
    nexus.run(&["oauth", "token"]).ok();
    nexus.sign_in();
    let requests = sandbox.requests_to(Endpoint::Token);
    let sent: Vec<_> = requests.iter().map(|request| request.field("resource").is_some()).collect();
    assert_eq!(sent, [true, false, false]);
    assert_eq!(parameter(&sandbox.requests_to(Endpoint::Authorize)[1], "resource"), None);
}

#[test]
fn a_refused_resource_is_named_in_the_hint() {
    let sandbox = sandbox(Settings { resource: Some(RESOURCE.into()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, "resource = \"https://other.example.com\"");
    let mut started = nexus.start(&["--no-browser"]);
    visit(&approve(&started.url()));
    let output = started.finish();
    assert!(
        output.stderr.ends_with(
            "error: work refused the sign-in (invalid_target): the resource is missing or unknown\n  fix `resource` or \
             `audience` under [provider.work] in config.toml (`resource = \"\"` names none), then run `nexus oauth start`\n"
        ),
        "{output}"
    );
    assert_eq!(output.code, Some(2));
}

#[test]
fn the_prompt_is_sent_if_it_is_set() {
    let sandbox = sandbox(Settings::default());
    for (lines, sent) in [
        ("", None),
        ("prompt = ''", None),
        ("prompt = 'login'", Some("login")),
        ("prompt = 'login consent'", Some("login consent")),
        ("authorize_params = { prompt = 'admin_consent' }", Some("admin_consent")),
    ] {
        Nexus::at_with(&sandbox, lines).sign_in();
        let asked = sandbox.requests_to(Endpoint::Authorize);
        assert_eq!(parameter(asked.last().unwrap(), "prompt").as_deref(), sent, "{lines}");
    }
}

#[test]
fn unusable_values_are_named_before_the_browser_opens() {
    let sandbox = sandbox(Settings::default());
    for (line, message) in [
        (
            "prompt = 'concent'",
            "`provider.work.prompt` in [HOME]/config.toml, line 10, must be \"none\", or of \"login\", \"consent\", \"select_account\" and \"create\", separated by spaces\n  fix it; a server's own value belongs in `authorize_params`",
        ),
        (
            "prompt = 'none login'",
            "`provider.work.prompt` in [HOME]/config.toml, line 10, combines \"none\" with another value\n  keep one of the two",
        ),
        (
            "resource = 'llm'",
            "`provider.work.resource` in [HOME]/config.toml, line 10, is not an absolute URI\n  use the API's identifier at the authorization server, or \"\" for none",
        ),
        (
            "resource = 'https://llm.example.com/#x'",
            "`provider.work.resource` in [HOME]/config.toml, line 10, must not contain a fragment\n  use the API's identifier at the authorization server, or \"\" for none",
        ),
        (
            "par_url = 'http://id.example.com/par'",
            "`provider.work.par_url` in [HOME]/config.toml, line 10, is http; plain http is allowed on loopback only\n  use an `https://` URL without user name, password and fragment",
        ),
        (
            "userinfo_url = 'id.example.com'",
            "`provider.work.userinfo_url` in [HOME]/config.toml, line 10, does not begin with `https://`\n  use an `https://` URL without user name, password and fragment",
        ),
        (
            "authorize_params = { nonce = '1' }",
            "`provider.work.authorize_params.nonce` in [HOME]/config.toml, line 10, is set by nexus itself\n  remove it",
        ),
        (
            "prompt = 'login'\nauthorize_params = { prompt = 'consent' }",
            "`provider.work.authorize_params` in [HOME]/config.toml, line 11, contains `prompt`, which is also a key of its own\n  keep one of the two",
        ),
        (
            "resource = 'urn:llm'\nrefresh_params = { resource = 'urn:x' }",
            "`provider.work.refresh_params` in [HOME]/config.toml, line 11, contains `resource`, which is also a key of its own\n  keep one of the two",
        ),
    ] {
        let nexus = Nexus::at_with(&sandbox, line);
        assert_output!(nexus.run(&["oauth", "start"]), 2, stdout: "", stderr: format!("error: {message}\n"));
    }
}

#[test]
fn a_pushed_request_leaves_only_its_reference_in_the_url() {
    for (auth, secret) in [
        (ClientAuth::None, None),
        (ClientAuth::Basic, Some("s%c/r:t")),
        (ClientAuth::BasicRaw, Some("s%c/r:t")),
        (ClientAuth::Post, Some("s%c/r:t")),
    ] {
        let sandbox = sandbox(Settings {
            require_par: true,
            client_auth: auth,
            client_secret: secret.map(str::to_owned),
            resource: Some(RESOURCE.into()),
            token_lifetime: Some(json!(0)),
            ..Settings::default()
        });
        let secret = secret.map(|secret| format!("client_secret = '{secret}'\n")).unwrap_or_default();
        // The sign-in finds out `basic_raw` by itself.
        let configured = if auth == ClientAuth::BasicRaw { "basic" } else { auth.as_str() };
        let lines = format!(
            "{}\n{secret}client_auth = '{configured}'\nresource = '{RESOURCE}'\nprompt = 'login'\nauthorize_params = {{ audience = 'llm & co' }}",
            par_url(&sandbox)
        );
        let nexus = Nexus::at_with(&sandbox, &lines);
        let output = nexus.sign_in();
        assert!(output.stderr.contains("\nThe URL must be opened within 60 seconds.\n"), "{output}");
        let names: Vec<_> =
            sandbox.requests_to(Endpoint::Authorize)[0].parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["client_id", "request_uri"]);
        let pushed = sandbox.requests_to(Endpoint::Par);
        let pushed = pushed.last().unwrap();
        assert_eq!(pushed.header("content-type"), Some("application/x-www-form-urlencoded"));
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "sandbox-client"),
            ("resource", RESOURCE),
            ("prompt", "login"),
            ("audience", "llm & co"),
            ("scope", "model.request model.read"),
        ] {
            assert_eq!(pushed.field(name).as_deref(), Some(value), "{auth:?}");
        }
        assert_eq!(pushed.fields().unwrap().iter().filter(|(name, _)| name == "client_id").count(), 1, "{auth:?}");
        nexus.run(&["oauth", "token"]).ok();
        assert_eq!(sandbox.counts().refreshes, 1, "{auth:?}");
    }
}

#[test]
fn the_query_of_the_authorization_endpoint_stays_beside_a_pushed_request() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let url = sandbox.url(Endpoint::Authorize);
    nexus.configure(&config(&sandbox, &par_url(&sandbox)).replace(&url, &format!("{url}?policy=p1")));
    let mut started = nexus.start(&["--no-browser"]);
    let shown = started.url();
    started.kill();
    assert!(shown.starts_with(&format!("{url}?policy=p1&client_id=sandbox-client&request_uri=urn%3A")), "{shown}");
    assert!(sandbox.requests_to(Endpoint::Par)[0].field("policy").is_none());
}

#[test]
fn a_refused_pushed_request_says_why_before_the_browser_opens() {
    let retry = |status: u16| Scripted::text(status, "text/plain", "").header("retry-after", "20");
    for (answer, message, code) in [
        (
            Scripted::json(400, &json!({ "error": "invalid_scope", "error_description": "no such scope" })),
            "work refused the sign-in (invalid_scope): no such scope\n  fix `scopes`",
            2,
        ),
        (
            Scripted::json(400, &json!({ "error": "invalid_request", "error_description": "redirect_uri is unknown" })),
            "[SERVER] rejected the redirect URI `",
            2,
        ),
        (
            Scripted::json(401, &json!({ "error": "invalid_client" })),
            "[SERVER] rejected the client id `sandbox-client`\n",
            2,
        ),
        (Scripted::json(403, &json!({ "error": "access_denied" })), "work refused the sign-in (access_denied)\n", 4),
        (
            Scripted::text(404, "text/html", "<html>"),
            "the authorization request could not be pushed: [SERVER] answered 404\n  check `par_url` under [provider.work] in config.toml, or remove it",
            1,
        ),
        (retry(503), "the authorization request could not be pushed: [SERVER] answered 503\n  wait 20 seconds", 75),
        (retry(429), "the authorization request could not be pushed: [SERVER] answered 429\n  wait 20 seconds", 75),
        (
            Scripted::text(302, "text/html", "").header("location", "https://evil.example/"),
            "the authorization request could not be pushed: [SERVER] sent no usable response (a redirect (302), which is not followed)\n",
            1,
        ),
        (
            Scripted::text(201, "text/html", "<html>"),
            "the authorization request could not be pushed: [SERVER] sent no usable response (not a JSON object)\n",
            1,
        ),
        (
            Scripted::json(201, &json!({})),
            "the authorization request could not be pushed: [SERVER] sent no usable response (no `request_uri`)\n",
            1,
        ),
        (
            Scripted::json(201, &json!({ "request_uri": "https://evil.example/1" })),
            "the authorization request could not be pushed: [SERVER] sent no usable response (a `request_uri` at another server)\n",
            1,
        ),
        (
            Scripted::json(201, &json!({ "request_uri": format!("urn:{}", "x".repeat(1 << 20)) })),
            "the authorization request could not be pushed: [SERVER] sent no usable response (more than 1 MiB)\n",
            1,
        ),
        (Scripted::Close, "the authorization request could not be pushed: [SERVER] sent no usable response (", 75),
    ] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at_with(&sandbox, &par_url(&sandbox));
        sandbox.script(Endpoint::Par, [answer]);
        let output = ended(nexus.start(&["--no-browser"]));
        assert!(output.stderr.starts_with(&format!("error: {message}")), "{message}: {output}");
        assert_eq!(output.code, Some(code), "{output}");
    }
}

#[test]
fn a_pushed_request_does_not_show_the_client_secret() {
    let sandbox = sandbox(Settings::default());
    let nexus =
        Nexus::at_with(&sandbox, &format!("{}\nclient_secret = 'hush-4711'\nclient_auth = 'post'", par_url(&sandbox)));
    let description = "code_challenge with hush-4711 is unknown";
    sandbox.script(
        Endpoint::Par,
        [Scripted::json(400, &json!({ "error": "invalid_request", "error_description": description }))],
    );
    let output = ended(nexus.start(&["--no-browser", "--verbose"]));
    assert!(output.stderr.contains("code_challenge with (secret) is unknown"), "{output}");
    assert!(!output.stderr.contains("hush-4711"), "{output}");
}

/// The library's client of a server that wants HTTP Basic at its revocation endpoint only.
#[test]
fn a_session_is_revoked_with_the_method_that_its_endpoint_wants() {
    for (token, revoke, at_endpoint) in [
        (ClientAuth::Post, Some(ClientAuth::Basic), ClientAuth::Basic),
        (ClientAuth::Post, Some(ClientAuth::Basic), ClientAuth::BasicRaw),
        (ClientAuth::Post, None, ClientAuth::Post),
        (ClientAuth::BasicRaw, Some(ClientAuth::Basic), ClientAuth::BasicRaw),
    ] {
        let sandbox = sandbox(Settings {
            client_auth: token,
            client_secret: Some("s%c/r:t".into()),
            revoke_auth: Some(at_endpoint),
            ..Settings::default()
        });
        let mut provider = provider(&sandbox);
        provider.client = Some(OAuthClient::confidential("sandbox-client", ClientSecret::new("s%c/r:t".into()), token));
        provider.revoke_auth = revoke;
        let home = tempfile::tempdir().unwrap();
        let folders = nexus::Folders::under(home.path());
        let client = Client::new(provider, &folders, nexus::now, Arc::new(|_| {}));
        let signed_out = block_on(async {
            crate::nexus::sign_in(&client, "ada").await.unwrap();
            client.sign_out("ada").await.unwrap().unwrap()
        });
        assert!(matches!(signed_out.revocation, Revocation::Revoked { .. }), "{token:?} {revoke:?}: {signed_out:?}");
        assert_eq!(sandbox.counts().revocations, 1);
    }
}

#[test]
fn a_server_that_takes_only_pushed_requests_needs_the_endpoint() {
    let sandbox = sandbox(Settings::default());
    let mut provider = provider(&sandbox);
    provider.require_par = true;
    let home = tempfile::tempdir().unwrap();
    let client = Client::new(provider, &nexus::Folders::under(home.path()), nexus::now, Arc::new(|_| {}));
    let error = block_on(client.authorization_url()).unwrap_err();
    assert_eq!(error.to_string(), "the provider work has no `par_url`");
}
