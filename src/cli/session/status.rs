//! The state of a stored session: its line, its JSON object and its exit code.

use serde_json::{Value, json};

use crate::cli::error::run_start;
use nexus::internal::clean::clean;
use nexus::internal::time;
use nexus::{Client, Session};

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
            None if renewable => Self::Refreshable,
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
}

/// A session with a provider, or none, at a time.
pub(crate) struct Status<'a> {
    provider: &'a str,
    session: Option<&'a Session>,
    state: State,
    /// Whether a new token comes without the session's owner.
    renewable: bool,
    /// In Unix seconds.
    now: i64,
}

impl<'a> Status<'a> {
    pub(crate) fn of(client: &'a Client, session: Option<&'a Session>) -> Self {
        let now = session.map_or_else(nexus::now, Session::now);
        let begins = client.begins_without_user(session);
        let session = session.filter(|_| !begins);
        let renewable = session.map_or(begins, |session| client.can_renew(session) && session.refused_at().is_none());
        Self::at(&client.provider().name, session, renewable, now)
    }

    fn at(provider: &'a str, session: Option<&'a Session>, renewable: bool, now: i64) -> Self {
        Self { provider, session, state: State::of(session, renewable, now), renewable, now }
    }

    /// 0 if a command gets a token, 4 if a person has to sign in.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.state {
            State::Active | State::Refreshable => 0,
            State::Refused | State::Expired | State::Dead | State::None => 4,
        }
    }

    /// The account, on one line.
    pub(crate) fn account(&self) -> Option<String> {
        self.session.and_then(Session::account).map(clean)
    }

    /// The provider and the account.
    pub(crate) fn title(&self) -> String {
        let provider = clean(self.provider);
        self.account().map_or_else(|| provider.clone(), |account| format!("{provider} ({account})"))
    }

    pub(crate) fn line(&self) -> String {
        let (now, start) = (self.now, run_start(self.provider).replace('`', ""));
        let Some(session) = self.session else {
            return match self.renewable {
                true => "No token yet, one is fetched on next use".to_owned(),
                false => format!("Not signed in: {start}"),
            };
        };
        let past = match session.expires_at {
            // The clock was set back to before the token was issued.
            Some(at) if at > now => "dated ahead of this machine's clock".to_owned(),
            at => format!("expired {} ago", time::span(now.saturating_sub(at.unwrap_or(now)))),
        };
        let left = session.expires_at.map_or_else(
            || "expiry unknown".to_owned(),
            |at| format!("expires in {}", time::span(at.saturating_sub(now))),
        );
        let refused_at = session.refused_at().map(time::rfc3339);
        match (self.state, self.renewable) {
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

    /// The fields of the session, without a version.
    pub(crate) fn object(&self) -> Value {
        let expires_at = self.session.and_then(|session| session.expires_at);
        json!({
            "provider": self.provider,
            "state": self.state.as_str(),
            "expires_at": expires_at.map(time::rfc3339),
            "expires_in": expires_at.map(|at| at.saturating_sub(self.now)),
            "auto_refresh": self.renewable,
            "scopes": self.session.map(|session| &*session.scopes).unwrap_or_default(),
            "token_type": self.session.map(|session| &session.token_type),
            "account": self.session.and_then(Session::account),
        })
    }
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
            id_token: None,
            token_type: "Bearer".into(),
            scopes: Vec::new(),
            issued_at,
            expires_at,
            metadata: serde_json::Map::new(),
            binding: SessionBinding {
                issuer: None,
                client_id: "c".into(),
                client_auth: ClientAuth::None,
                token_url: Url::parse("https://id.example.com/token").ok(),
                revoke_url: None,
                revoking_unlinks: false,
                revoke_auth: None,
                api_url: None,
                resource: None,
                registered: None,
                settings: None,
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
            let status = Status::at("claude_code", session.as_ref(), renewable, NOW);
            assert_eq!(status.line(), line);
            assert_eq!(status.exit_code(), code, "{line}");
        }
        let without_user = Status::at("work", None, true, NOW);
        assert_eq!(without_user.line(), "No token yet, one is fetched on next use");
        assert_eq!((without_user.exit_code(), without_user.object()["state"].as_str()), (0, Some("refreshable")));
        let line = Status::at("work", None, false, NOW).line();
        assert_eq!(line, "Not signed in: run nexus oauth start --provider work");
    }
}
