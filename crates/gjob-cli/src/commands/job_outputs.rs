//! What jobs have printed so far: from what was fetched of them, or from their hosts.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use gjob::Network;
use gjob::network::{Followed, NetworkError};
use gjob::outputs::job_dir_name;
use gjob::settings::RunSettings;
use gjob_core::jobdir::OwnFile;
use gjob_core::wire::Stream;
use gjob_core::{Job, RunId};

pub(crate) struct JobOutputs {
    run: RunId,
    settings: RunSettings,
    network: Network,
}

impl JobOutputs {
    /// The outputs of the jobs of a run.
    pub(crate) fn of(run: &RunId, settings: RunSettings) -> Result<Self, NetworkError> {
        let network = Network::from_settings(&settings)?;
        Ok(JobOutputs { run: run.clone(), settings, network })
    }

    /// Copies all that a job has written to a stream. Returns the number of bytes.
    pub(crate) fn copy(
        &mut self,
        job: &Job,
        stream: Stream,
        to: &mut dyn Write,
    ) -> anyhow::Result<u64> {
        if let Some(mut file) = self.fetched(job, stream).and_then(|path| File::open(path).ok()) {
            return Ok(io::copy(&mut file, to)?);
        }
        Ok(self.network.copy_output(job, stream, to)?)
    }

    /// Copies what a job writes until it has ended.
    pub(crate) fn follow(
        &mut self,
        job: &Job,
        streams: &mut [Followed<'_>],
    ) -> Result<(), NetworkError> {
        self.network.follow_outputs(job, streams)
    }

    /// Where `--results` has put a stream of a job that has ended.
    fn fetched(&self, job: &Job, stream: Stream) -> Option<PathBuf> {
        let outputs = &self.settings.outputs;
        if !outputs.results || !job.has_ended() {
            return None;
        }
        let file = match stream {
            Stream::Stdout => OwnFile::Stdout,
            Stream::Stderr => OwnFile::Stderr,
        };
        let dir = outputs.dir(&self.run).join(job_dir_name(job.name(), job.index));
        Some(dir.join(file.name()))
    }
}
