//! A host that is away: whether that is news, and what becomes of its jobs.

use std::time::Duration;

use gjob::settings::RunSettings;
use gjob::units::format_duration;
use gjob_core::event::{HostChange, HostEvent};
use gjob_core::plural::counted;
use gjob_core::scheduler::OnLost;
use gjob_core::{HostLabel, Run, What};

use super::Absences;
use super::headline::subject_host;

/// Of an event that says why a host that was up cannot be reached: true if it was not said
/// to be away before. The progress shows later reasons.
pub(super) fn newly_away(what: &What, run: &Run, absences: &Absences) -> Option<bool> {
    let What::Host(HostEvent { host, change: HostChange::Unreachable { .. } }) = what else {
        return None;
    };
    run.host(run.position(host)?)?.facts.as_ref()?;
    Some(!absences.is_known(host))
}

/// What becomes of the jobs of a host that is away, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FateOfJobs {
    on_lost: OnLost,
    lost_after: Duration,
}

impl FateOfJobs {
    pub(crate) fn of(settings: &RunSettings) -> Self {
        FateOfJobs { on_lost: settings.on_lost, lost_after: settings.lost_after() }
    }

    /// What becomes of one job.
    pub(crate) fn of_one(self, run: &Run) -> String {
        let after = format_duration(self.lost_after);
        match self.on_lost {
            _ if run.hosts().len() == 1 => "the job stays there until it is back".to_owned(),
            OnLost::Wait => "the job stays there until it is back".to_owned(),
            OnLost::Rerun => format!("the job starts elsewhere after {after} without contact"),
            OnLost::Lease => format!(
                "the job is killed there and starts elsewhere after {after} without contact"
            ),
        }
    }

    /// In a sentence; none for a host without jobs.
    pub(super) fn said_of(self, host: &HostLabel, run: &Run) -> Option<String> {
        let jobs = u64::from(run.host(run.position(host)?)?.needed_by());
        let (subject, jobs) = (subject_host(host), (jobs > 0).then(|| counted(jobs, "job"))?);
        let after = format_duration(self.lost_after);
        Some(match self.on_lost {
            _ if run.hosts().len() == 1 => format!("{subject} keeps its {jobs} until it is back"),
            OnLost::Wait => format!("{subject} keeps its {jobs} until it is back"),
            OnLost::Rerun => {
                format!(
                    "{subject} has {jobs}, to be started elsewhere after {after} without contact"
                )
            }
            OnLost::Lease => format!(
                "{subject} has {jobs}, to be killed there and started elsewhere after {after} without contact"
            ),
        })
    }
}
