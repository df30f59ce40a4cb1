//! A server that speaks HTTP/2 only, in front of a sandbox.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread;

use h2::server::SendResponse;
use hyper::body::Bytes;
use hyper::{Request, Response};
use nexus::sandbox::{Endpoint, Sandbox, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::Authority;
use super::{ANSWER, SIGNED_IN, assert_all_works, home_at, signed_in, trust};
use crate::nexus::sandbox;

type Stream = TlsStream<TcpStream>;

/// How the first request of a connection is refused (RFC 9113, section 8.7).
#[derive(Clone, Copy)]
enum Refusal {
    RefusedStream,
    GoAway,
}

/// An HTTP/2 server, until the test process ends.
struct Http2 {
    port: u16,
    /// The refusals of the next connections. The others are served.
    refusals: Arc<Mutex<VecDeque<Refusal>>>,
    /// How many requests were refused.
    refused: Arc<Mutex<usize>>,
}

impl Http2 {
    fn before(sandbox: &Sandbox, authority: &Authority) -> Self {
        let mut tls = authority.server(&["127.0.0.1"]);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let behind = sandbox.origin().replace("http://", "");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let (refusals, refused): (Arc<Mutex<VecDeque<_>>>, Arc<Mutex<usize>>) = Default::default();
        let server = Self { port, refusals: refusals.clone(), refused: refused.clone() };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, behind) = (acceptor.clone(), behind.clone());
                    let (refusals, refused) = (refusals.clone(), refused.clone());
                    tokio::spawn(async move {
                        let Ok(client) = acceptor.accept(client).await else { return };
                        let refusal = refusals.lock().unwrap().pop_front();
                        // Either fails when the client goes away.
                        let _ = match refusal {
                            Some(refusal) => refuse(client, refusal, &refused).await,
                            None => serve(client, behind).await.map_err(io::Error::other),
                        };
                    });
                }
            });
        });
        server
    }

    fn origin(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// Refuses every request of a connection, until the client closes it.
async fn refuse(mut client: Stream, refusal: Refusal, refused: &Mutex<usize>) -> io::Result<()> {
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    client.read_exact(&mut [0; PREFACE]).await?;
    // An empty SETTINGS frame.
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        client.read_exact(&mut vec![0; length as usize]).await?;
        if head[3] != HEADERS {
            continue;
        }
        *refused.lock().unwrap() += 1;
        match refusal {
            // RST_STREAM with REFUSED_STREAM.
            Refusal::RefusedStream => {
                let frame = [&[0, 0, 4, 3, 0], &head[5..9], &[0, 0, 0, 7]].concat();
                client.write_all(&frame).await?;
            }
            // No stream was processed, and NO_ERROR.
            Refusal::GoAway => client.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await?,
        }
        client.flush().await?;
    }
}

async fn serve(client: Stream, behind: String) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(client).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let behind = behind.clone();
        tokio::spawn(async move { pass_on(request, respond, &behind).await.unwrap() });
    }
    Ok(())
}

/// Forwards a request as HTTP/1.0, whose response ends with the connection.
async fn pass_on(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>, behind: &str) -> io::Result<()> {
    let (head, mut body) = request.into_parts();
    let mut content = Vec::new();
    while let Some(chunk) = body.data().await {
        content.extend_from_slice(&chunk.map_err(io::Error::other)?);
    }
    let target = head.uri.path_and_query().unwrap();
    let mut text = format!("{} {target} HTTP/1.0\r\nhost: {behind}\r\n", head.method);
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "content-length") {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += &format!("content-length: {}\r\n\r\n", content.len());
    let mut server = TcpStream::connect(behind).await?;
    server.write_all(&[text.as_bytes(), &content].concat()).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let mut response = Response::builder().status(lines.next().unwrap().split(' ').nth(1).unwrap());
    for line in lines.filter(|line| !line.starts_with("connection")) {
        let (name, value) = line.split_once(": ").unwrap();
        response = response.header(name, value);
    }
    let mut stream = respond.send_response(response.body(()).unwrap(), false).map_err(io::Error::other)?;
    stream.send_data(Bytes::copy_from_slice(&answer[end + 4..]), true).map_err(io::Error::other)
}

#[test]
fn a_server_that_speaks_http2_only_works() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let server = Http2::before(&sandbox, &authority);
    let mut nexus = home_at(&sandbox, &server.origin());
    trust(&mut nexus, &authority);
    assert_all_works(&nexus);
}

#[test]
fn a_request_that_an_http2_server_did_not_process_is_sent_again_and_a_token_request_is_not() {
    let sandbox = sandbox(Settings::default());
    let authority = Authority::new();
    let server = Http2::before(&sandbox, &authority);
    let mut nexus = home_at(&sandbox, &server.origin());
    trust(&mut nexus, &authority);
    assert_output!(signed_in(&nexus), 0, stdout: "", stderr: SIGNED_IN);
    let refused = |refusals: &[Refusal], words: &[&str]| {
        *server.refused.lock().unwrap() = 0;
        *server.refusals.lock().unwrap() = refusals.iter().copied().collect();
        let output = nexus.run(words);
        (output, std::mem::take(&mut *server.refused.lock().unwrap()))
    };
    for refusal in [Refusal::RefusedStream, Refusal::GoAway] {
        let (output, count) = refused(&[refusal], &["chat", "x", "--retries", "0"]);
        assert!(output.code == Some(75) && count == 1, "{count}: {output}");
        let reason = match refusal {
            Refusal::RefusedStream => "the server canceled the HTTP/2 request (REFUSED_STREAM)\n",
            Refusal::GoAway => "the server closed the HTTP/2 connection (NO_ERROR)\n",
        };
        assert!(output.stderr.contains(&format!("error: cannot reach [SERVER]: {reason}")), "{output}");
        // The other connections are served. This one refuses every stream.
        let (output, count) = refused(&[refusal], &["chat", "x", "--retries", "1"]);
        match refusal {
            Refusal::RefusedStream => assert!(output.code == Some(75) && count == 2, "{count}: {output}"),
            Refusal::GoAway => assert!(output.code == Some(0) && output.stdout == ANSWER && count == 1, "{output}"),
        }
        let asked = sandbox.requests_to(Endpoint::Token).len();
        let (output, count) = refused(&[refusal; 3], &["oauth", "token", "--min-ttl", "9h"]);
        assert!(output.stderr.starts_with("note: the token was not refreshed") && count == 1, "{count}: {output}");
        assert_eq!(sandbox.requests_to(Endpoint::Token).len(), asked);
        nexus.forget_failures();
    }
}
