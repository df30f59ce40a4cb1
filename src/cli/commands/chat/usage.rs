//! The line of `--usage`: tokens and time.

use std::time::{Duration, Instant};

use nexus::Usage;

/// Measures the time of an answer.
pub(super) struct Stopwatch {
    started: Instant,
    first: Option<Duration>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), first: None }
    }

    /// The first text arrived.
    pub(super) fn first_text(&mut self) {
        self.first.get_or_insert_with(|| self.started.elapsed());
    }

    /// The line that `--usage` prints.
    pub(super) fn line(&self, usage: &Usage) -> String {
        let first = self.first.map(|first| format!("first text after {}, ", seconds(first))).unwrap_or_default();
        format!("usage: {}; {first}complete after {}", tokens(usage), seconds(self.started.elapsed()))
    }
}

fn tokens(usage: &Usage) -> String {
    let count = |count: Option<u64>| count.map_or_else(|| "?".into(), |count| count.to_string());
    // The API's input tokens exclude those of the cache.
    let cached = [(usage.cache_read_input_tokens, "from"), (usage.cache_creation_input_tokens, "to")]
        .into_iter()
        .filter_map(|(count, way)| count.filter(|count| *count > 0).map(|count| format!("{count} {way} the cache")))
        .collect::<Vec<_>>()
        .join(", ");
    let cached = if cached.is_empty() { cached } else { format!(" (+ {cached})") };
    format!("{} tokens in{cached}, {} out", count(usage.input_tokens), count(usage.output_tokens))
}

fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_token_counts_are_question_marks() {
        let usage = Usage { input_tokens: Some(12), output_tokens: Some(34), ..Usage::default() };
        assert_eq!(tokens(&usage), "12 tokens in, 34 out");
        assert_eq!(tokens(&Usage::default()), "? tokens in, ? out");
        let cached = Usage { cache_read_input_tokens: Some(800), cache_creation_input_tokens: Some(0), ..usage };
        assert_eq!(tokens(&cached), "12 tokens in (+ 800 from the cache), 34 out");
        let both = Usage { cache_creation_input_tokens: Some(5), ..cached };
        assert_eq!(tokens(&both), "12 tokens in (+ 800 from the cache, 5 to the cache), 34 out");
    }

    #[test]
    fn times_have_two_decimals() {
        assert_eq!(seconds(Duration::from_millis(412)), "0.41 s");
        assert_eq!(seconds(Duration::from_secs(61)), "61.00 s");
    }
}
