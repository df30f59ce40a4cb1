//! The session: what a sign-in leaves behind, where it lies, and how it stays alive.
//!
//! [`vault`] is the file, [`seal`] its encryption, [`key`] where the key to that is kept, [`hold`] the
//! lock between processes, and [`renew`] the one question that everybody asks: a usable access token, please. The refresh token
//! is readable only through [`vault::Held`], that is, while the lock is held.
//!
//! # Clocks
//!
//! A lifetime is a span, so two clocks that differ do no harm as long as each counts by itself.
//! [`Session::expires_at`] is this machine's time from before the request was sent, plus the seconds
//! that the server said: never the server's time, and never later than the server's own count. What can
//! go wrong is one clock that jumps between two looks at it, by hours where a machine wakes up or learns
//! the time:
//!
//! - set forward, the token seems older than it is. It is refreshed too early, once, and the new one is
//!   counted by the new time;
//! - set back behind the token's birth, its age is anybody's guess, and it counts as expired: the same;
//! - set back within the token's life, it seems to live longer than it does, and nothing here can know.
//!   The API then answers 401, which renews it whatever the clock says ([`Need::OtherThan`]).
//!
//! None of them spins: a command refreshes once for the clock, and takes what that brings even if the
//! clock calls it dead; once more if the API rejects it, and that is the end.
//!
//! The server's `Date` is used where the two clocks meet. Some servers name the time of a token's end
//! instead of its lifetime; that is a time by *their* clock, so the life is counted from the `Date` of
//! the same answer ([`crate::oauth::TokenResponse`]). And a sign-in that finds the clocks far apart says so
//! ([`clocks_apart`]), because certificates, logs and every time that nexus shows are wrong then. The
//! difference itself is not kept: nothing that is decided here would be decided better with it.

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};
use crate::oauth::{self, TokenResponse};
use crate::provider::{ClientAuth, Provider, Url};
use crate::secret::{AccessToken, ClientSecret, RefreshToken};
use crate::time;

mod failed;
pub mod hold;
pub mod key;
pub mod renew;
mod room;
mod schema;
pub mod seal;
pub mod vault;

pub use failed::FailedRefresh;

/// Whose session: a provider's name, and an owner, which is empty on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The provider's name.
    pub provider: String,
    /// The owner: a web application's user, or nobody in particular.
    pub owner: String,
}

/// What anybody may know of a session without holding it.
#[derive(Debug)]
pub struct Session {
    /// Grows by one with every renewal: "has anyone renewed since?" never compares secrets.
    pub generation: i64,
    /// Lets its bearer use the API.
    pub access_token: AccessToken,
    /// Its type, as the server spells it.
    pub token_type: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was received, in Unix seconds by this machine's clock.
    pub issued_at: i64,
    /// When it expires, in Unix seconds; none where the server does not say.
    pub expires_at: Option<i64>,
    /// Whatever else the server said.
    pub metadata: Map<String, Value>,
    /// Which client and servers it belongs to.
    pub home: Home,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// When the server ended it, in Unix seconds, if it did.
    pub ended_at: Option<i64>,
    /// Changes with every refresh that fails: "has anyone tried since?".
    pub attempts: i64,
    /// What became of the last attempt, if it failed.
    pub failed: Option<FailedRefresh>,
    /// Since when the answer to a refresh may be lost: one is in flight, or was cut off.
    pub flight_at: Option<i64>,
    /// The models that `/v1/models` listed at sign-in or later.
    pub models: Option<String>,
}

/// A session with what only its holder may see; [`vault::Held`] alone gives one away.
#[derive(Debug)]
pub struct HeldSession {
    /// What everybody may know.
    pub session: Session,
    /// Buys the next access token.
    pub refresh_token: Option<RefreshToken>,
    /// The secret of the client it belongs to.
    pub client_secret: Option<ClientSecret>,
}

/// The client and servers a session belongs to. It is never sent anywhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct Home {
    /// The client it was issued to.
    pub client_id: String,
    /// How that client authenticates.
    pub client_auth: ClientAuth,
    /// Where it is renewed.
    pub token_url: Url,
    /// Where it is revoked, if anywhere.
    pub revoke_url: Option<Url>,
    /// Where its access token is good, if the provider has an API.
    pub api_url: Option<Url>,
}

/// How much life an access token must have left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Need {
    /// For a request that is about to be made: min(30 s, 5 % of the lifetime).
    Request,
    /// To hand to somebody else: min(330 s, half the lifetime).
    Lend,
    /// At least so many seconds.
    AtLeast(i64),
    /// To spare the next request the wait: a tenth of the lifetime, five minutes at most.
    Ahead,
    /// Another one than this generation's, which the API has rejected.
    OtherThan(i64),
}

/// Seconds by which a clock may run behind the one that wrote `issued_at` before it counts as
/// having been set back.
const CLOCK_TOLERANCE: i64 = 60;

/// Seconds by which two clocks may differ before a person is told.
const CLOCKS_APART: i64 = 300;

/// What to tell a person whose machine shows another time than the server's `Date` says, if they are
/// far apart.
pub fn clocks_apart(dated: Option<i64>, now: i64, host: &str) -> Option<String> {
    let ahead = now.saturating_sub(dated?);
    (ahead.saturating_abs() > CLOCKS_APART).then(|| {
        let by = time::span(ahead.saturating_abs());
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        format!("this machine's clock is {by} {way} that of {host}: set it, or the times shown are wrong by as much")
    })
}

impl Session {
    /// Whether the access token is good for this at this time.
    pub fn serves(&self, need: Need, now: i64) -> bool {
        if let Need::OtherThan(generation) = need {
            return self.generation != generation && self.alive(now);
        }
        let Some(expires_at) = self.expires_at else { return self.alive(now) };
        // Saturating, as the file may say anything.
        let (left, life) = (expires_at.saturating_sub(now), expires_at.saturating_sub(self.issued_at));
        let wanted = match need {
            Need::Request => (life / 20).min(30),
            Need::Lend => (life / 2).min(330),
            Need::AtLeast(seconds) => seconds,
            Need::Ahead => (life / 10).min(300),
            Need::OtherThan(_) => 0,
        };
        self.alive(now) && left >= wanted
    }

    /// Whether the access token has not expired. A clock that was set back behind the token's birth
    /// proves nothing, so then it counts as expired.
    pub fn alive(&self, now: i64) -> bool {
        let expires_at = self.expires_at.unwrap_or(i64::MAX);
        self.ended_at.is_none() && expires_at > now && now >= self.issued_at.saturating_sub(CLOCK_TOLERANCE)
    }

    /// Who signed in, as far as the server said.
    pub fn account(&self) -> Option<&str> {
        oauth::account(&self.metadata)
    }

    /// Whether ending the other session is sure to leave this one alone: they are of servers with two
    /// names, two clients, two grants by the server's own word, or two people of whom it said the same
    /// kind of thing.
    ///
    /// A server may count all that one person allowed one client as one grant, and ends every session of
    /// it with any of its tokens (RFC 7009, section 2.1). Keycloak's `session_state` proves nothing
    /// here: until 2025 it ended all sessions of a person with a client at once, whatever theirs was.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        let (mine, others) = (oauth::grant_id(&self.metadata), oauth::grant_id(&other.metadata));
        self.home.token_url.host() != other.home.token_url.host()
            || self.home.client_id != other.home.client_id
            || match mine.zip(others) {
                Some((mine, others)) => mine != others,
                None => oauth::are_two_people(&self.metadata, &other.metadata),
            }
    }

    /// Refuses to use a session under a configuration that names another client or server than it
    /// was made with. What the configuration leaves open is taken from the session.
    ///
    /// # Errors
    /// [`Failure::SessionElsewhere`] naming the setting.
    pub fn check_home(&self, provider: &Provider) -> Result<()> {
        let elsewhere = |setting, was: &str, is: &str| {
            Err(Failure::SessionElsewhere {
                provider: provider.name.clone(),
                setting,
                was: was.to_owned(),
                is: is.to_owned(),
            })
        };
        if let Some(client) = &provider.client
            && client.id.value != self.home.client_id
        {
            return elsewhere("client_id", &self.home.client_id, &client.id.value);
        }
        if let Some(url) = &provider.token_url
            && *url != self.home.token_url
        {
            return elsewhere("token_url", self.home.token_url.as_str(), url.as_str());
        }
        if let (Some(is), Some(was)) = (&provider.api.url, &self.home.api_url)
            && is.origin() != was.origin()
        {
            return elsewhere("api_url", was.as_str(), is.as_str());
        }
        Ok(())
    }
}

impl HeldSession {
    /// What a sign-in brought. Of a session that it replaces nothing survives but the count of
    /// generations.
    pub fn signed_in(
        grant: TokenResponse,
        now: i64,
        home: Home,
        client_secret: Option<ClientSecret>,
        asked: &[String],
        replaced: Option<i64>,
    ) -> Self {
        let session = Session {
            generation: replaced.unwrap_or(0) + 1,
            access_token: grant.access_token,
            token_type: grant.token_type,
            scopes: grant.scopes.unwrap_or_else(|| asked.to_vec()),
            issued_at: now,
            expires_at: grant.lifetime.map(|life| now.saturating_add(life)),
            metadata: grant.metadata,
            home,
            refreshable: grant.refresh_token.is_some(),
            ended_at: None,
            attempts: 0,
            failed: None,
            flight_at: None,
            models: None,
        };
        Self { session, refresh_token: grant.refresh_token, client_secret }
    }

    /// What a refresh made of this session: the next generation. What the answer does not repeat
    /// stays as it was: the refresh token (RFC 6749, section 6), the scopes, the account.
    pub fn renewed(self, grant: TokenResponse, now: i64) -> Self {
        let Self { session, refresh_token, client_secret } = self;
        let refresh_token = grant.refresh_token.or(refresh_token);
        let session = Session {
            generation: session.generation + 1,
            access_token: grant.access_token,
            token_type: grant.token_type,
            scopes: grant.scopes.unwrap_or(session.scopes),
            issued_at: now,
            expires_at: grant.lifetime.map(|life| now.saturating_add(life)),
            metadata: oauth::joined(session.metadata, grant.metadata),
            refreshable: refresh_token.is_some(),
            ended_at: None,
            failed: None,
            flight_at: None,
            home: session.home,
            attempts: session.attempts,
            models: session.models,
        };
        Self { session, refresh_token, client_secret }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session(issued_at: i64, expires_at: Option<i64>) -> Session {
        Session {
            generation: 3,
            access_token: AccessToken::new("a".into()),
            token_type: "Bearer".into(),
            scopes: Vec::new(),
            issued_at,
            expires_at,
            metadata: Map::new(),
            home: Home {
                client_id: "c".into(),
                client_auth: ClientAuth::None,
                token_url: Url::parse("https://id.example.com/token").unwrap(),
                revoke_url: None,
                api_url: Url::parse("https://llm.example.com/base").ok(),
            },
            refreshable: true,
            ended_at: None,
            attempts: 0,
            failed: None,
            flight_at: None,
            models: None,
        }
    }

    #[test]
    fn a_token_serves_as_long_as_the_need_allows() {
        const HOUR: i64 = 3_600;
        for (life, left, need, serves) in [
            // An hour's token: 30 s for a request (5 % would be 180), 330 s to lend.
            (HOUR, 31, Need::Request, true),
            (HOUR, 30, Need::Request, true),
            (HOUR, 29, Need::Request, false),
            (HOUR, 330, Need::Lend, true),
            (HOUR, 329, Need::Lend, false),
            // A minute's token: 5 % is 3 s, half is 30 s.
            (60, 3, Need::Request, true),
            (60, 2, Need::Request, false),
            (60, 30, Need::Lend, true),
            (60, 29, Need::Lend, false),
            (HOUR, 600, Need::AtLeast(600), true),
            (HOUR, 599, Need::AtLeast(600), false),
            (HOUR, 1, Need::AtLeast(0), true),
            (HOUR, 0, Need::AtLeast(0), false),
            (HOUR, 300, Need::Ahead, true),
            (HOUR, 299, Need::Ahead, false),
            (60, 6, Need::Ahead, true),
            (60, 5, Need::Ahead, false),
            // A token born dead serves nobody.
            (0, 0, Need::Request, false),
            (0, 0, Need::Lend, false),
            (HOUR, 600, Need::OtherThan(2), true),
            (HOUR, 600, Need::OtherThan(3), false),
            (HOUR, 0, Need::OtherThan(2), false),
        ] {
            let session = session(1_000_000, Some(1_000_000 + life));
            let now = 1_000_000 + life - left;
            assert_eq!(session.serves(need, now), serves, "life {life}, left {left}, {need:?}");
        }
    }

    #[test]
    fn without_an_expiry_a_token_serves_until_it_is_rejected() {
        let session = session(1_000, None);
        assert!(session.serves(Need::Request, 1_000_000));
        assert!(session.serves(Need::Lend, 1_000_000));
        assert!(!session.serves(Need::OtherThan(3), 1_000_000));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_token_alive() {
        let session = session(1_000_000, Some(1_003_600));
        assert!(session.alive(1_000_000 - 60), "a little skew between machines is no jump");
        assert!(!session.alive(1_000_000 - 61));
    }

    #[test]
    fn sessions_are_apart_where_no_grant_can_stand_behind_both() {
        let known = |metadata: serde_json::Value| {
            let Value::Object(metadata) = metadata else { panic!("metadata is an object") };
            Session { metadata, ..session(0, None) }
        };
        let ada = json!({ "account": "ada" });
        for (one, other, apart) in [
            (json!({}), json!({}), false),
            (ada.clone(), ada.clone(), false),
            (ada.clone(), json!({}), false),
            (ada.clone(), json!({ "account": "mary" }), true),
            (json!({ "grant_id": "1" }), json!({ "grant_id": "2" }), true),
            (json!({ "grant_id": "1" }), json!({}), false),
            (json!({ "grant_id": "" }), json!({ "grant_id": "2" }), false),
            (json!({ "grant_id": 1 }), json!({ "grant_id": 2 }), false),
            (json!({ "account": "ada", "grant_id": "1" }), json!({ "account": "ada", "grant_id": "2" }), true),
            (json!({ "account": "ada", "grant_id": "1" }), json!({ "account": "mary", "grant_id": "1" }), false),
            (json!({ "session_state": "1" }), json!({ "session_state": "2" }), false),
            // What was asked for, or an address, may have changed; an identifier does not.
            (json!({ "id": { "email": "a@x", "sub": "1" } }), json!({ "id": { "sub": "1" } }), false),
            (json!({ "id": { "email": "a@x" } }), json!({ "id": { "sub": "1" } }), false),
            (json!({ "id": { "email": "a@x", "sub": "1" } }), json!({ "id": { "email": "b@x", "sub": "1" } }), false),
            (json!({ "id": { "email": "a@x", "sub": "1" } }), json!({ "id": { "email": "a@x", "sub": "2" } }), true),
            (json!({ "email": "A@x" }), json!({ "email": "a@x" }), false),
            (json!({ "account": { "uuid": "1" } }), json!({ "account": { "uuid": "2" } }), true),
        ] {
            assert_eq!(known(one.clone()).is_apart_from(&known(other.clone())), apart, "{one} {other}");
        }
        let elsewhere = |change: fn(&mut Home)| {
            let mut session = session(0, None);
            change(&mut session.home);
            session
        };
        for (other, apart) in [
            (elsewhere(|home| home.client_id = "another".into()), true),
            (elsewhere(|home| home.token_url.set_host(Some("another.example")).unwrap()), true),
            // One server may answer at two paths.
            (elsewhere(|home| home.token_url.set_path("/another")), false),
        ] {
            assert_eq!(session(0, None).is_apart_from(&other), apart, "{:?}", other.home);
        }
    }

    #[test]
    fn a_session_stays_where_it_was_made() {
        let session = session(0, None);
        let mut provider = Provider::named("p");
        assert_eq!(session.check_home(&provider), Ok(()), "an open configuration contradicts nothing");
        provider.api.url = Url::parse("https://llm.example.com/other").ok();
        assert_eq!(session.check_home(&provider), Ok(()), "another path on the same origin is the same server");
        provider.api.url = Url::parse("https://evil.example.com/base").ok();
        assert!(matches!(session.check_home(&provider), Err(Failure::SessionElsewhere { setting: "api_url", .. })));
        provider.api.url = None;
        provider.token_url = Url::parse("https://id.example.com/token2").ok();
        assert!(matches!(session.check_home(&provider), Err(Failure::SessionElsewhere { setting: "token_url", .. })));
    }
}
