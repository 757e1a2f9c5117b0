//! Ends what is left of jobs whose slots are dead.
//!
//! An orphan is known by what it cannot easily lose. It holds its job's lock,
//! for the lock's descriptor is inherited; it carries the job's directory in
//! `GJOB_DIR`; or it descends from a process that does, or from the job's shell.
//! The directory itself need not exist any more. A process that has shed all of
//! these can still be known as a child: where this process is the reaper of what
//! dead slots leave behind, everything that is not a living slot is an orphan.
//!
//! Several jobs are ended together: each look at the process table serves all of
//! them, and so does each wait.

mod marks;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use gjob_core::jobdir::OwnFile;
use rustix::process::Signal;
use serde::de::DeserializeOwned;

use self::marks::Marks;
use crate::host;
use crate::identity::{Process, ProcessIdentity, Stat};
use crate::jobdir::{JobDir, LockState};
use crate::processes;

/// How long killed processes may take to disappear before they are named instead.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the process table is read.
const SCAN_INTERVAL: Duration = Duration::from_millis(20);

/// How often quick ones are looked for between two looks at everything.
const CHASE_ROUNDS: u32 = 50;

/// The start time of a child whose own cannot be read; no process has it.
const HIDDEN: u64 = 0;

/// What leads to the processes of one job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traces<'a> {
    /// Where its directory is, or was.
    path: &'a Path,
    /// Its directory; none when it cannot be opened.
    dir: Option<&'a JobDir>,
}

impl<'a> Traces<'a> {
    /// Those of a job whose directory is or was at `path`.
    pub(crate) fn new(path: &'a Path, dir: Option<&'a JobDir>) -> Self {
        Traces { path, dir }
    }

    fn lock_state(self) -> LockState {
        self.dir.and_then(|dir| dir.lock_state().ok()).unwrap_or(LockState::Absent)
    }

    /// One of the directory's files; one that cannot be read leads nowhere.
    fn read<T: DeserializeOwned>(self, file: OwnFile) -> Option<T> {
        self.dir?.read(file.name()).ok().flatten()
    }
}

/// What is left of a job after its processes were killed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Processes that could not be ended.
    pub(crate) survivors: Vec<u32>,
    /// True when something that was not found still holds the job's lock.
    pub(crate) is_held: bool,
}

/// Ends the processes of `jobs`: TERM to all, and KILL after `grace`, or at once
/// if it is zero. Gives what is left of each, in their order.
///
/// `others` are this process's children that belong to none of the jobs; without
/// it, no child counts as an orphan for being one.
pub(crate) fn end(
    jobs: &[Traces<'_>],
    others: Option<&HashSet<u32>>,
    grace: Duration,
) -> Vec<Remains> {
    let search = Search { jobs, others, known: RefCell::default() };
    if !grace.is_zero() {
        search.terminate(grace);
    }
    let left = search.kill();
    let mut remains = vec![Remains::default(); jobs.len()];
    for (job, process) in left {
        remains[job].survivors.push(process.pid);
    }
    for (remains, job) in remains.iter_mut().zip(jobs) {
        remains.survivors.sort_unstable();
        remains.is_held = remains.survivors.is_empty() && job.lock_state() == LockState::Held;
    }
    remains
}

/// A search for the processes of several jobs.
#[derive(Debug)]
struct Search<'a> {
    jobs: &'a [Traces<'a>],
    others: Option<&'a HashSet<u32>>,
    /// What was found. It counts until it is gone: one that is being ended may have lost
    /// its marks, and that from which it descends.
    known: RefCell<Vec<Found>>,
}

/// A process with the position of the job that it belongs to.
type Found = (usize, ProcessIdentity);

impl Search<'_> {
    /// Asks all of them to end, and waits until they have or `grace` is over.
    fn terminate(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        signal_all(&self.find(), Signal::TERM);
        // A stopped process could not act on it.
        signal_all(&self.find(), Signal::CONT);
        while !self.find().is_empty() && Instant::now() < deadline {
            std::thread::sleep(SCAN_INTERVAL);
        }
    }

    /// Kills all of them; those that are still there at the timeout.
    fn kill(&self) -> Vec<Found> {
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            // Anew each time: what one of them forked meanwhile is found as well.
            let left = self.find();
            signal_all(&left, Signal::KILL);
            let is_over = left.is_empty() && self.is_quiet();
            if is_over || Instant::now() >= deadline {
                return left;
            }
            if left.is_empty() || self.is_any_held() {
                self.chase();
            } else {
                std::thread::sleep(SCAN_INTERVAL);
            }
        }
    }

    /// True when none of them is too short-lived to be found in one look, always
    /// having forked the next.
    fn is_quiet(&self) -> bool {
        let mut is_any_absent = false;
        for job in self.jobs {
            match job.lock_state() {
                LockState::Held => return false,
                LockState::Free => {}
                // The job has removed its lock: another look has to do.
                LockState::Absent => is_any_absent = true,
            }
        }
        if is_any_absent { !self.chase() } else { !self.chase_children() }
    }

    fn is_any_held(&self) -> bool {
        self.jobs.iter().any(|job| job.lock_state() == LockState::Held)
    }

    /// The living processes of all jobs.
    fn find(&self) -> Vec<Found> {
        let marks = Marks::of(self.jobs);
        let table = processes::table();
        let marked = table.iter().filter_map(|(pid, stat)| {
            Some((*pid, marks.job_of_group(stat.group).or_else(|| marks.job_of(*pid))?))
        });
        let mut roots: Vec<(u32, usize)> = marked.collect();
        let mut known = self.known.borrow_mut();
        known.retain(|(_, process)| process.is_alive());
        for (job, process) in known.iter() {
            if roots.iter().all(|(pid, _)| *pid != process.pid) {
                roots.push((process.pid, *job));
            }
        }
        for child in self.children() {
            if roots.iter().all(|(pid, _)| *pid != child) {
                // Nothing says which job it is of: it is named with the first.
                roots.push((child, 0));
            }
        }
        let pids: Vec<u32> = roots.iter().map(|(pid, _)| *pid).collect();
        let mut found = processes::descendants(&table, &pids);
        found.extend(pids.iter().filter_map(|pid| processes::identify(&table, *pid)));
        found.extend(self.children().into_iter().filter_map(|child| {
            // Another user's where the table does not show them.
            let is_hidden = !table.contains_key(&child) && !processes::reap(child);
            let boot_id = host::boot_id().to_owned();
            is_hidden.then_some(ProcessIdentity { boot_id, pid: child, start: HIDDEN })
        }));
        found.retain(|process| !marks.is_exempt(process.pid));
        let with_job = |process: ProcessIdentity| (owner_of(process.pid, &table, &roots), process);
        let found: Vec<Found> = found.into_iter().map(with_job).collect();
        known.clone_from(&found);
        found
    }

    /// What this process has inherited of the jobs, dead or alive.
    fn children(&self) -> Vec<u32> {
        self.others.map_or(Vec::new(), |others| {
            let children = processes::own_children().into_iter();
            children.filter(|pid| !others.contains(pid)).collect()
        })
    }

    /// Kills what has a job's directory in its environment, each as soon as it is
    /// seen, the newest first: one that forks and ends, over and over, is gone
    /// before the process table has been read. True if there was any.
    fn chase(&self) -> bool {
        let marks = Marks::of(self.jobs);
        let mut any = false;
        for _ in 0..CHASE_ROUNDS {
            let inherited = self.chase_children();
            any |= inherited;
            let mut pids: Vec<u32> = processes::pids().collect();
            pids.reverse();
            for pid in pids.into_iter().filter(|pid| marks.job_named_by(*pid).is_some()) {
                let Ok(identity) = ProcessIdentity::of(pid) else { continue };
                // Looked at once more after it was opened: then it cannot become another.
                let process = Process::open(&identity);
                if let (Some(process), Some(job)) = (process, marks.job_named_by(pid)) {
                    // What cannot be signalled is found again, and named.
                    let _ = process.signal(Signal::KILL);
                    self.known.borrow_mut().push((job, identity));
                    any = true;
                }
            }
            if !inherited && !self.is_any_held() {
                break;
            }
        }
        any
    }

    /// Kills and reaps what this process has inherited of the jobs. True if there
    /// was any, so that what it has left is still to be looked for.
    fn chase_children(&self) -> bool {
        let children = self.children();
        for child in &children {
            match ProcessIdentity::of(*child).ok().and_then(|it| Process::open(&it)) {
                // What cannot be signalled is found again, and named.
                Some(process) => drop(process.signal(Signal::KILL)),
                None => processes::signal_child(*child, Signal::KILL),
            }
            processes::reap(*child);
        }
        !children.is_empty()
    }
}

fn signal_all(found: &[Found], signal: Signal) {
    let (hidden, seen): (Vec<_>, Vec<_>) =
        found.iter().map(|(_, process)| process).partition(|process| process.start == HIDDEN);
    // What cannot be signalled is named as a survivor in the end.
    processes::signal_all(seen, signal);
    hidden.iter().for_each(|child| processes::signal_child(child.pid, signal));
}

/// The job of the nearest ancestor that is a root, or of the process itself.
fn owner_of(pid: u32, table: &HashMap<u32, Stat>, roots: &[(u32, usize)]) -> usize {
    let mut at = pid;
    // The table is no snapshot: parents might form a circle in it.
    for _ in 0..table.len() {
        if let Some((_, job)) = roots.iter().find(|(root, _)| *root == at) {
            return *job;
        }
        at = table.get(&at).map_or(0, |stat| stat.parent);
    }
    0
}
