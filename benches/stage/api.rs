//! A Messages endpoint that answers each question with the same stream, as fast as it is read.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, anyhow};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The endpoint, on a thread of its own.
pub(crate) struct Api {
    pub(crate) origin: String,
    /// The last question, as received.
    asked: Arc<Mutex<String>>,
    /// While this is locked, answers wait before their last event.
    pub(crate) gate: Arc<Mutex<()>>,
}

/// An answer: how many bytes the event of one delta has, and how often it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) event_length: usize,
    pub(crate) events: usize,
}

impl Script {
    /// The shortest answer, so that the client dominates the measured time.
    pub(crate) const SHORT: Self = Self { event_length: 0, events: 1 };
}

impl Api {
    /// An endpoint over http.
    pub(crate) fn start(script: Script) -> Result<Self> {
        Self::serve(script, "http", Ok)
    }

    /// An endpoint over https. Writes the system's certificates and its own authority's into `bundle`.
    pub(crate) fn start_tls(script: Script, bundle: &Path) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With the name of the certificates that it signs, OpenSSL would take them for self-signed.
        authority.distinguished_name.push(DnType::CommonName, "benchmark authority");
        let own = authority.self_signed(&key)?.pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!("the key: {error}"))?;
        let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], key)?;
        let system = "/etc/ssl/certs/ca-certificates.crt";
        let system = std::fs::read_to_string(system).with_context(|| format!("the system's certificates, {system}"))?;
        std::fs::write(bundle, system + &own)?;
        let config = Arc::new(config);
        Self::serve(script, "https", move |connection| {
            let session = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Ok(StreamOwned::new(session, connection))
        })
    }

    fn serve<S: Read + Write>(
        script: Script,
        scheme: &str,
        accept: impl Fn(TcpStream) -> io::Result<S> + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = format!("{scheme}://{}", listener.local_addr()?);
        let (asked, gate) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<()>>::default());
        let (heard, closed) = (asked.clone(), gate.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A lost connection shows in the client's exit code.
                let _ = accept(connection).and_then(|stream| answer(stream, script, &heard, &closed));
            }
        });
        Ok(Self { origin, asked, gate })
    }

    /// curl's arguments for the last question, without its output.
    pub(crate) fn curl(&self) -> Result<Vec<String>> {
        let asked = self.asked.lock().map_err(|_| anyhow!("the API is gone"))?.clone();
        let (head, body) = asked.split_once("\r\n\r\n").context("nexus chat sent no request")?;
        let own = |header: &&str| !["host:", "content-length:"].iter().any(|name| header.starts_with(name));
        let headers = head.lines().skip(1).filter(own).flat_map(|header| ["-H".to_owned(), header.to_owned()]);
        let mut words: Vec<String> = ["-qsSN", "-X", "POST"].map(String::from).into();
        words.extend(headers);
        words.extend(["--data-binary".to_owned(), body.to_owned(), format!("{}/v1/messages", self.origin)]);
        Ok(words)
    }
}

/// The event of one delta, with as much text as makes it this long.
fn delta(length: usize) -> String {
    let event = |text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        )
    };
    let text = length.saturating_sub(event("").len());
    event(&"Hello. ".repeat(text / 7 + 1)[..text.max(6)])
}

fn answer<S: Read + Write>(stream: S, script: Script, heard: &Mutex<String>, gate: &Mutex<()>) -> io::Result<()> {
    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":\
        {\"type\":\"text\",\"text\":\"\"}}\n\n";
    const END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    /// How many bytes are written at once.
    const PIECE: usize = 64 * 1024;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while reader.read_line(&mut head)? > 2 {
        let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        length = line.strip_prefix("content-length:").and_then(|length| length.trim().parse().ok()).unwrap_or(length);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let stream = reader.get_mut();
    if head.starts_with("GET ") {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if let Ok(mut heard) = heard.lock() {
        *heard = head + &String::from_utf8_lossy(&body);
    }
    let delta = delta(script.event_length);
    let length = START.len() + delta.len() * script.events + END.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let at_once = (PIECE / delta.len()).max(1);
    let piece = delta.repeat(at_once);
    let (pieces, rest) = (script.events / at_once, script.events % at_once);
    // A short answer is written at once.
    let mut next = (head + START).into_bytes();
    if pieces > 0 {
        stream.write_all(&std::mem::take(&mut next))?;
    }
    for _ in 0..pieces {
        stream.write_all(piece.as_bytes())?;
    }
    next.extend(delta.repeat(rest).as_bytes());
    if gate.try_lock().is_err() {
        stream.write_all(&std::mem::take(&mut next))?;
        stream.flush()?;
        drop(gate.lock());
    }
    next.extend(END.as_bytes());
    stream.write_all(&next)?;
    stream.flush()
}
