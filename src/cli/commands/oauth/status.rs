//! `nexus oauth status`: shows the stored session.

use serde_json::json;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::session::not_signed_in_hint;
use crate::cli::error::{CliError, json as error_json, run_start, worst};
use crate::cli::session::status::Status;
use nexus::internal::clean::clean;
use nexus::internal::provider::BUILT_IN;
use nexus::{Client, Session};

const EXAMPLES: &str = "\
Examples:
  nexus oauth status
  nexus oauth status --all --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to show, as named in config.toml
    #[arg(long, short, value_name = "NAME", conflicts_with = "all")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Show every session, also of providers that are no longer configured
    ///
    /// The exit code is 0 only if a token can be had from each of them.
    #[arg(long)]
    all: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows it. A broken configuration is a warning, and an expired session an exit code.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let context = context.with_config_warnings();
    if args.all {
        return all(args, &context);
    }
    let client = context.stored_client(args.provider.as_deref())?;
    let session = context.find_session(&client)?;
    match &session {
        Some(session) => drop(warn_if_bound_elsewhere(session, &client, &context)),
        None if args.provider.is_some() || client.begins_without_user(None) => {}
        None => {
            let others = context.signed_in_providers()?;
            if !others.is_empty() {
                context.say(&format!("note: {}", not_signed_in_hint(&client.provider().name, &others)));
            }
        }
    }
    let status = Status::of(&client, session.as_ref());
    if args.json {
        let mut object = status.object();
        object["version"] = 1.into();
        context.print_object(&object)?;
    } else {
        let owner = match context.stdout_is_terminal() {
            true => format!("{}\n", whose(&client, &status)),
            false => String::new(),
        };
        context.print_prose(&format!("{}\n{owner}", status.line()))?;
    }
    Ok(status.exit_code())
}

/// The provider and the account.
fn whose(client: &Client, status: &Status<'_>) -> String {
    let provider = format!("Provider {}", clean(&client.provider().name));
    status.account().map_or_else(|| provider.clone(), |account| format!("{provider}, account {account}"))
}

fn all(args: &Args, context: &Context) -> Done {
    let (mut lines, mut objects, mut codes) = (String::new(), Vec::new(), Vec::new());
    for provider in context.signed_in_providers()? {
        let client = context.stored_client(Some(&provider))?;
        let session = match context.find_session(&client) {
            // It was signed out a moment ago.
            Ok(None) => continue,
            Ok(Some(session)) => session,
            Err(error @ CliError::Interrupted(_)) => return Err(error),
            // The other sessions are shown all the same.
            Err(error) => {
                context.fail(&error);
                lines += &format!("{}: Session cannot be read\n", clean(&provider));
                objects.push(json!({ "provider": provider, "state": null, "error": error_json::object(&error) }));
                codes.push(error.exit_code());
                continue;
            }
        };
        let status = Status::of(&client, Some(&session));
        lines += &format!("{}: {}\n", status.title(), status.line());
        objects.push(status.object());
        codes.push(warn_if_bound_elsewhere(&session, &client, context).unwrap_or_else(|| status.exit_code()));
    }
    if objects.is_empty() {
        lines = format!("Not signed in: {}\n", run_start(BUILT_IN).replace('`', ""));
        codes.push(4);
    }
    match args.json {
        true => context.print_object(&json!({ "version": 1, "sessions": objects }))?,
        false => context.print_prose(&lines)?,
    }
    Ok(worst(&codes))
}

/// Warns if the session cannot be used with the configured client or server. Returns the exit code of the commands that
/// would use it.
fn warn_if_bound_elsewhere(session: &Session, client: &Client, context: &Context) -> Option<u8> {
    // A session that begins without a user is replaced if the configuration changes.
    if client.begins_without_user(Some(session)) {
        return None;
    }
    let elsewhere = CliError::from(session.check_binding(client.provider()).err()?);
    context.warn_error(&elsewhere);
    Some(elsewhere.exit_code())
}
