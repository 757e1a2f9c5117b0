//! From a launch to a job directory with everything in it: allocate, lock, write what
//! was requested, then claim. Nothing of the job runs before that, and what fails before
//! leaves nothing: another slot, or another host, may begin it.
//!
//! The lock comes before the claim: a claim always leads to a directory that
//! shows whether its slot lives.

use std::fs::File;
use std::io::{self, Write as _};

use gjob_core::jobdir::{OwnFile, is_reserved};
use gjob_core::os_text::{byte_len, to_bytes};
use gjob_core::output::MAX_COMPONENT;
use gjob_core::record::Scope;
use gjob_core::wire::{Input, Launch};
use gjob_core::{JobId, RunId};

use super::inputs::{InputError, place_all};
use super::request::Given;
use crate::claims::{Claim, Claims, ODD_CLAIM, is_odd};
use crate::host;
use crate::jobdir::{Allocator, InputFile, JobDir, JobRecord, Layout, LockFile, Reserved, to_json};
use crate::shortage::Shortage;

/// A job that only has to be started.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its id.
    pub(crate) id: JobId,
    /// Its directory.
    pub(crate) dir: JobDir,
    /// Its standard output.
    pub(crate) log: File,
    /// Its standard error.
    pub(crate) err: File,
    /// Room for `.pid`.
    pub(crate) pid: Reserved,
    /// Room for `.done`, under the name `.done.new`.
    pub(crate) done: Reserved,
    /// Held while the job lives; inherited by it.
    pub(crate) lock: File,
}

/// Why a launch is not carried out.
#[derive(Debug)]
pub(crate) enum NotPrepared {
    /// Another slot has the attempt.
    Taken,
    /// The attempt was withdrawn.
    Withdrawn,
    /// There is no space for it now.
    NoSpace(Shortage),
    /// It cannot be carried out.
    Refused(Refusal),
}

/// Why a launch cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub(crate) struct Refusal {
    what: String,
    source: io::Error,
    /// Whose fault it is.
    pub(crate) scope: Scope,
}

impl Refusal {
    /// The host's fault.
    pub(crate) fn host(what: impl Into<String>, source: io::Error) -> Self {
        Refusal { what: what.into(), source, scope: Scope::Host }
    }

    /// The job's own fault.
    pub(crate) fn job(what: impl Into<String>, expected: &'static str) -> Self {
        Refusal {
            what: what.into(),
            source: io::Error::new(io::ErrorKind::InvalidInput, expected),
            scope: Scope::Job,
        }
    }
}

impl Refusal {
    /// That of an input. For one that is missing, the reason begins with `input`: the
    /// manager sends it again.
    fn input(name: &str, error: InputError) -> Self {
        let scope = error.scope();
        let (what, source) = match error {
            InputError::Io(error) => (format!("cannot place input {name:?}"), error),
            error => (format!("input {name:?}"), io::Error::other(error)),
        };
        Refusal { what, source, scope }
    }
}

impl From<Refusal> for NotPrepared {
    fn from(refusal: Refusal) -> Self {
        match Shortage::of(&refusal) {
            Some(shortage) => NotPrepared::NoSpace(shortage),
            None => NotPrepared::Refused(refusal),
        }
    }
}

/// Where a slot's jobs go.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) layout: Layout,
    pub(crate) allocator: Allocator,
    pub(crate) claims: Claims,
    pub(crate) run: RunId,
    pub(crate) slot: LockFile,
    /// The agent that started the slot, by its pid.
    pub(crate) agent: u32,
}

impl Places {
    /// Makes the job directory of `launch` and claims the attempt for it.
    pub(crate) fn prepare(&self, launch: &Launch, given: &Given) -> Result<Prepared, NotPrepared> {
        check(launch)?;
        let date = host::now().date_string();
        let (id, dir) = self
            .allocator
            .allocate(&date)
            .map_err(|error| Refusal::host("cannot make a job directory", error))?;
        match self.fill_and_claim(&id, &dir, launch, given) {
            Ok((lock, files)) => Ok(files.into_prepared(id, dir, lock)),
            Err(error) => {
                // The next try gets a directory of its own.
                let _ = dir.discard();
                Err(error)
            }
        }
    }

    fn fill_and_claim(
        &self,
        id: &JobId,
        dir: &JobDir,
        launch: &Launch,
        given: &Given,
    ) -> Result<(File, OutputFiles), NotPrepared> {
        let lock = lock(dir, &self.slot)?;
        self.place_inputs(dir, &launch.files)?;
        let files = fill(dir, &to_bytes(&launch.script), &self.job_file(launch, given))
            .map_err(|error| host_refusal(dir, error))?;
        // Not for a launch that another agent has again by now: it may be dropped there,
        // and be begun elsewhere.
        if !is_parent(self.agent) {
            return Err(NotPrepared::Taken);
        }
        match self.claims.claim(launch.key, id, &self.slot) {
            Ok(true) => Ok((lock, files)),
            Ok(false) => Err(match self.claims.read(launch.key) {
                Ok(Some(Claim::Withdrawn)) => NotPrepared::Withdrawn,
                Ok(Some(Claim::Job(..)) | None) => NotPrepared::Taken,
                // Put there since the agent has looked at it.
                Err(error) if is_odd(&error) => Refusal::host(ODD_CLAIM, error).into(),
                Err(_) => NotPrepared::Taken,
            }),
            Err(error) => Err(Refusal::host("cannot claim the attempt", error).into()),
        }
    }

    fn job_file(&self, launch: &Launch, given: &Given) -> JobRecord {
        let files = launch.files.iter().map(|input| InputFile {
            name: input.name.clone(),
            hash: input.hash.to_string(),
            mode: input.mode,
        });
        JobRecord {
            key: Some(launch.key),
            run: Some(self.run.clone()),
            request: launch.request.clone(),
            devices: given.devices.clone(),
            processors: given.processors.clone(),
            files: files.collect(),
            at: host::now(),
        }
    }

    fn place_inputs(&self, dir: &JobDir, inputs: &[Input]) -> Result<(), Refusal> {
        place_all(&self.layout, &self.run, dir, inputs)
            .map_err(|(name, error)| Refusal::input(name, error))
    }
}

/// True while the agent of that pid lives: it is its slots' parent.
fn is_parent(agent: u32) -> bool {
    rustix::process::getppid().is_some_and(|parent| parent.as_raw_nonzero().get() as u32 == agent)
}

/// Prepares the job of an existing directory, which has its script already.
pub(crate) fn prepare_here(
    id: JobId,
    dir: JobDir,
    slot: &LockFile,
    job: &JobRecord,
) -> Result<Prepared, Refusal> {
    let lock = lock(&dir, slot)?;
    match write_job_file(&dir, job).and_then(|()| OutputFiles::make(&dir)) {
        Ok(files) => Ok(files.into_prepared(id, dir, lock)),
        Err(error) => Err(host_refusal(&dir, error)),
    }
}

fn host_refusal(dir: &JobDir, error: io::Error) -> Refusal {
    Refusal::host(format!("cannot write to {}", dir.path().display()), error)
}

/// Takes the lock, and names the slot in it.
fn lock(dir: &JobDir, slot: &LockFile) -> Result<File, Refusal> {
    let taken = dir.take_lock().and_then(|mut file| {
        file.write_all(&to_json(slot)?)?;
        Ok(file)
    });
    taken.map_err(|error| Refusal::host(format!("cannot lock {}", dir.path().display()), error))
}

fn fill(dir: &JobDir, script: &[u8], job: &JobRecord) -> io::Result<OutputFiles> {
    dir.create(OwnFile::Script.name())?.write_all(script)?;
    write_job_file(dir, job)?;
    OutputFiles::make(dir)
}

fn write_job_file(dir: &JobDir, job: &JobRecord) -> io::Result<()> {
    dir.create(OwnFile::Job.name())?.write_all(&to_json(job)?)
}

struct OutputFiles {
    log: File,
    err: File,
    pid: Reserved,
    done: Reserved,
}

impl OutputFiles {
    fn make(dir: &JobDir) -> io::Result<Self> {
        Ok(OutputFiles {
            log: dir.create_output(OwnFile::Stdout.name())?,
            err: dir.create_output(OwnFile::Stderr.name())?,
            pid: dir.reserve(OwnFile::Pid.name())?,
            done: dir.reserve(OwnFile::DoneReserved.name())?,
        })
    }

    fn into_prepared(self, id: JobId, dir: JobDir, lock: File) -> Prepared {
        Prepared { id, dir, log: self.log, err: self.err, pid: self.pid, done: self.done, lock }
    }
}

/// Refuses what would leave the job directory or could not be passed to bash.
fn check(launch: &Launch) -> Result<(), Refusal> {
    for input in &launch.files {
        if !is_input_name(&input.name) {
            return Err(Refusal::job(
                format!("input {:?}", input.name),
                "expected the name of one file that gjob does not use itself",
            ));
        }
    }
    for (name, value) in &launch.request.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Refusal::job(
                format!("environment variable {name:?}"),
                "expected a name and a value that an environment can hold",
            ));
        }
    }
    if launch.request.name.as_ref().is_some_and(|name| name.contains('\0')) {
        return Err(Refusal::job("job name", "expected text without NUL"));
    }
    Ok(())
}

fn is_input_name(name: &str) -> bool {
    (1..=MAX_COMPONENT).contains(&byte_len(name))
        && !name.contains(['/', '\0'])
        && !matches!(name, "." | "..")
        && !is_reserved(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_name_cannot_leave_the_job_directory() {
        for bad in ["", ".", "..", "a/b", "/etc/passwd", "log", ".cmds", ".control.7", "a\0"] {
            assert!(!is_input_name(bad), "{bad:?}");
        }
        for good in ["a", ".bashrc", "a b\n", "-rf"] {
            assert!(is_input_name(good), "{good:?}");
        }
    }
}
