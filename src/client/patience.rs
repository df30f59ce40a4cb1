//! When to ask again, and how long to wait before that. Pure: a failure in, a wait or none out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::time;

/// How often a wait that the service did not ask for is doubled: from half a second to eight.
const DOUBLINGS: u32 = 4;

/// Longer than any process lives.
const NO_DEADLINE: Duration = Duration::from_secs(100 * 366 * 86_400);

/// How patient a question is with a service that is busy or out of reach.
#[derive(Clone)]
pub struct Patience {
    /// How often it is asked again: after a connection that failed, after 408, 409, 429 and every
    /// 5xx, and after an error that comes in a stream's stead. Only before the first piece of the
    /// answer, so nobody ever sees two beginnings. 0 asks once.
    pub retries: u32,
    /// How long all of it may take until the service begins to answer, from the call on: the
    /// renewal of the token, every try and every wait. An answer that has begun takes as long as it
    /// takes.
    pub deadline: Duration,
    /// The wait before the first retry where the service asks for none; each further one is twice as
    /// long, up to sixteen times this.
    pub pause: Duration,
    /// Who is told what is being waited for. Where nobody is, the accounts' notice is told of every
    /// wait before another try.
    pub told: Option<Told>,
}

/// Receives what a question waits for, whenever that changes.
pub type Told = Arc<dyn Fn(&Waiting) + Send + Sync>;

/// What a question waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Waiting {
    /// A token that serves.
    ForToken,
    /// The service to begin its answer.
    ForAnswer,
    /// The first piece of an answer that has begun.
    ForText,
    /// The time to ask again.
    ToAskAgain(Retry),
}

/// Another try that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// What the last try brought.
    pub failure: Failure,
    /// How long is waited before this one.
    pub wait: Duration,
    /// Which one it is: the first is 1.
    pub number: u32,
    /// How many there may be.
    pub of: u32,
}

impl Default for Patience {
    /// Two retries within two minutes, and the waits of the official clients.
    fn default() -> Self {
        Self { retries: 2, deadline: Duration::from_secs(120), pause: Duration::from_millis(500), told: None }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience")
            .field("retries", &self.retries)
            .field("deadline", &self.deadline)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}

impl Patience {
    /// When the deadline of a question is that begins now.
    pub(super) fn until(&self, now: Instant) -> Instant {
        // One that no clock can tell is as good as none.
        now.checked_add(self.deadline).unwrap_or_else(|| now + NO_DEADLINE)
    }

    /// The next try after so many retries, if there is to be one: none where trying again does not
    /// help, where there have been enough, or where the time that is left does not reach.
    ///
    /// `chance` is a number from 0 to 1 that is another one each time.
    pub(super) fn retry(&self, failure: &Failure, retried: u32, left: Duration, chance: f64) -> Option<Retry> {
        if retried >= self.retries || !worth_retrying(failure) {
            return None;
        }
        let asked = failure.refusal().and_then(|refusal| refusal.retry_after).filter(|wait| !wait.is_zero());
        let wait = asked.unwrap_or_else(|| self.backoff(retried, chance));
        (wait < left).then(|| Retry { failure: failure.clone(), wait, number: retried + 1, of: self.retries })
    }

    /// A wait that doubles, shortened by up to a quarter, so that those who failed together do not
    /// come back together.
    fn backoff(&self, retried: u32, chance: f64) -> Duration {
        let whole = self.pause.saturating_mul(1 << retried.min(DOUBLINGS));
        whole - whole.mul_f64(chance.clamp(0.0, 1.0) / 4.0)
    }
}

/// Whether the same question may be answered in a moment.
fn worth_retrying(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(refusal) => refusal.worth_retrying(),
        Failure::Unreachable { .. } | Failure::AnswerCut { .. } => true,
        _ => false,
    }
}

/// A number from 0 to 1. Without the system's random source it is always the same, which makes no
/// secret weaker here.
pub(super) fn chance() -> f64 {
    SysRng.try_next_u32().map_or(0.5, |drawn| f64::from(drawn) / f64::from(u32::MAX))
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure.refusal() {
            Some(refusal) => f.write_str(&refusal.answered())?,
            None => self.failure.fmt(f)?,
        }
        write!(f, "; trying again in {} ({} of {})", time::wait(self.wait), self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Refusal;

    const AGES: Duration = Duration::from_secs(3_600);

    fn refusal(status: u16) -> Refusal {
        Refusal { host: "llm.example.com".into(), status: Some(status), ..Refusal::default() }
    }

    fn refused(refusal: Refusal) -> Failure {
        Failure::Refused(Box::new(refusal))
    }

    fn wait(failure: &Failure, retried: u32, left: Duration, chance: f64) -> Option<u128> {
        let patience = Patience { retries: 10, ..Patience::default() };
        patience.retry(failure, retried, left, chance).map(|retry| retry.wait.as_millis())
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        for status in [408, 409, 429, 500, 502, 503, 504, 529, 599] {
            assert_eq!(wait(&refused(refusal(status)), 0, AGES, 0.0), Some(500), "{status}");
        }
        for status in [301, 400, 401, 402, 403, 404, 413, 422] {
            assert_eq!(wait(&refused(refusal(status)), 0, AGES, 0.0), None, "{status}");
        }
        let (host, why) = (String::from("llm.example.com"), String::from("connection reset"));
        let unreachable = Failure::Unreachable { host: host.clone(), why: why.clone() };
        let cut = Failure::AnswerCut { host: host.clone(), why };
        let event = refused(Refusal { status: None, kind: Some("overloaded_error".into()), ..refusal(0) });
        for failure in [unreachable, cut, event] {
            assert_eq!(wait(&failure, 0, AGES, 0.0), Some(500), "{failure}");
        }
        let nonsense = Failure::Nonsense { host: host.clone(), what: "an HTML page".into() };
        let unauthorized = Failure::TokenRejected { provider: "work".into(), refusal: Box::new(refusal(401)) };
        for failure in [nonsense, unauthorized, Failure::ContextFull, Failure::Overdue { host, waited: 1 }] {
            assert_eq!(wait(&failure, 0, AGES, 0.0), None, "{failure}");
        }
    }

    #[test]
    fn the_server_decides_but_not_over_money() {
        for (status, kind, said, again) in [
            (503, None, Some(false), false),
            (400, None, Some(true), true),
            (429, Some("enforced_spend_limit_reached"), None, false),
            (429, Some("enforced_spend_limit_reached"), Some(true), false),
            (402, Some("billing_error"), Some(true), false),
        ] {
            let kind = kind.map(String::from);
            let failure = refused(Refusal { kind, should_retry: said, ..refusal(status) });
            assert_eq!(wait(&failure, 0, AGES, 0.0).is_some(), again, "{status} {said:?}");
        }
    }

    #[test]
    fn waits_double_up_to_eight_seconds_and_vary_by_a_quarter() {
        let busy = refused(refusal(529));
        let waits = |chance| (0..7).filter_map(|retried| wait(&busy, retried, AGES, chance)).collect::<Vec<_>>();
        assert_eq!(waits(0.0), [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        assert_eq!(waits(1.0), [375, 750, 1_500, 3_000, 6_000, 6_000, 6_000]);
        assert_eq!(Patience::default().backoff(u32::MAX, 0.0), Duration::from_secs(8));
        assert!((0.0..=1.0).contains(&chance()));
    }

    #[test]
    fn the_wait_that_the_server_asks_for_is_kept_to_the_millisecond() {
        for (asked, left, millis) in [
            (Some(1), 120_000, Some(1)),
            (Some(2_345), 120_000, Some(2_345)),
            // Not a wait.
            (Some(0), 120_000, Some(500)),
            (None, 120_000, Some(500)),
            // What is left does not reach.
            (Some(119_999), 120_000, Some(119_999)),
            (Some(120_000), 120_000, None),
            (Some(3_600_000), 120_000, None),
            (None, 500, None),
            (None, 0, None),
        ] {
            let failure = refused(Refusal { retry_after: asked.map(Duration::from_millis), ..refusal(429) });
            assert_eq!(wait(&failure, 0, Duration::from_millis(left), 0.0), millis, "{asked:?} {left}");
        }
    }

    #[test]
    fn there_are_as_many_as_wanted() {
        let busy = refused(refusal(529));
        for retries in 0..3 {
            let patience = Patience { retries, ..Patience::default() };
            let tries = (0..5).filter(|retried| patience.retry(&busy, *retried, AGES, 0.0).is_some()).count();
            assert_eq!(tries, usize::try_from(retries).unwrap());
        }
    }

    #[test]
    fn it_says_why_and_how_long() {
        let kind = Some("overloaded_error".into());
        let message = "Overloaded".into();
        let asked = Some(Duration::from_secs(4));
        let failure = refused(Refusal { kind, message, retry_after: asked, ..refusal(529) });
        let retry = Patience::default().retry(&failure, 0, AGES, 0.0).unwrap();
        let said = "llm.example.com answered 529 overloaded_error; trying again in 4 seconds (1 of 2)";
        assert_eq!(retry.to_string(), said);
        let lost = Failure::Unreachable { host: "llm.example.com".into(), why: "Connection refused".into() };
        let retry = Patience::default().retry(&lost, 1, AGES, 1.0).unwrap();
        let said = "cannot reach llm.example.com: Connection refused; trying again in 750 ms (2 of 2)";
        assert_eq!(retry.to_string(), said);
    }
}
