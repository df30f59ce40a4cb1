//! How fast the API may be asked: additive increase, multiplicative decrease.
//!
//! Two limits apply. The *window* is the number of requests in flight: it grows by one whenever a full window was
//! answered, and shrinks when the API is overloaded. The *rate* is the number of requests per second: unlimited until
//! the first 429, then a bit less than the rate that was accepted, and from there it grows linearly with time.
//!
//! Pure: the time is an argument, the duration since any fixed moment.

use std::time::Duration;

/// The window before the first answer.
const FIRST_WINDOW: f64 = 4.0;

/// The factor of the rate after a 429.
const AFTER_THROTTLE: f64 = 0.85;

/// The growth of the rate, as a part of the rate after the last 429: per second, and at most per answer. So a limit
/// that does not change costs at most one 429 in some 40 requests.
const GROWTH_PER_SECOND: f64 = 0.05;
const GROWTH_PER_ANSWER: f64 = 0.003;

/// Until the second 429 the rate doubles in this many answers, because the first one may have set it far too low.
const DOUBLES_IN: f64 = 8.0;

/// The lowest rate: one request per minute.
const MIN_RATE: f64 = 1.0 / 60.0;

/// The first wait for an overloaded API; each further one in a row is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait that the API did not ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Decides when the next request may begin.
#[derive(Debug)]
pub(super) struct Pace {
    /// The largest window.
    most: usize,
    window: f64,
    /// The window grows with each answer until it was too large once.
    growing: bool,
    in_flight: usize,
    rate: Option<Rate>,
    /// When the rate lets the next request begin.
    next: Duration,
    /// No request begins before this.
    paused: Duration,
    /// Requests since the last decrease that were not refused, and when that was.
    accepted: u64,
    accepted_since: Duration,
    begun: u64,
    /// The first request that began after the last decrease. Responses to older ones change nothing more.
    round: u64,
    /// Waits in a row without an answer in between.
    waits: u32,
}

#[derive(Debug)]
struct Rate {
    /// Requests per second.
    now: f64,
    /// The rate after the last 429.
    base: f64,
    /// No 429 came yet at a rate that this limit had set.
    searching: bool,
}

/// What the next request has to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Turn {
    /// Begin. The ticket is returned with the response.
    Now(Ticket),
    /// Wait until then, and ask again.
    At(Duration),
    /// Wait for a response.
    Full,
}

/// A request in flight.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a ticket that is not returned stays in flight"]
pub(super) struct Ticket {
    number: u64,
    /// Whether the rate delayed it.
    held_back: bool,
    /// Whether it filled the window.
    filled: bool,
}

impl Pace {
    /// A pace with at most this many requests in flight.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            window: FIRST_WINDOW.min(whole(most)),
            growing: true,
            in_flight: 0,
            rate: None,
            next: Duration::ZERO,
            paused: Duration::ZERO,
            accepted: 0,
            accepted_since: Duration::ZERO,
            begun: 0,
            round: 0,
            waits: 0,
        }
    }

    /// Lets the next request begin, or says when.
    pub(super) fn turn(&mut self, now: Duration) -> Turn {
        if whole(self.in_flight + 1) > self.window.max(1.0) {
            return Turn::Full;
        }
        let ready = self.paused.max(self.next);
        if now < ready {
            return Turn::At(ready);
        }
        let mut held_back = false;
        if let Some(rate) = &self.rate {
            let spacing = seconds(1.0 / rate.now);
            held_back = now.saturating_sub(self.next) < spacing;
            // Makes up for a late timer, but saves nothing up for a burst.
            let late = now.saturating_sub(self.next).min(spacing.min(Duration::from_millis(20)));
            self.next = now - late + spacing;
        }
        self.in_flight += 1;
        let number = self.begun;
        self.begun += 1;
        self.accepted += 1;
        Turn::Now(Ticket { number, held_back, filled: whole(self.in_flight + 1) > self.window })
    }

    /// The API accepted the request, whatever its answer.
    pub(super) fn answered(&mut self, ticket: Ticket) {
        self.in_flight -= 1;
        self.waits = 0;
        if ticket.filled {
            self.window += if self.growing { 1.0 } else { 1.0 / self.window };
            self.window = self.window.min(whole(self.most));
        }
        if let Some(rate) = &mut self.rate
            && ticket.held_back
            && ticket.number >= self.round
        {
            rate.now += match rate.searching {
                true => rate.now * ((1.0 / DOUBLES_IN).exp2() - 1.0),
                false => rate.base * (GROWTH_PER_SECOND / rate.now).min(GROWTH_PER_ANSWER),
            };
        }
    }

    /// The API reports that its rate limit is reached (429). `wait` is its `retry-after`.
    pub(super) fn throttled(&mut self, ticket: Ticket, now: Duration, wait: Option<Duration>) {
        self.in_flight -= 1;
        self.accepted = self.accepted.saturating_sub(1);
        if ticket.number >= self.round {
            self.slow_down(now);
            if ticket.filled {
                self.shrink(0.75);
            }
            self.round = self.begun;
        }
        self.paused = self.paused.max(now.saturating_add(wait.unwrap_or_default()));
    }

    /// The API is overloaded, broken or cannot be reached. `wait` is its `retry-after`.
    pub(super) fn overloaded(&mut self, ticket: Ticket, now: Duration, wait: Option<Duration>) {
        self.in_flight -= 1;
        self.accepted = self.accepted.saturating_sub(1);
        if ticket.number >= self.round {
            self.shrink(0.5);
            self.wait_longer(now);
            self.round = self.begun;
        }
        self.paused = self.paused.max(now.saturating_add(wait.unwrap_or_default()));
    }

    /// The end of the pause, if it is later than now.
    pub(super) fn paused_until(&self, now: Duration) -> Option<Duration> {
        Some(self.paused).filter(|until| *until > now)
    }

    fn shrink(&mut self, factor: f64) {
        self.growing = false;
        self.window = (self.window.min(whole(self.in_flight + 1)) * factor).max(1.0);
    }

    fn slow_down(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.accepted_since).max(Duration::from_secs(1)).as_secs_f64();
        let accepted = std::mem::take(&mut self.accepted);
        self.accepted_since = now;
        if accepted == 0 {
            // A wait will help, a lower rate may be far too low.
            self.wait_longer(now);
            return;
        }
        // A count far below the 52 bits of a float's mantissa.
        #[allow(clippy::cast_precision_loss)]
        let accepted = accepted as f64 / elapsed;
        let searching = self.rate.is_none();
        let rate = self.rate.as_ref().map_or(accepted, |rate| rate.now.min(accepted).max(rate.now / 2.0));
        let base = (rate * AFTER_THROTTLE).max(MIN_RATE);
        self.next = now + seconds(1.0 / base);
        self.rate = Some(Rate { now: base, base, searching });
    }

    /// Pauses for twice as long as the last time, if nothing was answered since.
    fn wait_longer(&mut self, now: Duration) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.waits.min(7)).min(MAX_WAIT);
        self.waits += 1;
        self.paused = self.paused.max(now + wait);
    }
}

/// A count far below the 52 bits of a float's mantissa.
#[allow(clippy::cast_precision_loss)]
fn whole(count: usize) -> f64 {
    count as f64
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT)
}

#[cfg(test)]
mod tests;
