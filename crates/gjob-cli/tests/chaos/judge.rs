//! The judge: compares what gjob recorded with what the jobs themselves noted,
//! and knows what was done to them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::duty::Duty;
use crate::ledger::{Execution, Ledger};

/// What was done that excuses an outcome.
#[derive(Debug, Default)]
pub(crate) struct Injuries {
    /// Slots killed: host, and when they started, in ticks since boot.
    pub(crate) slots: Vec<(String, u64)>,
    /// Slots were killed and not counted: any job may be unknown.
    pub(crate) any_slot: bool,
    /// Hosts crashed: before and after it happened.
    pub(crate) crashes: Vec<(String, Duration, Duration)>,
    /// Hosts cut off, and when that began.
    pub(crate) cuts: Vec<(String, Duration)>,
    /// For how long a host has to be away to be lost, if any is.
    pub(crate) lost_after: Option<Duration>,
}

/// Everything that is looked at.
pub(crate) struct Judge<'a> {
    pub(crate) jobs: u32,
    pub(crate) ledger: &'a Ledger,
    /// `gjob status --jobs --json`.
    pub(crate) status: &'a Value,
    pub(crate) injuries: &'a Injuries,
    /// Results directories by host.
    pub(crate) results: &'a BTreeMap<String, PathBuf>,
    /// Where outputs go.
    pub(crate) outputs: &'a Path,
    /// What each host may run at once.
    pub(crate) slots: u32,
}

impl Judge<'_> {
    /// All that is not as promised; nothing, if all is well.
    pub(crate) fn faults(&self) -> Vec<String> {
        let executions = self.ledger.executions();
        let mut faults: Vec<String> = executions
            .range(self.jobs..)
            .map(|(index, _)| format!("job {index}: unheard of"))
            .collect();
        let jobs = self.status["jobs"].as_array().unwrap();
        let indices: Vec<Option<u64>> = jobs.iter().map(|job| job["index"].as_u64()).collect();
        if indices != (0..u64::from(self.jobs)).map(Some).collect::<Vec<_>>() {
            faults.push(format!("status does not list each job once: {indices:?}"));
            return faults;
        }
        for (index, job) in (0..).zip(jobs) {
            let noted = executions.get(&index).map_or(&[][..], Vec::as_slice);
            let repeats = self.of_repeats(index, noted);
            let found = self.of_outcome(index, job, noted).into_iter().chain(repeats);
            faults.extend(found.map(|fault| format!("job {index}: {fault}: {job} {noted:?}")));
        }
        faults.extend(self.of_counts(jobs));
        faults.extend(self.of_outputs(jobs));
        faults.extend(self.of_inputs(jobs, &executions));
        faults.extend(self.of_order(jobs, &executions));
        faults.extend(self.of_slots(&executions));
        faults
    }

    fn duty(&self, index: u32) -> Duty {
        self.ledger.duty(index)
    }

    /// True for one that waits for a job that is not done.
    fn is_in_vain(&self, index: u32) -> bool {
        let is_done = |dep: &u32| self.status["jobs"][*dep as usize]["state"] == "done";
        !self.duty(index).after().iter().all(is_done)
    }

    fn of_outcome(&self, index: u32, job: &Value, noted: &[Execution]) -> Option<String> {
        let (duty, state) = (self.duty(index), job["state"].as_str().unwrap());
        if self.is_in_vain(index) {
            let reason = job["reason"].as_str().unwrap_or_default();
            let fails = state == "error" && reason.starts_with("dependency") && noted.is_empty();
            return (!fails).then(|| "does not fail with what it waits for".into());
        }
        let code = duty.exit_code();
        let expected = if code == 0 && !duty.lacks_an_output() { "done" } else { "error" };
        if state == "unknown" {
            return self.of_unknown(job);
        }
        if noted.is_empty() {
            return Some("missing: it never ran".into());
        }
        // A job that is not done, though its script succeeded, has no exit status.
        let exit = if expected == "error" && code == 0 { Value::Null } else { code.into() };
        if state != expected || job["exit"] != exit || !job["signal"].is_null() {
            return Some(format!("is not {expected} with exit code {code}"));
        }
        let counted = |execution: &&Execution| job["attempt"] == execution.attempt;
        match noted.iter().find(counted) {
            None => Some("the recorded attempt never ran".into()),
            Some(Execution { ended: None, .. }) => Some("the recorded attempt never ended".into()),
            Some(_) => None,
        }
    }

    /// Nobody can know what became of a job whose slot was killed; of no other.
    fn of_unknown(&self, job: &Value) -> Option<String> {
        if self.injuries.any_slot {
            return None;
        }
        let Some(host) = job["host"].as_str() else {
            return Some("unknown, though it was given to no host".into());
        };
        let results = self.results.get(host)?;
        // One whose slot died before it said so has no id here.
        let id = job["id"].as_str().map(|id| results.join(id));
        let dir = id.or_else(|| self.claim(host, &job["index"], &job["attempt"]));
        let Some(dir) = dir else { return Some("unknown, though it was never claimed".into()) };
        let lock = read_json(&dir.join(".lock"));
        let killed = |(at, started): &(String, u64)| {
            at == host && find_number(&lock, "start") == Some(*started)
        };
        let excused = self.injuries.slots.iter().any(killed);
        (!excused).then(|| "unknown, though its slot was not killed".into())
    }

    /// The job directory of an attempt, as its host knows it.
    fn claim(
        &self,
        host: &str,
        index: impl fmt::Display,
        attempt: impl fmt::Display,
    ) -> Option<PathBuf> {
        let results = self.results.get(host)?;
        let run = self.run_on_host(results)?;
        let key = format!("{index}.{attempt}");
        let claim = std::fs::read_link(run.join(host).join("keys").join(key)).ok()?;
        // Behind the id it names the slot.
        claim.to_str()?.split(' ').next().map(|id| results.join(id))
    }

    /// The run's directory on a host, which knows it with an identity.
    fn run_on_host(&self, results: &Path) -> Option<PathBuf> {
        let run = self.status["run"].as_str()?;
        let runs = std::fs::read_dir(results.join(".gjob/runs")).ok()?;
        let mut paths = runs.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.split('+').next() == Some(run)
        })
    }

    /// When a host ended an attempt by itself, for want of news.
    fn lease_over(&self, index: u32, execution: &Execution) -> Option<Duration> {
        let dir = self.claim(&execution.host, index, execution.attempt)?;
        let done = read_json(&dir.join(".done"));
        let ended = done["ended"].as_u64().map(Duration::from_millis);
        ended.filter(|_| done["cause"] == "lease")
    }

    /// How many attempts were ended so.
    pub(crate) fn leases_over(&self) -> usize {
        let executions = self.ledger.executions();
        let all = executions.iter().flat_map(|(index, noted)| noted.iter().map(|it| (*index, it)));
        all.filter(|(index, it)| self.lease_over(*index, it).is_some()).count()
    }

    /// A job runs again only after its host has crashed under it, or has ended it
    /// by itself.
    fn of_repeats(&self, index: u32, noted: &[Execution]) -> Vec<String> {
        let mut faults = Vec::new();
        for pair in noted.windows(2) {
            let [first, second] = pair else { continue };
            let lease_over = self.lease_over(index, first);
            if first.ended.max(lease_over).is_some_and(|ended| ended > second.began) {
                faults.push("ran twice at once".into());
            }
            let excuses = |(host, before, after): &(String, Duration, Duration)| {
                *host == first.host && first.began <= *after && *before <= second.began
            };
            let excused = lease_over.is_some()
                || self.injuries.crashes.iter().any(excuses)
                || self.outputs_were_lost(index, first, second);
            if !excused {
                faults.push("begun twice, without a crash of its host".into());
            }
            if first.attempt == second.attempt {
                faults.push("one attempt begun twice".into());
            }
        }
        faults
    }

    /// An attempt has ended well, on a host that was away for too long then.
    fn outputs_were_lost(&self, index: u32, first: &Execution, second: &Execution) -> bool {
        let Some(lost_after) = self.injuries.lost_after else { return false };
        let excuses = |(host, began): &(String, Duration)| {
            *host == first.host && *began + lost_after <= second.began
        };
        let ended_well = first.ended.is_some() && self.duty(index).exit_code() == 0;
        ended_well && self.duty(index).writes_outputs() && self.injuries.cuts.iter().any(excuses)
    }

    /// Of each job that is done there is what its attempt wrote, and nothing else
    /// is there.
    pub(crate) fn of_outputs(&self, jobs: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expected = BTreeMap::new();
        for (index, job) in (0..).zip(jobs) {
            let duty = self.duty(index);
            if job["state"] == "done" && duty.writes_outputs() {
                let attempt = job["attempt"].as_u64().unwrap();
                let files = duty.outputs(attempt).into_iter();
                let dir = duty.dir_name();
                expected.extend(files.map(|(path, content)| (format!("{dir}/{path}"), content)));
            }
        }
        let found = files_below(self.outputs, "");
        for (path, content) in &expected {
            match found.get(path) {
                None => faults.push(format!("output {path}: missing")),
                Some(there) if there != content => {
                    let (head, length) = (there.get(..40).unwrap_or(there), there.len());
                    let head = String::from_utf8_lossy(head);
                    faults.push(format!("output {path}: not as written: {length} bytes, {head:?}"));
                }
                Some(_) => {}
            }
        }
        let stray = found.keys().filter(|path| !expected.contains_key(*path));
        faults.extend(stray.map(|path| format!("output {path}: nobody's")));
        faults
    }

    /// What an attempt got of other jobs is what those have written that count.
    fn of_inputs(&self, jobs: &[Value], executions: &BTreeMap<u32, Vec<Execution>>) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, noted) in executions.range(..self.jobs) {
            let mut expected = BTreeMap::new();
            for dep in self.ledger.producers(*index) {
                let attempt = jobs[dep.index as usize]["attempt"].as_u64().unwrap_or_default();
                let files = dep.outputs(attempt).into_iter();
                let dir = dep.name().unwrap_or_default();
                expected.extend(files.map(|(path, content)| (format!("{dir}/{path}"), content)));
            }
            for Execution { attempt, .. } in noted.iter().filter(|it| it.ended.is_some()) {
                let dir = self.ledger.handed().join(format!("{index}.{attempt}"));
                if files_below(&dir, "") != expected {
                    faults.push(format!("job {index}: attempt {attempt} got other files"));
                }
            }
        }
        faults
    }

    /// No job begins before those that it waits for have ended well.
    fn of_order(&self, jobs: &[Value], executions: &BTreeMap<u32, Vec<Execution>>) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, noted) in executions.range(..self.jobs) {
            for dep in self.duty(*index).after() {
                let counted = |it: &&Execution| jobs[dep as usize]["attempt"] == it.attempt;
                let counted = executions.get(&dep).and_then(|noted| noted.iter().find(counted));
                let ended = counted.and_then(|execution| execution.ended);
                if noted.iter().any(|it| ended.is_none_or(|ended| it.began < ended)) {
                    faults.push(format!("job {index}: begun before job {dep} had ended"));
                }
            }
        }
        faults
    }

    /// No host runs more at once than it has slots. An attempt that was ended from
    /// outside counts for its first moment only: nobody noted its last.
    fn of_slots(&self, executions: &BTreeMap<u32, Vec<Execution>>) -> Vec<String> {
        let mut moments = Vec::new();
        for (index, noted) in executions.range(..self.jobs) {
            let cpus = i64::from(self.duty(*index).cpus());
            for Execution { host, began, ended, .. } in noted {
                moments.push((host, *began, cpus));
                moments.push((host, ended.unwrap_or(*began + Duration::from_nanos(1)), -cpus));
            }
        }
        // What ends makes room for what begins at the same moment.
        moments.sort();
        let mut running: BTreeMap<&str, i64> = BTreeMap::new();
        let mut faults = Vec::new();
        for (host, at, cpus) in moments {
            let running = running.entry(host.as_str()).or_default();
            *running += cpus;
            if cpus > 0 && *running > i64::from(self.slots) {
                faults.push(format!("host {host}: {running} cpus in use at {at:?}"));
            }
        }
        faults
    }

    fn of_counts(&self, jobs: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        for state in ["free", "busy", "done", "error", "unknown"] {
            let listed = jobs.iter().filter(|job| job["state"] == state).count();
            if self.status["counts"][state] != listed {
                let counted = &self.status["counts"][state];
                faults.push(format!("status counts {counted} {state}, and lists {listed}"));
            }
        }
        faults
    }
}

/// All files below a directory, which need not be there, and directories that
/// are empty.
fn files_below(dir: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = format!("{prefix}{}", entry.file_name().display());
        // A note of whose outputs they are.
        if path.starts_with(".gjob-run.") {
            continue;
        }
        if !entry.file_type().unwrap().is_dir() {
            found.insert(path, std::fs::read(entry.path()).unwrap());
            continue;
        }
        let inner = files_below(&entry.path(), &format!("{path}/"));
        if inner.is_empty() {
            found.insert(path, Vec::new());
        }
        found.extend(inner);
    }
    found
}

/// What a file of a job directory holds; null, if there is none.
fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The first number under this name, at whatever depth.
fn find_number(value: &Value, name: &str) -> Option<u64> {
    let object = value.as_object()?;
    let here = object.get(name).and_then(Value::as_u64);
    here.or_else(|| object.values().find_map(|inner| find_number(inner, name)))
}
