//! `nexus oauth status`: shows the stored session.

use serde_json::json;

use crate::cli::commands::Done;
use crate::cli::context::Context;
use crate::cli::error::run_start;
use crate::cli::error::session::not_signed_in_hint;
use nexus::Session;
use nexus::internal::time;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Provider to show, as named in config.toml
    #[arg(long, short, value_name = "NAME")]
    provider: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Active,
    Refreshable,
    Refused,
    Expired,
    Dead,
    None,
}

impl State {
    /// `renewable` says whether a new token comes without the session's owner.
    fn of(session: Option<&Session>, renewable: bool, now: i64) -> Self {
        match session {
            None => Self::None,
            Some(session) if session.ended_at.is_some() => Self::Dead,
            Some(session) if session.is_valid(now) => Self::Active,
            Some(session) if session.refused_at().is_some() => Self::Refused,
            Some(_) if renewable => Self::Refreshable,
            Some(_) => Self::Expired,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Refreshable => "refreshable",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Dead => "dead",
            Self::None => "none",
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Active | Self::Refreshable => 0,
            Self::Refused | Self::Expired | Self::Dead | Self::None => 4,
        }
    }
}

/// Shows it. A broken configuration is a warning, and an expired session an exit code.
pub(crate) fn run(args: &Args, context: &Context) -> Done {
    let client = context.with_config_warnings().stored_client(args.provider.as_deref())?;
    let provider = &client.provider().name;
    let session = context.find_session(&client)?;
    match &session {
        Some(session) => {
            if let Err(elsewhere) = session.check_binding(client.provider()) {
                context.warn_error(&elsewhere.into());
            }
        }
        None => {
            let others = context.signed_in_providers()?;
            if !others.is_empty() {
                context.say(&format!("note: {}", not_signed_in_hint(provider, &others)));
            }
        }
    }
    let now = session.as_ref().map_or_else(nexus::now, Session::now);
    let renewable = session.as_ref().is_some_and(|session| client.can_renew(session) && session.refused_at().is_none());
    let state = State::of(session.as_ref(), renewable, now);
    match args.json {
        true => context.print_object(&object(provider, session.as_ref(), (state, renewable), now))?,
        false => context.print(&format!("{}\n", message(provider, session.as_ref(), (state, renewable), now)))?,
    }
    Ok(state.exit_code())
}

fn message(provider: &str, session: Option<&Session>, (state, renewable): (State, bool), now: i64) -> String {
    let start = run_start(provider).replace('`', "");
    let Some(session) = session else { return format!("Not signed in: {start}") };
    let past = match session.expires_at {
        // The clock was set back to before the token was issued.
        Some(at) if at > now => "dated ahead of this machine's clock".to_owned(),
        at => format!("expired {} ago", time::span(now.saturating_sub(at.unwrap_or(now)))),
    };
    let left = session
        .expires_at
        .map_or_else(|| "expiry unknown".to_owned(), |at| format!("expires in {}", time::span(at.saturating_sub(now))));
    let refused_at = session.refused_at().map(time::rfc3339);
    match (state, renewable) {
        (State::Active, true) => format!("Token active, {left}, auto-refresh enabled"),
        (State::Active, false) if refused_at.is_some() => {
            let when = if session.expires_at.is_some() { " before that" } else { "" };
            format!("Token active, {left}, but the server refused to refresh it: sign in again{when}")
        }
        (State::Active, false) => format!("Token active, {left}, no refresh token: sign in again after that"),
        (State::Refreshable, _) => format!("Token {past}, will refresh on next use"),
        (State::Refused, _) => {
            let at = refused_at.unwrap_or_default();
            format!("Token {past}, and the server refused to refresh it at {at}: {start}")
        }
        (State::Dead, _) => {
            format!("Session ended by the server at {}: {start}", time::rfc3339(session.ended_at.unwrap_or(now)))
        }
        (State::Expired | State::None, _) => format!("Token {past}, no refresh token: {start}"),
    }
}

fn object(provider: &str, session: Option<&Session>, (state, renewable): (State, bool), now: i64) -> serde_json::Value {
    let expires_at = session.and_then(|session| session.expires_at);
    json!({
        "version": 1,
        "provider": provider,
        "state": state.as_str(),
        "expires_at": expires_at.map(time::rfc3339),
        "expires_in": expires_at.map(|at| at.saturating_sub(now)),
        "auto_refresh": renewable,
        "scopes": session.map(|session| &*session.scopes).unwrap_or_default(),
        "token_type": session.map(|session| &session.token_type),
        "account": session.and_then(Session::account),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus::internal::session::StoreTime;
    use nexus::{AccessToken, ClientAuth, SessionBinding, Url};

    fn session(issued_at: i64, expires_at: Option<i64>) -> Session {
        Session {
            generation: 1,
            access_token: AccessToken::new("a".into()),
            token_type: "Bearer".into(),
            scopes: Vec::new(),
            issued_at,
            expires_at,
            metadata: serde_json::Map::new(),
            binding: SessionBinding {
                issuer: None,
                client_id: "c".into(),
                client_auth: ClientAuth::None,
                token_url: Url::parse("https://id.example.com/token").unwrap(),
                revoke_url: None,
                api_url: None,
            },
            refreshable: true,
            ended_at: None,
            attempts: 0,
            failed: None,
            refreshing_since: None,
            models: None,
            time: StoreTime::read_now(0),
        }
    }

    #[test]
    fn every_state_has_its_line_and_code() {
        const NOW: i64 = 1_761_575_400;
        let good = |expires_in: i64| Some(session(NOW - 100, Some(NOW + expires_in)));
        let unrefreshable = |expires_in| good(expires_in).map(|session| Session { refreshable: false, ..session });
        let dead = good(60).map(|session| Session { ended_at: Some(NOW), ..session });
        for (session, line, code) in [
            (good(12_240), "Token active, expires in 3.4 hours, auto-refresh enabled", 0),
            (
                unrefreshable(12_240),
                "Token active, expires in 3.4 hours, no refresh token: sign in again after that",
                0,
            ),
            (good(-120), "Token expired 2 minutes ago, will refresh on next use", 0),
            (unrefreshable(-120), "Token expired 2 minutes ago, no refresh token: run nexus oauth start", 4),
            (
                Some(session(NOW + 3_600, Some(NOW + 7_200))),
                "Token dated ahead of this machine's clock, will refresh on next use",
                0,
            ),
            (dead, "Session ended by the server at 2025-10-27T14:30:00Z: run nexus oauth start", 4),
            (None, "Not signed in: run nexus oauth start", 4),
            (Some(session(NOW, None)), "Token active, expiry unknown, auto-refresh enabled", 0),
        ] {
            let renewable = session.as_ref().is_some_and(|session| session.refreshable);
            let state = State::of(session.as_ref(), renewable, NOW);
            assert_eq!(message("claude_code", session.as_ref(), (state, renewable), NOW), line);
            assert_eq!(state.exit_code(), code, "{line}");
        }
        assert_eq!(
            message("work", None, (State::None, false), NOW),
            "Not signed in: run nexus oauth start --provider work"
        );
    }
}
