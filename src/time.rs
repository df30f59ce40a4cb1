//! Formats and parses times and durations. The only module of the library that uses jiff.
//!
//! A time is a number of Unix seconds, as the store saves it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// The system's time in Unix seconds.
#[expect(clippy::disallowed_methods, reason = "all other code is given this clock")]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A time as RFC 3339 in UTC, to the second: `2026-11-23T08:00:00Z`.
pub fn rfc3339(at: i64) -> String {
    let end = if at < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(at).unwrap_or(end).to_string()
}

/// The Unix seconds of an RFC 3339 time, if it is one.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(|at| at.as_second())
}

/// The Unix seconds of a date as HTTP headers write it (RFC 9110, section 5.6.7), if it is one.
pub fn parse_http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_second())
}

/// A duration in words: up to 89 seconds, up to 89 minutes, up to 47.9 hours, then days. A negative one counts as 0.
pub fn span(seconds: i64) -> String {
    // The maximum prevents overflows below.
    let seconds = seconds.clamp(0, i64::MAX - 43_200);
    // The unit depends on the rounded value: 89.6 minutes are "1.5 hours", not "90 minutes".
    let (minutes, tenths) = ((seconds + 30) / 60, (seconds + 180) / 360);
    if seconds < 90 {
        counted(seconds, "second")
    } else if minutes < 90 {
        counted(minutes, "minute")
    } else if tenths < 480 {
        format!("{}.{} hours", tenths / 10, tenths % 10)
    } else {
        counted((seconds + 43_200) / 86_400, "day")
    }
}

fn counted(count: i64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// A wait in words: milliseconds below a second, otherwise as [`span`], rounded up.
pub fn wait(wait: Duration) -> String {
    match wait.as_millis() {
        millis @ ..1_000 => format!("{millis} ms"),
        _ => span(rounded_up(wait)),
    }
}

/// A duration in seconds, rounded up.
pub fn rounded_up(wait: Duration) -> i64 {
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_add((wait.subsec_nanos() > 0).into())
}

/// Parses a duration that must not be zero, in the format of [`parse_duration`].
pub fn parse_wait(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be more than 0".into()),
        wait => Ok(wait),
    }
}

/// Parses a duration: `90s`, `5m`, `1h`, `2d`. A number without a unit is in seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("write it as 90s, 5m, 1h or 2d".into()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        // At most a hundred years, so that no sum with a time overflows.
        .filter(|seconds| *seconds <= 100 * 366 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(|| "write it as 90s, 5m, 1h or 2d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_change_unit_where_the_table_says() {
        for (seconds, expected) in [
            (-5, "0 seconds"),
            (0, "0 seconds"),
            (1, "1 second"),
            (89, "89 seconds"),
            (90, "2 minutes"),
            (120, "2 minutes"),
            (149, "2 minutes"),
            (150, "3 minutes"),
            (5_369, "89 minutes"),
            (5_370, "1.5 hours"),
            (5_400, "1.5 hours"),
            (12_240, "3.4 hours"),
            (172_619, "47.9 hours"),
            (172_620, "2 days"),
            (172_800, "2 days"),
            (30 * 86_400, "30 days"),
        ] {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn waits_are_never_said_to_be_shorter_than_they_are() {
        for (millis, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 second"),
            (1_001, "2 seconds"),
            (4_000, "4 seconds"),
            (90_000, "2 minutes"),
        ] {
            assert_eq!(wait(Duration::from_millis(millis)), expected, "{millis}");
        }
        assert_eq!(rounded_up(Duration::MAX), i64::MAX);
    }

    #[test]
    fn durations_are_read_as_documented() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h", 3_600), ("2d", 172_800), ("7", 7), ("0", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "-1", "1.5h", "5 m", "1w", "99999999999999999999", "18446744073709551615d", "+5"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_wait("0").is_err() && parse_wait("0d").is_err() && parse_wait("1").is_ok());
    }

    #[test]
    fn times_are_rfc_3339_and_come_back() {
        assert_eq!(rfc3339(1_761_575_400), "2025-10-27T14:30:00Z");
        assert_eq!(parse_rfc3339("2025-10-27T14:30:00Z"), Some(1_761_575_400));
        assert_eq!(parse_rfc3339("yesterday"), None);
        assert_eq!(rfc3339(i64::MAX), Timestamp::MAX.to_string());
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for text in ["", "soon", "1994-11-06T08:49:37Z", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}
