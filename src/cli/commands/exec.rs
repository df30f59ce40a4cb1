//! `nexus exec`: runs a program that uses the session.

use std::ffi::OsString;
use std::process::Command;

use tokio::sync::oneshot;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::child_environment::{ChildEnvironment, with_token};
use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::{Context, runtime};
use crate::cli::error::CliError;
use crate::cli::local_proxy::{bind, new_key};
use crate::cli::program;
use crate::cli::terminal::{Signals, child};
use nexus::{Client, Freshness};

const EXAMPLES: &str = "\
Examples:
  nexus exec -- claude
  nexus exec --provider work -- python3 app.py";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to use, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Hand over the access token itself; it ends while a long-running program still needs it
    #[arg(long)]
    env: bool,

    /// Program to run, and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    context.session(&client)?;
    match args.env {
        true => run_with_token(args, &client, context),
        false => run_with_proxy(args, &client, context),
    }
}

/// Runs the program with a proxy that ends with it.
fn run_with_proxy(args: &Args, client: &Client, context: &Context) -> Done {
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let key = new_key()?;
        let printed = key.expose().to_owned();
        let proxy = bind(client.clone(), key, "127.0.0.1", 0).await?;
        let environment = ChildEnvironment::of_proxy(client.provider().api.dialect, &proxy.url(), printed);
        let mut running = child::start(command(args, &environment, context)).map_err(|error| failed(args, &error))?;
        let (_end, ended) = oneshot::channel::<()>();
        let serving = proxy.serve(async {
            let _ = ended.await;
        });
        let code = tokio::select! {
            code = running.exit_code() => code,
            () = serving => 1,
        };
        drop(running);
        context.wait_for_saves(&mut Signals::listen()?, false).await;
        Ok(code)
    });
    runtime.shutdown_background();
    code
}

/// Runs the program with the token in its environment.
fn run_with_token(args: &Args, client: &Client, context: &Context) -> Done {
    let loaded = context.session(client)?;
    let session = context.block_on(async { Ok(client.ensure_fresh("", Freshness::Export, loaded).await?) })?;
    let environment = with_token(client.provider(), &session.access_token)?;
    child::replace_with(command(args, &environment, context)).map_err(|error| failed(args, &error))
}

fn command(args: &Args, environment: &ChildEnvironment, context: &Context) -> Command {
    // clap requires a program.
    let (program, arguments) = args.command.split_at(1);
    let mut command = Command::new(&program[0]);
    command.args(arguments);
    for name in environment.removed() {
        command.env_remove(&name);
        if context.verbose {
            context.say(&format!("* {name} is removed for the program"));
        }
    }
    command.envs(environment.set());
    command
}

fn failed(args: &Args, error: &std::io::Error) -> CliError {
    let program = args.command.first().map(OsString::as_os_str).unwrap_or_default();
    let command = program.to_string_lossy().into_owned();
    match error.kind() {
        std::io::ErrorKind::NotFound if program::find(program).is_none() => CliError::CommandNotFound { command },
        // What the system found out about the program in a script's first line, it says of the script.
        std::io::ErrorKind::NotFound => CliError::CommandNotExecutable {
            command,
            reason: "the interpreter in its first line does not exist".into(),
        },
        _ => CliError::CommandNotExecutable { command, reason: error.to_string() },
    }
}
