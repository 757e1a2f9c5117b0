//! The JSON files of a job directory. Each begins with its version.

use std::io;

use gjob_core::jobdir::OwnFile;
use gjob_core::record::RECORD_VERSION;
use gjob_core::resources::Cpus;
use gjob_core::{JobRequest, Key, Order, RunId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::dir::JobDir;
use crate::host::{self, Machine};
use crate::identity::ProcessIdentity;

/// The content of a file of this version, with a newline. `body` is an object.
pub(crate) fn to_json<T: Serialize>(body: T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(&body)?;
    // By hand: to flatten one struct into another takes much code, in the agent.
    let fields = body.strip_prefix(b"{").ok_or(io::ErrorKind::InvalidInput)?;
    Ok([format!("{{\"version\":{RECORD_VERSION},").as_bytes(), fields, b"\n"].concat())
}

/// Reads a file's content.
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    check_version(json)?;
    Ok(serde_json::from_slice(json)?)
}

fn check_version(json: &[u8]) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Header {
        version: u32,
    }
    let Header { version } = serde_json::from_slice(json)?;
    if version == RECORD_VERSION {
        return Ok(());
    }
    let reason = format!("it has version {version}, this gjob reads version {RECORD_VERSION}");
    Err(io::Error::new(io::ErrorKind::InvalidData, reason))
}

/// `.job`: what was requested, and what the job was given.
#[derive(Debug, Serialize)]
pub(crate) struct JobRecord {
    /// Which attempt; none for a job started by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Key>,
    /// Of which run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunId>,
    /// What was requested for it.
    pub(crate) request: JobRequest,
    /// The GPUs it has, as `CUDA_VISIBLE_DEVICES` names them.
    pub(crate) devices: Vec<String>,
    /// The processors that it is bound to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) processors: Vec<u32>,
    /// Files placed before it started.
    pub(crate) files: Vec<InputFile>,
    /// When the directory was made.
    pub(crate) at: Timestamp,
}

/// A part of [`JobRecord`], all that is read of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JobSummary {
    /// Which attempt.
    pub(crate) key: Option<Key>,
    /// Of which run.
    pub(crate) run: Option<RunId>,
    /// What was requested for it.
    pub(crate) request: RequestSummary,
    /// The GPUs it has.
    pub(crate) devices: Vec<String>,
    /// The processors that it is bound to.
    pub(crate) processors: Vec<u32>,
    /// Its inputs.
    pub(crate) files: Vec<InputName>,
}

/// A part of a [`JobRequest`].
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RequestSummary {
    /// Processors it has for itself.
    #[serde(with = "gjob_core::request::count")]
    pub(crate) cpus: Cpus,
    /// Memory it needs, bytes.
    pub(crate) mem: u64,
}

/// The name of an input.
#[derive(Debug, Deserialize)]
pub(crate) struct InputName {
    /// The name.
    pub(crate) name: String,
}

impl JobSummary {
    /// Reads it; none when the job has removed it, or changed it beyond recognition.
    pub(crate) fn read(dir: &JobDir) -> Option<Self> {
        dir.read(OwnFile::Job.name()).ok().flatten()
    }
}

/// One of a job's input files.
#[derive(Debug, Serialize)]
pub(crate) struct InputFile {
    /// Its name.
    pub(crate) name: String,
    /// Its blob's hash, in hexadecimal.
    pub(crate) hash: String,
    /// Its permission bits.
    pub(crate) mode: u32,
}

/// `.lock`: the slot that has the job; it is made before anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockFile {
    /// The slot's process.
    pub(crate) slot: ProcessIdentity,
    /// The slot's number among those of its host.
    pub(crate) number: u32,
    /// Where it runs.
    pub(crate) machine: Machine,
}

impl LockFile {
    /// The slot of this process.
    pub(crate) fn new(slot: ProcessIdentity, number: u32) -> Self {
        LockFile { slot, number, machine: host::machine().clone() }
    }
}

/// `.pid`: the script's shell.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PidFile {
    /// Its process, which leads a process group.
    pub(crate) job: ProcessIdentity,
    /// The slot's process.
    pub(crate) slot: ProcessIdentity,
    /// When it was started.
    pub(crate) started: Timestamp,
}

/// An order in a file: `.control`, or `.controlled` once the slot has carried it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderFile {
    /// What to do.
    pub(crate) order: Order,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gjob_core::{Cause, Ending, Finish};

    use super::*;

    /// The format on disk: changing it needs a new RECORD_VERSION.
    #[test]
    fn format_of_the_files_is_pinned() {
        let process = |pid| ProcessIdentity { boot_id: "b".into(), pid, start: 9 };
        let text = |json: io::Result<Vec<u8>>| String::from_utf8(json.unwrap()).unwrap();
        let pid = PidFile { job: process(7), slot: process(6), started: Timestamp(5) };
        assert_eq!(
            text(to_json(pid)),
            "{\"version\":4,\"job\":{\"boot_id\":\"b\",\"pid\":7,\"start\":9},\
             \"slot\":{\"boot_id\":\"b\",\"pid\":6,\"start\":9},\"started\":5}\n"
        );
        let grace = Duration::from_millis(3);
        let order = OrderFile { order: Order::Kill { cause: Cause::Killed, grace } };
        assert_eq!(
            text(to_json(order)),
            "{\"version\":4,\"order\":{\"kill\":{\"cause\":\"killed\",\"grace_ms\":3}}}\n"
        );
        let job = JobRecord {
            key: Some(Key::new(1, 2)),
            run: None,
            request: JobRequest { cpus: Cpus::All, gpus: 1, ..JobRequest::default() },
            devices: vec!["0".into()],
            processors: vec![3],
            files: vec![InputFile { name: "f".into(), hash: "07".into(), mode: 0o644 }],
            at: Timestamp(5),
        };
        assert_eq!(
            text(to_json(job)),
            "{\"version\":4,\"key\":\"1.2\",\"request\":{\"name\":null,\"repeat_index\":0,\"env\":{},\
             \"timeout_ms\":null,\"cpus\":null,\"affinity\":false,\"mem\":0,\"gpus\":1,\
             \"shell\":\"auto\"},\
             \"devices\":[\"0\"],\"processors\":[3],\
             \"files\":[{\"name\":\"f\",\"hash\":\"07\",\"mode\":420}],\"at\":5}\n"
        );
        assert_eq!(RECORD_VERSION, 4);
    }

    #[test]
    fn exit_record_reads_back_and_another_version_is_named() {
        let finish = Finish {
            key: None,
            id: "h/2026-11-22-1".parse().unwrap(),
            ending: Ending::Signal(9),
            cause: None,
            started: Timestamp(1),
            ended: Timestamp(2),
            user_us: 3,
            system_us: 4,
            max_rss_kib: 5,
            read_bytes: 0,
            written_bytes: 0,
            stdout_bytes: 6,
            stderr_bytes: 7,
            survivors: vec![8],
        };
        let json = to_json(&finish).unwrap();
        assert_eq!(read_json::<Finish>(&json).unwrap(), finish);
        let other = String::from_utf8(json).unwrap().replace("\"version\":4", "\"version\":8");
        let error = read_json::<Finish>(other.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "it has version 8, this gjob reads version 4");
    }
}
