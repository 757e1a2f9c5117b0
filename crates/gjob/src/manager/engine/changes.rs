//! Changes of a run that goes on, as users ask for them: hosts that are added, drained and
//! removed, slots, and when the run is ended early. How hosts are reached is in the run's
//! settings, and what is wanted of them in events: both are in one transaction.

use std::time::Instant;

use gjob_core::halt::Halt;
use gjob_core::plural::counted;
use gjob_core::run::{Host, HostDuty, HostIx, HostStatus};
use gjob_core::{Cluster, HostEntry, HostLabel};

use super::refetch::removed;
use super::{Engine, OUTPUT_TIMEOUT};
use crate::manager::ManagerError;
use crate::manager::control::{Change, Changed};
use crate::settings::{RunSettings, TaskSettings};

/// One thing to be done, once all is known to be possible.
#[derive(Debug)]
enum Step {
    Add(HostLabel),
    Known(HostLabel),
    Drain(HostIx),
    Remove(HostIx),
    /// False if it runs so many already.
    Slots(HostLabel, u32, bool),
    Halt(Option<Halt>),
}

impl Engine {
    /// Changes the run: all of it, or nothing.
    pub(in crate::manager) fn change(
        &mut self,
        changes: &[Change],
    ) -> Result<Changed, ManagerError> {
        if let Some(how) = self.scheduler.is_past_changes() {
            let refused = format!(
                "run {run} {how}: nothing was changed\n\
                 help: change it once its manager has ended, then resume it with `gjob attach {run}`",
                run = self.dir.run()
            );
            return Ok(Changed { refused: Some(refused), ..Changed::default() });
        }
        let mut settings = RunSettings::from_json(&self.books.store().row()?.settings)?;
        let planned = self.plan(changes, &mut settings).and_then(|steps| {
            let network = settings.network_with_lease();
            self.network.set_settings(network).map_err(|error| error.to_string())?;
            Ok(steps)
        });
        match planned {
            Err(refused) => Ok(Changed { refused: Some(refused), ..Changed::default() }),
            Ok(steps) => {
                self.books.set_settings(settings.to_json()?);
                let tasks = &settings.host_tasks;
                let notes = steps.into_iter().map(|step| self.take_step(step, tasks)).collect();
                Ok(Changed { notes, refused: None })
            }
        }
    }

    /// What is to be done, with the settings as they are then.
    fn plan(&self, changes: &[Change], settings: &mut RunSettings) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        for change in changes {
            match change {
                Change::Add { clusters } => {
                    for cluster in clusters {
                        self.plan_cluster(cluster, settings, &mut steps)?;
                    }
                }
                Change::Drain { hosts } => {
                    for label in hosts {
                        steps.push(Step::Drain(self.known(label)?));
                    }
                }
                Change::Remove { hosts } => {
                    for label in hosts {
                        steps.push(Step::Remove(self.known(label)?));
                    }
                }
                Change::Slots { hosts, slots } => {
                    for label in hosts {
                        self.known(label)?;
                        let is_new = settings.network.set_slots(label, *slots);
                        steps.push(Step::Slots(label.clone(), *slots, is_new));
                    }
                }
                Change::Halt { halt } => {
                    settings.halt = *halt;
                    steps.push(Step::Halt(*halt));
                }
            }
        }
        Ok(steps)
    }

    /// Hosts of one cluster: those that the run does not have become one of its settings.
    fn plan_cluster(
        &self,
        cluster: &Cluster,
        settings: &mut RunSettings,
        steps: &mut Vec<Step>,
    ) -> Result<(), String> {
        let mut new: Vec<HostEntry> = Vec::new();
        for worker in &cluster.workers {
            let label = worker.label().map_err(|error| error.to_string())?;
            let Some(host) = self.run().position(&label) else {
                new.push(worker.clone());
                steps.push(Step::Add(label));
                continue;
            };
            let host = &self.run().hosts()[host.at()];
            let is_known = host.duty == HostDuty::Serving && host.status != HostStatus::Failed;
            let (known, added) = (Step::Known(label.clone()), Step::Add(label.clone()));
            steps.push(if is_known { known } else { added });
            if let Some(slots) = worker.slots
                && settings.network.set_slots(&label, slots)
            {
                steps.push(Step::Slots(label, slots, true));
            }
        }
        if !new.is_empty() {
            settings.network.clusters.push(Cluster { workers: new, ..cluster.clone() });
        }
        Ok(())
    }

    fn known(&self, label: &HostLabel) -> Result<HostIx, String> {
        let known = self.run().position(label);
        known.ok_or_else(|| format!("run {} has no host {label}", self.dir.run()))
    }

    /// Does it, and says what.
    fn take_step(&mut self, step: Step, tasks: &TaskSettings) -> String {
        let now = self.now();
        match step {
            Step::Known(label) => format!("host {label} is in the run already"),
            Step::Add(label) => {
                let is_new = self.run().position(&label).is_none();
                let plan = self.network.position(&label);
                let plan = plan.and_then(|at| self.network.hosts().get(at.at()));
                let labels = plan.map(|plan| plan.labels()).unwrap_or_default();
                let tasks = plan.map(|plan| tasks.specs(plan)).unwrap_or_default();
                let (host, opens) = self.scheduler.handle_host_added(now, &label, labels, tasks);
                if opens {
                    self.releasing.retain(|(releasing, _)| *releasing != host);
                    self.network.reopen(host);
                }
                match is_new {
                    true => format!("host {label} added"),
                    false => format!("host {label} takes jobs again"),
                }
            }
            Step::Drain(host) => {
                self.scheduler.handle_drain(now, host);
                describe(self.host(host), "")
            }
            Step::Remove(host) => {
                self.scheduler.handle_remove(now, host);
                describe(self.host(host), ", which are killed and run again elsewhere")
            }
            Step::Slots(label, slots, is_new) => {
                if let Some(host) = self.run().position(&label).filter(|_| is_new) {
                    self.scheduler.handle_new_slots(now, host, slots);
                    // Its agent is told when it takes up the run.
                    if !self.host(host).is_gone() {
                        self.network.reopen(host);
                    }
                }
                format!("host {label}: {} at once", counted(slots.into(), "job"))
            }
            Step::Halt(halt) => {
                self.scheduler.handle_new_halt(now, halt);
                Halt::describe(halt)
            }
        }
    }

    fn host(&self, host: HostIx) -> &Host {
        &self.run().hosts()[host.at()]
    }

    /// Closes the links of removed hosts when the last outputs have come that were asked of
    /// them.
    pub(super) fn release_hosts(&mut self) {
        for (host, since) in std::mem::take(&mut self.releasing) {
            let waits = self.streams.waits_for(host)
                || self.collecting.waits_for(host)
                || self.fetches_again(host);
            if waits && since.elapsed() < OUTPUT_TIMEOUT {
                self.releasing.push((host, since));
            } else {
                self.network.reject(host, "it was removed from the run");
                self.give_up_again(host, &removed(self.label(host)));
            }
        }
    }

    /// A removed host has nothing left that the run waits for.
    pub(super) fn release(&mut self, host: HostIx) {
        self.releasing.push((host, Instant::now()));
    }
}

/// `host h1 draining: 2 jobs on it`
fn describe(host: &Host, what_of_them: &str) -> String {
    let how = host.leaving().unwrap_or("serving");
    let jobs = match host.needed_by() {
        0 => String::new(),
        jobs => format!(": {} on it{what_of_them}", counted(jobs.into(), "job")),
    };
    let away = match host.needed_by() > 0 && !host.status.answers() {
        true => "; it does not answer now",
        false => "",
    };
    format!("host {} {how}{jobs}{away}", host.label)
}
