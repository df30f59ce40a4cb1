//! What the benchmarks measure: the program, in a home that is signed in to a sandbox.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use nexus::sandbox::{Endpoint, Sandbox, Settings};

#[allow(dead_code, reason = "not every benchmark has an API of its own")]
pub(crate) mod api;

/// A home that is signed in to a sandbox.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) home: tempfile::TempDir,
    nexus: PathBuf,
    pub(crate) curl: PathBuf,
}

impl Stage {
    /// Signs in. `api_url` is the API, or the sandbox's own.
    pub(crate) fn new(settings: Settings, api_url: Option<&str>) -> Result<Self> {
        let client_id = settings.client_id.clone();
        let sandbox = Sandbox::start_on_thread(settings)?;
        let home = tempfile::tempdir()?;
        let config = format!(
            "default = \"sandbox\"\n[provider.sandbox]\nauthorize_url = \"{}\"\ntoken_url = \"{}\"\n\
             client_id = \"{client_id}\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\napi_url = \"{}\"\n\
             model = \"sandbox-small\"\n",
            sandbox.url(Endpoint::Authorize),
            sandbox.url(Endpoint::Token),
            api_url.unwrap_or(&sandbox.origin()),
        );
        std::fs::write(home.path().join("config.toml"), config)?;
        let nexus = installed(&program()?, home.path())?;
        let stage = Self { sandbox, home, nexus, curl: find("curl")? };
        stage.sign_in()?;
        Ok(stage)
    }

    /// A nexus command in this home, as [`alone`].
    pub(crate) fn nexus(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = alone(&self.nexus, words);
        command.env("NEXUS_HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// Signs in through the authorization page; an error contains what nexus printed.
    fn sign_in(&self) -> Result<()> {
        let mut start = self.nexus(&["oauth", "start", "--no-browser", "--timeout", "30s"]);
        let mut start = start.stderr(Stdio::piped()).spawn().context("starting nexus")?;
        let mut message = String::new();
        let approved = self.approve(start.stderr.take().context("its stderr")?, &mut message);
        if approved.is_err() {
            start.kill()?;
        }
        let status = start.wait()?;
        approved.with_context(|| format!("approving what nexus asked for:\n{message}"))?;
        ensure!(status.success(), "nexus oauth start failed:\n{message}");
        Ok(())
    }

    /// Reads the output of `nexus oauth start` to its end. When the authorization URL appears,
    /// approves and follows the redirect, as the browser would.
    fn approve(&self, stderr: ChildStderr, message: &mut String) -> Result<()> {
        let authorize = self.sandbox.url(Endpoint::Authorize);
        let mut browser = None;
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            *message += &format!("{line}\n");
            if line.starts_with(&authorize) {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let back = runtime.block_on(Sandbox::approve(&line))?;
                // Wait for it later: nexus prints while it answers.
                browser = Some(alone(&self.curl, &["-qsL", "--max-time", "30", &back]).spawn()?);
            }
        }
        browser.context("it printed no URL")?.wait()?;
        Ok(())
    }
}

/// The program that is measured: the one that `NEXUS_BIN` names, or the one that `packaging/release` has made, or else
/// the one of this build. Fails if the packaged one is older than what it is made of.
#[expect(clippy::disallowed_methods, reason = "the caller says which program to measure")]
fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("NEXUS_BIN") {
        return Ok(named.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packaged = root.join("target/x86_64-unknown-linux-gnu/release/nexus");
    if !packaged.exists() {
        return Ok(env!("CARGO_BIN_EXE_nexus").into());
    }
    let built = packaged.metadata()?.modified()?;
    for source in ["src", "Cargo.lock", "packaging/function-order.ld"] {
        let path = root.join(source);
        ensure!(last_change(&path)? <= built, "{source} has changed: run packaging/release, or set NEXUS_BIN");
    }
    Ok(packaged)
}

/// When a file, or one in a folder, was last changed.
fn last_change(path: &Path) -> Result<SystemTime> {
    let mut last = path.metadata()?.modified()?;
    if path.is_dir() {
        for entry in path.read_dir()? {
            last = last.max(last_change(&entry?.path())?);
        }
    }
    Ok(last)
}

/// A command with an empty environment, no input, and its output discarded.
pub(crate) fn alone(program: &Path, words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The path of a program, looked up once, outside the measured time.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output()?;
    ensure!(found.status.success(), "{program} is not installed");
    Ok(String::from_utf8(found.stdout)?.trim_end().into())
}

/// Copies a program, as an installer does. The page cache holds a linker's output in small pieces, and
/// mapping those takes a third of an empty program's time.
pub(crate) fn installed(program: &Path, folder: &Path) -> Result<PathBuf> {
    let installed = folder.join(program.file_name().context("a program has a name")?);
    std::fs::copy(program, &installed).with_context(|| format!("copying {}", program.display()))?;
    Ok(installed)
}

/// The peak resident memory of a running process, in KiB (`VmHWM`); `None` where the system does not report it. What
/// `wait4` reports includes the memory of the process that started it.
#[allow(dead_code, reason = "not every benchmark measures memory")]
pub(crate) fn peak_memory(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
