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

/// The longest wait that the service did not ask for.
const LONGEST: Duration = Duration::from_secs(20);

/// Such a wait takes at most this part of the time for all tries, so that little of it is lost at the end.
const PART: u32 = 4;

/// Longer than any process lives.
const NO_DEADLINE: Duration = Duration::from_secs(100 * 366 * 86_400);

/// When a question is retried, and how long all tries may take.
#[derive(Clone)]
pub struct RetryPolicy {
    /// The maximum number of retries. `None` means as many as there is time for, 0 disables retries. A question is
    /// retried after a connection that failed, after 408, 409, 429 and every 5xx but 501 and 505, and after an error
    /// instead of a stream. Only before the first delta of the answer, so that no answer begins twice.
    pub retries: Option<u32>,
    /// How long it may take until the service begins to answer, from the call on: the refresh of the token, every try
    /// and every wait. An answer that has begun has no deadline.
    pub deadline: Duration,
    /// How long a question is retried while no connection can be made, because the host's name does not resolve, or
    /// the connection is refused or has no route. The deadline applies, too.
    pub no_connection: Duration,
    /// The longest wait before the first retry if the service asks for none. It doubles with each retry, up to 20
    /// seconds, or up to a quarter of the deadline (or of `no_connection`) if that is shorter. Each wait is a random
    /// time between half of this and all of it.
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
    /// The list of models.
    WaitingForModels,
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
    /// How many retries there may be, if that is limited.
    pub of: Option<u32>,
}

impl Default for RetryPolicy {
    /// Retries for two minutes, or for ten seconds while no connection can be made.
    fn default() -> Self {
        Self {
            retries: None,
            deadline: Duration::from_secs(120),
            no_connection: Duration::from_secs(10),
            backoff: Duration::from_millis(500),
            progress: None,
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("retries", &self.retries)
            .field("deadline", &self.deadline)
            .field("no_connection", &self.no_connection)
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
        if self.retries.is_some_and(|most| retried >= most) || !error.is_worth_retrying() {
            return None;
        }
        let asked = error.retry_after().filter(|wait| !wait.is_zero());
        let wait = asked.unwrap_or_else(|| self.wait(retried, self.limit(error), random));
        (wait < left).then(|| Retry { error: error.clone(), wait, number: retried + 1, of: self.retries })
    }

    /// How long a question is retried after errors like this one.
    pub(crate) fn limit(&self, error: &ApiError) -> Duration {
        if error.is_no_connection() { self.no_connection.min(self.deadline) } else { self.deadline }
    }

    /// A wait that doubles, shortened by up to a half, so that clients that failed together do not come back together.
    fn wait(&self, retried: u32, limit: Duration, random: f64) -> Duration {
        let longest = LONGEST.min(limit / PART).max(self.backoff);
        let whole = self.backoff.saturating_mul(1 << retried.min(16)).min(longest);
        whole - whole.mul_f64(random.clamp(0.0, 1.0) / 2.0)
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
        write!(f, "; retrying in {}", time::wait(self.wait))?;
        match self.of {
            Some(of) => write!(f, " ({} of {of})", self.number),
            None => Ok(()),
        }
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
        RetryPolicy::default().retry(failure, retried, left, random).map(|retry| retry.wait.as_millis())
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        for status in [408, 409, 429, 500, 502, 503, 504, 529, 599] {
            assert_eq!(wait(&refused(refusal(status)), 0, AGES, 0.0), Some(500), "{status}");
        }
        for status in [301, 400, 401, 402, 403, 404, 405, 413, 422, 501, 505] {
            assert_eq!(wait(&refused(refusal(status)), 0, AGES, 0.0), None, "{status}");
        }
        let (host, why) = (String::from("llm.example.com"), String::from("connection reset"));
        let unreachable = HttpError::Unreachable { host: host.clone(), reason: why.clone() }.into();
        let refused_connection = HttpError::NoConnection { host: host.clone(), reason: why.clone() }.into();
        let cut = ApiError::AnswerCut { host: host.clone(), reason: why };
        let event = refused(Refusal { status: None, kind: Some("overloaded_error".into()), ..refusal(0) });
        for failure in [unreachable, refused_connection, cut, event] {
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
    fn waits_double_up_to_a_quarter_of_the_time_and_vary_by_a_half() {
        let busy = refused(refusal(529));
        let lost = HttpError::NoConnection { host: String::new(), reason: String::new() }.into();
        let waits = |error: &ApiError, deadline, random| {
            let policy = RetryPolicy { deadline: Duration::from_secs(deadline), ..RetryPolicy::default() };
            let retries = (0..7).filter_map(|retried| policy.retry(error, retried, AGES, random));
            retries.map(|retry| retry.wait.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(waits(&busy, 120, 0.0), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000]);
        assert_eq!(waits(&busy, 120, 1.0), [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000]);
        assert_eq!(waits(&busy, 3_600, 0.0), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000]);
        assert_eq!(waits(&busy, 1, 0.0), [500; 7]);
        assert_eq!(waits(&lost, 120, 0.0), [500, 1_000, 2_000, 2_500, 2_500, 2_500, 2_500]);
        assert_eq!(waits(&lost, 2, 0.0), [500; 7]);
        assert_eq!(wait(&busy, 99, AGES, 0.0), Some(20_000));
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
        for (retries, expected) in [(Some(0), 0), (Some(1), 1), (Some(2), 2), (None, 5)] {
            let policy = RetryPolicy { retries, ..RetryPolicy::default() };
            let tries = (0..5).filter(|retried| policy.retry(&busy, *retried, AGES, 0.0).is_some()).count();
            assert_eq!(tries, expected);
        }
    }

    #[test]
    fn it_says_why_and_how_long() {
        let kind = Some("overloaded_error".into());
        let message = "Overloaded".into();
        let asked = Some(Duration::from_secs(4));
        let failure = refused(Refusal { kind, message, retry_after: asked, ..refusal(529) });
        let retry = RetryPolicy::default().retry(&failure, 0, AGES, 0.0).unwrap();
        let expected = "llm.example.com answered 529 overloaded_error; retrying in 4 seconds";
        assert_eq!(retry.to_string(), expected);
        let (host, reason) = ("llm.example.com".into(), "Connection refused".into());
        let lost = HttpError::NoConnection { host, reason }.into();
        let twice = RetryPolicy { retries: Some(2), ..RetryPolicy::default() };
        let retry = twice.retry(&lost, 1, AGES, 1.0).unwrap();
        let expected = "cannot reach llm.example.com: Connection refused; retrying in 500 ms (2 of 2)";
        assert_eq!(retry.to_string(), expected);
    }
}
