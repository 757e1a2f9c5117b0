//! What hosts run once besides their jobs: set-ups and teardowns.

use gjob_core::record::Record;
use gjob_core::{Cause, Ending, Key, Timestamp};

use super::Simulation;
use super::hosts::finished;

impl Simulation {
    pub(super) fn is_task(&self, key: Key) -> bool {
        key.index >= self.plan.jobs
    }

    pub(super) fn is_teardown(&self, key: Key) -> bool {
        self.is_task(key) && !self.is_setup(key)
    }

    /// Each host's teardown comes behind its set-up.
    fn is_setup(&self, key: Key) -> bool {
        (key.index - self.plan.jobs).is_multiple_of(2)
    }

    /// Nothing else runs on its host, and a host is not set up twice.
    pub(super) fn start_task(&mut self, host: u32, key: Key) {
        let is_setup = self.is_setup(key);
        let sim = &mut self.hosts[host as usize];
        if sim.full_until > self.now {
            return self.drop_launch(host, key);
        }
        assert_eq!(key.index, self.plan.jobs + 2 * host + u32::from(!is_setup));
        assert!(sim.claims.insert(key), "{key} began twice");
        assert!(sim.running.is_empty(), "{key} began beside {:?}", sim.running);
        let is_needed = !sim.is_set_up || sim.is_left;
        assert!(!is_setup || is_needed, "{key} sets h{host} up again");
        (sim.is_set_up, sim.is_left) = (false, false);
        let id = format!("h{host}/2026-11-22-{}", sim.claims.len()).parse().unwrap();
        sim.log.push(Record::Started {
            key,
            id,
            pid: 1,
            at: Timestamp(self.now),
            processors: Vec::new(),
        });
        sim.running.insert(key, self.now);
        let begun = if is_setup { &mut self.seen.setups } else { &mut self.seen.teardowns };
        *begun += 1;
        let length = self.rng.u64(1..600);
        self.at(self.now + length, super::Happening::JobEnds { host, key });
    }

    pub(super) fn task_ends(&mut self, host: u32, key: Key, cause: Option<Cause>, started: u64) {
        let is_setup = self.is_setup(key);
        let fails = is_setup && host == 0 && self.plan.bad_setup && self.rng.bool();
        let ending = match cause {
            Some(_) => Ending::Signal(15),
            None => Ending::Exit(if fails { 3 } else { 0 }),
        };
        self.seen.failed_setups += u32::from(fails && cause.is_none());
        let times = (Timestamp(started), Timestamp(self.now));
        let mut record = finished(host, key, ending, cause, times);
        if let Record::Finished(finish) = &mut record {
            finish.stdout_bytes = u64::from(is_setup);
        }
        let sim = &mut self.hosts[host as usize];
        sim.is_set_up = is_setup && cause.is_none() && !fails;
        sim.log.push(record);
        self.send_tail(host);
    }
}
