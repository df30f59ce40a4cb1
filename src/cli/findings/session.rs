//! The store, its key, and the session in it.

use std::ffi::OsStr;

use super::{Finding, Findings};
use crate::cli::context::{Context, runtime};
use crate::cli::error::{CliError, Result, run_start};
use crate::cli::program;
use crate::cli::session::status::Status;
use nexus::error::ProviderError;
use nexus::internal::time;
use nexus::{Client, ErrorClass, Grant, Session, TokenCommand};

/// How much life a token without a refresh token must have left, in seconds.
const SHORT: i64 = 3_600;

/// How far a token may be dated ahead of the clock, in seconds.
const TOLERANCE: i64 = 60;

/// Checks the store and the session. Returns a session that can be used. Does not tell what a configuration that
/// `is_broken` leaves out.
pub(crate) fn check(
    client: &Client,
    is_broken: bool,
    context: &Context,
    findings: &mut Findings,
) -> Result<Option<Session>> {
    findings.ok(runtime()?.block_on(client.check()));
    if let Grant::Command(command) = &client.provider().grant {
        findings.ok(find_program(&client.provider().name, command));
    }
    let Some(found) = findings.ok(context.find_session(client)) else { return Ok(None) };
    let provider = client.provider();
    let Some(session) = found else {
        if is_broken {
            return Ok(None);
        }
        let is_found_out = [provider.issuer.is_some(), provider.gateway.is_some(), provider.registration.url.is_some()];
        let needs_client = !matches!(provider.grant, Grant::Command(_));
        if needs_client && provider.client.is_none() && !is_found_out.contains(&true) {
            findings.add(CliError::from(ProviderError::NoClientId { provider: provider.name.clone() }));
        }
        findings.ok(context.session(client));
        return Ok(None);
    };
    if findings.ok(context.session(client)).is_none() {
        return Ok(None);
    }
    let (now, start) = (session.now(), run_start(&provider.name));
    let mut sign_in = |reason, problem: String| {
        findings.add(Finding::new(reason, ErrorClass::SignIn, problem, start.clone()));
    };
    let status = Status::of(client, Some(&session));
    let left = session.expires_at.map(|at| at.saturating_sub(now));
    if status.exit_code() != 0 {
        let why =
            if session.refused_at().is_some() { "the server refused to refresh it" } else { "it cannot be refreshed" };
        sign_in("token_expired", format!("the access token of {} has expired, and {why}", status.title()));
        return Ok(None);
    }
    if session.refused_at().is_some() {
        sign_in("refresh_refused", format!("the server refused to refresh the token of {}", status.title()));
    } else if let Some(left) = left.filter(|left| *left < SHORT && !client.can_renew(&session)) {
        let title = status.title();
        sign_in("token_ends", format!("the token of {title} expires in {}, and cannot be refreshed", time::span(left)));
    }
    let ahead = session.issued_at.saturating_sub(now);
    if ahead > TOLERANCE {
        findings.add(super::network::wrong_clock(format!("{} behind the time of the sign-in", time::span(ahead))));
    }
    Ok(Some(session))
}

/// Looks for the program that prints the tokens.
fn find_program(provider: &str, command: &TokenCommand) -> Result<()> {
    let program = command.command.words.first().map(String::as_str).unwrap_or_default();
    if program::find(OsStr::new(program)).is_some() {
        return Ok(());
    }
    Err(CliError::Configuration {
        message: format!("`token_command` of {provider} runs `{program}`, and there is no such program"),
        hint: format!("install `{program}`, or add its folder to PATH"),
    })
}
