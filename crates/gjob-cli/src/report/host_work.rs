//! What each host has done of a run: how long jobs take on it, and how many have failed
//! there.

use gjob_core::{Run, State};

/// Of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostWork {
    /// Jobs whose outcome is not `done`, and that it had last.
    pub(crate) failed: u32,
    /// The median duration of the jobs that are done on it, milliseconds.
    pub(crate) median_ms: Option<u64>,
    /// Of so many jobs.
    pub(crate) timed: usize,
}

/// Of every host, in the order of the hosts.
pub(crate) fn host_work(run: &Run) -> Vec<HostWork> {
    let mut work = vec![HostWork::default(); run.hosts().len()];
    let mut durations: Vec<Vec<u64>> = vec![Vec::new(); run.hosts().len()];
    for job in run.jobs() {
        let Some(host) = job.host().and_then(|host| run.position(host)) else { continue };
        match job.state() {
            State::Error | State::Unknown => work[host.at()].failed += 1,
            State::Done => {
                let took = job.attempt.as_deref().and_then(|attempt| attempt.duration());
                durations[host.at()].extend(took.map(|took| took.as_millis() as u64));
            }
            State::Free | State::Busy => {}
        }
    }
    for (work, mut all) in work.iter_mut().zip(durations) {
        work.timed = all.len();
        let middle = all.len() / 2;
        if middle < all.len() {
            work.median_ms = Some(*all.select_nth_unstable(middle).1);
        }
    }
    work
}
