//! The JSON files of a job directory. Each begins with its version.

use std::io;

use gjob_core::jobdir::OwnFile;
use gjob_core::record::RECORD_VERSION;
use gjob_core::{JobRequest, Key, Order, RunId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::dir::JobDir;
use crate::identity::ProcessIdentity;

/// A file's content behind its version.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Versioned<T> {
    /// [`RECORD_VERSION`] of the writer.
    pub(crate) version: u32,
    /// What is in it.
    #[serde(flatten)]
    pub(crate) body: T,
}

/// The content of a file of this version, with a newline.
pub(crate) fn to_json<T: Serialize>(body: T) -> io::Result<Vec<u8>> {
    let mut json = serde_json::to_vec(&Versioned { version: RECORD_VERSION, body })?;
    json.push(b'\n');
    Ok(json)
}

/// Reads a file's content.
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    let file: Versioned<T> = serde_json::from_slice(json)?;
    if file.version == RECORD_VERSION {
        return Ok(file.body);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it has version {}, this gjob reads version {RECORD_VERSION}", file.version),
    ))
}

/// `.job`: what was asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    /// Which attempt; none for a job started by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Key>,
    /// Of which run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunId>,
    /// What its host has to know of it.
    #[serde(flatten)]
    pub(crate) request: JobRequest,
    /// The GPUs it has, as `CUDA_VISIBLE_DEVICES` names them.
    pub(crate) devices: Vec<String>,
    /// Files placed before it started.
    pub(crate) files: Vec<InputFile>,
    /// When the directory was made.
    pub(crate) at: Timestamp,
}

/// A part of [`JobRecord`], enough for cleaning up and collecting: to read all of it
/// takes a good deal of code.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JobSummary {
    /// Which attempt.
    pub(crate) key: Option<Key>,
    /// Of which run.
    pub(crate) run: Option<RunId>,
    /// Its inputs.
    pub(crate) files: Vec<InputName>,
}

/// The name of an input.
#[derive(Debug, Deserialize)]
pub(crate) struct InputName {
    /// The name.
    pub(crate) name: String,
}

impl JobSummary {
    /// Reads it; one that the job has removed or changed beyond recognition is empty.
    pub(crate) fn read(dir: &JobDir) -> Self {
        dir.read(OwnFile::Job.name()).ok().flatten().unwrap_or_default()
    }
}

/// One of a job's input files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InputFile {
    /// Its name.
    pub(crate) name: String,
    /// Its blob's hash, in hexadecimal.
    pub(crate) hash: String,
    /// Its permission bits.
    pub(crate) mode: u32,
}

/// `.lock`: which slot has the job; there before anything else is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockFile {
    /// The slot's process.
    pub(crate) slot: ProcessIdentity,
    /// The slot's number among those of its host.
    pub(crate) number: u32,
}

/// `.pid`: the script's shell.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PidFile {
    /// Its process, which leads a process group.
    #[serde(flatten)]
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

    use gjob_core::resources::Cpus;
    use gjob_core::{Cause, Ending, Finish};

    use super::*;

    /// The format on disk: changing it needs a new RECORD_VERSION.
    #[test]
    fn the_format_of_the_files_is_pinned() {
        let process = |pid| ProcessIdentity { boot_id: "b".into(), pid, start: 9 };
        let text = |json: io::Result<Vec<u8>>| String::from_utf8(json.unwrap()).unwrap();
        let pid = PidFile { job: process(7), slot: process(6), started: Timestamp(5) };
        assert_eq!(
            text(to_json(pid)),
            "{\"version\":4,\"boot_id\":\"b\",\"pid\":7,\"start\":9,\
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
            files: vec![InputFile { name: "f".into(), hash: "07".into(), mode: 0o644 }],
            at: Timestamp(5),
        };
        assert_eq!(
            text(to_json(job)),
            "{\"version\":4,\"key\":\"1.2\",\"name\":null,\"repeat_index\":0,\"env\":{},\
             \"timeout_ms\":null,\"cpus\":\"all\",\"mem\":0,\"gpus\":1,\"devices\":[\"0\"],\
             \"files\":[{\"name\":\"f\",\"hash\":\"07\",\"mode\":420}],\"at\":5}\n"
        );
        assert_eq!(RECORD_VERSION, 4);
    }

    #[test]
    fn an_exit_record_reads_back_and_another_version_is_named() {
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
