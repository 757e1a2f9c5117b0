//! The specification of a job: what to run, with which files, under which
//! name. It is checked here, whatever job file or program it came from.

mod check;
mod error;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::check::{
    FILE_OVERHEAD, MAX_ENV_BYTES, MAX_FILES_BYTES, MAX_NAME_BYTES, MAX_OUTPUTS_BYTES,
    MAX_SPEC_BYTES, MAX_TIMEOUT_DAYS, MAX_VARIABLE_BYTES, RETRY_MEM, env_bytes,
};
pub use self::error::SpecError;
use crate::after::After;
use crate::from_job::is_from_job;
use crate::hosts::Choice;
use crate::request::Shell;
use crate::resources::{Ask, Cpus};

/// Describes what is needed to launch one job (the seed's `JobSpec`).
///
/// As JSON it is one object with these fields; unknown ones are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JobSpec {
    /// Commands: the lines of one bash script, run with `-e` (the seed's `cmds`).
    pub cmds: Vec<String>,
    /// Paths of local files and directories copied into the job directory under
    /// their base names (the seed's `files`), and `@JOBS/PATH` for outputs of other
    /// jobs, which it is after; see [`FromJob`](crate::from_job::FromJob).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Places `files` as read-only hard links to the one copy on the host,
    /// instead of copies that the job may write to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link: bool,
    /// Patterns of what is fetched from the job directory; see [`OutputPattern`](crate::output::OutputPattern).
    /// The job is done once all of it has arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Name of the job, for people (the seed's `name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Variables added to the job's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Parameters that it was made with, for people and for tables of results
    /// (`gjob table`). They do not reach the job.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// How long one attempt may run; in JSON as seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub timeout: Option<Duration>,
    /// How often a failed job is retried; none is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Processors it has for itself.
    #[serde(default, skip_serializing_if = "Cpus::is_default")]
    pub cpus: Cpus,
    /// Binds it to as many processors, which no other bound job has at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub affinity: bool,
    /// GPUs it has for itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u32,
    /// Memory it needs, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<u64>,
    /// By which factor its memory is raised when it has run out of it: it is retried
    /// then, as long as a host offers that much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_mem: Option<f64>,
    /// Hosts that it may run on, by name, range, pattern or group; with none of them
    /// all. See [`Choice`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Labels that a host must have to run it, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// What has to be `done` before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// Has its script run with `pipefail`: a pipeline fails with any of its commands, not
    /// with the last one alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pipefail: bool,
    /// When its script is run by a shell.
    #[serde(default, skip_serializing_if = "Shell::is_default")]
    pub shell: Shell,
    /// The number of this copy, from 0, among those made by `repeat` (`GJOB_REPEAT`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat_index: u32,
}

impl JobSpec {
    /// A job that runs `cmds`, the lines of one bash script.
    ///
    /// # Errors
    /// When there is no command, only blank ones, or one with a NUL byte.
    pub fn new<I, S>(cmds: I) -> Result<Self, SpecError>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let spec = JobSpec { cmds: cmds.into_iter().map(Into::into).collect(), ..Self::default() };
        match spec.check().into_iter().next() {
            None => Ok(spec),
            Some(error) => Err(error),
        }
    }

    /// Sets the files to copy into the job directory.
    #[must_use]
    pub fn files<I, S>(mut self, files: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.files = files.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether the files are read-only hard links instead of copies.
    #[must_use]
    pub fn link(mut self, link: bool) -> Self {
        self.link = link;
        self
    }

    /// Sets what is fetched from the job directory.
    #[must_use]
    pub fn outputs<I, S>(mut self, outputs: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.outputs = outputs.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether a pipeline fails with any of its commands.
    #[must_use]
    pub fn pipefail(mut self, pipefail: bool) -> Self {
        self.pipefail = pipefail;
        self
    }

    /// Sets when its script is run by a shell.
    #[must_use]
    pub fn shell(mut self, shell: Shell) -> Self {
        self.shell = shell;
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a variable to the job's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Adds a parameter that it was made with.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Sets how long one attempt may run.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how often a failed job is retried.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets how many processors it has for itself.
    #[must_use]
    pub fn cpus(mut self, cpus: Cpus) -> Self {
        self.cpus = cpus;
        self
    }

    /// Sets whether it is bound to as many processors.
    #[must_use]
    pub fn affinity(mut self, affinity: bool) -> Self {
        self.affinity = affinity;
        self
    }

    /// Sets by which factor its memory is raised when it has run out of it.
    #[must_use]
    pub fn retry_mem(mut self, factor: f64) -> Self {
        self.retry_mem = Some(factor);
        self
    }

    /// Sets how many GPUs it has for itself.
    #[must_use]
    pub fn gpus(mut self, gpus: u32) -> Self {
        self.gpus = gpus;
        self
    }

    /// Sets how much memory it needs, bytes.
    #[must_use]
    pub fn mem(mut self, bytes: u64) -> Self {
        self.mem = Some(bytes);
        self
    }

    /// Sets the hosts that it may run on: names, ranges, patterns (`*`, `?`), `@GROUP`.
    #[must_use]
    pub fn hosts<I, S>(mut self, hosts: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the labels that a host must have to run it.
    #[must_use]
    pub fn labels<I, S>(mut self, labels: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }

    /// True when it may not run on any host.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !(self.hosts.is_empty() && self.labels.is_empty())
    }

    /// What it is bound to, in words; empty if it may run on any host.
    #[must_use]
    pub fn bound_to(&self) -> String {
        let labels = match &self.labels[..] {
            [] => String::new(),
            [label] => format!("label {label}"),
            labels => format!("labels {}", labels.join(", ")),
        };
        let with = if self.hosts.is_empty() || labels.is_empty() { "" } else { " with " };
        format!("{}{with}{labels}", self.hosts.join(", "))
    }

    /// The hosts it is bound to. What cannot be read admits none.
    #[must_use]
    pub fn choice(&self) -> Choice {
        Choice::new(&self.hosts, &self.labels).unwrap_or_else(|_| Choice::none())
    }

    /// Adds jobs that have to be `done` before it starts.
    #[must_use]
    pub fn after(mut self, after: impl IntoIterator<Item = After>) -> Self {
        self.after.extend(after);
        self
    }

    /// Those of its files that are local: not outputs of other jobs.
    pub fn local_files(&self) -> impl Iterator<Item = &String> {
        self.files.iter().filter(|file| !is_from_job(file))
    }

    /// What it asks of its host.
    #[must_use]
    pub fn ask(&self) -> Ask {
        Ask { cpus: self.cpus, mem: self.mem.unwrap_or(0), gpus: self.gpus }
    }

    /// The job's script: its commands as lines. What else it is to do is on the first of
    /// them, so that the shell's messages have the numbers of these lines.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = if self.pipefail { "set -o pipefail; " } else { "" }.to_owned();
        script.push_str(&self.cmds.join("\n"));
        script.push('\n');
        script
    }
}

/// The last component of a path: the file's name in the job directory.
#[must_use]
pub fn base_name(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `Option<Duration>` as seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` calls it so")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|duration| duration.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<f64> = Option::deserialize(deserializer)?;
        seconds
            .map(|seconds| Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(spec: &JobSpec) -> Vec<String> {
        spec.check().iter().map(SpecError::to_string).collect()
    }

    #[test]
    fn job_needs_a_command() {
        assert_eq!(JobSpec::new(Vec::<String>::new()), Err(SpecError::NoCommand));
        assert_eq!(JobSpec::new([" ", "\t"]), Err(SpecError::NoCommand));
        assert!(JobSpec::new(["", "true"]).is_ok());
    }

    #[test]
    fn what_a_host_is_sure_to_refuse_is_refused() {
        let job = || JobSpec::new(["true"]).unwrap();
        let fits = "v".repeat(MAX_VARIABLE_BYTES - 2);
        assert_eq!(errors(&job().env("A", fits.clone())), [""; 0]);
        assert_eq!(
            errors(&job().env("A", fits.clone() + "v")),
            ["environment variable A has 131072 bytes with its name: expected at most 131071"]
        );
        let many = ('A'..='H').fold(job(), |job, name| job.env(name, fits.clone()));
        assert_eq!(
            errors(&many),
            ["environment has 1048640 bytes, 10 of them for each variable besides its name and \
              value: expected at most 1048576"]
        );
        let small = (0..100_000).fold(job(), |job, i| job.env(format!("V{i}"), ""));
        assert!(errors(&small)[0].starts_with("environment has "), "{:?}", errors(&small));
        let (longest, longer) = ("d/".to_owned() + &"é".repeat(127), "x".repeat(256));
        assert_eq!(errors(&job().files([longest])), [""; 0]);
        let long = errors(&job().files([longer]));
        assert!(long[0].ends_with("has a name of 256 bytes: expected at most 255"), "{long:?}");
        let many = errors(&job().files((0..40_000).map(|i| i.to_string())));
        assert!(many[0].starts_with("40000 files have "), "{many:?}");
        let many = errors(&job().outputs((0..20_000).map(|i| format!("{i:0>60}"))));
        let long = job().timeout(Duration::from_secs(u64::MAX));
        assert_eq!(errors(&long), ["invalid timeout: expected at most 3650000 days"]);
        assert_eq!(many, ["output patterns have 1200000 bytes: expected at most 1048576"]);
    }

    #[test]
    fn all_errors_are_found_at_once() {
        let mut spec = JobSpec::new(["true"]).unwrap();
        spec.cmds.push("a\0b".into());
        let spec = spec
            .name("two\nlines")
            .env("1X", "v")
            .env("GJOB_RUN", "v")
            .env("OK", "a\0")
            .files(["/", "a/x", "b/x", "dir/.cmds"])
            .outputs(["out", "../x"])
            .timeout(Duration::ZERO);
        let errors = errors(&spec);
        assert_eq!(errors.len(), 10, "{errors:#?}");
        assert!(errors[0].starts_with("command 2 contains a NUL"));
        assert!(errors.iter().any(|e| e.contains("\"a/x\" and \"b/x\"")));
    }

    #[test]
    fn file_with_a_name_of_gjobs_own_is_refused() {
        for name in [".control.x", ".cmds", "log", ".done.new"] {
            let path = format!("dir/{name}");
            let spec = JobSpec::new(["true"]).unwrap().files([path.clone()]);
            assert_eq!(spec.check(), [SpecError::FileReserved { found: path }]);
        }
        let spec = JobSpec::new(["true"]).unwrap().files(["log/x", ".controls"]);
        assert_eq!(spec.check(), []);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = serde_json::from_str::<JobSpec>(r#"{"cmds":["true"],"fles":[]}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `fles`"), "{error}");
    }

    #[test]
    fn json_round_trips_and_leaves_defaults_out() {
        let spec = JobSpec::new(["true"]).unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), r#"{"cmds":["true"]}"#);
        let full = spec
            .files(["f"])
            .link(true)
            .outputs(["*.csv"])
            .name("n")
            .env("A", "b")
            .retries(2)
            .timeout(Duration::from_millis(1500));
        let json = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<JobSpec>(&json).unwrap(), full);
        assert!(json.contains("\"timeout\":1.5"));
    }
}
