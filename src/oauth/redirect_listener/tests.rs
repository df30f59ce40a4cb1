use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::provider::{ClientAuth, OAuthClient};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml\r\n";
const NAVIGATION: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
const LONG: Duration = Duration::from_secs(60);

fn provider(redirect_uri: &str) -> ProviderConfig {
    let mut provider = ProviderConfig::named("work");
    provider.redirect_uri = redirect_uri.into();
    provider.authorize_url = Url::parse("http://127.0.0.1:1/authorize").ok();
    provider.token_url = Url::parse("http://127.0.0.1:1/token").ok();
    let id = "client".into();
    provider.client = Some(OAuthClient { id, secret: None, auth: ClientAuth::None, assertion: None });
    provider
}

/// A listener and a request that goes through it.
async fn begun(redirect_uri: &str) -> (RedirectListener, AuthorizationRequest) {
    let provider = provider(redirect_uri);
    let listener = RedirectListener::bind(&provider).await.expect("a free port");
    let request = AuthorizationRequest::begin(&provider, listener.redirect_uri()).expect("begins");
    (listener, request)
}

#[derive(Debug)]
struct Got {
    status: u16,
    /// In lower case.
    head: String,
    location: String,
    body: String,
}

/// Sends one request and hears the whole answer.
async fn send(port: u16, request: &str) -> Got {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("hears");
    let (head, body) = heard.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default().into();
    Got { status, head: head.to_ascii_lowercase(), location, body: body.into() }
}

async fn get(port: u16, target: &str, headers: &str) -> Got {
    send(port, &format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}\r\n")).await
}

fn query(request: &AuthorizationRequest, rest: &str) -> String {
    format!("/callback?state={}&{rest}", request.state())
}

fn failed(error: &SignInError) -> Outcome {
    Outcome::Failed { message: error.to_string(), next_step: "run `nexus oauth start --provider work` again".into() }
}

fn done() -> Outcome {
    Outcome::SignedIn { account: Some("<Ada> & co".into()) }
}

#[tokio::test]
async fn what_does_not_answer_this_attempt_is_turned_away_and_the_wait_goes_on() {
    let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
    let port = listener.shared.port;
    let right = query(&request, "code=c");
    let twice = query(&request, "code=c&code=d");
    let host = format!("Host: localhost:{port}\r\n");
    let evil = format!("Host: evil.example:{port}\r\n");
    let asked = |method: &str, target: &str, headers: &str| format!("{method} {target} HTTP/1.1\r\n{headers}\r\n");
    let with = |header: &str| asked("GET", &right, &format!("{host}{header}\r\n"));
    let table = [
        // No code is taken from a request that does not mean this machine.
        (asked("GET", &right, &evil), 421),
        (asked("GET", &right, &format!("{host}{evil}")), 421),
        (asked("GET", &right, "Host: localhost\r\n"), 421),
        (asked("GET", &right, ""), 421),
        // Nor from any method but GET.
        (asked("HEAD", &right, &host), 405),
        (asked("POST", &right, &host), 405),
        (asked("OPTIONS", &right, &host), 405),
        (asked("PUT", "/oauth/claude/authorize", &host), 405),
        // Nor from a browser that looks ahead.
        (with("Sec-Purpose: prefetch;prerender"), 503),
        (with("Purpose: prefetch"), 503),
        (with("X-Moz: prefetch"), 503),
        (with("X-Purpose: preview"), 503),
        // Nor from a page's or a service worker's fetch, or a frame.
        (with("Sec-Fetch-Mode: cors"), 403),
        (with("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: same-origin\r\nSec-Fetch-Dest: empty"), 403),
        (with("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe"), 403),
        (with("Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: document"), 403),
        (with("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: document"), 403),
        (with("Sec-Fetch-User: ?1"), 403),
        (with("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Purpose: prefetch"), 503),
        // Nor at any other path.
        (asked("GET", "/favicon.ico", &host), 404),
        (asked("GET", "/", &host), 404),
        (asked("GET", &right.replace("/callback", "/callback/"), &host), 404),
        (asked("GET", &right.replace("/callback", "/Callback"), &host), 404),
        (asked("GET", "/callback/done", &host), 404),
        // What comes to the right place is judged, and counted.
        (asked("GET", "/callback", &host), 400),
        (asked("GET", "/callback?code=c&state=wrong", &host), 400),
        (asked("GET", "/callback?error=access_denied", &host), 400),
        (asked("GET", "/callback?code=c&state=%3Cscript%3E", &host), 400),
        // What says nothing clear has no wrong state, and is not counted as if it had.
        (asked("GET", &twice, &host), 400),
        (asked("GET", &query(&request, "x=y"), &host), 400),
    ];
    let judged = table.iter().filter(|(_, status)| *status == 400).count() - 2;
    let client = async {
        for (request, status) in &table {
            let got = send(port, request).await;
            assert_eq!(got.status, *status, "{request}");
            assert_headers(&got);
            assert!(!got.body.contains("<script"), "{request}: {}", got.body);
            assert!(*status != 405 || got.head.contains("\r\nallow: get\r\n"), "{request}: {}", got.head);
        }
    };
    // Ends with the table: a wait that ended before would have been ended by one of its rows.
    tokio::select! {
        biased;
        ended = listener.wait(&request, LONG) => panic!("ended with {ended:?}"),
        () = client => {}
    }
    match listener.wait(&request, Duration::ZERO).await {
        Err(SignInError::TimedOut { turned_away, provider, client_id, redirect_uri, .. }) => {
            assert_eq!((turned_away as usize, &*provider, client_id.as_str()), (judged, "work", "client"));
            assert_eq!(redirect_uri, listener.redirect_uri());
        }
        other => panic!("{other:?}"),
    }
}

fn assert_headers(got: &Got) {
    for field in [
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n",
        "cache-control: no-store\r\n",
        "referrer-policy: no-referrer\r\n",
        "x-content-type-options: nosniff\r\n",
        "x-frame-options: deny\r\n",
        "cross-origin-opener-policy: same-origin\r\n",
        "connection: close\r\n",
    ] {
        assert!(format!("{}\r\n", got.head).contains(field), "no {field} in {}", got.head);
    }
}

#[tokio::test]
async fn the_browser_is_held_until_it_is_known_how_it_ended() {
    let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
    let port = listener.shared.port;
    let right = query(&request, "code=c%2Bd&scope=x");
    let first = tokio::spawn({
        let right = right.clone();
        async move { get(port, &right, BROWSER).await }
    });
    let code = listener.wait(&request, LONG).await.expect("the code");
    assert_eq!(code.expose(), "c+d");
    assert!(!first.is_finished());

    // The same answer again is held like the first, another one is turned away.
    let other = get(port, &query(&request, "code=other"), BROWSER).await;
    assert_eq!(other.status, 400);
    let mut second = tokio::spawn(async move { get(port, &right, BROWSER).await });
    let mut browsers = listener.shared.browsers.subscribe();
    tokio::select! {
        both = browsers.wait_for(|browsers| browsers.waiting == 2) => drop(both.expect("both are held")),
        got = &mut second => panic!("not held, but told {got:?}"),
    }
    assert!(!first.is_finished());

    let outcome = done();
    let tell = listener.finish(&outcome);
    let browse = async {
        let (first, second) = (first.await.expect("answered"), second.await.expect("answered"));
        for led in [&first, &second] {
            assert_eq!(led.status, 303);
            assert_headers(led);
        }
        assert_eq!(&first.location, &second.location);
        // Another account of this machine can connect too, and the page names the account.
        for guessed in ["/callback/done", "/callback/done/"] {
            assert_eq!(get(port, guessed, BROWSER).await.status, 404);
        }
        let page = get(port, &first.location, BROWSER).await;
        assert_eq!(get(port, &first.location, BROWSER).await.body, page.body);
        page
    };
    let ((), page) = tokio::join!(tell, browse);
    assert_eq!(page.status, 200);
    assert_headers(&page);
    assert!(page.body.contains("Signed in as <strong>&lt;Ada&gt; &amp; co</strong>."), "{}", page.body);
    assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("<h1>Signed in</h1>"), "{}", page.body);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "still listening");
}

#[tokio::test]
async fn a_navigation_from_the_server_brings_the_response() {
    for site in ["cross-site", "same-site", "same-origin", "none"] {
        let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
        let port = listener.shared.port;
        let right = query(&request, "code=c");
        let headers = format!("{BROWSER}{NAVIGATION}Sec-Fetch-Site: {site}\r\nSec-Fetch-User: ?1\r\n");
        let browser = tokio::spawn(async move {
            let led = get(port, &right, &headers).await;
            get(port, &led.location, &headers).await
        });
        listener.wait(&request, LONG).await.expect("the code");
        listener.finish(&done()).await;
        assert_eq!(browser.await.expect("answered").status, 200, "{site}");
    }
}

#[tokio::test]
async fn an_error_without_the_right_state_is_reported_once_and_the_wait_goes_on() {
    let (listener, request) = begun("http://127.0.0.1:0/callback").await;
    let (told, reports) = std::sync::mpsc::channel();
    let mut listener = listener.on_stray_error(move || told.send(()).expect("heard"));
    let port = listener.shared.port;
    let client = async {
        for (query, reported) in [
            ("/callback?code=c&state=wrong", 0),
            ("/callback?error=&state=wrong", 0),
            ("/callback?error=access_denied", 1),
            ("/callback?error=access_denied&state=wrong", 0),
        ] {
            assert_eq!(get(port, query, BROWSER).await.status, 400);
            assert_eq!(reports.try_iter().count(), reported, "{query}");
        }
    };
    tokio::select! {
        biased;
        ended = listener.wait(&request, LONG) => panic!("ended with {ended:?}"),
        () = client => {}
    }
}

#[tokio::test]
async fn a_refusal_ends_the_wait_and_is_told_as_such() {
    let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
    let port = listener.shared.port;
    let right = query(&request, "error=access_denied&error_description=%3Cb%3Eno%3C/b%3E");
    let browser = tokio::spawn(async move {
        let led = get(port, &right, BROWSER).await;
        assert_eq!(led.status, 303);
        get(port, &led.location, BROWSER).await
    });
    let failure = listener.wait(&request, LONG).await.expect_err("refused");
    assert!(matches!(&failure, SignInError::Refused { error, .. } if error == "access_denied"), "{failure:?}");
    listener.finish(&failed(&failure)).await;
    let page = browser.await.expect("answered");
    assert!(page.body.contains("work refused the sign-in (access_denied): &lt;b&gt;no"), "{}", page.body);
    assert!(page.body.contains("<code>nexus oauth start --provider work</code>"), "{}", page.body);
}

#[tokio::test]
async fn a_program_is_answered_but_not_waited_for() {
    let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
    let port = listener.shared.port;
    let right = query(&request, "code=c");
    let program = tokio::spawn(async move { get(port, &right, "Accept: */*\r\n").await });
    listener.wait(&request, LONG).await.expect("the code");
    listener.finish(&done()).await;
    // Without a second address that would be gone before a slow one comes to it.
    let got = program.await.expect("answered");
    assert_eq!((got.status, got.body.as_str()), (200, "Signed in as <Ada> & co\n"));
    assert!(got.head.contains("\r\ncontent-type: text/plain"), "{}", got.head);
    assert_headers(&got);
}

#[tokio::test]
async fn a_program_is_told_of_a_failure_too() {
    let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
    let port = listener.shared.port;
    let right = query(&request, "error=access_denied&error_description=%1b[2Jno");
    let program = tokio::spawn(async move { get(port, &right, "").await });
    let failure = listener.wait(&request, LONG).await.expect_err("a denial");
    listener.finish(&failed(&failure)).await;
    let wording = "Sign-in failed: work refused the sign-in (access_denied): [2Jno\n  run `nexus oauth start --provider \
                work` again\n";
    assert_eq!(program.await.expect("answered").body, wording);
}

#[tokio::test]
async fn dropped_without_a_word_it_holds_nobody() {
    let (mut listener, request) = begun("http://127.0.0.1:0/callback").await;
    let port = listener.shared.port;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let sent = format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{BROWSER}\r\n", query(&request, "code=c"));
    stream.write_all(sent.as_bytes()).await.expect("sends");
    listener.wait(&request, LONG).await.expect("the code");
    drop(listener);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert!(heard.is_empty());
}

#[tokio::test]
async fn the_short_address_knows_who_asks() {
    let (mut listener, request) = begun("http://localhost:0/oauth/claude/callback").await;
    let port = listener.shared.port;
    assert_eq!(listener.short_url(), format!("http://localhost:{port}/oauth/claude/authorize"));
    assert_eq!(listener.redirect_uri(), format!("http://localhost:{port}/oauth/claude/callback"));
    let url = request.url().to_string();
    let client = async {
        let text = get(port, SHORT_PATH, "Accept: */*\r\n").await;
        assert_eq!((text.status, text.body), (200, format!("{url}\n")));
        assert!(text.head.contains("content-type: text/plain"), "{}", text.head);
        for site in ["", &format!("{NAVIGATION}Sec-Fetch-Site: none\r\n")] {
            let led = get(port, SHORT_PATH, &format!("{BROWSER}{site}")).await;
            assert_eq!(led.status, 302);
            assert!(led.head.contains(&format!("\r\nlocation: {}\r\n", url.to_ascii_lowercase())), "{}", led.head);
        }
        // A page of any origin, this one too, may not learn the state, neither by a navigation nor by a fetch.
        for foreign in [
            &format!("{NAVIGATION}Sec-Fetch-Site: cross-site\r\n"),
            &format!("{NAVIGATION}Sec-Fetch-Site: same-site\r\n"),
            &format!("{NAVIGATION}Sec-Fetch-Site: same-origin\r\n"),
            NAVIGATION,
            "Sec-Fetch-Site: none\r\n",
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
            "Origin: http://localhost:9\r\n",
            "Origin: null\r\n",
        ] {
            let refused = get(port, SHORT_PATH, &format!("{BROWSER}{foreign}")).await;
            assert_eq!((refused.status, refused.location.as_str()), (403, ""), "{foreign}");
            assert!(!refused.body.contains("http"), "{}", refused.body);
            assert_headers(&refused);
        }
    };
    tokio::select! {
        ended = listener.wait(&request, LONG) => panic!("ended with {ended:?}"),
        () = client => {}
    }
}

#[tokio::test]
async fn at_the_short_address_the_callback_wins() {
    let (mut listener, request) = begun("http://127.0.0.1:0/oauth/claude/authorize").await;
    let port = listener.shared.port;
    let target = format!("{SHORT_PATH}?code=c&state={}", request.state());
    let program = tokio::spawn(async move { get(port, &target, "").await });
    assert_eq!(listener.wait(&request, LONG).await.expect("the code").expose(), "c");
    listener.finish(&done()).await;
    assert_eq!(program.await.expect("answered").body, "Signed in as <Ada> & co\n");
}

#[tokio::test]
async fn only_plain_loopback_is_listened_on() {
    for (uri, why) in [
        ("https://localhost:4000/callback", "https"),
        ("http://192.0.2.1:4000/callback", "another machine"),
        ("http://localhost.example.com/callback", "another machine"),
        ("http://0.0.0.0:4000/callback", "another machine"),
        ("http://me@localhost:4000/callback", "user name"),
        ("http://localhost:4000/callback?x=1", "query"),
        ("http://localhost:4000/callback#x", "fragment"),
        ("myapp:/callback", "not http"),
        ("urn:ietf:wg:oauth:2.0:oob", "not http"),
        ("localhost", "does not begin with `http://`"),
    ] {
        match RedirectListener::bind(&provider(uri)).await {
            Err(SignInError::RedirectUnusable { uri: named, reason: wording }) => {
                assert_eq!(named, uri);
                assert!(wording.contains(why), "{uri}: {wording}");
            }
            other => panic!("{uri}: {other:?}"),
        }
    }
    let (taken, _) = begun("http://127.0.0.1:0/callback").await;
    let expected =
        SignInError::PortTaken { address: format!("127.0.0.1:{}", taken.shared.port), provider: "work".into() };
    assert_eq!(RedirectListener::bind(&provider(taken.redirect_uri())).await.map(|_| ()), Err(expected));
}

#[test]
fn a_port_changes_no_other_byte() {
    for (uri, with) in [
        ("http://127.0.0.1:0/callback", "http://127.0.0.1:7/callback"),
        ("HTTP://LocalHost:0/a%2Fb:0/", "HTTP://LocalHost:7/a%2Fb:0/"),
        ("http://[::1]:0", "http://[::1]:7"),
    ] {
        assert_eq!(with_port(uri, 7), with);
    }
}
