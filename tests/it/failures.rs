//! The catalogue of everything that can fail: the sentence, the exit code, the stable reason, the
//! way out, of each, kept as one text for people to read.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus::Failure;
use nexus::internal::failure::{Failed, Refusal};
use nexus::internal::provider::Name;

/// Every variant at least once, and every way in which one of them speaks differently.
fn catalogue() -> Vec<Failure> {
    use Failure::*;
    let (text, work, host) = (String::from, || Name::from("work"), || String::from("id.example.com"));
    let built_in = || Name::from(nexus::internal::provider::BUILT_IN);
    let refusal = |status: Option<u16>, kind: Option<&str>| Refusal {
        host: "llm.example.com".into(),
        status,
        kind: kind.map(String::from),
        message: "its own words".into(),
        request_id: Some("req_1".into()),
        retry_after: None,
        should_retry: None,
        invalid_token: false,
    };
    let failed = |why: &str, status: Option<u16>| Failed {
        why: why.into(),
        temporary: status.is_none_or(|status| status == 429 || status >= 500),
        status,
        retry_after: (status == Some(429)).then_some(20),
    };
    let refused = |refusal| Refused(Box::new(refusal));
    let mut all = vec![
        Failure::usage("chat", "`-` reads the question from stdin and stands alone"),
        Usage { sentence: text("stdin is not UTF-8 text"), cure: text("attach it") },
        Configuration { sentence: text("config.toml has an unknown key `x`"), cure: text("did you mean `y`?") },
        Attachment { file: text("a.zip"), why: text("it looks like application/zip"), cure: text("convert it") },
        Incapable { model: text("claude-x"), wanted: text("--effort max") },
        NoClientId { provider: built_in(), others: Vec::new() },
        NoClientId { provider: built_in(), others: vec![text("gw"), text("work")] },
        NoClientId { provider: work(), others: Vec::new() },
        ClientRefused { provider: built_in(), client_id: text("c"), host: host(), said: text("unknown client") },
        ClientRefused { provider: work(), client_id: text("c"), host: host(), said: String::new() },
        RedirectUnusable { uri: text("https://localhost/"), why: text("it is https") },
        RedirectMismatch { uri: text("http://localhost:4000/"), host: host(), said: text("not registered") },
        NoModel { provider: built_in(), unlisted: None },
        NoModel { provider: work(), unlisted: None },
        NoModel { provider: work(), unlisted: Some(Box::new(refusal(Some(404), None))) },
        NoModelList { provider: work(), refusal: Box::new(refusal(Some(404), None)) },
        NotSignedIn { provider: built_in(), others: Vec::new() },
        NotSignedIn { provider: work(), others: Vec::new() },
        NotSignedIn { provider: built_in(), others: vec![text("work")] },
        NotSignedIn { provider: built_in(), others: vec![text("play"), text("work")] },
        SessionEnded { provider: work(), at: 1_761_575_400, cut_off: None },
        SessionEnded { provider: work(), at: 1_761_575_400, cut_off: Some(1_761_571_800) },
        NoRefreshToken { provider: work(), expired_at: 1_761_575_400, now: 1_761_575_520 },
        SessionElsewhere { provider: work(), setting: "token_url", was: text("https://a/"), is: text("https://b/") },
    ];
    for error in ["access_denied", "invalid_request", "invalid_scope", "server_error", "temporarily_unavailable"] {
        all.push(SignInRefused { provider: work(), error: text(error), said: text("the server's words") });
    }
    for turned_away in [0, 1, 2] {
        all.push(SignInTimedOut {
            provider: built_in(),
            waited: 600,
            client_id: text("c"),
            redirect_uri: text("http://localhost:4000/oauth/claude/callback"),
            turned_away,
        });
    }
    all.extend([
        IssuerMismatch { expected: text("https://id.example.com"), got: text("https://evil.example.com") },
        IssuerMismatch { expected: text("https://id.example.com"), got: String::new() },
        CodeRefused { provider: work(), host: host(), said: text("answered 400: invalid_grant: used before") },
        TokenRejected { provider: work(), refusal: Box::new(refusal(Some(401), Some("authentication_error"))) },
        PortTaken { address: text("127.0.0.1:4000"), provider: built_in() },
        PortTaken { address: text("127.0.0.1:4000"), provider: work() },
        Locked {
            path: PathBuf::from("history.db"),
            why: text("another program keeps this file locked"),
            cure: text("wait for that program, or end it, or use --no-history"),
        },
        Store { path: PathBuf::from("sessions.db"), why: text("the disk is full"), cure: text("free some space") },
        AnswerCut { host: host(), why: text("the connection broke") },
        Declined { said: text("a policy") },
        Declined { said: String::new() },
        NoConversation { wanted: text("1wq3"), several: 0 },
        NoConversation { wanted: text("1w"), several: 2 },
        NoConversation { wanted: String::new(), several: 0 },
        Misfit { why: text("at `/age`, want integer, but got string"), cut: false },
        Misfit { why: text("it is no JSON: EOF while parsing an object"), cut: true },
        ContextFull,
        TooLong { host: host(), limit: 64 },
    ]);
    for status in [400, 401, 402, 403, 404, 408, 409, 413, 429, 302, 500, 503, 529] {
        all.push(refused(refusal(Some(status), None)));
    }
    all.push(refused(Refusal {
        retry_after: Some(Duration::from_secs(20)),
        ..refusal(Some(429), Some("rate_limit_error"))
    }));
    all.push(refused(refusal(Some(429), Some("enforced_spend_limit_reached"))));
    let poor = "Your credit balance is too low to access the API".into();
    all.push(refused(Refusal { message: poor, ..refusal(Some(400), Some("invalid_request_error")) }));
    all.push(refused(Refusal { invalid_token: true, ..refusal(Some(403), None) }));
    all.push(refused(Refusal { message: String::new(), request_id: None, ..refusal(Some(500), None) }));
    for kind in ["overloaded_error", "rate_limit_error", "invalid_request_error"] {
        all.push(refused(refusal(None, Some(kind))));
    }
    all.push(refused(refusal(None, None)));
    all.extend([
        NoSuchModel { nearest: text("fast"), refusal: Box::new(refusal(Some(404), Some("not_found_error"))) },
        Nonsense { host: host(), what: text("with text/html where JSON was asked for") },
        Unreachable { host: host(), why: text("Connection refused (os error 111)") },
        Overdue { host: host(), waited: 120 },
        Untrusted { host: host(), why: text("its certificate is from an authority that this machine does not know") },
        Untrusted { host: host(), why: text("its certificate is an authority's own, and must be one that it signed") },
        NotTls { host: text("127.0.0.1:8080") },
        ExchangeFailed { provider: work(), host: host(), failed: failed("did not answer within 30 seconds", None) },
        ExchangeFailed { provider: work(), host: host(), failed: failed("answered 429", Some(429)) },
        ExchangeFailed { provider: work(), host: host(), failed: failed("answered 404", Some(404)) },
        ExchangeFailed { provider: work(), host: host(), failed: failed("answered 400: invalid_scope", Some(400)) },
        RefreshFailed { provider: work(), host: host(), failed: failed("answered 503", Some(503)) },
        RefreshFailed { provider: work(), host: host(), failed: failed("answered 400: invalid_request", Some(400)) },
        Busy { waited: 90 },
        File { path: PathBuf::from("answers.jsonl"), why: text("Permission denied"), cure: text("make it writable") },
        OutputBusy { path: PathBuf::from("answers.jsonl") },
        BadLine { number: 7, why: text("`prompt` is missing") },
        Incomplete { missing: 1, temporary: true },
        Incomplete { missing: 12, temporary: false },
        System { sentence: text("reading stdin: Is a directory (os error 21)") },
    ]);
    all
}

/// The variant's name, as its `Debug` begins.
fn variant(failure: &Failure) -> String {
    format!("{failure:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

fn told(failure: &Failure) -> String {
    let (reason, code, hint) = (failure.reason(), failure.exit_code(), failure.hint());
    format!("{}: {reason}, exit {code}\n  error: {failure}\n  {hint}\n", variant(failure))
}

/// `NEXUS_WRITE_FAILURES=1 cargo test --test it failures` writes the file anew, for a person to
/// read what changed.
#[test]
fn the_catalogue_of_failures_says_what_went_wrong_and_the_way_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/failures.txt");
    let told: Vec<_> = catalogue().iter().map(told).collect();
    let told = told.join("\n");
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write instead of compare")]
    if std::env::var_os("NEXUS_WRITE_FAILURES").is_some() {
        fs::write(&path, &told).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    for (line, (told, kept)) in (1..).zip(told.lines().zip(kept.lines())) {
        assert_eq!(told, kept, "tests/it/failures.txt, line {line}");
    }
    assert_eq!(told.len(), kept.len());
}

#[test]
fn the_catalogue_has_every_variant() {
    let source = include_str!("../../src/failure.rs");
    let body = source.split_once("pub enum Failure {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    let mut declared: Vec<String> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase)))
        .map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect())
        .collect();
    let mut told: Vec<_> = catalogue().iter().map(variant).collect();
    declared.sort();
    told.sort();
    told.dedup();
    assert_eq!(told, declared);
}

#[test]
fn every_failure_has_a_documented_exit_code_and_a_way_out() {
    for failure in catalogue() {
        assert!(matches!(failure.exit_code(), 1 | 2 | 4 | 75), "{failure:?}");
        assert!(!failure.hint().is_empty(), "{failure:?}");
        let name = failure.reason();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(!failure.to_string().ends_with('.') && !failure.hint().ends_with('.'), "{failure}");
    }
}
