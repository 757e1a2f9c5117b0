//! A few jobs on this machine, two at a time, one of which fails; and what must
//! have become of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gjob_core::Timestamp;
use gjob_testbed::Process;
use serde_json::Value;

use crate::duty::SEAL;
use crate::judge::{Injuries, Judge};
use crate::ledger::Ledger;
use crate::support::{Answer, Place};

const JOBS: u32 = 6;

const SLOTS: u32 = 2;

pub(crate) struct Scene {
    place: Place,
    ledger: Ledger,
    /// Only calls that are about these count, if there are any.
    watched: Vec<PathBuf>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let ledger = Ledger::new(place.path("ledger"), 40).with_seals();
        place.file("jobs.jsonl", &ledger.jobs(JOBS));
        Scene { place, ledger, watched: Vec::new() }
    }

    /// One in which only calls count by which outputs are written down.
    pub(crate) fn watching_outputs() -> Self {
        let mut scene = Scene::new();
        scene.watched = scene.outputs_to_be();
        scene
    }

    /// Makes the directory for programs on the host.
    pub(crate) fn make_program_dir(&self) {
        let programs = self.place.path("results/.gjob/bin");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(programs).unwrap();
    }

    /// `gjob run` below `tracer`; true if it was killed.
    pub(crate) fn run_under(&self, tracer: Command) -> bool {
        let slots = SLOTS.to_string();
        self.under(tracer, &["run", "-j", &slots, "-o", SEAL, "--into", "out", "jobs.jsonl"])
    }

    /// `gjob attach` below `tracer`; true if it was killed.
    pub(crate) fn attach_under(&self, tracer: Command) -> bool {
        self.under(tracer, &["attach"])
    }

    fn under(&self, mut tracer: Command, args: &[&str]) -> bool {
        let status = tracer
            .args(self.watched.iter().flat_map(|path| [Path::new("-P"), path]))
            .arg(env!("CARGO_BIN_EXE_gjob"))
            .args(args)
            .current_dir(self.place.path("here"))
            .env("GJOB_STATE_DIR", self.place.path("state"))
            .env("GJOB_LEDGER_DIR", self.place.path("machine"))
            .env("GJOB_REMOTE_PATH", self.place.path("results"))
            .env("GJOB_RUN_IDENTITY", IDENTITY.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        status.signal() == Some(9)
    }

    /// `gjob run` on a host that is reached by what this script says, which
    /// stands in for ssh. The host has the program already.
    pub(crate) fn run_through(&self, ssh: &str, program: &Path) -> Answer {
        let script = self.place.path("ssh");
        std::fs::write(&script, ssh).unwrap();
        let made = Command::new("chmod").arg("755").arg(&script).status().unwrap();
        assert!(made.success());
        let gjob = self.place.path("results/.gjob");
        std::fs::create_dir_all(&gjob).unwrap();
        if program.exists() {
            let bin = gjob.join("bin");
            let linked = Command::new("cp").arg("-al").arg(program).arg(bin).status().unwrap();
            assert!(linked.success());
        }
        let host = format!("{SLOTS}/h1");
        let outputs = ["-o", SEAL, "--into", "out"];
        let args =
            [&["run", "-H", &host, "--show", "none"], &outputs[..], &["jobs.jsonl"]].concat();
        self.place.gjob(&args).env("GJOB_SSH", script).output()
    }

    /// Where a host keeps the program.
    pub(crate) fn program(&self) -> PathBuf {
        self.place.path("results/.gjob/bin")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// What is amiss after a run that went to its end.
    pub(crate) fn faults_of_run(&self, injuries: &Injuries) -> Vec<String> {
        let mut faults = self.of_run(injuries);
        faults.extend(self.left_behind());
        faults
    }

    pub(crate) fn has_run(&self) -> bool {
        self.place.has_run()
    }

    /// Takes the run up, and finds all that is not as it should be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let answer = self.place.gjob(&["attach"]).output();
        let mut faults = if self.has_run() {
            self.of_run(&Injuries::default())
        } else {
            self.of_no_run(&answer.stderr)
        };
        let expected = if self.has_run() { 1 } else { 2 };
        if answer.code != expected {
            faults.push(format!("attach does not exit with {expected}: {answer:?}"));
        }
        faults.extend(self.left_behind());
        faults
    }

    /// How many jobs have a directory.
    pub(crate) fn outputs_there(&self) -> usize {
        let entries = std::fs::read_dir(self.outputs()).into_iter().flatten().flatten();
        let is_note = |name: OsString| name.to_string_lossy().starts_with(".gjob-run.");
        entries.filter(|entry| !is_note(entry.file_name())).count()
    }

    /// Ends what has no outcome yet, and finds what is amiss with the outputs.
    pub(crate) fn faults_after_killing_all_jobs(&self) -> Vec<String> {
        let jobs: Vec<String> = (0..JOBS).map(|index| index.to_string()).collect();
        let kill = ["kill"].into_iter().chain(jobs.iter().map(String::as_str));
        // Those that have their outcome are not ended, which it says.
        self.place.gjob(&kill.collect::<Vec<_>>()).output();
        let answer = self.place.gjob(&["attach"]).output();
        assert_eq!(answer.code, 1, "{answer:?}");
        let status = self.place.status();
        let mut faults = self.with_judge(&status, &Injuries::default(), |judge| {
            judge.of_outputs(status["jobs"].as_array().unwrap())
        });
        faults.extend(self.left_behind());
        faults
    }

    fn of_run(&self, injuries: &Injuries) -> Vec<String> {
        self.with_judge(&self.place.status(), injuries, |judge| judge.faults())
    }

    fn with_judge(
        &self,
        status: &Value,
        injuries: &Injuries,
        ask: impl FnOnce(&Judge<'_>) -> Vec<String>,
    ) -> Vec<String> {
        let (ledger, results, outputs) = (&self.ledger, &BTreeMap::new(), &self.outputs());
        ask(&Judge { jobs: JOBS, ledger, status, injuries, results, outputs, slots: SLOTS })
    }

    fn outputs(&self) -> PathBuf {
        self.place.path("here/out")
    }

    /// All that is written while outputs are collected, whatever the order they
    /// come in: a part is named after the run and its job, and numbered.
    fn outputs_to_be(&self) -> Vec<PathBuf> {
        let run = run_to_be();
        let jobs = (0..JOBS).map(|index| self.ledger.duty(index));
        let parts = jobs.flat_map(|duty| {
            let run = run.clone();
            let part = move |number| format!(".gjob-part.{run}.{}.1.{number}", duty.index);
            let dirs = (0..JOBS).map(part).chain([duty.dir_name()]);
            dirs.flat_map(move |dir| {
                let files = duty.outputs(1).into_keys().map(|file| format!("{dir}/{file}"));
                [dir.clone(), format!("{dir}/d")].into_iter().chain(files).collect::<Vec<_>>()
            })
        });
        let out = self.outputs();
        let note = out.join(format!(".gjob-run.{run}"));
        parts.map(|part| out.join(part)).chain([note, self.outputs()]).collect()
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

/// The identity of the runs.
pub(crate) const IDENTITY: i64 = 7;

/// What the first run of today is called on hosts.
fn run_to_be() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let date = Timestamp(now.as_millis() as u64).date_string();
    format!("{date}-1+{IDENTITY:016x}")
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
