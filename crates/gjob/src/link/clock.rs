//! How far a host's wall clock is from the manager's, and how long a message and its
//! answer take. It reads no clock itself: what the clocks said comes as arguments.

use std::time::Duration;

use gjob_core::event::ClockOffset;

/// A measurement as good as this is not replaced by a better one, milliseconds.
const GOOD_ENOUGH: u64 = 20;

/// Measures by pings: an answer carries the host's clock, and was sent at some
/// time between the ping and its arrival. The middle of that time is off by no
/// more than a half of it.
#[derive(Debug, Default)]
pub(super) struct ClockMeter {
    reported: Option<ClockOffset>,
}

impl ClockMeter {
    /// A ping left at `sent_ms` by the local clock, and its answer was here
    /// after `round_trip`. Returns what is worth reporting: the first
    /// measurement, a much better one, and one that contradicts what was
    /// reported, since one of the clocks was set or drifts.
    pub(super) fn handle_answer(
        &mut self,
        sent_ms: u64,
        round_trip: Duration,
        host_ms: u64,
    ) -> Option<ClockOffset> {
        let half = u64::try_from(round_trip.as_micros() / 2000).unwrap_or(u64::MAX);
        let middle = sent_ms.saturating_add(half);
        let offset_ms = i128::from(host_ms) - i128::from(middle);
        let measured = ClockOffset {
            offset_ms: offset_ms.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            // Both clocks are read in whole milliseconds.
            error_ms: half.saturating_add(1),
        };
        let is_news = self.reported.is_none_or(|reported| {
            let apart = measured.offset_ms.abs_diff(reported.offset_ms);
            let is_better = measured.error_ms < reported.error_ms / 2;
            apart > measured.error_ms.saturating_add(reported.error_ms)
                || (is_better && reported.error_ms > GOOD_ENOUGH)
        });
        is_news.then(|| {
            self.reported = Some(measured);
            measured
        })
    }
}

/// A round trip that differs less from the one reported last is not worth reporting.
const SAME_ROUND_TRIP: Duration = Duration::from_millis(5);

/// Measures by the same pings.
#[derive(Debug, Default)]
pub(super) struct RoundTripMeter {
    reported: Option<Duration>,
}

impl RoundTripMeter {
    /// Returns what is worth reporting: the first measurement, and one that differs by a
    /// quarter.
    pub(super) fn handle_answer(&mut self, round_trip: Duration) -> Option<Duration> {
        let is_news = self.reported.is_none_or(|reported| {
            round_trip.abs_diff(reported) > (reported / 4).max(SAME_ROUND_TRIP)
        });
        is_news.then(|| *self.reported.insert(round_trip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_middle_of_the_round_trip_counts() {
        let mut meter = ClockMeter::default();
        // Ahead by 5 s: the answer was sent in the middle of 40 ms.
        let offset = meter.handle_answer(1_000_000, ms(40), 1_005_020);
        assert_eq!(offset, Some(ClockOffset { offset_ms: 5000, error_ms: 21 }));
        let mut meter = ClockMeter::default();
        let behind = meter.handle_answer(1_000_000, ms(0), 400_000);
        assert_eq!(behind, Some(ClockOffset { offset_ms: -600_000, error_ms: 1 }));
    }

    #[test]
    fn better_and_contradicting_measurements_are_reported_and_others_are_not() {
        let mut meter = ClockMeter::default();
        assert!(meter.handle_answer(0, ms(1000), 500).is_some());
        // As good, and in accord with it.
        assert_eq!(meter.handle_answer(10_000, ms(900), 10_440), None);
        // Much better.
        let better = meter.handle_answer(20_000, ms(10), 20_105);
        assert_eq!(better, Some(ClockOffset { offset_ms: 100, error_ms: 6 }));
        // Better still, but the last one will do.
        assert_eq!(meter.handle_answer(25_000, ms(0), 25_100), None);
        // Late, in accord.
        assert_eq!(meter.handle_answer(30_000, ms(2000), 30_900), None);
        // The host's clock was set.
        let set = meter.handle_answer(40_000, ms(10), 100_005);
        assert_eq!(set, Some(ClockOffset { offset_ms: 60_000, error_ms: 6 }));
    }

    #[test]
    fn round_trip_is_reported_when_it_has_changed_by_a_quarter() {
        let mut meter = RoundTripMeter::default();
        let reported = [100, 110, 124, 126, 100, 4, 8]
            .map(|length| meter.handle_answer(ms(length)).map(|length| length.as_millis()));
        assert_eq!(reported, [Some(100), None, None, Some(126), None, Some(4), None]);
    }

    #[test]
    fn a_host_may_claim_any_time() {
        let mut meter = ClockMeter::default();
        let offset = meter.handle_answer(u64::MAX, Duration::MAX, 0).unwrap();
        assert_eq!(offset.offset_ms, i64::MIN);
        assert!(meter.handle_answer(0, ms(0), u64::MAX).is_some());
    }
}
