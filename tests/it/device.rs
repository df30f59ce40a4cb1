//! `nexus oauth start --device`: the device flow (RFC 8628), and gateways that have no other way to sign in.

use std::sync::Arc;

use nexus::sandbox::{Endpoint, Gate, Registration, Sandbox, Scripted, Settings};
use nexus::{Client, ClientAuth, ErrorInfo as _, Folders, OAuthClient, ProviderConfig};
use serde_json::{Map, Value, json};

#[cfg(unix)]
use crate::nexus::signal;
use crate::nexus::{Nexus, Output, Running, approve, block_on, config, provider, sandbox, visit};

pub(crate) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

/// A server with the device flow, whose device authorization responses have these members.
pub(crate) fn with_device(members: Value) -> Settings {
    Settings { device: Some(object(members)), ..Settings::default() }
}

/// The key of the configuration.
fn device_url(sandbox: &Sandbox) -> String {
    format!("device_url = \"{}\"\n", sandbox.url(Endpoint::DeviceAuthorization))
}

/// A sandbox with the device flow, and a home that knows its endpoint.
fn at(settings: Settings) -> (Sandbox, Nexus) {
    let sandbox = sandbox(settings);
    let nexus = Nexus::at_with(&sandbox, &device_url(&sandbox));
    (sandbox, nexus)
}

/// The code that is shown.
pub(crate) fn code(started: &mut Running) -> String {
    started.line_that(|line| line == "and enter this code:");
    started.line_that(str::is_empty);
    started.line_that(|line| !line.is_empty())
}

/// Signs in, approved at once.
pub(crate) fn sign_in(sandbox: &Sandbox, nexus: &Nexus, words: &[&str]) -> Output {
    let mut started = nexus.start(words);
    assert!(sandbox.approve_device(&code(&mut started)));
    started.finish()
}

/// The requests of the polls.
fn polls(sandbox: &Sandbox) -> usize {
    let is_poll = |grant: String| grant == "urn:ietf:params:oauth:grant-type:device_code";
    sandbox
        .requests_to(Endpoint::Token)
        .iter()
        .filter(|request| request.field("grant_type").is_some_and(is_poll))
        .count()
}

#[test]
fn a_sign_in_is_approved_on_another_device() {
    let (sandbox, nexus) = at(with_device(json!({ "expires_in": 300 })));
    let mut started = nexus.start(&["--device"]);
    let code = code(&mut started);
    assert!(sandbox.approve_device(&code));
    let output = started.finish();
    assert_output!(
        output,
        0,
        stdout: "",
        stderr: format!(
            "To sign in, open this URL in a browser on any device:\n\n[ORIGIN]/device\n\nand enter this code:\n\n{code}\n\n\
             The page must be at [SERVER]. Only continue if you started this sign-in yourself.\n\
             Waiting for approval, for up to 5 minutes (Ctrl-C cancels).\n\
             Signed in as you@sandbox.example, token expires in 8.0 hours\n"
        ),
    );
    let [request] = &sandbox.requests_to(Endpoint::DeviceAuthorization)[..] else { panic!("one request") };
    let fields = [("scope", "model.request model.read"), ("client_id", "sandbox-client")];
    assert_eq!(request.fields().unwrap(), fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let [poll] = &sandbox.requests_to(Endpoint::Token)[..] else { panic!("one poll") };
    let names: Vec<_> = poll.fields().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["grant_type", "device_code", "client_id"]);
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn the_page_of_the_sandbox_approves_too() {
    let (sandbox, nexus) = at(with_device(json!({})));
    let mut started = nexus.start(&["--device"]);
    let code = code(&mut started);
    let (status, _, page) = visit(&format!("{}?user_code={code}", sandbox.url(Endpoint::DevicePage)));
    assert_eq!((status, page.contains(&format!("value=\"{code}\""))), (200, true), "{page}");
    assert!(sandbox.deny_device(&code.to_lowercase()));
    assert!(!sandbox.approve_device(&code), "a decision is made once");
    assert_eq!(started.finish().code, Some(4));
}

#[test]
fn resource_and_parameters_are_sent_and_a_confidential_client_authenticates() {
    let sandbox = sandbox(Settings {
        client_secret: Some("hush".into()),
        client_auth: ClientAuth::Post,
        resource: Some("https://llm.example.com".into()),
        ..with_device(json!({}))
    });
    let lines = "client_secret = \"hush\"\nclient_auth = \"post\"\nresource = \"https://llm.example.com\"\n\
                 authorize_params = { audience = \"llm\" }\n";
    let nexus = Nexus::at_with(&sandbox, &format!("{}{lines}", device_url(&sandbox)));
    let output = sign_in(&sandbox, &nexus, &["--device"]);
    assert_eq!(output.code, Some(0), "{output}");
    let request = &sandbox.requests_to(Endpoint::DeviceAuthorization)[0];
    assert_eq!(request.field("audience").as_deref(), Some("llm"));
    for request in [request, &sandbox.requests_to(Endpoint::Token)[0]] {
        assert_eq!(request.field("resource").as_deref(), Some("https://llm.example.com"));
        assert_eq!(request.field("client_secret").as_deref(), Some("hush"));
    }
}

#[test]
fn a_code_without_separators_is_grouped_for_reading() {
    let (sandbox, nexus) = at(with_device(json!({ "user_code": "WDJBMJHT", "expires_in": 1 })));
    let output = nexus.run(&["oauth", "start", "--device"]);
    let shown = "and enter this code:\n\nWDJB MJHT\n\nSpaces in the code are only for reading; leave them out if";
    assert!(output.stderr.contains(shown), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::DeviceAuthorization).len(), 1);
}

#[test]
fn polls_go_on_while_nothing_is_decided_whatever_the_status() {
    let (sandbox, nexus) = at(with_device(json!({ "interval": 0 })));
    let pending = json!({ "error": "authorization_pending" });
    sandbox.script(Endpoint::Token, [Scripted::json(428, &pending), Scripted::json(200, &pending)]);
    let output = sign_in(&sandbox, &nexus, &["--device"]);
    assert_eq!((output.code, polls(&sandbox)), (Some(0), 3), "{output}");
}

#[test]
fn a_failing_server_is_asked_again_more_slowly() {
    let (sandbox, nexus) = at(with_device(json!({})));
    sandbox.script(Endpoint::Token, [Scripted::text(503, "text/html", "<html>")]);
    let output = sign_in(&sandbox, &nexus, &["--device"]);
    assert_eq!((output.code, polls(&sandbox)), (Some(0), 2), "{output}");
    let note = "[SERVER] sent no usable response (status 503); asking again in 2 seconds\n";
    assert!(output.stderr.contains(note), "{output}");
}

#[test]
fn a_server_that_asks_for_fewer_polls_gets_fewer() {
    let html = Scripted::text(429, "text/html", "<html>");
    // Of codes that are valid for 4 seconds with polls each second. A poll 5 seconds after the first would be too late.
    let started = [
        Scripted::json(400, &json!({ "error": "slow_down" })),
        Scripted::json(200, &json!({ "error": "slow_down", "interval": 1 })),
        html.clone(),
        html.header("retry-after", "0"),
        Scripted::json(429, &json!({ "detail": "too many requests" })).header("retry-after", "60"),
    ]
    .map(|answer| {
        let (sandbox, nexus) = at(with_device(json!({ "expires_in": 4 })));
        sandbox.script(Endpoint::Token, [answer]);
        (nexus.start(&["--device"]), sandbox, nexus)
    });
    for (started, sandbox, _nexus) in started {
        let output = started.finish();
        let error = "\nerror: timed out after 4 seconds: the device code was not approved\n";
        assert!(output.code == Some(4) && output.stderr.contains(error), "{output}");
        assert_eq!(polls(&sandbox), 1, "{output}");
    }
}

/// How sign-ins end whose endpoint gives these answers: the exit code and the error with its hint.
fn endings(endpoint: Endpoint, answers: Vec<Scripted>) -> Vec<(Option<i32>, String)> {
    // All at once, because each poll is a second later.
    let started: Vec<_> = answers
        .into_iter()
        .map(|answer| {
            let (sandbox, nexus) = at(with_device(json!({})));
            sandbox.script(endpoint, [answer]);
            (nexus.start(&["--device"]), sandbox, nexus)
        })
        .collect();
    let ended = started.into_iter().map(|(started, sandbox, _nexus)| {
        let output = started.finish();
        assert!(sandbox.issued().iter().all(|secret| !output.stderr.contains(secret)), "{output}");
        let error = output.stderr.split_once("error: ").unwrap_or_else(|| panic!("{output}")).1.to_owned();
        (output.code, error)
    });
    ended.collect()
}

#[track_caller]
fn assert_endings(endpoint: Endpoint, cases: Vec<(Scripted, i32, &str)>) {
    let (answers, expected): (Vec<_>, Vec<_>) =
        cases.into_iter().map(|(answer, code, error)| (answer, (code, error))).unzip();
    for ((code, error), (expected, text)) in endings(endpoint, answers).into_iter().zip(expected) {
        assert!(error.starts_with(text), "expected: {text}\ngot: {error}");
        assert_eq!(code, Some(expected), "{error}");
    }
}

fn refused(error: &str) -> Scripted {
    Scripted::json(400, &json!({ "error": error, "error_description": "the reason" }))
}

#[test]
fn every_error_of_a_poll_ends_the_sign_in_with_its_own_message() {
    let run = "run `nexus oauth start`";
    let page = |status| Scripted::text(status, "text/html", "<html>");
    let redirect = || Scripted::text(302, "text/plain", "").header("location", "/");
    assert_endings(
        Endpoint::Token,
        vec![
            (
                refused("access_denied"),
                4,
                &format!(
                    "work refused the sign-in (access_denied): the reason\n  {run} again and approve the request\n"
                ),
            ),
            (
                refused("expired_token"),
                4,
                &format!(
                    "the device code expired before it was approved: the reason\n  {run} again, and enter the new"
                ),
            ),
            (refused("invalid_grant"), 4, &format!("[SERVER] rejected the device code: the reason\n  {run}\n")),
            (refused("invalid_client"), 2, "[SERVER] rejected the client id `sandbox-client`: the reason\n  compare"),
            (
                refused("unauthorized_client"),
                2,
                "[SERVER] does not allow the client id `sandbox-client` to sign in with a device code \
                 (unauthorized_client): the reason\n  allow the device flow",
            ),
            (refused("unsupported_grant_type"), 2, "[SERVER] does not support signing in with a device code"),
            // The codes of Microsoft and GitHub.
            (refused("authorization_declined"), 4, "work refused the sign-in (access_denied): the reason\n"),
            (refused("code_expired"), 4, "the device code expired before it was approved: the reason\n"),
            (refused("bad_verification_code"), 4, "[SERVER] rejected the device code: the reason\n"),
            (refused("incorrect_device_code"), 4, "[SERVER] rejected the device code: the reason\n"),
            (refused("incorrect_client_credentials"), 2, "[SERVER] rejected the client id `sandbox-client`: the"),
            (refused("invalid_target"), 2, "work refused the sign-in (invalid_target): the reason\n  fix `resource`"),
            (refused("invalid_scope"), 2, "work refused the sign-in (invalid_scope): the reason\n  fix `scopes`"),
            (page(404), 1, "the device code could not be exchanged: [SERVER] answered 404\n  check `token_url`"),
            (page(200), 1, "[SERVER] sent an invalid token response: not a JSON object\n"),
            (Scripted::json(200, &json!({})), 1, "[SERVER] sent an invalid token response: no `access_token`\n"),
            (
                Scripted::json(200, &json!({ "error": "access_denied" })),
                4,
                "work refused the sign-in (access_denied)\n",
            ),
            (redirect(), 1, "[SERVER] sent an invalid token response: a redirect (302"),
        ],
    );
}

#[test]
fn every_error_of_the_device_endpoint_ends_the_sign_in_with_its_own_message() {
    let page = |status| Scripted::text(status, "text/html", "<html>");
    let codes =
        |uri: &str| json!({ "device_code": "hush-hush", "user_code": "A", "verification_uri": uri, "expires_in": 60 });
    assert_endings(
        Endpoint::DeviceAuthorization,
        vec![
            (refused("invalid_client"), 2, "[SERVER] rejected the client id `sandbox-client`: the reason\n"),
            (refused("unauthorized_client"), 2, "[SERVER] does not allow the client id `sandbox-client` to sign in"),
            (refused("invalid_scope"), 2, "work refused the sign-in (invalid_scope): the reason\n  fix `scopes`"),
            (refused("invalid_target"), 2, "work refused the sign-in (invalid_target): the reason\n  fix `resource`"),
            (refused("invalid_request"), 2, "work refused the sign-in (invalid_request): the reason\n  compare"),
            (page(404), 1, "no device code could be requested: [SERVER] answered 404\n  check `device_url`"),
            (
                Scripted::json(429, &json!({ "detail": "too many" })).header("retry-after", "20"),
                75,
                "no device code could be requested: [SERVER] answered 429: too many\n  wait 20 seconds",
            ),
            (page(500), 75, "no device code could be requested: [SERVER] answered 500\n  wait a minute"),
            (page(200), 1, "[SERVER] sent an invalid device authorization response: not a JSON object\n"),
            (
                Scripted::json(200, &json!({ "error": "device_flow_disabled" })),
                2,
                "[SERVER] does not allow the client id `sandbox-client` to sign in with a device code",
            ),
            (
                Scripted::json(200, &codes("http://id.example.com/")),
                1,
                "[SERVER] sent an invalid device authorization response: a `verification_uri` that is http; plain http",
            ),
        ],
    );
}

#[test]
fn no_secret_is_logged() {
    let (sandbox, nexus) = at(with_device(json!({})));
    let output = sign_in(&sandbox, &nexus, &["--device", "--verbose"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("/device_authorization"), "{output}");
    assert!(sandbox.issued().len() > 2);
    assert!(sandbox.issued().iter().all(|secret| !output.stderr.contains(secret)), "{output}");
}

#[test]
fn without_a_device_endpoint_nothing_is_sent() {
    let sandbox = sandbox(with_device(json!({})));
    let nexus = Nexus::at(&sandbox);
    let output = nexus.run(&["oauth", "start", "--device"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("`device_url`"), "{output}");
    assert!(sandbox.requests().is_empty());
}

#[test]
fn the_endpoint_is_read_from_the_metadata_of_the_issuer() {
    let sandbox = sandbox(with_device(json!({})));
    let nexus = Nexus::at_with(&sandbox, &format!("issuer = \"{}\"\n", sandbox.origin()));
    let output = sign_in(&sandbox, &nexus, &["--device"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(polls(&sandbox), 1);
}

#[test]
fn the_waiting_ends_with_the_limit_of_the_user_or_of_the_code() {
    for (members, words, waited) in [
        (json!({}), &["--timeout", "1s"][..], "1 second"),
        (json!({ "expires_in": 2, "interval": 5 }), &[], "2 seconds"),
    ] {
        let (_sandbox, nexus) = at(with_device(members));
        let output = nexus.run(&[&["oauth", "start", "--device"], words].concat());
        assert_eq!(output.code, Some(4), "{output}");
        let error = format!("error: timed out after {waited}: the device code was not approved\n");
        assert!(output.stderr.contains(&error), "{output}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_wait() {
    let (_sandbox, nexus) = at(with_device(json!({ "interval": 60 })));
    let mut started = nexus.start(&["--device"]);
    started.line_that(|line| line.starts_with("Waiting"));
    signal(started.id(), "INT");
    let output = started.finish();
    assert_eq!(output.code, Some(130), "{output}");
    assert!(output.stderr.ends_with("(Ctrl-C cancels).\n"), "{output}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_request_that_is_not_answered() {
    for endpoint in [Endpoint::DeviceAuthorization, Endpoint::Token] {
        let (sandbox, nexus) = at(with_device(json!({})));
        let gate = Gate::new();
        sandbox.script(endpoint, [Scripted::Paused(gate.clone())]);
        let started = nexus.start(&["--device"]);
        block_on(gate.arrived(1));
        signal(started.id(), "INT");
        let output = started.finish();
        assert_eq!(output.code, Some(130), "{output}");
        assert!(!output.stderr.contains("second Ctrl-C"), "{output}");
    }
}

#[test]
fn an_id_token_is_checked_without_a_nonce() {
    for (claims, code) in
        [(json!({}), 0), (json!({ "aud": "another" }), 4), (json!({ "iss": "https://evil.example" }), 4)]
    {
        let sandbox = sandbox(Settings { id_token_claims: object(claims.clone()), ..with_device(json!({})) });
        let nexus = Nexus::new();
        nexus.configure(&config(&sandbox, &device_url(&sandbox)).replace("\"model.read\"]", "\"openid\"]"));
        let output = sign_in(&sandbox, &nexus, &["--device"]);
        assert_eq!(output.code, Some(code), "{claims}: {output}");
    }
}

#[test]
fn a_client_is_registered_for_the_device_flow_and_kept() {
    let sandbox =
        sandbox(Settings { registration: Some(Registration::open(ClientAuth::None)), ..with_device(json!({})) });
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&format!(
        "default = \"work\"\n[provider.work]\nissuer = \"{}\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\n",
        sandbox.origin()
    ));
    // The first client is registered for the browser only. Some servers say `invalid_request` then.
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    visit(&approve(&url));
    assert_eq!(started.finish().code, Some(0));
    let refused = Scripted::json(400, &json!({ "error": "invalid_request" }));
    sandbox.script(Endpoint::DeviceAuthorization, [refused]);
    let output = sign_in(&sandbox, &nexus, &["--device"]);
    assert_eq!(output.code, Some(0), "{output}");
    let note = "so a new one is registered\nRegistered nexus as a client at [SERVER].\nTo sign in,";
    assert!(output.stderr.contains(note), "{output}");
    assert_eq!(sign_in(&sandbox, &nexus, &["--device"]).code, Some(0));
    let grants: Vec<_> = sandbox
        .requests_to(Endpoint::Register)
        .iter()
        .map(|request| request.json()["grant_types"].as_array().map(Vec::len))
        .collect();
    assert_eq!(grants, [Some(2), Some(3)], "the device flow is asked for where it is needed");
    assert_eq!(sandbox.requests_to(Endpoint::DeviceAuthorization).len(), 3);
}

#[test]
fn a_dropped_wait_loses_no_token() {
    block_on(async {
        let sandbox = Sandbox::start(with_device(json!({}))).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let provider = provider(&sandbox)
            .with_client(OAuthClient::public("sandbox-client"))
            .with_device_url(&sandbox.url(Endpoint::DeviceAuthorization))
            .unwrap();
        let client = Client::new(provider, &Folders::under(home.path()), nexus::now, Arc::new(|_| {}));
        let authorization = client.authorize_device().await.unwrap();
        assert_eq!(authorization.verification_uri().as_str(), sandbox.url(Endpoint::DevicePage));
        assert!(authorization.verification_uri_complete().is_some());
        assert!(sandbox.approve_device(authorization.user_code()));
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone())]);
        tokio::select! {
            _ = client.redeem_device("ada", authorization) => panic!("the gate is closed"),
            () = gate.arrived(1) => {}
        }
        assert_eq!(client.load("ada").await.unwrap_err().code(), "not_signed_in");
        gate.open();
        let session = loop {
            match client.load("ada").await {
                Err(_) => tokio::task::yield_now().await,
                Ok(session) => break session,
            }
        };
        assert_eq!(session.generation, 1);
    });
}

#[test]
fn the_library_registers_a_client_for_the_device_flow() {
    block_on(async {
        let registration = Some(Registration::open(ClientAuth::Basic));
        let sandbox = Sandbox::start(Settings { registration, ..with_device(json!({})) }).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let provider = ProviderConfig::named("work")
            .with_redirect_uri("http://127.0.0.1:0/callback")
            .with_authorize_url(&sandbox.url(Endpoint::Authorize))
            .and_then(|provider| provider.with_token_url(&sandbox.url(Endpoint::Token)))
            .and_then(|provider| provider.with_device_url(&sandbox.url(Endpoint::DeviceAuthorization)))
            .and_then(|provider| provider.with_registration_url(&sandbox.url(Endpoint::Register), "my program"))
            .unwrap();
        let client = Client::new(provider, &Folders::under(home.path()), nexus::now, Arc::new(|_| {}));
        client.begin_sign_in().await.unwrap();
        // That client is for the browser only.
        let authorization = client.authorize_device().await.unwrap();
        assert_eq!(authorization.client_id(), "registered-1");
        let registered = sandbox.requests_to(Endpoint::Register)[1].json();
        let uri = registered["redirect_uris"][0].as_str().unwrap();
        assert!(!uri.contains(":0/"), "{uri}: a real port");
        assert!(sandbox.approve_device(authorization.user_code()));
        let session = client.redeem_device("ada", authorization).await.unwrap();
        assert_eq!(session.binding.client_id, "registered-1");
        assert_eq!(client.authorize_device().await.unwrap().client_id(), "registered-1", "it is kept");
    });
}
