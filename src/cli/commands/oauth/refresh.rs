//! `nexus oauth refresh`: refreshes tokens ahead of time, for a timer.

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use crate::cli::error::{CliError, worst};
use nexus::internal::clean::clean;
use nexus::internal::time;
use nexus::{Client, Freshness};

const EXAMPLES: &str = "\
Examples:
  nexus oauth refresh --all
  nexus oauth refresh --provider work --force";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to refresh, as named in config.toml
    #[arg(long, short, value_name = "NAME", conflicts_with = "all")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Refresh every session
    ///
    /// The exit code is the worst one: 1, then 2, 4 and 75.
    #[arg(long)]
    all: bool,

    /// Refresh tokens of any age
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    if !args.all {
        return refresh(&context.client(args.provider.as_deref())?, args.force, context);
    }
    let mut codes = Vec::new();
    for provider in context.signed_in_providers()? {
        let refreshed = context.client(Some(&provider)).and_then(|client| refresh(&client, args.force, context));
        codes.push(match refreshed {
            Ok(code) => code,
            Err(error @ CliError::Interrupted(_)) => return Err(error),
            Err(error) => {
                context.fail(&error);
                error.exit_code()
            }
        });
    }
    if codes.is_empty() {
        context.say("Not signed in");
        codes.push(4);
    }
    Ok(worst(&codes))
}

/// Refreshes the session if its token is past half its lifetime, or in any case.
fn refresh(client: &Client, force: bool, context: &Context) -> Done {
    let seen = context.session(client)?;
    let provider = clean(&client.provider().name);
    if force && !client.can_renew(&seen) && seen.is_valid(seen.now()) {
        context.say(&format!("{provider}: there is no refresh token, so the token cannot be refreshed"));
        return Ok(4);
    }
    let freshness = if force { Freshness::Requested(seen.generation) } else { Freshness::HalfLife };
    if seen.is_fresh(freshness, seen.now()) {
        return Ok(0);
    }
    let generation = seen.generation;
    let session = context.block_on(async {
        let _progress = context.progress();
        context.waiting("refreshing the token");
        Ok(client.ensure_fresh("", freshness, seen).await?)
    })?;
    // A log of a timer has only what went wrong.
    if session.generation != generation && context.is_attended() {
        let left = session.expires_at.map(|at| time::span(at.saturating_sub(session.now())));
        let expires = left.map_or_else(String::new, |left| format!(", expires in {left}"));
        context.say(&format!("{provider}: token refreshed{expires}"));
    }
    Ok(0)
}
