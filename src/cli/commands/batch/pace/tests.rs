//! The pace against simulated APIs, with a simulated clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

/// What a service answers, and when it is ready for more.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// So many a second, after a burst of so many (the token bucket that the Messages API has).
    Bucket { rate: f64, burst: f64 },
    /// So many in each window of so many seconds.
    Fixed { count: u32, window: f64 },
    /// So many at the same time.
    AtOnce(usize),
    /// No limit.
    None,
}

/// A service, simulated.
struct Service {
    limit: Limit,
    /// What it says in `retry-after`, in seconds.
    retry_after: Option<u64>,
    /// How long an answer takes, in seconds: the least and the most.
    takes: (f64, f64),
    tokens: f64,
    at: f64,
    window: (f64, u32),
    asked: u64,
}

impl Service {
    fn new(limit: Limit, retry_after: Option<u64>, takes: (f64, f64)) -> Self {
        let tokens = if let Limit::Bucket { burst, .. } = limit { burst } else { 0.0 };
        Self { limit, retry_after, takes, tokens, at: 0.0, window: (0.0, 0), asked: 0 }
    }

    /// How long its answer takes, in seconds; none if it turns the question away.
    fn ask(&mut self, now: f64, being_answered: usize) -> Option<f64> {
        let taken = match self.limit {
            Limit::Bucket { rate, burst } => {
                self.tokens = (self.tokens + (now - self.at) * rate).min(burst);
                self.at = now;
                let taken = self.tokens >= 1.0;
                self.tokens -= if taken { 1.0 } else { 0.0 };
                taken
            }
            Limit::Fixed { count, window } => {
                let start = (now / window).floor() * window;
                if start > self.window.0 {
                    self.window = (start, 0);
                }
                self.window.1 += 1;
                self.window.1 <= count
            }
            Limit::AtOnce(most) => being_answered < most,
            Limit::None => true,
        };
        self.asked += 1;
        // No clock and no chance: the same run each time, its times spread by a multiplication.
        #[allow(clippy::cast_precision_loss)]
        let spread = (self.asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1_u64 << 24) as f64;
        taken.then_some(self.takes.0 + (self.takes.1 - self.takes.0) * spread)
    }
}

/// What came of a run.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    answers: u32,
    throttled: u32,
    /// Answers and 429s after the first ten seconds.
    late_answers: u32,
    late_throttled: u32,
    most_in_flight: usize,
    ended: f64,
}

impl Run {
    fn late_share(&self) -> f64 {
        f64::from(self.late_throttled) / f64::from((self.late_answers + self.late_throttled).max(1))
    }

    fn late_rate(&self) -> f64 {
        f64::from(self.late_answers) / (self.ended - 10.0).max(1.0)
    }
}

/// Asks for so many seconds of simulated time.
fn run(pace: &mut Pace, service: &mut Service, seconds: f64) -> Run {
    let (mut now, mut run) = (Duration::ZERO, Run::default());
    // What comes back, the earliest first: when, in nanoseconds; in which order; whether answered.
    let mut back: BinaryHeap<Reverse<(u128, u64, bool)>> = BinaryHeap::new();
    let mut tickets = std::collections::HashMap::new();
    let mut order = 0;
    while now.as_secs_f64() < seconds {
        let wake = match pace.turn(now) {
            Turn::Now(ticket) => {
                run.most_in_flight = run.most_in_flight.max(pace.in_flight);
                let answering = back.iter().filter(|Reverse((_, _, answered))| *answered).count();
                let takes = service.ask(now.as_secs_f64(), answering);
                let at = now + Duration::from_secs_f64(takes.unwrap_or(service.takes.0.min(0.05)));
                back.push(Reverse((at.as_nanos(), order, takes.is_some())));
                tickets.insert(order, ticket);
                order += 1;
                continue;
            }
            Turn::At(at) => Some(at),
            Turn::Full => None,
        };
        let first = back.peek().map(|Reverse((at, ..))| Duration::from_nanos(u64::try_from(*at).unwrap()));
        // A timer of tokio's is up to a millisecond late.
        let wake = wake.map(|at| Duration::from_millis(u64::try_from(at.as_nanos().div_ceil(1_000_000)).unwrap()));
        now = match (first, wake) {
            (Some(first), Some(wake)) if wake < first => wake,
            (Some(first), _) => {
                let Some(Reverse((_, order, answered))) = back.pop() else { unreachable!() };
                let ticket = tickets.remove(&order).unwrap();
                let late = first.as_secs() >= 10;
                if answered {
                    run.answers += 1;
                    run.late_answers += u32::from(late);
                    pace.answered(ticket);
                } else {
                    run.throttled += 1;
                    run.late_throttled += u32::from(late);
                    pace.throttled(ticket, first, service.retry_after.map(Duration::from_secs));
                }
                first
            }
            (None, Some(wake)) => wake,
            (None, None) => panic!("nothing is on its way, and nothing may begin"),
        };
    }
    run.ended = now.as_secs_f64();
    run
}

#[test]
fn a_rate_limit_is_nearly_reached_with_few_429s() {
    for rate in [2.0, 10.0, 50.0, 200.0] {
        for retry_after in [None, Some(1), Some(2)] {
            for (jobs, takes) in [(8, (0.005, 0.005)), (16, (0.02, 0.2)), (64, (0.5, 5.0))] {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let limits = [
                    Limit::Bucket { rate, burst: (rate / 10.0).max(1.0) },
                    Limit::Bucket { rate, burst: rate },
                    Limit::Bucket { rate, burst: 10.0 * rate },
                    Limit::Fixed { count: rate as u32, window: 1.0 },
                    Limit::Fixed { count: 10 * rate as u32, window: 10.0 },
                ];
                // The first seconds of a long window allow far more than its rate. At high rates, the recovery from
                // that takes minutes.
                let limits = &limits[..if rate > 100.0 { 4 } else { 5 }];
                for &limit in limits {
                    let run = run(
                        &mut Pace::new(jobs),
                        &mut Service::new(limit, retry_after, takes),
                        (6_000.0 / rate).clamp(60.0, 300.0),
                    );
                    let case = format!("{limit:?}, retry-after {retry_after:?}, {jobs} jobs that take {takes:?}");

                    let mean = f64::midpoint(takes.0, takes.1);
                    let possible = rate.min(f64::from(u32::try_from(jobs).unwrap()) / mean);
                    let share = run.late_rate() / possible;
                    assert!(run.late_share() <= 0.05, "{case}: {:.1} % 429s, {run:?}", 100.0 * run.late_share());
                    assert!(share >= 0.5, "{case}: {:.0} % of {possible}, {run:?}", 100.0 * share);
                    assert!(run.most_in_flight <= jobs, "{case}: {run:?}");
                }
            }
        }
    }
}

#[test]
fn without_a_limit_only_the_window_counts() {
    for jobs in [1, 3, 16, 200] {
        let run = run(&mut Pace::new(jobs), &mut Service::new(Limit::None, None, (1.0, 1.0)), 60.0);
        assert_eq!((run.throttled, run.most_in_flight), (0, jobs));
        let possible = 60 * u32::try_from(jobs).unwrap();
        assert!(run.answers * 10 >= possible * 8, "{jobs}: {} of {possible}", run.answers);
    }
}

#[test]
fn a_limit_of_concurrent_requests_is_found() {
    let run = run(&mut Pace::new(16), &mut Service::new(Limit::AtOnce(4), None, (0.5, 1.5)), 300.0);
    assert!(run.late_share() <= 0.05, "{run:?}");
    assert!(run.late_rate() >= 2.0, "half of what is possible: {run:?}");
}

#[test]
fn a_limit_that_rises_is_found() {
    let bucket = |rate| Service::new(Limit::Bucket { rate, burst: rate }, None, (0.02, 0.02));
    let mut pace = Pace::new(16);
    let low = run(&mut pace, &mut bucket(10.0), 60.0);
    assert!((8.0..11.0).contains(&low.late_rate()), "{low:?}");
    // The clock of each run begins at zero.
    pace.next = Duration::ZERO;
    pace.paused = Duration::ZERO;
    (pace.accepted, pace.accepted_since) = (0, Duration::ZERO);
    let high = run(&mut pace, &mut bucket(40.0), 120.0);
    assert!(high.late_rate() > 20.0, "{high:?}");
}

#[test]
fn an_overloaded_api_gets_pauses_and_half_the_requests() {
    let mut pace = Pace::new(16);
    let mut now = Duration::ZERO;
    let begin = |pace: &mut Pace, now: Duration| match pace.turn(now) {
        Turn::Now(ticket) => ticket,
        turn => panic!("{turn:?} at {now:?}"),
    };
    let four: Vec<_> = (0..4).map(|_| begin(&mut pace, now)).collect();
    assert_eq!(pace.turn(now), Turn::Full);
    // Four at once are one piece of bad news.
    for ticket in four {
        pace.overloaded(ticket, now, None);
    }
    assert_eq!(pace.turn(now), Turn::At(Duration::from_millis(500)));
    let mut waits = Vec::new();
    for _ in 0..9 {
        let until = pace.paused_until(now).unwrap();
        waits.push((until - now).as_millis());
        now = until;
        let ticket = begin(&mut pace, now);
        pace.overloaded(ticket, now, None);
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    now = pace.paused_until(now).unwrap();
    let ticket = begin(&mut pace, now);
    assert_eq!(pace.turn(now), Turn::Full, "one at a time");
    pace.answered(ticket);
    let ticket = begin(&mut pace, now);
    pace.overloaded(ticket, now, Some(Duration::from_secs(7)));
    assert_eq!(pace.turn(now), Turn::At(now + Duration::from_secs(7)), "it knows better");
}

proptest! {
    /// Whatever happens in whatever order, there is always a next question, within the window.
    #[test]
    fn there_is_always_a_next_request(jobs in 1_usize..40, happens in prop::collection::vec((0_u8..6, 0_u64..3_000), 1..400)) {
        let (mut pace, mut now, mut tickets) = (Pace::new(jobs), Duration::ZERO, Vec::new());
        for (what, millis) in happens {
            now += Duration::from_millis(millis);
            match (what, tickets.pop()) {
                (0 | 1, Some(ticket)) => pace.answered(ticket),
                (2, Some(ticket)) => pace.throttled(ticket, now, None),
                (3, Some(ticket)) => pace.throttled(ticket, now, Some(Duration::from_millis(millis))),
                (4, Some(ticket)) => pace.overloaded(ticket, now, None),
                (_, left) => {
                    tickets.extend(left);
                    match pace.turn(now) {
                        Turn::Now(ticket) => tickets.push(ticket),
                        Turn::At(at) => {
                            prop_assert!(at > now && at <= now + MAX_WAIT + Duration::from_secs(3));
                            now = at;
                            prop_assert!(matches!(pace.turn(now), Turn::Now(_)));
                            // The one that just began is answered at once.
                            pace.in_flight -= 1;
                        }
                        Turn::Full => prop_assert!(!tickets.is_empty()),
                    }
                }
            }
            prop_assert_eq!(pace.in_flight, tickets.len());
            prop_assert!(tickets.len() <= jobs);
        }
    }
}
