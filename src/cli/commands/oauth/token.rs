//! `nexus oauth token`: a credential helper for other programs.

use std::time::Duration;

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use nexus::internal::time;
use nexus::{Freshness, Session};

/// Print a fresh access token and nothing else
///
/// It has at least 330 seconds or half its lifetime left, whichever is less; it is refreshed once if
/// it has to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use this provider of config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Ask for a token that lives at least so long (90s, 5m, 1h)
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    min_ttl: Option<Duration>,

    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the token.
///
/// # Errors
/// Why there is none.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.client(args.provider.as_deref())?;
    let freshness = match args.min_ttl {
        Some(wanted) => Freshness::AtLeast(i64::try_from(wanted.as_secs()).unwrap_or(i64::MAX)),
        None => Freshness::Export,
    };
    let seen = context.session(&client)?;
    let (generation, refreshable) = (seen.generation, seen.refreshable);
    let session = match seen.is_fresh(freshness, seen.now()) {
        true => seen,
        false => context.wait(async {
            let _seen = context.progress();
            context.waiting("refreshing the token");
            Ok(client.ensure_fresh("", freshness, seen).await?)
        })?,
    };
    // Where the refresh failed, that was said already.
    if let (Some(wanted), Some(left)) = (args.min_ttl, left(&session))
        && left < i64::try_from(wanted.as_secs()).unwrap_or(i64::MAX)
        && (session.generation != generation || !refreshable)
    {
        let why = match refreshable {
            true => "the server gives none that lives longer",
            false => "there is no refresh token to get another one with",
        };
        context.say(&format!("note: the token lives for {} only; {why}", time::span(left)));
    }
    match args.json {
        true => context.print_object(&object(&client.provider().name, &session))?,
        false => context.print(&format!("{}\n", session.access_token.expose()))?,
    }
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
