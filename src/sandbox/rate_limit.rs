//! The rate limit of the Messages endpoint: a token bucket, as at the Messages API.

use std::time::Instant;

/// A token bucket with the capacity of one second.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    updated: Option<Instant>,
    left: f64,
}

impl RateLimit {
    /// Takes one token if there is one. `None` is no limit.
    pub(super) fn take(&mut self, per_second: Option<u32>, now: Instant) -> bool {
        let Some(rate) = per_second.map(f64::from) else { return true };
        let since = self.updated.map_or(1.0, |updated| now.saturating_duration_since(updated).as_secs_f64());
        self.updated = Some(now);
        self.left = (self.left + since * rate).min(rate);
        let taken = self.left >= 1.0;
        self.left -= if taken { 1.0 } else { 0.0 };
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_is_worth_what_is_set() {
        let (mut limit, start) = (RateLimit::default(), Instant::now());
        let mut taken = |at: u64| {
            let now = start + Duration::from_millis(at);
            (0..100).filter(|_| limit.take(Some(10), now)).count()
        };
        assert_eq!([taken(0), taken(100), taken(150), taken(350), taken(10_000)], [10, 1, 0, 2, 10]);
        assert!((0..100).all(|_| RateLimit::default().take(None, start)));
    }
}
