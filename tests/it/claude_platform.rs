//! Claude Platform OAuth: the provider `claude_platform`, as far as it is documented.

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, approve, sandbox, visit};
use crate::stored::Stored;
use crate::terminal::Terminal;

/// A home whose default provider is `claude_platform`, with the endpoints of a sandbox that demands assertions.
fn linked(lines: &str) -> (Sandbox, Nexus) {
    let mut settings = Settings { client_auth: ClientAuth::PrivateKeyJwt, ..Settings::default() };
    settings.token_extra.insert("connection_id".into(), "ocon_1".into());
    let (sandbox, mut nexus) = (sandbox(settings), Nexus::new());
    nexus.name(&sandbox.origin().replace("http://", ""), "[SERVER]");
    nexus.write("key.pem", include_str!("keys/p256.pem"), 0o600);
    let at = |endpoint| sandbox.url(endpoint);
    nexus.configure(&format!(
        "default = 'claude_platform'\n[provider.claude_platform]\nauthorize_url = '{}'\npar_url = '{}'\ntoken_url = '{}'\n\
         revoke_url = '{}'\napi_url = '{}'\nclient_id = 'sandbox-client'\nclient_assertion_key_file = 'key.pem'\n\
         redirect_uri = 'http://127.0.0.1:0/callback'\nmodels = ['claude-one', 'claude-two']\n\
         par_params = {{ user_profile = 'uprof_1' }}\n{lines}\n",
        at(Endpoint::Authorize),
        at(Endpoint::Par),
        at(Endpoint::Token),
        at(Endpoint::Revoke),
        sandbox.origin(),
    ));
    (sandbox, nexus)
}

fn sign_in(nexus: &Nexus) -> String {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    visit(&approve(&url));
    assert_eq!(started.finish().code, Some(0));
    url
}

fn is_revoked(sandbox: &Sandbox) -> bool {
    !sandbox.requests_to(Endpoint::Revoke).is_empty()
}

#[test]
fn the_request_is_pushed_with_the_documented_scopes_and_an_assertion() {
    let (sandbox, nexus) = linked("");
    let url = sign_in(&nexus);
    let pushed = sandbox.requests_to(Endpoint::Par).pop().unwrap();
    for (field, value) in [
        ("client_id", "sandbox-client"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("response_type", "code"),
        ("scope", "billing:attribution offline_access"),
        ("code_challenge_method", "S256"),
        ("user_profile", "uprof_1"),
    ] {
        assert_eq!(pushed.field(field).as_deref(), Some(value), "{field}");
    }
    for field in ["client_assertion", "redirect_uri", "state", "code_challenge"] {
        assert!(pushed.field(field).is_some(), "{field}");
    }
    assert!(!url.contains("uprof_1") && url.contains("request_uri="), "{url}");
    assert_eq!(Stored::open(nexus.home()).session["metadata"]["connection_id"], "ocon_1");
}

#[test]
fn the_api_gets_the_customers_token_and_no_beta_header() {
    for (lines, version) in [("", "2023-06-01"), ("api_version = '2026-10-21'", "2026-10-21")] {
        let (sandbox, nexus) = linked(lines);
        sign_in(&nexus);
        nexus.run(&["chat", "Hello"]);
        assert_eq!(nexus.run(&["models"]).ok(), "claude-one\nclaude-two\n");
        assert_eq!(sandbox.requests_to(Endpoint::Models).len(), 0, "the list is configured");
        let request = sandbox.requests_to(Endpoint::Messages).pop().unwrap();
        assert_eq!(request.json()["model"], "claude-one");
        assert_eq!(request.header("anthropic-version"), Some(version));
        assert_eq!((request.header("anthropic-beta"), request.header("x-api-key")), (None, None));
    }
}

#[test]
fn a_sign_out_does_not_unlink_the_organization() {
    let kept = "Not revoked, because that would unlink the organization at [SERVER]; its tokens stay valid until they \
                expire; `nexus oauth logout --unlink` revokes\nDeleted the local session\n";
    let (sandbox, nexus) = linked("");
    sign_in(&nexus);
    sign_in(&nexus);
    assert!(!is_revoked(&sandbox), "a new sign-in replaces the connection by itself");
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: kept);
    sign_in(&nexus);
    let output = nexus.run(&["oauth", "logout", "--all"]);
    assert_output!(output, 0, stdout: "", stderr: format!("claude_platform:\n{kept}"));
    sign_in(&nexus);
    nexus.configure("broken");
    assert!(nexus.run(&["oauth", "logout"]).stderr.ends_with(kept));
    assert!(!is_revoked(&sandbox));
}

#[test]
fn each_further_customer_has_a_section() {
    let (sandbox, nexus) = linked("");
    let config = std::fs::read_to_string(nexus.path("config.toml")).unwrap();
    let own = "[provider.claude_platform]\n";
    nexus.configure(
        &config
            .replace(own, "[provider.acme]\npreset = 'claude_platform'\n")
            .replace("default = 'claude_platform'", "default = 'acme'"),
    );
    sign_in(&nexus);
    let pushed = sandbox.requests_to(Endpoint::Par).pop().unwrap();
    assert_eq!(pushed.field("scope").as_deref(), Some("billing:attribution offline_access"));
    assert_eq!(nexus.run(&["models"]).ok(), "claude-one\nclaude-two\n");
    let output = nexus.run(&["oauth", "logout"]);
    assert!(output.stderr.contains("would unlink the organization"), "{output}");
    assert!(!is_revoked(&sandbox));
    for (edited, why) in [
        (
            config.replace(own, "[provider.claude_platform]\npreset = 'ant'\n"),
            "cannot be set for a provider that is built in",
        ),
        (config.replace(own, "[provider.claude_platform]\npreset = 'claude'\n"), "preset"),
    ] {
        nexus.configure(&edited);
        let output = nexus.run(&["oauth", "token"]);
        assert!(output.code == Some(2) && output.stderr.contains(why), "{output}");
    }
}

#[test]
fn unlinking_is_asked_for_or_wanted_by_a_flag() {
    let (sandbox, nexus) = linked("");
    sign_in(&nexus);
    let output = nexus.run(&["oauth", "logout", "--unlink"]);
    assert!(output.code == Some(2) && output.stderr.contains("--unlink needs --yes"), "{output}");
    for words in [&["oauth", "logout", "--unlink", "--all"][..], &["oauth", "logout", "--yes"]] {
        assert_eq!(nexus.run(words).code, Some(2));
    }
    assert!(!is_revoked(&sandbox));
    let output = nexus.run(&["oauth", "logout", "--unlink", "--yes"]);
    let expected = "Revoked the session at [SERVER]\nDeleted the local session\n";
    assert_output!(output, 0, stdout: "", stderr: expected);
    assert!(is_revoked(&sandbox));
}

#[test]
fn unlinking_is_asked_for_at_a_terminal() {
    let (sandbox, nexus) = linked("");
    sign_in(&nexus);
    for (answer, code, is_unlinked) in [("n", 1, false), ("y", 0, true)] {
        let mut terminal = Terminal::open(&nexus, &["oauth", "logout", "--unlink"], 80);
        terminal.until(|screen| screen.contains("Unlink the organization of claude_platform?"));
        terminal.press(&format!("{answer}\r"));
        let left = terminal.finish();
        assert_eq!(left.code, code, "{}", left.screen);
        assert_eq!(is_revoked(&sandbox), is_unlinked, "{}", left.screen);
    }
}

#[test]
fn replaced_sessions_cannot_be_revoked_by_configuration() {
    let (_sandbox, nexus) = linked("revoke_replaced = true");
    let output = nexus.run(&["oauth", "token"]);
    assert!(output.code == Some(2) && output.stderr.contains("revoking a session unlinks"), "{output}");
}

#[test]
fn refusals_to_bill_say_who_can_help_and_refresh_nothing() {
    let (sandbox, nexus) = linked("");
    sign_in(&nexus);
    for (status, code, hint) in [
        (402, "linked_organization_spend_limit_reached", "ask an Admin or Billing member"),
        (402, "linked_organization_billing_unavailable", "ask an Admin or Billing member"),
        (403, "user_profile_billing_not_authorized", "link the organization again: run `nexus oauth start`"),
        (403, "user_profile_not_billable", "check the customer's user profile"),
        (400, "user_profile_required", "check the customer's user profile"),
        (400, "user_profile_not_found", "check the customer's user profile"),
    ] {
        let error = json!({ "type": "billing_error", "message": "no", "details": { "error_code": code } });
        sandbox.script(Endpoint::Messages, [Scripted::json(status, &json!({ "type": "error", "error": error }))]);
        let output = nexus.run(&["chat", "Hello"]);
        assert!(output.code == Some(1) && output.stderr.contains(code) && output.stderr.contains(hint), "{output}");
    }
    assert_eq!(sandbox.refreshes(), 0);
}
