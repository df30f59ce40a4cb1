//! Runs `examples/web_app.rs` with browsers and the sandbox.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use nexus::Url;
use nexus::internal::http::Http;
use nexus::sandbox::{Endpoint, Gate, RedirectRule, Sandbox, Scripted, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::nexus::block_on;

/// The running application.
struct App {
    child: Child,
    origin: String,
}

impl App {
    fn start(home: &Path, sandbox: &Sandbox) -> Self {
        let mut child = Command::new(program())
            .env_clear()
            .env("NEXUS_HOME", home)
            .env("LISTEN", "127.0.0.1:0")
            .env("CLAUDE_CODE_CLIENT_ID", "sandbox-client")
            .env("AUTHORIZE_URL", sandbox.url(Endpoint::Authorize))
            .env("TOKEN_URL", sandbox.url(Endpoint::Token))
            .env("REVOKE_URL", sandbox.url(Endpoint::Revoke))
            .env("API_URL", sandbox.origin())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(origin) = line.trim_end().strip_prefix("Listening on ") else {
            let mut expected = String::new();
            child.stderr.take().unwrap().read_to_string(&mut expected).unwrap();
            panic!("it said {line:?} and {expected:?}");
        };
        Self { origin: origin.to_owned(), child }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the example, because `cargo test --test it` does not.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // target/PROFILE/nexus
        let profile = Path::new(env!("CARGO_BIN_EXE_nexus")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--offline", "--locked", "--example", "web_app"]);
        cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.args(["--profile", if profile.ends_with("release") { "release" } else { "dev" }]);
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        // Build scripts of dependencies would take these variables of a test for a change, and rebuild.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text == "LD_LIBRARY_PATH" || ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| text.starts_with(own)) {
                cargo.env_remove(&name);
            }
        }
        let built = cargo.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        profile.join("examples/web_app").with_extension(std::env::consts::EXE_EXTENSION)
    })
}

fn sandbox() -> Sandbox {
    let redirect = RedirectRule::AnyPort("http://localhost/oauth/claude/callback".into());
    crate::nexus::sandbox(Settings { redirect, state_at_exchange: true, ..Settings::default() })
}

/// A browser with cookies.
#[derive(Default)]
struct Browser {
    http: Http,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A response to a browser.
struct Page {
    status: u16,
    location: String,
    body: String,
    set_cookies: Vec<String>,
}

impl Page {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The status and the error code.
    fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

impl Browser {
    async fn send(&self, method: &str, address: &str, body: Option<Value>) -> Page {
        let url = Url::parse(address).unwrap();
        let cookies: Vec<_> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let client = self.http.client(&url).unwrap();
        let mut request = client.request(method.parse().unwrap(), url).header("cookie", cookies.join("; "));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let texts = |name: &str| -> Vec<String> {
            answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        let (status, set_cookies) = (answer.status().as_u16(), texts("set-cookie"));
        let location = texts("location").pop().unwrap_or_default();
        for cookie in &set_cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Page { status, location, body: answer.text().await.unwrap(), set_cookies }
    }

    fn get(&self, address: &str) -> Page {
        block_on(self.send("GET", address, None))
    }

    /// Starts a sign-in, and returns the authorization URL.
    fn begin(&self, app: &App) -> String {
        let page = self.get(&format!("{}/oauth/claude/authorize", app.origin));
        assert_eq!(page.status, 303, "{}", page.body);
        page.location
    }

    fn sign_in(&self, app: &App) {
        let back = crate::nexus::approve(&self.begin(app));
        let page = self.get(&back);
        assert_eq!((page.status, &*page.location), (303, "/"), "{}", page.body);
    }

    async fn ask(&self, app: &App, message: &str) -> Page {
        self.send("POST", &format!("{}/chat", app.origin), Some(json!({ "message": message }))).await
    }

    fn chat(&self, app: &App, message: &str) -> Page {
        block_on(self.ask(app, message))
    }

    #[track_caller]
    fn assert_answered(&self, app: &App, message: &str) {
        let page = self.chat(app, message);
        let expected = page.json()["response"].as_str().unwrap_or_default().to_owned();
        assert!(
            page.status == 200 && expected.starts_with(&format!("You said: {message}")),
            "{} {expected}",
            page.status
        );
    }
}

/// A home, a sandbox, the application at it.
fn setup() -> (TempDir, Sandbox, App) {
    let (home, sandbox) = (tempfile::tempdir().unwrap(), sandbox());
    let app = App::start(home.path(), &sandbox);
    (home, sandbox, app)
}

/// The bearer tokens of the questions so far.
fn bearers(sandbox: &Sandbox) -> Vec<String> {
    let asked = sandbox.requests_to(Endpoint::Messages);
    asked.iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect()
}

fn owners(home: &TempDir) -> Vec<String> {
    let database = rusqlite::Connection::open(home.path().join("data/sessions.db")).unwrap();
    let mut statement = database.prepare("SELECT owner FROM session").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn two_users_have_separate_sessions() {
    let (home, sandbox, app) = setup();
    let (ada, bob) = (Browser::default(), Browser::default());
    assert_eq!(ada.chat(&app, "too early").refusal(), (401, "not_signed_in".into()));
    ada.sign_in(&app);
    assert_eq!(bob.chat(&app, "as whom?").refusal(), (401, "not_signed_in".into()));
    bob.sign_in(&app);
    ada.assert_answered(&app, "I am Ada");
    bob.assert_answered(&app, "I am Bob");
    let bearers = bearers(&sandbox);
    assert_eq!(bearers.len(), 2);
    assert_ne!(bearers[0], bearers[1]);
    let owners = owners(&home);
    assert_eq!(owners.len(), 2);
    for browser in [&ada, &bob] {
        let cookie = &browser.cookies.lock().unwrap()["user"];
        assert!(!owners.contains(cookie), "the database must not contain a usable cookie");
    }
}

#[test]
fn many_users_sign_in_at_once_in_a_new_home() {
    let (home, sandbox, app) = setup();
    // The key and the database do not exist yet.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let browser = Browser::default();
                browser.sign_in(&app);
                browser.assert_answered(&app, "hello");
            });
        }
    });
    assert_eq!((owners(&home).len(), sandbox.counts().exchanges), (16, 16));
}

#[test]
fn browsers_get_no_token_and_only_httponly_cookies() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    let start = browser.get(&format!("{}/oauth/claude/authorize", app.origin));
    let back = crate::nexus::approve(&start.location);
    let end = browser.get(&back);
    let chat = browser.chat(&app, "hello");
    let code = Url::parse(&back).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    for page in [start, end, chat] {
        for secret in sandbox.issued().iter().filter(|secret| **secret != code) {
            assert!(!page.body.contains(secret) && !page.location.contains(secret), "{}", page.body);
            assert!(!page.set_cookies.iter().any(|cookie| cookie.contains(secret)));
        }
        assert!(page.set_cookies.iter().all(|cookie| cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax")));
    }
}

#[test]
fn a_wrong_state_is_rejected_and_the_right_one_works_once() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    let back = crate::nexus::approve(&browser.begin(&app));
    let wrong = back.replace("state=", "state=x");
    for address in [wrong, back.split('?').next().unwrap().to_owned(), format!("{back}&state=again")] {
        assert_eq!(browser.get(&address).refusal(), (400, "no_such_sign_in".into()), "{address}");
    }
    assert_eq!(sandbox.counts().exchanges, 0);
    assert_eq!(browser.get(&back).status, 303);
    assert_eq!(browser.get(&back).refusal(), (400, "no_such_sign_in".into()), "a response works once");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 1);
    browser.assert_answered(&app, "signed in after all");
}

#[test]
fn a_response_is_accepted_only_from_the_browser_that_started() {
    let (_home, sandbox, app) = setup();
    let (ada, mallory) = (Browser::default(), Browser::default());
    let back = crate::nexus::approve(&ada.begin(&app));
    // Without a sign-in of her own, and with one.
    for _ in 0..2 {
        assert_eq!(mallory.get(&back).refusal(), (400, "no_such_sign_in".into()));
        mallory.begin(&app);
    }
    assert_eq!(sandbox.counts().exchanges, 0);
    assert_eq!(mallory.chat(&app, "let me in").status, 401);
    assert_eq!(ada.get(&back).status, 303);
}

#[test]
fn pending_sign_ins_are_limited() {
    let (_home, _sandbox, app) = setup();
    let (first, last) = (Browser::default(), Browser::default());
    let (early, late) = (first.begin(&app), last.begin(&app));
    let stranger = Browser::default();
    block_on(async {
        for _ in 0..999 {
            stranger.send("GET", &format!("{}/oauth/claude/authorize", app.origin), None).await;
        }
    });
    assert_eq!(first.get(&crate::nexus::approve(&early)).status, 400, "the oldest made place");
    assert_eq!(last.get(&crate::nexus::approve(&late)).status, 303);
}

#[test]
fn a_denial_does_not_sign_in() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    let back = crate::nexus::deny(&browser.begin(&app));
    assert_eq!(browser.get(&back).refusal(), (403, "sign_in_refused".into()));
    assert_eq!(browser.chat(&app, "anyway").status, 401);
    assert_eq!(sandbox.counts().exchanges, 0);
}

#[test]
fn two_requests_that_are_both_rejected_refresh_once() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    browser.sign_in(&app);
    browser.assert_answered(&app, "before");
    sandbox.expire_access();
    let refused = sandbox.requests_to(Endpoint::Models).len();
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Wait(gate.clone())]);
    let answers = block_on(async {
        tokio::join!(browser.ask(&app, "one"), browser.ask(&app, "two"), async {
            // Both are rejected before either gets another token.
            sandbox.until(|sandbox| sandbox.requests_to(Endpoint::Models).len() == refused + 2).await;
            gate.arrived(1).await;
            gate.open();
        })
    });
    assert_eq!((answers.0.status, answers.1.status), (200, 200));
    assert_eq!(sandbox.refreshes_asked(), 1);
}

#[test]
fn an_ended_session_needs_a_new_sign_in() {
    let (_home, sandbox, app) = setup();
    let browser = Browser::default();
    browser.sign_in(&app);
    sandbox.end_session();
    assert_eq!(browser.chat(&app, "gone?").refusal(), (401, "session_ended".into()));
    browser.sign_in(&app);
    browser.assert_answered(&app, "back again");
}

#[test]
fn a_second_sign_in_and_a_logout_leave_no_session() {
    let (home, sandbox, app) = setup();
    let browser = Browser::default();
    browser.sign_in(&app);
    let before = browser.cookies.lock().unwrap()["user"].clone();
    browser.sign_in(&app);
    assert_ne!(browser.cookies.lock().unwrap()["user"], before, "a planted cookie must not become signed in");
    assert_eq!(owners(&home).len(), 1);
    assert!(sandbox.counts().revocations > 0);
    assert_eq!(block_on(browser.send("POST", &format!("{}/logout", app.origin), None)).status, 204);
    assert_eq!(owners(&home), [""; 0]);
    assert_eq!(browser.chat(&app, "still me?").status, 401);
}

#[test]
fn an_unknown_cookie_is_rejected() {
    let (_home, _sandbox, app) = setup();
    for made_up in ["", "x", "../../etc", "%00"] {
        let browser = Browser::default();
        browser.cookies.lock().unwrap().insert("user".into(), made_up.into());
        assert_eq!(browser.chat(&app, "let me in").refusal(), (401, "not_signed_in".into()), "{made_up:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_waits_until_a_refresh_is_saved() {
    let (home, sandbox, mut app) = setup();
    let browser = Browser::default();
    sandbox.change(|settings| settings.token_lifetime = Some(json!(0)));
    browser.sign_in(&app);
    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    let gate = Gate::new();
    sandbox.script(Endpoint::Token, [Scripted::Paused(gate.clone())]);
    block_on(async {
        {
            // The browser closes the connection before the new tokens arrive.
            let asked = browser.ask(&app, "never mind");
            tokio::select! {
                _ = asked => panic!("the server has not answered"),
                () = gate.arrived(1) => {}
            }
        }
        let id = rustix::process::Pid::from_child(&app.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let mut line = String::new();
        BufReader::new(app.child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "Finishing what has begun\n");
        gate.open();
    });
    assert!(app.child.wait().unwrap().success());
    let app = App::start(home.path(), &sandbox);
    browser.assert_answered(&app, "nothing was lost");
    assert_eq!(sandbox.refreshes_asked(), 1);
}
