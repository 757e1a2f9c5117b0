//! Times as people at this machine read them.

use gjob_core::Timestamp;
use jiff::tz::TimeZone;

/// The date and the time to the second, in the time zone of this machine or of `TZ`.
pub(crate) fn local_time(at: Timestamp) -> String {
    local(at, "%F %T")
}

/// The same to the minute.
pub(crate) fn local_minute(at: Timestamp) -> String {
    local(at, "%F %H:%M")
}

fn local(at: Timestamp, format: &str) -> String {
    let millis = i64::try_from(at.bounded().0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}
