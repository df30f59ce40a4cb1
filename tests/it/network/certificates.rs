//! `ca_file`, `tls_cert_file` and `tls_key_file`.

use std::fs;

use nexus::sandbox::{Endpoint, Issuer, Sandbox, Settings};

use super::tls::{Authority, Front, without_close_notify};
use super::{ANSWER, SIGNED_IN, assert_all_works, signed_in, trust};
use crate::nexus::{Nexus, sandbox};

/// The lines of the provider's section that name the client certificate.
const CERTIFICATE: &str = "tls_cert_file = 'client.pem'\ntls_key_file = 'client.key'\n";

/// A home whose provider has these origins for tokens, revocation and the API, and more lines in its section.
fn home(sandbox: &Sandbox, [token, revoke, api]: [&str; 3], lines: &str) -> Nexus {
    let mut nexus = Nexus::new();
    nexus.name(token.split_once("://").unwrap().1, "[SERVER]");
    nexus.configure(&format!(
        "default = 'work'\n[provider.work]\nclient_id = 'sandbox-client'\n\
         redirect_uri = 'http://127.0.0.1:0/callback'\nauthorize_url = '{}'\ntoken_url = '{token}/token'\n\
         revoke_url = '{revoke}/revoke'\napi_url = '{api}'\n{lines}",
        sandbox.url(Endpoint::Authorize),
    ));
    nexus
}

fn home_at(sandbox: &Sandbox, front: &Front, lines: &str) -> Nexus {
    let origin = front.origin("127.0.0.1");
    home(sandbox, [&origin; 3], lines)
}

/// Writes a client certificate and its key.
fn write_client(nexus: &Nexus, (certificate, key): &(String, String)) {
    nexus.write("client.pem", certificate, 0o644);
    nexus.write("client.key", key, 0o600);
}

#[test]
fn ca_file_replaces_the_authorities_of_the_system() {
    let sandbox = sandbox(Settings::default());
    let (authority, stranger) = (Authority::new(), Authority::called("a stranger"));
    let front = Front::before(&sandbox, &authority, &["127.0.0.1"]);
    let absolute = tempfile::tempdir().unwrap();
    fs::write(absolute.path().join("ca.pem"), authority.pem()).unwrap();
    let absolute = absolute.path().join("ca.pem").display().to_string();
    for path in ["ca.pem", "./ca.pem", "~/ca.pem", &absolute] {
        let mut nexus = home_at(&sandbox, &front, &format!("ca_file = '{path}'\n"));
        nexus.set("HOME", &nexus.home().display().to_string());
        // A bundle, with text between the certificates.
        nexus.write("ca.pem", &format!("# ours\n{}\n# theirs\n{}", authority.pem(), stranger.pem()), 0o644);
        trust(&mut nexus, &stranger);
        assert_all_works(&nexus);
    }
    let mut nexus = home_at(&sandbox, &front, "ca_file = 'ca.pem'\n");
    nexus.write("ca.pem", stranger.pem(), 0o644);
    trust(&mut nexus, &authority);
    let output = signed_in(&nexus);
    assert!(output.code == Some(1) && output.stderr.contains("unknown certificate authority"), "{output}");
    assert!(output.stderr.contains("`ca_file`"), "the hint names the key: {output}");
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_it() {
    let sandbox = sandbox(Settings::default());
    let (authority, clients) = (Authority::new(), Authority::called("clients"));
    let front = Front::with(&sandbox, authority.server_for(&["127.0.0.1"], Some((&clients, true))));
    let mut nexus = home_at(&sandbox, &front, CERTIFICATE);
    trust(&mut nexus, &authority);
    let (certificate, key) = clients.certificate(&["client"]);
    write_client(&nexus, &(certificate.clone(), key.clone()));
    assert_all_works(&nexus);
    assert!(front.presented() >= 5);

    // As with curl, one file may hold both.
    let mut nexus = home_at(&sandbox, &front, "tls_cert_file = 'client.pem'\n");
    trust(&mut nexus, &authority);
    nexus.write("client.pem", &(certificate + &key), 0o600);
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
}

#[test]
fn a_server_that_wants_another_client_certificate_is_a_configuration_error() {
    let sandbox = sandbox(Settings::default());
    let (authority, clients, stranger) = (Authority::new(), Authority::called("clients"), Authority::called("others"));
    let front = Front::with(&sandbox, authority.server_for(&["127.0.0.1"], Some((&clients, true))));
    for (lines, sentence, hint) in [
        ("", "wants a client certificate", "set `tls_cert_file` and `tls_key_file` of the provider"),
        (CERTIFICATE, "refused the client certificate: ", "renew the certificate in `tls_cert_file`"),
    ] {
        let mut nexus = home_at(&sandbox, &front, lines);
        trust(&mut nexus, &authority);
        write_client(&nexus, &stranger.certificate(&["client"]));
        let output = signed_in(&nexus);
        assert!(output.stderr.starts_with(&format!("error: [SERVER] {sentence}")), "{output}");
        assert!(output.stderr.contains(&format!("\n  {hint}")) && output.code == Some(2), "{output}");
        assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 0);
    }
}

#[test]
fn a_missing_client_certificate_is_told_however_the_connection_ends() {
    let sandbox = sandbox(Settings::default());
    let (authority, clients) = (Authority::new(), Authority::called("clients"));
    for (protocols, abrupt) in
        [(vec![], false), (vec![], true), (vec![b"h2".to_vec()], false), (vec![b"h2".to_vec()], true)]
    {
        let mut tls = authority.server_for(&["127.0.0.1"], Some((&clients, true)));
        tls.alpn_protocols.clone_from(&protocols);
        let front = if abrupt { Front::abrupt(&sandbox, tls) } else { Front::with(&sandbox, tls) };
        let expected =
            "error: [SERVER] wants a client certificate\n  set `tls_cert_file` and `tls_key_file` of the provider";
        let mut nexus = home_at(&sandbox, &front, "");
        trust(&mut nexus, &authority);
        let output = signed_in(&nexus);
        assert!(output.code == Some(2) && output.stderr.starts_with(expected), "{protocols:?} {abrupt}: {output}");

        let (plain, far) = (sandbox.origin(), front.origin("127.0.0.1"));
        let mut nexus = home(&sandbox, [&plain, &plain, &far], "model = 'm'\n");
        nexus.name(&far.replace("https://", ""), "[SERVER]");
        trust(&mut nexus, &authority);
        nexus.sign_in();
        let output = nexus.run(&["chat", "x"]);
        assert!(output.code == Some(2) && output.stderr.starts_with(expected), "{protocols:?} {abrupt}: {output}");
    }
}

#[test]
fn a_token_counts_without_the_end_of_tls_and_nothing_is_reported_plainly() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let whole = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\
                 {\"access_token\":\"a\",\"email\":\"ada\",\"expires_in\":3600}";
    for (answer, code, expected) in [
        (whole, 0, "Signed in as ada, token expires in 60 minutes\n"),
        (
            "",
            75,
            "error: the authorization code could not be exchanged: [SERVER] sent no usable response (the connection was \
             closed without a TLS close_notify)\n",
        ),
    ] {
        let origin = without_close_notify(&authority, answer);
        let mut nexus = home(&sandbox, [&origin; 3], "model = 'm'\n");
        trust(&mut nexus, &authority);
        let output = signed_in(&nexus);
        assert!(output.code == Some(code) && output.stderr.starts_with(expected), "{output}");
    }
}

#[test]
fn certificates_and_keys_may_begin_with_a_byte_order_mark() {
    let sandbox = sandbox(Settings::default());
    let (authority, clients) = (Authority::new(), Authority::called("clients"));
    let front = Front::with(&sandbox, authority.server_for(&["127.0.0.1"], Some((&clients, true))));
    let nexus = home_at(&sandbox, &front, &format!("ca_file = 'ca.pem'\n{CERTIFICATE}"));
    let marked = |text: &str| format!("\u{feff}{text}");
    nexus.write("ca.pem", &marked(authority.pem()), 0o644);
    let (certificate, key) = clients.certificate(&["client"]);
    write_client(&nexus, &(marked(&certificate), marked(&key)));
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
}

#[test]
fn the_client_certificate_is_presented_to_the_origins_of_the_token_endpoint_and_the_api_only() {
    let sandbox = sandbox(Settings { issuer: Issuer::Absent, ..Settings::default() });
    let (authority, clients) = (Authority::new(), Authority::called("clients"));
    let front = || Front::with(&sandbox, authority.server_for(&["127.0.0.1"], Some((&clients, false))));
    let (token, revoke, api) = (front(), front(), front());
    let origins = [&token, &revoke, &api].map(|front| front.origin("127.0.0.1"));
    // The issuer is asked for nothing, because the endpoints are configured.
    let lines = format!("issuer = '{}'\n{CERTIFICATE}", origins[1]);
    let mut nexus = home(&sandbox, origins.each_ref().map(|origin| &**origin), &lines);
    trust(&mut nexus, &authority);
    write_client(&nexus, &clients.certificate(&["client"]));
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
    assert_output!(nexus.run(&["chat", "x"]), 0, stdout: ANSWER, stderr: "");
    let output = nexus.run(&["oauth", "logout"]);
    assert!(output.code == Some(0) && output.stderr.starts_with("Revoked"), "{output}");
    assert!(token.presented() > 0 && api.presented() > 0);
    assert_eq!((revoke.accepted() > 0, revoke.presented()), (true, 0));
}

/// Names and contents.
type Files<'a> = &'a [(&'a str, &'a str)];

#[test]
fn unusable_files_are_named_with_their_key() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(&["client"]);
    let (_, other_key) = authority.certificate(&["client"]);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
                         -----END RSA PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let table: &[(&str, Files<'_>, &str)] = &[
        (
            "ca_file = 'none.pem'",
            &[],
            "ca_file` in [HOME]/config.toml, line 5, points to [HOME]/none.pem, which cannot be read",
        ),
        ("ca_file = '.'", &[], "ca_file` in [HOME]/config.toml, line 5, points to [HOME]/., which cannot be read"),
        ("ca_file = 'a.pem'", &[("a.pem", "")], "[HOME]/a.pem, which contains no certificate"),
        ("ca_file = 'a.pem'", &[("a.pem", "hello")], "[HOME]/a.pem, which contains no certificate"),
        ("ca_file = 'a.pem'", &[("a.pem", &key)], "[HOME]/a.pem, which contains no certificate"),
        ("ca_file = 'a.pem'", &[("a.pem", broken)], "[HOME]/a.pem, which contains "),
        (
            CERTIFICATE,
            &[("client.key", &key)],
            "tls_cert_file` in [HOME]/config.toml, line 5, points to [HOME]/client.pem",
        ),
        (
            CERTIFICATE,
            &[("client.pem", &certificate)],
            "tls_key_file` in [HOME]/config.toml, line 6, points to [HOME]/client.key",
        ),
        (
            CERTIFICATE,
            &[("client.pem", &key), ("client.key", &key)],
            "[HOME]/client.pem, which contains no certificate",
        ),
        (
            CERTIFICATE,
            &[("client.pem", &certificate), ("client.key", &certificate)],
            "[HOME]/client.key, which contains no private key",
        ),
        (
            CERTIFICATE,
            &[("client.pem", &certificate), ("client.key", &other_key)],
            "[HOME]/client.key, which contains a private key that does not belong to the certificate",
        ),
        (
            CERTIFICATE,
            &[("client.pem", &certificate), ("client.key", &encrypted)],
            "[HOME]/client.key, which contains an encrypted private key, which is not supported",
        ),
        (
            CERTIFICATE,
            &[("client.pem", &certificate), ("client.key", old_encrypted)],
            "[HOME]/client.key, which contains an encrypted private key, which is not supported",
        ),
        (
            "tls_cert_file = 'client.pem'",
            &[("client.pem", &certificate)],
            "[HOME]/client.pem, which contains no private key",
        ),
        ("tls_key_file = 'client.key'", &[("client.key", &key)], "requires `tls_cert_file`"),
    ];
    for (lines, files, sentence) in table {
        let nexus = Nexus::new();
        nexus.configure(&format!(
            "default = 'work'\n[provider.work]\nclient_id = 'c'\napi_url = 'https://llm.example.com'\n{lines}\n\
             authorize_url = 'https://id.example.com/a'\ntoken_url = 'https://id.example.com/t'\n"
        ));
        for (name, text) in *files {
            nexus.write(name, text, 0o600);
        }
        let output = nexus.run(&["chat", "x"]);
        assert!(output.code == Some(2) && output.stderr.contains(sentence), "{lines}: {output}");
        assert!(output.stderr.lines().count() == 2, "a sentence and a hint: {output}");
    }
}

/// The parser's own message quotes what it did not understand, as a list of bytes.
#[test]
fn a_key_that_lost_its_line_breaks_is_in_no_message() {
    const WHY: &str = "a line with `-----BEGIN` or `-----END` has other text in it, or is missing";
    let sandbox = sandbox(Settings::default());
    let front = Front::before(&sandbox, &Authority::new(), &["127.0.0.1"]);
    let (certificate, key) = Authority::new().certificate(&["client"]);
    let half = &key[..key.len() / 2];
    let [spaced, joined, escaped] = [" ", "", "\\n"].map(|between| key.replace('\n', between));
    for text in [&spaced, &joined, &escaped, half] {
        let unusable = |lines: &str| {
            let nexus = home_at(&sandbox, &front, lines);
            write_client(&nexus, &(certificate.clone(), text.to_owned()));
            match lines {
                "" => {
                    let mut nexus = nexus;
                    nexus.set("SSL_CERT_FILE", &nexus.path("client.key").to_string_lossy());
                    signed_in(&nexus)
                }
                _ => nexus.run(&["oauth", "start"]),
            }
        };
        let file = |key: &str, line: u32, file: &str, what: &str, hint: &str| {
            format!(
                "error: `provider.work.{key}` in [HOME]/config.toml, line {line}, points to [HOME]/{file}, which contains \
                 {what} that cannot be used: {WHY}\n  set it to a file with {hint} in PEM\n"
            )
        };
        let told = file("tls_key_file", 10, "client.key", "a private key", "the private key");
        assert_output!(unusable(CERTIFICATE), 2, stdout: "", stderr: told);
        let told = file("ca_file", 9, "client.key", "a certificate", "certificates");
        assert_output!(unusable("ca_file = 'client.key'\n"), 2, stdout: "", stderr: told);
        let output = unusable("");
        assert!(output.code == Some(1) && output.stderr.contains("no CA certificates"), "{output}");
        assert!(output.stderr.contains(WHY), "{output}");
    }
}
