//! A provider without a client, whose authorization server registers one (RFC 7591).

use std::fs;
use std::sync::Arc;

use nexus::sandbox::{Endpoint, Piece, Registration, Sandbox, Scripted, Settings};
use nexus::{Client, ClientAuth, ErrorClass, ErrorInfo as _, Folders, ProviderConfig, Url};
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, Running, approve, block_on, config, sandbox, visit};

/// A sandbox that registers clients like this.
fn registering(registration: Registration) -> Sandbox {
    sandbox(Settings { registration: Some(registration), ..Settings::default() })
}

/// The configuration of a provider `work` that registers itself at a port of its own.
fn configured(sandbox: &Sandbox, lines: &str) -> String {
    let registration = format!("registration_url = \"{}\"", sandbox.url(Endpoint::Register));
    config(sandbox, lines).replace("client_id = \"sandbox-client\"", &registration)
}

fn home(sandbox: &Sandbox, lines: &str) -> Nexus {
    let mut nexus = Nexus::at(sandbox);
    nexus.configure(&configured(sandbox, lines));
    nexus.name(&sandbox.origin(), "[ORIGIN]");
    nexus
}

fn open(auth: ClientAuth) -> (Sandbox, Nexus) {
    let sandbox = registering(Registration::open(auth));
    let nexus = home(&sandbox, "");
    (sandbox, nexus)
}

fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1.into_owned()
}

/// Approves a sign-in. Returns the client id in the authorization URL.
fn approved(started: &mut Running) -> String {
    let url = started.url();
    visit(&approve(&url));
    parameter(&url, "client_id")
}

fn registrations(sandbox: &Sandbox) -> usize {
    sandbox.requests_to(Endpoint::Register).len()
}

/// A sign-in that ends before a browser is needed.
fn failed(nexus: &Nexus, words: &[&str]) -> Output {
    nexus.run(&[&["oauth", "start", "--no-browser"], words].concat())
}

/// The error and its hint.
fn message(output: &Output) -> &str {
    output.stderr.split_once("error: ").unwrap_or_else(|| panic!("{output}")).1
}

#[test]
fn a_sign_in_registers_the_redirect_uri_that_it_listens_on() {
    let (sandbox, nexus) = open(ClientAuth::None);
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    visit(&approve(&url));
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.starts_with("Registered nexus as a client at [SERVER].\nTo sign in,"), "{output}");
    assert_eq!(parameter(&url, "client_id"), "registered-0");
    let [request] = &sandbox.requests_to(Endpoint::Register)[..] else { panic!("one registration") };
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.json(),
        json!({
            "application_type": "native",
            "redirect_uris": [parameter(&url, "redirect_uri")],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "client_name": "nexus",
            "scope": "model.request model.read",
        })
    );
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn the_method_and_secret_that_come_back_are_used_everywhere() {
    for auth in [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post] {
        let (sandbox, nexus) = open(auth);
        sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
        nexus.sign_in();
        nexus.run(&["oauth", "token"]).ok();
        assert_eq!((sandbox.counts().exchanges, sandbox.refreshes()), (1, 1), "{auth:?}");
        assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at"), "{auth:?}");
        let sent = |request: &nexus::sandbox::RecordedRequest| {
            (request.header("authorization").is_some(), request.field("client_secret").is_some())
        };
        let expected = (auth == ClientAuth::Basic, auth == ClientAuth::Post);
        for request in [Endpoint::Token, Endpoint::Revoke].into_iter().flat_map(|at| sandbox.requests_to(at)) {
            assert_eq!(sent(&request), expected, "{auth:?}");
        }
    }
}

#[test]
fn a_secret_that_the_server_requires_although_it_says_none_is_sent() {
    let none = json!({ "token_endpoint_auth_method": "none" }).as_object().unwrap().clone();
    let sandbox = registering(Registration { members: none, ..Registration::open(ClientAuth::Post) });
    sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
    let nexus = home(&sandbox, "");
    nexus.sign_in();
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 3, "the exchange tries both, the refresh knows");
}

#[test]
fn the_client_survives_a_logout_and_is_used_by_the_next_sign_in() {
    let (sandbox, nexus) = open(ClientAuth::Basic);
    let mut started = nexus.start(&["--no-browser"]);
    let first = started.url();
    visit(&approve(&first));
    started.finish();
    nexus.run(&["oauth", "logout"]).ok();
    let mut started = nexus.start(&["--no-browser"]);
    let second = started.url();
    visit(&approve(&second));
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!output.stderr.contains("Registered"), "{output}");
    for name in ["client_id", "redirect_uri"] {
        assert_eq!(parameter(&first, name), parameter(&second, name), "also where any free port was asked for");
    }
    assert_eq!(registrations(&sandbox), 1);
}

#[test]
fn new_client_registers_another_one() {
    let (sandbox, nexus) = open(ClientAuth::Post);
    nexus.sign_in();
    let mut started = nexus.start(&["--no-browser", "--new-client"]);
    assert_eq!(approved(&mut started), "registered-1");
    assert_eq!(started.finish().code, Some(0));
    let mut started = nexus.start(&["--no-browser"]);
    assert_eq!(approved(&mut started), "registered-1", "it replaces the other");
    assert_eq!(started.finish().code, Some(0));
    assert_eq!(registrations(&sandbox), 2);
}

#[test]
fn a_client_whose_secret_has_expired_is_registered_anew() {
    for (lifetime, registered) in [(-60, 2), (60, 2), (86_400, 1), (0, 1)] {
        let (sandbox, nexus) = open(ClientAuth::Basic);
        nexus.sign_in();
        sandbox.change(|settings| {
            if let Some(registration) = &mut settings.registration {
                registration.secret_lifetime = lifetime;
            }
        });
        let mut started = nexus.start(&["--no-browser", "--new-client"]);
        started.url();
        started.kill();
        sandbox.change(|settings| settings.registration = Some(Registration::open(ClientAuth::Basic)));
        nexus.sign_in();
        assert_eq!(registrations(&sandbox) - 1, registered, "{lifetime}");
    }
}

#[test]
fn a_configured_client_is_used_instead() {
    let sandbox = registering(Registration::open(ClientAuth::None));
    let nexus = home(&sandbox, "client_id = 'sandbox-client'");
    nexus.sign_in();
    assert_eq!(registrations(&sandbox), 0);
    let output = failed(&nexus, &["--new-client"]);
    assert_output!(output, 2, stdout: "", stderr:
        "error: work has a configured client, so --new-client cannot replace it\n  leave out --new-client, or remove \
         `client_id` under [provider.work] in config.toml\n");
}

#[test]
fn a_taken_port_is_replaced_by_a_free_one() {
    let (sandbox, taken) =
        (registering(Registration::open(ClientAuth::None)), std::net::TcpListener::bind("127.0.0.1:0"));
    let taken = taken.unwrap();
    let uri = format!("http://{}/callback", taken.local_addr().unwrap());
    let nexus = home(&sandbox, &format!("redirect_uri = '{uri}'"));
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    visit(&approve(&url));
    assert_eq!(started.finish().code, Some(0));
    let used = parameter(&url, "redirect_uri");
    assert!(used != uri && used.ends_with("/callback"), "{used}");
    assert_eq!(sandbox.requests_to(Endpoint::Register)[0].json()["redirect_uris"], json!([used]));
}

#[test]
fn the_method_to_register_can_be_configured() {
    for (lines, method) in
        [("client_auth = 'post'", "client_secret_post"), ("client_auth = 'basic'", "client_secret_basic")]
    {
        let sandbox = registering(Registration::open(ClientAuth::Post));
        let nexus = home(&sandbox, lines);
        nexus.sign_in();
        assert_eq!(sandbox.requests_to(Endpoint::Register)[0].json()["token_endpoint_auth_method"], method);
    }
}

#[test]
fn a_server_without_public_clients_is_asked_for_a_secret() {
    let (sandbox, nexus) = open(ClientAuth::Basic);
    let refusal = Scripted::json(400, &json!({ "error": "invalid_client_metadata", "error_description": "no none" }));
    sandbox.script(Endpoint::Register, [refusal]);
    nexus.sign_in();
    let asked: Vec<_> = sandbox.requests_to(Endpoint::Register);
    let methods: Vec<_> = asked.iter().map(|request| request.json()["token_endpoint_auth_method"].clone()).collect();
    assert_eq!(methods, ["none", "client_secret_basic"]);
}

#[test]
fn closed_registration_names_both_ways_out_and_takes_the_token() {
    let token = "initial-token-0123456789";
    let sandbox = registering(Registration { token: Some(token.into()), ..Registration::open(ClientAuth::Post) });
    let nexus = home(&sandbox, "");
    assert_output!(failed(&nexus, &[]), 2, stdout: "", stderr:
        "error: no client could be registered: [SERVER] answered 401: invalid_token: clients are registered with an \
         initial access token only\n  the server does not let everyone register a client: set \
         `registration_token_file` under [provider.work] in config.toml to a file with the token that it wants, or have \
         a client registered there and set `client_id`\n");
    nexus.configure(&configured(&sandbox, "registration_token_file = 'initial.token'"));
    nexus.write("initial.token", "an-old-token\n", 0o600);
    let output = failed(&nexus, &[]);
    assert!(output.stderr.contains("put a token that is still valid into the file"), "{output}");
    nexus.write("initial.token", &format!("  {token}\n"), 0o600);
    nexus.sign_in();
    let request = sandbox.requests_to(Endpoint::Register).pop().unwrap();
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {token}")));
}

#[test]
fn only_a_sign_in_reads_the_file_of_the_token() {
    let sandbox = registering(Registration::open(ClientAuth::None));
    let nexus = home(&sandbox, "registration_token_file = 'initial.token'");
    nexus.write("initial.token", "token", 0o600);
    nexus.sign_in();
    fs::remove_file(nexus.path("initial.token")).unwrap();
    nexus.run(&["chat", "x"]).ok();
    let output = failed(&nexus, &[]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(
        output.stderr.contains("`provider.work.registration_token_file` in [HOME]/config.toml, line 10, points to"),
        "{output}"
    );
    for (text, why) in [("", "is empty"), ("two words", "has characters that are not allowed in a token")] {
        nexus.write("initial.token", text, 0o600);
        let output = failed(&nexus, &[]);
        assert!(output.stderr.contains(why) && output.code == Some(2), "{output}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_before_the_browser_opens() {
    let answer = |body: Value| Scripted::json(201, &body);
    let html = || Scripted::text(200, "text/html", "<html><title>Sign in</title></html>");
    let huge = Scripted::text(201, "application/json", &format!("{{\"client_id\":\"{}\"}}", "x".repeat(70_000)));
    let endless = Scripted::stream((0..80).map(|_| Piece::text(&" ".repeat(1_024))).chain([Piece::Hang]));
    let uris = json!({ "client_id": "c", "redirect_uris": ["http://127.0.0.1:1/other"] });
    let jwt = json!({ "client_id": "c", "token_endpoint_auth_method": "private_key_jwt" });
    let basic = json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic" });
    let moved = Scripted::text(302, "text/plain", "").header("location", "https://elsewhere.invalid/register");
    let (sandbox, nexus) = open(ClientAuth::None);
    for (script, code, why) in [
        (html(), 1, "sent an invalid registration response: not a JSON object"),
        (answer(json!([])), 1, "not a JSON object"),
        (answer(json!({})), 1, "no `client_id`"),
        (answer(json!({ "client_id": "" })), 1, "no `client_id`"),
        (answer(json!({ "client_id": "\u{1b}]0;x" })), 1, "a `client_id` that cannot be sent"),
        (answer(uris), 1, "the redirect URI `http://127.0.0.1:1/other` instead of `http://127.0.0.1:"),
        (answer(jwt), 1, "the unsupported `token_endpoint_auth_method` private_key_jwt"),
        (answer(basic), 1, "no `client_secret`, which its `token_endpoint_auth_method` requires"),
        (huge, 1, "more than 64 KiB"),
        (endless, 1, "more than 64 KiB"),
        (moved, 1, "a redirect (302), which is not followed"),
        (Scripted::json(200, &json!({ "error": "access_denied" })), 2, "answered 200: access_denied"),
        (Scripted::json(404, &json!({ "detail": "Not Found" })), 2, "check `registration_url`"),
        (Scripted::text(405, "text/html", "<html>"), 2, "check `registration_url`"),
        (Scripted::json(400, &json!({ "error": "invalid_redirect_uri" })), 2, "set `redirect_uri`"),
        (
            Scripted::json(400, &json!({ "error": "unapproved_software_statement" })),
            2,
            "the server registers only software that it has approved",
        ),
        (Scripted::json(429, &json!({})).header("retry-after", "20"), 75, "wait 20 seconds, then run"),
        (Scripted::text(503, "text/html", "<html>"), 75, "answered 503"),
        (Scripted::Close, 75, "no client could be registered: [SERVER] sent no usable response"),
    ] {
        eprintln!("{why}");
        sandbox.script(Endpoint::Register, [script]);
        let output = failed(&nexus, &[]);
        assert_eq!(output.code, Some(code), "{output}");
        assert!(message(&output).contains(why), "{output}");
        assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains("To sign in"), "{output}");
    }
    let unreachable = "registration_url = 'http://127.0.0.1:1/register'";
    nexus.configure(&config(&sandbox, "").replace("client_id = \"sandbox-client\"", unreachable));
    assert_eq!(failed(&nexus, &[]).code, Some(75));
}

#[test]
fn without_a_client_the_hint_names_both_keys() {
    let nexus = Nexus::new();
    nexus.configure("[provider.work]\nauthorize_url = 'http://127.0.0.1:1/a'\ntoken_url = 'http://127.0.0.1:1/t'\n");
    let output = nexus.run(&["oauth", "start", "--provider", "work"]);
    let hint = "set `client_id = \"...\"` under [provider.work] in config.toml, or `registration_url = \"https://...\"` if \
                the server registers clients";
    assert!(output.stderr.contains(hint), "{output}");
    assert_eq!(output.code, Some(2));
}

#[test]
fn a_client_that_the_server_forgot_is_registered_anew_once() {
    let (sandbox, nexus) = open(ClientAuth::Basic);
    nexus.sign_in();
    let unknown = json!({ "error": "invalid_client", "error_description": "unknown client" });
    sandbox.script(Endpoint::Token, [Scripted::json(401, &unknown)]);
    let mut started = nexus.start(&["--no-browser"]);
    assert_eq!(approved(&mut started), "registered-0");
    assert_eq!(approved(&mut started), "registered-1");
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");
    let note = "note: [SERVER] rejected the client id `registered-0`: unknown client; it was registered by an earlier \
                sign-in, so a new one is registered\nRegistered nexus as a client at [SERVER].\n";
    assert!(output.stderr.contains(note), "{output}");
    assert_eq!(registrations(&sandbox), 2);
}

#[test]
fn a_client_that_was_just_registered_and_is_refused_is_an_error() {
    let (sandbox, nexus) = open(ClientAuth::None);
    sandbox.script(Endpoint::Token, [Scripted::json(401, &json!({ "error": "invalid_client" }))]);
    let mut started = nexus.start(&["--no-browser"]);
    approved(&mut started);
    let output = started.finish();
    assert_eq!((output.code, registrations(&sandbox)), (Some(2), 1), "{output}");
    assert!(output.stderr.ends_with(
        "error: [SERVER] rejected the client id `registered-0`\n  run `nexus oauth start --new-client`; if that fails too, \
         have a client registered there and set `client_id` under [provider.work] in config.toml\n"
    ), "{output}");
    nexus.sign_in();
    assert_eq!(registrations(&sandbox), 2, "the refused one was not kept");
}

#[test]
fn a_refusal_in_the_browser_registers_anew() {
    let (sandbox, nexus) = open(ClientAuth::None);
    nexus.sign_in();
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let (back, state) = (parameter(&url, "redirect_uri"), parameter(&url, "state"));
    let (_, _, page) = visit(&format!("{back}?error=unauthorized_client&state={state}&iss={}", sandbox.origin()));
    assert!(page.contains("Approve once more"), "{page}");
    assert_eq!(approved(&mut started), "registered-1");
    assert_eq!(started.finish().code, Some(0));
}

#[test]
fn a_refresh_with_a_forgotten_client_asks_to_sign_in_again() {
    let (sandbox, nexus) = open(ClientAuth::Post);
    sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
    nexus.sign_in();
    sandbox.forget_clients();
    let refreshed = sandbox.requests_to(Endpoint::Token).len();
    assert_output!(nexus.run(&["chat", "x"]), 4, stdout: "", stderr:
        "error: the access token could not be refreshed: [SERVER] answered 401: invalid_client: unknown client or \
         wrong secret; the session is kept\n  run `nexus oauth start`\n");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4));
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(4));
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), refreshed + 1, "it is not asked again");
    assert_eq!(registrations(&sandbox), 1, "only a sign-in registers");
    let mut started = nexus.start(&["--no-browser"]);
    assert_eq!(approved(&mut started), "registered-1");
    assert_eq!(started.finish().code, Some(0));
}

#[test]
fn a_failing_server_does_not_lose_the_client() {
    let (sandbox, nexus) = open(ClientAuth::Post);
    sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
    nexus.sign_in();
    sandbox.script(Endpoint::Token, [Scripted::json(503, &json!({ "error": "invalid_client" }))]);
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(75));
    nexus.sign_in();
    assert_eq!(registrations(&sandbox), 1);
}

#[test]
fn a_client_is_kept_for_each_server_and_each_redirect_uri() {
    let (sandbox, nexus) = open(ClientAuth::None);
    nexus.sign_in();
    nexus.configure(&configured(&sandbox, "redirect_uri = 'http://localhost:0/callback'"));
    nexus.sign_in();
    nexus.configure(&configured(&sandbox, "issuer = 'https://id.example.com'\nrequire_iss = false"));
    sandbox.change(|settings| settings.issuer = nexus::sandbox::Issuer::Absent);
    nexus.sign_in();
    assert_eq!(registrations(&sandbox), 3);
    nexus.configure(&configured(&sandbox, ""));
    nexus.sign_in();
    assert_eq!(registrations(&sandbox), 3);
}

#[test]
fn the_client_moves_with_the_key() {
    let (sandbox, nexus) = open(ClientAuth::Basic);
    nexus.sign_in();
    nexus.run(&["oauth", "logout"]).ok();
    nexus.write("pass", "correct horse", 0o600);
    nexus.configure(&format!("passphrase_file = 'pass'\n{}", configured(&sandbox, "")));
    nexus.run(&["key", "move", "passphrase"]).ok();
    nexus.sign_in();
    assert_eq!(registrations(&sandbox), 1);
}

/// A web application: two of its processes share a store.
#[test]
fn a_web_application_registers_once() {
    let sandbox = registering(Registration::open(ClientAuth::Basic));
    let home = tempfile::tempdir().unwrap();
    let client = || {
        let provider = ProviderConfig::named("work")
            .with_registration_url(&sandbox.url(Endpoint::Register), "My application")
            .and_then(|provider| provider.with_authorize_url(&sandbox.url(Endpoint::Authorize)))
            .and_then(|provider| provider.with_token_url(&sandbox.url(Endpoint::Token)))
            .unwrap()
            .with_redirect_uri("http://127.0.0.1:8080/callback");
        Client::new(provider, &Folders::under(home.path()), nexus::now, Arc::new(|_| {}))
    };
    block_on(async {
        let lifetime = std::time::Duration::from_secs(60);
        for owner in ["ada", "grace"] {
            let (first, second) = (client(), client());
            let request = first.begin_sign_in().await.unwrap();
            first.keep_pending(owner, &request, lifetime).await.unwrap();
            let back = Sandbox::approve(request.url().as_str()).await.unwrap();
            let request = second.take_pending(owner, request.state()).await.unwrap().unwrap();
            second.exchange_code(owner, request, back.split_once('?').unwrap().1).await.unwrap();
            second.refresh(owner).await.unwrap();
        }
        assert_eq!(registrations(&sandbox), 1);
        assert_eq!(sandbox.requests_to(Endpoint::Register)[0].json()["client_name"], "My application");
        sandbox.forget_clients();
        let refused = client().refresh("ada").await.unwrap_err();
        assert_eq!(refused.class(), ErrorClass::SignIn, "{refused}");
        let request = client().begin_sign_in().await.unwrap();
        assert_eq!(request.client_id(), "registered-1", "the refused one is forgotten");
        client().forget_client().await.unwrap();
        assert_eq!(client().begin_sign_in().await.unwrap().client_id(), "registered-2");
    });
}
