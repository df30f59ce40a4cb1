//! `nexus oauth start`: what the person sees, what is stored, and every way it can end.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;

use nexus::sandbox::{Endpoint, Gate, Issuer, RedirectRule, Sandbox, Scripted, Settings};
use nexus::{ClientAuth, Url};
use serde_json::json;

use crate::nexus::{Nexus, Output, Running, approve, block_on, config, deny, sandbox, visit};

/// What `start` says before it waits, with the parts that differ each time named.
fn invitation(url: &str, redirect_uri: &str) -> String {
    format!(
        "To sign in, open this URL in a browser on this machine:\n\n{url}\n\nWaiting for the redirect to {redirect_uri}, \
         for up to 10 minutes (Ctrl-C cancels).\n"
    )
}

fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1.into_owned()
}

/// Starts, approves, and gives what came of it beside the authorization URL and the page.
fn signed_in(nexus: &Nexus) -> (Output, String, (u16, String, String)) {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let page = visit(&approve(&url));
    (started.finish(), url, page)
}

/// Starts, brings this answer to the redirect URI, and gives what came of it.
fn answered(nexus: &Nexus, answer: impl Fn(&str) -> String) -> (Output, (u16, String, String)) {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let page = visit(&answer(&url));
    (started.finish(), page)
}

/// The last lines of stderr, behind the invitation.
fn verdict(output: &Output) -> &str {
    output.stderr.split_once("(Ctrl-C cancels).\n").unwrap_or_else(|| panic!("{output}")).1
}

#[test]
fn a_person_signs_in() {
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
fn what_is_stored_is_private_from_birth() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    for (path, mode) in [
        ("data", 0o700),
        ("data/sessions.db", 0o600),
        ("key", 0o700),
        ("key/session.key", 0o600),
        ("state/locks", 0o700),
    ] {
        let found = std::fs::metadata(nexus.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}

#[test]
fn the_models_are_learnt_at_sign_in() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
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

#[test]
fn with_a_secret_basic_is_the_default() {
    let sandbox =
        sandbox(Settings { client_auth: ClientAuth::Basic, client_secret: Some("s".into()), ..Settings::default() });
    Nexus::at_with(&sandbox, "client_secret = 's'").sign_in();
}

/// The built-in provider with this sandbox in place of the Console's hosts.
fn built_in(sandbox: &Sandbox, redirect_uri: &str) -> Nexus {
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

/// A port that was free a moment ago on both families.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn three_variables_are_enough_for_the_built_in_provider() {
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
    // A cron job has none of the variables: the session brings its client along.
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
fn the_name_localhost_is_served_on_both_families() {
    let redirect_uri = format!("http://localhost:{}/oauth/claude/callback", free_port());
    let sandbox = sandbox(Settings { redirect: RedirectRule::Exact(redirect_uri.clone()), ..Settings::default() });
    for family in ["127.0.0.1", "[::1]"] {
        if family == "[::1]" && TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let nexus = built_in(&sandbox, &redirect_uri);
        let (output, (status, ..)) = answered(&nexus, |url| approve(url).replace("localhost", family));
        assert_eq!((output.code, status), (Some(0), 200), "{family}: {output}");
    }
}

#[test]
fn while_it_waits_the_listener_hands_out_the_url() {
    let redirect_uri = format!("http://localhost:{}/oauth/claude/callback", free_port());
    let sandbox = sandbox(Settings { redirect: RedirectRule::Exact(redirect_uri.clone()), ..Settings::default() });
    let nexus = built_in(&sandbox, &redirect_uri);
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let (status, address, page) = visit(&redirect_uri.replace("callback", "authorize"));
    assert_eq!(status, 200);
    assert_eq!(address, url, "a browser is led to it");
    assert!(page.contains("Sandbox"), "{page}");
    visit(&approve(&url));
    assert_eq!(started.finish().code, Some(0));
}

#[test]
fn the_browser_is_told_by_its_variable() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    let (script, told) = (nexus.path("browser"), nexus.path("told"));
    // Of a group of its own, it outlives a Ctrl-C that was meant for nexus.
    let group = "[ ! -e /proc/$$/stat ] || [ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ] && echo its own group";
    let text = format!("#!/bin/sh\n(printf '%s\\n' \"$@\"; {group}) > {0}.part\nmv {0}.part {0}\n", told.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    nexus.set("BROWSER", &format!("/nonexistent/browser:{} --new-window %s", script.display()));
    let mut started = nexus.start(&[]);
    let url = started.url();
    visit(&approve(&url));
    let output = started.finish();
    assert!(output.stderr.starts_with("Opening your browser to sign in. If it does not open, go to:\n\n"), "{output}");
    // The browser is not waited for, so it may write a moment after nexus has ended.
    let told = block_on(async {
        loop {
            match std::fs::read_to_string(&told) {
                Ok(told) => break told,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert_eq!(told, format!("--new-window\n{url}\nits own group\n"));
}

#[test]
fn the_listener_is_there_before_the_browser_is() {
    let sandbox = sandbox(Settings::default());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut nexus = Nexus::at_with(&sandbox, &format!("redirect_uri = \"http://127.0.0.1:{port}/callback\""));
    let (script, opened) = (nexus.path("browser"), nexus.path("opened"));
    std::fs::write(&script, format!("#!/bin/sh\necho \"$1\" >> {}\n", opened.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    nexus.set("BROWSER", &script.to_string_lossy());
    let output = nexus.run(&["oauth", "start"]);
    assert!(output.code == Some(1) && !output.stderr.contains("browser"), "{output}");
    drop(taken);
    let mut started = nexus.start(&[]);
    let url = started.url();
    // A browser that the first one had opened would have had the whole of the second to write this.
    let opened = block_on(async {
        loop {
            match std::fs::read_to_string(&opened) {
                Ok(opened) if opened.ends_with('\n') => break opened,
                _ => tokio::task::yield_now().await,
            }
        }
    });
    assert_eq!(opened, format!("{url}\n"));
    started.kill();
}

/// A request that is on its way to the redirect URI.
fn asked(address: &str, accept: &str) -> TcpStream {
    let url = Url::parse(address).unwrap();
    let host = format!("127.0.0.1:{}", url.port().unwrap());
    let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let mut stream = TcpStream::connect(&host).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn whoever_brings_the_answer_is_held_until_it_is_known_how_it_ended() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    for (accept, fails) in [("text/html", true), ("*/*", true), ("text/html", false), ("*/*", false)] {
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
        let mut started = nexus.start(&["--no-browser"]);
        let back = approve(&started.url());
        let mut waiting = asked(&back, accept);
        block_on(gate.arrived(1));
        // The code is at the server and not yet redeemed. What the listener would have said by now, it
        // would have said before it turns this one away.
        assert!(answer(&mut asked(&back.replace("state=", "state=x"), accept)).starts_with("HTTP/1.1 400 "));
        waiting.set_nonblocking(true).unwrap();
        let said = waiting.peek(&mut [0]);
        assert!(said.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{said:?}");
        waiting.set_nonblocking(false).unwrap();
        if fails {
            sandbox.change(|settings| settings.client_id = "somebody-else".into());
        }
        gate.open();
        let mut page = answer(&mut waiting);
        if accept == "text/html" {
            assert!(page.starts_with("HTTP/1.1 303 "), "{page}");
            page = answer(&mut asked(&back.replace("/callback?", "/callback/done?"), accept));
        }
        assert_eq!((page.contains("Sign-in failed"), page.contains("Signed in")), (fails, !fails), "{page}");
        assert_eq!(started.finish().code, Some(if fails { 2 } else { 0 }));
        sandbox.change(|settings| settings.client_id = "sandbox-client".into());
    }
}

fn last_refresh_token(sandbox: &Sandbox) -> String {
    sandbox.issued().iter().rfind(|secret| secret.starts_with("sandbox-refresh-")).cloned().unwrap()
}

/// What was asked to be revoked.
fn revoked(sandbox: &Sandbox) -> Vec<String> {
    sandbox.requests_to(Endpoint::Revoke).iter().filter_map(|seen| seen.field("token")).collect()
}

#[test]
fn signing_in_as_somebody_else_replaces_and_revokes_the_old_session() {
    let token_extra = json!({ "grant_id": null }).as_object().unwrap().clone();
    let sandbox = sandbox(Settings { token_extra, ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let first = nexus.run(&["oauth", "token"]).ok();
    sandbox.change(|settings| settings.account = "somebody@sandbox.example".into());
    let (output, ..) = signed_in(&nexus);
    assert!(
        verdict(&output).starts_with("note: the earlier session was revoked at [SERVER]\nSigned in as "),
        "{output}"
    );
    assert_ne!(nexus.run(&["oauth", "token"]).ok(), first);
    assert!(revoked(&sandbox).contains(&first.trim().to_owned()), "{:?}", revoked(&sandbox));
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn a_replaced_session_of_a_grant_of_its_own_is_revoked_once_the_new_one_is_stored() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let (first, old) = (nexus.run(&["oauth", "token"]).ok(), last_refresh_token(&sandbox));
    let gate = Gate::new();
    sandbox.script(Endpoint::Revoke, [Scripted::Wait(gate.clone())]);
    let mut started = nexus.start(&["--no-browser"]);
    let back = approve(&started.url());
    let page = std::thread::spawn(move || visit(&back));
    block_on(gate.arrived(1));
    let stored = nexus.run(&["oauth", "token"]).ok();
    assert_ne!(stored, first, "it is stored before the old one goes");
    gate.open();
    page.join().unwrap();
    let output = started.finish();
    let note = "note: the earlier session was revoked at [SERVER]\nSigned in as ";
    assert!(output.code == Some(0) && verdict(&output).starts_with(note), "{output}");
    assert_eq!(revoked(&sandbox), [old, first.trim().to_owned()]);
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn a_replaced_session_that_the_new_one_may_hang_on_is_left_alone() {
    let no_name = json!({ "grant_id": null });
    for (one_grant, extra) in [(true, json!({})), (false, no_name.clone()), (true, no_name)] {
        let token_extra = extra.as_object().unwrap().clone();
        let sandbox = sandbox(Settings { one_grant, token_extra, ..Settings::default() });
        let nexus = Nexus::at(&sandbox);
        nexus.sign_in();
        let first = nexus.run(&["oauth", "token"]).ok();
        let (output, ..) = signed_in(&nexus);
        let note = "note: the earlier session stays valid at [SERVER] until it expires; if revoking it does not end \
                    the new one there, set `revoke_replaced = true` under [provider.work] to revoke it next \
                    time\nSigned in as ";
        assert!(verdict(&output).starts_with(note), "{output}");
        assert_ne!(nexus.run(&["oauth", "token"]).ok(), first);
        assert_eq!(revoked(&sandbox), Vec::<String>::new());
        nexus.run(&["chat", "x"]).ok();
    }
}

#[test]
fn the_configuration_knows_better_whether_a_replaced_session_is_revoked() {
    let unnamed = json!({ "grant_id": null }).as_object().unwrap().clone();
    for (settings, line, note, revocations) in [
        (
            Settings { token_extra: unnamed, ..Settings::default() },
            "revoke_replaced = true",
            "note: the earlier session was revoked at [SERVER]\nSigned in as ",
            2,
        ),
        (
            Settings::default(),
            "revoke_replaced = false",
            "note: the earlier session stays valid at [SERVER] until it expires, as `revoke_replaced` says\nSigned in as ",
            0,
        ),
    ] {
        let sandbox = sandbox(settings);
        let nexus = Nexus::at_with(&sandbox, line);
        nexus.sign_in();
        let (output, ..) = signed_in(&nexus);
        assert!(output.code == Some(0) && verdict(&output).starts_with(note), "{line}: {output}");
        assert_eq!(revoked(&sandbox).len(), revocations, "{line}");
        nexus.run(&["chat", "x"]).ok();
    }
}

#[test]
fn what_was_replaced_is_told_of_as_far_as_it_could_still_be_used() {
    let sandbox = sandbox(Settings { refresh_tokens: false, token_lifetime: Some(json!(0)), ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let (output, ..) = signed_in(&nexus);
    assert!(verdict(&output).starts_with("Signed in as "), "an expired one is nothing to speak of: {output}");

    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    let config = config(&sandbox, "");
    nexus.configure(&config.lines().filter(|line| !line.starts_with("revoke_url")).collect::<Vec<_>>().join("\n"));
    nexus.sign_in();
    let (output, ..) = signed_in(&nexus);
    let note = "note: the earlier session stays valid at [SERVER] until it expires: this provider has no revocation endpoint\n";
    assert!(verdict(&output).starts_with(note), "{output}");

    nexus.configure(&config);
    nexus.sign_in();
    sandbox.script(Endpoint::Revoke, [Scripted::text(503, "text/plain", "")]);
    let (output, ..) = signed_in(&nexus);
    let note =
        "note: the earlier session stays valid at [SERVER] until it expires: not revoked, [SERVER] answered 503\n";
    assert!(output.code == Some(0) && verdict(&output).starts_with(note), "{output}");
}

/// Without these nobody is asked to approve what cannot come to a good end.
#[test]
fn what_cannot_work_is_said_before_the_browser_opens() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::new();
    let whole = config(&sandbox, "");
    let without = |key: &str| whole.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
    for (config, sentence) in [
        (without("token_url"), "the provider work has no `token_url`"),
        (
            format!("{whole}code_headers = {{ 'x y' = 'z' }}"),
            "`provider.work.code_headers.x y` in [HOME]/config.toml, line 10, is not a valid header name",
        ),
        (
            format!("{whole}authorize_params = {{ code_challenge = 'x' }}"),
            "`provider.work.authorize_params.code_challenge` in [HOME]/config.toml, line 10, is set by nexus itself",
        ),
    ] {
        nexus.configure(&config);
        let output = nexus.run(&["oauth", "start", "--no-browser"]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output}");
        assert!(output.stderr.starts_with(&format!("error: {sentence}\n  ")), "{output}");
    }
    assert_eq!(sandbox.requests().len(), 0);
}

#[test]
fn a_folder_that_takes_nothing_is_named() {
    let sandbox = sandbox(Settings::default());
    for folder in ["data", "key", "state"] {
        let nexus = Nexus::at(&sandbox);
        std::fs::write(nexus.path(folder), "").unwrap();
        let output = nexus.run(&["oauth", "start", "--no-browser"]);
        let place = if folder == "state" { "state/locks" } else { folder };
        let said = format!("error: [HOME]/{place}: this folder cannot be created: ");
        assert!(output.stderr.starts_with(&said), "{output}");
        let cure =
            format!("\n  make [HOME]/{folder} a folder that you can write to, or set NEXUS_HOME to another folder\n");
        assert!(output.stderr.ends_with(&cure), "{output}");
        assert_eq!(output.code, Some(1));
    }
}

#[test]
fn a_denial_is_told_and_keeps_the_old_session() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.sign_in();
    let (output, (status, address, page)) = answered(&nexus, deny);
    assert_eq!(output.code, Some(4));
    let said = verdict(&output);
    assert!(said.starts_with("error: work refused the sign-in (access_denied)"), "{said}");
    assert!(said.ends_with("\n  run `nexus oauth start` again and approve the request\n"), "{said}");
    assert_eq!(status, 200);
    assert!(page.contains("Sign-in failed") && !address.contains('?'), "{address} {page}");
    assert_eq!(nexus.run(&["oauth", "status"]).code, Some(0));
}

#[test]
fn a_wrong_state_is_turned_away_and_the_wait_goes_on() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let right = approve(&url);
    let state = parameter(&url, "state");
    for wrong in [
        right.replace(&state, "forged"),
        format!("{}?error=access_denied", parameter(&url, "redirect_uri")),
        format!("{}?error=access_denied&state=forged", parameter(&url, "redirect_uri")),
        format!("{right}&code=another"),
    ] {
        assert_eq!(visit(&wrong).0, 400, "{wrong}");
    }
    assert_eq!(visit(&right).0, 200);
    assert_eq!(started.finish().code, Some(0));
}

#[test]
fn nobody_comes_and_both_settings_are_named() {
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
            "error: timed out after 1 second (1 response with a wrong `state` was rejected); if the browser showed an \
             error, the server may have rejected client id `sandbox-client` or redirect URI `{redirect_uri}`\n  compare both with the registered client, then run `nexus oauth start`\n"
        )
    );
}

#[test]
fn every_refusal_of_the_code_has_its_sentence() {
    let start = "run `nexus oauth start`";
    let client = "compare `client_id`, `client_secret` and `client_auth` under [provider.work] in config.toml with the \
                  registered client, then run `nexus oauth start`";
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
            "see the server's message above; `scopes`, `client_auth`, `code_request` and `code_params` under \
             [provider.work] in config.toml control the request",
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
        let said = verdict(&output).replace(&parameter(&url, "redirect_uri"), "[REDIRECT]");
        assert_eq!(said, format!("error: {sentence}\n  {hint}\n"));
        assert_eq!(output.code, Some(code));
        assert_eq!(nexus.run(&["oauth", "status"]).code, Some(4), "nothing was stored");
    }
}

#[test]
fn an_answer_from_another_issuer_is_not_believed() {
    let sandbox = sandbox(Settings { issuer: Issuer::Other("https://evil.example.com".into()), ..Settings::default() });
    let nexus = Nexus::at(&sandbox);
    let (output, _) = answered(&nexus, approve);
    assert_eq!(output.code, Some(4));
    let said = "error: the authorization response is from issuer `https://evil.example.com`; expected `[ORIGIN]`\n";
    assert!(verdict(&output).starts_with(said), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 0, "its code goes nowhere");
}

#[test]
fn a_taken_port_is_refused_with_its_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let sandbox = sandbox(Settings::default());
    let mut nexus = built_in(&sandbox, &format!("http://localhost:{port}/callback"));
    nexus.name(&port.to_string(), "[PORT]");
    assert_output!(
        nexus.run(&["oauth", "start", "--no-browser"]), 1, stdout: "",
        stderr: "error: another program is listening on 127.0.0.1:[PORT]\n  stop that program, or register another \
                 redirect URI and set CLAUDE_CODE_REDIRECT_URI to it\n",
    );
}

#[test]
fn a_redirect_uri_that_cannot_be_listened_on_is_a_configuration_error() {
    let sandbox = sandbox(Settings::default());
    for uri in [
        "https://localhost:4000/callback",
        "http://example.com/callback",
        "urn:ietf:wg:oauth:2.0:oob",
        "callback",
        "http://127.0.0.1:0/c#x",
    ] {
        let nexus = Nexus::at_with(&sandbox, &format!("redirect_uri = '{uri}'"));
        let output = nexus.run(&["oauth", "start", "--no-browser"]);
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output}");
        let said = format!("error: nexus cannot listen on the redirect URI `{uri}`: ");
        assert!(output.stderr.starts_with(&said), "{output}");
    }
}

#[test]
fn nobody_is_asked_to_approve_what_could_not_be_stored() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    std::fs::create_dir(nexus.path("data")).unwrap();
    std::fs::write(nexus.path("data/sessions.db"), "this is no database, but somebody's file").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for (name, mode) in [("data", 0o700), ("data/sessions.db", 0o600)] {
            std::fs::set_permissions(nexus.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    assert_output!(
        nexus.run(&["oauth", "start", "--no-browser"]), 1, stdout: "",
        stderr: "error: [HOME]/data/sessions.db: the file is damaged; it was not changed\n  move it away, then \
                 run `nexus oauth start` to sign in again\n",
    );
    let left = std::fs::read_to_string(nexus.path("data/sessions.db")).unwrap();
    assert_eq!(left, "this is no database, but somebody's file");
    assert_eq!(sandbox.requests().len(), 0);
}

#[test]
fn ctrl_c_ends_the_wait() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut started = nexus.start(&["--no-browser"]);
        started.line_that(|line| line.starts_with("Waiting"));
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &started.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let output = started.finish();
        assert_eq!((output.code, verdict(&output)), (Some(code), ""), "{output}");
    }
}

#[test]
fn what_is_odd_about_a_configuration_is_told_where_somebody_attends_to_the_session() {
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
fn a_configuration_that_cannot_be_used_is_said_before_anything_happens() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::new();
    nexus.configure(&config(&sandbox, "token_ulr = 'x'"));
    assert_output!(
        nexus.run(&["oauth", "start"]), 2, stdout: "",
        stderr: "error: [HOME]/config.toml, line 9: unknown key `token_ulr` in [provider.work]\n  did you mean \
                 `token_url`?\n",
    );
}
