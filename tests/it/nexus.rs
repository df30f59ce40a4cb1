//! Runs the built program in a home folder of its own, with only the environment variables that a test sets.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted, Settings};
use nexus::{Client, Error, OAuthClient, ProviderConfig, Session};
use serde_json::Value;
use tempfile::TempDir;

use crate::stored::Stored;

/// A command that runs longer than this hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A home folder, and the program in it.
pub(crate) struct Nexus {
    home: TempDir,
    variables: Vec<(String, String)>,
    /// Texts that differ from run to run, and the placeholders that replace them in outputs.
    names: Vec<(String, &'static str)>,
}

/// The output and the exit code of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// A command that is still running, and its stderr so far.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    message: String,
    names: Vec<(String, &'static str)>,
}

impl Nexus {
    /// An empty home.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let names = vec![(home.path().to_string_lossy().into_owned(), "[HOME]")];
        Self { home, variables: Vec::new(), names }
    }

    /// A home whose default provider `work` is this sandbox. No one is signed in.
    pub(crate) fn at(sandbox: &Sandbox) -> Self {
        Self::at_with(sandbox, "")
    }

    /// Like [`Self::at`], with more lines in the provider's section.
    pub(crate) fn at_with(sandbox: &Sandbox, lines: &str) -> Self {
        let mut nexus = Self::new();
        nexus.names.push((sandbox.origin(), "[ORIGIN]"));
        nexus.names.push((sandbox.origin().replace("http://", ""), "[SERVER]"));
        nexus.configure(&config(sandbox, lines));
        nexus
    }

    /// A sandbox with these settings, and a home that is signed in there.
    pub(crate) fn signed_in(settings: Settings) -> (Sandbox, Self) {
        Self::signed_in_with(settings, "")
    }

    /// Like [`Self::signed_in`], with more lines in the provider's section.
    pub(crate) fn signed_in_with(settings: Settings, lines: &str) -> (Sandbox, Self) {
        let sandbox = sandbox(settings);
        let nexus = Self::at_with(&sandbox, lines);
        nexus.sign_in();
        (sandbox, nexus)
    }

    /// Signed in with an access token that has expired. The sandbox issues valid ones from now on.
    pub(crate) fn expired() -> (Sandbox, Self) {
        let (sandbox, nexus) = Self::signed_in(lifetime(0));
        sandbox.change(|settings| settings.token_lifetime = Some(3_600.into()));
        (sandbox, nexus)
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, toml: &str) {
        self.write("config.toml", toml, 0o600);
    }

    /// Writes a file into the home, with this mode on Unix.
    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        #[cfg(not(unix))]
        let _ = mode;
    }

    /// Removes the stored failure, so that the next refresh is not held back.
    pub(crate) fn forget_failures(&self) {
        let mut stored = Stored::open(self.home());
        stored.session["failed"] = Value::Null;
        stored.save();
    }

    /// Sets a variable for the commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Replaces a text by a placeholder in outputs.
    pub(crate) fn name(&mut self, text: &str, name: &'static str) {
        self.names.push((text.to_owned(), name));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command.args(words);
        self.prepared(command)
    }

    /// The program with these arguments, started by another command.
    pub(crate) fn command_after(&self, before: &[String], words: &[&str]) -> Command {
        let Some((program, arguments)) = before.split_first() else { return self.command(words) };
        let mut command = Command::new(program);
        command.args(arguments).arg(env!("CARGO_BIN_EXE_nexus")).args(words);
        self.prepared(command)
    }

    /// A command in this home.
    pub(crate) fn prepared(&self, mut command: Command) -> Command {
        command.env_clear().env("NEXUS_HOME", self.home.path()).current_dir(self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[impl AsRef<OsStr>]) -> Output {
        self.finish(self.command(words).spawn().unwrap())
    }

    /// Runs a command that another command starts.
    pub(crate) fn run_after(&self, before: &[String], words: &[&str]) -> Output {
        self.finish(self.command_after(before, words).spawn().unwrap())
    }

    /// Runs a command that finds this folder at `/etc`, with the variables that `vary` sets. `None` where no mount
    /// namespace can be had.
    #[cfg(target_os = "linux")]
    pub(crate) fn run_with_etc(
        &self,
        etc: &Path,
        vary: impl Fn(&mut Command) -> &mut Command,
        words: &[&str],
    ) -> Option<Output> {
        for name in ["passwd", "group"] {
            std::fs::copy(Path::new("/etc").join(name), etc.join(name)).unwrap();
        }
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command.args([
                "--map-root-user",
                "--mount",
                "--",
                "/bin/sh",
                "-c",
                script,
                "sh",
                env!("CARGO_BIN_EXE_nexus"),
            ]);
            command.args(words);
            let mut command = self.prepared(command);
            vary(command.env("ETC", etc).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"));
            command
        };
        let is_possible = unshare("mount --bind \"$ETC\" /etc").status().is_ok_and(|status| status.success());
        is_possible.then(|| self.finish(unshare("mount --bind \"$ETC\" /etc && exec \"$@\"").spawn().unwrap()))
    }

    /// Starts a command, and waits until its request has reached the token endpoint. The server answers when the gate
    /// opens: with `Held` it has spent the token before, with `Wait` it has not.
    pub(crate) fn held(&self, sandbox: &Sandbox, answer: fn(Gate) -> Scripted, words: &[&str]) -> (Child, Gate) {
        let gate = Gate::new();
        sandbox.script(Endpoint::Token, [answer(gate.clone())]);
        let child = self.command(words).spawn().unwrap();
        block_on(gate.arrived(1));
        (child, gate)
    }

    /// Runs a command with this text on stdin.
    pub(crate) fn run_with(&self, words: &[impl AsRef<OsStr>], stdin: impl AsRef<[u8]>) -> Output {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = stdin.as_ref().to_vec();
        // A command that fails early does not read its stdin.
        let writer = thread::spawn(move || drop(pipe.write_all(&input)));
        let output = self.finish(child);
        writer.join().unwrap();
        output
    }

    /// Waits for a command to end.
    pub(crate) fn finish(&self, child: Child) -> Output {
        collect(child, String::new(), &self.names)
    }

    /// Starts a sign-in, which continues when [`Running::url`] is visited.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        self.watch(&mut self.command(&[&["oauth", "start"], words].concat()))
    }

    /// Starts a command whose stderr is read line by line.
    pub(crate) fn watch(&self, command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, message: String::new(), names: self.names.clone() }
    }

    /// Signs in as a user who approves at once.
    pub(crate) fn sign_in(&self) -> Output {
        self.sign_in_with(&["--no-browser"])
    }

    /// Signs in to a provider that is not the default.
    pub(crate) fn sign_in_to(&self, provider: &str) -> Output {
        self.sign_in_with(&["--no-browser", "--provider", provider])
    }

    fn sign_in_with(&self, words: &[&str]) -> Output {
        let mut started = self.start(words);
        let url = started.url();
        visit(&approve(&url));
        let output = started.finish();
        assert_eq!(output.code, Some(0), "{output}");
        output
    }
}

impl Running {
    /// The authorization URL: the line of stderr that is a URL and nothing else.
    pub(crate) fn url(&mut self) -> String {
        self.url_or_end().unwrap_or_else(|| panic!("it ended after saying:\n{}", self.message))
    }

    /// The authorization URL, or nothing if the command ended before it printed one.
    pub(crate) fn url_or_end(&mut self) -> Option<String> {
        self.line_or_end(|line| line.starts_with("http"))
    }

    /// Reads up to the first line that matches.
    pub(crate) fn line_that(&mut self, has: impl Fn(&str) -> bool) -> String {
        self.line_or_end(has).unwrap_or_else(|| panic!("it ended after saying:\n{}", self.message))
    }

    fn line_or_end(&mut self, has: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stderr.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            self.message.push_str(&line);
            if has(line.trim_end()) {
                return Some(line.trim_end().to_owned());
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn finish(mut self) -> Output {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        collect(self.child, self.message + &rest, &self.names)
    }
}

impl Output {
    /// The stdout of a command that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// The JSON object that a command printed.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        write!(f, "--- stdout\n{}--- stderr\n{}--- exit {code}\n", self.stdout, self.stderr)
    }
}

/// Compares stdout, stderr and the exit code of a command.
#[macro_export]
macro_rules! assert_output {
    ($output:expr, $code:expr, stdout: $stdout:expr, stderr: $stderr:expr $(,)?) => {
        let output = $output;
        let expected = $crate::nexus::Output { stdout: $stdout.into(), stderr: $stderr.into(), code: Some($code) };
        assert!(output == expected, "expected:\n{expected}\ngot:\n{output}");
    };
}

/// The variables that no child process of the program inherits.
pub(crate) const SECRET_VARIABLES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_IDENTITY_TOKEN",
    "ANTHROPIC_WEBHOOK_SIGNING_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "CLAUDE_CODE_CLIENT_SECRET",
    "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "NEXUS_STORE",
];

/// Settings of a sandbox whose access tokens live for this many seconds.
pub(crate) fn lifetime(seconds: i64) -> Settings {
    Settings { token_lifetime: Some(seconds.into()), ..Settings::default() }
}

/// The newest secret of this kind (`access`, `refresh`) that the sandbox issued.
pub(crate) fn newest(sandbox: &Sandbox, kind: &str) -> String {
    let prefix = format!("sandbox-{kind}-");
    sandbox.issued().into_iter().rfind(|secret| secret.starts_with(&prefix)).unwrap()
}

/// Sends a signal (`TERM`) to a process, with the shell's own `kill`: not every system has the program.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", "kill -\"$1\" \"$2\"", "sh", name, &id.to_string()]).status();
    assert!(sent.unwrap().success(), "{name}");
}

/// The library's provider `work` at this sandbox.
pub(crate) fn provider(sandbox: &Sandbox) -> ProviderConfig {
    provider_at(&sandbox.url(Endpoint::Authorize))
}

/// The provider of the sandbox with this authorization endpoint, which may be in another process.
pub(crate) fn provider_at(authorize_url: &str) -> ProviderConfig {
    let base = authorize_url.strip_suffix(Endpoint::Authorize.path()).unwrap();
    let origin = nexus::Url::parse(base).unwrap().origin().ascii_serialization();
    ProviderConfig::named("work")
        .with_client(OAuthClient::public("sandbox-client"))
        .with_redirect_uri("http://127.0.0.1:1/callback")
        .with_authorize_url(authorize_url)
        .and_then(|provider| provider.with_token_url(&format!("{base}{}", Endpoint::Token.path())))
        .and_then(|provider| provider.with_revoke_url(&format!("{base}{}", Endpoint::Revoke.path())))
        .and_then(|provider| provider.with_api_url(&origin))
        .unwrap()
}

/// Signs this owner in with the library.
pub(crate) async fn sign_in(client: &Client, owner: &str) -> Result<Session, Error> {
    let request = client.authorization_url().await.unwrap();
    let back = Sandbox::approve(request.url().as_str()).await.unwrap();
    client.exchange_code(owner, request, back.split_once('?').unwrap().1).await
}

/// The configuration of a provider `work` at this sandbox, whose sign-ins may run beside others.
pub(crate) fn config(sandbox: &Sandbox, lines: &str) -> String {
    let redirect_uri = match lines.contains("redirect_uri") {
        true => "",
        false => "redirect_uri = \"http://127.0.0.1:0/callback\"\n",
    };
    format!(
        "default = \"work\"\n[provider.work]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\nrevoke_url = \"{}\"\n\
         api_url = \"{}\"\nclient_id = \"sandbox-client\"\nscopes = [\"model.request\", \"model.read\"]\n{redirect_uri}{lines}\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
        sandbox.url(Endpoint::Revoke),
        sandbox.origin(),
    )
}

/// Starts a sandbox on a thread of its own.
pub(crate) fn sandbox(settings: Settings) -> Sandbox {
    Sandbox::start_on_thread(settings).unwrap()
}

/// Approves a sign-in, and returns the address that the browser is redirected to.
pub(crate) fn approve(url: &str) -> String {
    block_on(Sandbox::approve(url)).unwrap()
}

/// Denies a sign-in, and returns the address that the browser is redirected to.
pub(crate) fn deny(url: &str) -> String {
    block_on(Sandbox::deny(url)).unwrap()
}

/// Follows redirects as a browser does. Returns the status, address and text of the last page.
pub(crate) fn visit(address: &str) -> (u16, String, String) {
    block_on(Sandbox::visit(address)).unwrap()
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(LIMIT, work).await.expect("done in time") })
}

fn collect(mut child: Child, message: String, names: &[(String, &'static str)]) -> Output {
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut bytes).unwrap();
            }
            String::from_utf8(bytes).unwrap()
        })
    };
    let stdout = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let id = child.id();
    let (send, ended) = mpsc::channel();
    thread::spawn(move || send.send(child.wait().unwrap()));
    let status = ended.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("process {id} is still running"));
    let named = |text: String| names.iter().fold(text, |text, (value, name)| text.replace(value, name));
    Output {
        stdout: named(stdout.join().unwrap()),
        stderr: named(message + &stderr.join().unwrap()),
        code: status.code(),
    }
}

/// `PATH` of this process.
#[expect(clippy::disallowed_methods, reason = "a test finds the programs of the machine it runs on")]
pub(crate) fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// Whether a program is installed.
pub(crate) fn installed(program: &str) -> bool {
    std::env::split_paths(&search_path()).any(|folder| folder.join(program).is_file())
}
