//! The running `examples/web_app.rs`, and browsers with cookies.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use nexus::sandbox::{Endpoint, RedirectRule, Sandbox, Settings};
use serde_json::{Value, json};

use crate::nexus::block_on;

/// The running application.
pub(crate) struct App {
    pub(crate) child: Child,
    pub(crate) origin: String,
}

impl App {
    pub(crate) fn start(home: &Path, sandbox: &Sandbox) -> Self {
        Self::start_with(home, sandbox, &[])
    }

    /// Starts it with more variables.
    pub(crate) fn start_with(home: &Path, sandbox: &Sandbox, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program())
            .env_clear()
            .env("NEXUS_HOME", home)
            .env("LISTEN", "127.0.0.1:0")
            .env("CLAUDE_CODE_CLIENT_ID", "sandbox-client")
            .env("AUTHORIZE_URL", sandbox.url(Endpoint::Authorize))
            .env("TOKEN_URL", sandbox.url(Endpoint::Token))
            .env("REVOKE_URL", sandbox.url(Endpoint::Revoke))
            .env("API_URL", sandbox.origin())
            .envs(variables.iter().copied())
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

pub(crate) fn sandbox() -> Sandbox {
    let redirect = RedirectRule::AnyPort("http://localhost/oauth/claude/callback".into());
    crate::nexus::sandbox(Settings { redirect, state_at_exchange: true, ..Settings::default() })
}

/// A browser with cookies.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Mutex<BTreeMap<String, String>>,
}

/// A response to a browser.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) body: String,
    pub(crate) set_cookies: Vec<String>,
}

impl Page {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The status and the error code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

impl Browser {
    pub(crate) async fn send(&self, method: &str, address: &str, body: Option<Value>) -> Page {
        let cookies: Vec<_> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = hyper::Request::builder().method(method).uri(address).header("cookie", cookies.join("; "));
        let request = request.header("content-type", "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let answer = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let texts = |name: &str| -> Vec<String> {
            answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        let (status, set_cookies) = (answer.status().as_u16(), texts("set-cookie"));
        let location = texts("location").pop().unwrap_or_default();
        for cookie in &set_cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Page { status, location, body: String::from_utf8(body.to_vec()).unwrap(), set_cookies }
    }

    pub(crate) fn get(&self, address: &str) -> Page {
        block_on(self.send("GET", address, None))
    }

    /// Starts a sign-in, and returns the authorization URL.
    pub(crate) fn begin(&self, app: &App) -> String {
        let page = self.get(&format!("{}/oauth/claude/authorize", app.origin));
        assert_eq!(page.status, 303, "{}", page.body);
        page.location
    }

    pub(crate) fn sign_in(&self, app: &App) {
        let back = crate::nexus::approve(&self.begin(app));
        let page = self.get(&back);
        assert_eq!((page.status, &*page.location), (303, "/"), "{}", page.body);
    }

    pub(crate) async fn ask(&self, app: &App, message: &str) -> Page {
        self.send("POST", &format!("{}/chat", app.origin), Some(json!({ "message": message }))).await
    }

    pub(crate) fn chat(&self, app: &App, message: &str) -> Page {
        block_on(self.ask(app, message))
    }

    #[track_caller]
    pub(crate) fn assert_answered(&self, app: &App, message: &str) {
        let page = self.chat(app, message);
        let expected = page.json()["response"].as_str().unwrap_or_default().to_owned();
        assert!(
            page.status == 200 && expected.starts_with(&format!("You said: {message}")),
            "{} {expected}",
            page.status
        );
    }
}
