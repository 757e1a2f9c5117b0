//! What is simulated, and what came about.

use std::sync::Arc;

use gjob_core::dependency::{After, Dependencies};
use gjob_core::resources::Cpus;
use gjob_core::run::TaskSpecs;
use gjob_core::scheduler::OnLost;
use gjob_core::{JobSpec, Run};

/// What is simulated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) jobs: u32,
    pub(crate) hosts: u32,
    pub(crate) slots: u32,
    pub(crate) retries: u32,
    /// The last so many jobs exit with 7.
    pub(crate) failing: u32,
    pub(crate) link_breaks: u32,
    pub(crate) manager_deaths: u32,
    pub(crate) interrupt: bool,
    /// Job 0 runs a hundred times longer than any other.
    pub(crate) slow_job: bool,
    /// The longest that a job runs, ms; 100 for 0.
    pub(crate) longest: u64,
    /// Links that break for longer than hosts are waited for.
    pub(crate) long_cuts: u32,
    /// Hosts that crash and are booted again.
    pub(crate) crashes: u32,
    /// What is done about lost hosts.
    pub(crate) on_lost: OnLost,
    /// How often a user holds a job and lets it go on later.
    pub(crate) pauses: u32,
    /// The last so many jobs run until a user ends them.
    pub(crate) endless: u32,
    /// Jobs have outputs.
    pub(crate) outputs: bool,
    /// One job in so many asks for all slots of a host; none for 0.
    pub(crate) big: u32,
    /// Host 0 starts nothing, and reports ends that nobody ordered.
    pub(crate) liar: bool,
    /// Times for which a host's disk is full.
    pub(crate) full: u32,
    /// One message in so many is lost on its way to its host, though never the same twice
    /// in a row; none for 0.
    pub(crate) swallows: u32,
    /// One launch in so many is not sent before what it needs was fetched again; none for 0.
    pub(crate) away: u32,
    /// Each job waits for the one that is so many before it; none for 0.
    pub(crate) chain: u32,
    /// Three of four jobs are bound: to one host, to two, or by a label.
    pub(crate) bound: bool,
    /// Hosts that users add while the run goes on, on top of the others.
    pub(crate) late_hosts: u32,
    /// How often users drain a host; later it is returned to service.
    pub(crate) drains: u32,
    /// The same with hosts that are removed.
    pub(crate) removals: u32,
    /// Hosts are set up before their first job and torn down after their last.
    pub(crate) tasks: bool,
    /// Every other set-up of host 0 fails.
    pub(crate) bad_setup: bool,
    /// How often users have a host run another number of jobs at once.
    pub(crate) new_slots: u32,
}

impl Plan {
    pub(super) fn cpus(&self, index: u32) -> u32 {
        if self.big > 0 && index.is_multiple_of(self.big) { self.slots } else { 1 }
    }

    /// The job that a job waits for.
    pub(super) fn dependency(&self, index: u32) -> Option<u32> {
        index.checked_sub(self.chain).filter(|_| self.chain > 0)
    }

    /// True when no host is ever away, and no message gets lost.
    pub(super) fn is_without_faults(&self) -> bool {
        let away = self.link_breaks + self.long_cuts + self.crashes + self.manager_deaths;
        let by_users = self.drains + self.removals + self.new_slots;
        away + by_users + self.full + self.swallows == 0 && !self.interrupt
    }

    /// True when a job may run on a host.
    pub(super) fn admits(&self, index: u32, host: u32) -> bool {
        let (own, next) = (index % self.hosts, (index + 1) % self.hosts);
        !self.bound
            || match index % 4 {
                0 => true,
                1 => host == own,
                2 => host == own || host == next,
                _ => host % 2 == index / 4 % 2,
            }
    }

    fn bind(&self, spec: JobSpec, index: u32) -> JobSpec {
        let (own, next) = (index % self.hosts, (index + 1) % self.hosts);
        match index % 4 {
            _ if !self.bound => spec,
            0 => spec,
            1 => spec.hosts([format!("h{own}")]),
            2 => spec.hosts([format!("h{own}"), format!("h{next}")]),
            _ => spec.labels([label(index / 4 % 2)]),
        }
    }

    pub(super) fn all_hosts(&self) -> u32 {
        self.hosts + self.late_hosts
    }

    /// The run as it is before it begins.
    pub(super) fn run(&self) -> Run {
        let specs: Vec<Arc<JobSpec>> = (0..self.jobs).map(|index| self.spec(index)).collect();
        let dependencies = Dependencies::resolve(&specs).unwrap();
        let names = (0..self.hosts).map(|host| format!("h{host}").parse().unwrap());
        let labelled = (0..self.hosts).map(labels);
        let run = Run::new(names, specs, dependencies).with_labels(labelled);
        run.with_tasks((0..self.hosts).map(|_| self.host_tasks()))
    }

    pub(super) fn host_tasks(&self) -> TaskSpecs {
        let spec = || self.tasks.then(|| Arc::new(JobSpec::new(["true"]).unwrap()));
        TaskSpecs { setup: spec(), teardown: spec() }
    }

    fn spec(&self, index: u32) -> Arc<JobSpec> {
        let spec = JobSpec::new(["true"]).unwrap().retries(self.retries);
        let spec = spec.cpus(Cpus::Count(self.cpus(index)));
        let spec = spec.outputs(self.outputs.then_some("x"));
        let spec = self.bind(spec, index);
        Arc::new(spec.after(self.dependency(index).map(After::Job)))
    }

    pub(super) fn fails(&self, index: u32) -> bool {
        index >= self.jobs - self.failing
    }
}

/// Those of a host.
pub(super) fn labels(host: u32) -> Vec<String> {
    vec![label(host % 2)]
}

/// Every other host has the same label.
fn label(number: u32) -> String {
    format!("l{number}")
}

/// How often something happened that a plan is made to bring about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) abandoned: u32,
    pub(crate) superseded: u32,
    pub(crate) won_late: u32,
    pub(crate) lost: u32,
    pub(crate) withdrawn: u32,
    pub(crate) restarts: u32,
    pub(crate) killed: u32,
    /// Jobs that were let go on while their host could not be told.
    pub(crate) resumed_unheard: u32,
    /// The same of jobs that were to be ended.
    pub(crate) killed_unheard: u32,
    pub(crate) outputs_given_up: u32,
    pub(crate) lies: u32,
    /// Launches for which there was no space.
    pub(crate) no_space: u32,
    /// Hosts that were found to be restarted, and jobs that were said to begin again.
    pub(crate) host_restarts: u32,
    pub(crate) begun_again: u32,
    /// Launches that were not sent for that.
    pub(crate) away: u32,
    /// Messages that were lost.
    pub(crate) swallowed: u32,
    /// Launches of attempts that their hosts knew, which were answered again.
    pub(crate) repeated: u32,
    /// Set-ups and teardowns that began, and set-ups that failed.
    pub(crate) setups: u32,
    pub(crate) teardowns: u32,
    pub(crate) failed_setups: u32,
    /// Jobs that users had killed on hosts that they removed.
    pub(crate) recalled: u32,
    /// Jobs that began on hosts that were added.
    pub(crate) begun_late: u32,
    /// Hosts that were added and began a job before one of those that the run had before knew
    /// of them.
    pub(crate) unannounced: u32,
    /// Slots times ms that there were, and that jobs ran on.
    pub(crate) offered: u64,
    pub(crate) used: u64,
    /// The longest time in which no job that asks for a whole host began, ms.
    pub(crate) big_gap: u64,
    pub(super) last_big: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Seen) {
        self.abandoned += more.abandoned;
        self.superseded += more.superseded;
        self.won_late += more.won_late;
        self.lost += more.lost;
        self.withdrawn += more.withdrawn;
        self.restarts += more.restarts;
        self.killed += more.killed;
        self.resumed_unheard += more.resumed_unheard;
        self.killed_unheard += more.killed_unheard;
        self.outputs_given_up += more.outputs_given_up;
        self.lies += more.lies;
        self.no_space += more.no_space;
        self.host_restarts += more.host_restarts;
        self.begun_again += more.begun_again;
        self.away += more.away;
        self.swallowed += more.swallowed;
        self.repeated += more.repeated;
        self.setups += more.setups;
        self.teardowns += more.teardowns;
        self.failed_setups += more.failed_setups;
        self.recalled += more.recalled;
        self.begun_late += more.begun_late;
        self.unannounced += more.unannounced;
        self.offered += more.offered;
        self.used += more.used;
        self.big_gap = self.big_gap.max(more.big_gap);
    }
}
