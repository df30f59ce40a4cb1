//! How fresh an access token has to be.
//!
//! Times are the store's: `expires_at` is the time before the token request plus the lifetime that the server named.
//! The server's clock does not matter. A store's clock that jumps has these effects:
//!
//! - forward: the token is refreshed too early, once;
//! - back before `issued_at`: the token's age is unknown, so it counts as expired and is refreshed once;
//! - back within the lifetime: the token seems younger than it is. The API answers 401, and the session is refreshed
//!   whatever the clock says ([`Freshness::NotGeneration`]).

use super::stored::Session;

/// Which access token is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// For a request that is sent now: valid for another 30 s or 5 % of its lifetime, whichever is less.
    Request,
    /// For another program: valid for another 330 s or half its lifetime, whichever is less.
    Export,
    /// Valid for at least this many seconds.
    AtLeast(i64),
    /// Valid for at least half its lifetime, so that a session that is never used stays alive.
    HalfLife,
    /// For a refresh ahead of time: valid for another 5 min or a tenth of its lifetime, whichever is less.
    Proactive,
    /// Valid and not of this generation, whose token the API has rejected.
    NotGeneration(i64),
    /// Valid and not of this generation, because the user asks for a refresh. It is sent even if the server refused one
    /// a moment ago.
    Requested(i64),
}

/// How many seconds the clock may be behind `issued_at` before it counts as set back.
const CLOCK_TOLERANCE: i64 = 60;

impl Session {
    /// Whether the access token is fresh enough at this time, in Unix seconds.
    pub fn is_fresh(&self, freshness: Freshness, now: i64) -> bool {
        if let Freshness::NotGeneration(generation) | Freshness::Requested(generation) = freshness {
            return self.generation != generation && self.is_valid(now);
        }
        let Some(expires_at) = self.expires_at else { return self.is_valid(now) };
        let (left, life) = (expires_at.saturating_sub(now), expires_at.saturating_sub(self.issued_at));
        let wanted = match freshness {
            Freshness::Request => (life / 20).min(30),
            Freshness::Export => (life / 2).min(330),
            Freshness::AtLeast(seconds) => seconds,
            Freshness::HalfLife => life / 2,
            Freshness::Proactive => (life / 10).min(300),
            Freshness::NotGeneration(_) | Freshness::Requested(_) => 0,
        };
        self.is_valid(now) && left >= wanted
    }

    /// Whether the session has not ended and its access token has not expired at this time, in Unix seconds. A token
    /// that is issued later than that counts as expired: the clock was set back.
    pub fn is_valid(&self, now: i64) -> bool {
        let expires_at = self.expires_at.unwrap_or(i64::MAX);
        self.ended_at.is_none() && expires_at > now && now >= self.issued_at.saturating_sub(CLOCK_TOLERANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::stored::tests::session;

    #[test]
    fn a_token_serves_as_long_as_the_need_allows() {
        const HOUR: i64 = 3_600;
        for (life, left, need, serves) in [
            // An hour's token: 30 s for a request (5 % would be 180), 330 s to lend.
            (HOUR, 31, Freshness::Request, true),
            (HOUR, 30, Freshness::Request, true),
            (HOUR, 29, Freshness::Request, false),
            (HOUR, 330, Freshness::Export, true),
            (HOUR, 329, Freshness::Export, false),
            // A minute's token: 5 % is 3 s, half is 30 s.
            (60, 3, Freshness::Request, true),
            (60, 2, Freshness::Request, false),
            (60, 30, Freshness::Export, true),
            (60, 29, Freshness::Export, false),
            (HOUR, 1_800, Freshness::HalfLife, true),
            (HOUR, 1_799, Freshness::HalfLife, false),
            (HOUR, 600, Freshness::AtLeast(600), true),
            (HOUR, 599, Freshness::AtLeast(600), false),
            (HOUR, 1, Freshness::AtLeast(0), true),
            (HOUR, 0, Freshness::AtLeast(0), false),
            (HOUR, 300, Freshness::Proactive, true),
            (HOUR, 299, Freshness::Proactive, false),
            (60, 6, Freshness::Proactive, true),
            (60, 5, Freshness::Proactive, false),
            // A token that expires at once.
            (0, 0, Freshness::Request, false),
            (0, 0, Freshness::Export, false),
            (HOUR, 600, Freshness::NotGeneration(2), true),
            (HOUR, 600, Freshness::NotGeneration(3), false),
            (HOUR, 0, Freshness::NotGeneration(2), false),
        ] {
            let session = session(1_000_000, Some(1_000_000 + life));
            let now = 1_000_000 + life - left;
            assert_eq!(session.is_fresh(need, now), serves, "life {life}, left {left}, {need:?}");
        }
    }

    #[test]
    fn without_an_expiry_a_token_serves_until_it_is_rejected() {
        let session = session(1_000, None);
        assert!(session.is_fresh(Freshness::Request, 1_000_000));
        assert!(session.is_fresh(Freshness::Export, 1_000_000));
        assert!(!session.is_fresh(Freshness::NotGeneration(3), 1_000_000));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_token_alive() {
        let session = session(1_000_000, Some(1_003_600));
        assert!(session.is_valid(1_000_000 - 60), "a little skew between machines is no jump");
        assert!(!session.is_valid(1_000_000 - 61));
    }
}
