//! `nexus doctor`: finds what is wrong, and says how to fix it.

use serde_json::{Value, json};

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::config;
use crate::cli::context::Context;
use crate::cli::environment::variable;
use crate::cli::error::Result;
use crate::cli::findings::{Finding, Findings, files, network, session, variables};
use crate::cli::paths::Paths;
use nexus::{ErrorClass, RetryPolicy};

const EXAMPLES: &str = "\
Examples:
  nexus doctor
  nexus doctor --offline --provider work";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to check, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Check only what is on this machine
    #[arg(long)]
    offline: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let findings = examine(args, context)?;
    match args.json {
        true => {
            let objects: Vec<Value> = findings.iter().map(Finding::object).collect();
            context.print_object(&json!({ "version": 1, "findings": objects }))?;
        }
        false => context.print_prose(&findings.iter().map(Finding::lines).collect::<String>())?,
    }
    Ok(findings.exit_code())
}

fn examine(args: &Args, context: &Context) -> Result<Findings> {
    let context = &context.only_looking();
    let mut findings = Findings::default();
    let Paths { config, folders } = Paths::find()?;
    files::check_modes(&folders, &mut findings);
    let stored = || context.signed_in_providers().unwrap_or_default();
    let loaded = config::load_stored(&config, &variable, args.provider.as_deref(), &stored);
    let Some((configured, broken)) = findings.ok(loaded) else { return Ok(findings) };
    context.introduce(&configured);
    for warning in &configured.warnings {
        findings.add(Finding::new("warning", ErrorClass::Configuration, warning, "change that, or leave it as it is"));
    }
    // A provider that needs no user keeps its token in memory if nothing can be written.
    let is_in_files = !configured.store.is_shared() && configured.provider.grant.needs_user();
    let is_broken = broken.is_some();
    if let Some(error) = broken {
        findings.add(error);
    }
    // One try shows what is wrong.
    let policy = RetryPolicy { retries: Some(0), ..RetryPolicy::default() };
    let client = context.client_as(configured, &folders).with_retry_policy(policy);
    if !is_broken {
        variables::check(client.provider(), &config, &mut findings);
        network::check_routes(&client, &mut findings);
    }
    if is_in_files && findings.ok(folders.check_writable()).is_none() && !files::are_readable(&folders) {
        return Ok(findings);
    }
    if is_in_files {
        files::check_access(&folders, &mut findings);
    }
    findings.ok(context.history()?.newest());
    let session = session::check(&client, is_broken, context, &mut findings)?;
    if !args.offline && !is_broken {
        network::check(&client, session, context, &mut findings)?;
    }
    Ok(findings)
}
