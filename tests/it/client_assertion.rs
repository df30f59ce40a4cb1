//! Clients that authenticate with an assertion (`private_key_jwt` of RFC 7523, section 2.2): signed with an own key,
//! from a file or from a command. And client secrets in environment variables.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus::ClientAuth;
use nexus::sandbox::{AssertionRules, Endpoint, Issuer, RecordedRequest, Sandbox, Scripted, Settings};
use serde_json::{Map, Value, json};

use crate::device;
use crate::nexus::{Nexus, Output, approve, config, sandbox, visit};

const KEYS: [(&str, &str); 4] = [
    ("RS256", include_str!("keys/rsa.pem")),
    ("ES256", include_str!("keys/p256.pem")),
    ("ES384", include_str!("keys/p384.pem")),
    ("EdDSA", include_str!("keys/ed25519.pem")),
];

/// A sandbox that demands assertions of the client, and whose tokens expire at once.
fn demanding(rules: AssertionRules) -> Sandbox {
    sandbox(Settings {
        client_auth: ClientAuth::PrivateKeyJwt,
        assertions: rules,
        device: Some(Map::new()),
        token_lifetime: Some(json!(0)),
        ..Settings::default()
    })
}

/// A home with these lines in the section of the provider, and with the ES256 key in `key.pem`.
fn home(sandbox: &Sandbox, lines: &str) -> Nexus {
    let nexus = Nexus::at_with(sandbox, lines);
    nexus.write("key.pem", KEYS[1].1, 0o600);
    nexus
}

/// An assertion for the client of the sandbox. `claims` replace others.
fn assertion(sandbox: &Sandbox, id: &str, claims: Value) -> String {
    let mut all = json!({
        "iss": "sandbox-client", "sub": "sandbox-client", "aud": sandbox.origin(), "exp": nexus::now() + 300, "jti": id,
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.c2ln", part(json!({ "alg": "ES256" })), part(all))
}

/// The header and the claims of the assertion in a request.
fn sent(request: &RecordedRequest) -> (Value, Value) {
    let kind = request.field("client_assertion_type");
    assert_eq!(kind.as_deref(), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    assert_eq!(request.field("client_id").as_deref(), Some("sandbox-client"));
    assert_eq!((request.header("authorization"), request.field("client_secret")), (None, None));
    let assertion = request.field("client_assertion").unwrap();
    let part = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let [header, claims, _] = assertion.split('.').collect::<Vec<_>>()[..] else { panic!("a JWT: {assertion}") };
    (part(header), part(claims))
}

fn start(nexus: &Nexus) -> Output {
    let mut started = nexus.start(&["--no-browser"]);
    match started.url_or_end() {
        Some(url) => drop(visit(&approve(&url))),
        None => return started.finish(),
    }
    started.finish()
}

#[test]
fn every_endpoint_gets_a_signed_assertion_of_its_own() {
    let sandbox = demanding(AssertionRules { key_id: Some("k-1".into()), ..AssertionRules::default() });
    let lines = format!(
        "client_assertion_key_file = \"key.pem\"\nclient_assertion_key_id = \"k-1\"\npar_url = \"{}\"\ndevice_url = \"{}\"",
        sandbox.url(Endpoint::Par),
        sandbox.url(Endpoint::DeviceAuthorization),
    );
    let nexus = home(&sandbox, &lines);
    assert_eq!(start(&nexus).code, Some(0));
    nexus.run(&["oauth", "token"]).ok();
    assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at"));
    let mut started = nexus.start(&["--device"]);
    assert!(sandbox.approve_device(&device::code(&mut started)));
    assert_eq!(started.finish().code, Some(0));

    let mut ids = Vec::new();
    for endpoint in [Endpoint::Par, Endpoint::Token, Endpoint::Revoke, Endpoint::DeviceAuthorization] {
        let requests = sandbox.requests_to(endpoint);
        assert!(!requests.is_empty(), "{endpoint:?}");
        for (header, claims) in requests.iter().map(sent) {
            assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "k-1" }));
            assert_eq!(claims["aud"], sandbox.url(Endpoint::Token), "without an issuer, the token endpoint");
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("sandbox-client"), &json!("sandbox-client")));
            assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|at| at + 60));
            ids.push(claims["jti"].as_str().unwrap().to_owned());
        }
    }
    let sent = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), sent, "no assertion is sent twice");
}

#[test]
fn the_algorithm_follows_from_the_key_and_the_audience_from_the_issuer() {
    for (algorithm, key) in KEYS {
        let sandbox = demanding(AssertionRules::default());
        let lines = format!("issuer = \"{}\"\nclient_assertion_key_file = \"own.pem\"", sandbox.origin());
        let nexus = home(&sandbox, &lines);
        nexus.write("own.pem", key, 0o600);
        assert_eq!(start(&nexus).code, Some(0), "{algorithm}");
        let (header, claims) = sent(&sandbox.requests_to(Endpoint::Token)[0]);
        assert_eq!((&header["alg"], &claims["aud"]), (&json!(algorithm), &json!(sandbox.origin())));
        assert!(claims.get("kid").is_none());
    }
}

#[test]
fn a_configured_audience_comes_first() {
    let sandbox = demanding(AssertionRules::default());
    let lines = "client_auth = \"private_key_jwt\"\nclient_assertion_key_file = \"key.pem\"\nclient_assertion_audience = \"urn:x\"";
    let nexus = home(&sandbox, lines);
    let output = start(&nexus);
    assert_eq!(output.code, Some(2), "{output}");
    let message = "[SERVER] rejected the client id `sandbox-client`: the assertion has another audience (the assertion signed \
                   with [HOME]/key.pem was sent)";
    assert!(output.stderr.contains(message), "{output}");
    assert_eq!(sent(&sandbox.requests_to(Endpoint::Token)[0]).1["aud"], "urn:x");
}

#[test]
fn the_file_of_an_assertion_is_read_for_each_request() {
    let sandbox = demanding(AssertionRules::default());
    let nexus = home(&sandbox, "client_assertion_file = \"token\"");
    for (turn, id) in ["a-1", "a-2"].into_iter().enumerate() {
        nexus.write("token", &format!("{}\n", assertion(&sandbox, id, json!({}))), 0o600);
        match turn {
            0 => assert_eq!(start(&nexus).code, Some(0)),
            _ => drop(nexus.run(&["oauth", "token"]).ok()),
        }
    }
    let ids: Vec<_> =
        sandbox.requests_to(Endpoint::Token).iter().map(|request| sent(request).1["jti"].clone()).collect();
    assert_eq!(ids, [json!("a-1"), json!("a-2")]);
}

#[cfg(unix)]
#[test]
fn a_command_prints_the_assertion_and_sees_no_secret() {
    let sandbox = demanding(AssertionRules::default());
    let lines = "client_assertion_command = [\"/bin/sh\", \"print.sh\"]\nrefresh_headers = {}";
    let mut nexus = home(&sandbox, lines);
    let token = assertion(&sandbox, "c-1", json!({}));
    nexus.write("print.sh", &format!("echo \"[$ANTHROPIC_API_KEY]\" >seen\ncat\necho {token}\n"), 0o600);
    nexus.set("ANTHROPIC_API_KEY", "hush");
    assert_eq!(start(&nexus).code, Some(0));
    assert_eq!(fs::read_to_string(nexus.path("seen")).unwrap(), "[]\n");
}

#[cfg(unix)]
#[test]
fn a_client_secret_in_a_variable_is_used_and_not_inherited() {
    let sandbox = sandbox(Settings {
        client_auth: ClientAuth::Basic,
        client_secret: Some("hush-4711".into()),
        ..Settings::default()
    });
    let mut nexus = Nexus::at(&sandbox);
    let top = "key = \"passphrase\"\npassphrase_command = [\"/bin/sh\", \"-c\", \"env >environment; echo pass\"]\n";
    nexus.configure(&format!("{top}{}", config(&sandbox, "client_secret = { env = \"GATEWAY_SECRET\" }")));
    for unset in [None, Some("")] {
        if let Some(value) = unset {
            nexus.set("GATEWAY_SECRET", value);
        }
        let output = nexus.run(&["oauth", "start", "--no-browser"]);
        assert_eq!(output.code, Some(2), "{output}");
        let message = "error: `provider.work.client_secret` in [HOME]/config.toml, line 12, is in the environment variable \
                       `GATEWAY_SECRET`, which is not set\n  set GATEWAY_SECRET to the client secret\n";
        assert_eq!(output.stderr, message);
    }
    nexus.set("GATEWAY_SECRET", "hush-4711");
    assert_eq!(start(&nexus).code, Some(0));
    let environment = fs::read_to_string(nexus.path("environment")).unwrap();
    assert!(environment.contains("NEXUS_HOME") && !environment.contains("GATEWAY_SECRET"), "{environment}");
}

#[test]
fn what_brought_the_assertion_is_named_and_whether_it_had_expired() {
    let sandbox = demanding(AssertionRules { opaque: true, ..AssertionRules::default() });
    let nexus = home(&sandbox, "client_assertion_file = \"token\"");
    nexus.write("token", &assertion(&sandbox, "e-1", json!({ "exp": nexus::now() - 300 })), 0o600);
    let output = start(&nexus);
    assert_eq!(output.code, Some(2), "{output}");
    let message =
        "[SERVER] rejected the client id `sandbox-client`: the assertion from [HOME]/token expired 5 minutes ago\n";
    assert!(output.stderr.contains(message), "{output}");
}

#[test]
fn what_cannot_be_sent_is_reported_before_the_user_is_asked() {
    for (lines, file, message) in [
        (
            "client_assertion_file = \"token\"",
            None,
            "[HOME]/token: No such file or directory (os error 2)\n  create the file, or correct the path",
        ),
        ("client_assertion_file = \"token\"", Some("a b"), "[HOME]/token: the assertion in it has a space in it\n"),
        ("client_assertion_file = \"token\"", Some("\n"), "[HOME]/token: the assertion in it is empty\n"),
        (
            "client_assertion_key_file = \"token\"",
            Some("no key"),
            "[HOME]/token: the file contains no private key in PEM",
        ),
    ] {
        let sandbox = demanding(AssertionRules::default());
        let nexus = home(&sandbox, lines);
        if let Some(text) = file {
            nexus.write("token", text, 0o600);
        }
        let output = start(&nexus);
        assert_eq!(output.code, Some(2), "{output}");
        assert!(output.stderr.contains(message), "{message}\n{output}");
        assert!(sandbox.requests().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_command_that_prints_no_assertion_is_named() {
    for (script, code, message) in [
        (
            "exit 3",
            1,
            "the command `/bin/sh`, which prints the assertion, failed (exit status: 3)\n  run the command yourself",
        ),
        ("echo", 2, "the command `/bin/sh`, which prints the assertion, prints nothing\n"),
        ("echo a; echo b", 2, "the command `/bin/sh`, which prints the assertion, prints more than one line\n"),
        ("echo a b", 2, "the assertion from the command `/bin/sh` has a space in it\n"),
    ] {
        let sandbox = demanding(AssertionRules::default());
        let nexus = home(&sandbox, &format!("client_assertion_command = [\"/bin/sh\", \"-c\", \"{script}\"]"));
        let output = start(&nexus);
        assert_eq!(output.code, Some(code), "{output}");
        assert!(output.stderr.contains(message), "{message}\n{output}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_change_is_refused() {
    let sandbox = demanding(AssertionRules::default());
    let nexus = home(&sandbox, "client_assertion_file = \"token\"");
    nexus.write("target", &assertion(&sandbox, "t-1", json!({})), 0o666);
    std::os::unix::fs::symlink("target", nexus.path("token")).unwrap();
    let output = start(&nexus);
    assert_eq!(output.code, Some(2), "{output}");
    let message = "[HOME]/token: other users can write to its target [HOME]/target\n  run `chmod go-w [HOME]/target`";
    assert!(output.stderr.contains(message), "{output}");
}

#[test]
fn an_assertion_is_never_shown() {
    let sandbox = demanding(AssertionRules::default());
    let nexus = home(&sandbox, "client_assertion_file = \"token\"");
    let token = assertion(&sandbox, "s-1", json!({}));
    nexus.write("token", &token, 0o600);
    let quoting = json!({ "error": "invalid_client", "error_description": format!("bad assertion {token}") });
    sandbox.script(Endpoint::Token, [Scripted::json(401, &quoting)]);
    let mut started = nexus.start(&["--no-browser", "--verbose"]);
    visit(&approve(&started.url()));
    let output = started.finish();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("bad assertion (secret)"), "{output}");
    assert!(!output.stderr.contains(&token), "{output}");
}

#[test]
fn a_server_that_wants_an_assertion_is_told_apart_from_one_that_refuses() {
    let mut metadata = Map::new();
    metadata.insert("token_endpoint_auth_methods_supported".into(), json!(["private_key_jwt", "tls_client_auth"]));
    let sandbox = sandbox(Settings {
        client_auth: ClientAuth::PrivateKeyJwt,
        issuer: Issuer::Own,
        metadata,
        ..Settings::default()
    });
    let nexus = Nexus::new();
    let section = |lines: &str| {
        format!(
            "default = \"work\"\n[provider.work]\nissuer = \"{}\"\nclient_id = \"sandbox-client\"\n\
             redirect_uri = \"http://127.0.0.1:0/callback\"\n{lines}",
            sandbox.origin()
        )
    };
    nexus.configure(&section(""));
    let output = start(&nexus);
    assert_eq!(output.code, Some(2), "{output}");
    let message = "the authorization server of work accepts only clients that authenticate with private_key_jwt\n  register a \
                   public key for the client, then set `client_id` and `client_assertion_key_file`";
    assert!(output.stderr.contains(message), "{output}");
    nexus.write("key.pem", KEYS[1].1, 0o600);
    nexus.configure(&section("client_assertion_key_file = \"key.pem\"\n"));
    assert_eq!(start(&nexus).code, Some(0));
}

#[test]
fn a_session_survives_a_change_to_assertions() {
    let sandbox = demanding(AssertionRules::default());
    sandbox.change(|settings| settings.client_auth = ClientAuth::None);
    let nexus = home(&sandbox, "");
    assert_eq!(start(&nexus).code, Some(0));
    sandbox.change(|settings| settings.client_auth = ClientAuth::PrivateKeyJwt);
    nexus.configure(&config(&sandbox, "client_assertion_key_file = \"key.pem\""));
    nexus.run(&["oauth", "token"]).ok();
    nexus.configure(&config(&sandbox, ""));
    let output = nexus.run(&["oauth", "token"]);
    assert_eq!(output.code, Some(2), "{output}");
}
