//! `nexus proxy`: programs with a static key use the session.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use nexus::sandbox::{Answer, Endpoint, Gate, Piece, Scripted, Settings};
use serde_json::{Value, json};

use crate::nexus::{Nexus, Output, block_on, lifetime, newest, signal};

/// A proxy that runs.
pub(crate) struct Proxy<'a> {
    nexus: &'a Nexus,
    child: Option<Child>,
    pub(crate) port: u16,
    pub(crate) key: String,
}

/// A response, as it came over the wire.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl<'a> Proxy<'a> {
    pub(crate) fn start(nexus: &'a Nexus, words: &[&str]) -> Self {
        let mut child = nexus.command(&[&["proxy"], words].concat()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let (url, key) = (line(), line());
        let port = url.rsplit(':').next().unwrap().parse().unwrap_or_else(|_| panic!("no URL: {url}"));
        Self { nexus, child: Some(child), port, key }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }

    /// Sends a request with the key.
    pub(crate) fn send(&self, line: &str, headers: &[&str], body: &[u8]) -> Response {
        let bearer = format!("authorization: Bearer {}", self.key);
        self.send_as_is(line, &[&[&*bearer], headers].concat(), body)
    }

    /// Sends a request with these headers, and `Host` if they have none.
    pub(crate) fn send_as_is(&self, line: &str, headers: &[&str], body: &[u8]) -> Response {
        let mut stream = self.connect();
        stream.write_all(&self.request(line, headers, body)).unwrap();
        read(&mut stream)
    }

    pub(crate) fn request(&self, line: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("host:")) {
            head.push_str(&format!("host: 127.0.0.1:{}\r\n", self.port));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        [head.as_bytes(), b"\r\n", body].concat()
    }

    pub(crate) fn child(&self) -> &Child {
        self.child.as_ref().unwrap()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn end(self) -> Output {
        signal(self.child().id(), "INT");
        self.finish()
    }

    fn finish(mut self) -> Output {
        self.nexus.finish(self.child.take().unwrap())
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Reads a response to the end of the connection.
pub(crate) fn read(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// A question of the Messages API, with as many bytes as wanted.
fn question(bytes: usize) -> Vec<u8> {
    let text = "x".repeat(bytes.max(5));
    json!({ "model": "sandbox-large", "max_tokens": 100, "messages": [{ "role": "user", "content": text }] })
        .to_string()
        .into_bytes()
}

fn error_of(response: &Response) -> Value {
    let body = &response.body[response.body.find('{').unwrap()..=response.body.rfind('}').unwrap()];
    serde_json::from_str::<Value>(body).unwrap()["error"].take()
}

#[test]
fn a_request_gets_the_token_and_none_of_the_programs_own_credentials() {
    let (sandbox, nexus) =
        Nexus::signed_in_with(Settings::default(), "api_headers = { anthropic-beta = \"own\", x-team = \"7\" }");
    let proxy = Proxy::start(&nexus, &[]);
    let headers = ["anthropic-beta: a, b", "cookie: c=d", "x-team: 8", "te: trailers", "x-mine: 1"];
    let response = proxy.send("POST /v1/messages?beta=true", &headers, &question(5));
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.head.contains("request-id: "), "{response:?}");
    let request = sandbox.requests_to(Endpoint::Messages).pop().unwrap();
    assert_eq!(request.query, "beta=true");
    for (name, value) in [
        ("authorization", Some(format!("Bearer {}", newest(&sandbox, "access")))),
        ("anthropic-beta", Some("a,b,own".into())),
        ("anthropic-version", Some("2023-06-01".into())),
        ("x-team", Some("7".into())),
        ("x-mine", Some("1".into())),
        ("cookie", None),
        ("te", None),
    ] {
        assert_eq!(request.header(name), value.as_deref(), "{name}");
    }
    let head = format!("{:?}", request.headers);
    assert!(!head.contains(&proxy.key), "{head}");
    let stderr = format!("Listening on http://127.0.0.1:{}. Ctrl-C ends it.\n", proxy.port);
    assert_output!(proxy.end(), 130, stdout: "", stderr: stderr);
}

#[test]
fn only_the_key_opens_the_proxy() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let asked = sandbox.requests().len();
    let key = proxy.key.clone();
    for wrong in [
        vec![],
        vec![format!("authorization: Bearer {key}x")],
        vec![format!("authorization: Bearer {}", &key[1..])],
        vec![format!("authorization: Basic {key}")],
        vec!["authorization: Bearer ".to_owned(), "x-api-key: ".to_owned()],
        vec![format!("x-api-key: {}", key.to_lowercase())],
        vec![format!("authorization: Bearer {}", newest(&sandbox, "access"))],
    ] {
        let headers: Vec<_> = wrong.iter().map(String::as_str).collect();
        let response = proxy.send_as_is("GET /v1/models", &headers, b"");
        assert_eq!((response.status, &error_of(&response)["type"]), (401, &json!("authentication_error")), "{wrong:?}");
    }
    assert_eq!(sandbox.requests().len(), asked);
    for right in [format!("x-api-key: {key}"), format!("authorization: bearer {key}")] {
        assert_eq!(proxy.send_as_is("GET /v1/models", &[&right], b"").status, 200, "{right}");
    }
}

#[test]
fn web_pages_and_foreign_names_are_refused_even_with_the_key() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let asked = sandbox.requests().len();
    let other_port = format!("origin: http://127.0.0.1:{}", proxy.port ^ 1);
    for header in [
        "host: evil.example",
        "host: 127.0.0.1",
        "host: localhost.evil.example:80",
        "origin: https://evil.example",
        "origin: null",
        &other_port,
    ] {
        let response = proxy.send("GET /v1/models", &[header], b"");
        assert_eq!((response.status, &error_of(&response)["type"]), (403, &json!("permission_error")), "{header}");
        assert!(!response.head.contains("access-control"), "{response:?}");
    }
    let preflight = proxy.send_as_is("OPTIONS /v1/messages", &["origin: https://evil.example"], b"");
    assert_eq!(preflight.status, 403, "{preflight:?}");
    for line in ["GET /v1/../token", "GET /v1/%2e%2e/token", "CONNECT example.com:443", "OPTIONS *"] {
        assert!([400, 403].contains(&proxy.send(line, &[], b"").status), "{line}");
    }
    assert_eq!(sandbox.requests().len(), asked);
    let own = format!("origin: http://localhost:{}", proxy.port);
    assert_eq!(proxy.send("GET /v1/models", &[&own], b"").status, 200);
}

#[test]
fn a_key_file_keeps_the_key_from_run_to_run() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let path = nexus.path("proxy.key");
    let words = ["--key-file", path.to_str().unwrap()];
    let first = Proxy::start(&nexus, &words);
    let key = first.key.clone();
    first.end();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{key}\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let second = Proxy::start(&nexus, &words);
    assert_eq!(second.key, key);
    second.end();
    let other = Proxy::start(&nexus, &[]);
    assert_ne!(other.key, key, "without a file it is new");
    other.end();
    nexus.write("proxy.key", "too short\n", 0o600);
    assert_eq!(nexus.run(&[&["proxy"], &words[..]].concat()).code, Some(1));
    #[cfg(unix)]
    {
        nexus.write("proxy.key", &format!("{key}\n"), 0o644);
        let output = nexus.run(&[&["proxy"], &words[..]].concat());
        assert!(
            output.stderr.contains("other users can read this key") && output.stderr.contains("chmod 600"),
            "{output}"
        );
    }
}

#[test]
fn a_rejected_token_is_renewed_and_the_request_sent_again() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    assert_eq!(proxy.send("POST /v1/messages", &[], &question(5)).status, 200);
    sandbox.expire_access();
    let body = question(1_000_000);
    assert_eq!(proxy.send("POST /v1/messages", &[], &body).status, 200);
    assert_eq!(sandbox.requests_to(Endpoint::Messages).pop().unwrap().body, body);
    assert_eq!(sandbox.refreshes(), 1);
}

#[test]
fn a_large_request_is_not_kept_but_the_token_is_renewed() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    sandbox.expire_access();
    let body = question(10_000_000);
    assert_eq!(proxy.send("POST /v1/messages", &[], &body).status, 401);
    assert_eq!(sandbox.refreshes(), 1);
    assert_eq!(proxy.send("POST /v1/messages", &[], &body).status, 200);
    assert_eq!(sandbox.requests_to(Endpoint::Messages).pop().unwrap().body, body);
    assert_eq!(sandbox.refreshes(), 1);
}

#[test]
fn a_server_that_rejects_every_token_gets_one_renewed_token() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let no = Scripted::json(401, &json!({ "error": { "message": "not for you" } }));
    sandbox.script(Endpoint::Messages, vec![no; 4]);
    for _ in 0..3 {
        let response = proxy.send("POST /v1/messages", &[], &question(5));
        assert_eq!((response.status, &error_of(&response)["message"]), (401, &json!("not for you")));
    }
    assert_eq!((sandbox.refreshes(), sandbox.requests_to(Endpoint::Messages).len()), (1, 4));
}

#[test]
fn tokens_are_renewed_again_once_the_server_takes_one() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let status = || proxy.send("POST /v1/messages", &[], &question(5)).status;
    let no = Scripted::json(401, &json!({ "error": { "message": "not now" } }));
    sandbox.script(Endpoint::Messages, vec![no; 2]);
    assert_eq!((status(), status(), sandbox.refreshes()), (401, 200, 1));
    sandbox.expire_access();
    assert_eq!((status(), sandbox.refreshes()), (200, 2));
}

#[test]
fn many_requests_at_once_share_one_refresh() {
    let (sandbox, nexus) = Nexus::expired();
    let proxy = Proxy::start(&nexus, &[]);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..20).map(|_| scope.spawn(|| proxy.send("POST /v1/messages", &[], &question(5)).status)).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 200));
    });
    assert_eq!(sandbox.refreshes(), 1);
}

#[test]
fn a_program_a_proxy_and_a_chat_share_one_refresh() {
    let (sandbox, mut nexus) = Nexus::expired();
    nexus.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    let proxy = Proxy::start(&nexus, &[]);
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let chat = nexus.command(&["chat", "hi"]).spawn().unwrap();
    let program = nexus.command(&["exec", "--", "/bin/sh", "-c", crate::exec::ASK]).spawn().unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| proxy.send("POST /v1/messages", &[], &question(5)).status);
        block_on(gate.arrived(1));
        gate.open();
        assert_eq!(asked.join().unwrap(), 200);
    });
    assert_eq!((nexus.finish(chat).code, nexus.finish(program).code), (Some(0), Some(0)));
    assert_eq!((sandbox.refreshes(), sandbox.counts().messages), (1, 3));
}

#[test]
fn a_large_request_with_a_wrong_key_is_told_why() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let response = proxy.send_as_is("POST /v1/messages", &["x-api-key: wrong"], &question(10_000_000));
    assert_eq!(response.status, 401, "{response:?}");
}

#[test]
fn a_session_that_ended_is_told_with_its_cure() {
    let (sandbox, nexus) = Nexus::signed_in(lifetime(3_600));
    let proxy = Proxy::start(&nexus, &[]);
    sandbox.end_session();
    let response = proxy.send("POST /v1/messages", &[], &question(5));
    assert_eq!(response.status, 401);
    let message = error_of(&response)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("run `nexus oauth start`"), "{message}");
}

#[test]
fn events_pass_as_they_come() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let gate = Gate::new();
    let pieces = [Piece::text("data: one\n\n"), Piece::Wait(gate.clone()), Piece::text("data: two\n\n")];
    sandbox.script(Endpoint::Messages, [Scripted::Answer(Answer::stream(pieces))]);
    let bearer = format!("authorization: Bearer {}", proxy.key);
    let mut stream = proxy.connect();
    stream.write_all(&proxy.request("POST /v1/messages", &[&bearer], &question(5))).unwrap();
    let mut begun = Vec::new();
    while !String::from_utf8_lossy(&begun).contains("data: one") {
        let mut bytes = [0; 1_024];
        let read = stream.read(&mut bytes).unwrap();
        assert!(read > 0, "it ended");
        begun.extend_from_slice(&bytes[..read]);
    }
    block_on(gate.arrived(1));
    gate.open();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: two") && rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[test]
fn a_response_that_breaks_off_does_not_seem_complete() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    sandbox.script(Endpoint::Messages, [Scripted::stream([Piece::text("data: one\n\n"), Piece::Break])]);
    let response = proxy.send("POST /v1/messages", &[], &question(5));
    assert!(response.status == 200 && !response.body.ends_with("0\r\n\r\n"), "{response:?}");
    sandbox.script(Endpoint::Messages, [Scripted::Close]);
    let response = proxy.send("POST /v1/messages", &[], &question(5));
    assert_eq!((response.status, &error_of(&response)["type"]), (502, &json!("api_error")));
}

#[test]
fn a_program_that_goes_away_ends_its_request() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    nexus.configure(&crate::nexus::config(&sandbox, "").replace(
        &format!("api_url = \"{}\"", sandbox.origin()),
        &format!("api_url = \"http://{}\"", server.local_addr().unwrap()),
    ));
    nexus.sign_in();
    let proxy = Proxy::start(&nexus, &[]);
    let bearer = format!("authorization: Bearer {}", proxy.key);
    let mut stream = proxy.connect();
    stream.write_all(&proxy.request("GET /v1/models", &[&bearer], b"")).unwrap();
    let mut request = server.accept().unwrap().0;
    let mut head = [0; 4_096];
    assert!(request.read(&mut head).unwrap() > 0);
    drop(stream);
    assert_eq!(request.read(&mut head).unwrap_or(0), 0, "its connection is closed");
}

#[test]
fn ctrl_c_finishes_the_requests_in_flight() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let gate = Gate::new();
    sandbox.script(Endpoint::Messages, [Scripted::Wait(gate.clone())]);
    let bearer = format!("authorization: Bearer {}", proxy.key);
    let mut stream = proxy.connect();
    stream.write_all(&proxy.request("POST /v1/messages", &[&bearer], &question(5))).unwrap();
    block_on(gate.arrived(1));
    signal(proxy.child().id(), "TERM");
    while TcpStream::connect(("127.0.0.1", proxy.port)).is_ok() {
        std::thread::yield_now();
    }
    gate.open();
    assert_eq!(read(&mut stream).status, 200);
    assert_eq!(proxy.finish().code, Some(143));
}

#[test]
fn one_connection_carries_many_requests() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let proxy = Proxy::start(&nexus, &[]);
    let bearer = format!("authorization: Bearer {}", proxy.key);
    let request = String::from_utf8(proxy.request("GET /v1/models", &[&bearer], b"")).unwrap();
    let kept = request.replace("connection: close\r\n", "");
    let mut stream = proxy.connect();
    stream.write_all(format!("{kept}{kept}{request}").as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
}

#[test]
fn what_cannot_be_served_is_told_before_it_listens() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    for address in
        ["0.0.0.0:0", "192.0.2.1:8080", "example.com:80", "[::]:0", "127.0.0.1:http", ":0", "8080", "::1:0", "[::1"]
    {
        let output = nexus.run(&["proxy", "--listen", address]);
        let is_told = output.stderr.contains("--listen") && output.stderr.contains(address);
        assert!(output.code == Some(2) && is_told, "{address}: {output}");
    }
    let output = nexus.run(&["proxy", "--listen", "ada:secret@127.0.0.1:8080", "--json"]);
    assert!(output.code == Some(2) && output.stderr.starts_with("error: --listen takes a host"), "{output}");
    assert!(!output.to_string().contains("secret"), "{output}");
    for (name, told) in [
        ("nofolder/k", "its folder does not exist\n  run `mkdir -p [HOME]/nofolder`"),
        (
            "link",
            "it is a link to /nowhere/k, which does not exist\n  remove the link, or name another file with --key-file",
        ),
        ("data", "it is a folder\n  pass a file in it: `--key-file [HOME]/data/proxy.key`"),
        ("empty", "it is empty; a key is one line"),
        ("short", "a key is one line of at least 16 printable ASCII characters"),
    ] {
        nexus.write("empty", "", 0o600);
        nexus.write("short", "short", 0o600);
        let _ = std::os::unix::fs::symlink("/nowhere/k", nexus.path("link"));
        let output = nexus.run(&["proxy", "--key-file", nexus.path(name).to_str().unwrap()]);
        assert!(output.code == Some(1) && output.stderr.contains(told), "{name}: {output}");
    }
    let taken = sandbox.origin().replace("http://", "");
    let output = nexus.run(&["proxy", "--listen", &taken, "--json"]);
    assert_eq!((output.code, output.json()["error"]["reason"].clone()), (Some(1), json!("address_taken")), "{output}");
    let signed_out = Nexus::at(&sandbox);
    assert_eq!(signed_out.run(&["proxy"]).code, Some(4));
}

#[test]
fn json_has_the_url_and_the_key() {
    let (_sandbox, nexus) = Nexus::signed_in(Settings::default());
    let mut child =
        nexus.command(&["proxy", "--json", "--listen", "localhost:0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["version"], &object["provider"]), (&json!(1), &json!("work")));
    assert!(object["url"].as_str().unwrap().starts_with("http://localhost:"), "{object}");
    assert_eq!(object["key"].as_str().unwrap().len(), 43, "{object}");
    signal(child.id(), "INT");
    assert_output!(nexus.finish(child), 130, stdout: "", stderr: format!("Listening on {}. Ctrl-C ends it.\n", object["url"].as_str().unwrap()));
}
