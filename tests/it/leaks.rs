//! Searches outputs, request lines and files for every secret of a session: codes, verifiers, tokens, the client
//! secret, and the headers that carry them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nexus::ClientAuth;
use nexus::sandbox::{Endpoint, Registration, Sandbox, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, approve, config, deny, newest, sandbox, visit};

/// The account, which must not be readable in any file.
const ACCOUNT: &str = "you@sandbox.example";

/// Has characters that each encoding escapes.
const CLIENT_SECRET: &str = "hush&hush=%2F+ü:\\\"end";

/// All commands with one provider, and their outputs.
struct Journey {
    sandbox: Sandbox,
    nexus: Nexus,
    verbose: bool,
    /// Commands and their outputs.
    heard: Vec<(String, String)>,
}

impl Journey {
    fn new(auth: ClientAuth, verbose: bool) -> Self {
        let secret = (auth != ClientAuth::None).then(|| CLIENT_SECRET.to_owned());
        let lines = match &secret {
            Some(_) => format!("client_secret = '{CLIENT_SECRET}'\nclient_auth = \"{}\"", auth.as_str()),
            None => String::new(),
        };
        let sandbox = sandbox(Settings { client_secret: secret, client_auth: auth, ..Settings::default() });
        let nexus = Nexus::at_with(&sandbox, &lines);
        Self { sandbox, nexus, verbose, heard: Vec::new() }
    }

    /// With a client that the sandbox registers, for a token.
    fn registering(verbose: bool) -> Self {
        let token = "initial-access-token-0123456789abcdef";
        let registration = Registration { token: Some(token.into()), ..Registration::open(ClientAuth::Basic) };
        let sandbox = sandbox(Settings { registration: Some(registration), ..Settings::default() });
        let nexus = Nexus::at(&sandbox);
        let lines = "registration_token_file = 'initial.token'";
        let own = format!("registration_url = \"{}\"", sandbox.url(Endpoint::Register));
        nexus.configure(&config(&sandbox, lines).replace("client_id = \"sandbox-client\"", &own));
        nexus.write("initial.token", token, 0o600);
        Self { sandbox, nexus, verbose, heard: Vec::new() }
    }

    /// With a client that signs assertions, and a server that issues ID tokens.
    fn asserting(verbose: bool) -> Self {
        let sandbox = sandbox(Settings { client_auth: ClientAuth::PrivateKeyJwt, ..Settings::default() });
        let nexus = Nexus::at(&sandbox);
        let lines = "client_assertion_key_file = \"key.pem\"";
        nexus.configure(&config(&sandbox, lines).replace("\"model.read\"]", "\"model.read\", \"openid\"]"));
        nexus.write("key.pem", include_str!("keys/p256.pem"), 0o600);
        Self { sandbox, nexus, verbose, heard: Vec::new() }
    }

    fn listen(&mut self, by: &str, texts: &[&str]) {
        self.heard.extend(texts.iter().map(|text| (by.to_owned(), (*text).to_owned())));
    }

    /// Runs a command that ends with this code. The token that `oauth token` prints is not recorded.
    #[track_caller]
    fn run(&mut self, words: &[&str], code: i32) {
        let mut message = words.to_vec();
        message.extend(self.verbose.then_some("--verbose"));
        let Output { stdout, stderr, code: ended } = self.nexus.run(&message);
        assert_eq!(ended, Some(code), "{words:?}: {stdout}{stderr}");
        let by = message.join(" ");
        match (words, code) {
            (["oauth", "token", .., "--json"], 0) => {
                let mut object: Value = serde_json::from_str(&stdout).unwrap();
                let token = object.as_object_mut().unwrap().remove("access_token").unwrap();
                assert!(token.as_str().unwrap().starts_with("sandbox-access-"), "{token}");
                self.listen(&by, &[&object.to_string(), &stderr]);
            }
            (["oauth", "token", ..], 0) => {
                let lines: Vec<_> = stdout.lines().collect();
                assert!(matches!(&lines[..], [token] if token.starts_with("sandbox-access-")), "{stdout}");
                self.listen(&by, &[&stderr]);
            }
            _ => self.listen(&by, &[&stdout, &stderr]),
        }
    }

    #[track_caller]
    fn sign_in(&mut self, answer: fn(&str) -> String, code: i32) {
        let words = if self.verbose { &["--no-browser", "--verbose"][..] } else { &["--no-browser"] };
        let mut started = self.nexus.start(words);
        let url = started.url();
        let (_, address, page) = visit(&answer(&url));
        let Output { stdout, stderr, code: ended } = started.finish();
        assert_eq!(ended, Some(code), "{stderr}");
        self.listen("oauth start", &[&stdout, &stderr]);
        self.listen("the browser", &[&address, &page]);
    }

    /// Every text that must not be found.
    fn secrets(&self) -> BTreeSet<String> {
        let headers = self.sandbox.requests().into_iter().filter_map(|seen| {
            let value = seen.header("authorization")?;
            Some(value.split_once(' ').map_or(value, |(_, credential)| credential).to_owned())
        });
        let mut secrets: BTreeSet<_> = self.sandbox.issued().into_iter().chain(headers).collect();
        assert!(secrets.len() > 10, "{secrets:?}");
        let encoded: Vec<_> = secrets.iter().flat_map(|secret| encodings(secret)).collect();
        // Half of a long secret is a secret too.
        let halves: Vec<_> = secrets
            .iter()
            .filter(|secret| secret.is_ascii() && secret.len() > 48)
            .map(|secret| secret[secret.len() - 24..].to_owned())
            .collect();
        secrets.extend(encoded);
        secrets.extend(halves);
        secrets
    }

    fn assert_nothing_was_heard(&self) {
        let secrets = self.secrets();
        for (by, message) in &self.heard {
            assert_none(&secrets, message.as_bytes(), by);
        }
    }

    /// Servers log request lines and some headers.
    fn assert_nothing_gets_into_logs(&self) {
        let secrets = self.secrets();
        for seen in self.sandbox.requests() {
            let mut line = format!("{} {}?{}", seen.method, seen.path, seen.query);
            for name in ["user-agent", "referer", "cookie", "x-request-id"] {
                line.push_str(seen.header(name).unwrap_or_default());
            }
            assert_none(&secrets, line.as_bytes(), &line);
        }
    }

    fn assert_nothing_lies_about(&self) {
        let mut secrets = self.secrets();
        secrets.extend([ACCOUNT.to_owned(), "The nexus sandbox".to_owned()]);
        let mut searched = Vec::new();
        for path in files(self.nexus.home()) {
            if path.file_name().is_some_and(|name| name != "config.toml") {
                let bytes = fs::read(&path).unwrap();
                assert_none(&secrets, &bytes, &path.to_string_lossy());
                searched.extend(bytes);
            }
        }
        assert!(searched.windows(7).any(|window| window == b"session"), "the database was searched");
    }
}

/// A secret as forms, headers and JSON write it.
fn encodings(secret: &str) -> Vec<String> {
    let form: String = nexus::Url::parse_with_params("http://h/", [("x", secret)])
        .map(|url| url.query().unwrap_or_default()["x=".len()..].to_owned())
        .unwrap();
    let json = json!(secret).to_string();
    vec![form.replace('+', "%20"), form, json[1..json.len() - 1].to_owned()]
}

#[track_caller]
fn assert_none(secrets: &BTreeSet<String>, bytes: &[u8], place: &str) {
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        assert!(!text.contains(secret), "{place} shows the secret `{secret}`:\n{text}");
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Runs every command, with and without failures.
fn run_all_commands(auth: ClientAuth, verbose: bool) {
    let mut journey = Journey::new(auth, verbose);
    sign_in_after_failures(&mut journey);
    use_it(&mut journey);
    journey.assert_nothing_lies_about();
    be_refused(&mut journey);
    fail_to_refresh(&mut journey);
    journey.assert_nothing_lies_about();
    end(&mut journey);
    journey.assert_nothing_lies_about();
    journey.assert_nothing_was_heard();
    journey.assert_nothing_gets_into_logs();
    let logged = journey.heard.iter().any(|(_, message)| message.contains("> POST "));
    assert_eq!(logged, verbose, "only --verbose logs requests");
}

#[test]
fn nothing_of_a_registered_client_is_shown_or_stored_in_the_clear() {
    for verbose in [false, true] {
        let mut journey = Journey::registering(verbose);
        let token = fs::read_to_string(journey.nexus.path("initial.token")).unwrap();
        let echo = json!({ "error": "invalid_token", "error_description": format!("Bearer {token} is not known") });
        journey.sandbox.script(Endpoint::Register, [Scripted::json(401, &echo)]);
        journey.run(&["oauth", "start", "--no-browser"], 2);
        journey.sign_in(approve, 0);
        fs::remove_file(journey.nexus.path("initial.token")).unwrap();
        for _ in 0..2 {
            journey.sandbox.expire_access();
            journey.run(&["chat", "Hello"], 0);
        }
        journey.assert_nothing_lies_about();
        journey.run(&["oauth", "logout"], 0);
        journey.assert_nothing_lies_about();
        journey.assert_nothing_was_heard();
        journey.assert_nothing_gets_into_logs();
    }
}

#[test]
fn no_id_token_and_no_assertion_is_shown_or_stored_in_the_clear() {
    for verbose in [false, true] {
        let mut journey = Journey::asserting(verbose);
        journey.sign_in(approve, 0);
        use_it(&mut journey);
        journey.assert_nothing_lies_about();
        journey.run(&["oauth", "logout"], 0);
        journey.assert_nothing_lies_about();
        let issued = journey.sandbox.issued();
        assert!(issued.iter().filter(|secret| secret.starts_with("eyJ")).count() > 2, "{issued:?}");
        journey.assert_nothing_was_heard();
        journey.assert_nothing_gets_into_logs();
    }
}

fn sign_in_after_failures(journey: &mut Journey) {
    journey.run(&["chat", "x"], 4);
    journey.sign_in(deny, 4);
    let refusals = [
        Scripted::json(400, &json!({ "error": "invalid_grant", "error_description": "no such code" })),
        Scripted::json(401, &json!({ "error": "invalid_client" })),
        Scripted::text(500, "text/html", "<html><title>Oops</title></html>"),
        Scripted::json(200, &json!({ "refresh_token": "nonsense-refresh-0123456789" })),
    ];
    for (refusal, code) in refusals.into_iter().zip([4, 2, 75, 1]) {
        journey.sandbox.script(Endpoint::Token, [refusal]);
        journey.sign_in(approve, code);
    }
    journey.sign_in(approve, 0);
}

fn use_it(journey: &mut Journey) {
    for words in [
        &["chat", "Hello"][..],
        &["chat", "--json", "Hello"],
        &["models"],
        &["models", "--json"],
        &["oauth", "status"],
        &["oauth", "status", "--json"],
        &["oauth", "token"],
        &["oauth", "token", "--json"],
        &["oauth", "token", "--min-ttl", "9h"],
        &["oauth", "token", "--min-ttl", "9h", "--json"],
    ] {
        journey.run(words, 0);
    }
    journey.sandbox.expire_access();
    journey.run(&["chat", "Hello again"], 0);
}

fn be_refused(journey: &mut Journey) {
    let token = newest(&journey.sandbox, "access");
    // A service that echoes the token.
    let echo = json!({ "error": { "type": "some_error", "message": format!("Bearer {token} is not liked") } });
    for (refusal, code) in [
        (Scripted::json(403, &echo), 1),
        (Scripted::json(429, &echo).header("retry-after", "20").header("request-id", &token), 75),
        (Scripted::json(500, &echo), 75),
        (Scripted::text(502, "text/html", &format!("<title>{token}</title>")), 75),
        (Scripted::text(200, &format!("text/{token}"), &token), 1),
        (
            Scripted::text(302, "text/plain", &token).header("location", &format!("https://elsewhere.invalid/{token}")),
            1,
        ),
        (Scripted::Cut(5), 75),
        (Scripted::Break(5), 75),
        (Scripted::Close, 75),
    ] {
        for words in [&["chat", "x"][..], &["chat", "--json", "x"], &["chat", "--output", "stream-json", "x"]] {
            let words = &[words, &["--retries", "0"]].concat();
            journey.sandbox.script(Endpoint::Messages, [refusal.clone()]);
            journey.run(words, code);
        }
    }
    for words in [&["chat", "x"][..], &["chat", "x", "--json"]] {
        // The token is refreshed between the two, so only the first echoes it.
        let refusals = [Scripted::json(401, &echo), Scripted::json(401, &json!({ "error": "expired" }))];
        journey.sandbox.script(Endpoint::Messages, refusals);
        journey.run(words, 4);
    }
    let token = newest(&journey.sandbox, "access");
    let echo = json!({ "error": { "type": "some_error", "message": format!("Bearer {token} is not liked") } });
    let refusal = Scripted::json(500, &echo).header("retry-after-ms", "1");
    journey.sandbox.script(Endpoint::Models, [refusal.clone(), refusal.clone(), refusal]);
    journey.run(&["models", "--retries", "2"], 75);
    journey.run(&["chat", "--model", "none-of-this-name", "x"], 1);
}

fn fail_to_refresh(journey: &mut Journey) {
    let token = newest(&journey.sandbox, "refresh");
    // The failure is stored for waiting processes, and a server may echo anything in it.
    let message = format!("the token {token} of {CLIENT_SECRET} for {ACCOUNT} is not liked");
    for (refusal, code) in [
        (Scripted::json(500, &json!({ "error": "server_error", "error_description": message })), 75),
        (Scripted::json(400, &json!({ "error": "invalid_request", "error_description": message })), 4),
        (Scripted::json(400, &json!({ "error": message })), 4),
        (Scripted::json(400, &json!({ "error": { "code": message, "description": message } })), 4),
        (Scripted::json(400, &json!({ "errors": [message] })), 4),
        (Scripted::json(400, &json!(message)), 4),
        (Scripted::json(403, &json!({ "type": "error", "error": { "type": "other", "message": message } })), 4),
        (Scripted::json(401, &json!({ "error": "invalid_client", "error_description": message })), 2),
        (Scripted::text(200, "text/html", &format!("<html>{message}</html>")), 75),
        (Scripted::json(200, &json!({ "refresh_token": token, "expires_in": message })), 75),
        (Scripted::json(200, &json!({ "access_token": format!("two words {token}") })), 75),
        (Scripted::text(302, "text/plain", "").header("location", &format!("https://elsewhere.invalid/{token}")), 75),
        (Scripted::Close, 75),
    ] {
        // While the old token is valid it is printed with a note; once the API rejects it, the command fails.
        if code != 2 {
            journey.sandbox.script(Endpoint::Token, [refusal.clone()]);
            journey.run(&["oauth", "token", "--min-ttl", "9h"], 0);
            // After a refusal nexus would not ask the server for a minute.
            journey.nexus.forget_failures();
        }
        let unauthorized = Scripted::json(401, &json!({}));
        journey.sandbox.script(Endpoint::Messages, [unauthorized]);
        journey.sandbox.script(Endpoint::Token, [refusal]);
        journey.run(&["chat", "--json", "x"], code);
        // What the refusal left behind is read.
        journey.run(&["oauth", "token", "--json"], 0);
        journey.nexus.forget_failures();
        journey.run(&["oauth", "status"], 0);
        journey.assert_nothing_lies_about();
    }
    journey.run(&["chat", "x"], 0);
}

fn end(journey: &mut Journey) {
    let token = newest(&journey.sandbox, "refresh");
    let message = format!("{token} is over");
    let over = Scripted::json(400, &json!({ "error": "invalid_grant", "error_description": message }));
    journey.sandbox.script(Endpoint::Token, [over]);
    journey.run(&["oauth", "token", "--min-ttl", "9h"], 4);
    for words in [&["chat", "x"][..], &["oauth", "token"], &["oauth", "token", "--json"], &["oauth", "status"]] {
        journey.run(words, 4);
    }
    journey.sign_in(approve, 0);
    let token = newest(&journey.sandbox, "refresh");
    let message = json!({ "error": "server_error", "error_description": format!("{token} cannot be revoked") });
    journey.sandbox.script(Endpoint::Revoke, [Scripted::json(503, &message), Scripted::json(503, &message)]);
    journey.run(&["oauth", "logout"], 0);
    journey.sign_in(approve, 0);
    journey.sign_in(approve, 0);
    journey.run(&["oauth", "logout", "--all"], 0);
    journey.run(&["oauth", "logout"], 0);
}

const CLIENTS: [ClientAuth; 3] = [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post];

#[test]
fn no_client_leaks_a_secret() {
    CLIENTS.into_iter().for_each(|auth| run_all_commands(auth, false));
}

#[test]
fn no_client_leaks_a_secret_when_verbose() {
    CLIENTS.into_iter().for_each(|auth| run_all_commands(auth, true));
}
