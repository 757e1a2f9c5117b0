//! Whether the agent still answers. No clock here: every method takes `now`.

use std::time::Duration;

use tokio::time::Instant;

/// How often an agent is asked.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
/// After how long without a word it is said to be silent: an answer to a ping is overdue.
pub(super) const QUIET_TIME: Duration = Duration::from_secs(12);
/// How long it may be silent.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may leave pings unanswered while it sends something else: on a slow
/// link an answer waits behind outputs.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes that count as a sign of life without an answer, in one [`SILENCE_TIMEOUT`]:
/// no link is so slow that less than this holds an answer up.
const SIGN_OF_LIFE: u64 = 32 * 1024;
/// How often [`Heartbeat::handle_tick`] is to be called.
pub(super) const TICK_INTERVAL: Duration = Duration::from_secs(5);

/// What a tick asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing to do.
    Rest,
    /// Send a ping.
    Ping,
    /// The agent has been silent for too long.
    Dead,
}

/// When the agent was last heard and asked. It is heard by its answers to pings, or
/// by much of anything; a byte now and then shows nothing.
#[derive(Debug)]
pub(super) struct Heartbeat {
    heard: Instant,
    answered: Instant,
    /// Bytes that have come since it was last heard.
    received: u64,
    /// When anything at all came last.
    spoke: Instant,
    /// True once its silence was said.
    is_quiet: bool,
    pinged: Instant,
    ticked: Instant,
}

impl Heartbeat {
    pub(super) fn new(now: Instant) -> Self {
        Heartbeat {
            heard: now,
            answered: now,
            received: 0,
            spoke: now,
            is_quiet: false,
            pinged: now,
            ticked: now,
        }
    }

    /// A ping was answered, or this side was not listening.
    pub(super) fn handle_answer(&mut self, now: Instant) {
        (self.heard, self.answered, self.received) = (now, now, 0);
    }

    /// So many bytes have come, whatever they are. Returns how long there was nothing, if
    /// that was said.
    pub(super) fn handle_bytes(&mut self, count: usize, now: Instant) -> Option<Duration> {
        self.received += count as u64;
        if self.received >= SIGN_OF_LIFE {
            (self.heard, self.received) = (now, 0);
        }
        let silence = now.duration_since(std::mem::replace(&mut self.spoke, now));
        std::mem::take(&mut self.is_quiet).then_some(silence)
    }

    /// For how long there has been nothing, once when that begins to matter. Asked after a
    /// tick.
    pub(super) fn new_silence(&mut self, now: Instant) -> Option<Duration> {
        let silence = now.duration_since(self.spoke);
        if self.is_quiet || silence < QUIET_TIME {
            return None;
        }
        self.is_quiet = true;
        Some(silence)
    }

    /// Whatever has come was not read.
    pub(super) fn handle_deafness(&mut self, now: Instant) {
        self.handle_answer(now);
        self.spoke = now;
    }

    /// Judges the silence. After a long gap between ticks this process itself
    /// did not run (a laptop slept, the program was stopped): the agent is
    /// asked again before it is blamed.
    pub(super) fn handle_tick(&mut self, now: Instant) -> Beat {
        let slept = now.duration_since(self.ticked) > 2 * TICK_INTERVAL;
        self.ticked = now;
        if slept {
            self.handle_deafness(now);
            self.pinged = now;
            return Beat::Ping;
        }
        let silent = now.duration_since(self.heard) >= SILENCE_TIMEOUT;
        if silent || now.duration_since(self.answered) >= ANSWER_TIMEOUT {
            return Beat::Dead;
        }
        // Ticks come a little early or late: every other one is to ask.
        if now.duration_since(self.pinged) + TICK_INTERVAL / 2 >= PING_INTERVAL {
            self.pinged = now;
            return Beat::Ping;
        }
        Beat::Rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks until something other than rest or a ping comes, at most `limit`.
    fn time_to_death(
        heartbeat: &mut Heartbeat,
        start: Instant,
        limit: Duration,
    ) -> Option<Duration> {
        let mut passed = Duration::ZERO;
        while passed < limit {
            passed += TICK_INTERVAL;
            if heartbeat.handle_tick(start + passed) == Beat::Dead {
                return Some(passed);
            }
        }
        None
    }

    #[test]
    fn a_silent_agent_is_given_up_within_40_seconds() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let death = time_to_death(&mut heartbeat, start, Duration::from_secs(100));
        assert_eq!(death, Some(SILENCE_TIMEOUT));
    }

    #[test]
    fn an_agent_that_answers_is_asked_every_ten_seconds_and_lives() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let mut pings = 0;
        for tick in 1..=120 {
            let now = start + tick * TICK_INTERVAL;
            match heartbeat.handle_tick(now) {
                Beat::Ping => {
                    pings += 1;
                    heartbeat.handle_answer(now);
                }
                Beat::Rest => {}
                Beat::Dead => panic!("given up at {tick}"),
            }
        }
        assert_eq!(pings, 60);
    }

    #[test]
    fn an_agent_is_asked_every_ten_seconds_by_ticks_that_are_not_quite_regular() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let asked = (1..=120).filter(|tick| {
            let late = Duration::from_millis(u64::from(5 - tick % 6));
            let now = start + *tick * TICK_INTERVAL + late;
            let beat = heartbeat.handle_tick(now);
            heartbeat.handle_answer(now);
            beat == Beat::Ping
        });
        assert_eq!(asked.count(), 60);
    }

    /// Ticks while so many bytes come before each.
    fn time_to_death_receiving(bytes: usize) -> Option<Duration> {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        (1..=120).map(|tick| TICK_INTERVAL * tick).find(|passed| {
            let _ = heartbeat.handle_bytes(bytes, start + *passed);
            heartbeat.handle_tick(start + *passed) == Beat::Dead
        })
    }

    #[test]
    fn an_agent_that_says_little_and_answers_nothing_is_given_up() {
        assert_eq!(time_to_death_receiving(100), Some(SILENCE_TIMEOUT));
        // Its answers may be behind what it sends, but not for ever.
        assert_eq!(time_to_death_receiving(100_000), Some(ANSWER_TIMEOUT));
    }

    #[test]
    fn silence_is_told_once_after_a_missed_answer_and_its_end_with_its_length() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let told: Vec<u64> = (1..=5)
            .map(|tick| 5 * tick)
            .filter(|passed| {
                heartbeat.handle_tick(at(*passed));
                heartbeat.new_silence(at(*passed)).is_some()
            })
            .collect();
        assert_eq!(told, [15]);
        assert_eq!(heartbeat.handle_bytes(1, at(27)), Some(Duration::from_secs(27)));
        assert_eq!(heartbeat.handle_bytes(1, at(28)), None);
        assert_eq!(heartbeat.new_silence(at(39)), None);
        assert_eq!(heartbeat.new_silence(at(40)), Some(QUIET_TIME));
    }

    #[test]
    fn after_a_sleep_the_agent_is_asked_before_it_is_blamed() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        let woken = start + Duration::from_secs(3600);
        assert_eq!(heartbeat.handle_tick(woken), Beat::Ping);
        let death = time_to_death(&mut heartbeat, woken, Duration::from_secs(100));
        assert_eq!(death, Some(SILENCE_TIMEOUT));
    }
}
