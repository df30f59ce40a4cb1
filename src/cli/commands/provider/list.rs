//! `nexus provider list`: lists the configured providers, one per line.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::config;
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::error::CliError;
use crate::cli::paths::Paths;
use crate::cli::session::status::Status;
use nexus::{ProviderConfig, Session};

const EXAMPLES: &str = "\
Examples:
  nexus provider list
  nexus provider list --json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let path = Paths::find()?.config;
    let (mut names, listed) = (config::names(&path)?, context.signed_in_providers());
    // The configured providers are shown all the same.
    let code = listed.as_ref().err().map_or(0, CliError::exit_code);
    if let Err(error) = &listed {
        context.warn_error(error);
    }
    let stored = listed.unwrap_or_default();
    let default = config::default_name(&path, &variable, &|| stored.clone())?;
    if let Err(unknown) = config::check_name(&path, &default) {
        context.warn_error(&unknown);
    }
    // Built-in providers need no section.
    for used in stored.iter().chain([&default]) {
        if !names.contains(used) && ProviderConfig::built_in(used).is_some() {
            names.push(used.clone());
        }
    }
    let (mut lines, mut objects) = (String::new(), Vec::new());
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for name in &names {
        let client = context.stored_client(Some(name))?;
        let found = context.find_session(&client);
        if let Err(error) = &found {
            context.warn_error(error);
        }
        let is_readable = found.is_ok();
        let session = found.ok().flatten().filter(Session::has_token);
        let status = Status::of(&client, session.as_ref());
        let signed_in = status.exit_code() == 0;
        let (is_default, is_built_in) = (*name == default, ProviderConfig::built_in(name).is_some());
        let mut facts: Vec<String> = Vec::new();
        facts.extend(is_default.then(|| "default".into()));
        facts.extend(is_built_in.then(|| "built in".into()));
        let account = status.account().map(|account| format!(" as {account}")).unwrap_or_default();
        facts.push(match (signed_in, &session) {
            _ if !is_readable => "the session cannot be read".into(),
            (true, None) => "needs no sign-in".into(),
            (true, Some(_)) => format!("signed in{account}"),
            (false, Some(_)) => format!("was signed in{account}, sign in again"),
            (false, None) => "not signed in".into(),
        });
        lines += &format!("{name:width$}  {}\n", facts.join(", "));
        let object = status.object();
        let state = if is_readable { object["state"].clone() } else { serde_json::Value::Null };
        objects.push(json!({
            "name": name,
            "default": is_default,
            "built_in": is_built_in,
            "signed_in": signed_in,
            "state": state,
            "account": object["account"],
        }));
    }
    match args.json {
        true => context.print_object(&json!({ "version": 1, "providers": objects }))?,
        false => context.print_prose(&lines)?,
    }
    for other in stored.into_iter().filter(|other| !names.contains(other)) {
        context.note(&format!(
            "also signed in to {other}, which is not configured; `nexus oauth logout --provider {other}` signs out"
        ));
    }
    Ok(code)
}
