//! A network used by itself, as the seed's is: launch one job on one host,
//! ask for states and outputs. The jobs so launched belong to a run of their
//! own that no manager has.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob_core::scheduler::HostIx;
use gjob_core::wire::{Stream, ToAgent};
use gjob_core::{Epoch, HostLabel, Job, JobId, Key, Record, State};

use super::open::{Open, Use};
use super::{Network, NetworkError, Report};
use crate::inputs::Inputs;
use crate::store::{StateDir, now};

/// How long a host may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at an output that doesn't grow.
const FOLLOW_PAUSE: Duration = Duration::from_millis(300);

/// Most jobs in one question about states.
const STATUS_BATCH: usize = 4096;

/// What a host is to be reached for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To look at what is there.
    Look,
    /// To launch jobs.
    Launch,
}

impl Network {
    /// Starts a job on a host and returns the id that it got there (the seed's
    /// `LaunchJob`). The job's commands run as one bash script, detached: it
    /// goes on whatever becomes of this process. The job's `id` and `host` are
    /// set.
    ///
    /// # Errors
    /// When the host can't be reached or can't start it, a file of the job
    /// can't be read, or a manager uses the network.
    pub fn launch_job(&mut self, job: &mut Job, host: &HostLabel) -> Result<JobId, NetworkError> {
        if let Some(error) = job.spec.check().into_iter().next() {
            return Err(error.into());
        }
        let inputs = Inputs::hash([&*job.spec]).map_err(NetworkError::Inputs)?;
        let at = self.reach(host, Purpose::Launch)?;
        let open = self.open.as_mut().ok_or(NetworkError::NoHosts)?;
        let key = Key::new(self.next_index, 1);
        self.next_index += 1;
        open.add_inputs(inputs);
        open.launch(at, key, &job.spec);
        let id = self.await_start(at, key, host)?;
        let index = job.index;
        *job = Job::launched(Arc::clone(&job.spec), key, host.clone(), id.clone());
        job.index = index;
        Ok(id)
    }

    /// The state of each of `jobs`, from their directories on their hosts
    /// (the seed's `GetJobStatus`). A job that was not launched is `free`; one
    /// whose host can't be asked is `unknown`.
    ///
    /// # Errors
    /// When the network can't be opened.
    pub fn get_job_status(&mut self, jobs: &[Job]) -> Result<Vec<State>, NetworkError> {
        let mut states = vec![State::Free; jobs.len()];
        for host in self.get_hosts() {
            let of_host = |job: &Job| job.id().is_some() && job.host() == Some(&host);
            let places: Vec<usize> = (0..jobs.len()).filter(|at| of_host(&jobs[*at])).collect();
            for batch in places.chunks(STATUS_BATCH) {
                let ids = batch.iter().filter_map(|at| jobs[*at].id().cloned()).collect();
                let answer = self.ask_states(&host, ids)?;
                for (nth, at) in batch.iter().enumerate() {
                    states[*at] = answer.get(nth).copied().unwrap_or(State::Unknown);
                }
            }
        }
        Ok(states)
    }

    /// What a job has written to its standard output so far (the seed's
    /// `GetStdout`).
    ///
    /// # Errors
    /// When the job was not launched, or its host can't be asked.
    pub fn get_stdout(&mut self, job: &Job) -> Result<Vec<u8>, NetworkError> {
        self.get_output(job, Stream::Stdout, 0)
    }

    /// What a job has written to its standard error so far (the seed's
    /// `GetStderr`).
    ///
    /// # Errors
    /// When the job was not launched, or its host can't be asked.
    pub fn get_stderr(&mut self, job: &Job) -> Result<Vec<u8>, NetworkError> {
        self.get_output(job, Stream::Stderr, 0)
    }

    /// Copies what a job has written, and goes on as it writes more, until it
    /// has ended.
    ///
    /// # Errors
    /// When the job was not launched, its host can't be asked, or `to` fails.
    pub fn follow_output(
        &mut self,
        job: &Job,
        stream: Stream,
        to: &mut dyn Write,
    ) -> Result<(), NetworkError> {
        let mut from = 0;
        loop {
            // The state first: what was written before a job's end is then here.
            let ended = self.get_job_status(std::slice::from_ref(job))? != [State::Busy];
            let bytes = self.get_output(job, stream, from)?;
            from += bytes.len() as u64;
            to.write_all(&bytes).and_then(|()| to.flush()).map_err(NetworkError::Copy)?;
            if ended {
                return Ok(());
            }
            if bytes.is_empty() {
                std::thread::sleep(FOLLOW_PAUSE);
            }
        }
    }

    fn get_output(
        &mut self,
        job: &Job,
        stream: Stream,
        from: u64,
    ) -> Result<Vec<u8>, NetworkError> {
        let (Some(id), Some(host)) = (job.id(), job.host()) else {
            return Err(NetworkError::NotLaunched);
        };
        let at = self.reach(host, Purpose::Look)?;
        self.fetch(at, id.clone(), stream, from);
        let fail = |reason| NetworkError::Output { id: id.clone(), host: host.clone(), reason };
        let fetched = self.wait_for(at, host, |report| match report {
            Report::Fetched(fetched) if fetched.id == *id && fetched.stream == stream => {
                Ok(fetched.output)
            }
            other => Err(other),
        })?;
        let mut bytes = Vec::new();
        let mut output = fetched.map_err(&fail)?;
        output.read_to_end(&mut bytes).map_err(|e| fail(e.to_string()))?;
        Ok(bytes)
    }

    fn ask_states(
        &mut self,
        host: &HostLabel,
        ids: Vec<JobId>,
    ) -> Result<Vec<State>, NetworkError> {
        let count = ids.len();
        let at = match self.reach(host, Purpose::Look) {
            Err(NetworkError::Host { .. }) => return Ok(vec![State::Unknown; count]),
            other => other?,
        };
        let request = self.number_request();
        self.send(at, ToAgent::Status { request, ids });
        let answer = self.wait_for(at, host, |report| match report {
            Report::Statuses { request: answered, states } if answered == request => Ok(states),
            other => Err(other),
        });
        match answer {
            Err(NetworkError::Host { .. }) => Ok(vec![State::Unknown; count]),
            other => other,
        }
    }

    /// Waits until the host has started an attempt, or has refused it.
    fn await_start(
        &mut self,
        at: HostIx,
        key: Key,
        host: &HostLabel,
    ) -> Result<JobId, NetworkError> {
        let fate = |record: &Record| match record {
            Record::Started { key: k, id, .. } if *k == key => Some(Ok(id.clone())),
            Record::Refused { key: k, reason, .. } if *k == key => Some(Err(reason.shown().into())),
            _ => None,
        };
        let started = self.wait_for(at, host, |report| match report {
            Report::Records { records, end } => {
                records.iter().find_map(fate).ok_or(Report::Records { records, end })
            }
            Report::NotSent(record) => fate(&record).ok_or(Report::NotSent(record)),
            other => Err(other),
        })?;
        started.map_err(|reason| NetworkError::Launch { host: host.clone(), reason })
    }

    /// The position of a host that answers; opens the network if need be.
    fn reach(&mut self, host: &HostLabel, purpose: Purpose) -> Result<HostIx, NetworkError> {
        let at = self.position(host).ok_or_else(|| NetworkError::UnknownHost(host.clone()))?;
        let fits = match (&self.open, purpose) {
            (None, _) => false,
            (Some(_), Purpose::Look) => true,
            (Some(open), Purpose::Launch) if open.purpose == Use::Managed => {
                return Err(NetworkError::Managed);
            }
            (Some(open), Purpose::Launch) => open.purpose == Use::Direct,
        };
        if !fits {
            self.close();
            self.open = Some(self.open_for(purpose)?);
        }
        if !self.open.as_ref().is_some_and(|open| open.is_up(at)) {
            self.wait_for(at, host, |report| match report {
                Report::Up(_) => Ok(()),
                other => Err(other),
            })?;
        }
        Ok(at)
    }

    fn open_for(&self, purpose: Purpose) -> Result<Open, NetworkError> {
        match purpose {
            Purpose::Look => Open::to_look(self),
            Purpose::Launch => {
                let dir = StateDir::from_env()?.create_run(now())?;
                let run = dir.run().identified(fastrand::u64(..));
                Open::new(self, Use::Direct, Some(&run), Epoch(1), &[], Inputs::default(), None)
            }
        }
    }

    /// Waits for a report of a host that `take` wants; the others are kept for
    /// later.
    fn wait_for<T>(
        &mut self,
        at: HostIx,
        host: &HostLabel,
        mut take: impl FnMut(Report) -> Result<T, Report>,
    ) -> Result<T, NetworkError> {
        let open = self.open.as_mut().ok_or(NetworkError::NoHosts)?;
        let mut deadline = Instant::now() + PATIENCE;
        let mut last = "no answer".to_owned();
        let mut kept = Vec::new();
        let taken = loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break None;
            }
            let Some((from, report)) = open.next(Some(wait)) else { continue };
            if from != at {
                kept.push((from, report));
                continue;
            }
            match report {
                Report::Down { reason } => last = reason,
                Report::Staging { .. } => deadline = Instant::now() + PATIENCE,
                Report::Failed { reason } => {
                    last.clone_from(&reason);
                    break None;
                }
                other => match take(other) {
                    Ok(taken) => break Some(taken),
                    Err(other) => kept.push((from, other)),
                },
            }
        };
        open.put_back(kept);
        taken.ok_or_else(|| NetworkError::Host { host: host.clone(), reason: last })
    }
}
