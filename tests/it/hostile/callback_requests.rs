//! Requests to the listener that are not the authorization response: forged ones, prefetches, DNS rebinding. Each is
//! refused with the headers that every response carries, and the sign-in goes on. Unit tests of the listener have more.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nexus::Url;
use nexus::sandbox::Settings;

use super::Left::Replaced;
use super::{Ended, Row, every_row, signed_in, waiting};
use crate::nexus::{approve, visit};

const HEADERS: &[&str] = &[
    "content-security-policy: default-src 'none';",
    "cache-control: no-store",
    "referrer-policy: no-referrer",
    "x-content-type-options: nosniff",
    "x-frame-options: deny",
    "connection: close",
];

/// A method, a target and header lines.
type Request = (&'static str, &'static str, &'static str);

/// In a request `{right}` is the path and query of the real response, `{path}` its path; `{state}`, `{code}` and
/// `{port}` are its parts.
const fn row(name: &'static str, does: Request, says: &'static str) -> Row<Request> {
    Row { name, does, says, code: 0, left: Replaced }
}

const fn get(name: &'static str, target: &'static str, says: &'static str) -> Row<Request> {
    row(name, ("GET", target, OURS), says)
}

const OURS: &str = "Host: 127.0.0.1:{port}\r\n";
const PREFLIGHT: &str = "Host: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\n\
    Access-Control-Request-Method: GET\r\nAccess-Control-Request-Private-Network: true\r\n";

const FETCH: &str = "Host: 127.0.0.1:{port}\r\nAccept: text/html\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";
const WORKER: &str = "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: same-origin\r\n\
    Sec-Fetch-Dest: document\r\n";
const FRAME: &str = "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: iframe\r\n";
const OWN_PAGE: &str = "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\nSec-Fetch-User: ?1\r\n";
const PREFETCH: &str = "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\nSec-Purpose: prefetch\r\n";
const SHORT: &str = "/oauth/claude/authorize";

const NAVIGATE: &str = "only a browser's own navigation is served here";
const FORBIDDEN: &str = "403 Forbidden";
const HOST: &str = "this host is not served here";
const OTHER: &str = "This response belongs to another sign-in. It was ignored.";
const STATELESS: &str = "This response has no <code>state</code>. It was ignored.";
const TWICE: &str = "This response repeats a parameter. It was ignored.";
const NEITHER: &str = "This response has neither <code>code</code> nor <code>error</code>. It was ignored.";
const AHEAD: &str = "503 Service Unavailable";
const METHOD: &str = "405 Method Not Allowed";
const PATH: &str = "404 Not Found";

pub(super) const ROWS: &[Row<Request>] = &[
    row("DNS rebinding", ("GET", "{right}", "Host: evil.example:{port}\r\n"), HOST),
    row("no host", ("GET", "{right}", ""), HOST),
    row("another host in the request line", ("GET", "http://evil.example:{port}{right}", OURS), HOST),
    row("HEAD", ("HEAD", "{right}", OURS), METHOD),
    row("a form that is posted", ("POST", "{path}", "Host: 127.0.0.1:{port}\r\nContent-Length: 0\r\n"), METHOD),
    row("a CORS preflight", ("OPTIONS", "{right}", PREFLIGHT), METHOD),
    row("a prefetch", ("GET", "{right}", "Host: 127.0.0.1:{port}\r\nSec-Purpose: prefetch;prerender\r\n"), AHEAD),
    row("a fetch by a page of this origin", ("GET", "{right}", FETCH), NAVIGATE),
    row("a fetch by a service worker", ("GET", "{right}", WORKER), NAVIGATE),
    row("a frame", ("GET", "{right}", FRAME), NAVIGATE),
    row("a fetch of the short address", ("GET", SHORT, FETCH), NAVIGATE),
    row("a page of this origin that opens the short address", ("GET", SHORT, OWN_PAGE), FORBIDDEN),
    row("a prefetch with fetch metadata", ("GET", "{right}", PREFETCH), AHEAD),
    get("the icon", "/favicon.ico", PATH),
    get("a path below", "{path}/?code={code}&state={state}", PATH),
    get("a percent-encoded path", "/%63allback?code={code}&state={state}", PATH),
    get("a path with dots", "/x/..{path}?code={code}&state={state}", PATH),
    get("the last page too early", "{path}/done", PATH),
    get("a forged code without a state", "{path}?code=forged", STATELESS),
    get("a forged code with a guessed state", "{path}?code=forged&state=guessed", OTHER),
    get("a forged error with a guessed state", "{path}?error=access_denied&state=guessed", OTHER),
    get("a longer state", "{path}?code={code}&state={state}x", OTHER),
    get("a script as the state", "{path}?code=c&state=%3Cscript%3Ealert(1)%3C/script%3E", OTHER),
    get("a line break in the state", "{path}?code=c&state=%0d%0aSet-Cookie:%20a=b", OTHER),
    get("two codes, one percent-encoded", "{right}&c%6fde=forged", TWICE),
    get("two states, both right", "{right}&state={state}", TWICE),
    get("a code and an error", "{right}&error=access_denied", NEITHER),
    get("an empty error", "{path}?error=&state={state}", NEITHER),
    get("an empty code and an empty error", "{path}?code=&error=&state={state}", NEITHER),
    get("a code and an empty state", "{path}?code={code}&state=", STATELESS),
    get("a denial without a state", "{path}?error=access_denied", STATELESS),
];

#[test]
fn only_the_authorization_response_ends_a_sign_in() {
    every_row(ROWS, |row| {
        let (nexus, _sandbox) = signed_in(Settings::default(), "");
        let (started, url) = waiting(&nexus);
        let right = approve(&url);
        let message = asked(&right, row.does);
        let lower = message.to_ascii_lowercase();
        for header in HEADERS {
            assert!(lower.contains(&format!("\r\n{header}")), "{}: no {header} in {message}", row.name);
        }
        assert!(!lower.contains("<script") && !lower.contains("set-cookie"), "{}: {message}", row.name);
        assert_eq!(visit(&right).0, 200, "{}", row.name);
        Ended { code: started.finish().code, message, nexus }
    });
}

/// Sends a request to the listener that waits for this response, and returns the whole reply.
fn asked(right: &str, (method, target, headers): Request) -> String {
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
    .fold(format!("{method} {target} HTTP/1.1\r\n{headers}\r\n"), |request, (name, value)| {
        request.replace(name, value)
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    String::from_utf8(heard).unwrap()
}
