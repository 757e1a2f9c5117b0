//! Points in time. A [`Timestamp`] is a wall clock's; the scheduler's `now` is
//! a plain `Duration` since the manager began and never goes backwards.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A wall-clock instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// The last millisecond of the year 9999.
const LAST: Timestamp = Timestamp(253_402_300_799_999);

impl Timestamp {
    /// The same time, if it can be written with a year of four digits; else the
    /// last that can.
    #[must_use]
    pub fn bounded(self) -> Self {
        self.min(LAST)
    }

    /// Seconds since the epoch, with the milliseconds as a fraction.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The civil date in UTC as (year, month, day).
    #[must_use]
    pub fn date(self) -> (i64, u8, u8) {
        // Days to civil date: eras of 400 years, years that begin in March.
        let days = (self.0 / 86_400_000) as i64 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u8;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u8;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }

    /// The civil date in UTC, as job ids and run ids write it: `2026-11-22`.
    #[must_use]
    pub fn date_string(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_day = self.0 % 86_400_000;
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", self.date_string())
    }
}

/// The wait before the next try after `failures` failures in a row: `first`,
/// doubled for every failure after the first one, up to `longest`.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_longest_wait() {
        let wait = |failures| backoff(Duration::from_secs(1), Duration::from_secs(30), failures);
        let waits = [0, 1, 2, 3, 6, u32::MAX].map(|failures| wait(failures).as_secs());
        assert_eq!(waits, [1, 1, 2, 4, 30, 30]);
    }

    #[test]
    fn timestamps_print_as_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!(Timestamp(1_795_305_600_000).to_string(), "2026-11-22T00:00:00.000Z");
    }
}
