//! A TLS server in front of a sandbox, with a certificate authority of its own.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, thread};

use nexus::sandbox::Sandbox;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A private certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// The years when what it issues begins and ends to be valid.
    years: Option<(i32, i32)>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::called("the office")
    }

    pub(crate) fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem, years: None }
    }

    /// Issues certificates that are valid from one new year to another.
    pub(crate) fn between(self, from: i32, to: i32) -> Self {
        Self { years: Some((from, to)), ..self }
    }

    /// Its certificate in PEM, for `SSL_CERT_FILE`.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names and its key, both in PEM.
    pub(crate) fn certificate(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.issue(names);
        (certificate.pem(), key.serialize_pem())
    }

    fn issue(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        if let Some((from, to)) = self.years {
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        }
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server with a certificate for these names.
    pub(crate) fn server(&self, names: &[&str]) -> rustls::ServerConfig {
        self.server_for(names, None)
    }

    /// A server that wants a client certificate of another authority; it is optional where `required` is false.
    pub(crate) fn server_for(&self, names: &[&str], clients: Option<(&Self, bool)>) -> rustls::ServerConfig {
        let (certificate, key) = self.issue(names);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((clients, required)) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

/// A server that answers every request with these bytes, and closes the connection without the end of TLS
/// (`close_notify`). Returns its origin.
pub(crate) fn without_close_notify(authority: &Authority, answer: &'static str) -> String {
    let config = Arc::new(authority.server(&["127.0.0.1"]));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            // Fails when the client goes away.
            let _ = answer_and_drop(rustls::StreamOwned::new(connection, client.unwrap()), answer);
        }
    });
    origin
}

fn answer_and_drop(
    mut client: rustls::StreamOwned<rustls::ServerConnection, std::net::TcpStream>,
    answer: &str,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    client.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    client.write_all(answer.as_bytes())?;
    client.flush()
}

/// Terminates TLS in front of a sandbox, until the test process ends.
pub(crate) struct Front {
    port: u16,
    /// How many connections came with a client certificate.
    presented: Arc<AtomicUsize>,
    /// How many connections came.
    accepted: Arc<AtomicUsize>,
}

impl Front {
    pub(crate) fn before(sandbox: &Sandbox, authority: &Authority, names: &[&str]) -> Self {
        Self::with(sandbox, authority.server(names))
    }

    pub(crate) fn with(sandbox: &Sandbox, tls: rustls::ServerConfig) -> Self {
        Self::start(sandbox, tls, false)
    }

    /// A server that closes the connection at once where the handshake fails, which may lose its alert.
    pub(crate) fn abrupt(sandbox: &Sandbox, tls: rustls::ServerConfig) -> Self {
        Self::start(sandbox, tls, true)
    }

    fn start(sandbox: &Sandbox, tls: rustls::ServerConfig, abrupt: bool) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let (presented, accepted): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (count, all) = (presented.clone(), accepted.clone());
        let behind = sandbox.origin().replace("http://", "");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    all.fetch_add(1, Ordering::SeqCst);
                    // Fails when a client goes away or does not trust the certificate.
                    tokio::spawn(pass_on(client, acceptor.clone(), behind.clone(), count.clone(), abrupt));
                }
            });
        });
        Self { port, presented, accepted }
    }

    pub(crate) fn presented(&self) -> usize {
        self.presented.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn origin(&self, name: &str) -> String {
        format!("https://{name}:{}", self.port)
    }
}

/// Forwards one request under the sandbox's own host name, then closes the connection.
async fn pass_on(
    client: TcpStream,
    acceptor: TlsAcceptor,
    behind: String,
    presented: Arc<AtomicUsize>,
    abrupt: bool,
) -> io::Result<()> {
    let mut client = match acceptor.accept(client).into_fallible().await {
        Ok(client) => client,
        Err((error, _)) if abrupt => return Err(error),
        Err((error, mut refused)) => {
            // The client may have sent its request already. Closing before it is read would lose the alert.
            refused.shutdown().await?;
            copy(&mut refused, &mut sink()).await?;
            return Err(error);
        }
    };
    if client.get_ref().1.peer_certificates().is_some() {
        presented.fetch_add(1, Ordering::SeqCst);
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let kept = head.trim_end().split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("host:"));
    let mut head: Vec<_> = kept.map(str::to_owned).collect();
    head.extend([format!("host: {behind}"), "connection: close\r\n\r\n".to_owned()]);
    let mut server = TcpStream::connect(&behind).await?;
    server.write_all(head.join("\r\n").as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
