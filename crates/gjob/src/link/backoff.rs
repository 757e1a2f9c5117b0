//! How long to wait before trying a host again.

use std::time::Duration;

use gjob_core::time::backoff;

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// A link that lived as long starts afresh.
const LIVED: Duration = Duration::from_secs(30);

/// Pauses that double, with jitter: a thousand hosts behind one broken switch
/// don't all come back in the same instant.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    random: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Backoff { failures: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// Says how long a link lived before it broke.
    pub(super) fn handle_life(&mut self, lived: Duration) {
        if lived >= LIVED {
            self.failures = 0;
        }
    }

    /// The next pause: between a half and the whole of the doubled one.
    pub(super) fn next_pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let whole = backoff(FIRST, LONGEST, self.failures);
        whole.mul_f64(0.5 + self.random.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_afresh_after_a_long_life() {
        let mut backoff = Backoff::new(1);
        let mut whole = FIRST;
        for _ in 0..40 {
            let pause = backoff.next_pause();
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?}");
            whole = (whole * 2).min(LONGEST);
        }
        backoff.handle_life(Duration::from_secs(1));
        assert!(backoff.next_pause() > FIRST);
        backoff.handle_life(LIVED);
        assert!(backoff.next_pause() <= FIRST);
    }

    #[test]
    fn two_hosts_do_not_pause_alike() {
        assert_ne!(Backoff::new(1).next_pause(), Backoff::new(2).next_pause());
    }
}
