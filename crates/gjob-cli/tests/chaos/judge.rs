//! The judge: compares what gjob recorded with what the jobs themselves noted,
//! and knows what was done to them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::ledger::{Execution, Ledger, exit_code};

/// What was done that excuses an outcome.
#[derive(Debug, Default)]
pub(crate) struct Injuries {
    /// Slots killed: host, and when they started, in ticks since boot.
    pub(crate) slots: Vec<(String, u64)>,
    /// Slots were killed and not counted: any job may be unknown.
    pub(crate) any_slot: bool,
    /// Hosts crashed: before and after it happened.
    pub(crate) crashes: Vec<(String, Duration, Duration)>,
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
        faults
    }

    fn of_outcome(&self, index: u32, job: &Value, noted: &[Execution]) -> Option<String> {
        let code = exit_code(index);
        let state = job["state"].as_str().unwrap();
        let expected = if code == 0 { "done" } else { "error" };
        if state == "unknown" {
            return self.of_unknown(job);
        }
        if noted.is_empty() {
            return Some("missing: it never ran".into());
        }
        if state != expected || job["exit"] != code || !job["signal"].is_null() {
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
        let run = results.join(".gjob/runs").join(self.status["run"].as_str()?);
        let key = format!("{index}.{attempt}");
        let claim = std::fs::read_link(run.join(host).join("keys").join(key)).ok()?;
        // Behind the id it names the slot.
        claim.to_str()?.split(' ').next().map(|id| results.join(id))
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
            if lease_over.is_none() && !self.injuries.crashes.iter().any(excuses) {
                faults.push("begun twice, without a crash of its host".into());
            }
            if first.attempt == second.attempt {
                faults.push("one attempt begun twice".into());
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
