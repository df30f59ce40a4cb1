//! Times as a person reads them: in the time zone of this machine, or of `TZ`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time to the minute, with its zone: `2026-11-23 09:00 CET`. In UTC if the zone is unknown.
pub(crate) fn local(at: i64) -> String {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let end = if at < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::from_second(at).unwrap_or(end).to_zoned(zone);
    at.strftime("%Y-%m-%d %H:%M %Z").to_string()
}
