use std::sync::OnceLock;

use nexus::sandbox::{Sandbox, Settings};

use crate::authority::Authority;
use crate::fleet::host;
use crate::nexus::{Nexus, Output, sandbox};
use crate::server::Server;

/// A server whose certificate is for `localhost`, of an authority that only these tests know, in PEM.
fn server() -> &'static (Server, String) {
    static SERVER: OnceLock<(Server, String)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let authority = Authority::new();
        let (certificate, key) = authority.certificate(&["localhost"]);
        (Server::with_tls(&certificate, &key), authority.pem().to_owned())
    })
}

/// The URL of a new database at this host, with these parameters.
fn url(host: &str, parameters: &str) -> String {
    let (server, _) = server();
    server.database().replace("127.0.0.1", host).replace("?sslmode=disable", parameters)
}

/// A home with the authorities `ca.pem` and `other.pem`. `[HOME]` in the URL is its folder.
fn home(sandbox: &Sandbox, url: &str) -> Nexus {
    let mut nexus = host(sandbox, "", "ada");
    nexus.write("ca.pem", &server().1, 0o600);
    nexus.write("other.pem", Authority::called("another office").pem(), 0o600);
    let url = url.replace("[HOME]", &nexus.home().to_string_lossy());
    nexus.set("NEXUS_STORE", &url);
    nexus
}

#[track_caller]
fn assert_refused(output: &Output, why: &str) {
    assert!(output.code == Some(2) && output.stderr.contains(why), "{why}: {output}");
}

#[test]
fn the_server_is_verified_by_its_authority_and_its_name() {
    let sandbox = sandbox(Settings::default());
    for parameters in ["?sslrootcert=[HOME]/ca.pem", "?sslmode=verify-full&sslrootcert=[HOME]/ca.pem"] {
        let direct = url("localhost", parameters);
        for url in [server().0.pooled(&direct), direct] {
            let nexus = home(&sandbox, &url);
            nexus.sign_in();
            nexus.run(&["oauth", "refresh", "--force"]).ok();
        }
    }
}

#[test]
fn a_server_that_cannot_be_verified_is_refused() {
    let sandbox = sandbox(Settings::default());
    for (at, parameters, why) in [
        ("127.0.0.1", "?sslrootcert=[HOME]/ca.pem", "the server is not trusted: "),
        ("localhost", "?sslrootcert=[HOME]/other.pem", "its certificate is from an unknown issuer"),
        ("localhost", "?sslrootcert=[HOME]/none.pem", "none.pem"),
        ("localhost", "", "its certificate is from an unknown issuer"),
        ("localhost", "?sslrootcert=system", "its certificate is from an unknown issuer"),
        ("localhost", "?sslmode=require&sslrootcert=[HOME]/ca.pem", "an `sslmode` that does not verify"),
        ("localhost", "?sslmode=verify-ca&sslrootcert=[HOME]/ca.pem", "an `sslmode` that does not verify"),
        ("localhost", "?sslmode=prefer", "an `sslmode` that does not verify"),
        ("db.example.com", "?sslmode=disable", "`sslmode=disable`, which is allowed on loopback and Unix sockets only"),
        // The server itself refuses connections without TLS.
        ("localhost", "?sslmode=disable", "the server refused the connection"),
    ] {
        let direct = url(at, parameters);
        for url in [server().0.pooled(&direct), direct.clone()] {
            let output = home(&sandbox, &url).run(&["oauth", "token"]);
            if parameters == "?sslmode=disable" && url != direct {
                assert_ne!(output.code, Some(0), "{output}");
            } else {
                assert_refused(&output, why);
            }
        }
    }
}

#[test]
fn the_system_authorities_are_used_without_sslrootcert() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = home(&sandbox, &url("localhost", ""));
    let authority = nexus.path("ca.pem").to_string_lossy().into_owned();
    nexus.set("SSL_CERT_FILE", &authority);
    nexus.sign_in();
}

#[test]
fn a_unix_socket_needs_no_tls() {
    let sandbox = sandbox(Settings::default());
    let url = server().0.over_socket(&server().0.database());
    for parameters in ["", "&sslmode=disable"] {
        home(&sandbox, &format!("{url}{parameters}")).sign_in();
    }
}
