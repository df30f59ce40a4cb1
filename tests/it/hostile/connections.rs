//! Connections to the listener that send nothing, send slowly, or send without end. The authorization response is
//! accepted all the same. Unit tests of the listener have more.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nexus::Url;
use nexus::sandbox::Settings;

use super::Left::Replaced;
use super::{Ended, Row, every_row, signed_in, waiting};
use crate::nexus::{approve, visit};

/// Opens connections to a port, and returns those that stay open.
type Does = fn(port: u16) -> Vec<TcpStream>;

/// Stays below the usual limit of 1024 open files.
const MANY: usize = 300;

const fn row(name: &'static str, does: Does) -> Row<Does> {
    Row { name, does, says: "Signed in as meanwhile@sandbox.example", code: 0, left: Replaced }
}

pub(super) const ROWS: &[Row<Does>] = &[
    row("many that send nothing", |port| (0..MANY).map(|_| opened(port, b"")).collect()),
    row("ten thousand that send something and close", |port| {
        let junk: [&[u8]; 4] = [b"", b"GET /", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\0\0\0\0"];
        (0..10_000).for_each(|turn| drop(opened(port, junk[turn % junk.len()])));
        Vec::new()
    }),
    row("many that send half a request", |port| (0..MANY).map(|_| opened(port, b"GET /callback?code=c&sta")).collect()),
    row("many that send a forged response and do not read", |port| {
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
    row("headers without end", |port| vec![endless(port, b"GET / HTTP/1.1\r\n", b"X-Field: 1\r\n")]),
    row("empty lines without end", |port| vec![endless(port, b"", b"\r\n")]),
    row("a thousand pipelined requests", |port| {
        let one = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        vec![opened(port, one.repeat(1_000).as_bytes())]
    }),
    row("one that closes before its response comes", |port| {
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
        // The connections stay open until the sign-in has ended.
        drop(open);
        Ended { message: output.stderr, code: output.code, nexus }
    });
}

/// A connection on which this was sent, as far as the other side read it.
fn opened(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _ = stream.write_all(bytes);
    stream
}

/// Sends `start`, then `more` again and again until the listener closes the connection.
fn endless(port: u16, start: &[u8], more: &[u8]) -> TcpStream {
    const ENOUGH: usize = 64 * 1024 * 1024;
    let mut stream = opened(port, start);
    let more = more.repeat(4_096);
    let mut sent = 0;
    while sent < ENOUGH && stream.write_all(&more).is_ok() {
        sent += more.len();
    }
    assert!(sent < ENOUGH, "the listener still reads");
    let _ = stream.read(&mut [0; 1]);
    stream
}
