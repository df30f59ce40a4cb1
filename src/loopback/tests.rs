use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;

const GENUINE: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn bound(host: &str) -> Listener {
    Listener::bind(host, 0).await.expect("a free port")
}

/// Serves until the handle is dropped with the runtime; says "here" to everything.
fn serve(listener: Listener) -> u16 {
    let port = listener.port();
    let here = |_| async { Some(Response::new(Full::new(Bytes::from_static(b"here")))) };
    tokio::spawn(listener.serve(here, pending()));
    port
}

/// Sends bytes and reads until the other side hangs up.
async fn say(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    // A server that has had enough may hang up before the last byte.
    let _ = stream.write_all(bytes).await;
    response(stream).await
}

/// What hangs has failed.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("in time")
}

async fn response(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn localhost_is_both_families_on_one_port() {
    let listener = bound("localhost").await;
    let both = listener.v6.is_some();
    let port = serve(listener);
    for host in ["127.0.0.1", "::1"].iter().take(if both { 2 } else { 1 }) {
        let mut stream = TcpStream::connect((*host, port)).await.expect(host);
        stream.write_all(GENUINE.as_bytes()).await.expect("sends");
        let heard = response(stream).await;
        assert!(heard.starts_with("HTTP/1.1 200 OK"), "{host}: {heard}");
        assert!(heard.contains("connection: close"), "{heard}");
        assert!(heard.ends_with("here"), "{heard}");
    }
}

/// The port is not tried in the other family, where another program may listen on it.
#[tokio::test]
async fn a_literal_is_its_own_family_alone() {
    let address = |listener: &TcpListener| listener.local_addr().unwrap().ip();
    let listener = bound("127.0.0.1").await;
    assert!(listener.v6.is_none());
    assert_eq!(listener.v4.as_ref().map(address), Some(Ipv4Addr::LOCALHOST.into()));
    if let Ok(listener) = Listener::bind("[::1]", 0).await {
        assert!(listener.v4.is_none());
        assert_eq!(listener.v6.as_ref().map(address), Some(Ipv6Addr::LOCALHOST.into()));
    }
}

#[tokio::test]
async fn a_taken_port_is_named_in_either_family() {
    let listener = bound("localhost").await;
    let port = listener.port();
    let taken = |address: &str| Err(BindError::Taken(format!("{address}:{port}")));
    assert_eq!(Listener::bind("127.0.0.1", port).await.map(|_| ()), taken("127.0.0.1"));
    assert_eq!(Listener::bind("localhost", port).await.map(|_| ()), taken("127.0.0.1"));
    if listener.v6.is_some() {
        let Listener { v4, v6: _v6, .. } = listener;
        drop(v4);
        assert_eq!(Listener::bind("localhost", port).await.map(|_| ()), taken("[::1]"));
    }
}

#[test]
fn only_an_address_that_this_machine_does_not_have_is_left_out() {
    let address = Ipv6Addr::LOCALHOST.into();
    let missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
    assert!(is_missing_address(&missing));
    #[cfg(unix)]
    assert!(is_missing_address(&rustix::io::Errno::AFNOSUPPORT.into()));
    for kind in [io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied, io::ErrorKind::OutOfMemory] {
        assert!(!is_missing_address(&kind.into()), "{kind}");
    }
    let told = bind_error(address, 4000, io::ErrorKind::OutOfMemory.into());
    assert_eq!(told, BindError::Unusable("listening on [::1]:4000: out of memory".into()));
}

#[tokio::test]
async fn nothing_but_loopback_is_bound() {
    for host in ["0.0.0.0", "::", "[::]", "192.0.2.1", "example.com", "", "localhost.example.com", "127.0.0.1.nip.io"] {
        assert!(matches!(Listener::bind(host, 0).await, Err(BindError::Unusable(_))), "{host}");
    }
}

#[tokio::test]
async fn silent_connections_do_not_keep_out_one_that_speaks() {
    let port =
        serve(Listener { connections: 100, head_timeout: Duration::from_secs(3_600), ..bound("127.0.0.1").await });
    let mut silent = Vec::new();
    for _ in 0..250 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.expect("connects"));
    }
    assert!(in_time(say(port, GENUINE.as_bytes())).await.ends_with("here"));
    // The oldest had to go, and the newest are still there.
    let mut oldest = silent.remove(0);
    assert_eq!(in_time(oldest.read(&mut [0; 1])).await.unwrap_or(0), 0);
    let mut newest = silent.pop().expect("one left");
    newest.write_all(GENUINE.as_bytes()).await.expect("sends");
    assert!(in_time(response(newest)).await.ends_with("here"));
}

#[tokio::test]
async fn junk_does_not_kill_a_request_under_way() {
    let listener = Listener { connections: 100, ..bound("127.0.0.1").await };
    let port = listener.port();
    let (arrived, mut seen) = watch::channel(false);
    let (open, gate) = watch::channel(false);
    let (arrived, gate) = (Arc::new(arrived), Arc::new(gate));
    let held = move |_| {
        let (arrived, mut gate) = (arrived.clone(), (*gate).clone());
        async move {
            arrived.send_replace(true);
            gate.wait_for(|open| *open).await.ok()?;
            Some(Response::new(Full::new(Bytes::from_static(b"held"))))
        }
    };
    tokio::spawn(listener.serve(held, pending()));
    let genuine = tokio::spawn(async move { say(port, GENUINE.as_bytes()).await });
    seen.wait_for(|arrived| *arrived).await.expect("arrives");
    let mut junk = Vec::new();
    for turn in 0..250 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
        let _ = stream.write_all([&b"\x16\x03\x01\x02\x00"[..], b"GET /", b"\0\0\0\0"][turn % 3]).await;
        junk.push(stream);
    }
    open.send_replace(true);
    assert!(genuine.await.expect("ends").ends_with("held"));
}

#[tokio::test]
async fn who_sends_no_whole_head_in_time_is_dropped() {
    for start in ["", "GET /slow HTT", "GET /slow HTTP/1.1\r\nHost: loc"] {
        let mut listener = bound("127.0.0.1").await;
        listener.head_timeout = Duration::from_millis(50);
        let port = serve(listener);
        assert!(!in_time(say(port, start.as_bytes())).await.contains("here"), "{start:?}");
    }
}

#[tokio::test]
async fn heads_are_bounded_and_nonsense_is_refused_under_the_same_headers() {
    let port = serve(bound("127.0.0.1").await);
    let long = format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(2 * HEAD_BYTES));
    let wide = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Field: 1\r\n".repeat(200));
    for (bytes, status) in [
        (long.as_bytes(), "4"),
        (wide.as_bytes(), "431"),
        (many.as_bytes(), "431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"),
        (b"\xff\0\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", "400"),
        (b"GET / HTTP/9.1\r\n\r\n", "400"),
    ] {
        let heard = say(port, bytes).await;
        // With more still to come the kernel may take the answer back.
        if bytes.len() < HEAD_BYTES || !heard.is_empty() {
            assert!(heard.starts_with(&format!("HTTP/1.1 {status}")), "{heard}");
            assert!(heard.contains("\r\ncontent-security-policy: default-src 'none'; "), "{heard}");
            assert!(heard.contains("\r\ncache-control: no-store\r\n"), "{heard}");
            assert_eq!(heard.matches("connection: close\r\n").count(), 1, "{heard}");
            assert!(heard.ends_with("\r\n\r\n"), "{heard}");
        }
    }
    assert!(say(port, GENUINE.as_bytes()).await.ends_with("here"));
}

#[tokio::test]
async fn a_browser_full_of_other_programs_cookies_is_served() {
    let port = serve(bound("localhost").await);
    let cookies = format!("Cookie: {}\r\n", "c=1234567890; ".repeat(4_000));
    let heard = say(port, GENUINE.replace("\r\n\r\n", &format!("\r\n{cookies}\r\n")).as_bytes()).await;
    assert!(heard.ends_with("here"), "{heard}");
}

#[tokio::test]
async fn told_to_end_it_sends_what_is_under_way_and_closes() {
    let listener = bound("127.0.0.1").await;
    let port = listener.port();
    let (arrived, mut seen) = watch::channel(0);
    let arrived = Arc::new(arrived);
    let answer = move |_| {
        let arrived = arrived.clone();
        async move {
            arrived.send_modify(|count| *count += 1);
            tokio::task::yield_now().await;
            Some(Response::new(Full::new(Bytes::from_static(b"last words"))))
        }
    };
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let client = tokio::spawn(async move { say(port, GENUINE.as_bytes()).await });
    listener
        .serve(answer, async move {
            let _ = seen.wait_for(|count| *count == 1).await;
        })
        .await;
    assert!(client.await.expect("ends").ends_with("last words"));
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn no_answer_hangs_up() {
    let listener = bound("127.0.0.1").await;
    let port = listener.port();
    tokio::spawn(listener.serve(|_| async { None::<Response<Full<Bytes>>> }, pending()));
    assert_eq!(say(port, GENUINE.as_bytes()).await, "");
}

#[test]
fn only_names_of_this_machine_with_our_port_mean_us() {
    let asked = |target: &str, hosts: &[&str]| {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        is_for_this_host(&request.body(()).expect("a request"), 4000)
    };
    for host in ["localhost:4000", "LocalHost:4000", "127.0.0.1:4000", "127.0.0.2:4000", "[::1]:4000"] {
        assert!(asked("/", &[host]), "{host}");
    }
    for host in [
        "",
        ":4000",
        "localhost",
        "localhost:4001",
        "localhost:04000x",
        "127.0.0.1",
        "[::1]",
        "::1:4000",
        "evil.example:4000",
        "localhost.evil.example:4000",
        "evil.example",
        "0.0.0.0:4000",
        "127.0.0.1.evil.example:4000",
        "user@localhost:4000",
    ] {
        assert!(!asked("/", &[host]), "{host}");
    }
    assert!(!asked("/", &[]), "no host");
    assert!(!asked("/", &["localhost:4000", "localhost:4000"]), "two hosts");
    assert!(asked("http://127.0.0.1:4000/", &["localhost:4000"]));
    assert!(!asked("http://evil.example:4000/", &["localhost:4000"]));
    assert!(!asked("http://localhost:4000/", &["evil.example:4000"]));
}
