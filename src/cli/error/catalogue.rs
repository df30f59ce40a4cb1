//! Every error with its code, class, exit code, message and hint, as a text to review: `tests/it/failures.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexus::ErrorInfo as _;
use nexus::error::{
    AssertionError, CertificateProblem, CommandError, Fault, IdTokenProblem, ProxyRefusal, Subject, TlsError,
    TokenFailure, UnusableResponse,
};
use nexus::internal::provider::BUILT_IN;
use nexus::internal::session::SealError;
use nexus::key::{KeyBackend, KeyOrigin, ValueCount};
use nexus::store::{FileProblem, ServerProblem};

use super::*;

const MINUTES_2: Duration = Duration::from_secs(120);

fn text(text: &str) -> String {
    text.into()
}

fn work() -> String {
    text("work")
}

fn built_in() -> String {
    text(BUILT_IN)
}

fn host() -> String {
    text("id.example.com")
}

fn path(path: &str) -> PathBuf {
    path.into()
}

fn io_error() -> Arc<io::Error> {
    Arc::new(io::Error::from_raw_os_error(13))
}

fn untrusted(subject: Subject, fault: Fault, user: u32) -> nexus::error::Untrusted {
    nexus::error::Untrusted { path: path("/srv/it is"), subject, fault, owner: 1001, user }
}

fn refusal(status: Option<u16>, kind: Option<&str>) -> Refusal {
    Refusal {
        host: text("llm.example.com"),
        status,
        kind: kind.map(text),
        message: text("the details"),
        request_id: Some(text("req_1")),
        ..Refusal::default()
    }
}

fn failure(description: &str, status: Option<u16>) -> TokenFailure {
    TokenFailure {
        description: text(description),
        temporary: status.is_none_or(|status| status == 429 || status >= 500),
        status,
        invalid_target: false,
        retry_after: (status == Some(429)).then_some(Duration::from_secs(20)),
    }
}

fn command_line() -> Vec<CliError> {
    use CliError::*;
    vec![
        CliError::usage("chat", "`-` reads the question from stdin and must be the only argument"),
        Usage { message: text("stdin is not UTF-8 text"), hint: text("attach it") },
        Configuration { message: text("config.toml has an unknown key `x`"), hint: text("did you mean `y`?") },
        Attachment { file: text("a.zip"), reason: text("it looks like application/zip"), hint: text("convert it") },
        CommandNotFound { command: text("claud") },
        CommandNotExecutable { command: text("./notes.txt"), reason: text("Permission denied (os error 13)") },
        NoClientId { error: ProviderError::NoClientId { provider: built_in() }, others: vec![text("gw"), work()] },
        NoModel { provider: built_in(), listed: Vec::new(), unlisted: None },
        NoModel { provider: work(), listed: Vec::new(), unlisted: None },
        NoModel { provider: work(), listed: Vec::new(), unlisted: Some(Box::new(refusal(Some(404), None))) },
        NoModel { provider: work(), listed: vec![text("dall-e-3"), text("embed-1")], unlisted: None },
        NoModel { provider: work(), listed: (1..=12).map(|n| format!("m-{n}")).collect(), unlisted: None },
        NoWayToSignIn { provider: built_in() },
        NoConversation { wanted: text("1wq3"), several: 0 },
        NoConversation { wanted: text("1w"), several: 2 },
        NoConversation { wanted: String::new(), several: 0 },
        SchemaMismatch { reason: text("at `/age`, want integer, but got string"), cut: false },
        SchemaMismatch { reason: text("not valid JSON: EOF while parsing an object"), cut: true },
        File { path: path("answers.jsonl"), reason: text("Permission denied"), hint: text("make it writable") },
        Untrusted { path: path("config.toml"), problem: untrusted(Subject::File, Fault::Owner, 1000) },
        Untrusted { path: path("config.toml"), problem: untrusted(Subject::Link, Fault::Owner, 1000) },
        Untrusted { path: path("config.toml"), problem: untrusted(Subject::Folder, Fault::Owner, 0) },
        Untrusted { path: path("config.toml"), problem: untrusted(Subject::Target, Fault::Writable, 1000) },
        Untrusted { path: path("config.toml"), problem: untrusted(Subject::File, Fault::Writable, 1001) },
        OutputBusy { path: path("answers.jsonl") },
        BadLine { number: 7, reason: text("`prompt` is missing") },
        Incomplete { missing: 1, temporary: true, resumable: true },
        Incomplete { missing: 12, temporary: false, resumable: true },
        Incomplete { missing: 12, temporary: true, resumable: false },
        CliError::system("reading stdin")("Is a directory (os error 21)"),
        History(StoreError::file(Path::new("history.db"), FileProblem::Locked)),
        History(StoreError::file(Path::new("history.db"), FileProblem::Damaged)),
        NotDeleted(StoreError::file(Path::new("sessions.db"), FileProblem::DiskFull).into()),
        CliError::stdout(io::Error::from_raw_os_error(28)),
        Interrupted(super::Interrupted::CTRL_C),
    ]
}

fn provider() -> Vec<CliError> {
    use ProviderError::*;
    let invalid = text("is http; plain http is allowed on loopback only");
    let errors = [
        NoClientId { provider: built_in() },
        NoClientId { provider: work() },
        MissingUrl { provider: work(), setting: "token_url" },
        MissingUrl { provider: work(), setting: "device_url" },
        AssertionRequired { provider: work() },
        InvalidUrl { provider: work(), setting: "token_url", reason: invalid },
        Command { provider: work(), program: text("vault"), error: CommandError::NotStarted(text("not found")) },
    ];
    errors.map(CliError::from).into()
}

fn discovery() -> Vec<CliError> {
    use DiscoveryError::*;
    let probe = |status| {
        let url = nexus::Url::parse("https://id.example.com/.well-known/openid-configuration").unwrap();
        nexus::Probe::new(url, status, text("404"))
    };
    let none =
        |status| NoMetadata { provider: work(), issuer: text("https://id.example.com"), probes: vec![probe(status)] };
    let url = || nexus::Url::parse("https://llm.example.com/").unwrap();
    let errors = [
        none(Some(404)),
        none(Some(503)),
        none(None),
        NothingFound { url: url(), probes: vec![probe(Some(404))] },
        NothingFound { url: url(), probes: vec![probe(None)] },
        NoSignIn { host: host() },
    ];
    errors.map(CliError::from).into()
}

fn sign_in() -> Vec<CliError> {
    use SignInError::*;
    let client_refused = |provider, description, registered| ClientRefused {
        provider,
        client_id: text("c"),
        host: host(),
        description: text(description),
        registered,
    };
    let mut all = vec![
        client_refused(built_in(), "unknown client", false),
        client_refused(work(), "", false),
        client_refused(work(), "unknown client", true),
        ClientRefused {
            provider: work(),
            client_id: String::new(),
            host: host(),
            description: text("client_id is missing"),
            registered: false,
        },
        InvalidRegistration { provider: work(), host: host(), description: text("not a JSON object") },
        RedirectUnusable { uri: text("https://localhost/"), reason: text("it is https") },
        RedirectMismatch { uri: text("http://localhost:4000/"), host: host(), description: text("not registered") },
        IssuerMismatch {
            provider: work(),
            expected: text("https://id.example.com"),
            got: text("https://evil.example.com"),
        },
        IssuerMismatch { provider: work(), expected: text("https://id.example.com"), got: String::new() },
        CodeRefused { provider: work(), host: host(), description: text("answered 400: invalid_grant: used before") },
        PortTaken { address: text("127.0.0.1:4000"), provider: built_in() },
        PortTaken { address: text("127.0.0.1:4000"), provider: work() },
        WrongAnswer { reason: "this response has no `state`" },
        ReservedParameter { provider: work(), parameter: text("state") },
        PushFailed { provider: work(), host: host(), failure: failure("answered 404", Some(404)) },
        PushFailed { provider: work(), host: host(), failure: failure("answered 413", Some(413)) },
        PushFailed { provider: work(), host: host(), failure: failure("answered 429", Some(429)) },
        InvalidResponse { host: host(), description: text("not a JSON object") },
        System { description: text("drawing a random number: Function not implemented (os error 38)") },
        DeviceCodeExpired { provider: work(), waited: Some(Duration::from_secs(600)), description: String::new() },
        DeviceCodeExpired { provider: work(), waited: None, description: text("the code is too old") },
        DeviceCodeRefused { provider: work(), host: host(), description: text("used before") },
        DeviceExchangeFailed { provider: work(), host: host(), failure: failure("answered 404", Some(404)) },
        DeviceExchangeFailed { provider: work(), host: host(), failure: failure("answered 503", Some(503)) },
        Http(HttpError::NotTls { host: text("127.0.0.1:8080") }),
        Provider(ProviderError::MissingUrl { provider: work(), setting: "authorize_url" }),
    ];
    for (client_id, unsupported, registered, has_authorization_endpoint) in [
        ("c", false, false, true),
        ("c", false, false, false),
        ("c", false, true, true),
        ("c", true, false, true),
        ("", false, false, false),
    ] {
        all.push(DeviceFlowRefused {
            provider: work(),
            client_id: text(client_id),
            host: host(),
            unsupported,
            description: text("the reason"),
            registered,
            has_authorization_endpoint,
        });
    }
    for (description, status) in [("answered 404", 404), ("answered 429", 429)] {
        let failure = failure(description, Some(status));
        all.push(DeviceRequestFailed { provider: work(), host: host(), failure, has_authorization_endpoint: true });
    }
    for has_authorization_endpoint in [true, false] {
        let description = text("no `device_code`");
        all.push(InvalidDeviceAuthorization {
            provider: work(),
            host: host(),
            description,
            has_authorization_endpoint,
        });
    }
    let (expected, got) = (text("https://id.example.com"), text("https://evil.example.com"));
    for problem in [
        IdTokenProblem::Unreadable,
        IdTokenProblem::Issuer { expected: expected.clone(), got },
        IdTokenProblem::Issuer { expected, got: String::new() },
        IdTokenProblem::Audience { expected: text("c"), got: text("d") },
        IdTokenProblem::Expired,
        IdTokenProblem::Nonce,
    ] {
        all.push(IdToken { provider: work(), host: host(), problem });
    }
    for error in [
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unsupported_response_type",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "login_required",
        "invalid_authorization_details",
        "invalid_request_object",
        "invalid_request_uri",
        "invalid_target",
        "registration_not_supported",
        "request_not_supported",
        "request_uri_not_supported",
        "unsupported_response_mode",
        "insufficient_user_authentication",
        "unmet_authentication_requirements",
        "an_error_of_its_own",
    ] {
        all.push(Refused { provider: work(), error: text(error), description: text("the reason") });
    }
    for (turned_away, scopes, registered) in [(0, "", false), (1, "", false), (2, "a b", false), (0, "a b", true)] {
        all.push(TimedOut {
            provider: built_in(),
            waited: Duration::from_secs(600),
            client_id: text("c"),
            redirect_uri: text("http://localhost:4000/oauth/claude/callback"),
            scopes: text(scopes),
            turned_away,
            registered,
        });
    }
    for (error, description, status, with_token) in [
        ("", "answered 401", 401, false),
        ("invalid_token", "answered 401: invalid_token", 401, true),
        ("", "answered 404", 404, false),
        ("", "answered 429", 429, false),
        ("invalid_redirect_uri", "answered 400: invalid_redirect_uri", 400, false),
        ("invalid_client_metadata", "answered 400: invalid_client_metadata", 400, false),
        ("invalid_software_statement", "answered 400: invalid_software_statement", 400, false),
        ("unapproved_software_statement", "answered 400: unapproved_software_statement", 400, false),
    ] {
        let failure = Box::new(failure(description, Some(status)));
        all.push(RegistrationFailed { provider: work(), host: host(), error: text(error), with_token, failure });
    }
    let invalid_target = || {
        let failure = failure("answered 400: invalid_target", Some(400));
        TokenFailure { invalid_target: true, ..failure }
    };
    all.push(ExchangeFailed { provider: work(), host: host(), failure: invalid_target() });
    for (description, status) in [
        ("did not answer within 30 seconds", None),
        ("answered 429", Some(429)),
        ("answered 404", Some(404)),
        ("answered 400: invalid_scope", Some(400)),
    ] {
        all.push(ExchangeFailed { provider: work(), host: host(), failure: failure(description, status) });
    }
    all.into_iter().map(CliError::from).collect()
}

fn session() -> Vec<CliError> {
    use SessionError::*;
    let failed =
        |description, status| RefreshFailed { provider: work(), host: host(), failure: failure(description, status) };
    let refused = |tried| RefreshRefused {
        provider: work(),
        host: host(),
        failure: failure("answered 400: invalid_request", Some(400)),
        tried,
    };
    let description = text("sent no usable response (no `access_token`)");
    let unusable = UnusableResponse { at: 1_761_571_800, description };
    let not_fetched = |grant, host: &str, failure| NotFetched {
        provider: work(),
        grant,
        host: text(host),
        failure: Box::new(failure),
        tried: None,
    };
    let errors = [
        not_fetched("client_credentials", "id.example.com", failure("answered 400: invalid_scope", Some(400))),
        not_fetched("token-exchange", "id.example.com", failure("answered 400: invalid_grant", Some(400))),
        NotSignedIn { provider: built_in(), others: Vec::new() },
        NotSignedIn { provider: work(), others: Vec::new() },
        NotSignedIn { provider: built_in(), others: vec![work()] },
        NotSignedIn { provider: built_in(), others: vec![text("play"), work()] },
        Ended { provider: work(), at: 1_761_575_400, cut_off: None, unusable: None, description: text("the details") },
        Ended {
            provider: work(),
            at: 1_761_575_400,
            cut_off: Some(1_761_571_800),
            unusable: None,
            description: text(""),
        },
        Ended { provider: work(), at: 1_761_575_400, cut_off: None, unusable: Some(unusable), description: text("") },
        NoRefreshToken { provider: work(), expired_at: 1_761_575_400, now: 1_761_575_520 },
        NoRefreshToken { provider: work(), expired_at: 1_761_575_520, now: 1_761_575_400 },
        BoundElsewhere {
            provider: work(),
            setting: "token_url",
            bound: text("https://a/"),
            configured: text("https://b/"),
        },
        failed("answered 503", Some(503)),
        refused(None),
        refused(Some(Duration::from_secs(20))),
        RefreshRefused {
            provider: work(),
            host: host(),
            failure: TokenFailure { invalid_target: true, ..failure("answered 400: invalid_target", Some(400)) },
            tried: None,
        },
        not_fetched("token_command", "the command `vault`", failure("failed (exit status: 1)", Some(400))),
        not_fetched("token_command", "the command `vault`", failure("did not finish within 60 seconds", None)),
        ClientRefused { provider: work(), client_id: text("c"), host: host(), description: text("unknown client") },
        NoIdToken { provider: work() },
        DoesNotOpen { store: text("sessions.db"), key: KeyOrigin::File(path("key")) },
        Moved { provider: work(), to: text("postgres://db.example.com:5432/nexus"), is_finished: true },
        Moved { provider: work(), to: text("postgres://db.example.com:5432/nexus"), is_finished: false },
        Moved { provider: work(), to: text("/home/ada/.local/share/nexus/sessions.db"), is_finished: true },
        SameStore {
            from: text("postgres://db.example.com:5432/nexus"),
            to: text("postgres://pooler.example.com:6432/nexus"),
        },
        Occupied { provider: text("work"), owner: text("ada"), store: text("postgres://db.example.com:5432/nexus") },
        OwnerTaken { provider: text("work"), owner: text("ada"), store: text("sessions.db") },
        OtherKey { store: text("sessions.db"), key: KeyOrigin::File(path("key")) },
        NotSent(Arc::new(HttpError::NotTls { host: host() })),
        NotSent(Arc::new(ProviderError::Command {
            provider: work(),
            program: text("vault"),
            error: CommandError::NotStarted(text("not found")),
        })),
        NotSent(Arc::new(AssertionError::NotConfigured)),
        Seal(SealError(text("the value is too long"))),
        Abandoned("sign-in"),
    ];
    errors.map(CliError::from).into()
}

fn store() -> Vec<CliError> {
    use FileProblem::*;
    let problems = [
        DiskFull,
        QuotaExceeded,
        FileTooLarge { file: path("sessions.db") },
        NotWritable,
        Locked,
        Damaged,
        NewerVersion { version: 9 },
        ForeignSchema,
        Untrusted(untrusted(Subject::Folder, Fault::Writable, 1001)),
        Journal(io_error()),
        Lock(io_error()),
        Folder { existing: path("home"), problem: text("Permission denied (os error 13)") },
        Refused(io_error()),
        Database(text("no such column")),
    ];
    let mut all: Vec<StoreError> =
        problems.into_iter().map(|problem| StoreError::file(Path::new("sessions.db"), problem)).collect();
    all.extend([
        StoreError::Busy { waited: Duration::from_secs(90) },
        StoreError::Superseded,
        StoreError::LockLost,
        StoreError::Unavailable(io_error()),
        StoreError::Failed(io_error()),
    ]);
    let server = [
        ServerProblem::Unreachable(text("Connection refused")),
        ServerProblem::TooManyConnections,
        ServerProblem::Untrusted(text("its certificate is from an unknown issuer")),
        ServerProblem::NoTls,
        ServerProblem::Authorities(text("/etc/ca.pem: No such file or directory (os error 2)")),
        ServerProblem::Refused(text("password authentication failed for user \"nexus\"")),
        ServerProblem::NotPermitted(text("permission denied for schema nexus")),
        ServerProblem::MissingRights(text("INSERT, UPDATE on nexus.session")),
        ServerProblem::ReadOnlyUser,
        ServerProblem::NoTables,
        ServerProblem::NoVersion,
        ServerProblem::OlderVersion { version: 1, needed: 2 },
        ServerProblem::NewerVersion { version: 3 },
        ServerProblem::Database(text("disk full")),
    ];
    let store = || text("postgres://db.example.com:5432/nexus");
    all.extend(server.map(|problem| StoreError::Server { store: store(), problem }));
    all.into_iter().map(CliError::from).collect()
}

fn key() -> Vec<CliError> {
    use KeyError::*;
    let key = || path("key");
    let file = || KeyOrigin::File(key());
    let command = || KeyOrigin::Command(text("vault"));
    let errors = [
        Missing { path: key() },
        Unreadable { path: key(), source: io_error() },
        Unreadable { path: key(), source: Arc::new(io::Error::new(io::ErrorKind::PermissionDenied, "this is a link")) },
        Untrusted { path: key(), problem: untrusted(Subject::Folder, Fault::Writable, 0) },
        NotAKey { origin: file(), line: 2, description: text("is not a nexus key") },
        NotAKey { origin: command(), line: 2, description: text("is not a nexus key") },
        NotHere { id: text("2026-11"), origin: file(), is_shared: false },
        NotHere { id: text("2026-11"), origin: command(), is_shared: false },
        NotHere { id: text("2026-11"), origin: file(), is_shared: true },
        NotHere { id: text("2026-11"), origin: command(), is_shared: true },
        ActiveNotHere { id: text("2026-11"), origin: file() },
        ActiveNotHere { id: text("2026-11"), origin: command() },
        Unknown { id: text("2026-11"), origin: file() },
        Active { id: text("2026-11") },
        InUse { id: text("2026-11"), values: ValueCount { sessions: 3, pending_sign_ins: 0, clients: 1 } },
        FromCommand { program: text("vault") },
        CommandFailed { program: text("vault"), description: text("failed (exit status: 1)") },
        CommandTimedOut { setting: "key_command", program: text("vault"), limit: Duration::from_secs(30) },
        Mismatch { path: key(), configured: KeyBackend::Passphrase, found: KeyBackend::File },
        NoPassphrase,
        PassphraseMissing { path: key(), description: text("passphrase.txt: No such file or directory") },
        WrongPassphrase { path: key() },
        KeyringUnusable { path: key(), description: text("is locked") },
        KeyringEntryMissing { path: key(), service: "nexus", user: text("1a2b") },
        KeyringRefused { path: key(), description: text("is locked") },
        Unwritable { path: key(), problem: FileProblem::DiskFull },
        Unwritable { path: key(), problem: FileProblem::Refused(io_error()) },
        Folder {
            path: path("state"),
            problem: FileProblem::Folder { existing: path("home"), problem: text("Permission denied (os error 13)") },
        },
        Lock { path: path("key.lock"), source: None },
        Lock { path: path("key.lock"), source: Some(io_error()) },
        System { attempt: "drawing a random number", description: text("Function not implemented (os error 38)") },
    ];
    errors.map(CliError::from).into()
}

fn http() -> Vec<CliError> {
    use HttpError::*;
    let untrusted = |problem| Untrusted { host: host(), problem };
    let proxy = |refusal| ProxyRefused {
        host: host(),
        proxy: text("proxy.example.com:3128"),
        variable: Some("HTTPS_PROXY"),
        refusal,
    };
    let errors = [
        Unreachable { host: host(), reason: text("no connection within 10 seconds") },
        NoConnection { host: host(), reason: text("Connection refused (os error 111)") },
        untrusted(CertificateProblem::UnknownIssuer),
        untrusted(CertificateProblem::AuthorityCertificate),
        untrusted(CertificateProblem::Expired { since: Duration::from_secs(3 * 86_400) }),
        untrusted(CertificateProblem::NotYetValid { until: Duration::from_secs(7_200) }),
        untrusted(CertificateProblem::WrongHost { hosts: vec![text("login.example.com")] }),
        untrusted(CertificateProblem::Other(text("the signature is wrong"))),
        NotTls { host: text("127.0.0.1:8080") },
        ClientCertificateRequired { host: host() },
        ClientCertificateRefused { host: host(), reason: text("it has expired") },
        proxy(ProxyRefusal::PasswordRequired { scheme: "http" }),
        proxy(ProxyRefusal::PasswordRefused),
        proxy(ProxyRefusal::Untrusted(CertificateProblem::UnknownIssuer)),
        proxy(ProxyRefusal::Untrusted(CertificateProblem::Expired { since: Duration::from_secs(3 * 86_400) })),
        proxy(ProxyRefusal::Untrusted(CertificateProblem::WrongHost { hosts: vec![text("login.example.com")] })),
        proxy(ProxyRefusal::Other(text("answered CONNECT with 403 Forbidden"))),
        InvalidUrl { host: host(), reason: text("must not contain a fragment") },
        UnusableProxy { variable: text("HTTPS_PROXY"), reason: text("ftp proxies are not supported") },
        NoRoots { reason: text("no file was found") },
        System { action: "building the HTTP client", reason: text("out of memory") },
    ];
    errors.map(CliError::from).into()
}

fn local_proxy() -> Vec<CliError> {
    use LocalProxyError::*;
    let errors = [
        AddressTaken { address: text("127.0.0.1:8080") },
        AddressUnusable { address: text("0.0.0.0:0"), reason: text("`0.0.0.0` is not a loopback address") },
    ];
    errors.map(CliError::from).into()
}

fn api() -> Vec<CliError> {
    use ApiError::*;
    let not_found = || Box::new(refusal(Some(404), Some("not_found_error")));
    let mut all = vec![
        NoApiUrl { provider: work() },
        UnusableHeader { provider: work(), name: text("x y"), reason: "a name has only letters, digits and hyphens" },
        UnusableToken,
        ReservedField { field: text("model") },
        UnwritableQuestion { reason: text("a float that is not finite") },
        UnsupportedByModel { model: text("claude-x"), wanted: text("--effort max") },
        NoModelList { provider: work(), refusal: not_found() },
        NoSuchModel { nearest: text("fast"), refusal: not_found() },
        TokenRejected { provider: work(), refusal: Box::new(refusal(Some(401), Some("authentication_error"))) },
        AnswerCut { host: host(), reason: text("the connection broke") },
        AnswerCut { host: host(), reason: String::new() },
        CutByError(Box::new(refusal(None, Some("overloaded_error")))),
        CutByError(Box::new(refusal(None, None))),
        EmptyAnswer { host: host(), thinking: false, reached_limit: false },
        EmptyAnswer { host: host(), thinking: true, reached_limit: false },
        EmptyAnswer { host: host(), thinking: true, reached_limit: true },
        Declined { description: text("a policy") },
        Declined { description: String::new() },
        ContextFull,
        TooLong { host: host(), limit: 64 },
        InvalidResponse { host: host(), description: text("with text/html instead of JSON or events") },
        DeadlineExceeded { host: host(), waited: MINUTES_2 },
        Http(HttpError::NoConnection { host: host(), reason: text("Connection refused (os error 111)") }),
    ];
    let mut refused = |refusal| all.push(Refused(Box::new(refusal)));
    for status in [400, 401, 402, 403, 404, 408, 409, 413, 429, 302, 500, 503, 529] {
        refused(refusal(Some(status), None));
    }
    refused(Refusal { retry_after: Some(Duration::from_secs(20)), ..refusal(Some(429), Some("rate_limit_error")) });
    refused(refusal(Some(429), Some("enforced_spend_limit_reached")));
    refused(refusal(Some(400), Some("context_length_exceeded")));
    let poor = text("Your credit balance is too low to access the API");
    refused(Refusal { message: poor, ..refusal(Some(400), Some("invalid_request_error")) });
    refused(Refusal { invalid_token: true, ..refusal(Some(403), None) });
    refused(Refusal { message: String::new(), request_id: None, ..refusal(Some(500), None) });
    for kind in ["overloaded_error", "rate_limit_error", "invalid_request_error"] {
        refused(refusal(None, Some(kind)));
    }
    refused(refusal(None, None));
    for dialect in [nexus::Dialect::Anthropic, nexus::Dialect::Openai] {
        for status in [404, 405, 501] {
            refused(Refusal { dialect: Some(dialect), ..refusal(Some(status), None) });
        }
    }
    refused(Refusal { dialect: Some(nexus::Dialect::Anthropic), ..refusal(Some(404), Some("not_found_error")) });
    for field in ["max_tokens", "thinking.type", "reasoning_effort", "output_config.format.schema", "top_k"] {
        refused(Refusal { setting: Some(text(field)), ..refusal(Some(400), None) });
    }
    let elsewhere = Box::new(Refusal { wrong_audience: true, ..refusal(Some(401), None) });
    all.push(TokenRejected { provider: work(), refusal: elsewhere });
    all.into_iter().map(CliError::from).collect()
}

fn catalogue() -> Vec<CliError> {
    let groups = [
        command_line(),
        provider(),
        discovery(),
        sign_in(),
        session(),
        store(),
        key(),
        http(),
        local_proxy(),
        assertion(),
        api(),
    ];
    groups.concat()
}

fn assertion() -> Vec<CliError> {
    use AssertionError::*;
    let program = || text("step");
    let errors = [
        Unreadable { path: path("token"), description: text("No such file or directory (os error 2)") },
        Untrusted { path: path("token"), problem: untrusted(Subject::Target, Fault::Writable, 1000) },
        InvalidFile { path: path("token"), description: text("the assertion in it is empty") },
        Command { program: program(), problem: CommandError::Failed(text("exit status: 1")) },
        Command { program: program(), problem: CommandError::TimedOut(Duration::from_secs(60)) },
        Command { program: program(), problem: CommandError::SeveralLines },
        InvalidText { origin: text("from the command `step`"), description: text("has a space in it") },
        Key { path: path("key.pem"), problem: TlsError::NoKey },
        Key { path: path("key.pem"), problem: TlsError::EncryptedKey },
        NotConfigured,
        System { description: text("the key could not sign") },
    ];
    errors.map(|error| SignInError::Assertion(error).into()).into()
}

/// The variants from the outside in, as `Debug` shows them: `Library(Session(Store(Busy`.
fn variants(error: &CliError) -> String {
    format!("{error:?}").chars().take_while(|c| c.is_alphanumeric() || *c == '(').collect()
}

#[cfg(not(feature = "keyring"))]
fn entry(error: &CliError) -> String {
    let (code, class, exit_code, hint) = (error.code(), error.class(), error.exit_code(), error.hint());
    let variants = variants(error).replace('(', " ");
    let variants = variants.trim_start_matches("Library ").trim_end();
    format!("{variants}: {code}, {class:?}, exit {exit_code}\n  error: {error}\n  {hint}\n")
}

/// `NEXUS_WRITE_FAILURES=1 cargo test --bin nexus catalogue` writes the file.
// With the keyring built in, two hints differ.
#[cfg(not(feature = "keyring"))]
#[test]
fn the_catalogue_is_the_reviewed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/failures.txt");
    let entries: Vec<_> = catalogue().iter().map(entry).collect();
    let entries = entries.join("\n");
    if crate::cli::environment::variable("NEXUS_WRITE_FAILURES").is_some() {
        std::fs::write(&path, &entries).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap();
    for (line, (entries, reviewed)) in (1..).zip(entries.lines().zip(reviewed.lines())) {
        assert_eq!(entries, reviewed, "tests/it/failures.txt, line {line}");
    }
    assert_eq!(entries.len(), reviewed.len());
}

const PAGE: &str = "\
# Every `error.reason`

With `--json`, an error is an object on stdout: `error.reason` is one of these names, which are stable. `error.message` is
a sentence as in the last column, and `error.hint` says what to do. `error.exit_code` is the exit code of the command, which
the [README](../README.md#scripts) explains.

| `error.reason` | exit code | for example |
|---|---|---|
";

/// The text of `docs/errors.md`.
fn page() -> String {
    let mut rows: BTreeMap<String, (BTreeSet<u8>, String)> = BTreeMap::new();
    for error in catalogue() {
        let row = rows.entry(error.code().to_string()).or_insert_with(|| (BTreeSet::new(), error.to_string()));
        row.0.insert(error.exit_code());
    }
    let row = |(code, (exit_codes, message)): (String, (BTreeSet<u8>, String))| {
        let exit_codes: Vec<_> = exit_codes.iter().map(u8::to_string).collect();
        format!("| `{code}` | {} | {} |\n", exit_codes.join(", "), message.replace('|', "\\|").replace('\n', " "))
    };
    PAGE.to_owned() + &rows.into_iter().map(row).collect::<String>()
}

#[test]
fn the_page_of_errors_is_that_of_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    if crate::cli::environment::variable("NEXUS_WRITE_FAILURES").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/errors.md is out of date: run `NEXUS_WRITE_FAILURES=1 cargo test --bin nexus catalogue`"
    );
}

#[test]
fn the_catalogue_has_every_variant() {
    let sources = [
        ("CliError", include_str!("mod.rs")),
        ("ApiError", include_str!("../../api/error.rs")),
        ("SignInError", include_str!("../../oauth/error.rs")),
        ("SessionError", include_str!("../../session/error.rs")),
        ("KeyError", include_str!("../../session/key/error.rs")),
        ("StoreError", include_str!("../../store/error.rs")),
        ("FileProblem", include_str!("../../store/error.rs")),
        ("ProviderError", include_str!("../../provider/error.rs")),
        ("AssertionError", include_str!("../../assertion/error.rs")),
        ("HttpError", include_str!("../../http/error.rs")),
        ("LocalProxyError", include_str!("../../local_proxy/error.rs")),
        ("CertificateProblem", include_str!("../../http/error.rs")),
        ("ProxyRefusal", include_str!("../../http/error.rs")),
    ];
    let shown: String = catalogue().iter().map(|error| format!("{error:?}\n")).collect();
    let shown: BTreeSet<&str> = shown.split(|c: char| !c.is_alphanumeric()).collect();
    for (name, source) in sources {
        let body = source.split_once(&format!("enum {name} {{\n")).unwrap().1.split_once("\n}\n").unwrap().0;
        let declared = body.lines().filter_map(|line| line.strip_prefix("    ")).filter_map(|line| {
            let variant = line.split(|c: char| !c.is_alphanumeric()).next()?;
            variant.starts_with(char::is_uppercase).then_some(variant)
        });
        for variant in declared {
            assert!(shown.contains(variant), "{name}::{variant}");
        }
    }
}

#[test]
fn every_error_has_a_documented_exit_code_and_a_hint() {
    for error in catalogue() {
        if matches!(error, CliError::Interrupted(_)) {
            continue;
        }
        let of_command = matches!(error, CliError::CommandNotFound { .. } | CliError::CommandNotExecutable { .. });
        let documented: &[u8] = if of_command { &[126, 127] } else { &[1, 2, 4, 75] };
        assert!(documented.contains(&error.exit_code()), "{error:?}");
        assert!(!error.hint().is_empty(), "{error:?}");
        let code = error.code();
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        assert!(!error.to_string().ends_with('.') && !error.hint().ends_with('.'), "{error}");
    }
}

/// A new variant falls back to this hint, so it has to get its own or be added here.
#[test]
fn only_failures_of_the_system_have_the_general_hint() {
    let general: BTreeSet<String> = catalogue()
        .iter()
        .filter(|error| error.hint() == FIX_AND_REPEAT)
        .map(|error| variants(error).replace('(', " ").trim().to_owned())
        .collect();
    assert_eq!(general.into_iter().collect::<Vec<_>>().join(", "), GENERAL);
}

const GENERAL: &str = "Library Api UnusableToken, Library Api UnwritableQuestion, Library Http System, \
    Library Session Key System, Library Session Seal SealError, Library Session Store Failed Os, \
    Library Session Store File, Library SignIn Assertion System, Library SignIn System, Stdout Os, System";
