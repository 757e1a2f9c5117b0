//! What both ends know of a job: its manager sends it with each launch, its
//! host carries it out and records it in `.job`. A new field of a job that its
//! host has to know belongs here, and the compiler shows the places that use it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::resources::{Ask, Cpus};
use crate::spec::JobSpec;

/// What is requested of the host that runs a job.
///
/// One format for the wire and for `.job`: a change to it is a new
/// [`PROTOCOL`](crate::wire::PROTOCOL) and a new
/// [`RECORD_VERSION`](crate::record::RECORD_VERSION).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobRequest {
    /// The job's name.
    pub name: Option<String>,
    /// Which of its copies it is, from 0.
    pub repeat_index: u32,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
    /// The longest it may run, milliseconds, at least 1.
    pub timeout_ms: Option<u64>,
    /// Processors it has for itself; null for the whole host.
    #[serde(with = "count")]
    pub cpus: Cpus,
    /// Binds it to as many processors, which no other bound job has at the same time.
    pub affinity: bool,
    /// Memory it needs, bytes; 0 for any amount.
    pub mem: u64,
    /// GPUs it has for itself.
    pub gpus: u32,
    /// When its script is run by a shell.
    #[serde(default)]
    pub shell: Shell,
}

/// When a script is run by a shell, bash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// When there is anything to do for one: one simple command is started by itself.
    #[default]
    Auto,
    /// Always.
    Always,
}

impl Shell {
    /// True for what is meant where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Shell::default()
    }
}

impl JobRequest {
    /// The longest it may run.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// Its share of the host.
    #[must_use]
    pub fn ask(&self) -> Ask {
        Ask { cpus: self.cpus, mem: self.mem, gpus: self.gpus }
    }
}

/// What the variables of a job's parameters begin with.
const PARAM_VARIABLE: &str = "GJOB_PARAM_";

/// A longer value is no variable, bytes: what a program is started with has a limit.
const MAX_PARAM_VARIABLE_BYTES: usize = 4096;

/// As much is in variables of parameters at most, bytes.
const MAX_PARAM_BYTES: usize = 64 << 10;

/// The parameters that can be variables of the job.
fn param_variables(params: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    let is_word = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mut left = MAX_PARAM_BYTES;
    params.iter().filter_map(move |(name, value)| {
        let bytes = name.len() + value.len();
        let fits = bytes <= MAX_PARAM_VARIABLE_BYTES && bytes <= left && !value.contains('\0');
        (fits && is_word(name)).then(|| {
            left -= bytes;
            (format!("{PARAM_VARIABLE}{name}"), value.clone())
        })
    })
}

impl From<&JobSpec> for JobRequest {
    fn from(spec: &JobSpec) -> Self {
        // Without `..`: a new field is either sent to the host or listed here as
        // one that the host need not know.
        let JobSpec {
            name,
            repeat_index,
            env,
            timeout,
            cpus,
            affinity,
            mem,
            gpus,
            // The host gets the script and the inputs made of these.
            cmds: _,
            pipefail: _,
            files: _,
            link: _,
            // The manager's.
            outputs: _,
            retries: _,
            retry_mem: _,
            after: _,
            hosts: _,
            labels: _,
            params,
            shell,
        } = spec;
        let params = param_variables(params);
        JobRequest {
            name: name.clone(),
            repeat_index: *repeat_index,
            env: env.clone().into_iter().chain(params).collect(),
            timeout_ms: timeout.map(|timeout| (timeout.as_millis() as u64).max(1)),
            cpus: *cpus,
            affinity: *affinity,
            mem: mem.unwrap_or(0),
            gpus: *gpus,
            shell: *shell,
        }
    }
}

/// [`Cpus`] as an optional number: on the wire there is no choice of types.
pub mod count {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::resources::Cpus;

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(cpus: &Cpus, serializer: S) -> Result<S::Ok, S::Error> {
        cpus.count().serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cpus, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Cpus::All, Cpus::Count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_holds_what_the_host_has_to_know_of_a_job() {
        let spec = JobSpec::new(["true"]).unwrap().name("n").env("A", "b").gpus(2).mem(3);
        let spec = spec.affinity(true);
        let request = JobRequest::from(&spec.timeout(Duration::from_micros(1)).cpus(Cpus::All));
        assert_eq!(request.timeout(), Some(Duration::from_millis(1)));
        assert_eq!(request.ask(), Ask { cpus: Cpus::All, mem: 3, gpus: 2 });
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(
            json,
            r#"{"name":"n","repeat_index":0,"env":{"A":"b"},"timeout_ms":1,"cpus":null,"affinity":true,"mem":3,"gpus":2,"shell":"auto"}"#
        );
        assert_eq!(serde_json::from_str::<JobRequest>(&json).unwrap(), request);
    }

    #[test]
    fn parameters_are_variables_where_they_can_be() {
        let spec = JobSpec::new(["true"]).unwrap().env("A", "b").param("lr", "0.1");
        let long = "x".repeat(MAX_PARAM_VARIABLE_BYTES);
        let spec = spec.param("1", "v").param("a b", "c").param("long", long);
        let names: Vec<String> = JobRequest::from(&spec).env.into_keys().collect();
        assert_eq!(names, ["A", "GJOB_PARAM_1", "GJOB_PARAM_lr"]);
    }
}
