//! `nexus oauth token`: prints an access token for other programs.

use std::time::Duration;

use serde_json::json;

use clap_complete::engine::ArgValueCandidates;

use crate::cli::commands::Done;
use crate::cli::completion::candidates;
use crate::cli::context::Context;
use nexus::internal::time;
use nexus::{Freshness, Session};

const EXAMPLES: &str = "\
Examples:
  nexus oauth token --min-ttl 30m
  curl --fail -H @<(nexus oauth token --format header) \"$API_URL/v1/models\"";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Provider to use, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    #[arg(add = ArgValueCandidates::new(candidates::providers))]
    provider: Option<String>,

    /// Minimum remaining lifetime of the token (90s, 5m, 1h)
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    min_ttl: Option<Duration>,

    /// What to print: the token, or the header that carries it, for `curl -H @<(...)`
    #[arg(long, value_name = "FORMAT", default_value = "bare", conflicts_with = "json")]
    format: Format,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// The token alone
    Bare,
    /// `Authorization: Bearer TOKEN`, or the header that `token_header` of the provider names
    Header,
}

pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    let freshness = match args.min_ttl {
        Some(wanted) => Freshness::AtLeast(i64::try_from(wanted.as_secs()).unwrap_or(i64::MAX)),
        None => Freshness::Export,
    };
    let seen = context.session(&client)?;
    let (generation, renewable) = (seen.generation, client.can_renew(&seen));
    let session = match seen.is_fresh(freshness, seen.now()) {
        true => seen,
        false => context.block_on(async {
            let _progress = context.progress();
            context.waiting("refreshing the token");
            Ok(client.ensure_fresh("", freshness, seen).await?)
        })?,
    };
    // A failed refresh has printed its own note.
    if let (Some(wanted), Some(left)) = (args.min_ttl, left(&session))
        && left < i64::try_from(wanted.as_secs()).unwrap_or(i64::MAX)
        && (session.generation != generation || !renewable)
    {
        let why = match renewable {
            true if client.provider().grant.needs_user() => "the server issues no longer-lived token",
            true => "a new one does not live longer",
            false => "there is no refresh token to get a new one",
        };
        context.say(&format!("note: the token expires in {}; {why}", time::span(left)));
    }
    if args.json {
        context.print_object(&object(&client.provider().name, &session))?;
        return Ok(0);
    }
    let before = match (args.format, &client.provider().api.token_header) {
        (Format::Bare, _) => String::new(),
        (Format::Header, None) => "Authorization: Bearer ".to_owned(),
        (Format::Header, Some(name)) => format!("{name}: "),
    };
    context.print(&format!("{before}{}\n", session.access_token.expose()))?;
    Ok(0)
}

fn left(session: &Session) -> Option<i64> {
    session.expires_at.map(|at| at.saturating_sub(session.now()))
}

fn object(provider: &str, session: &Session) -> serde_json::Value {
    json!({
        "version": 1,
        "provider": provider,
        "access_token": session.access_token.expose(),
        "token_type": session.token_type,
        "expires_at": session.expires_at.map(time::rfc3339),
        "expires_in": left(session),
    })
}
