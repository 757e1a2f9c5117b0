//! A job as people write it. Each field of a `JobSpec` has one field in a draft;
//! everything but the commands may be left out, for defaults to fill in.

use std::collections::BTreeMap;
use std::time::Duration;

use gjob_core::dependency::After;
use gjob_core::from_job::FromJob;
use gjob_core::resources::Cpus;
use gjob_core::{JobSpec, Shell};

use super::checks::check_files;
use super::lenient::{after, count, duration, list, size, variables};
use super::problem::Problem;

/// A job of a job file before its defaults are filled in, or these defaults. Its
/// field names are the words of job files.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct JobDraft {
    /// See [`JobSpec::cmds`].
    #[serde(alias = "commands", deserialize_with = "list")]
    pub cmds: Vec<String>,
    /// See [`JobSpec::files`].
    #[serde(default, deserialize_with = "list")]
    pub files: Vec<String>,
    /// See [`JobSpec::link`].
    #[serde(default)]
    pub link: bool,
    /// See [`JobSpec::outputs`].
    #[serde(default, deserialize_with = "list")]
    pub outputs: Vec<String>,
    /// See [`JobSpec::name`].
    #[serde(default)]
    pub name: Option<String>,
    /// See [`JobSpec::env`].
    #[serde(default, deserialize_with = "variables")]
    pub env: BTreeMap<String, String>,
    /// See [`JobSpec::params`].
    #[serde(default, deserialize_with = "variables")]
    pub params: BTreeMap<String, String>,
    /// See [`JobSpec::timeout`].
    #[serde(default, deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    /// See [`JobSpec::retries`].
    #[serde(default, deserialize_with = "count")]
    pub retries: Option<u32>,
    /// See [`JobSpec::cpus`].
    #[serde(default)]
    pub cpus: Option<Cpus>,
    /// See [`JobSpec::affinity`].
    #[serde(default)]
    pub affinity: bool,
    /// See [`JobSpec::gpus`].
    #[serde(default, deserialize_with = "count")]
    pub gpus: Option<u32>,
    /// See [`JobSpec::mem`].
    #[serde(default, deserialize_with = "size")]
    pub mem: Option<u64>,
    /// See [`JobSpec::retry_mem`].
    #[serde(default)]
    pub retry_mem: Option<f64>,
    /// See [`JobSpec::hosts`].
    #[serde(default, alias = "host", deserialize_with = "list")]
    pub hosts: Vec<String>,
    /// See [`JobSpec::labels`].
    #[serde(default, alias = "label", deserialize_with = "list")]
    pub labels: Vec<String>,
    /// See [`JobSpec::after`].
    #[serde(default, deserialize_with = "after")]
    pub after: Vec<After>,
    /// See [`JobSpec::pipefail`].
    #[serde(default)]
    pub pipefail: bool,
    /// See [`JobSpec::shell`].
    #[serde(default)]
    pub shell: Option<Shell>,
    /// How many copies of the job to run.
    #[serde(default, deserialize_with = "count")]
    pub repeat: Option<u32>,
    /// See [`JobSpec::repeat_index`]. Not for people: `gjob run --dry-run --json`
    /// writes it for copies that were made.
    #[serde(default)]
    pub repeat_index: u32,
}

impl JobDraft {
    /// A job that runs one command.
    pub(super) fn of_command(command: String) -> Self {
        JobDraft { cmds: vec![command], ..JobDraft::default() }
    }

    /// Everything that is wrong with these defaults, whatever the job, each with its
    /// field. Texts with placeholders are checked once values are filled in
    /// (`will_be_filled`).
    #[must_use]
    pub fn check_defaults(&self, will_be_filled: bool) -> Vec<(&'static str, Problem)> {
        let mut defaults = self.clone();
        if will_be_filled {
            defaults.drop_templates();
        }
        let (spec, _) = JobDraft::of_command("true".to_owned()).complete(&defaults);
        let errors = spec.check().into_iter();
        let errors = errors.map(|error| (error.field().unwrap_or_default(), error.into()));
        let missing = check_files(std::slice::from_ref(&spec));
        errors.chain(missing.map(|(_, problem)| ("files", problem))).collect()
    }

    /// The job's specification and how many copies of it to run, with `defaults`
    /// for what the draft leaves out. Files, outputs and variables of the defaults are
    /// added to those of the draft.
    ///
    /// The draft is taken apart field by field, so that the compiler points here
    /// when it gets a new one.
    pub(super) fn complete(self, defaults: &JobDraft) -> (JobSpec, u32) {
        let JobDraft {
            cmds,
            mut files,
            link,
            mut outputs,
            name,
            mut env,
            params,
            timeout,
            retries,
            cpus,
            affinity,
            gpus,
            mem,
            retry_mem,
            hosts,
            labels,
            after,
            pipefail,
            shell,
            repeat,
            repeat_index,
        } = self;
        let name = name.or_else(|| defaults.name.clone());
        let is_own = |file: &&String| !names(file, name.as_deref());
        files.extend(defaults.files.iter().filter(is_own).cloned());
        outputs.extend_from_slice(&defaults.outputs);
        for (name, value) in &defaults.env {
            env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let mut spec = JobSpec::default();
        spec.cmds = cmds;
        spec.files = files;
        spec.link = link || defaults.link;
        spec.outputs = outputs;
        spec.name = name;
        spec.env = env;
        spec.params = params;
        spec.timeout = timeout.or(defaults.timeout);
        spec.retries = retries.or(defaults.retries);
        spec.cpus = cpus.or(defaults.cpus).unwrap_or_default();
        spec.affinity = affinity || defaults.affinity;
        spec.gpus = gpus.or(defaults.gpus).unwrap_or_default();
        spec.mem = mem.or(defaults.mem);
        spec.retry_mem = retry_mem.or(defaults.retry_mem);
        spec.hosts = own_or(hosts, &defaults.hosts);
        spec.labels = own_or(labels, &defaults.labels);
        spec.after = after;
        spec.pipefail = pipefail || defaults.pipefail;
        spec.shell = shell.or(defaults.shell).unwrap_or_default();
        spec.repeat_index = repeat_index;
        (spec, repeat.or(defaults.repeat).unwrap_or(1))
    }
}

/// True for outputs of jobs that a job of this name is one of: it cannot have them itself.
fn names(file: &str, name: Option<&str>) -> bool {
    let entry = FromJob::parse(file).and_then(Result::ok);
    entry.zip(name).is_some_and(|(entry, name)| entry.names(name))
}

/// A job's own list, or the default one.
fn own_or(own: Vec<String>, default: &[String]) -> Vec<String> {
    if own.is_empty() { default.to_vec() } else { own }
}
