//! Proxies, certificate authorities, redirects and unreachable servers, for every request.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{fs, io, thread};

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::network::tls::{Authority, Front};
use crate::nexus::{Nexus, Output, approve, sandbox, visit};

/// `ca_file`, `tls_cert_file` and `tls_key_file`.
mod certificates;
/// A server that speaks HTTP/2 only.
mod http2;
/// Headers in files, and what `--verbose` masks.
mod secrets;
/// SOCKS proxies.
mod socks;
/// A TLS server in front of a sandbox, with a certificate authority of its own.
mod tls;

/// A host name that does not resolve; only a proxy reaches it.
const FAR: &str = "id.nexus.invalid";

/// A proxy on loopback. It connects every tunnel to one port and records the request lines.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Connects tunnels to this port; without one it refuses them.
    fn to(port: Option<u16>) -> Self {
        Self::answering(port.ok_or("403 Forbidden"))
    }

    /// Connects tunnels to this port, or refuses them with this status.
    fn answering(with: Result<u16, &'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (asked, own) = (Arc::default(), listener.local_addr().unwrap().port());
        let log: Arc<Mutex<Vec<String>>> = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming() {
                let log = log.clone();
                thread::spawn(move || tunnel(client.unwrap(), with, &log));
            }
        });
        Self { port: own, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The request lines so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One connection to the proxy, which the client may close at any time.
fn tunnel(client: TcpStream, to: Result<u16, &str>, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    head.read_line(&mut first).ok()?;
    log.lock().unwrap().push(first.trim_end().to_owned());
    let mut line = String::new();
    while head.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let mut client = client;
    let port = match to {
        Ok(port) => port,
        Err(status) => {
            return client.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok();
        }
    };
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    connect(client, server)
}

/// Forwards what both sides send, until they close.
fn connect(mut client: TcpStream, mut server: TcpStream) -> Option<()> {
    let (mut from_server, mut to_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let back = thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let _ = io::copy(&mut client, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Write);
    back.join().ok()
}

/// A home whose provider has this origin.
fn home_at(sandbox: &Sandbox, origin: &str) -> Nexus {
    let mut nexus = Nexus::new();
    nexus.name(origin.split_once("://").unwrap().1, "[SERVER]");
    configure(&nexus, sandbox, origin);
    nexus
}

fn configure(nexus: &Nexus, sandbox: &Sandbox, origin: &str) {
    nexus.configure(&format!(
        "default = \"work\"\n[provider.work]\nclient_id = \"sandbox-client\"\nauthorize_url = \"{}\"\n\
         token_url = \"{origin}/token\"\nrevoke_url = \"{origin}/revoke\"\napi_url = \"{origin}\"\n",
        sandbox.url(Endpoint::Authorize),
    ));
}

/// Signs in, or fails to; stderr begins after the invitation.
fn signed_in(nexus: &Nexus) -> Output {
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    started.line_that(|line| line.starts_with("Waiting"));
    visit(&approve(&url));
    let output = started.finish();
    let message = output.stderr.split_once("(Ctrl-C cancels).\n").unwrap().1.to_owned();
    Output { stderr: message, ..output }
}

const SIGNED_IN: &str = "Signed in as you@sandbox.example, token expires in 8.0 hours\n";
const ANSWER: &str = "You said: x (This is the nexus sandbox: no model is behind it.)\n";
const CHECK_NETWORK: &str = "  check the network, the proxy variables and the URL in config.toml, then try again\n";
const CHECK_CERTIFICATE: &str = "  for a private authority, set `ca_file` of the provider, or SSL_CERT_FILE, to a file with its certificate; \
                                 otherwise fix the server's certificate, or check the URL in config.toml\n";

/// Every kind of request works.
fn assert_all_works(nexus: &Nexus) {
    assert_output!(signed_in(nexus), 0, stdout: "", stderr: SIGNED_IN);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: ANSWER, stderr: "");
    assert_output!(nexus.run(&["models"]), 0, stdout: "sandbox-large\nsandbox-small\nsandbox-old\n", stderr: "");
    let token = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert!(token.stdout.starts_with("sandbox-access-") && token.code == Some(0), "{token}");
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Revoked the session at [SERVER]\nDeleted the local session\n");
}

fn trust(nexus: &mut Nexus, authority: &Authority) {
    let file = nexus.path("authority.pem");
    fs::write(&file, authority.pem()).unwrap();
    nexus.set("SSL_CERT_FILE", &file.to_string_lossy());
}

const PROXY_VARIABLES: &[&str] = &["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

#[test]
fn loopback_bypasses_every_proxy() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let names = ["127.0.0.1", "localhost", "llm.localhost"];
    let front = Front::before(&sandbox, &authority, &names);
    let proxy = Proxy::to(None);
    for origin in names.map(|name| front.origin(name)).into_iter().chain([sandbox.origin()]) {
        let mut nexus = home_at(&sandbox, &origin);
        trust(&mut nexus, &authority);
        for name in PROXY_VARIABLES {
            nexus.set(name, &proxy.url());
        }
        assert_all_works(&nexus);
    }
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn everything_else_goes_through_the_proxy() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &[FAR]);
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let proxy = Proxy::to(Some(front.port()));
        let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
        trust(&mut nexus, &authority);
        nexus.set(variable, &proxy.url());
        nexus.set("NO_PROXY", "example.com,nexus.invalid.example.com");
        assert_all_works(&nexus);
        let asked: BTreeSet<_> = proxy.asked().into_iter().collect();
        assert_eq!(asked, BTreeSet::from([format!("CONNECT {FAR}:443 HTTP/1.1")]), "{variable}");
        // Sign-in, its models, chat, models, refresh, and two revocations.
        assert!(proxy.asked().len() >= 5, "{:?}", proxy.asked());
    }
}

/// `0.0.0.0` reaches this machine but is not a loopback address.
#[cfg(target_os = "linux")]
#[test]
fn no_proxy_lists_servers_that_bypass_the_proxy() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &["0.0.0.0"]);
    let proxy = Proxy::to(Some(front.port()));
    let behind_proxy = || {
        let mut nexus = home_at(&sandbox, &front.origin("0.0.0.0"));
        trust(&mut nexus, &authority);
        nexus.set("HTTPS_PROXY", &proxy.url());
        nexus
    };
    assert_all_works(&behind_proxy());
    let tunnels = proxy.asked().len();
    assert!(tunnels >= 5, "{tunnels}");
    for variable in ["NO_PROXY", "no_proxy"] {
        let mut nexus = behind_proxy();
        nexus.set(variable, "example.com, 0.0.0.0");
        assert_all_works(&nexus);
        assert_eq!(proxy.asked().len(), tunnels, "{variable}");
    }
}

#[test]
fn names_below_localhost_are_this_machine() {
    let sandbox = sandbox(Settings::default());
    for name in ["localhost", "localhost.", "llm.localhost", "a.b.localhost."] {
        assert_all_works(&home_at(&sandbox, &sandbox.origin().replace("127.0.0.1", name)));
    }
}

#[test]
fn invisible_characters_around_proxy_settings_are_ignored() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &[FAR]);
    for (variable, before, after) in [
        ("HTTPS_PROXY", "", " "),
        ("https_proxy", "\t", "\r\n"),
        ("ALL_PROXY", "\u{feff}", "\u{a0}"),
        ("all_proxy", " \u{200b}", "\u{feff}\n"),
    ] {
        let proxy = Proxy::to(Some(front.port()));
        let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
        trust(&mut nexus, &authority);
        nexus.set(variable, &format!("{before}{}{after}", proxy.url()));
        assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
        assert!(!proxy.asked().is_empty(), "{variable}");
        let asked = proxy.asked().len();
        nexus.set("NO_PROXY", &format!("{before}example.com, {FAR}{after}"));
        assert_eq!(nexus.run(&["chat", "x", "--retries", "0"]).code, Some(75));
        assert_eq!(proxy.asked().len(), asked, "{variable}");
    }
}

#[test]
fn the_lower_case_variable_comes_first_and_a_blank_one_counts_as_unset() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &[FAR]);
    let (used, unused) = (Proxy::to(Some(front.port())), Proxy::to(None));
    let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
    trust(&mut nexus, &authority);
    nexus.set("https_proxy", &used.url());
    nexus.set("HTTPS_PROXY", &unused.url());
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
    nexus.set("https_proxy", " ");
    nexus.set("HTTPS_PROXY", &used.url());
    nexus.set("all_proxy", &unused.url());
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: ANSWER, stderr: "");
    assert_eq!(unused.asked(), [""; 0]);
}

#[test]
fn a_refused_tunnel_names_its_status() {
    let sandbox = sandbox(Settings::default());
    for (status, code) in [
        ("403 Forbidden", 1),
        ("405 Method Not Allowed", 1),
        ("404 Nothing", 1),
        ("502 Bad Gateway", 75),
        ("503 Service Unavailable", 75),
        ("504 Gateway Timeout", 75),
        ("429 Too Many Requests", 75),
    ] {
        let proxy = Proxy::answering(Err(status));
        let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
        trust(&mut nexus, &Authority::new());
        nexus.set("HTTPS_PROXY", &proxy.url());
        let output = signed_in(&nexus);
        assert_eq!(output.code, Some(code), "{output}");
        let reason = if status.starts_with("404") { "404 Not Found" } else { status };
        assert!(output.stderr.contains(&format!("answered CONNECT with {reason}\n")), "{output}");
        assert!(output.stderr.contains(&format!("the proxy 127.0.0.1:{}", proxy.port)), "{output}");
    }
}

#[test]
fn a_proxy_that_wants_another_password_is_a_configuration_error() {
    let sandbox = sandbox(Settings::default());
    let proxy = Proxy::answering(Err("407 Proxy Authentication Required"));
    for (login, refusal, hint) in [
        ("", "wants a user name and a password", "add them to HTTPS_PROXY: `http://USER:PASSWORD@HOST:PORT`"),
        (
            "ada:hush@",
            "refused the user name or the password",
            "correct them in HTTPS_PROXY; special characters are percent-encoded, such as %40 for @",
        ),
    ] {
        let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
        trust(&mut nexus, &Authority::new());
        nexus.set("HTTPS_PROXY", &format!("http://{login}127.0.0.1:{}", proxy.port));
        let stderr = format!("error: cannot reach [SERVER]: the proxy 127.0.0.1:{} {refusal}\n  {hint}\n", proxy.port);
        assert_output!(signed_in(&nexus), 2, stdout: "", stderr: stderr);
    }
}

#[test]
fn a_proxy_that_refuses_is_permanent_and_its_password_is_hidden() {
    let sandbox = sandbox(Settings::default());
    let proxy = Proxy::to(None);
    let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
    trust(&mut nexus, &Authority::new());
    nexus.set("HTTPS_PROXY", &format!("http://ada:hush@127.0.0.1:{}", proxy.port));
    let output = signed_in(&nexus);
    assert_output!(output, 1, stdout: "",
    stderr: format!(
        "error: cannot reach [SERVER]: the proxy 127.0.0.1:{} answered CONNECT with 403 Forbidden\n  ask the proxy's \
         administrator, correct HTTPS_PROXY, or add the server to NO_PROXY\n",
        proxy.port
    ));
    assert_eq!(proxy.asked(), [format!("CONNECT {FAR}:443 HTTP/1.1")]);

    let mut started = nexus.start(&["--no-browser", "--verbose"]);
    let url = started.url();
    visit(&approve(&url));
    let output = started.finish();
    assert!(!output.stderr.contains("hush") && output.code == Some(1), "{output}");
    assert!(output.stderr.contains(&format!("* through the proxy 127.0.0.1:{}\n", proxy.port)), "{output}");
}

#[test]
fn an_unreachable_proxy_is_named() {
    let sandbox = sandbox(Settings::default());
    let unused = deaf(0).unwrap();
    let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
    trust(&mut nexus, &Authority::new());
    let port = unused.local_addr().unwrap().port();
    nexus.set("HTTPS_PROXY", &format!("http://ada:hush@127.0.0.1:{port}"));
    let message = format!("error: cannot reach [SERVER]: through the proxy 127.0.0.1:{port}: ");
    let output = signed_in(&nexus);
    assert!(output.stderr.starts_with(&message) && output.code == Some(75), "{output}");
    assert!(!output.stderr.contains("hush"), "{output}");
}

#[test]
fn an_unsupported_proxy_is_not_bypassed() {
    let sandbox = sandbox(Settings::default());
    for (variable, value, what) in [
        ("HTTPS_PROXY", "ftp://ada:hush@127.0.0.1:1080", "ftp proxies are not supported"),
        ("all_proxy", "http://", "not a proxy URL"),
        ("https_proxy", "ada:hush:4711", "not a proxy URL"),
    ] {
        let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
        trust(&mut nexus, &Authority::new());
        nexus.set(variable, value);
        let sentence = format!("error: cannot use the proxy in {variable}: {what}\n");
        let hint = format!("  set {variable} to `http://HOST:PORT`, or add the server to NO_PROXY\n");
        assert_output!(signed_in(&nexus), 2, stdout: "", stderr: sentence + &hint);
        // A request that bypasses the proxy is sent.
        nexus.set("NO_PROXY", "invalid");
        assert_eq!(signed_in(&nexus).code, Some(75));
    }
}

#[test]
fn a_private_authority_is_trusted_by_ssl_cert_file() {
    let sandbox = sandbox(Settings::default());
    let (authority, stranger) = (Authority::new(), Authority::called("a stranger"));
    let front = Front::before(&sandbox, &authority, &["127.0.0.1"]);
    let mut nexus = home_at(&sandbox, &front.origin("127.0.0.1"));

    trust(&mut nexus, &stranger);
    let untrusted = format!(
        "error: [SERVER] is not trusted: its certificate was issued by an unknown certificate authority\n\
         {CHECK_CERTIFICATE}"
    );
    assert_output!(signed_in(&nexus), 1, stdout: "", stderr: &*untrusted);
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 0, "no code is sent to an untrusted server");

    trust(&mut nexus, &authority);
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: ANSWER, stderr: "");

    trust(&mut nexus, &stranger);
    assert_output!(nexus.run(&["chat", "x"]), 1, stdout: "", stderr: &*untrusted);
    assert_output!(nexus.run(&["models"]), 1, stdout: "", stderr: &*untrusted);

    trust(&mut nexus, &authority);
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr: "Revoked the session at [SERVER]\nDeleted the local session\n");
}

#[test]
fn a_private_authority_is_trusted_by_ssl_cert_dir() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &["127.0.0.1"]);
    let mut nexus = home_at(&sandbox, &front.origin("127.0.0.1"));
    let folder = nexus.path("certs");
    fs::create_dir(&folder).unwrap();
    // The form of name that OpenSSL looks up.
    fs::write(folder.join("5ad8a5d6.0"), authority.pem()).unwrap();
    nexus.set("SSL_CERT_DIR", &folder.to_string_lossy());
    assert_all_works(&nexus);
}

#[test]
fn a_private_authority_is_not_trusted_by_default() {
    let sandbox = sandbox(Settings::default());
    let front = Front::before(&sandbox, &Authority::new(), &["127.0.0.1"]);
    let output = signed_in(&home_at(&sandbox, &front.origin("127.0.0.1")));
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("certificate"), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 0);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &["localhost"]);
    let mut nexus = home_at(&sandbox, &front.origin("127.0.0.1"));
    trust(&mut nexus, &authority);
    let output = signed_in(&nexus);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.starts_with("error: [SERVER] is not trusted: its certificate is invalid: "), "{output}");
    assert!(output.stderr.ends_with(CHECK_CERTIFICATE), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 0);
}

#[test]
fn an_ssl_cert_file_without_certificates_is_named() {
    let sandbox = sandbox(Settings::default());
    let front = Front::before(&sandbox, &Authority::new(), &["127.0.0.1"]);
    let mut nexus = home_at(&sandbox, &front.origin("127.0.0.1"));
    nexus.set("SSL_CERT_FILE", "/nonexistent/authority.pem");
    let output = signed_in(&nexus);
    assert!(output.stderr.contains("no CA certificates") && output.stderr.contains("SSL_CERT_FILE"), "{output}");
    assert!(output.stderr.contains("/nonexistent/authority.pem"), "{output}");
    // Plain http on loopback needs no certificates.
    configure(&nexus, &sandbox, &sandbox.origin());
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
}

/// Binds a port without listening, so that no other test gets it.
fn deaf(port: u16) -> std::io::Result<tokio::net::TcpSocket> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
#[test]
fn a_refused_connection_is_temporary() {
    let sandbox = sandbox(Settings::default());
    let unused = deaf(0).unwrap();
    let port = unused.local_addr().unwrap().port();
    let refused = format!("error: cannot reach [SERVER]: Connection refused (os error 111)\n{CHECK_NETWORK}");

    let nexus = home_at(&sandbox, &format!("http://127.0.0.1:{port}"));
    assert_output!(signed_in(&nexus), 75, stdout: "", stderr: &*refused);

    let (nexus, _unused) = loop {
        let sandbox = self::sandbox(Settings::default());
        let nexus = home_at(&sandbox, &sandbox.origin());
        nexus.sign_in();
        let port = sandbox.origin().rsplit(':').next().unwrap().parse().unwrap();
        drop(sandbox);
        // Another test may have taken the port.
        if let Ok(unused) = deaf(port) {
            break (nexus, unused);
        }
    };
    assert_output!(nexus.run(&["chat", "x", "--retries", "0"]), 75, stdout: "", stderr: &*refused);
    let output = nexus.run(&["models", "--retries", "2"]);
    assert!(output.code == Some(75) && output.stderr.ends_with(&refused), "{output}");
    assert_eq!(output.stderr.matches("; retrying in ").count(), 2, "{output}");
    let output = nexus.run(&["chat", "x", "--json", "--retries", "0"]);
    assert_eq!(
        output.json()["error"],
        json!({
            "reason": "unreachable",
            "message": "cannot reach [SERVER]: Connection refused (os error 111)",
            "hint": "check the network, the proxy variables and the URL in config.toml, then try again",
            "exit_code": 75,
        })
    );
    // The old token is valid and printed with a note.
    let output = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert!(output.stdout.starts_with("sandbox-access-") && output.code == Some(0), "{output}");
    let note = "note: the token was not refreshed ([SERVER] could not be reached (Connection refused (os error 111)))";
    assert!(output.stderr.starts_with(note), "{output}");
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "", stderr:
        "Not revoked: [SERVER] could not be reached (Connection refused (os error 111)); its tokens stay valid until \
         they expire\nDeleted the local session\n");
}

#[test]
fn https_to_an_http_server_is_reported_and_not_retried() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = home_at(&sandbox, &sandbox.origin().replace("http:", "https:"));
    trust(&mut nexus, &Authority::new());
    let message = "error: [SERVER] does not speak TLS, which https:// requires\n  check the URL and its port \
                in config.toml; for a server on this machine without TLS, use an `http://` URL\n";
    let output = signed_in(&nexus);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.ends_with(message), "{output}");
    let api = format!("api_url = \"{}\"", sandbox.origin());
    nexus.configure(&crate::nexus::config(&sandbox, "").replace(&api, &api.replace("http:", "https:")));
    nexus.sign_in();
    assert_output!(nexus.run(&["chat", "-m", "m", "x"]), 1, stdout: "", stderr: message);
}

#[test]
fn no_redirect_of_a_token_endpoint_is_followed() {
    let (asked, other) = (sandbox(Settings::default()), sandbox(Settings::default()));
    let nexus = Nexus::at(&asked);
    let redirect = |status| Scripted::text(status, "text/plain", "").header("location", &other.url(Endpoint::Token));
    for status in [301, 302, 303, 307, 308] {
        asked.script(Endpoint::Token, [redirect(status)]);
        let output = signed_in(&nexus);
        assert!(output.stderr.contains("a redirect") && output.stderr.contains("which is not followed"), "{output}");
        assert_eq!(output.code, Some(1), "{output}");
    }
    nexus.sign_in();
    for status in [301, 302, 303, 307, 308] {
        asked.script(Endpoint::Token, [redirect(status)]);
        let output = nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
        assert!(output.stderr.contains("which is not followed"), "{output}");
    }
    // Nor on the same origin.
    let asked_before = asked.requests_to(Endpoint::Revoke).len();
    let elsewhere = Scripted::text(307, "text/plain", "").header("location", &asked.url(Endpoint::Revoke));
    asked.script(Endpoint::Token, [elsewhere]);
    nexus.run(&["oauth", "token", "--min-ttl", "9h"]);
    assert_eq!(asked.requests_to(Endpoint::Revoke).len(), asked_before);

    asked.script(Endpoint::Revoke, [redirect(307), redirect(307)]);
    assert_output!(nexus.run(&["oauth", "logout"]), 0, stdout: "",
        stderr: "Not revoked: [SERVER] answered 307; its tokens stay valid until they expire\nDeleted the local \
                 session\n");
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[test]
fn no_redirect_of_the_api_is_followed() {
    let (asked, other) = (sandbox(Settings::default()), sandbox(Settings::default()));
    let mut nexus = Nexus::at(&asked);
    nexus.name(other.origin().split_once("://").unwrap().1, "[OTHER]");
    nexus.sign_in();
    for status in [301, 302, 303, 307, 308] {
        let stderr = format!(
            "error: [SERVER] answered {status}: redirects to [OTHER]; not followed\n  \
             check `api_url`: nexus follows no redirects, so that a token goes to the configured address only\n"
        );
        for (endpoint, words) in [(Endpoint::Messages, &["chat", "x"][..]), (Endpoint::Models, &["models"])] {
            let redirect = Scripted::text(status, "text/plain", "").header("location", &other.url(endpoint));
            asked.script(endpoint, [redirect]);
            assert_output!(nexus.run(words), 1, stdout: "", stderr: &*stderr);
        }
    }
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}
