//! `nexus demo`: the whole job with nothing configured and no network. A sandbox on loopback plays
//! the authorization server and the model; everything else is the program's own commands, run one
//! after the other in a throw-away home.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::environment;
use crate::cli::error::{CliError, Result};
use nexus::sandbox::{Endpoint, RedirectRule, Sandbox, Settings};

/// What a browser and a terminal need of the environment; the commands get nothing else, so that
/// nobody's configuration can reach into the demo.
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

/// Try nexus against a built-in sandbox, without configuration or network
///
/// The sandbox acts as the authorization server and the model, so the answers come from the sandbox, not
/// from Claude. Nothing leaves this machine, and nothing is left on it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Question to ask the sandbox
    #[arg(default_value = "Hello, Claude!")]
    prompt: String,

    /// Approve the sign-in without a browser
    #[arg(long, short)]
    yes: bool,
}

/// Who approves the sign-in.
#[derive(Clone, Copy)]
enum Approval {
    ByPerson,
    /// Why.
    ByDemo(&'static str),
}

/// Runs start, chat, status and logout against the sandbox.
///
/// # Errors
/// What the machine would not do. A command that fails has said why itself; its exit code is ours.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    // A hyphen alone means stdin to the chat, and that gets none here.
    if matches!(args.prompt.trim(), "" | "-") {
        return Err(CliError::usage("demo", "no question: pass one as an argument, or no argument at all"));
    }
    context.wait(async {
        let home = tempfile::Builder::new().prefix("nexus-demo-").tempdir().map_err(|error| homeless(&error))?;
        let sandbox = Sandbox::start(Settings {
            client_id: "nexus-demo".into(),
            redirect: RedirectRule::AnyPort("http://127.0.0.1/callback".into()),
            ..Settings::default()
        })
        .await
        .map_err(CliError::system("starting the sandbox"))?;
        std::fs::write(home.path().join("config.toml"), config(&sandbox))
            .map_err(CliError::system("configuring the demo"))?;

        let approval = match args.yes {
            true => Approval::ByDemo("--yes"),
            false if context.is_attended() && context.has_browser() => Approval::ByPerson,
            false => Approval::ByDemo("no browser here"),
        };
        context.say(&format!(
            "nexus demo: a sandbox on {} acts as the authorization server and the model.\n\
             The answers come from the sandbox, not from Claude. Nothing leaves this machine, and nothing is left on it.",
            sandbox.origin()
        ));
        if let Approval::ByDemo(why) = approval {
            context.say(&format!("The demo approves the sign-in itself ({why})."));
        }
        // `--` keeps a prompt that begins with a hyphen a prompt.
        let hyphen = args.prompt.starts_with('-').then_some("--");
        let steps = [
            ("Sign in", vec!["oauth", "start"]),
            ("Ask a question", ["chat"].into_iter().chain(hyphen).chain([&*args.prompt]).collect()),
            ("Show the session", vec!["oauth", "status"]),
            ("Sign out", vec!["oauth", "logout"]),
        ];
        for (number, (title, words)) in (1..).zip(steps) {
            context.say(&format!("\n{number}. {title}\n$ nexus {}", typed(&words)));
            let code = step(&words, home.path(), approval, &sandbox, context).await?;
            if code != 0 {
                // The step named its own way out, but its sandbox and its home are about to be gone.
                context.say("\nThe demo stops here. Run `nexus demo` to start again.");
                return Ok(code);
            }
        }
        home.close().map_err(CliError::system("removing the throw-away home"))?;
        context.say("\nDone. To use Claude, register an OAuth client (see the README), then run `nexus oauth start`.");
        Ok(0)
    })
}

/// There is no folder for a throw-away home.
fn homeless(error: &io::Error) -> CliError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "the folder for temporary files does not exist".to_owned(),
        // Without the name that was tried, which is no folder of anybody's.
        kind => format!("cannot create a temporary folder: {kind}"),
    };
    let hint = "set TMPDIR to a writable folder, then run `nexus demo` again".into();
    CliError::File { path: std::env::temp_dir(), reason: why, hint }
}

/// The configuration a person would write for this sandbox.
fn config(sandbox: &Sandbox) -> String {
    format!(
        "default = \"sandbox\"\n\n\
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

/// A command line as a person types it.
fn typed(words: &[&str]) -> String {
    let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c));
    let quoted =
        |word: &&str| if plain(word) { (*word).to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Runs one of the program's own commands and gives its exit code.
async fn step(words: &[&str], home: &Path, approval: Approval, sandbox: &Sandbox, context: &Context) -> Result<u8> {
    let program = std::env::current_exe().map_err(CliError::system("finding nexus itself"))?;
    let mut command = Command::new(program);
    if context.verbose {
        command.arg("--verbose");
    }
    command.args(words).env_clear().env("NEXUS_HOME", home).stdin(Stdio::null()).kill_on_drop(true);
    for name in KEPT_VARIABLES {
        if let Some(value) = environment::variable(name) {
            command.env(name, value);
        }
    }
    let approves = match approval {
        Approval::ByDemo(why) if words == ["oauth", "start"] => Some(why),
        _ => None,
    };
    if approves.is_some() {
        command.arg("--no-browser").stderr(Stdio::piped());
    }
    let mut child = command.spawn().map_err(CliError::system("starting nexus itself"))?;
    if let (Some(stderr), Some(why)) = (child.stderr.take(), approves) {
        approve(BufReader::new(stderr), why, sandbox, context).await?;
    }
    let status = child.wait().await.map_err(CliError::system("waiting for nexus itself"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Passes on what `nexus oauth start` says and, when it names the URL, does what a person at a
/// browser would do: approve, and follow the redirects to the page that tells the outcome.
async fn approve(
    mut said: BufReader<tokio::process::ChildStderr>,
    why: &str,
    sandbox: &Sandbox,
    context: &Context,
) -> Result<()> {
    let (mut line, mut url) = (String::new(), None);
    while said.read_line(&mut line).await.map_err(CliError::system("listening to nexus itself"))? > 0 {
        let text = line.trim_end();
        context.say(text);
        if text.starts_with(&sandbox.url(Endpoint::Authorize)) {
            url = Some(text.to_owned());
        } else if text.starts_with("Waiting")
            && let Some(url) = url.take()
        {
            context.say(&format!("(approving the sign-in: {why})"));
            let back = Sandbox::approve(&url).await.map_err(CliError::system("approving"))?;
            // `start` is still talking while it answers the browser, so both happen at once; what
            // came of it, it says itself.
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
        assert_eq!(typed(&["chat", "it's"]), r"chat 'it'\''s'");
    }
}
