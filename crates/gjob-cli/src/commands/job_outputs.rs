//! What jobs have printed so far: from what was fetched of them, or from their hosts.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use gjob::Network;
use gjob::network::{Followed, Following, NetworkError, Printed, Wanted};
use gjob::settings::RunSettings;
use gjob::store::RunDir;
use gjob_core::jobdir::OwnFile;
use gjob_core::run::TaskAttempt;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::Stream;
use gjob_core::{HostLabel, Job, RunId};

pub(crate) struct JobOutputs {
    run: RunId,
    settings: RunSettings,
    network: Network,
    /// What is read instead of a job's output.
    task: Option<(RunDir, TaskAttempt)>,
}

impl JobOutputs {
    /// The outputs of the jobs of a run.
    pub(crate) fn of(run: &RunId, settings: RunSettings) -> Result<Self, NetworkError> {
        let network = Network::from_settings(&settings)?;
        Ok(JobOutputs { run: run.clone(), settings, network, task: None })
    }

    /// The same for the one execution of a host's task.
    pub(crate) fn with_task(self, dir: &RunDir, attempt: TaskAttempt) -> Self {
        JobOutputs { task: Some((dir.clone(), attempt)), ..self }
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

    /// Asks a host what some of its jobs have printed, unless it is being asked.
    ///
    /// # Errors
    /// When the host is none of the run's, or the network can't be opened.
    pub(crate) fn ask(
        &mut self,
        following: &mut Following,
        host: &HostLabel,
        jobs: Vec<Wanted>,
    ) -> Result<(), NetworkError> {
        let position = self.network.position(host);
        let at = position.ok_or_else(|| NetworkError::UnknownHost(host.clone()))?;
        if following.is_asked(at) {
            return Ok(());
        }
        self.network.ask_printed(following, at, jobs)
    }

    /// What a host has answered, or why it can't be asked; none if no answer comes for so
    /// long.
    ///
    /// # Errors
    /// When the network can't be opened.
    #[expect(clippy::type_complexity, reason = "as the network has it, by the host's name")]
    pub(crate) fn next_answer(
        &mut self,
        following: &mut Following,
        wait: Duration,
    ) -> Result<Option<(HostLabel, Result<Vec<Printed>, String>)>, NetworkError> {
        let next = self.network.next_printed(following, wait)?;
        let label = |at: HostIx| self.network.hosts()[at.at()].label().clone();
        Ok(next.map(|(at, answer)| (label(at), answer)))
    }

    /// Connects to all hosts anew when they are asked next: a host that could not be
    /// asked for long is given up otherwise.
    ///
    /// # Errors
    /// When the settings are invalid.
    pub(crate) fn reopen(&mut self) -> Result<(), NetworkError> {
        self.network = Network::from_settings(&self.settings)?;
        Ok(())
    }

    /// Where `--results` has put a stream of a job that has ended, or the manager one of a
    /// task.
    fn fetched(&self, job: &Job, stream: Stream) -> Option<PathBuf> {
        if let Some((dir, attempt)) = &self.task {
            return Some(dir.task_log(attempt, stream)).filter(|_| !attempt.is_under_way());
        }
        let outputs = &self.settings.outputs;
        if !outputs.results || !job.has_ended() {
            return None;
        }
        let file = match stream {
            Stream::Stdout => OwnFile::Stdout,
            Stream::Stderr => OwnFile::Stderr,
        };
        let dir = outputs.dir(&self.run).join(outputs.job_dir_name(job.name(), job.index));
        Some(dir.join(file.name()))
    }
}
