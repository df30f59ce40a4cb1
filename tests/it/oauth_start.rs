//! `nexus oauth start`: its output, what it saves, and the ways it ends.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use nexus::sandbox::{Endpoint, RedirectRule, Sandbox, Scripted, Settings};
use nexus::{ClientAuth, Url};
use serde_json::json;

use crate::nexus::{Nexus, Output, Running, approve, deny, sandbox, signal, visit};

/// What `start` prints before it waits.
fn invitation(url: &str, redirect_uri: &str) -> String {
    format!(
        "To sign in, open this URL in a browser on this machine:\n\n{url}\n\nWaiting for the redirect to {redirect_uri}, for up to 10 minutes (Ctrl-C cancels).\n"
    )
}

fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1.into_owned()
}

/// Signs in. Returns the output, the authorization URL and the page.
pub(crate) fn signed_in(nexus: &Nexus) -> (Output, String, (u16, String, String)) {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let page = visit(&approve(&url));
    (started.finish(), url, page)
}

/// The lines of stderr after the invitation.
pub(crate) fn verdict(output: &Output) -> &str {
    output.stderr.split_once("(Ctrl-C cancels).\n").unwrap_or_else(|| panic!("{output}")).1
}

#[test]
fn a_sign_in_prints_the_url_and_the_account() {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(12_240)), ..Settings::default() });
    let mut nexus = Nexus::at(&sandbox);
    let (output, url, (status, address, page)) = signed_in(&nexus);
    let redirect_uri = parameter(&url, "redirect_uri");
    nexus.name(&url, "[URL]");
    assert_output!(
        output, 0, stdout: "",
        stderr: invitation(&url, &redirect_uri).replace(&sandbox.origin(), "[ORIGIN]")
            + "Signed in as you@sandbox.example, token expires in 3.4 hours\n",
    );
    assert_eq!(status, 200);
    assert!(!address.contains("code") && !address.contains("state") && !address.contains('?'), "{address}");
    assert!(page.contains("Signed in as <strong>you@sandbox.example</strong>"), "{page}");
    assert_eq!(sandbox.counts().exchanges, 1);
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
}

#[test]
fn the_models_are_listed_at_sign_in() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    assert_eq!(sandbox.counts().models, 1);
    nexus.run(&["chat", "x"]).ok();
    let asked = sandbox.requests_to(Endpoint::Messages);
    assert_eq!(asked[0].json()["model"], "sandbox-large", "the newest");
    assert_eq!(sandbox.counts().models, 1, "a chat asks no more");
}

#[test]
fn every_client_authentication_works() {
    for (auth, secret) in
        [(ClientAuth::None, None), (ClientAuth::Basic, Some("s%cr:t ü")), (ClientAuth::Post, Some("s%cr:t ü"))]
    {
        let sandbox = sandbox(Settings {
            client_auth: auth,
            client_secret: secret.map(str::to_owned),
            token_lifetime: Some(json!(0)),
            ..Settings::default()
        });
        let secret = secret.map(|secret| format!("client_secret = '{secret}'\n")).unwrap_or_default();
        let nexus = Nexus::at_with(&sandbox, &format!("{secret}client_auth = '{}'", auth.as_str()));
        nexus.sign_in();
        nexus.run(&["oauth", "token"]).ok();
        assert_eq!(sandbox.refreshes(), 1, "{auth:?}");
        assert!(nexus.run(&["oauth", "logout"]).stderr.starts_with("Revoked the session at"), "{auth:?}");
    }
}

/// The built-in provider with the endpoints of this sandbox.
pub(crate) fn built_in(sandbox: &Sandbox, redirect_uri: &str) -> Nexus {
    let mut nexus = Nexus::new();
    nexus.configure(&format!(
        "[provider.claude_code]\nauthorize_url = '{}'\ntoken_url = '{}'\napi_url = '{}'\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
        sandbox.origin()
    ));
    nexus.set("CLAUDE_CODE_CLIENT_ID", "sandbox-client");
    nexus.set("CLAUDE_CODE_REDIRECT_URI", redirect_uri);
    nexus
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn three_variables_configure_the_built_in_provider() {
    let redirect_uri = format!("http://localhost:{}/oauth/claude/callback", free_port());
    let sandbox = sandbox(Settings {
        client_auth: ClientAuth::Post,
        client_secret: Some("hush".into()),
        redirect: RedirectRule::Exact(redirect_uri.clone()),
        token_lifetime: Some(json!(0)),
        state_at_exchange: true,
        ..Settings::default()
    });
    let mut nexus = built_in(&sandbox, &redirect_uri);
    nexus.set("CLAUDE_CODE_CLIENT_SECRET", "hush");
    nexus.sign_in();
    // Without the variables, as in a cron job: the session has the client.
    for name in ["CLAUDE_CODE_CLIENT_ID", "CLAUDE_CODE_CLIENT_SECRET", "CLAUDE_CODE_REDIRECT_URI"] {
        nexus.set(name, "");
    }
    nexus.run(&["oauth", "token"]).ok();
    nexus.run(&["chat", "--model", "sandbox-small", "x"]).ok();
    let requests = sandbox.requests_to(Endpoint::Token);
    let (exchange, refresh) = (&requests[0], &requests[1]);
    assert_eq!(exchange.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(exchange.field("state").is_some(), "the Console wants it repeated");
    assert_eq!(exchange.header("anthropic-beta"), None);
    assert_eq!(refresh.header("content-type"), Some("application/json"));
    assert_eq!(refresh.header("anthropic-beta"), Some("oauth-2025-04-20"));
    let message = &sandbox.requests_to(Endpoint::Messages)[0];
    assert_eq!(message.header("anthropic-beta"), Some("oauth-2025-04-20"));
    assert_eq!(message.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(message.header("x-api-key"), None);
    assert!(message.header("user-agent").is_some_and(|agent| agent.starts_with("nexus/")));
}

#[test]
fn requests_are_written_as_configured() {
    let sandbox = sandbox(Settings { token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = Nexus::at_with(
        &sandbox,
        "authorize_params = { audience = 'llm & co' }\ncode_request = 'json'\ncode_params = { resource = 'r' }\n\
         code_headers = { x-code = '1' }\nrefresh_params = { scope = 's' }\nrefresh_headers = { x-refresh = '2' }\n\
         api_headers = { anthropic-version = '2023-06-01', x-gateway = 'key' }\nmodel = 'sandbox-old'\nmax_tokens = 77",
    );
    let (_, url, _) = signed_in(&nexus);
    assert_eq!(parameter(&url, "audience"), "llm & co");
    nexus.run(&["chat", "x"]).ok();
    let requests = sandbox.requests_to(Endpoint::Token);
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!((requests[0].field("resource").as_deref(), requests[0].header("x-code")), (Some("r"), Some("1")));
    assert_eq!(requests[1].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((requests[1].field("scope").as_deref(), requests[1].header("x-refresh")), (Some("s"), Some("2")));
    let message = &sandbox.requests_to(Endpoint::Messages)[0];
    assert_eq!(message.header("x-gateway"), Some("key"));
    assert_eq!((&message.json()["model"], &message.json()["max_tokens"]), (&json!("sandbox-old"), &json!(77)));
}

#[test]
fn invisible_characters_around_a_variable_are_not_sent() {
    let redirect_uri = format!("http://localhost:{}/oauth/claude/callback", free_port());
    let sandbox = sandbox(Settings {
        client_auth: ClientAuth::Post,
        client_secret: Some("hush".into()),
        redirect: RedirectRule::Exact(redirect_uri.clone()),
        ..Settings::default()
    });
    for (before, after) in [("", "\n"), ("", "\r\n"), ("\u{feff}", " "), ("\u{a0}\u{200b}", "\u{2060}\t")] {
        let around = |value: &str| format!("{before}{value}{after}");
        let mut nexus = built_in(&sandbox, &around(&redirect_uri));
        nexus.set("CLAUDE_CODE_CLIENT_ID", &around("sandbox-client"));
        nexus.set("CLAUDE_CODE_CLIENT_SECRET", &around("hush"));
        nexus.set("NEXUS_PROVIDER", &around("claude_code"));
        nexus.sign_in();
        assert_eq!(
            sandbox.requests_to(Endpoint::Token).last().unwrap().field("redirect_uri"),
            Some(redirect_uri.clone())
        );
    }
}

#[test]
fn a_secret_file_may_have_been_saved_by_any_editor() {
    let sandbox =
        sandbox(Settings { client_auth: ClientAuth::Basic, client_secret: Some("s s".into()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, "client_secret_file = ' secret.txt '");
    for text in ["s s", "s s\n", "\u{feff}s s\r\n", "s s \n\n", "\ts s"] {
        nexus.write("secret.txt", text, 0o600);
        nexus.sign_in();
    }
    for (text, why) in [
        ("\u{feff}\r\n", "is empty"),
        ("hush\u{200b}4711", "has an invisible character (U+200B) in it"),
        ("hush4711\nhush4711", "has a line break in it"),
    ] {
        nexus.write("secret.txt", text, 0o600);
        assert_output!(nexus.run(&["oauth", "start"]), 2, stdout: "", stderr: format!(
            "error: `provider.work.client_secret_file` in [HOME]/config.toml, line 10, points to [HOME]/secret.txt, which {why}\n  \
             write only the secret into the file\n"
        ));
    }
    std::fs::write(nexus.path("secret.txt"), b"\xff\xfes\0").unwrap();
    let output = nexus.run(&["oauth", "start"]);
    let expected = "which cannot be read: it is UTF-16, not UTF-8\n  convert it: `iconv -f UTF-16 -t UTF-8`\n";
    assert!(output.stderr.contains(expected), "{output}");
}

#[test]
fn an_error_without_the_state_is_reported_once_in_fixed_words() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let redirect_uri = parameter(&url, "redirect_uri");
    for query in [
        "error=access_denied&error_description=call+0800+1234",
        "error=evil%1b[2J&state=forged",
        "error=access_denied&state=",
    ] {
        assert_eq!(visit(&format!("{redirect_uri}?{query}")).0, 400);
    }
    visit(&approve(&url));
    let output = started.finish();
    assert_eq!(
        verdict(&output),
        "note: the redirect URI got an error response without the `state` of this sign-in, which was ignored; if you \
         refused the sign-in, press Ctrl-C\nSigned in as you@sandbox.example, token expires in 8.0 hours\n"
    );
    assert_eq!(output.code, Some(0));
}

#[test]
fn an_empty_parameter_of_the_response_counts_as_absent() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    for (redirected, more, code) in
        [(approve as fn(&str) -> String, "&error=&error_description=", 0), (deny, "&code=", 4)]
    {
        let mut started = nexus.start(&["--no-browser"]);
        let (status, ..) = visit(&(redirected(&started.url()) + more));
        let output = started.finish();
        assert_eq!((status, output.code), (200, Some(code)), "{more}: {output}");
    }
}

#[test]
fn an_unusable_folder_is_named() {
    let sandbox = sandbox(Settings::default());
    for folder in ["data", "key", "state"] {
        let nexus = Nexus::at(&sandbox);
        std::fs::write(nexus.path(folder), "").unwrap();
        let output = nexus.run(&["oauth", "start", "--no-browser"]);
        let place = if folder == "state" { "state/locks" } else { folder };
        let expected = format!("error: [HOME]/{place}: this folder cannot be created: ");
        assert!(output.stderr.starts_with(&expected), "{output}");
        let cure =
            format!("\n  make [HOME]/{folder} a folder that you can write to, or set NEXUS_HOME to another folder\n");
        assert!(output.stderr.ends_with(&cure), "{output}");
        assert_eq!(output.code, Some(1));
    }
}

#[test]
fn a_timeout_names_the_client_id_the_redirect_uri_and_the_scopes() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut started = nexus.start(&["--no-browser", "--timeout", "1s"]);
    let redirect_uri = parameter(&started.url(), "redirect_uri");
    assert_eq!(visit(&format!("{redirect_uri}?code=c&state=forged")).0, 400);
    let output = started.finish();
    assert_eq!(output.code, Some(4));
    assert_eq!(
        output.stderr.split_once("cancels).\n").unwrap().1,
        format!(
            "error: timed out after 1 second (1 response with a wrong `state` was rejected); if the browser showed an error, the server may have rejected client id `sandbox-client` or redirect URI `{redirect_uri}`, or the scopes `model.request model.read`\n  compare them with the registered client, then run `nexus oauth start`\n"
        )
    );
}

#[test]
fn each_rejection_of_the_code_has_its_message() {
    let start = "run `nexus oauth start`";
    let client = "compare `client_id`, `client_secret` and `client_auth` under [provider.work] in config.toml with the registered client, then run `nexus oauth start`";
    for (answer, sentence, hint, code) in [
        (
            Scripted::json(401, &json!({ "error": "invalid_client", "error_description": "who?" })),
            "[SERVER] rejected the client id `sandbox-client`: who?",
            client,
            2,
        ),
        (
            Scripted::json(400, &json!({ "error": "invalid_grant", "error_description": "code expired" })),
            "[SERVER] rejected the authorization code: answered 400: invalid_grant: code expired",
            start,
            4,
        ),
        (
            Scripted::json(400, &json!({ "error": "invalid_grant", "error_description": "redirect_uri mismatch" })),
            "[SERVER] rejected the redirect URI `[REDIRECT]`: redirect_uri mismatch",
            "register exactly this redirect URI with the client, or set `redirect_uri` to the registered one",
            2,
        ),
        (
            Scripted::json(401, &json!({ "error": "who are you" })),
            "[SERVER] rejected the client id `sandbox-client`",
            client,
            2,
        ),
        (
            Scripted::json(400, &json!({ "error": "invalid_grant", "error_description": "spent in a redirect" })),
            "[SERVER] rejected the authorization code: answered 400: invalid_grant: spent in a redirect",
            start,
            4,
        ),
        (
            Scripted::json(400, &json!({ "error": "invalid_request", "error_description": "Bad Redirect URI" })),
            "[SERVER] rejected the redirect URI `[REDIRECT]`: Bad Redirect URI",
            "register exactly this redirect URI with the client, or set `redirect_uri` to the registered one",
            2,
        ),
        (
            Scripted::json(400, &json!({ "error": "unsupported_grant_type" })),
            "the authorization code could not be exchanged: [SERVER] answered 400: unsupported_grant_type",
            "see the server's message; `scopes`, `client_auth`, `code_request` and `code_params` under [provider.work] in config.toml control the request",
            1,
        ),
        (
            Scripted::text(404, "text/html", "<html>"),
            "the authorization code could not be exchanged: [SERVER] answered 404",
            "check `token_url` under [provider.work] in config.toml, then run `nexus oauth start`",
            1,
        ),
        (
            Scripted::json(403, &json!({ "error": "forbidden", "error_description": "not here" })),
            "the authorization code could not be exchanged: [SERVER] answered 403: forbidden: not here",
            "check `token_url` under [provider.work] in config.toml, then run `nexus oauth start`",
            1,
        ),
        (
            Scripted::text(429, "text/plain", "").header("retry-after", "120"),
            "the authorization code could not be exchanged: [SERVER] answered 429",
            "wait 2 minutes, then run `nexus oauth start` again",
            75,
        ),
        (
            Scripted::text(500, "text/html", "<html>"),
            "the authorization code could not be exchanged: [SERVER] sent no usable response (status 500)",
            "wait a minute, then run `nexus oauth start` again",
            75,
        ),
        (
            Scripted::text(200, "text/html", "<html>"),
            "[SERVER] sent an invalid token response: not a JSON object",
            "check the provider's URLs in config.toml",
            1,
        ),
    ] {
        let sandbox = sandbox(Settings::default());
        let mut nexus = Nexus::at(&sandbox);
        sandbox.script(Endpoint::Token, [answer]);
        let mut started: Running = nexus.start(&["--no-browser"]);
        let url = started.url();
        nexus.name(&parameter(&url, "redirect_uri"), "[REDIRECT]");
        let (status, _, page) = visit(&approve(&url));
        assert_eq!(status, 200);
        assert!(page.contains("Sign-in failed"), "{page}");
        let output = started.finish();
        let expected = verdict(&output).replace(&parameter(&url, "redirect_uri"), "[REDIRECT]");
        assert_eq!(expected, format!("error: {sentence}\n  {hint}\n"));
        assert_eq!(output.code, Some(code));
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4), "nothing was stored");
    }
}

#[test]
fn ctrl_c_ends_the_wait() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut started = nexus.start(&["--no-browser"]);
        started.line_that(|line| line.starts_with("Waiting"));
        signal(started.id(), name);
        let output = started.finish();
        assert_eq!((output.code, verdict(&output)), (Some(code), ""), "{output}");
    }
}

#[test]
fn configuration_warnings_appear_in_session_commands_only() {
    let sandbox =
        sandbox(Settings { client_auth: ClientAuth::Basic, client_secret: Some("s".into()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, "client_secret = 's'");
    std::fs::set_permissions(nexus.path("config.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let warning =
        "warning: [HOME]/config.toml contains a secret and others can read it: run `chmod 600 [HOME]/config.toml`\n";
    let (output, ..) = signed_in(&nexus);
    assert!(output.code == Some(0) && output.stderr.starts_with(warning), "{output}");
    for (words, told) in [
        (&["oauth", "status"][..], true),
        (&["oauth", "token"], false),
        (&["oauth", "token", "--verbose"], true),
        (&["chat", "x"], false),
        (&["models"], false),
        (&["oauth", "logout"], false),
    ] {
        let output = nexus.run(words);
        assert_eq!((output.code, output.stderr.contains(warning)), (Some(0), told), "{words:?}: {output}");
    }
}

#[test]
fn login_is_another_name_of_start() {
    for words in [&["login"][..], &["oauth", "login"]] {
        let sandbox = sandbox(Settings::default());
        let nexus = Nexus::at(&sandbox);
        let mut started = nexus.watch(&mut nexus.command(&[words, &["--no-browser"]].concat()));
        visit(&approve(&started.url()));
        let output = started.finish();
        assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output}");
        assert!(output.stderr.contains("Signed in as you@sandbox.example, token expires in "), "{output}");
        let help = nexus.run(&[words, &["--help"]].concat()).ok();
        assert!(help.contains("--no-browser") && help.contains("--timeout"), "{help}");
    }
    let nexus = Nexus::new();
    assert!(nexus.run(&["--help"]).ok().contains("\n  login "), "it is listed");
}
