//! How often the token endpoint is asked whether the user has approved (RFC 8628, section 3.5).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::device_authorization::Undecided;
use super::token_failure::TokenFailure;

/// The longest pause between two polls.
const LONGEST: Duration = Duration::from_secs(60);

/// How much longer the pauses are after each `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);

/// The result of the waiting.
#[derive(Debug, PartialEq)]
pub(crate) enum Waited<T> {
    /// A poll had this result.
    Decided(T),
    /// The code has expired. With the failure of the last poll, if it failed.
    Expired(Option<TokenFailure>),
}

/// Polls until there is a result, at most until `expires`. `interval` is the pause that the server asks for, before the
/// first poll too. `failing` learns of each failed poll and of the pause after it.
pub(crate) async fn poll_until_decided<T, E, F>(
    interval: Duration,
    expires: Instant,
    mut poll: impl FnMut() -> F,
    failing: impl Fn(&TokenFailure, Duration),
) -> Result<Waited<T>, E>
where
    F: Future<Output = Result<Result<T, Undecided>, E>>,
{
    let mut pace = DevicePace::new(interval);
    let mut failed = None;
    loop {
        let next = Instant::now() + pace.pause;
        sleep_until(next.min(expires)).await;
        if next > expires {
            return Ok(Waited::Expired(failed));
        }
        let undecided = match poll().await? {
            Ok(decided) => return Ok(Waited::Decided(decided)),
            Err(undecided) => undecided,
        };
        pace.adjust(&undecided);
        failed = match undecided {
            Undecided::Failed(failure) => {
                failing(&failure, pace.pause);
                Some(failure)
            }
            _ => None,
        };
    }
}

/// The pauses between the polls of one sign-in.
#[derive(Debug)]
struct DevicePace {
    interval: Duration,
    /// The last pause.
    pause: Duration,
}

impl DevicePace {
    /// The pace of a server that asks for this pause.
    fn new(interval: Duration) -> Self {
        Self { interval, pause: interval }
    }

    /// Adjusts the pause to the last poll. `slow_down` makes all further pauses longer; a failure doubles the pause
    /// until the server answers again.
    fn adjust(&mut self, undecided: &Undecided) {
        let asked = match undecided {
            Undecided::Pending => None,
            Undecided::SlowDown(retry_after) => {
                self.interval = (self.interval + SLOWER).min(LONGEST);
                *retry_after
            }
            Undecided::Failed(failure) => Some(failure.retry_after.unwrap_or_default().max(self.pause * 2)),
        };
        self.pause = self.interval.max(asked.unwrap_or_default().min(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn failed(retry_after: Option<u64>) -> Undecided {
        Undecided::Failed(TokenFailure {
            description: "answered 503".into(),
            temporary: true,
            status: Some(503),
            invalid_target: false,
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    /// Waits with these results of polls, the last one again and again. Returns the result, when each poll was sent,
    /// and when the waiting ended, in seconds.
    async fn waited(lifetime: u64, polls: Vec<Result<u8, Undecided>>) -> (Waited<u8>, Vec<u64>, u64) {
        let (begun, at) = (Instant::now(), RefCell::new(Vec::new()));
        let poll = || async {
            let mut at = at.borrow_mut();
            at.push(begun.elapsed().as_secs());
            Ok::<_, ()>(polls[(at.len() - 1).min(polls.len() - 1)].clone())
        };
        let expires = begun + Duration::from_secs(lifetime);
        let waited = poll_until_decided(Duration::from_secs(5), expires, poll, |_, _| {}).await.unwrap();
        (waited, at.take(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn polls_are_sent_at_the_pace_of_the_server_until_one_decides() {
        let slow_down = Undecided::SlowDown(None);
        let polls = vec![Err(Undecided::Pending), Err(slow_down), Err(failed(None)), Err(Undecided::Pending), Ok(7)];
        assert_eq!(waited(600, polls).await, (Waited::Decided(7), vec![5, 10, 20, 40, 50], 50));
    }

    #[tokio::test(start_paused = true)]
    async fn the_waiting_ends_when_the_code_expires() {
        let (result, at, ended) = waited(12, vec![Err(Undecided::Pending)]).await;
        assert_eq!((result, at, ended), (Waited::Expired(None), vec![5, 10], 12));
        let Undecided::Failed(failure) = failed(None) else { unreachable!() };
        let (result, at, ended) = waited(100, vec![Err(failed(None))]).await;
        assert_eq!((result, at, ended), (Waited::Expired(Some(failure)), vec![5, 15, 35, 75], 100));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_waiting() {
        let poll = || async { Err::<Result<u8, Undecided>, _>("denied") };
        let expires = Instant::now() + Duration::from_secs(60);
        assert_eq!(poll_until_decided(Duration::from_secs(5), expires, poll, |_, _| {}).await, Err("denied"));
    }

    #[test]
    fn the_pause_follows_the_server() {
        let slow_down = |seconds: Option<u64>| Undecided::SlowDown(seconds.map(Duration::from_secs));
        let mut pace = DevicePace::new(Duration::from_secs(5));
        for (undecided, seconds) in [
            (Undecided::Pending, 5),
            (slow_down(None), 10),
            (Undecided::Pending, 10),
            (slow_down(Some(3)), 15),
            (slow_down(Some(30)), 30),
            (Undecided::Pending, 20),
            (failed(None), 40),
            (failed(None), 60),
            (failed(Some(3_600)), 60),
            (Undecided::Pending, 20),
            (failed(Some(50)), 50),
            (slow_down(Some(3_600)), 60),
            (Undecided::Pending, 25),
        ] {
            pace.adjust(&undecided);
            assert_eq!(pace.pause.as_secs(), seconds, "{undecided:?}");
        }
        for _ in 0..20 {
            pace.adjust(&slow_down(None));
        }
        assert_eq!(pace.pause, LONGEST);
    }
}
