//! `nexus demo`: runs nexus commands in a temporary home folder, against a sandbox on loopback that acts as the
//! authorization server and the model.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::environment;
use crate::cli::error::{CliError, Result};
use crate::cli::quoted::quoted;
use crate::cli::terminal::Signals;
use nexus::internal::private_fs;
use nexus::sandbox::{Endpoint, RedirectRule, Sandbox, Settings};

/// The variables that a browser and a terminal need. The commands get no others, so that the user's configuration does
/// not affect the demo.
const KEPT_VARIABLES: &[&str] = &[
    "BROWSER",
    "COLUMNS",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "NO_COLOR",
    "PATH",
    "SYSTEMROOT",
    "TERM",
    "TMPDIR",
    "WAYLAND_DISPLAY",
    "WSL_DISTRO_NAME",
    "WSL_INTEROP",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
    "XDG_RUNTIME_DIR",
];

/// How long a command may take to end by itself after a signal.
const GRACE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  nexus demo
  nexus demo --yes \"What is a monad?\"";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Question to ask the sandbox
    #[arg(default_value = "Hello, Claude!")]
    prompt: String,

    /// Approve the sign-in without a browser
    #[arg(long, short)]
    yes: bool,
}

#[derive(Clone, Copy)]
enum Approval {
    ByUser,
    /// With the reason.
    ByDemo(&'static str),
}

/// Runs start, chat, status and logout. Stops at the first command that fails, with its exit code.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    // `nexus chat -` would read stdin, which is empty here.
    if matches!(args.prompt.trim(), "" | "-") {
        return Err(CliError::usage("demo", "no question: pass one as an argument, or no argument at all"));
    }
    context.block_on_with_signals(async |signals| {
        let home = private_home().map_err(|error| no_home(&error))?;
        let sandbox = Sandbox::start(Settings {
            client_id: "nexus-demo".into(),
            redirect: RedirectRule::AnyPort("http://127.0.0.1/callback".into()),
            ..Settings::default()
        })
        .await
        .map_err(CliError::system("starting the sandbox"))?;
        private_fs::create(&home.path().join("config.toml"))
            .and_then(|mut file| file.write_all(config(&sandbox).as_bytes()))
            .map_err(CliError::system("configuring the demo"))?;

        let approval = match args.yes {
            true => Approval::ByDemo("--yes"),
            false if context.is_attended() && context.has_browser() => Approval::ByUser,
            false => Approval::ByDemo("no browser here"),
        };
        context.say(&format!(
            "nexus demo: a sandbox on {} acts as the authorization server and the model.\n\
             The answers come from the sandbox, not from Claude. Nothing leaves this machine, and nothing is left on \
             it.",
            sandbox.origin()
        ));
        if let Approval::ByDemo(why) = approval {
            context.say(&format!("The demo approves the sign-in itself ({why})."));
        }
        let hyphen = args.prompt.starts_with('-').then_some("--");
        let steps = [
            ("Sign in", vec!["oauth", "start"]),
            ("Ask a question", ["chat"].into_iter().chain(hyphen).chain([&*args.prompt]).collect()),
            ("Show the session", vec!["oauth", "status"]),
            ("Sign out", vec!["oauth", "logout"]),
        ];
        for (number, (title, args)) in (1..).zip(steps) {
            context.say(&format!("\n{number}. {title}\n$ nexus {}", typed(&args)));
            let code = step(&args, home.path(), approval, &sandbox, signals, context).await?;
            if code != 0 {
                // The hint of the failed command does not help once its sandbox is gone.
                context.say("\nThe demo stops here. Run `nexus demo` to start again.");
                return Ok(code);
            }
        }
        home.close().map_err(CliError::system("removing the temporary home"))?;
        context.say(
            "\nDone. To use Claude, run `nexus oauth start URL` with the URL of your gateway or authorization server. \
             The README has the other ways to sign in.",
        );
        Ok(0)
    })
}

/// A temporary folder with mode 0700 whatever the umask.
fn private_home() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("nexus-demo-");
    #[cfg(unix)]
    {
        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::PermissionsExt as _;
        let private = Permissions::from_mode(0o700);
        let home = builder.permissions(private.clone()).tempdir()?;
        // The umask may have removed the owner's permissions.
        set_permissions(home.path(), private)?;
        Ok(home)
    }
    #[cfg(not(unix))]
    builder.tempdir()
}

/// The error of a home folder that cannot be created.
fn no_home(error: &io::Error) -> CliError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "the folder for temporary files does not exist".to_owned(),
        // The error's own text names the folder that does not exist.
        kind => format!("cannot create a temporary folder: {kind}"),
    };
    let hint = "set TMPDIR to a writable folder, then run `nexus demo` again".into();
    CliError::File { path: std::env::temp_dir(), reason: why, hint }
}

/// The configuration for this sandbox.
fn config(sandbox: &Sandbox) -> String {
    format!(
        "default = \"sandbox\"\nhistory = false\n\n\
         [provider.sandbox]\n\
         authorize_url = \"{}\"\n\
         token_url = \"{}\"\n\
         revoke_url = \"{}\"\n\
         client_id = \"nexus-demo\"\n\
         redirect_uri = \"http://127.0.0.1:0/callback\"\n\
         scopes = [\"model.request\", \"model.read\"]\n\
         api_url = \"{}\"\n",
        sandbox.url(Endpoint::Authorize),
        sandbox.url(Endpoint::Token),
        sandbox.url(Endpoint::Revoke),
        sandbox.origin(),
    )
}

/// A command line as it is typed.
fn typed(args: &[&str]) -> String {
    args.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Runs a nexus command. Returns its exit code.
///
/// # Errors
/// Why it could not run, or the signal that ended it.
async fn step(
    args: &[&str],
    home: &Path,
    approval: Approval,
    sandbox: &Sandbox,
    signals: &mut Signals,
    context: &Context,
) -> Result<u8> {
    let program = std::env::current_exe().map_err(CliError::system("finding the nexus program"))?;
    let mut command = Command::new(program);
    if context.verbose {
        command.arg("--verbose");
    }
    command.args(args).env_clear().env("NEXUS_HOME", home).stdin(Stdio::null()).kill_on_drop(true);
    for name in KEPT_VARIABLES {
        if let Some(value) = environment::variable(name) {
            command.env(name, value);
        }
    }
    let approves = match approval {
        Approval::ByDemo(why) if args == ["oauth", "start"] => Some(why),
        _ => None,
    };
    if approves.is_some() {
        command.arg("--no-browser").stderr(Stdio::piped());
    }
    let mut child = command.spawn().map_err(CliError::system("starting nexus"))?;
    let stderr = child.stderr.take();
    let ended = async {
        if let (Some(stderr), Some(why)) = (stderr, approves) {
            approve(BufReader::new(stderr), why, sandbox, context).await?;
        }
        child.wait().await.map_err(CliError::system("waiting for nexus"))
    };
    let status = tokio::select! {
        // First: a command that ended because of the signal is not a failed one.
        biased;
        signal = signals.next() => {
            end(&mut child, signals).await;
            return Err(signal.into());
        }
        status = ended => status?,
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Waits until a command has ended after a signal. It may have turned off echo, which it restores only while this
/// process keeps the terminal from the shell.
async fn end(child: &mut Child, signals: &mut Signals) {
    // The terminal sends its signals to the command too.
    if timeout(GRACE, child.wait()).await.is_ok() {
        return;
    }
    // Another process sends them to this one only.
    #[cfg(unix)]
    if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    #[cfg(not(unix))]
    let _ = child.start_kill();
    tokio::select! {
        _ = child.wait() => {}
        // Dropping the command kills it.
        _ = signals.next() => {}
    }
}

/// Copies the output of `nexus oauth start`, and approves the sign-in at the URL that it prints.
async fn approve(
    mut output: BufReader<tokio::process::ChildStderr>,
    why: &str,
    sandbox: &Sandbox,
    context: &Context,
) -> Result<()> {
    let (mut line, mut url) = (String::new(), None);
    while output.read_line(&mut line).await.map_err(CliError::system("reading the output of nexus"))? > 0 {
        let text = line.trim_end();
        context.say(text);
        if text.starts_with(&sandbox.url(Endpoint::Authorize)) {
            url = Some(text.to_owned());
        } else if !text.is_empty()
            // The line after the URL is the last one before the sign-in.
            && let Some(url) = url.take()
        {
            context.say(&format!("(approving the sign-in: {why})"));
            let back = Sandbox::approve(&url).await.map_err(CliError::system("approving"))?;
            // `nexus oauth start` answers this request and prints its outcome at the same time.
            tokio::spawn(async move { Sandbox::visit(&back).await });
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_they_are_typed() {
        assert_eq!(typed(&["oauth", "start"]), "oauth start");
        assert_eq!(typed(&["chat", "Hello, Claude!"]), "chat 'Hello, Claude!'");
    }
}
