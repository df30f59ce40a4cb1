//! What a program or a page on this machine can do to the listener without ever asking for anything:
//! say nothing, say it slowly, say it endlessly, say something else. Whatever it does, the genuine
//! answer that comes after it, and beside it, is taken.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use nexus::Url;
use nexus::sandbox::Settings;

use super::Left::Replaced;
use super::{Ended, Row, every_row, signed_in, waiting};
use crate::nexus::{approve, visit};

/// Does something to a port, and gives back what is still open.
type Does = fn(port: u16) -> Vec<TcpStream>;

/// As many connections as a program may hold that is allowed 1024 open files and is not alone.
const MANY: usize = 300;

const fn row(name: &'static str, does: Does) -> Row<Does> {
    Row { name, does, says: "Signed in as meanwhile@sandbox.example", code: 0, left: Replaced }
}

pub(super) const ROWS: &[Row<Does>] = &[
    row("many that say nothing", |port| (0..MANY).map(|_| connect(port)).collect()),
    row("ten thousand that come, say something and go", |port| {
        let junk: [&[u8]; 4] = [b"", b"GET /", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\0\0\0\0"];
        (0..10_000).for_each(|turn| drop(opened(port, junk[turn % junk.len()])));
        Vec::new()
    }),
    row("ten thousand of which the newest stay", |port| {
        let mut open = std::collections::VecDeque::new();
        for _ in 0..10_000 {
            open.push_back(opened(port, b"G"));
            if open.len() > MANY {
                open.pop_front();
            }
        }
        open.into()
    }),
    row("many that are slow with their request", |port| {
        (0..MANY).map(|_| opened(port, b"GET /callback?code=c&sta")).collect()
    }),
    row("many that are slow with their last line", |port| {
        (0..MANY).map(|_| opened(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")).collect()
    }),
    row("many that forge an answer and do not listen", |port| {
        let forged = format!("GET /callback?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        (0..MANY).map(|_| opened(port, forged.as_bytes())).collect()
    }),
    row("many that send a body without end", |port| {
        let begun = format!(
            "POST /callback HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 99999999999\r\n\r\n{}",
            "x".repeat(4_096)
        );
        (0..MANY).map(|_| opened(port, begun.as_bytes())).collect()
    }),
    row("many that send chunks that are none", |port| {
        let begun = format!(
            "POST /callback HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"
        );
        (0..MANY).map(|_| opened(port, begun.as_bytes())).collect()
    }),
    row("a request line without end", |port| vec![endless(port, b"GET /", b"x")]),
    row("a header without end", |port| vec![endless(port, b"GET / HTTP/1.1\r\nX-Long: ", b"x")]),
    row("headers without end", |port| vec![endless(port, b"GET / HTTP/1.1\r\n", b"X-Field: 1\r\n")]),
    row("empty lines without end", |port| vec![endless(port, b"", b"\r\n")]),
    row("zeros without end", |port| vec![endless(port, b"", b"\0")]),
    row("every byte there is", |port| {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        vec![opened(port, &[&bytes[..], b"\r\n\r\n"].concat())]
    }),
    row("TLS", |port| vec![opened(port, b"\x16\x03\x01\0\xf4\x01\0\0\xf0\x03\x03\r\n\r\n")]),
    row("HTTP/2 by prior knowledge", |port| {
        vec![opened(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")]
    }),
    row("HTTP/0.9", |port| vec![opened(port, b"GET /callback\r\n\r\n")]),
    row("a request for another protocol", |port| {
        let upgrade = format!(
            "GET /callback HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        vec![opened(port, upgrade.as_bytes())]
    }),
    row("a thousand requests at once on one connection", |port| {
        let one = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        vec![opened(port, one.repeat(1_000).as_bytes())]
    }),
    row("two lengths for one body", |port| {
        let smuggled = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nGET / HTTP/1.1"
        );
        vec![opened(port, smuggled.as_bytes())]
    }),
    row("one that hangs up in the middle of its request", |port| {
        let stream = opened(port, b"GET /callback?code=");
        stream.shutdown(Shutdown::Write).unwrap();
        vec![stream]
    }),
    row("one that hangs up before its answer comes", |port| {
        let asks = format!("GET /callback HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        drop(opened(port, asks.as_bytes()));
        Vec::new()
    }),
];

#[test]
fn no_connection_delays_or_ends_a_sign_in() {
    every_row(ROWS, |row| {
        let (nexus, _sandbox) = signed_in(Settings::default(), "");
        let (started, url) = waiting(&nexus);
        let right = approve(&url);
        let open = (row.does)(Url::parse(&right).unwrap().port().unwrap());
        assert_eq!(visit(&right).0, 200, "{}", row.name);
        let output = started.finish();
        // Until here whatever was left open stayed open: it did not have to go for the answer to come.
        drop(open);
        Ended { said: output.stderr, code: output.code, nexus }
    });
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// A connection on which this was sent, as far as the other side took it.
fn opened(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(port);
    let _ = stream.write_all(bytes);
    stream
}

/// Sends this, and then the other thing until nobody takes it any more.
fn endless(port: u16, start: &[u8], more: &[u8]) -> TcpStream {
    const ENOUGH: usize = 64 * 1024 * 1024;
    let mut stream = opened(port, start);
    let more = more.repeat(4_096);
    let mut sent = 0;
    while sent < ENOUGH && stream.write_all(&more).is_ok() {
        sent += more.len();
    }
    assert!(sent < ENOUGH, "it is still listening");
    let _ = stream.read(&mut [0; 1]);
    stream
}
