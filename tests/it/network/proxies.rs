//! HTTP proxies: which variable names one, what bypasses it, and what is told of its refusals.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use nexus::sandbox::Settings;

use super::tls::{Authority, Front};
use super::{ANSWER, SIGNED_IN, assert_all_works, deaf, home_at, signed_in, trust};
use crate::nexus::{approve, sandbox, visit};

/// A host name that does not resolve; only a proxy reaches it.
pub(super) const FAR: &str = "id.nexus.invalid";

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
pub(super) fn connect(mut client: TcpStream, mut server: TcpStream) -> Option<()> {
    let (mut from_server, mut to_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let back = thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let _ = io::copy(&mut client, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Write);
    back.join().ok()
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
    const ENCODE: &str = "special characters of the password must be percent-encoded, such as %23 for #";
    const PORT: &str = "the port is not a number from 0 to 65535";
    let sandbox = sandbox(Settings::default());
    for (variable, value, what) in [
        ("HTTPS_PROXY", "http://ada:hush@127.0.0.1:99999", PORT),
        ("HTTPS_PROXY", "127.0.0.1:port/", PORT),
        ("HTTPS_PROXY", "ftp://ada:hush@127.0.0.1:1080", "ftp proxies are not supported"),
        ("all_proxy", "http://", "not a proxy URL"),
        ("https_proxy", "ada:hush:4711", "not a proxy URL"),
        // Without the encoding, `ada` would be the host, and the begin of the password its port.
        ("HTTPS_PROXY", "http://ada:12#hush@127.0.0.1:3128", ENCODE),
        ("HTTPS_PROXY", "ada:12/hush@127.0.0.1", ENCODE),
        ("all_proxy", "socks5h://ada:12?hush@127.0.0.1", ENCODE),
        ("https_proxy", "https://ada:12\\hush@127.0.0.1", ENCODE),
        ("https_proxy", "http://ada:hush#1@127.0.0.1:3128", ENCODE),
    ] {
        let mut nexus = home_at(&sandbox, &format!("https://{FAR}"));
        trust(&mut nexus, &Authority::new());
        nexus.set(variable, value);
        let sentence = format!("error: cannot use the proxy in {variable}: {what}\n");
        let hint = format!("  set {variable} to `http://HOST:PORT`, or add the server to NO_PROXY\n");
        let output = signed_in(&nexus);
        assert!(!output.stderr.contains("ada") && !output.stderr.contains("12"), "{output}");
        assert_output!(output, 2, stdout: "", stderr: sentence + &hint);
        // A request that bypasses the proxy is sent.
        nexus.set("NO_PROXY", "invalid");
        assert_eq!(signed_in(&nexus).code, Some(75));
    }
}
