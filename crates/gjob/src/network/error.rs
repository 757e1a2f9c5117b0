//! What can go wrong with a network as a whole, or with one request to a host.

use std::io;
use std::path::PathBuf;

use gjob_core::trust::Distrust;
use gjob_core::{HostLabel, JobId};

use crate::inputs::InputError;
use crate::link::HostPlanError;
use crate::open_files::TooFewFiles;
use crate::store::RunDirError;

/// A network can't be made, opened, or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Links need files.
    #[error(transparent)]
    OpenFiles(#[from] TooFewFiles),
    /// Nothing to run on.
    #[error("no hosts: at least one is needed")]
    NoHosts,
    /// A host that could not be reached.
    #[error(transparent)]
    Plan(#[from] HostPlanError),
    /// One host twice.
    #[error("host {0} is named twice")]
    SameHost(HostLabel),
    /// One connect command for two hosts.
    #[error(
        "hosts {} and {} are reached by the same command, {command:?}: \
         expected {{host}} in it",
        .hosts[0], .hosts[1]
    )]
    SameCommand {
        /// The hosts.
        hosts: [HostLabel; 2],
        /// As it was given.
        command: String,
    },
    /// A connect program, an ssh configuration or a worker program that another user
    /// could have written.
    #[error(
        "{} is not relied on: {}: {why}\nhelp: copy it to a directory that only you can write to",
        .path.display(), .place.display()
    )]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// It, or a directory that it lies in.
        place: PathBuf,
        /// Why.
        why: Distrust,
    },
    /// The tasks that drive the links.
    #[error("cannot start the links' runtime: {0}")]
    Runtime(#[source] io::Error),
    /// No such host.
    #[error("host {0} is not in this network")]
    UnknownHost(HostLabel),
    /// A job that was not launched.
    #[error("job has no id and host yet: it was not launched")]
    NotLaunched,
    /// A manager's run is open on this network.
    #[error("a manager uses this network: jobs are launched through it")]
    Managed,
    /// A host that could not be reached.
    #[error("host {host}: {reason}")]
    Host {
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
    },
    /// A job that could not be started.
    #[error("host {host} cannot start the job: {reason}")]
    Launch {
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
    },
    /// An output that could not be read.
    #[error("output of {id} on {host}: {reason}")]
    Output {
        /// The job.
        id: JobId,
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
    },
    /// What was read could not be passed on.
    #[error("cannot write output: {0}")]
    Copy(#[source] io::Error),
    /// Files that jobs need.
    #[error("{}", list(.0))]
    Inputs(Vec<InputError>),
    /// A specification that can't be launched.
    #[error(transparent)]
    Spec(#[from] gjob_core::spec::SpecError),
    /// The directory of the run that jobs launched by hand belong to.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
}

fn list(errors: &[InputError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
