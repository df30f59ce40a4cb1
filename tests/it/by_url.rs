//! `nexus oauth start URL`: what is found there, what is said about it, and what is added to the configuration.

use std::fs;
use std::net::TcpListener;

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, RecordedRequest, RedirectRule, Registration, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, Output, approve, sandbox, visit};

/// A sandbox, and a home without a configuration.
pub(crate) fn bare(settings: Settings) -> (Sandbox, Nexus) {
    let sandbox = sandbox(settings);
    let nexus = Nexus::at(&sandbox);
    fs::remove_file(nexus.path("config.toml")).unwrap();
    (sandbox, nexus)
}

/// `nexus oauth start URL` with these flags, the redirect URI of the sandbox and an approved sign-in.
pub(crate) fn start(nexus: &Nexus, url: &str, flags: &[&str]) -> Output {
    let common = [url, "--no-browser", "--redirect-uri", "http://127.0.0.1:0/callback"];
    let mut started = nexus.start(&[&common, flags].concat());
    if let Some(url) = started.url_or_end() {
        visit(&approve(&url));
    }
    started.finish()
}

pub(crate) const CLIENT: &[&str] = &["--client-id", "sandbox-client"];

pub(crate) fn config(nexus: &Nexus) -> String {
    fs::read_to_string(nexus.path("config.toml"))
        .unwrap_or_default()
        .replace(&nexus.home().display().to_string(), "[HOME]")
}

pub(crate) fn documented(documents: &[Endpoint]) -> Settings {
    Settings { publishes: documents.to_vec(), ..Settings::default() }
}

#[test]
fn the_url_of_an_issuer_becomes_a_provider() {
    let (sandbox, nexus) = bare(Settings::default());
    let origin = sandbox.origin();
    let output = start(&nexus, &origin, &[CLIENT, &["--api-url", &origin, "--scope", "model.request"]].concat());
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.starts_with("[SERVER] is an authorization server; signing in there.\n"), "{output}");
    let section = format!(
        "default = \"127.0.0.1\"\n\n[provider.\"127.0.0.1\"]\nissuer = \"{origin}\"\nclient_id = \"sandbox-client\"\n\
         redirect_uri = \"http://127.0.0.1:0/callback\"\napi_url = \"{origin}\"\nscopes = [\"model.request\"]\n"
    );
    assert_eq!(config(&nexus), section);
    let shown = section.replace(&origin, "[ORIGIN]");
    assert!(output.stderr.ends_with(&format!("Added to [HOME]/config.toml:\n\n{shown}\n")), "{output}");
    assert!(
        sandbox.requests_to(Endpoint::Models).iter().take(2).all(|request| request.header("authorization").is_none())
    );
    nexus.run(&["chat", "x"]).ok();
    // Again: nothing is added, nothing contradicts.
    for same in ["/", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/"] {
        let url = format!("{origin}{same}");
        let again = start(&nexus, &url, &[CLIENT, &["--api-url", &origin, "--scope", "model.request"]].concat());
        assert_eq!(again.code, Some(0), "{again}");
        assert!(!again.stderr.contains("Added"), "{again}");
        assert_eq!(config(&nexus), section);
    }
}

#[test]
fn a_device_endpoint_elsewhere_is_no_contract_of_a_gateway() {
    let elsewhere = sandbox(Settings::default());
    let (sandbox, nexus) = bare(documented(&[Endpoint::ServerMetadata]));
    sandbox.change(|settings| {
        settings.metadata.insert("authorization_endpoint".into(), json!(null));
        settings.metadata.insert("device_authorization_endpoint".into(), elsewhere.url(Endpoint::Par).into());
    });
    let output = nexus.run(&["oauth", "start", &sandbox.origin()]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("[SERVER] is an authorization server"), "{output}");
    assert!(output.stderr.contains("error: [SERVER] needs a registered client\n"), "{output}");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_server_that_says_nothing_is_shown_with_what_it_answered() {
    let (sandbox, nexus) = bare(documented(&[]));
    assert_output!(
        start(&nexus, &sandbox.origin(), CLIENT),
        2,
        stdout: "",
        stderr: "  [ORIGIN]/.well-known/litellm-cli-auth                                404\n  \
                 [ORIGIN]/.well-known/oauth-authorization-server                      404\n  \
                 [ORIGIN]/claude_code_gateway/.well-known/oauth-authorization-server  404\n  \
                 [ORIGIN]/v1/models                                                   401\n  \
                 [ORIGIN]/.well-known/openid-configuration                            404\n\
                 error: [ORIGIN] does not say how to sign in\n  \
                 ask its operator for the URL of the authorization server and a client id, then run \
                 `nexus oauth start URL --client-id ID --api-url [ORIGIN]`\n",
    );
    assert!(sandbox.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn without_a_client_id_it_is_said_what_to_register() {
    let (sandbox, nexus) = bare(Settings::default());
    let output = start(&nexus, &sandbox.origin(), &[]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("error: [SERVER] needs a registered client\n"), "{output}");
    assert!(output.stderr.contains("with the redirect URI http://127.0.0.1:0/callback, then"), "{output}");
    assert!(sandbox.requests_to(Endpoint::Authorize).is_empty());
    assert_eq!(config(&nexus), "");
}

#[test]
fn a_secret_stays_in_its_file() {
    let (sandbox, nexus) =
        bare(Settings { client_auth: ClientAuth::Post, client_secret: Some("s3cr3t".into()), ..Settings::default() });
    nexus.write("secret", "s3cr3t\n", 0o600);
    let flags = [CLIENT, &["--client-secret-file", "secret", "--provider", "work"]].concat();
    for _ in 0..2 {
        let output = start(&nexus, &sandbox.origin(), &flags);
        assert_eq!(output.code, Some(0), "{output}");
        assert!(
            output.stderr.ends_with("note: chatting needs the URL of an API: run the same command with --api-url\n"),
            "{output}"
        );
    }
    assert!(config(&nexus).contains("client_secret_file = \"[HOME]/secret\"\n"), "{}", config(&nexus));
    assert!(!config(&nexus).contains("s3cr3t"));
    // Now with an API.
    let api = sandbox.origin();
    assert_eq!(start(&nexus, &sandbox.origin(), &[&flags[..], &["--api-url", &api]].concat()).code, Some(0));
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn names_and_sections_are_not_taken_over() {
    let (sandbox, nexus) = bare(Settings::default());
    let origin = sandbox.origin();
    nexus.configure("# mine\n[provider.\"127.0.0.1\"]\nissuer = \"https://id.example.com\"\n");
    let output = start(&nexus, &origin, &[CLIENT, &["--provider", "127.0.0.1"]].concat());
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("has another URL"), "{output}");
    for name in ["claude_code", "Work", "a b", "a/b", ""] {
        let output = start(&nexus, &origin, &[CLIENT, &["--provider", name]].concat());
        assert_eq!(output.code, Some(2), "{name}: {output}");
    }
    assert!(sandbox.requests().is_empty());
    // Without a name, the port is appended. Another provider is configured, so the default stays open.
    let output = start(&nexus, &origin, CLIENT);
    assert_eq!(output.code, Some(0), "{output}");
    let port = origin.rsplit(':').next().unwrap().to_owned();
    let toml = config(&nexus);
    assert!(toml.starts_with("# mine\n[provider.\"127.0.0.1\"]\n"), "{toml}");
    assert!(toml.contains(&format!("[provider.\"127.0.0.1-{port}\"]\n")) && !toml.contains("default"), "{toml}");
    // Another client for the same URL.
    let output = start(&nexus, &origin, &["--client-id", "other"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("is for this URL already, with another `client_id`"), "{output}");
}

#[test]
fn nothing_is_written_before_the_session_is_saved() {
    let (sandbox, nexus) = bare(Settings::default());
    sandbox.script(Endpoint::Token, [Scripted::json(400, &json!({ "error": "invalid_grant" }))]);
    let output = start(&nexus, &sandbox.origin(), CLIENT);
    assert_eq!(output.code, Some(4), "{output}");
    assert_eq!(config(&nexus), "");
}

#[test]
fn a_link_is_left_alone_and_the_lines_are_printed() {
    let (sandbox, nexus) = bare(Settings::default());
    #[cfg(unix)]
    {
        nexus.write("managed.toml", "# managed\n", 0o600);
        std::os::unix::fs::symlink(nexus.path("managed.toml"), nexus.path("config.toml")).unwrap();
        let output = start(&nexus, &sandbox.origin(), CLIENT);
        assert_eq!(output.code, Some(0), "{output}");
        assert!(
            output.stderr.contains(
                "is a symbolic link, so nexus does not change it\nAdd this line at the beginning of it:\n\n\
                 default = \"127.0.0.1\"\n\nand these lines at its end:\n\n[provider.\"127.0.0.1\"]\n"
            ),
            "{output}"
        );
        assert!(output.stderr.contains("\nissuer = \"[ORIGIN]\"\n"), "{output}");
        assert_eq!(config(&nexus), "# managed\n");
        // The session has the name now, though no section has it.
        let (other, _) = bare(Settings::default());
        let output = start(&nexus, &other.origin(), CLIENT);
        assert_eq!(output.code, Some(0), "{output}");
        let port = other.origin().rsplit(':').next().unwrap().to_owned();
        assert!(output.stderr.contains(&format!("[provider.\"127.0.0.1-{port}\"]\n")), "{output}");
        let again = start(&nexus, &sandbox.origin(), CLIENT);
        assert!(again.stderr.contains("[provider.\"127.0.0.1\"]\n"), "{again}");
    }
    let _ = (sandbox, nexus);
}

#[test]
fn urls_that_cannot_be_asked_are_usage_errors() {
    let (_, nexus) = bare(Settings::default());
    for (url, why) in [
        ("llm.example.com", "URL does not begin with `https://`"),
        ("http://llm.example.com", "URL is http; plain http is allowed on loopback only"),
        ("javascript:alert(1)", "URL does not begin with `https://`"),
        ("file:///etc/passwd", "URL is file, but must be https"),
        ("https://me:pw@llm.example.com", "URL must not contain a user name or password"),
        ("https://llm.example.com?key=1", "URL must not contain a query"),
    ] {
        let output = nexus.run(&["oauth", "start", url]);
        assert_eq!(output.code, Some(2), "{output}");
        assert!(output.stderr.starts_with(&format!("error: {why}\n")), "{url}: {output}");
    }
    nexus.configure("[provider.work]\n");
    let output = nexus.run(&["oauth", "start", "work"]);
    assert!(output.stderr.contains("pass `--provider work`"), "{output}");
    assert_eq!(nexus.run(&["oauth", "start", "--client-id", "c"]).code, Some(2), "a flag without a URL");
    let output = nexus.run(&["oauth", "start", "--", "--help"]);
    assert_eq!(output.code, Some(2), "{output}");
}

#[test]
fn the_default_redirect_uri_is_told_where_its_port_is_taken() {
    let (sandbox, nexus) =
        bare(Settings { redirect: RedirectRule::AnyPort("http://localhost/x".into()), ..Settings::default() });
    // Whoever has the port, the URI is named.
    let _taken = TcpListener::bind("127.0.0.1:4000");
    let output =
        nexus.run(&["oauth", "start", &sandbox.origin(), "--no-browser", "--client-id", "c", "--provider", "work"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("another program is listening on 127.0.0.1:4000"), "{output}");
}

/// Settings of a server that registers clients which authenticate like this.
pub(crate) fn registering(auth: ClientAuth) -> Settings {
    Settings { registration: Some(Registration::open(auth)), ..Settings::default() }
}

/// The value of a parameter of a request.
pub(crate) fn sent(request: &RecordedRequest, name: &str) -> Option<String> {
    let parameters = request.fields().unwrap_or_else(|| request.parameters());
    parameters.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[test]
fn a_url_alone_is_enough_where_the_server_registers_clients() {
    for auth in [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post] {
        let (sandbox, nexus) = bare(registering(auth));
        let origin = sandbox.origin();
        for registered in [true, false] {
            let output = start(&nexus, &origin, &["--api-url", &origin]);
            assert_eq!(output.code, Some(0), "{auth:?}: {output}");
            let told = output.stderr.contains("Registered nexus as a client at [SERVER].\n");
            assert_eq!(told, registered, "the second sign-in uses the client of the first: {output}");
        }
        let section = format!(
            "[provider.\"127.0.0.1\"]\nissuer = \"{origin}\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\n\
             api_url = \"{origin}\"\n"
        );
        assert!(config(&nexus).ends_with(&section), "{}", config(&nexus));
        nexus.run(&["chat", "x"]).ok();
        assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at"), "{auth:?}");
        // From the section alone, with the client that survived the sign-out.
        nexus.sign_in();
        assert_eq!(sandbox.requests_to(Endpoint::Register).len(), 1, "{auth:?}");
    }
}

#[test]
fn a_removed_provider_is_registered_anew() {
    let by_issuer = || bare(registering(ClientAuth::Post));
    let by_gateway = || {
        let documents = vec![Endpoint::LitellmContract];
        bare(Settings { publishes: documents, ..registering(ClientAuth::None) })
    };
    for (signed_out, (sandbox, nexus)) in
        [(false, by_issuer()), (true, by_issuer()), (false, by_gateway()), (true, by_gateway())]
    {
        assert_eq!(start(&nexus, &sandbox.origin(), &[]).code, Some(0));
        if signed_out {
            nexus.run(&["oauth", "logout"]).ok();
        }
        let removed = nexus.run(&["provider", "remove", "127.0.0.1"]);
        assert_eq!(removed.code, Some(0), "{removed}");
        assert_eq!(start(&nexus, &sandbox.origin(), &[]).code, Some(0));
        assert_eq!(sandbox.requests_to(Endpoint::Register).len(), 2);
    }
}

#[test]
fn the_contract_of_litellm_leads_to_a_session_for_its_api() {
    let documents = vec![Endpoint::LitellmContract, Endpoint::ServerMetadata, Endpoint::ProtectedResource];
    let (sandbox, nexus) = bare(Settings { publishes: documents, ..registering(ClientAuth::None) });
    let origin = sandbox.origin();
    sandbox.change(|settings| {
        settings.resource = Some(origin.clone());
        settings.token_lifetime = Some(json!(0));
    });
    let output = start(&nexus, &origin, &[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.starts_with("[SERVER] is a LiteLLM gateway; signing in there.\n"), "{output}");
    assert!(config(&nexus).contains(&format!("[provider.\"127.0.0.1\"]\ngateway = \"{origin}\"\nredirect_uri")));
    // The refresh names the resource too.
    nexus.run(&["chat", "x"]).ok();
    let tokens = sandbox.requests_to(Endpoint::Token);
    assert_eq!(tokens.len(), 2);
    assert!(tokens.iter().all(|request| sent(request, "resource") == Some(origin.clone())));
    // The vendor's contract comes first: the standard documents at the same place are for something else.
    assert!(sandbox.requests_to(Endpoint::ServerMetadata).is_empty());
    nexus.sign_in();
}

#[test]
fn a_contract_names_only_its_own_server() {
    for (member, why) in [
        ("token_endpoint", "has a `token_endpoint` at id.example.com, which is another server"),
        ("registration_endpoint", "has a `registration_endpoint` at id.example.com, which is another server"),
        ("resource", "has a `resource` that is not an absolute URI"),
        ("issuer", "belongs to the issuer at id.example.com, which is another server"),
    ] {
        let (sandbox, nexus) = bare(documented(&[Endpoint::LitellmContract]));
        let value = if member == "resource" { "llm" } else { "https://id.example.com/x" };
        sandbox.change(|settings| drop(settings.metadata.insert(member.into(), value.into())));
        let output = start(&nexus, &sandbox.origin(), &[]);
        assert_eq!(output.code, Some(2), "{member}: {output}");
        assert!(output.stderr.contains(&format!("200, but it {why}\n")), "{member}: {output}");
        assert!(sandbox.requests_to(Endpoint::Register).is_empty());
    }
}

#[test]
fn what_a_failed_sign_in_says_can_be_done_though_nothing_is_configured_yet() {
    let token = "initial-token-0123456789";
    let closed = Registration { token: Some(token.into()), ..Registration::open(ClientAuth::None) };
    let (sandbox, nexus) = bare(Settings { registration: Some(closed), ..Settings::default() });
    let output = start(&nexus, &sandbox.origin(), &[]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("set `registration_token_file` under [provider.\"127.0.0.1\"] in config.toml"));
    let (_, begin) = output.stderr.split_once("has no section for this server yet. It begins with:\n\n").unwrap();
    let section = begin.split("\nerror:").next().unwrap().replace("[ORIGIN]", &sandbox.origin());
    nexus.configure(&format!("{section}registration_token_file = 'initial.token'\n"));
    nexus.write("initial.token", token, 0o600);
    let output = start(&nexus, &sandbox.origin(), &[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(config(&nexus).matches("[provider").count(), 1);
    // A bare `nexus oauth start` is for another provider.
    let (sandbox, nexus) = bare(Settings::default());
    sandbox.script(Endpoint::Token, [Scripted::json(400, &json!({ "error": "invalid_grant" }))]);
    let output = start(&nexus, &sandbox.origin(), CLIENT);
    assert!(output.stderr.ends_with("\n  run the same command\n"), "{output}");
}

#[test]
fn flags_without_a_url_complete_the_section_of_a_provider() {
    let (sandbox, nexus) = bare(Settings::default());
    let origin = sandbox.origin();
    let output = nexus.run(&["oauth", "start", "--api-url", &origin]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("claude_code has no section in config.toml; pass URL"), "{output}");
    nexus.configure(&format!("[provider.work]\nissuer = \"{origin}\"\n"));
    let flags = ["--provider", "work", "--client-id", "sandbox-client", "--api-url", &origin];
    let common = ["--no-browser", "--redirect-uri", "http://127.0.0.1:0/callback", "--scope", "model.request"];
    let mut started = nexus.start(&[&flags[..], &common[..]].concat());
    visit(&approve(&started.url()));
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");
    let added = "client_id = \"sandbox-client\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\n";
    let section = format!(
        "[provider.work]\nissuer = \"{origin}\"\n{added}api_url = \"{origin}\"\nscopes = [\"model.request\"]\n"
    );
    assert_eq!(config(&nexus), section);
    nexus.run(&["chat", "x", "--provider", "work"]).ok();
}

#[test]
fn two_sign_ins_at_once_do_not_share_a_name() {
    let (first, nexus) = bare(Settings::default());
    let second = sandbox(Settings::default());
    let flags = ["--no-browser", "--redirect-uri", "http://127.0.0.1:0/callback", "--client-id", "sandbox-client"];
    let begin = |url: &str| nexus.start(&[&[url][..], &flags].concat());
    let (mut one, mut two) = (begin(&first.origin()), begin(&second.origin()));
    let (url, other) = (one.url(), two.url());
    visit(&approve(&url));
    assert_eq!(one.finish().code, Some(0));
    visit(&approve(&other));
    let output = two.finish();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("has another URL"), "{output}");
    assert!(second.requests_to(Endpoint::Token).is_empty());
    nexus.run(&["oauth", "token"]).ok();
    assert_eq!(start(&nexus, &second.origin(), CLIENT).code, Some(0));
}

#[test]
fn a_server_that_demands_pushed_requests_gets_them_from_the_registered_client() {
    for auth in [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post] {
        let (sandbox, nexus) = bare(Settings { require_par: true, ..registering(auth) });
        let output = start(&nexus, &sandbox.origin(), &[]);
        assert_eq!(output.code, Some(0), "{auth:?}: {output}");
        let [pushed] = &sandbox.requests_to(Endpoint::Par)[..] else { panic!("{auth:?}: one pushed request") };
        assert_eq!(sent(pushed, "client_id").as_deref(), Some("registered-0"));
        assert_eq!(pushed.header("authorization").is_some(), auth == ClientAuth::Basic);
        let parameters = sandbox.requests_to(Endpoint::Authorize)[0].parameters();
        assert_eq!(parameters.len(), 2, "{parameters:?}");
        // The server forgot the client: it says so before the browser opens.
        sandbox.forget_clients();
        let output = start(&nexus, &sandbox.origin(), &[]);
        assert_eq!(output.code, Some(0), "{auth:?}: {output}");
        assert!(
            output.stderr.contains("it was registered by an earlier sign-in, so a new one is registered"),
            "{output}"
        );
        assert_eq!(sandbox.requests_to(Endpoint::Authorize).len(), 2);
    }
}

#[test]
fn the_listed_scopes_are_registered_and_asked_for() {
    let scopes = ["openid", "offline_access", "profile"].map(String::from);
    let (sandbox, nexus) = bare(Settings { scopes: Some(scopes.into()), ..registering(ClientAuth::None) });
    let output = start(&nexus, &sandbox.origin(), &[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Register)[0].json()["scope"], "openid offline_access");
    let asked = &sandbox.requests_to(Endpoint::Authorize)[0];
    assert_eq!(sent(asked, "scope").as_deref(), Some("openid offline_access"));
    assert!(sent(asked, "nonce").is_some());
}

#[test]
fn the_account_is_named_and_the_session_revoked_as_the_metadata_says() {
    let (sandbox, nexus) = bare(Settings {
        userinfo: Some(json!({ "sub": "1", "email": "ada@example.com" })),
        token_extra: json!({ "account": null }).as_object().unwrap().clone(),
        revoke_auth: Some(ClientAuth::Basic),
        ..registering(ClientAuth::Post)
    });
    let output = start(&nexus, &sandbox.origin(), &[]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("\nSigned in as ada@example.com, token expires in"), "{output}");
    assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at [SERVER]"));
    assert!(sandbox.requests_to(Endpoint::Token)[0].field("client_secret").is_some());
    assert!(sandbox.requests_to(Endpoint::Revoke)[0].header("authorization").is_some());
}

#[test]
fn a_client_is_registered_with_a_free_port_if_the_default_one_is_in_use() {
    let (sandbox, nexus) = bare(registering(ClientAuth::None));
    let _taken = TcpListener::bind("127.0.0.1:4000");
    let mut started = nexus.start(&[&sandbox.origin(), "--no-browser", "--provider", "work"]);
    let url = started.url();
    visit(&approve(&url));
    let output = started.finish();
    assert_eq!(output.code, Some(0), "{output}");
    let provider = "work";
    let path = format!("/oauth/{provider}/callback");
    let uri = sent(&sandbox.requests_to(Endpoint::Authorize)[0], "redirect_uri").unwrap();
    assert!(uri.starts_with("http://localhost:") && uri.ends_with(&path), "{uri}");
    assert!(!uri.contains(":4000/"), "{uri}");
    assert!(config(&nexus).contains(&format!("redirect_uri = \"http://localhost:4000{path}\"\n")));
}

#[test]
fn a_registration_that_answers_garbage_leaves_no_trace() {
    for (answer, code) in [
        (Scripted::text(201, "text/html", "<html>"), 1),
        (Scripted::json(201, &json!({ "client_id": 7 })), 1),
        (Scripted::json(201, &json!({ "client_id": "a\u{1b}[2Jb" })), 1),
        (Scripted::json(201, &json!({ "client_id": "c", "token_endpoint_auth_method": "private_key_jwt" })), 1),
        (Scripted::json(302, &json!({})), 1),
        (Scripted::json(503, &json!({})), 75),
    ] {
        let (sandbox, nexus) = bare(registering(ClientAuth::None));
        sandbox.script(Endpoint::Register, [answer]);
        let output = start(&nexus, &sandbox.origin(), &[]);
        assert!(output.code == Some(code) && !output.stderr.contains('\u{1b}'), "{output}");
        assert!(sandbox.requests_to(Endpoint::Authorize).is_empty());
        assert_eq!(config(&nexus), "");
    }
}
