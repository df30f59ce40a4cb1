//! Certificate authorities, redirects and unreachable servers, for every request.

use std::fs;

use nexus::sandbox::{Endpoint, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::network::tls::{Authority, Front};
use crate::nexus::{Nexus, Output, approve, sandbox, visit};

/// `ca_file`, `tls_cert_file` and `tls_key_file`.
mod certificates;
/// A server that speaks HTTP/2 only.
mod http2;
/// HTTP proxies.
mod proxies;
/// Headers in files, and what `--verbose` masks.
mod secrets;
/// SOCKS proxies.
mod socks;
/// A TLS server in front of a sandbox, with a certificate authority of its own.
mod tls;

/// A home whose provider has this origin.
fn home_at(sandbox: &Sandbox, origin: &str) -> Nexus {
    let mut nexus = Nexus::new();
    nexus.name(origin.split_once("://").unwrap().1, "[SERVER]");
    configure(&nexus, sandbox, origin);
    nexus
}

fn configure(nexus: &Nexus, sandbox: &Sandbox, origin: &str) {
    nexus.configure(&format!(
        "default = \"work\"\n[provider.work]\nclient_id = \"sandbox-client\"\n\
         redirect_uri = \"http://127.0.0.1:0/callback\"\nauthorize_url = \"{}\"\n\
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

#[test]
fn names_below_localhost_are_this_machine() {
    let sandbox = sandbox(Settings::default());
    for name in ["localhost", "localhost.", "llm.localhost", "a.b.localhost."] {
        assert_all_works(&home_at(&sandbox, &sandbox.origin().replace("127.0.0.1", name)));
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

/// A distribution keeps its authorities in a bundle and in a folder, and an administrator may add one to only the folder.
#[cfg(target_os = "linux")]
#[test]
fn an_authority_that_the_systems_bundle_lacks_is_found_in_its_folder() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let front = Front::before(&sandbox, &authority, &["127.0.0.1"]);
    let mut nexus = home_at(&sandbox, &front.origin("127.0.0.1"));
    trust(&mut nexus, &authority);
    signed_in(&nexus).ok();

    let etc = tempfile::tempdir().unwrap();
    let certs = etc.path().join("ssl/certs");
    fs::create_dir_all(&certs).unwrap();
    fs::write(certs.join("ca-certificates.crt"), Authority::called("another").pem()).unwrap();
    // An empty variable counts as unset.
    let run = |words: &[&str]| nexus.run_with_etc(etc.path(), |command| command.env("SSL_CERT_FILE", ""), words);
    let Some(unknown) = run(&["chat", "x"]) else { return };
    assert!(unknown.code == Some(1) && unknown.stderr.contains("unknown certificate authority"), "{unknown}");

    fs::write(certs.join("5ad8a5d6.0"), authority.pem()).unwrap();
    sandbox.expire_access();
    // Asks, refreshes the token, and asks again: three requests of one process.
    assert_output!(run(&["chat", "x"]).unwrap(), 0, stdout: ANSWER, stderr: "");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 2);
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
    let told = "error: [SERVER] is not trusted: its certificate is for another host (localhost)\n  \
                check the URL in config.toml; if it is right, the server needs a certificate for its host\n";
    assert!(output.stderr.ends_with(told), "{output}");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 0);
}

#[test]
fn a_certificate_of_another_time_points_to_the_clock() {
    let sandbox = sandbox(Settings::default());
    for ((from, to), told) in
        [((2001, 2002), "its certificate expired "), ((2101, 2102), "its certificate is not valid before ")]
    {
        let authority = Authority::new().between(from, to);
        let front = Front::before(&sandbox, &authority, &["127.0.0.1"]);
        let mut nexus = home_at(&sandbox, &front.origin("127.0.0.1"));
        trust(&mut nexus, &authority);
        let output = nexus.run(&["doctor"]);
        assert!(output.stdout.contains(&format!("[SERVER] is not trusted: {told}")), "{output}");
        assert!(output.stdout.contains("\n  check this machine's clock with `date`; if it is right, "), "{output}");
    }
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
