//! Cleaning one run: job directories, run logs, and staged files that no other run has
//! used.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use anyhow::anyhow;
use gjob::Network;
use gjob::link::HostPlan;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, RunDirError, StateDir, Store, StoreError};
use gjob_core::RunId;
use gjob_core::event::RunEnd;
use gjob_core::plural::counted;
use gjob_core::run::{Host, HostIx, HostStatus};

use super::kept_on_hosts::KeptOnHosts;
use crate::exit::{Failure, NOT_ALL_DONE, print_error};

/// What of a run is removed.
pub(super) struct What<'a> {
    /// The local record, too, once its hosts are clean.
    pub(super) record: bool,
    /// Hosts that are given up: what they have of the run is left.
    pub(super) forgotten: &'a [String],
    /// Written before each line, when there are several runs.
    pub(super) prefix: String,
}

/// Cleans a run. False if something of it is left.
pub(super) fn clean(dir: RunDir, what: &What<'_>, kept: &mut KeptOnHosts) -> Result<bool, Failure> {
    refuse_managed(&dir)?;
    let mut cleaning = Cleaning::new(dir, what)?;
    let clean = cleaning.hosts(kept)?;
    for host in cleaning.hosts.iter().filter(|host| is_among(host, what.forgotten)) {
        kept.add_given_up(host, &cleaning.run);
    }
    if clean && what.record {
        cleaning.record()?;
    }
    Ok(clean)
}

/// A manager would lose what it works with.
pub(super) fn refuse_managed(dir: &RunDir) -> Result<(), Failure> {
    if !dir.is_managed().map_err(Failure::machinery)? {
        return Ok(());
    }
    Err(Failure::input(anyhow!(
        "run {} is in use by its manager\nhelp: wait for its end, or interrupt it, then clean the run",
        dir.run()
    )))
}

/// A run that cannot be read, or not by this version, and why; none if it can, or there
/// is none.
pub(super) fn unreadable(word: &str) -> Option<(RunId, String)> {
    let state = StateDir::from_env().ok()?;
    let run = state.run_named(word).ok()?;
    let why = match state.find(Some(&run)) {
        Ok(dir) => why_unreadable(&dir),
        Err(RunDirError::Io { path, source }) => Some(format!("{}: {source}", path.display())),
        Err(_) => None,
    };
    Some((run, why?))
}

fn why_unreadable(dir: &RunDir) -> Option<String> {
    match Store::read(dir) {
        Err(
            error @ (StoreError::Version { .. }
            | StoreError::Content { .. }
            | StoreError::Database { .. }),
        ) => Some(error.to_string()),
        Err(_) => None,
        Ok(_) => match Store::take_up(dir) {
            Err(error @ StoreError::Outdated { .. }) => Some(error.to_string()),
            _ => None,
        },
    }
}

/// Removes the local record of such a run. What its hosts have of it nobody knows.
pub(super) fn remove_unreadable(run: &RunId, why: &str) -> Result<u8, Failure> {
    let state = StateDir::from_env().map_err(Failure::input)?;
    let path = state.directory(run).map_err(Failure::input)?;
    print_error(why.lines().next().unwrap_or_default());
    std::fs::remove_dir_all(path).map_err(Failure::machinery)?;
    let text = format!("removed the record of run {run}; its files on hosts are left");
    writeln!(std::io::stdout(), "{text}").map_err(Failure::machinery)?;
    Ok(NOT_ALL_DONE)
}

/// How many jobs of a run are still to end. None of a run that its own limit has ended
/// (`--halt`, `--max-fails`): its jobs do not start unless somebody lifts the limit.
pub(super) fn unfinished(store: &Store) -> Result<u32, StoreError> {
    let (jobs, _) = store.tally(false)?;
    let ended = store.row()?.ended;
    let by_limit = [RunEnd::Enough, RunEnd::MaxFails].map(|end| Some(end.as_str().to_owned()));
    Ok(if jobs.busy == 0 && by_limit.contains(&ended) { 0 } else { jobs.left() })
}

/// Unfinished jobs would lose their directories while they run.
pub(super) fn refuse_unfinished(dir: &RunDir, store: &Store) -> Result<(), Failure> {
    let left = unfinished(store).map_err(Failure::machinery)?;
    if left == 0 {
        return Ok(());
    }
    let run = dir.run();
    Err(Failure::input(anyhow!(
        "run {run} has {} left\nhelp: finish them with `gjob attach {run}`, or kill them with \
         `gjob kill --all -R {run}`",
        counted(left.into(), "job")
    )))
}

/// True for a host that is cleaned. One that was never reached has no files of the run. One
/// that was being connected to when the run was over may have some, and is asked in vain if
/// not.
pub(super) fn may_have_files(host: &Host, forgotten: &[String]) -> bool {
    let may_have = host.facts.is_some() || host.status == HostStatus::Connecting;
    may_have && !is_among(host, forgotten)
}

struct Cleaning<'a> {
    what: &'a What<'a>,
    dir: RunDir,
    /// The run's id on its hosts.
    run: RunId,
    /// Open, so that no manager resumes the run meanwhile.
    store: Store,
    /// Why its last manager stopped.
    ended: Option<String>,
    settings: RunSettings,
    hosts: Vec<Host>,
    jobs: BTreeMap<HostIx, Vec<(gjob_core::Key, gjob_core::JobId)>>,
    problems: Vec<String>,
    /// Files are left on a host that cannot be reached.
    is_kept: bool,
}

/// What was removed from hosts.
#[derive(Default)]
struct Removed {
    dirs: u64,
    blobs: u64,
    bytes: u64,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Removed { dirs, blobs, bytes } = *self;
        let (dirs, blobs) = (counted(dirs, "job directory"), counted(blobs, "staged file"));
        write!(f, "removed {dirs}, {blobs} ({})", counted(bytes, "byte"))
    }
}

impl<'a> Cleaning<'a> {
    fn new(dir: RunDir, what: &'a What<'a>) -> Result<Self, Failure> {
        let store = Store::read(&dir).map_err(Failure::machinery)?;
        refuse_unfinished(&dir, &store)?;
        let row = store.row().map_err(Failure::machinery)?;
        let settings = RunSettings::from_json(&row.settings).map_err(Failure::machinery)?;
        let mut jobs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (host, key, id) in store.job_dirs().map_err(Failure::machinery)? {
            jobs.entry(host).or_default().push((key, id));
        }
        let hosts = store.hosts().map_err(Failure::machinery)?;
        let is_forgotten = |host: &HostIx| is_among(&hosts[host.at()], what.forgotten);
        jobs.retain(|host, _| !is_forgotten(host));
        drop(store);
        let store = Store::take_up(&dir).map_err(Failure::input)?;
        Ok(Cleaning {
            what,
            dir,
            run: row.on_hosts,
            store,
            ended: row.ended,
            settings,
            hosts,
            jobs,
            problems: Vec::new(),
            is_kept: false,
        })
    }

    /// Cleans the hosts; false if files are left on one.
    fn hosts(&mut self, kept: &mut KeptOnHosts) -> Result<bool, Failure> {
        let mut network = Network::from_settings(&self.settings).map_err(Failure::machinery)?;
        let mut hosts = self.asked(&network, kept);
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        let jobs = jobs.filter(|(host, _)| hosts.contains_key(host)).collect();
        let removed = network.remove_jobs(&self.run, &jobs).map_err(Failure::machinery)?;
        let mut sum = Removed::default();
        for (host, answer) in removed {
            match answer {
                Ok(removal) => {
                    sum.dirs += removal.gone;
                    let label = &self.hosts[host.at()].label;
                    let left = removal.kept.iter().map(|(id, why)| format!("{label}: {id}: {why}"));
                    self.problems.extend(left);
                    // Its run log is what the rest is known by.
                    hosts.retain(|other, _| *other != host || removal.kept.is_empty());
                }
                Err(reason) => {
                    hosts.remove(&host);
                    self.add_unreachable(kept, &network.hosts()[host.at()], true, &reason);
                }
            }
        }
        let asked: Vec<HostIx> = hosts.keys().copied().collect();
        let forgotten = network.forget_run_on(&self.run, &asked).map_err(Failure::machinery)?;
        let mut forgot = Vec::new();
        for (host, answer) in forgotten {
            match answer {
                Ok(Ok((count, size))) => {
                    sum.blobs = sum.blobs.saturating_add(count);
                    sum.bytes = sum.bytes.saturating_add(size);
                    forgot.push(host);
                }
                Ok(Err(why)) => {
                    self.problems.push(format!("{}: {why}", self.hosts[host.at()].label));
                }
                Err(reason) => {
                    let plan = &network.hosts()[host.at()];
                    self.add_unreachable(kept, plan, hosts[&host], &reason);
                }
            }
        }
        self.note(&forgot).map_err(Failure::machinery)?;
        let text = format!("{}{sum}", self.what.prefix);
        writeln!(std::io::stdout(), "{text}").map_err(Failure::machinery)?;
        Ok(self.say_problems() && !self.is_kept)
    }

    /// The hosts that are asked, each with whether it has files for sure: those that may have
    /// some, without those that could not be asked before.
    fn asked(&mut self, network: &Network, kept: &mut KeptOnHosts) -> BTreeMap<HostIx, bool> {
        let mut asked = BTreeMap::new();
        for (at, host) in (0..).map(HostIx).zip(&self.hosts) {
            let has_jobs = self.jobs.contains_key(&at);
            if !(has_jobs || may_have_files(host, self.what.forgotten)) {
                continue;
            }
            let has_files = has_jobs || host.facts.is_some();
            if kept.is_unreachable(&network.hosts()[at.at()], has_files) {
                self.is_kept |= has_files;
            } else {
                asked.insert(at, has_files);
            }
        }
        asked
    }

    fn add_unreachable(
        &mut self,
        kept: &mut KeptOnHosts,
        plan: &HostPlan,
        has_files: bool,
        reason: &str,
    ) {
        self.is_kept |= has_files;
        kept.add_unreachable(plan, has_files, reason);
    }

    /// Jobs of the run that are retried later start new run logs.
    fn note(&self, forgot: &[HostIx]) -> Result<(), gjob::store::StoreError> {
        self.store.forget_logs(forgot)?;
        self.ended.as_deref().map_or(Ok(()), |ended| self.store.set_ended(ended))
    }

    fn say_problems(&self) -> bool {
        let prefix = &self.what.prefix;
        self.problems.iter().for_each(|problem| print_error(&format!("{prefix}{problem}")));
        self.problems.is_empty()
    }

    /// Removes the local record of the run. The link `latest` is left as it is: the number
    /// of a run is not used again.
    fn record(&self) -> Result<(), Failure> {
        std::fs::remove_dir_all(self.dir.path()).map_err(Failure::machinery)?;
        let text = match self.what.prefix.as_str() {
            "" => format!("removed the record of run {}", self.dir.run()),
            prefix => format!("{prefix}removed the record"),
        };
        writeln!(std::io::stdout(), "{text}").map_err(Failure::machinery)
    }
}

/// True if a user names the host.
pub(super) fn is_among(host: &Host, words: &[String]) -> bool {
    words.iter().any(|word| word == host.label.as_str())
}
