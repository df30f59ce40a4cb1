//! How much the Messages endpoint takes: a token bucket, as the Messages API has it.

use std::time::Instant;

/// Allowances that are left. Full, it holds those of one second.
#[derive(Debug, Default)]
pub(super) struct Limit {
    looked: Option<Instant>,
    left: f64,
}

impl Limit {
    /// Takes one allowance of so many a second, if there is one.
    pub(super) fn take(&mut self, per_second: Option<u32>, now: Instant) -> bool {
        let Some(rate) = per_second.map(f64::from) else { return true };
        let since = self.looked.map_or(1.0, |looked| now.saturating_duration_since(looked).as_secs_f64());
        self.looked = Some(now);
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
        let (mut limit, start) = (Limit::default(), Instant::now());
        let mut taken = |at: u64| {
            let now = start + Duration::from_millis(at);
            (0..100).filter(|_| limit.take(Some(10), now)).count()
        };
        assert_eq!([taken(0), taken(100), taken(150), taken(350), taken(10_000)], [10, 1, 0, 2, 10]);
        assert!((0..100).all(|_| Limit::default().take(None, start)));
    }
}
