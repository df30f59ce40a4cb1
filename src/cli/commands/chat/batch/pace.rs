//! How fast a service may be asked, learned from what it answers.
//!
//! Two limits at once. The *window* is how many questions may be on their way: one more whenever all
//! of it was in use and answered, half as many when the service is overloaded. The *rate* is how many
//! may begin in a second: unlimited until the service says 429, then what it has just been seen to
//! take, less a tenth. From there it grows as CUBIC does (RFC 9438), but counted in answers instead of
//! seconds: back to where it hurt, along there for a while, and only then beyond. So a limit that
//! stays where it is costs one 429 in a hundred questions or less, and one that rises is found.
//!
//! Pure: the time is an argument, a span since any fixed moment.

use std::collections::VecDeque;
use std::time::Duration;

/// How many may be on their way before the first answer.
const FIRST_WINDOW: f64 = 4.0;

/// What a 429 leaves of the rate that was taken.
const AFTER_THROTTLE: f64 = 0.9;

/// The slowest rate: one question in a minute.
const SLOWEST: f64 = 1.0 / 60.0;

/// While the rate is looked for, it doubles in so many answers.
const DOUBLES_IN: f64 = 8.0;

/// The first wait for an overloaded service; each further one in a row is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait that nobody asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a rate is measured over: at least so many questions and so much time.
#[derive(Clone, Copy)]
struct Measure {
    questions: usize,
    time: Duration,
}

impl Measure {
    const SHORT: Self = Self { questions: 20, time: Duration::from_secs(2) };
    /// Sees more than one of the windows in which some services count.
    const LONG: Self = Self { questions: 100, time: Duration::from_secs(30) };
}

/// Says when the next question may be asked.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The most that may ever be on their way.
    most: usize,
    window: f64,
    /// Whether the window has never been too large: until then it grows with every answer.
    growing: bool,
    in_flight: usize,
    rate: Option<Rate>,
    /// When the rate lets the next one begin.
    next: Duration,
    /// Until when nobody may begin.
    paused: Duration,
    /// When the questions of late began that were not turned away.
    taken: VecDeque<(u64, Duration)>,
    /// Whether each of the last questions was taken.
    outcomes: VecDeque<bool>,
    begun: u64,
    /// The first question that began after the last cut: what befalls older ones was paid for.
    round: u64,
    /// Waits in a row without an answer between.
    waits: u32,
}

#[derive(Debug)]
struct Rate {
    /// Questions a second.
    now: f64,
    /// Where it hurt.
    ceiling: f64,
    /// Answers since the last cut that the rate held back.
    answers: f64,
    /// Answers from a cut back to the ceiling; none while the rate is still being looked for.
    recovery: Option<f64>,
}

/// What the next question has to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Turn {
    /// Begin. The ticket is handed in with what becomes of it.
    Now(Ticket),
    /// Wait until then, and ask again.
    At(Duration),
    /// Wait until one that is on its way comes back.
    Full,
}

/// A question on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a ticket that is not handed in stays on its way"]
pub(crate) struct Ticket {
    number: u64,
    /// Whether it could have begun earlier but for the rate.
    held_back: bool,
    /// Whether it filled the window.
    filled: bool,
}

impl Pace {
    /// At most so many on their way, and as fast as they come back.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            window: FIRST_WINDOW.min(whole(most)),
            growing: true,
            in_flight: 0,
            rate: None,
            next: Duration::ZERO,
            paused: Duration::ZERO,
            taken: VecDeque::new(),
            outcomes: VecDeque::new(),
            begun: 0,
            round: 0,
            waits: 0,
        }
    }

    /// Lets the next question begin, or says when.
    pub(crate) fn turn(&mut self, now: Duration) -> Turn {
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
            // What a timer was late by is caught up, but nothing is saved up for a burst.
            let late = now.saturating_sub(self.next).min(spacing.min(Duration::from_millis(20)));
            self.next = now - late + spacing;
        }
        self.in_flight += 1;
        let number = self.begun;
        self.begun += 1;
        self.taken.push_back((number, now));
        self.forget(now);
        Turn::Now(Ticket { number, held_back, filled: whole(self.in_flight + 1) > self.window })
    }

    /// The service took the question, whatever it thought of it.
    pub(crate) fn answered(&mut self, ticket: Ticket) {
        self.in_flight -= 1;
        self.waits = 0;
        self.note(true);
        if ticket.filled {
            self.window += if self.growing { 1.0 } else { 1.0 / self.window };
            self.window = self.window.min(whole(self.most));
        }
        if let Some(rate) = &mut self.rate
            && ticket.held_back
            && ticket.number >= self.round
        {
            rate.grow();
        }
    }

    /// The service says that it is asked too often (429), and perhaps how long to wait.
    pub(crate) fn throttled(&mut self, ticket: Ticket, now: Duration, wait: Option<Duration>) {
        self.in_flight -= 1;
        self.taken.retain(|(number, _)| *number != ticket.number);
        self.note(false);
        if ticket.number >= self.round {
            self.cut(now);
            if ticket.filled {
                self.shrink(0.75);
            }
            self.round = self.begun;
        }
        self.paused = self.paused.max(now.saturating_add(wait.unwrap_or_default()));
    }

    /// The service is overloaded, broken or out of reach, and perhaps says how long to wait.
    pub(crate) fn overloaded(&mut self, ticket: Ticket, now: Duration, wait: Option<Duration>) {
        self.in_flight -= 1;
        self.taken.retain(|(number, _)| *number != ticket.number);
        if ticket.number >= self.round {
            self.shrink(0.5);
            self.wait_longer(now);
            self.round = self.begun;
        }
        self.paused = self.paused.max(now.saturating_add(wait.unwrap_or_default()));
    }

    /// Until when nobody may begin, if that is later than now.
    pub(crate) fn paused_until(&self, now: Duration) -> Option<Duration> {
        Some(self.paused).filter(|until| *until > now)
    }

    fn shrink(&mut self, factor: f64) {
        self.growing = false;
        self.window = (self.window.min(whole(self.in_flight + 1)) * factor).max(1.0);
    }

    fn cut(&mut self, now: Duration) {
        let nothing = self.taken.back().is_none_or(|(number, _)| *number < self.round);
        let often = self.is_often_turned_away();
        let taken = self.measured(now, if often { Measure::LONG } else { Measure::SHORT });
        if nothing {
            self.wait_longer(now);
        }
        let (ceiling, recovery) = match &self.rate {
            None if nothing => return,
            None => (taken, None),
            Some(rate) if nothing && !often => (rate.ceiling, rate.recovery),
            Some(rate) if nothing => (rate.ceiling.min(taken), rate.recovery),
            Some(rate) => {
                // In the first seconds little is known yet, and it may be wrong.
                let least = if now < Duration::from_secs(10) { 30.0 } else { 100.0 };
                let ceiling = rate.now.min(taken).max(rate.now / 2.0);
                (ceiling, Some((ceiling * 10.0).max(least)))
            }
        };
        let ceiling = ceiling.max(SLOWEST);
        let rate = Rate { now: ceiling * AFTER_THROTTLE, ceiling, answers: 0.0, recovery };
        self.next = now + seconds(1.0 / rate.now);
        self.rate = Some(rate);
    }

    /// Pauses for twice as long as the last time, if nothing was answered since.
    fn wait_longer(&mut self, now: Duration) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.waits.min(7)).min(LONGEST_WAIT);
        self.waits += 1;
        self.paused = self.paused.max(now + wait);
    }

    /// Whether more than three of the last hundred questions were turned away.
    fn is_often_turned_away(&self) -> bool {
        let away = self.outcomes.iter().filter(|taken| !**taken).count();
        self.outcomes.len() >= 20 && away * 100 > self.outcomes.len() * 3
    }

    fn note(&mut self, taken: bool) {
        self.outcomes.push_back(taken);
        if self.outcomes.len() > 100 {
            self.outcomes.pop_front();
        }
    }

    /// How many questions a second were taken of late.
    fn measured(&self, now: Duration, over: Measure) -> f64 {
        let old = |at: Duration| now.saturating_sub(at) > over.time;
        let counted = self.taken.iter().rev().enumerate();
        let counted = counted.take_while(|(count, (_, at))| *count < over.questions || !old(*at));
        let (count, since) = counted.last().map_or((0, now), |(count, (_, at))| (count + 1, *at));
        whole(count) / now.saturating_sub(since).max(Duration::from_secs(1)).as_secs_f64()
    }

    /// Forgets what no measure needs any more.
    fn forget(&mut self, now: Duration) {
        while let Some((_, at)) = self.taken.front()
            && self.taken.len() > Measure::LONG.questions
            && (now.saturating_sub(*at) > Measure::LONG.time || self.taken.len() > 4_096)
        {
            self.taken.pop_front();
        }
    }
}

impl Rate {
    fn grow(&mut self) {
        self.answers += 1.0;
        self.now = match self.recovery {
            None => self.now * (1.0 / DOUBLES_IN).exp2(),
            Some(recovery) => {
                let way = (self.answers - recovery) / recovery;
                self.ceiling * (1.0 + (1.0 - AFTER_THROTTLE) * way.powi(3))
            }
        };
    }
}

/// No count here is anywhere near the 52 bits that a float has.
#[allow(clippy::cast_precision_loss)]
fn whole(count: usize) -> f64 {
    count as f64
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
