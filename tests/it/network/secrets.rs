//! Headers whose values are in files, and what `--verbose` masks.

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, newest, sandbox};

#[test]
fn headers_in_files_are_sent_without_the_space_around_them() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at_with(
        &sandbox,
        "api_headers = { x-litellm-api-key = { file = 'gate.key' }, x-team = 'seven' }\n\
         code_headers = { x-code = { file = './code.key' } }\nrefresh_headers = { x-refresh = { file = 'refresh.key' } }",
    );
    nexus.write("gate.key", "sk-gate\n", 0o600);
    nexus.write("code.key", "\u{feff}sk-code\r\n", 0o600);
    nexus.write("refresh.key", " sk-refresh \n\n", 0o600);
    nexus.sign_in();
    nexus.run(&["oauth", "token", "--min-ttl", "9h"]).ok();
    nexus.run(&["chat", "x"]).ok();
    let [code, refresh] = &sandbox.requests_to(Endpoint::Token)[..] else { panic!("two token requests") };
    assert_eq!((code.header("x-code"), code.header("x-refresh")), (Some("sk-code"), None));
    assert_eq!((refresh.header("x-code"), refresh.header("x-refresh")), (None, Some("sk-refresh")));
    let message = &sandbox.requests_to(Endpoint::Messages)[0];
    assert_eq!((message.header("x-litellm-api-key"), message.header("x-team")), (Some("sk-gate"), Some("seven")));
}

#[test]
fn an_unusable_header_file_is_named_with_its_key() {
    let sandbox = sandbox(Settings::default());
    for (value, text, words) in [
        ("{ file = 'none' }", None, "`provider.work.api_headers.x-key` in [HOME]/config.toml, line "),
        ("{ file = 'none' }", None, "points to [HOME]/none, which cannot be read: "),
        ("{ file = 'gate.key' }", Some(" \n"), "points to [HOME]/gate.key, which is empty"),
        ("{ file = 'gate.key' }", Some("one\ntwo"), "which has characters that are not allowed in a header"),
        ("{ file = 'gate.key' }", Some("schlüssel"), "which has characters that are not allowed in a header"),
        ("{ file = '.' }", None, "which cannot be read: not a regular file"),
        ("{ file = 7 }", None, "{ file = \"path\" }"),
        ("{ path = 'gate.key' }", None, "{ file = \"path\" }"),
        ("{ file = 'gate.key', more = 'x' }", None, "{ file = \"path\" }"),
    ] {
        let nexus = Nexus::at_with(&sandbox, &format!("api_headers = {{ x-key = {value} }}"));
        if let Some(text) = text {
            nexus.write("gate.key", text, 0o600);
        }
        let output = nexus.run(&["chat", "x"]);
        assert!(output.code == Some(2) && output.stderr.contains(words), "{value}: {output}");
        assert!(!output.stderr.contains("two") && !output.stderr.contains("schl"), "{output}");
    }
}

#[test]
fn a_header_value_is_kept_out_of_errors() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at_with(
        &sandbox,
        "api_headers = { x-key = { file = 'gate.key' }, x-other = 'Bearer sk-inline' }\n\
         refresh_headers = { x-key = { file = 'gate.key' } }",
    );
    nexus.write("gate.key", "sk-gate", 0o600);
    nexus.sign_in();
    let error = json!({ "error": { "type": "invalid", "message": "no key sk-gate, nor sk-inline" } });
    sandbox.script(Endpoint::Messages, [Scripted::json(400, &error)]);
    let output = nexus.run(&["chat", "x"]);
    assert!(output.stderr.contains("no key (secret), nor (secret)"), "{output}");
    sandbox.script(
        Endpoint::Token,
        [Scripted::json(400, &json!({ "error": "invalid_request", "error_description": "sk-gate" }))],
    );
    let output = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert!(output.stderr.contains("(secret)") && !output.stderr.contains("sk-gate"), "{output}");
}

/// A server that repeats a secret in headers that are shown, in names of headers and in a redirect.
fn repeating(answer: Scripted, secret: &str) -> Scripted {
    let safe: String = secret.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let answer = answer.header("request-id", &format!("id-{secret}-id")).header("server", secret);
    let answer = answer.header("location", &format!("http://{safe}.example.com/{secret}?{secret}"));
    if safe == secret { answer.header(&format!("x-{secret}"), "x") } else { answer }
}

#[test]
fn verbose_masks_every_secret_of_a_request_by_value() {
    const CLIENT: &str = "hush-client";
    let sandbox =
        sandbox(Settings { client_secret: Some(CLIENT.into()), client_auth: ClientAuth::Post, ..Settings::default() });
    let nexus = Nexus::at_with(
        &sandbox,
        "client_secret = 'hush-client'\nclient_auth = 'post'\n\
         refresh_params = { gate = 'hush-field' }\n\
         refresh_headers = { x-gate = { file = 'gate.key' }, user-agent = 'hush-agent' }\n\
         api_headers = { x-gate = { file = 'gate.key' }, x-other = 'Bearer hush-inline' }",
    );
    nexus.write("gate.key", "hush-file\n", 0o600);
    nexus.sign_in();
    let (access, refresh) = (newest(&sandbox, "access"), newest(&sandbox, "refresh"));

    for secret in [CLIENT, "hush-file", "hush-agent", "hush-field", &refresh] {
        sandbox.script(Endpoint::Token, [repeating(Scripted::text(400, "text/plain", ""), secret)]);
        let output = nexus.run(&["oauth", "token", "--min-ttl", "9h", "--verbose"]);
        assert!(output.stderr.contains("< request-id: id-(secret)-id\n"), "{secret}: {output}");
        let trace: Vec<_> = output.stderr.lines().filter(|line| line.starts_with(['<', '>', '*'])).collect();
        assert!(!trace.iter().any(|line| line.contains("hush") || line.contains(&*refresh)), "{secret}: {output}");
        nexus.forget_failures();
    }
    for secret in ["hush-file", "hush-inline", &access] {
        for status in [400, 302] {
            sandbox.script(Endpoint::Messages, [repeating(Scripted::text(status, "text/plain", secret), secret)]);
            let output = nexus.run(&["chat", "x", "--verbose"]);
            assert!(output.stderr.contains("< server: (secret)\n"), "{secret}: {output}");
            assert!(!output.stderr.contains("hush") && !output.stderr.contains(&*access), "{secret}: {output}");
        }
    }
}

#[test]
fn verbose_masks_secrets_in_the_request_line() {
    let sandbox = sandbox(Settings::default());
    let api = format!("api_url = \"{}\"", sandbox.origin());
    let lines = "api_headers = { x-gate = 'hush-path' }";
    let config = crate::nexus::config(&sandbox, lines);
    let config = config
        .replace(&api, &format!("api_url = \"{}/hush-path/v?hush-path=hush-query&hush-query=1\"", sandbox.origin()));
    let nexus = Nexus::at(&sandbox);
    nexus.configure(&config);
    nexus.sign_in();
    let output = nexus.run(&["chat", "-m", "m", "x", "--verbose"]);
    assert!(output.stderr.contains("> POST [ORIGIN]/(secret)/v/v1/messages?(secret)&(secret)\n"), "{output}");
    assert!(!output.stderr.contains("hush"), "{output}");
}
