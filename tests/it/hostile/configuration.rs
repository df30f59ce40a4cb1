//! Configurations that are wrong or that point to another server. No request is sent, no secret is quoted, and the
//! session is kept.

use std::fs;

use nexus::sandbox::Settings;

use super::Left::Kept;
use super::{Ended, Row, every_row, signed_in};
use crate::nexus::config;

/// Makes the file from a valid one; and the command.
type Does = (fn(&str) -> Vec<u8>, &'static [&'static str]);

const START: &[&str] = &["oauth", "start", "--no-browser"];
const CHAT: &[&str] = &["chat", "--model", "m", "hello"];
const TOKEN: &[&str] = &["oauth", "token", "--min-ttl", "2d"];

const fn row(
    name: &'static str,
    does: fn(&str) -> Vec<u8>,
    words: &'static [&'static str],
    says: &'static str,
    code: i32,
) -> Row<Does> {
    Row { name, does: (does, words), says, code, left: Kept }
}

/// The configuration with another value for a key of the provider.
fn with(good: &str, key: &str, value: &str) -> Vec<u8> {
    let kept = good.lines().filter(|line| !line.starts_with(&format!("{key} =")));
    and(&kept.collect::<Vec<_>>().join("\n"), &format!("{key} = {value}"))
}

fn and(good: &str, more: &str) -> Vec<u8> {
    format!("{good}\n{more}\n").into_bytes()
}

const HTTP: &str = "is http; plain http is allowed on loopback only";

pub(super) const ROWS: &[Row<Does>] = &[
    row("the token endpoint over http", |good| with(good, "token_url", "'http://id.example.com/'"), START, HTTP, 2),
    row("localhost.evil", |good| with(good, "token_url", "'http://localhost.evil.example/'"), START, HTTP, 2),
    row("128.0.0.1", |good| with(good, "token_url", "'http://128.0.0.1/'"), START, HTTP, 2),
    row("the API over http", |good| with(good, "api_url", "'http://llm.example.com/'"), CHAT, HTTP, 2),
    row(
        "a password in a URL",
        |good| with(good, "token_url", "'https://user:hush-4711@id.example.com/'"),
        START,
        "`provider.work.token_url` in [HOME]/config.toml, line 10, must not contain a user name or password",
        2,
    ),
    row("a file URL", |good| with(good, "api_url", "'file:///etc/passwd'"), CHAT, "is file, but must be https", 2),
    row(
        "no token endpoint",
        |good| good.replace("token_url", "# token_url").into_bytes(),
        START,
        "the provider work has no `token_url`",
        2,
    ),
    row(
        "a fixed state",
        |good| and(good, "authorize_params = { state = 'fixed' }"),
        START,
        "`provider.work.authorize_params.state` in [HOME]/config.toml, line 12, is set by nexus itself",
        2,
    ),
    row(
        "plain PKCE",
        |good| and(good, "authorize_params = { code_challenge_method = 'plain' }"),
        START,
        "`provider.work.authorize_params.code_challenge_method` in [HOME]/config.toml, line 12, is set by nexus itself",
        2,
    ),
    row(
        "a redirect in the authorization URL",
        |good| with(good, "authorize_url", "'https://id.corp.example/?redirect_uri=https%3A%2F%2Fevil.example'"),
        START,
        "the provider work sets the reserved authorization parameter `redirect_uri`",
        2,
    ),
    row(
        "redirect to 0.0.0.0",
        |good| with(good, "redirect_uri", "'http://0.0.0.0:4000/callback'"),
        START,
        "nexus cannot listen on the redirect URI `http://0.0.0.0:4000/callback`: it points to another machine",
        2,
    ),
    row(
        "redirect to another machine",
        |good| with(good, "redirect_uri", "'http://192.0.2.1:4000/callback'"),
        START,
        "it points to another machine",
        2,
    ),
    row("a truncated line", |good| and(good, "client_secret = 'hush-4711"), START, "must be a quoted string", 2),
    row("a secret list", |good| and(good, "client_secret = ['hush-4711']"), START, "must be a quoted string", 2),
    row("a binary file", |_| b"\x7fELF\x02\x01\x01\0\0".to_vec(), START, "[HOME]/config.toml, line 1: ", 2),
    row("not UTF-8", |_| b"default = '\xff\xfe'".to_vec(), START, "[HOME]/config.toml cannot be read: ", 2),
    row(
        "UTF-16",
        |good| [&b"\xff\xfe"[..], &good.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>()].concat(),
        START,
        "[HOME]/config.toml cannot be read: it is UTF-16, not UTF-8\n",
        2,
    ),
    row(
        "an invisible character in a URL",
        |good| with(good, "token_url", "'https://id.example.com/\u{200b}token'"),
        START,
        "`provider.work.token_url` in [HOME]/config.toml, line 10, has an invisible character (U+200B) in it",
        2,
    ),
    row(
        "control characters in a key",
        |good| and(good, "\"\\u001b[2Jevil\\u202e\" = 1"),
        START,
        "[HOME]/config.toml, line 12: unknown key `[2Jevil` in [provider.work]\n",
        2,
    ),
    row("a duplicate key", |good| and(good, "client_id = 'other'"), START, "[HOME]/config.toml, line ", 2),
    row(
        "nested lists",
        |good| and(good, &format!("scopes = {}", "[".repeat(100_000))),
        START,
        "[HOME]/config.toml, line ",
        2,
    ),
    row(
        "a line break in a header",
        |good| and(good, "api_headers = { x-a = \"b\\r\\nx-evil: c\" }"),
        CHAT,
        "`provider.work.api_headers.x-a` in [HOME]/config.toml, line 12, has characters that are not allowed in a header",
        2,
    ),
    row(
        "a folder as secret file",
        |good| and(good, "client_secret_file = '.'"),
        START,
        "`provider.work.client_secret_file` in [HOME]/config.toml, line 12, points to [HOME]/., which cannot be read: ",
        2,
    ),
    row(
        "another API for the session",
        |good| with(good, "api_url", "'https://evil.example'"),
        CHAT,
        "belongs to api_url `[ORIGIN]/`, but the configuration now names `https://evil.example/`; the token was not sent",
        4,
    ),
    row(
        "another token endpoint for the session",
        |good| with(good, "token_url", "'https://evil.example/token'"),
        TOKEN,
        "but the configuration now names `https://evil.example/token`; the token was not sent",
        4,
    ),
    row(
        "another client for the session",
        |good| with(good, "client_id", "'other'"),
        CHAT,
        "belongs to client_id `sandbox-client`, but the configuration now names `other`; the token was not sent",
        4,
    ),
];

#[test]
fn no_configuration_costs_the_session_or_sends_it_to_another_server() {
    every_row(ROWS, |row| {
        let (nexus, sandbox) = signed_in(Settings::default(), "");
        let asked = sandbox.requests().len();
        let good = config(&sandbox, "");
        let (does, words) = row.does;
        fs::write(nexus.path("config.toml"), does(&good)).unwrap();
        let output = nexus.run(words);
        assert_eq!(sandbox.requests().len(), asked, "{}: nothing was asked", row.name);
        assert_eq!(output.stdout, "", "{}", row.name);
        assert!(!output.stderr.contains("4711"), "{}: {}", row.name, output.stderr);
        let harmless = |c: char| (!c.is_control() || c == '\n') && c != '\u{202e}';
        assert!(output.stderr.chars().all(harmless), "{}: {:?}", row.name, output.stderr);
        nexus.configure(&good);
        Ended { message: output.stderr, code: output.code, nexus }
    });
}
