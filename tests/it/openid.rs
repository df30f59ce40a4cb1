//! OpenID Connect in a sign-in: the nonce, the ID token, the UserInfo endpoint and `offline_access`.

use nexus::sandbox::{Answer, Endpoint, Piece, Sandbox, Scripted, Settings};
use serde_json::{Map, Value, json};

use crate::nexus::{Nexus, Output, approve, config, sandbox, visit};

/// A home whose provider asks for these scopes, with more lines in its section.
fn asking(sandbox: &Sandbox, scopes: &str, lines: &str) -> Nexus {
    let mut nexus = Nexus::at(sandbox);
    nexus.configure(&config(sandbox, lines).replace("\"model.read\"]", &format!("\"model.read\", {scopes}]")));
    nexus.name(&format!("{}/", sandbox.origin()), "[ORIGIN]/");
    nexus
}

fn openid(sandbox: &Sandbox, lines: &str) -> Nexus {
    asking(sandbox, "\"openid\"", lines)
}

/// Signs in, whether that works or not.
fn sign_in(nexus: &Nexus) -> Output {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    visit(&approve(&url));
    started.finish()
}

/// The lines of stderr after the invitation.
fn verdict(output: &Output) -> &str {
    output.stderr.split_once("(Ctrl-C cancels).\n").unwrap_or_else(|| panic!("{output}")).1
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

/// A server whose token responses name no account but in the ID token.
fn plain(claims: Value) -> Settings {
    let token_extra = object(json!({ "account": null }));
    Settings { token_extra, id_token_claims: object(claims), ..Settings::default() }
}

#[test]
fn a_token_for_another_resource_needs_no_userinfo_if_the_id_token_tells_who_signed_in() {
    let sandbox = sandbox(plain(json!({ "email": null })));
    let lines =
        format!("resource = \"https://llm.example.com\"\nuserinfo_url = \"{}\"", sandbox.url(Endpoint::Userinfo));
    let nexus = openid(&sandbox, &lines);
    let refused = json!({ "error": "insufficient_scope" });
    sandbox.script(Endpoint::Userinfo, [Scripted::json(403, &refused)]);
    let output = sign_in(&nexus);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(verdict(&output).starts_with("Signed in as 5a2d6b0e-"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Userinfo).len(), 1);
}

#[test]
fn a_nonce_is_sent_with_the_scope_openid_only() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let nexus = openid(&sandbox, "");
    nexus.sign_in();
    nexus.sign_in();
    let asked = sandbox.requests_to(Endpoint::Authorize);
    let nonces: Vec<_> =
        asked.iter().map(|asked| asked.parameters().into_iter().find(|(name, _)| name == "nonce")).collect();
    assert_eq!(nonces[0], None);
    assert!(nonces[1].as_ref().is_some_and(|(_, nonce)| nonce.len() == 43), "{nonces:?}");
    assert_ne!(nonces[1], nonces[2]);
}

#[test]
fn the_id_token_names_the_account() {
    for (claims, account) in [
        (json!({}), "you@sandbox.example"),
        (json!({ "email": null, "preferred_username": "ada", "name": "Ada L" }), "ada"),
        (json!({ "email": null, "name": "Ada L" }), "Ada L"),
        (json!({ "email": null, "sub": "u-1" }), "u-1"),
        (json!({ "email": "\u{1b}[2Jada@example.com" }), "[2Jada@example.com"),
    ] {
        let sandbox = sandbox(plain(claims));
        let nexus = openid(&sandbox, "");
        let output = sign_in(&nexus);
        assert_eq!(verdict(&output), format!("Signed in as {account}, token expires in 8.0 hours\n"));
        let status = nexus.run(&["oauth", "status", "--json"]).json();
        assert!(status["account"].as_str().is_some_and(|shown| shown.ends_with(account)), "{status}");
    }
}

#[test]
fn a_wrong_id_token_fails_the_sign_in_and_its_tokens_are_revoked() {
    let elsewhere = "http://evil.example";
    for (claims, problem) in [
        (json!({ "iss": elsewhere }), "is from issuer `http://evil.example`; expected `[ORIGIN]`"),
        (json!({ "iss": null }), "names no issuer; expected `[ORIGIN]`"),
        (json!({ "aud": "another" }), "is for the client `another`; expected `sandbox-client`"),
        (
            json!({ "aud": ["sandbox-client", "another"], "azp": "another" }),
            "is for the client `another`; expected `sandbox-client`",
        ),
        (json!({ "exp": 1_000_000 }), "has expired"),
        (json!({ "exp": null }), "has expired"),
        (json!({ "nonce": "another" }), "has the nonce of another sign-in or none"),
        (json!({ "nonce": null }), "has the nonce of another sign-in or none"),
    ] {
        let sandbox = sandbox(plain(claims.clone()));
        let nexus = openid(&sandbox, "");
        let output = sign_in(&nexus);
        assert_eq!(output.code, Some(4), "{claims}: {output}");
        let error = format!("error: the ID token that [SERVER] sent {problem}\n");
        assert!(verdict(&output).starts_with(&error), "{output}");
        assert_eq!(sandbox.requests_to(Endpoint::Revoke).len(), 2, "{claims}");
        assert_eq!(nexus.run(&["oauth", "status"]).stdout, "Not signed in: run nexus oauth start\n");
    }
}

#[test]
fn an_unreadable_id_token_fails_the_sign_in() {
    for text in ["garbage".to_owned(), "a.b.c".into(), "a.e30.b.c.d".into(), "[".repeat(500_000)] {
        let mut settings = Settings::default();
        settings.token_extra.insert("id_token".into(), text.clone().into());
        let output = sign_in(&openid(&sandbox(settings), ""));
        assert!(verdict(&output).starts_with("error: the ID token that [SERVER] sent cannot be read\n"), "{output}");
        assert!(output.code == Some(4) && !output.stderr.contains(&text), "{output}");
    }
}

#[test]
fn a_wrong_id_token_keeps_the_earlier_session() {
    let sandbox = sandbox(plain(json!({})));
    let nexus = openid(&sandbox, "");
    nexus.sign_in();
    sandbox.change(|settings| settings.id_token_claims = object(json!({ "nonce": "another", "sub": "u-2" })));
    assert_eq!(sign_in(&nexus).code, Some(4));
    assert_eq!(sandbox.counts().revocations, 1, "this server gives each sign-in a grant_id");
    nexus.run(&["chat", "x"]).ok();
    // Without it, both may be one grant, which ends with any of its tokens. Claims of a wrong ID token prove nothing.
    sandbox.change(|settings| drop(settings.token_extra.insert("grant_id".into(), Value::Null)));
    assert_eq!(sign_in(&nexus).code, Some(4));
    assert_eq!(sandbox.counts().revocations, 1);
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn an_expiry_is_judged_by_the_servers_clock() {
    let mut settings = plain(json!({ "exp": 1_700_000_100 }));
    settings.date = Some("Tue, 14 Nov 2023 22:13:20 GMT".into());
    assert_eq!(sign_in(&openid(&sandbox(settings), "")).code, Some(0));
}

#[test]
fn a_configured_issuer_must_be_that_of_the_id_token() {
    let sandbox = sandbox(Settings {
        issuer: nexus::sandbox::Issuer::Absent,
        ..plain(json!({ "iss": "https://id.example.com" }))
    });
    let nexus = openid(&sandbox, "issuer = \"https://id.example.com\"");
    assert_eq!(sign_in(&nexus).code, Some(0));
    let nexus = openid(&sandbox, "");
    let output = sign_in(&nexus);
    assert!(
        output.stderr.ends_with(
            "\n  if its operator says that both are the same server, set `issuer = \"https://id.example.com\"` under [provider.work] in \
             config.toml, then run `nexus oauth start` again\n"
        ),
        "{output}"
    );
}

#[test]
fn a_missing_id_token_is_a_note_unless_the_scope_was_not_granted() {
    let mut settings = Settings { id_token: false, ..Settings::default() };
    let output = sign_in(&openid(&sandbox(settings.clone()), ""));
    assert_eq!(
        verdict(&output),
        "note: [SERVER] sent no ID token, although `openid` was requested; it may not support OpenID Connect\n\
         Signed in as you@sandbox.example, token expires in 8.0 hours\n"
    );
    settings.token_extra.insert("scope".into(), "model.read".into());
    let output = sign_in(&openid(&sandbox(settings), ""));
    assert_eq!(verdict(&output), "Signed in as you@sandbox.example, token expires in 8.0 hours\n");
}

#[test]
fn the_id_token_is_not_checked_where_it_was_not_asked_for() {
    let mut settings = plain(json!({}));
    settings.token_extra.insert("id_token".into(), "a.eyJpc3MiOiJ4IiwiZW1haWwiOiJhZGFAZXhhbXBsZS5jb20ifQ.b".into());
    let output = sign_in(&Nexus::at(&sandbox(settings)));
    assert_eq!(verdict(&output), "Signed in as ada@example.com, token expires in 8.0 hours\n");
}

fn userinfo_url(sandbox: &Sandbox) -> String {
    format!("userinfo_url = \"{}\"", sandbox.url(Endpoint::Userinfo))
}

#[test]
fn userinfo_names_the_account_if_nothing_else_does() {
    let sandbox = sandbox(plain(json!({ "email": null })));
    let nexus = openid(&sandbox, &userinfo_url(&sandbox));
    assert_eq!(verdict(&sign_in(&nexus)), "Signed in as you@sandbox.example, token expires in 8.0 hours\n");
    assert_eq!(sandbox.requests_to(Endpoint::Userinfo).len(), 1);
    sandbox.change(|settings| settings.token_lifetime = Some(0.into()));
    nexus.run(&["chat", "x"]).ok();
    assert_eq!(nexus.run(&["oauth", "status", "--json"]).json()["account"], "you@sandbox.example");
    assert_eq!(sandbox.requests_to(Endpoint::Userinfo).len(), 1, "asked once, at the sign-in");
}

#[test]
fn userinfo_is_not_asked_if_the_name_is_known() {
    let sandbox = sandbox(plain(json!({})));
    openid(&sandbox, &userinfo_url(&sandbox)).sign_in();
    assert_eq!(sandbox.requests_to(Endpoint::Userinfo).len(), 0);
}

#[test]
fn a_failing_userinfo_endpoint_is_only_a_note() {
    let endless = Scripted::Answer(Answer::stream(std::iter::repeat_n(Piece::text(&"x".repeat(9_000)), 9)));
    for (answer, description) in [
        (Scripted::json(403, &json!({ "error": "insufficient_scope" })), "answered 403: insufficient_scope"),
        (Scripted::text(200, "text/html", "<html>"), "sent no usable response (not a JSON object)"),
        (
            Scripted::text(302, "text/html", "").header("location", "https://evil.example/"),
            "sent no usable response (a redirect (302), which is not followed)",
        ),
        (Scripted::json(200, &json!({})), "named another account than the ID token"),
        (
            Scripted::json(200, &json!({ "sub": "another", "email": "eve@example.com" })),
            "named another account than the ID token",
        ),
        (endless, "sent no usable response (more than 64 KiB)"),
    ] {
        let sandbox = sandbox(plain(json!({ "email": null, "sub": "u-1" })));
        let nexus = openid(&sandbox, &userinfo_url(&sandbox));
        sandbox.script(Endpoint::Userinfo, [answer]);
        let output = sign_in(&nexus);
        assert_eq!(
            verdict(&output),
            format!(
                "note: the name of the account is not known: [SERVER] {description}\n\
                 Signed in as u-1, token expires in 8.0 hours\n"
            )
        );
        assert_eq!(output.code, Some(0));
    }
}

#[test]
fn a_userinfo_endpoint_without_a_name_leaves_the_account_unknown() {
    let sandbox = sandbox(plain(json!({})));
    sandbox.change(|settings| settings.userinfo = Some(json!({ "email": 7 })));
    let nexus = Nexus::at_with(&sandbox, &userinfo_url(&sandbox));
    assert_eq!(
        verdict(&sign_in(&nexus)),
        "note: the name of the account is not known: [SERVER] named no account\n\
         Signed in to work, token expires in 8.0 hours\n"
    );
}

#[test]
fn a_missing_refresh_token_is_reported_with_the_prompt_that_helps() {
    let sandbox = sandbox(Settings { offline_needs_consent: true, ..Settings::default() });
    let nexus = asking(&sandbox, "\"offline_access\"", "");
    assert_eq!(
        verdict(&sign_in(&nexus)),
        "note: [SERVER] issued no refresh token, although `offline_access` was requested: sign in again when the token \
         expires; many servers issue one with `prompt = \"consent\"` under [provider.work] in config.toml\n\
         Signed in as you@sandbox.example, token expires in 8.0 hours\n"
    );
    let nexus = asking(&sandbox, "\"offline_access\"", "prompt = \"consent\"");
    assert_eq!(verdict(&sign_in(&nexus)), "Signed in as you@sandbox.example, token expires in 8.0 hours\n");
    assert!(nexus.run(&["oauth", "status"]).stdout.ends_with("auto-refresh enabled\n"));
    sandbox.change(|settings| settings.refresh_tokens = false);
    let nexus = asking(&sandbox, "\"offline_access\"", "prompt = \"login consent\"");
    assert!(
        verdict(&sign_in(&nexus))
            .starts_with("note: [SERVER] issued no refresh token, although `offline_access` was requested\n")
    );
    assert_eq!(
        verdict(&sign_in(&Nexus::at(&sandbox))),
        "Signed in as you@sandbox.example, token expires in 8.0 hours\n"
    );
}
