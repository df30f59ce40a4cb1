//! Tokens without a user: client credentials (RFC 6749, section 4.4), JWT assertions (RFC 7523) and token exchange (RFC
//! 8693).

use std::fs;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus::ClientAuth;
use nexus::sandbox::{AssertionRules, Endpoint, Gate, RecordedRequest, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, approve, newest, sandbox, visit};
use crate::stored::Stored;

const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A sandbox that issues tokens without a user.
fn issuing(settings: Settings) -> Sandbox {
    let assertions = AssertionRules { grants: true, ..settings.assertions };
    sandbox(Settings { assertions, ..settings })
}

/// A sandbox with a client that has a secret.
fn confidential() -> Sandbox {
    let secret = Some("hush-4711".into());
    issuing(Settings { client_auth: ClientAuth::Post, client_secret: secret, ..Settings::default() })
}

/// The section of a provider at a sandbox.
fn section(name: &str, sandbox: &Sandbox, lines: &str) -> String {
    format!(
        "[provider.{name}]\ntoken_url = \"{}\"\nrevoke_url = \"{}\"\napi_url = \"{}\"\n{lines}\n",
        sandbox.url(Endpoint::Token),
        sandbox.url(Endpoint::Revoke),
        sandbox.origin()
    )
}

/// A home whose default provider `ci` has these lines.
fn home(sandbox: &Sandbox, lines: &str) -> Nexus {
    let mut nexus = Nexus::new();
    nexus.name(&sandbox.origin().replace("http://", ""), "[SERVER]");
    nexus.configure(&format!("default = \"ci\"\n{}", section("ci", sandbox, lines)));
    nexus
}

const CREDENTIALS: &str = "client_id = \"sandbox-client\"\nclient_secret = \"hush-4711\"\nclient_auth = \"post\"\ngrant = \"client_credentials\"";

/// A JWT that ends in this many seconds.
fn jwt(id: &str, left: i64) -> String {
    let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let claims = json!({ "iss": "https://ci.example.com", "sub": "job", "exp": nexus::now() + left, "jti": id });
    format!("{}.{}.c2ln", part(json!({ "alg": "ES256", "kid": "k-1" })), part(claims))
}

/// The token requests of this grant.
fn requests(sandbox: &Sandbox, grant: &str) -> Vec<RecordedRequest> {
    let asked = sandbox.requests_to(Endpoint::Token).into_iter();
    asked.filter(|request| request.field("grant_type").is_some_and(|kind| kind.ends_with(grant))).collect()
}

#[test]
fn client_credentials_need_no_sign_in() {
    let sandbox = confidential();
    let nexus =
        home(&sandbox, &format!("{CREDENTIALS}\nscopes = [\"a\", \"b\"]\naudience = \"llm\"\nresource = \"urn:r\""));
    assert_output!(nexus.run(&["oauth", "status"]), 0, stdout: "No token yet, one is fetched on next use\n", stderr: "");
    let token = nexus.run(&["oauth", "token"]).ok();
    assert_eq!(token.trim(), newest(&sandbox, "access"));
    let sent = requests(&sandbox, "client_credentials")[0].fields().unwrap();
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
        ("audience", "llm"),
        ("resource", "urn:r"),
        ("client_id", "sandbox-client"),
        ("client_secret", "hush-4711"),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let status = nexus.run(&["oauth", "status"]).ok();
    assert_eq!(status, "Token active, expires in 8.0 hours, auto-refresh enabled\n");
    assert!(nexus.run(&["chat", "Hello"]).ok().starts_with("You said: Hello"));
    assert_eq!(sandbox.counts().exchanges, 1, "the token is used until it ends");
    assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at [SERVER]"));
    assert_eq!(nexus.run(&["oauth", "token"]).code, Some(0), "the next use gets another");
}

#[test]
fn a_token_of_another_server_is_replaced() {
    let servers = [confidential(), confidential()];
    let nexus = Nexus::new();
    for key in ["issuer", "gateway"] {
        for sandbox in &servers {
            let asked = sandbox.requests_to(Endpoint::Token).len();
            let origin = sandbox.origin();
            nexus.configure(&format!("default = \"ci\"\n[provider.ci]\n{key} = \"{origin}\"\n{CREDENTIALS}\n"));
            for _ in 0..2 {
                assert_eq!(nexus.run(&["oauth", "token"]).ok().trim(), newest(sandbox, "access"));
            }
            assert_eq!(sandbox.requests_to(Endpoint::Token).len(), asked + 1);
        }
    }
}

#[test]
fn the_issuer_is_enough_to_find_the_token_endpoint() {
    let sandbox = confidential();
    let nexus = Nexus::new();
    let lines = format!("default = \"ci\"\n[provider.ci]\nissuer = \"{}\"\n{CREDENTIALS}\n", sandbox.origin());
    nexus.configure(&lines);
    assert_eq!(nexus.run(&["oauth", "token"]).ok().trim(), newest(&sandbox, "access"));
}

#[test]
fn a_token_that_has_ended_is_requested_again() {
    let sandbox = confidential();
    let nexus = home(&sandbox, CREDENTIALS);
    let first = nexus.run(&["oauth", "token"]).ok();
    Stored::open(nexus.home()).pass(9 * 3_600);
    assert_ne!(nexus.run(&["oauth", "token"]).ok(), first);
    sandbox.expire_access();
    assert!(nexus.run(&["chat", "Hello"]).ok().starts_with("You said: Hello"), "a 401 of the API requests one token");
    assert_eq!(requests(&sandbox, "client_credentials").len(), 3);
    assert_eq!(sandbox.refreshes_asked(), 0);
}

#[test]
fn a_refusal_ends_nothing_and_is_tried_again_with_a_new_assertion() {
    let sandbox = issuing(Settings {
        assertions: AssertionRules { opaque: true, ..AssertionRules::default() },
        ..Settings::default()
    });
    let nexus = home(&sandbox, "grant = \"jwt-bearer\"\nassertion_file = \"token\"");
    nexus.write("token", &jwt("j-1", -300), 0o600);
    sandbox.change(|settings| settings.client_id = String::new());
    let output = nexus.run(&["oauth", "token"]);
    assert_eq!(output.code, Some(4), "{output}");
    let message = "error: no access token for ci: [SERVER] answered 400: invalid_grant: the assertion from [HOME]/token \
                   expired 5 minutes ago\n  bring a new assertion, and check that the server trusts its issuer";
    assert!(output.stderr.starts_with(message), "{output}");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
    nexus.write("token", &jwt("j-2", 300), 0o600);
    nexus.run(&["oauth", "token"]).ok();
    let sent = &requests(&sandbox, "jwt-bearer")[1];
    assert_eq!(sent.field("assertion"), Some(jwt_in(&nexus)));
    assert_eq!(sent.field("client_id"), None, "no client is configured");
}

fn jwt_in(nexus: &Nexus) -> String {
    fs::read_to_string(nexus.path("token")).unwrap()
}

#[cfg(unix)]
#[test]
fn a_command_prints_the_assertion_of_a_grant() {
    let sandbox = issuing(Settings { client_id: String::new(), ..Settings::default() });
    let nexus = home(&sandbox, "grant = \"jwt-bearer\"\nassertion_command = [\"/bin/cat\", \"token\"]");
    nexus.write("token", &jwt("c-1", 300), 0o600);
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(requests(&sandbox, "jwt-bearer")[0].field("assertion"), Some(jwt_in(&nexus)));
}

#[test]
fn a_token_exchange_says_what_it_sends_and_what_it_wants() {
    for (lines, kind, requested) in [
        ("", JWT, None),
        ("subject_token_type = \"urn:ietf:params:oauth:token-type:id_token\"", ID_TOKEN, None),
        ("requested_token_type = \"urn:ietf:params:oauth:token-type:access_token\"", JWT, Some(ACCESS_TOKEN)),
    ] {
        let sandbox = issuing(Settings { client_id: String::new(), ..Settings::default() });
        let nexus = home(&sandbox, &format!("grant = \"token-exchange\"\nassertion_file = \"token\"\n{lines}"));
        nexus.write("token", &jwt("x-1", 300), 0o600);
        nexus.run(&["oauth", "token"]).ok();
        let sent = &requests(&sandbox, "token-exchange")[0];
        assert_eq!(sent.field("subject_token"), Some(jwt_in(&nexus)));
        assert_eq!(sent.field("subject_token_type").as_deref(), Some(kind));
        assert_eq!(sent.field("requested_token_type").as_deref(), requested);
    }
}

/// A person's login at `org`, whose tokens `ci` exchanges.
struct Chain {
    org: Sandbox,
    ci: Sandbox,
    nexus: Nexus,
}

fn chain(org: Settings, lines: &str) -> Chain {
    let (org, ci) = (sandbox(org), issuing(Settings { client_id: String::new(), ..Settings::default() }));
    let mut nexus = Nexus::new();
    nexus.name(&ci.origin().replace("http://", ""), "[CI]");
    nexus.name(&org.origin().replace("http://", ""), "[ORG]");
    let login = format!(
        "authorize_url = \"{}\"\nclient_id = \"sandbox-client\"\nscopes = [\"openid\"]\n\
         redirect_uri = \"http://127.0.0.1:0/callback\"",
        org.url(Endpoint::Authorize)
    );
    let ours = format!("assertion_from = \"org\"\n{lines}");
    nexus.configure(&format!("default = \"ci\"\n{}{}", section("ci", &ci, &ours), section("org", &org, &login)));
    Chain { org, ci, nexus }
}

impl Chain {
    fn sign_in(&self) {
        let mut started = self.nexus.start(&["--provider", "org", "--no-browser"]);
        visit(&approve(&started.url()));
        assert_eq!(started.finish().code, Some(0));
    }
}

#[test]
fn the_login_at_one_server_becomes_a_token_of_another() {
    for (lines, grant, field, kind) in [
        ("grant = \"jwt-bearer\"", "jwt-bearer", "assertion", None),
        ("grant = \"token-exchange\"", "token-exchange", "subject_token", Some(ID_TOKEN)),
        (
            "grant = \"token-exchange\"\nassertion_token = \"access_token\"",
            "token-exchange",
            "subject_token",
            Some(ACCESS_TOKEN),
        ),
    ] {
        let chain = chain(Settings::default(), lines);
        let output = chain.nexus.run(&["oauth", "token"]);
        assert_eq!(output.code, Some(4), "{output}");
        assert!(output.stderr.contains("nexus oauth start --provider org"), "{output}");
        chain.sign_in();
        let access = newest(&chain.org, "access");
        let printed = chain.nexus.run(&["oauth", "token"]);
        let sent = requests(&chain.ci, grant);
        let sent = sent.first().unwrap_or_else(|| panic!("{printed}"));
        let token = sent.field(field).unwrap();
        match kind {
            Some(ACCESS_TOKEN) => assert_eq!(token, access),
            _ => {
                let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
                let claims: Value = serde_json::from_slice(&claims).unwrap();
                assert_eq!(
                    (&claims["iss"], &claims["email"]),
                    (&json!(chain.org.origin()), &json!("you@sandbox.example"))
                );
            }
        }
        assert_eq!(sent.field("subject_token_type").as_deref(), kind);
        if kind != Some(ACCESS_TOKEN) {
            assert_eq!(printed.ok().trim(), newest(&chain.ci, "access"));
            assert_eq!(chain.org.refreshes_asked(), 0);
        }
    }
}

#[test]
fn an_expired_id_token_refreshes_the_session_that_it_comes_from() {
    let claims = json!({ "exp": nexus::now() + 5 });
    let org = Settings { id_token_claims: claims.as_object().unwrap().clone(), ..Settings::default() };
    let chain = chain(org, "grant = \"jwt-bearer\"");
    chain.sign_in();
    let output = chain.nexus.run(&["oauth", "token"]);
    assert_eq!(output.code, Some(4), "{output}");
    let message = "error: the session with org has no valid ID token, and a refresh brought none\n  set `scopes` with \
                   \"openid\" under [provider.org] in config.toml, then run `nexus oauth start --provider org`\n";
    assert_eq!(output.stderr, message);
    assert_eq!((chain.org.refreshes_asked(), chain.ci.requests().len()), (1, 0));

    chain.org.change(|settings| settings.id_token_claims.clear());
    chain.nexus.run(&["oauth", "token"]).ok();
    assert_eq!((chain.org.refreshes_asked(), chain.ci.counts().exchanges), (2, 1));
}

#[test]
fn providers_that_need_each_other_are_a_configuration_error() {
    let sandbox = confidential();
    let from = |other: &str| format!("grant = \"jwt-bearer\"\nassertion_from = \"{other}\"");
    let nexus = Nexus::new();
    for (sections, message) in [
        (section("a", &sandbox, &from("a")), "leads back to the provider `a`"),
        (
            section("a", &sandbox, &from("b"))
                + &section("b", &sandbox, &from("c"))
                + &section("c", &sandbox, &from("a")),
            "`provider.c.assertion_from` in [HOME]/config.toml, line 19, leads back to the provider `a`",
        ),
        (
            section("a", &sandbox, &from("work")) + &section("wrok", &sandbox, ""),
            "names the unknown provider `work`\n  did you mean `wrok`?",
        ),
    ] {
        nexus.configure(&format!("default = \"a\"\n{sections}"));
        for words in [&["oauth", "token"][..], &["chat", "x"], &["oauth", "start"]] {
            let output = nexus.run(words);
            assert_eq!(output.code, Some(2), "{output}");
            assert!(output.stderr.contains(message), "{output}");
        }
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    let sandbox = confidential();
    for (lines, message) in [
        ("assertion_file = \"a\"", "`provider.ci.assertion_file` in [HOME]/config.toml, line 6, requires `grant`"),
        ("audience = \"a\"", "requires `grant`"),
        ("grant = \"jwt-bearer\"", "is jwt-bearer, but there is no assertion"),
        ("grant = \"jwt_bearer\"", "did you mean `jwt-bearer`?"),
        ("grant = \"token-exchange\"", "is token-exchange, but there is no assertion"),
        ("grant = \"client_credentials\"", "is client_credentials, but there is no `client_id`"),
        ("grant = \"client_credentials\"\nclient_id = \"c\"", "but the client has no credentials"),
        (
            "grant = \"jwt-bearer\"\nassertion_file = \"a\"\nassertion_from = \"b\"",
            "cannot be combined with `assertion_file`",
        ),
        ("grant = \"jwt-bearer\"\nassertion_file = \"a\"\nassertion_token = \"id_token\"", "requires `assertion_from`"),
        ("grant = \"jwt-bearer\"\nassertion_file = \"a\"\nrequested_token_type = \"x\"", "does not go with"),
        ("grant = \"jwt-bearer\"\nassertion_command = \"cat token\"", "must be a list of quoted strings"),
        ("grant = \"client_credentials\"\ntoken_command = [\"x\"]", "cannot be combined with `token_command`"),
    ] {
        let output = home(&sandbox, lines).run(&["oauth", "token"]);
        assert_eq!(output.code, Some(2), "{lines}\n{output}");
        assert!(output.stderr.contains(message), "{lines}\n{output}");
    }
}

#[test]
fn many_processes_with_an_ended_token_request_one() {
    let sandbox = confidential();
    let nexus = home(&sandbox, CREDENTIALS);
    nexus.run(&["oauth", "token"]).ok();
    Stored::open(nexus.home()).pass(9 * 3_600);
    let (first, gate) = nexus.held(&sandbox, Scripted::Paused, &["oauth", "token"]);
    let others: Vec<_> = (0..100).map(|_| nexus.command(&["oauth", "token"]).spawn().unwrap()).collect();
    gate.open();
    let first = nexus.finish(first).ok();
    for other in others {
        assert_eq!(nexus.finish(other).ok(), first);
    }
    assert_eq!(requests(&sandbox, "client_credentials").len(), 2);
}

#[test]
fn after_a_kill_in_the_middle_the_next_process_requests_a_token() {
    let sandbox = confidential();
    let nexus = home(&sandbox, CREDENTIALS);
    for answer in [Scripted::Wait as fn(Gate) -> Scripted, Scripted::Paused] {
        let (mut killed, _gate) = nexus.held(&sandbox, answer, &["oauth", "token"]);
        killed.kill().unwrap();
        killed.wait().unwrap();
        nexus.run(&["oauth", "token"]).ok();
        Stored::open(nexus.home()).pass(9 * 3_600);
    }
    assert_eq!(requests(&sandbox, "client_credentials").len(), 4);
}

#[cfg(unix)]
#[test]
fn an_assertion_behind_links_is_replaced_while_many_processes_read_it() {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    let sandbox = issuing(Settings { client_id: String::new(), ..Settings::default() });
    let nexus = home(&sandbox, "grant = \"jwt-bearer\"\nassertion_file = \"mount/token\"");
    // As Kubernetes mounts a projected token: token -> ..data/token, ..data -> ..1.
    fs::create_dir(nexus.path("mount")).unwrap();
    symlink("..data/token", nexus.path("mount/token")).unwrap();
    let place = |turn: u32| {
        fs::create_dir(nexus.path(&format!("mount/..{turn}"))).unwrap();
        nexus.write(&format!("mount/..{turn}/token"), &jwt(&format!("l-{turn}"), 300), 0o644);
        symlink(format!("..{turn}"), nexus.path("mount/..next")).unwrap();
        fs::rename(nexus.path("mount/..next"), nexus.path("mount/..data")).unwrap();
        if turn > 0 {
            fs::remove_dir_all(nexus.path(&format!("mount/..{}", turn - 1))).unwrap();
        }
    };
    place(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 1.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                place(turn);
            }
        });
        for turn in 0..10 {
            let asked: Vec<_> = (0..10).map(|_| nexus.command(&["oauth", "token"]).spawn().unwrap()).collect();
            for child in asked {
                let output = nexus.finish(child);
                if output.code != Some(0) {
                    done.store(true, Ordering::Relaxed);
                    panic!("{turn}: {output}");
                }
            }
            nexus.run(&["oauth", "logout"]);
        }
        done.store(true, Ordering::Relaxed);
    });
}
