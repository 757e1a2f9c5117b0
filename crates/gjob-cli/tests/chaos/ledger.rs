//! What jobs themselves say: each notes its begin and its end in a file that
//! gjob knows nothing of.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::duty::Duty;

/// One execution of a job, as it told of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Execution {
    pub(crate) attempt: u32,
    /// Its shell's, in the host's own namespace.
    pub(crate) pid: u32,
    /// The bed's alias for its host, or what this machine calls itself.
    pub(crate) host: String,
    /// Since the epoch; all hosts have one clock.
    pub(crate) began: Duration,
    pub(crate) ended: Option<Duration>,
}

/// The file, and the jobs that write it.
pub(crate) struct Ledger {
    path: PathBuf,
    longest_ms: u32,
    slow_ms: u32,
    /// The last of them hold on, if any do: how many there are.
    held: Option<u32>,
    plain: bool,
    sealed: bool,
    /// Jobs get the outputs of those that they wait for.
    staged: bool,
}

/// How many jobs hold on, if any do.
const HELD: u32 = 8;

impl Ledger {
    /// Jobs take up to `longest_ms`, and no time at all with zero.
    pub(crate) fn new(path: PathBuf, longest_ms: u32) -> Self {
        let (held, plain, sealed, staged) = (None, false, false, false);
        Ledger { path, longest_ms, slow_ms: 0, held, plain, sealed, staged }
    }

    /// Jobs without outputs, that want one cpu and wait for nobody.
    pub(crate) fn with_plain_jobs(self) -> Self {
        Ledger { plain: true, ..self }
    }

    /// Every job writes what `-o` asks for.
    pub(crate) fn with_seals(self) -> Self {
        Ledger { sealed: true, ..self }
    }

    /// Jobs get the outputs of those that they wait for, and keep what they got.
    pub(crate) fn with_stages(self) -> Self {
        Ledger { staged: true, ..self }
    }

    /// One job of eighty takes so much longer.
    pub(crate) fn with_slow_jobs(self, slow_ms: u32) -> Self {
        Ledger { slow_ms, ..self }
    }

    /// The last of so many jobs don't end before they are released.
    pub(crate) fn with_held_jobs(self, count: u32) -> Self {
        Ledger { held: Some(count), ..self }
    }

    fn is_held(&self, index: u32) -> bool {
        self.held.is_some_and(|count| index + HELD >= count)
    }

    /// What a job has to do; one that is held nothing but that.
    pub(crate) fn duty(&self, index: u32) -> Duty {
        let plain = self.plain || self.is_held(index);
        Duty { index, plain, sealed: self.sealed }
    }

    pub(crate) fn release(&self) {
        std::fs::write(self.released(), "").unwrap();
    }

    /// The jobs whose outputs a job gets.
    pub(crate) fn producers(&self, index: u32) -> Vec<Duty> {
        let all = self.duty(index).after().into_iter().map(|dep| self.duty(dep));
        all.filter(|dep| self.staged && dep.writes_outputs()).collect()
    }

    /// What each attempt got, by its key.
    pub(crate) fn handed(&self) -> PathBuf {
        self.path.with_extension("handed")
    }

    fn released(&self) -> PathBuf {
        self.path.with_extension("released")
    }

    /// A job file in JSON Lines. An `echo` is one write, so notes never mix.
    pub(crate) fn jobs(&self, count: u32) -> String {
        let path = self.path.display();
        let note = |word: &str| {
            let who = "$GJOB_INDEX $GJOB_ATTEMPT $$ $EPOCHREALTIME";
            format!("echo {word} {who} ${{TESTBED_HOST:-$GJOB_HOST}} >> {path}")
        };
        let job = |index: u32| {
            let duty = self.duty(index);
            let slow = if index % 80 == 11 { self.slow_ms } else { 0 };
            let sleep = match index * 7919 % (self.longest_ms + 1) + slow {
                0 => String::new(),
                length => format!("sleep {:.3}; ", f64::from(length) / 1e3),
            };
            let hold = if self.is_held(index) {
                format!("while ! test -e {}; do sleep 0.05; done; ", self.released().display())
            } else {
                String::new()
            };
            let producers = self.producers(index);
            let keep = if producers.is_empty() {
                String::new()
            } else {
                let kept = format!("{}/$GJOB_INDEX.$GJOB_ATTEMPT", self.handed().display());
                let names: Vec<String> = producers.iter().filter_map(|dep| dep.name()).collect();
                format!("mkdir -p {kept}; cp -r {} {kept}; ", names.join(" "))
            };
            let (begin, end, write) = (note("begin"), note("end"), duty.writing());
            let code = duty.exit_code();
            let script = format!("{begin}; {keep}{sleep}{hold}{write}{end}; exit {code}");
            // Every other one is a simple command, which runs without a shell of its slot's.
            let script = if index % 2 == 1 { format!("bash -ec '{script}'") } else { script };
            let files: Vec<String> = producers.iter().flat_map(Duty::as_files).collect();
            let after: Vec<_> = duty.after().iter().map(|dep| self.duty(*dep).name()).collect();
            let job = json!({ "commands": [script], "name": duty.name(), "cpus": duty.cpus(),
                              "after": after, "files": files, "outputs": duty.patterns() });
            format!("{job}\n")
        };
        (0..count).map(job).collect()
    }

    /// How many executions have ended.
    pub(crate) fn ends(&self) -> usize {
        self.text().lines().filter(|line| line.starts_with("end ")).count()
    }

    /// All executions of each job, oldest first.
    ///
    /// # Panics
    ///
    /// When there is a line that no job has written like that.
    pub(crate) fn executions(&self) -> BTreeMap<u32, Vec<Execution>> {
        let mut all: BTreeMap<u32, Vec<Execution>> = BTreeMap::new();
        for line in self.text().lines() {
            self.note(line, &mut all).unwrap_or_else(|| panic!("a torn line: {line:?}"));
        }
        all.values_mut().for_each(|executions| executions.sort_by_key(|execution| execution.began));
        all
    }

    fn note(&self, line: &str, all: &mut BTreeMap<u32, Vec<Execution>>) -> Option<()> {
        let [word, index, attempt, pid, time, host] =
            line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let executions = all.entry(index.parse().ok()?).or_default();
        let (attempt, pid) = (attempt.parse().ok()?, pid.parse().ok()?);
        // Some locales write a comma.
        let time = Duration::from_secs_f64(time.replace(',', ".").parse().ok()?);
        if word == "begin" {
            let host = host.to_owned();
            executions.push(Execution { attempt, pid, host, began: time, ended: None });
            return Some(());
        }
        let same = |open: &&mut Execution| {
            (open.attempt, open.pid, open.host.as_str(), open.ended) == (attempt, pid, host, None)
        };
        executions.iter_mut().rev().find(same)?.ended = Some(time);
        Some(())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }
}

/// By the clock that jobs note.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
