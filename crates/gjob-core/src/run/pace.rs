//! How fast a run goes: how long jobs take on each host, and how long the rest
//! of them will.

use std::time::Duration;

use super::{Host, HostDuty, Run};
use crate::job::{Job, Phase};
use crate::state::State;
use crate::time::Timestamp;

/// How long the jobs took that are done on one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// So many are done.
    pub jobs: u32,
    /// The sum of their durations, milliseconds.
    pub total_ms: u64,
}

impl Pace {
    /// The mean duration of a job, milliseconds; none before the first is done.
    #[must_use]
    pub fn mean_ms(self) -> Option<u64> {
        (self.jobs > 0).then(|| self.total_ms / u64::from(self.jobs))
    }

    /// What a job counts for: nothing unless it is done.
    pub(super) fn of(job: &Job) -> Pace {
        match (job.phase, job.attempt.as_deref().and_then(|attempt| attempt.duration())) {
            (Phase::Ended(State::Done), Some(took)) => {
                Pace { jobs: 1, total_ms: took.as_millis() as u64 }
            }
            _ => Pace::default(),
        }
    }

    pub(super) fn add(&mut self, other: Pace) {
        self.jobs += other.jobs;
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
    }

    pub(super) fn remove(&mut self, other: Pace) {
        self.jobs = self.jobs.saturating_sub(other.jobs);
        self.total_ms = self.total_ms.saturating_sub(other.total_ms);
    }
}

/// Slots of one host that run jobs one after another.
struct Lane {
    /// How long a job takes, milliseconds; at least 1.
    job_ms: u64,
    /// When each slot that is in use will be free, milliseconds from now.
    busy_ms: Vec<u64>,
    /// Slots that are free now.
    free: u64,
    /// False if it gets no jobs any more.
    serves: bool,
}

impl Lane {
    /// How many of the jobs that wait now can have ended within `ms` milliseconds.
    fn jobs_within(&self, ms: u64) -> u64 {
        if !self.serves {
            return 0;
        }
        let busy = self.busy_ms.iter().map(|free_at| ms.saturating_sub(*free_at) / self.job_ms);
        busy.sum::<u64>().saturating_add(self.free.saturating_mul(ms / self.job_ms))
    }

    fn new(host: &Host, run: &Run, mean_ms: u64, now: Timestamp) -> Lane {
        let ran = |index: u32| {
            let attempt = run.job(index).and_then(|job| job.attempt.as_deref());
            let since = attempt.and_then(|attempt| attempt.started).unwrap_or(now);
            now.0.saturating_sub(since.0)
        };
        let ran: Vec<u64> = host.in_flight().map(ran).collect();
        // A host on which no job is done yet may be slow: its jobs take at least as long
        // as they have been running.
        let longest = ran.iter().copied().max().unwrap_or(0);
        let job_ms = host.pace.mean_ms().unwrap_or(mean_ms.max(longest)).max(1);
        let busy_ms: Vec<u64> = ran.iter().map(|ran| job_ms.saturating_sub(*ran)).collect();
        let slots = match (busy_ms.len() as u64, u64::from(host.load())) {
            // Jobs of several processors take several slots each.
            (jobs @ 1.., load) if load > jobs => u64::from(host.slots()) * jobs / load,
            _ => host.slots().into(),
        };
        let free = match host.takes_jobs() {
            true => slots.saturating_sub(busy_ms.len() as u64),
            false => 0,
        };
        Lane { job_ms, busy_ms, free, serves: host.duty == HostDuty::Serving }
    }
}

impl Run {
    /// How long the jobs that run or wait now will take together, if hosts stay
    /// as they are, and jobs take as long on each host as those before. None
    /// before a job is done, when no host answers, and when nothing is left.
    #[must_use]
    pub fn time_left(&self, now: Timestamp) -> Option<Duration> {
        let mut pace = Pace::default();
        self.hosts.iter().for_each(|host| pace.add(host.pace));
        let mean_ms = pace.mean_ms()?;
        let hosts = self.hosts.iter().filter(|host| host.status.answers());
        let lanes: Vec<Lane> = hosts.map(|host| Lane::new(host, self, mean_ms, now)).collect();
        let waits = |job: &&Job| job.phase == Phase::Waiting && !job.paused;
        let waiting = self.jobs.iter().filter(waits).count() as u64;
        let running_ms = lanes.iter().flat_map(|lane| &lane.busy_ms).copied().max();
        let has_slots = lanes.iter().any(|lane| lane.free > 0 || !lane.busy_ms.is_empty());
        if (waiting == 0 && running_ms.is_none()) || !has_slots {
            return None;
        }
        let within = |ms: u64| lanes.iter().map(|lane| lane.jobs_within(ms)).sum::<u64>();
        let waiting_ms = first(|ms| within(ms) >= waiting)?;
        Some(Duration::from_millis(waiting_ms.max(running_ms.unwrap_or(0))))
    }
}

/// The smallest number for which `is_enough`, which is so from there on.
fn first(is_enough: impl Fn(u64) -> bool) -> Option<u64> {
    let most = (0..56).map(|power| 1u64 << power).find(|most| is_enough(*most))?;
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dependency::Dependencies;
    use crate::event::HostFacts;
    use crate::id::Key;
    use crate::outcome::{Ending, Finish};
    use crate::resources::Offer;
    use crate::run::HostStatus;
    use crate::run::{Attempt, RunParts};
    use crate::spec::JobSpec;

    fn host(name: &str, slots: u32) -> Host {
        let facts = HostFacts { offer: Offer::cpus(slots), ..HostFacts::default() };
        Host { status: HostStatus::Up, facts: Some(facts), ..Host::new(name.parse().unwrap()) }
    }

    /// A job of the host that was done in `seconds`, or (0) that has been running
    /// since second 100.
    fn job(index: u32, on: &str, seconds: u64) -> Job {
        let (key, id) = (Key::new(index, 1), "x/2026-11-22-1".parse().unwrap());
        let spec = JobSpec::new(["true"]).unwrap();
        let mut attempt = Attempt::new(key, on.parse().unwrap(), Timestamp(0));
        attempt.started = Some(Timestamp(100_000));
        if seconds > 0 {
            let (started, ended) = (Timestamp(0), Timestamp(seconds * 1000));
            let finish = Finish::new(id, Ending::Exit(0), started, ended);
            attempt.finish = Some(Box::new(Finish { key: Some(key), ..finish }));
        }
        Job {
            index,
            phase: if seconds > 0 { Phase::Ended(State::Done) } else { Phase::Running },
            attempt: Some(Box::new(attempt)),
            last_attempt: 1,
            ..Job::new(spec)
        }
    }

    fn waiting(index: u32) -> Job {
        Job { index, ..Job::new(Arc::new(JobSpec::new(["true"]).unwrap())) }
    }

    fn run(hosts: Vec<Host>, jobs: Vec<Job>) -> Run {
        let dependencies = Dependencies::default();
        Run::from_parts(RunParts {
            hosts,
            jobs,
            others: vec![],
            dependencies,
            ended: None,
            over_at: None,
            revision: 0,
            seq: 0,
        })
    }

    fn seconds_left(run: &Run, at: u64) -> Option<f64> {
        run.time_left(Timestamp(at * 1000)).map(|left| left.as_secs_f64())
    }

    #[test]
    fn there_is_no_estimate_before_a_job_is_done_without_a_host_or_with_nothing_left() {
        let hosts = || vec![host("h1", 2)];
        assert_eq!(seconds_left(&run(hosts(), vec![waiting(0)]), 0), None);
        assert_eq!(seconds_left(&run(hosts(), vec![job(0, "h1", 8)]), 0), None);
        let mut away = run(hosts(), vec![job(0, "h1", 8), waiting(1)]);
        assert_eq!(seconds_left(&away, 0), Some(8.0));
        away.hosts[0].status = HostStatus::Unreachable;
        assert_eq!(seconds_left(&away, 0), None);
    }

    #[test]
    fn running_jobs_count_for_what_they_still_need() {
        let jobs = vec![job(0, "h1", 8), job(1, "h1", 0), waiting(2), waiting(3)];
        // At 103 s one slot has 5 s to go and the other is free: 8 s for one of
        // those that wait, 5 + 8 s for the other.
        assert_eq!(seconds_left(&run(vec![host("h1", 2)], jobs.clone()), 103), Some(13.0));
        // It takes longer than those before: any moment now.
        assert_eq!(seconds_left(&run(vec![host("h1", 2)], jobs[..2].to_vec()), 200), Some(0.0));
    }

    #[test]
    fn a_slow_host_takes_fewer_of_the_jobs() {
        let hosts = vec![host("fast", 1), host("slow", 1)];
        let mut jobs = vec![job(0, "fast", 2), job(1, "slow", 10)];
        jobs.extend((2..8).map(waiting));
        // In 10 s: five on the fast one, one on the slow one.
        assert_eq!(seconds_left(&run(hosts, jobs), 0), Some(10.0));
    }

    #[test]
    fn a_host_without_a_finished_job_is_taken_to_be_like_the_others() {
        let hosts = vec![host("h1", 1), host("h2", 1)];
        let jobs = vec![job(0, "h1", 4), waiting(1), waiting(2)];
        assert_eq!(seconds_left(&run(hosts, jobs), 0), Some(4.0));
    }

    #[test]
    fn a_host_that_has_finished_nothing_is_as_slow_as_its_jobs_have_shown() {
        let hosts = vec![host("fast", 1), host("slow", 1)];
        // At 120 s the job on the slow host has been running for 20 s.
        let jobs = vec![job(0, "fast", 2), job(1, "slow", 0), waiting(2), waiting(3)];
        assert_eq!(seconds_left(&run(hosts, jobs), 120), Some(4.0));
        let jobs = vec![job(0, "fast", 2), job(1, "slow", 0), waiting(2)];
        let mut hosts = vec![host("fast", 1), host("slow", 1)];
        hosts[0].status = HostStatus::Failed;
        assert_eq!(seconds_left(&run(hosts, jobs), 120), Some(20.0));
    }
}
