//! Whatever else comes to the listener while somebody signs in: pages that guess, browsers that look
//! ahead, names that were rebound to this machine. Each is told no, under the headers that every
//! answer carries, and the sign-in goes on as if nothing had been.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nexus::Url;
use nexus::sandbox::Settings;

use super::Left::Replaced;
use super::{Ended, Row, every_row, signed_in, waiting};
use crate::nexus::{approve, visit};

/// What no answer may lack, whoever it is for.
const HEADERS: &[&str] = &[
    "content-security-policy: default-src 'none';",
    "cache-control: no-store",
    "referrer-policy: no-referrer",
    "x-content-type-options: nosniff",
    "x-frame-options: deny",
    "connection: close",
];

/// A request in which `{right}` stands for the path and query of the genuine answer, `{path}` for its
/// path, `{state}`, `{code}` and `{port}` for its parts.
const fn row(name: &'static str, does: &'static str, says: &'static str) -> Row<&'static str> {
    Row { name, does, says, code: 0, left: Replaced }
}

const HOST: &str = "this host is not served here";
const OTHER: &str = "This response belongs to another sign-in. It was ignored.";
const STATELESS: &str = "This response has no <code>state</code>. It was ignored.";
const TWICE: &str = "This response repeats a parameter. It was ignored.";
const NEITHER: &str = "This response has neither <code>code</code> nor <code>error</code>. It was ignored.";
const AHEAD: &str = "503 Service Unavailable";
const METHOD: &str = "405 Method Not Allowed";
const PATH: &str = "404 Not Found";

pub(super) const ROWS: &[Row<&str>] = &[
    row("a name that was rebound to this machine", "GET {right} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n", HOST),
    row(
        "a name that only begins like ours",
        "GET {right} HTTP/1.1\r\nHost: localhost.evil.example:{port}\r\n\r\n",
        HOST,
    ),
    row("our name, another port", "GET {right} HTTP/1.1\r\nHost: localhost:1\r\n\r\n", HOST),
    row("our name without a port", "GET {right} HTTP/1.1\r\nHost: localhost\r\n\r\n", HOST),
    row(
        "two hosts, the first one ours",
        "GET {right} HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.example:{port}\r\n\r\n",
        HOST,
    ),
    row("our host twice", "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n\r\n", HOST),
    row("no host", "GET {right} HTTP/1.1\r\n\r\n", HOST),
    row("no host, as HTTP/1.0 allows", "GET {right} HTTP/1.0\r\n\r\n", HOST),
    row(
        "another host in the request line",
        "GET http://evil.example:{port}{right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        HOST,
    ),
    row("a HEAD for the genuine answer", "HEAD {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", METHOD),
    row(
        "the genuine answer as a form that is posted",
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 13\r\n\r\ncode=c&state=",
        METHOD,
    ),
    row(
        "a page that asks whether it may",
        "OPTIONS {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\n\
         Access-Control-Request-Method: GET\r\nAccess-Control-Request-Private-Network: true\r\n\r\n",
        METHOD,
    ),
    row("a method nobody knows", "BREW {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", METHOD),
    row(
        "a browser that fetches ahead",
        "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Purpose: prefetch\r\n\r\n",
        AHEAD,
    ),
    row(
        "a browser that renders ahead",
        "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Purpose: prefetch;prerender\r\n\r\n",
        AHEAD,
    ),
    row(
        "an older browser that fetches ahead",
        "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nPurpose: prefetch\r\n\r\n",
        AHEAD,
    ),
    row("Firefox, fetching ahead", "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Moz: prefetch\r\n\r\n", AHEAD),
    row("Safari, drawing ahead", "GET {right} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Purpose: preview\r\n\r\n", AHEAD),
    row("the browser's own curiosity", "GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", PATH),
    row(
        "the genuine answer below the path",
        "GET {path}/?code={code}&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        PATH,
    ),
    row(
        "the genuine answer at the path in disguise",
        "GET /%63allback?code={code}&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        PATH,
    ),
    row(
        "the genuine answer at a path that leads back",
        "GET /x/..{path}?code={code}&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        PATH,
    ),
    row("the last page before its time", "GET {path}/done HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", PATH),
    row(
        "a forged code without a state",
        "GET {path}?code=forged HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        STATELESS,
    ),
    row(
        "a forged refusal without a state",
        "GET {path}?error=access_denied HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        STATELESS,
    ),
    row("nothing at all", "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", STATELESS),
    row(
        "a forged code with a state that was guessed",
        "GET {path}?code=forged&state=guessed HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        OTHER,
    ),
    row(
        "a forged refusal with a state that was guessed",
        "GET {path}?error=access_denied&state=guessed HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        OTHER,
    ),
    row(
        "a state that goes on",
        "GET {path}?code={code}&state={state}x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        OTHER,
    ),
    row("an empty state", "GET {path}?code={code}&state= HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", OTHER),
    row(
        "a script where the state should be",
        "GET {path}?code=c&state=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        OTHER,
    ),
    row(
        "a line break where the state should be",
        "GET {path}?code=c&state=%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
        OTHER,
    ),
    row("two codes", "GET {right}&code=forged HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", TWICE),
    row("two codes, one in disguise", "GET {right}&c%6fde=forged HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", TWICE),
    row("two states, both right", "GET {right}&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", TWICE),
    row("two refusals", "GET {path}?error=a&error=b&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", TWICE),
    row("a code and a refusal", "GET {right}&error=access_denied HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", NEITHER),
    row("a state and nothing else", "GET {path}?state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", NEITHER),
    row("an empty refusal", "GET {path}?error=&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", NEITHER),
    row("an empty code", "GET {path}?code=&state={state} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", NEITHER),
];

#[test]
fn no_request_ends_or_confuses_a_sign_in_but_the_answer_to_it() {
    every_row(ROWS, |row| {
        let (nexus, _sandbox) = signed_in(Settings::default(), "");
        let (started, url) = waiting(&nexus);
        let right = approve(&url);
        let said = asked(&right, row.does);
        let lower = said.to_ascii_lowercase();
        for header in HEADERS {
            assert!(lower.contains(&format!("\r\n{header}")), "{}: no {header} in {said}", row.name);
        }
        assert!(!lower.contains("<script") && !lower.contains("set-cookie"), "{}: {said}", row.name);
        assert_eq!(visit(&right).0, 200, "{}", row.name);
        Ended { code: started.finish().code, said, nexus }
    });
}

/// Sends a request to the listener that waits for this answer, and hears the whole reply.
fn asked(right: &str, request: &str) -> String {
    let url = Url::parse(right).unwrap();
    let part = |name: &str| url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    let port = url.port().unwrap();
    let request = [
        ("{right}", format!("{}?{}", url.path(), url.query().unwrap())),
        ("{path}", url.path().to_owned()),
        ("{state}", part("state")),
        ("{code}", part("code")),
        ("{port}", port.to_string()),
    ]
    .iter()
    .fold(request.to_owned(), |request, (name, value)| request.replace(name, value));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    String::from_utf8(heard).unwrap()
}
