//! A run as people are shown it: what is known only through a host that does
//! not answer is `unknown`.

use std::fmt;

use super::{History, Host, HostDuty, HostIx, HostStatus, Run, Tally};
use crate::job::{Job, Phase};
use crate::resources::Cpus;
use crate::state::State;
use crate::text::excerpt;

/// The state of a job as people are shown it, from its own and from that of the
/// host that it needs: nobody can say how a job is whose host does not answer,
/// or is asked by no manager.
#[must_use]
pub fn shown_state(state: State, host: Option<HostStatus>, managed: bool) -> State {
    match state {
        State::Busy if !managed || host.is_some_and(|host| !host.answers()) => State::Unknown,
        State::Free | State::Busy | State::Done | State::Unknown | State::Error => state,
    }
}

/// A run's state in the words for jobs: `busy` while a manager has it; then
/// `done` if every job is, `error` if every job has its outcome; `unknown`
/// while jobs may run without a manager, `free` while jobs only wait.
#[must_use]
pub fn run_state(tally: Tally, managed: bool) -> State {
    let Tally { free, busy, done: _, unknown, error } = tally;
    match (managed, free, busy, unknown + error) {
        (true, ..) => State::Busy,
        (false, 0, 0, 0) => State::Done,
        (false, 0, 0, _) => State::Error,
        (false, _, 0, _) => State::Free,
        (false, ..) => State::Unknown,
    }
}

/// Why a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// A user paused it.
    Paused,
    /// This job, which must be done before, is not.
    Dependency(u32),
    /// No process manages the run.
    NoManager,
    /// The run has moved, and this host has yet to say what it has run.
    Untold(HostIx),
    /// Every host was drained or removed.
    NoneServes,
    /// No host answers.
    NoHost,
    /// Every host that answers is full, paused, or too small.
    NoRoom,
    /// Every host that it is bound to was drained or removed.
    BoundNoneServes,
    /// No host that it is bound to answers.
    BoundNoHost,
    /// Every host that it is bound to and that answers is full, paused, or too small.
    BoundNoRoom,
    /// It is about to be assigned, or waits for the time to try again.
    Next,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::Paused => f.write_str("paused"),
            WaitReason::Dependency(job) => write!(f, "waits for job {job}"),
            WaitReason::NoManager => f.write_str("the run is stopped"),
            WaitReason::Untold(_) => {
                f.write_str("waits until all hosts have told what they have run")
            }
            WaitReason::NoneServes => f.write_str("every host is drained"),
            WaitReason::NoHost => f.write_str("no host is up"),
            WaitReason::NoRoom => f.write_str("no host has room"),
            WaitReason::BoundNoneServes => f.write_str("every host that it is bound to is drained"),
            WaitReason::BoundNoHost => f.write_str("no host that it is bound to is up"),
            WaitReason::BoundNoRoom => f.write_str("no host that it is bound to has room"),
            WaitReason::Next => f.write_str("may start next"),
        }
    }
}

impl Run {
    /// A job in a sentence: `job fit-0.1`, or `job 3` if it has no name.
    #[must_use]
    pub fn job_title(&self, index: u32) -> String {
        let name = self.job(index).and_then(Job::name);
        name.map_or_else(|| format!("job {index}"), |name| format!("job {}", excerpt(name)))
    }

    /// Why a job waits, in words; none for one that does not.
    #[must_use]
    pub fn wait_in_words(&self, index: u32, managed: bool) -> Option<String> {
        Some(match self.why_waiting(index, managed)? {
            WaitReason::Dependency(before) => format!("waits for {}", self.job_title(before)),
            WaitReason::Untold(host) => {
                let host = &self.hosts()[host.at()].label;
                format!("waits until {host} has told what it has run")
            }
            other => other.to_string(),
        })
    }

    /// The state of a job as people are shown it.
    #[must_use]
    pub fn shown_state(&self, index: u32, managed: bool) -> Option<State> {
        let state = self.job(index)?.state();
        let host = self.host_needed(index).and_then(|host| self.host(host));
        Some(shown_state(state, host.map(|host| host.status), managed))
    }

    /// Jobs by the state that people are shown.
    #[must_use]
    pub fn shown_tally(&self, managed: bool) -> Tally {
        let mut tally = self.tally();
        for host in self.hosts() {
            let shown = shown_state(State::Busy, Some(host.status), managed);
            tally.shift(State::Busy, shown, host.needed_by());
        }
        tally
    }

    /// Slots of a host that jobs can have now: while it waits for what others use of its
    /// machine, those of jobs that have begun.
    #[must_use]
    pub fn usable_slots(&self, host: &Host) -> u32 {
        if host.waits_for.is_none() {
            return host.slots();
        }
        let begun = host.in_flight().filter_map(|index| self.job(index));
        let begun = begun.filter(|job| job.phase != Phase::Assigned);
        begun.fold(0, |sum, job| match job.spec.cpus {
            Cpus::Count(count) => sum.saturating_add(count),
            Cpus::All => host.slots(),
        })
    }

    /// Slots of a host that jobs use now: what is promised beyond them waits there.
    #[must_use]
    pub fn busy_slots(&self, host: &Host) -> u32 {
        host.load().min(self.usable_slots(host))
    }

    /// Jobs that a host was assigned and has no room for yet.
    #[must_use]
    pub fn queued(&self, host: &Host) -> u32 {
        let jobs = host.in_flight().len() as u32;
        match host.waits_for {
            None => jobs.saturating_sub(host.slots()),
            Some(_) => {
                let is_queued =
                    |index: &u32| self.job(*index).is_some_and(|it| it.phase == Phase::Assigned);
                host.in_flight().filter(is_queued).count() as u32
            }
        }
    }

    /// The state of the run in the words for jobs.
    #[must_use]
    pub fn state(&self, managed: bool) -> State {
        run_state(self.tally(), managed)
    }

    /// Why a job waits; none for one that does not.
    #[must_use]
    pub fn why_waiting(&self, index: u32, managed: bool) -> Option<WaitReason> {
        let job = self.job(index).filter(|job| job.phase == Phase::Waiting)?;
        if job.paused {
            return Some(WaitReason::Paused);
        }
        if let Some(before) = self.unmet_dependency(index) {
            return Some(WaitReason::Dependency(before));
        }
        if !managed {
            return Some(WaitReason::NoManager);
        }
        if let Some(host) = self.first_untold() {
            return Some(WaitReason::Untold(host));
        }
        let (is_bound, choice) = (job.spec.is_bound(), job.spec.choice());
        let is_for_it = |host: &&Host| !is_bound || choice.admits(&host.label, &host.labels);
        let serving =
            self.hosts().iter().filter(is_for_it).filter(|it| it.duty == HostDuty::Serving);
        if serving.clone().next().is_none() {
            let why = [WaitReason::NoneServes, WaitReason::BoundNoneServes];
            return Some(why[usize::from(is_bound)]);
        }
        let mut hosts = serving.filter(|it| it.status.answers());
        let ask = job.spec.ask();
        Some(match (hosts.clone().next().is_some(), is_bound) {
            (false, false) => WaitReason::NoHost,
            (false, true) => WaitReason::BoundNoHost,
            _ if hosts.any(|it| it.takes_jobs() && it.has_free(&ask)) => WaitReason::Next,
            (true, false) => WaitReason::NoRoom,
            (true, true) => WaitReason::BoundNoRoom,
        })
    }

    /// The first host that nothing starts before, since what it has begun is not known.
    fn first_untold(&self) -> Option<HostIx> {
        let mut hosts = (0..).map(HostIx).zip(self.hosts());
        hosts.find(|(_, host)| host.history == History::Awaited).map(|(ix, _)| ix)
    }

    /// A job that must be done before this one, and is not.
    fn unmet_dependency(&self, index: u32) -> Option<u32> {
        let dependencies = self.dependencies();
        let groups = dependencies.waits(index).iter();
        let mut members =
            groups.flat_map(|group| &dependencies.groups()[*group as usize].members).copied();
        members.find(|member| {
            self.job(*member).is_some_and(|job| job.phase != Phase::Ended(State::Done))
        })
    }
}
