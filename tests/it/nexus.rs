//! The built program, in a home of its own and an environment with nothing in it but what a test
//! puts there.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nexus::sandbox::{Endpoint, Sandbox, Settings};
use serde_json::Value;
use tempfile::TempDir;

use crate::stored::Stored;

/// No command of these tests takes nearly as long; what does, hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A home, and the program in it.
pub(crate) struct Nexus {
    home: TempDir,
    variables: Vec<(String, String)>,
    /// What a test must not depend on, and what stands for it in outputs.
    names: Vec<(String, &'static str)>,
}

/// All that a command left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// A command that is still running, and what it has said so far.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
    names: Vec<(String, &'static str)>,
}

impl Nexus {
    /// A fresh home without any configuration.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let names = vec![(home.path().to_string_lossy().into_owned(), "[HOME]")];
        Self { home, variables: Vec::new(), names }
    }

    /// A home whose default provider `work` is this sandbox.
    pub(crate) fn at(sandbox: &Sandbox) -> Self {
        Self::at_with(sandbox, "")
    }

    /// The same, with further lines in the provider's section.
    pub(crate) fn at_with(sandbox: &Sandbox, lines: &str) -> Self {
        let mut nexus = Self::new();
        nexus.names.push((sandbox.origin(), "[ORIGIN]"));
        nexus.names.push((sandbox.origin().replace("http://", ""), "[SERVER]"));
        nexus.configure(&config(sandbox, lines));
        nexus
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, toml: &str) {
        let path = self.path("config.toml");
        fs::write(&path, toml).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// Makes the next refresh the first that fails, if it does.
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

    /// Lets a name stand for a text in outputs.
    pub(crate) fn name(&mut self, text: &str, name: &'static str) {
        self.names.push((text.to_owned(), name));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program with these words, about to be started.
    pub(crate) fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command.args(words).env_clear().env("NEXUS_HOME", self.home.path()).current_dir(self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[impl AsRef<OsStr>]) -> Output {
        self.finish(self.command(words).spawn().unwrap())
    }

    /// Runs a command by way of another program's words, which begin it.
    pub(crate) fn run_after(&self, before: &[String], words: &[&str]) -> Output {
        self.finish(self.command_after(before, words).spawn().unwrap())
    }

    /// The program with these words by way of another program's words, about to be started.
    pub(crate) fn command_after(&self, before: &[String], words: &[&str]) -> Command {
        let plain = self.command(words);
        let Some((program, arguments)) = before.split_first() else { return plain };
        let mut command = Command::new(program);
        command.args(arguments).arg(plain.get_program()).args(plain.get_args());
        command.env_clear().env("NEXUS_HOME", self.home.path()).current_dir(self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command with something piped in.
    pub(crate) fn run_with(&self, words: &[impl AsRef<OsStr>], stdin: impl AsRef<[u8]>) -> Output {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = stdin.as_ref().to_vec();
        // A command that refuses early does not read its stdin, which is no failure of the test.
        let writer = thread::spawn(move || drop(pipe.write_all(&input)));
        let output = self.finish(child);
        writer.join().unwrap();
        output
    }

    /// Waits for the end of a command that was started.
    pub(crate) fn finish(&self, child: Child) -> Output {
        collect(child, String::new(), &self.names)
    }

    /// Starts a sign-in, which goes on when somebody visits [`Running::url`].
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        self.watch(&mut self.command(&[&["oauth", "start"], words].concat()))
    }

    /// Starts a command whose stderr is read line by line.
    pub(crate) fn watch(&self, command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, said: String::new(), names: self.names.clone() }
    }

    /// Signs in as a person who approves at once.
    pub(crate) fn sign_in(&self) -> Output {
        self.sign_in_with(&["--no-browser"])
    }

    /// The same, to a provider that is not the default.
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
        self.url_or_end().unwrap_or_else(|| panic!("it ended after saying:\n{}", self.said))
    }

    /// The authorization URL, or nothing if it ended before it came to that.
    pub(crate) fn url_or_end(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stderr.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            self.said.push_str(&line);
            if line.starts_with("http") {
                return Some(line.trim_end().to_owned());
            }
        }
    }

    /// Reads on until a line has this property.
    pub(crate) fn line_that(&mut self, has: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it ended after saying:\n{}", self.said);
            self.said.push_str(&line);
            if has(line.trim_end()) {
                return line.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Output {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        collect(self.child, self.said + &rest, &self.names)
    }
}

impl Output {
    /// What a command that succeeded printed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// The object that a command printed.
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

/// Compares everything that a command left behind.
#[macro_export]
macro_rules! assert_output {
    ($output:expr, $code:expr, stdout: $stdout:expr, stderr: $stderr:expr $(,)?) => {
        let output = $output;
        let expected = $crate::nexus::Output { stdout: $stdout.into(), stderr: $stderr.into(), code: Some($code) };
        assert!(output == expected, "expected:\n{expected}\ngot:\n{output}");
    };
}

/// The configuration of a provider `work` at this sandbox.
pub(crate) fn config(sandbox: &Sandbox, lines: &str) -> String {
    format!(
        "default = \"work\"\n[provider.work]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\nrevoke_url = \"{}\"\n\
         api_url = \"{}\"\nclient_id = \"sandbox-client\"\nscopes = [\"model.request\", \"model.read\"]\n{lines}\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
        sandbox.url(Endpoint::Revoke),
        sandbox.origin(),
    )
}

/// A sandbox for tests that block.
pub(crate) fn sandbox(settings: Settings) -> Sandbox {
    Sandbox::start_on_thread(settings).unwrap()
}

/// Approves as a person would, and gives the address that the browser is sent back to.
pub(crate) fn approve(url: &str) -> String {
    block_on(Sandbox::approve(url)).unwrap()
}

/// Denies as a person would, and gives the address that the browser is sent back to.
pub(crate) fn deny(url: &str) -> String {
    block_on(Sandbox::deny(url)).unwrap()
}

/// Goes where a browser was sent: the status, address and text of the page it ends up at.
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

fn collect(mut child: Child, said: String, names: &[(String, &'static str)]) -> Output {
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
    Output { stdout: named(stdout.join().unwrap()), stderr: named(said + &stderr.join().unwrap()), code: status.code() }
}
