//! What one `gjob clean` leaves on hosts: those that cannot be reached, each asked once
//! whatever number of runs has files there, and those that were given up.

use std::io::{self, Write};

use gjob::link::{HostPlan, Transport};
use gjob_core::plural::counted;
use gjob_core::run::Host;
use gjob_core::text::printable;
use gjob_core::{HostLabel, RunId};

use crate::exit::print_error;

/// Hosts with files of the runs that were cleaned, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct KeptOnHosts {
    unreachable: Vec<Unreachable>,
    given_up: Vec<GivenUp>,
}

/// A host that could not be asked. Runs that reach one name in different ways mean different
/// hosts.
#[derive(Debug)]
struct Unreachable {
    label: HostLabel,
    transport: Transport,
    /// Why, in one line.
    reason: String,
    /// Runs that have files there.
    runs: u64,
}

/// A results directory of a host that was given up, and the runs that have files in it.
#[derive(Debug)]
struct GivenUp {
    label: HostLabel,
    results_dir: String,
    /// As hosts know them.
    runs: Vec<RunId>,
}

impl KeptOnHosts {
    /// True for a host that could not be asked before. `has_files` says that another run
    /// has files there.
    pub(super) fn is_unreachable(&mut self, plan: &HostPlan, has_files: bool) -> bool {
        let (label, way) = (plan.label(), plan.transport());
        let is_it = |known: &&mut Unreachable| known.label == *label && known.transport == *way;
        let known = self.unreachable.iter_mut().find(is_it);
        known.map(|known| known.runs += u64::from(has_files)).is_some()
    }

    /// Notes that a host could not be asked for a run.
    pub(super) fn add_unreachable(&mut self, plan: &HostPlan, has_files: bool, reason: &str) {
        let (label, transport) = (plan.label().clone(), plan.transport().clone());
        let (reason, runs) = (reason.to_owned(), has_files.into());
        self.unreachable.push(Unreachable { label, transport, reason, runs });
    }

    /// Notes that a host was given up, if it has files of the run.
    pub(super) fn add_given_up(&mut self, host: &Host, run: &RunId) {
        let Some(facts) = &host.facts else { return };
        let results_dir = facts.results_dir.to_string();
        let is_it =
            |known: &&mut GivenUp| known.label == host.label && known.results_dir == results_dir;
        match self.given_up.iter_mut().find(is_it) {
            Some(known) => known.runs.push(run.clone()),
            None => self.given_up.push(GivenUp {
                label: host.label.clone(),
                results_dir,
                runs: vec![run.clone()],
            }),
        }
    }

    /// Says where files of runs are still, once for each host.
    pub(super) fn say(&self) -> io::Result<()> {
        for Unreachable { label, reason, runs, .. } in self.with_files() {
            let runs = counted(*runs, "run");
            print_error(&format!("host {label} keeps its files of {runs}: {reason}"));
        }
        for GivenUp { label, results_dir: dir, runs } in &self.given_up {
            let text = match runs.as_slice() {
                [run] => format!(
                    "host {label} keeps its job directories in {dir}, and {dir}/.gjob/runs/{run}"
                ),
                runs => format!(
                    "host {label} keeps the job directories of {} in {dir}, and their logs in \
                     {dir}/.gjob/runs",
                    counted(runs.len() as u64, "run")
                ),
            };
            writeln!(io::stdout(), "{}", printable(&text))?;
        }
        Ok(())
    }

    fn with_files(&self) -> impl Iterator<Item = &Unreachable> {
        self.unreachable.iter().filter(|it| it.runs > 0)
    }

    /// How to clean the rest: again later, or not at all.
    pub(super) fn help(&self, again: &str) -> String {
        let mut hosts: Vec<&str> = self.with_files().map(|it| it.label.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let again = format!("help: `gjob clean {again}` tries again");
        match hosts.as_slice() {
            [] => again,
            [host] => format!("{again}; `--forget-host {host}` gives that host up"),
            [..] => format!("{again}; `--forget-host HOST` gives a host up"),
        }
    }
}
