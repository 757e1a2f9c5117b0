//! Four jobs on this machine, two at a time, one of which fails; and what must
//! have become of them.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gjob_testbed::Process;

use crate::judge::{Injuries, Judge};
use crate::ledger::Ledger;
use crate::support::Place;

const JOBS: u32 = 4;

pub(crate) struct Scene {
    place: Place,
    ledger: Ledger,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let ledger = Ledger::new(place.path("ledger"), 40);
        place.file("jobs.txt", &ledger.jobs(JOBS));
        Scene { place, ledger }
    }

    /// `gjob run` below `tracer`; true if it was killed.
    pub(crate) fn run_under(&self, tracer: Command) -> bool {
        self.under(tracer, &["run", "-j", "2", "jobs.txt"])
    }

    /// `gjob attach` below `tracer`; true if it was killed.
    pub(crate) fn attach_under(&self, tracer: Command) -> bool {
        self.under(tracer, &["attach"])
    }

    fn under(&self, mut tracer: Command, args: &[&str]) -> bool {
        let status = tracer
            .arg(env!("CARGO_BIN_EXE_gjob"))
            .args(args)
            .current_dir(self.place.path("work"))
            .env("GJOB_STATE_DIR", self.place.path("state"))
            .env("GJOB_REMOTE_PATH", self.place.path("results"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        status.signal() == Some(9)
    }

    pub(crate) fn has_run(&self) -> bool {
        self.place.has_run()
    }

    /// Takes the run up, and finds all that is not as it should be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let answer = self.place.gjob(&["attach"]).run();
        let mut faults =
            if self.has_run() { self.of_run() } else { self.of_no_run(&answer.stderr) };
        let expected = if self.has_run() { 1 } else { 2 };
        if answer.code != expected {
            faults.push(format!("attach does not exit with {expected}: {answer:?}"));
        }
        faults.extend(self.left_behind());
        faults
    }

    fn of_run(&self) -> Vec<String> {
        let status = &self.place.status();
        let (injuries, results) = (&Injuries::default(), &BTreeMap::new());
        Judge { jobs: JOBS, ledger: &self.ledger, status, injuries, results }.faults()
    }

    fn of_no_run(&self, said: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if !said.contains("no runs in") {
            faults.push(format!("attach does not say that there is no run: {said}"));
        }
        if !self.ledger.executions().is_empty() {
            faults.push("something was started before the run was there".into());
        }
        faults
    }

    /// Agents, slots and jobs have this place in their environment.
    fn left_behind(&self) -> Option<String> {
        let mark = format!("GJOB_STATE_DIR={}", self.place.path("state").display());
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = marked(&mark);
            if left.is_empty() {
                return None;
            }
            if Instant::now() > deadline {
                return Some(format!("left behind: {left:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn marked(mark: &str) -> Vec<Process> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_mark = |pid: &u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    pids.filter(has_mark).filter_map(Process::find).collect()
}
