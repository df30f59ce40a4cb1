//! When to retry, and how long to wait before that. Pure: an error in, a wait or none out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::time::Instant;

use super::error::ApiError;
use crate::error_info::ErrorInfo as _;
use crate::time;

/// How often a wait that the service did not ask for is doubled: from half a second to eight.
const DOUBLINGS: u32 = 4;

/// Longer than any process lives.
const NO_DEADLINE: Duration = Duration::from_secs(100 * 366 * 86_400);

/// When a question is retried, and how long all tries may take.
#[derive(Clone)]
pub struct RetryPolicy {
    /// How often a question is retried: after a connection that failed, after 408, 409, 429 and every 5xx, and after an
    /// error instead of a stream. Only before the first delta of the answer, so that no answer begins twice. 0 disables
    /// retries.
    pub retries: u32,
    /// How long it may take until the service begins to answer, from the call on: the refresh of the token, every try
    /// and every wait. An answer that has begun has no deadline.
    pub deadline: Duration,
    /// The wait before the first retry if the service asks for none. Each further one is twice as long, up to sixteen
    /// times this.
    pub backoff: Duration,
    /// Called whenever the question waits for something else. Without it, only the wait before a retry is reported, to
    /// the notice callback of the client.
    pub progress: Option<ProgressFn>,
}

/// Receives the progress of a question.
pub type ProgressFn = Arc<dyn Fn(&ProgressEvent) + Send + Sync>;

/// What a question waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum ProgressEvent {
    /// A valid access token.
    WaitingForToken,
    /// The beginning of the answer.
    WaitingForAnswer,
    /// The first delta of an answer that has begun.
    WaitingForText,
    /// The next try.
    Retrying(Retry),
}

/// A retry that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Why the last try failed.
    pub error: ApiError,
    /// The wait before this retry.
    pub wait: Duration,
    /// The number of this retry. The first is 1.
    pub number: u32,
    /// How many retries there may be.
    pub of: u32,
}

impl Default for RetryPolicy {
    /// Two retries within two minutes, and the waits of the official clients.
    fn default() -> Self {
        Self { retries: 2, deadline: Duration::from_secs(120), backoff: Duration::from_millis(500), progress: None }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("retries", &self.retries)
            .field("deadline", &self.deadline)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

impl RetryPolicy {
    /// The deadline of a question that begins now.
    pub(crate) fn until(&self, now: Instant) -> Instant {
        // A deadline that no clock can express is as good as none.
        now.checked_add(self.deadline).unwrap_or_else(|| now + NO_DEADLINE)
    }

    /// The next retry. `None` if a retry does not help, if there were enough, or if the time left is too short.
    ///
    /// `random` is a new number from 0 to 1.
    pub(crate) fn retry(&self, error: &ApiError, retried: u32, left: Duration, random: f64) -> Option<Retry> {
        if retried >= self.retries || !error.is_worth_retrying() {
            return None;
        }
        let asked = error.retry_after().filter(|wait| !wait.is_zero());
        let wait = asked.unwrap_or_else(|| self.wait(retried, random));
        (wait < left).then(|| Retry { error: error.clone(), wait, number: retried + 1, of: self.retries })
    }

    /// A wait that doubles, shortened by up to a quarter, so that clients that failed together do not come back
    /// together.
    fn wait(&self, retried: u32, random: f64) -> Duration {
        let whole = self.backoff.saturating_mul(1 << retried.min(DOUBLINGS));
        whole - whole.mul_f64(random.clamp(0.0, 1.0) / 4.0)
    }
}

/// A random number from 0 to 1. Without the system's random source it is always the same, which weakens no secret here.
pub(crate) fn random() -> f64 {
    SysRng.try_next_u32().map_or(0.5, |drawn| f64::from(drawn) / f64::from(u32::MAX))
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.refusal() {
            Some(refusal) => f.write_str(&refusal.summary())?,
            None => self.error.fmt(f)?,
        }
        write!(f, "; retrying in {} ({} of {})", time::wait(self.wait), self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::http::HttpError;

    const AGES: Duration = Duration::from_secs(3_600);

    fn refusal(status: u16) -> Refusal {
        Refusal { host: "llm.example.com".into(), status: Some(status), ..Refusal::default() }
    }

    fn refused(refusal: Refusal) -> ApiError {
        ApiError::Refused(Box::new(refusal))
    }

    fn wait(failure: &ApiError, retried: u32, left: Duration, random: f64) -> Option<u128> {
        let policy = RetryPolicy { retries: 10, ..RetryPolicy::default() };
        policy.retry(failure, retried, left, random).map(|retry| retry.wait.as_millis())
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
        let unreachable = HttpError::Unreachable { host: host.clone(), reason: why.clone() }.into();
        let cut = ApiError::AnswerCut { host: host.clone(), reason: why };
        let event = refused(Refusal { status: None, kind: Some("overloaded_error".into()), ..refusal(0) });
        for failure in [unreachable, cut, event] {
            assert_eq!(wait(&failure, 0, AGES, 0.0), Some(500), "{failure}");
        }
        let invalid = ApiError::InvalidResponse { host: host.clone(), description: "an HTML page".into() };
        let unauthorized = ApiError::TokenRejected { provider: "work".into(), refusal: Box::new(refusal(401)) };
        let overdue = ApiError::DeadlineExceeded { host, waited: Duration::from_secs(1) };
        for failure in [invalid, unauthorized, ApiError::ContextFull, overdue] {
            assert_eq!(wait(&failure, 0, AGES, 0.0), None, "{failure}");
        }
    }

    #[test]
    fn the_server_decides_but_not_over_money() {
        for (status, kind, should_retry, again) in [
            (503, None, Some(false), false),
            (400, None, Some(true), true),
            (429, Some("enforced_spend_limit_reached"), None, false),
            (429, Some("enforced_spend_limit_reached"), Some(true), false),
            (402, Some("billing_error"), Some(true), false),
        ] {
            let kind = kind.map(String::from);
            let failure = refused(Refusal { kind, should_retry, ..refusal(status) });
            assert_eq!(wait(&failure, 0, AGES, 0.0).is_some(), again, "{status} {should_retry:?}");
        }
    }

    #[test]
    fn waits_double_up_to_eight_seconds_and_vary_by_a_quarter() {
        let busy = refused(refusal(529));
        let waits = |random| (0..7).filter_map(|retried| wait(&busy, retried, AGES, random)).collect::<Vec<_>>();
        assert_eq!(waits(0.0), [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        assert_eq!(waits(1.0), [375, 750, 1_500, 3_000, 6_000, 6_000, 6_000]);
        assert_eq!(RetryPolicy::default().wait(u32::MAX, 0.0), Duration::from_secs(8));
        assert!((0.0..=1.0).contains(&random()));
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
            let policy = RetryPolicy { retries, ..RetryPolicy::default() };
            let tries = (0..5).filter(|retried| policy.retry(&busy, *retried, AGES, 0.0).is_some()).count();
            assert_eq!(tries, usize::try_from(retries).unwrap());
        }
    }

    #[test]
    fn it_says_why_and_how_long() {
        let kind = Some("overloaded_error".into());
        let message = "Overloaded".into();
        let asked = Some(Duration::from_secs(4));
        let failure = refused(Refusal { kind, message, retry_after: asked, ..refusal(529) });
        let retry = RetryPolicy::default().retry(&failure, 0, AGES, 0.0).unwrap();
        let expected = "llm.example.com answered 529 overloaded_error; retrying in 4 seconds (1 of 2)";
        assert_eq!(retry.to_string(), expected);
        let (host, reason) = ("llm.example.com".into(), "Connection refused".into());
        let lost = HttpError::Unreachable { host, reason }.into();
        let retry = RetryPolicy::default().retry(&lost, 1, AGES, 1.0).unwrap();
        let expected = "cannot reach llm.example.com: Connection refused; retrying in 750 ms (2 of 2)";
        assert_eq!(retry.to_string(), expected);
    }
}
