//! The JSON files of a job directory. Each begins with its version.

use std::io;

use gjob_core::record::RECORD_VERSION;
use gjob_core::{Cause, Key, RunId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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
pub(crate) struct JobFile {
    /// Which attempt; none for a job started by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Key>,
    /// Of which run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<RunId>,
    /// The job's name.
    pub(crate) name: Option<String>,
    /// Which of its copies.
    pub(crate) repeat_index: u32,
    /// Variables added to its environment.
    pub(crate) env: Vec<(String, String)>,
    /// The longest it may run, milliseconds.
    pub(crate) timeout_ms: Option<u64>,
    /// Files placed before it started.
    pub(crate) files: Vec<InputFile>,
    /// What it has of its host.
    #[serde(flatten)]
    pub(crate) asked: Asked,
    /// When the directory was made.
    pub(crate) at: Timestamp,
}

/// What a job has of its host while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Processors; none for the whole host.
    pub(crate) cpus: Option<u32>,
    /// Memory, bytes.
    pub(crate) mem: u64,
    /// GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    #[serde(rename = "gpus")]
    pub(crate) devices: Vec<String>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { cpus: Some(1), mem: 0, devices: Vec::new() }
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

/// `.control`, and `.controlled` once the slot has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlFile {
    /// What to do.
    pub(crate) action: Action,
    /// For a kill: what the exit record is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<Cause>,
    /// For a kill: milliseconds between TERM and KILL.
    #[serde(default)]
    pub(crate) grace_ms: u32,
}

/// What can be done to a running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// TERM, grace, KILL.
    Kill,
    /// STOP.
    Pause,
    /// CONT.
    Resume,
}

#[cfg(test)]
mod tests {
    use gjob_core::{Ending, Finish};

    use super::*;

    /// The format on disk: changing it needs a new RECORD_VERSION.
    #[test]
    fn the_format_of_the_files_is_pinned() {
        let process = |pid| ProcessIdentity { boot_id: "b".into(), pid, start: 9 };
        let text = |json: io::Result<Vec<u8>>| String::from_utf8(json.unwrap()).unwrap();
        let pid = PidFile { job: process(7), slot: process(6), started: Timestamp(5) };
        assert_eq!(
            text(to_json(pid)),
            "{\"version\":3,\"boot_id\":\"b\",\"pid\":7,\"start\":9,\
             \"slot\":{\"boot_id\":\"b\",\"pid\":6,\"start\":9},\"started\":5}\n"
        );
        let control = ControlFile { action: Action::Kill, cause: Some(Cause::Killed), grace_ms: 3 };
        assert_eq!(
            text(to_json(control)),
            "{\"version\":3,\"action\":\"kill\",\"cause\":\"killed\",\"grace_ms\":3}\n"
        );
        assert_eq!(RECORD_VERSION, 3);
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
        let other = String::from_utf8(json).unwrap().replace("\"version\":3", "\"version\":8");
        let error = read_json::<Finish>(other.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "it has version 8, this gjob reads version 3");
    }
}
