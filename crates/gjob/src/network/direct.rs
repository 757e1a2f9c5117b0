//! A network used by itself, as the seed's is: launch one job on one host,
//! ask for states and outputs. The jobs so launched belong to a run of their
//! own that no manager has.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob_core::from_job::FromJob;
use gjob_core::scheduler::HostIx;
use gjob_core::spec::SpecError;
use gjob_core::wire::{ByHand, ByHandAnswer, Stream};
use gjob_core::{Epoch, HostLabel, Job, JobId, JobSpec, Key, Record, State};

use super::open::{Open, Use};
use super::{LaunchAt, Network, NetworkError, READ_ONLY_TIMEOUT, Report};
use crate::inputs::Inputs;
use crate::link::{Piece, QueryStates, ReadOutput, Unreachable, WorkByHand};
use crate::store::{StateDir, now};

/// Between two looks at an output that does not grow.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);

/// A stream of a job that is followed.
pub struct Followed<'a> {
    /// Which.
    pub stream: Stream,
    /// The byte to begin with; then the next one to come.
    pub from: u64,
    /// Where it goes.
    pub to: &'a mut dyn Write,
}

/// Most jobs in one question about states.
const STATUS_BATCH: usize = 4096;

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
        // There are no others whose outputs it could have.
        for entry in FromJob::all_of(&job.spec) {
            entry.producers(&[] as &[JobSpec], &HashMap::new()).map_err(SpecError::FromJob)?;
        }
        let inputs = Inputs::hash([&*job.spec]).map_err(NetworkError::Inputs)?;
        let at = self.find(host)?;
        let key = Key::new(self.next_index, 1);
        let open = self.open_to_launch()?;
        open.add_inputs(inputs);
        let link = open.link(at);
        open.block_on(link.up(Some(READ_ONLY_TIMEOUT)))
            .map_err(|error| unreachable(host, error))?;
        open.launch(at, key, &job.spec, LaunchAt::default());
        self.next_index += 1;
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
        let mut places: BTreeMap<HostIx, Vec<usize>> = BTreeMap::new();
        for (at, job) in jobs.iter().enumerate().filter(|(_, job)| job.id().is_some()) {
            let host = job.host().and_then(|host| self.position(host));
            host.into_iter().for_each(|host| places.entry(host).or_default().push(at));
        }
        let ids = |batch: &[usize]| batch.iter().filter_map(|at| jobs[*at].id().cloned()).collect();
        let requests = places.iter().map(|(host, places)| {
            let batches = places.chunks(STATUS_BATCH).map(|batch| QueryStates { ids: ids(batch) });
            (*host, batches.collect())
        });
        let answers = self.ask_hosts(requests.collect())?;
        for (host, places) in &places {
            let answer = answers.get(host).and_then(|answer| answer.as_ref().ok());
            for (nth, batch) in places.chunks(STATUS_BATCH).enumerate() {
                let told = answer.and_then(|batches| batches.get(nth));
                for (nth, at) in batch.iter().enumerate() {
                    let state = told.and_then(|states| states.get(nth));
                    states[*at] = state.copied().unwrap_or(State::Unknown);
                }
            }
        }
        Ok(states)
    }

    /// Does something with the directories of jobs on one host, whatever runs they are
    /// of: one after the other. Returns what was found or done, or why it was not.
    ///
    /// # Errors
    /// When the network can't be opened, or the host is none of its hosts.
    pub fn work_by_hand(
        &mut self,
        host: &HostLabel,
        ids: &[JobId],
        work: ByHand,
    ) -> Result<Vec<Result<ByHandAnswer, String>>, NetworkError> {
        let at = self.find(host)?;
        let requests = ids.iter().map(|id| WorkByHand { id: id.clone(), work }).collect();
        let answer = self.ask_hosts(vec![(at, requests)])?.remove(&at);
        let answers = answer.unwrap_or_else(|| Ok(Vec::new()));
        let answers =
            answers.map_err(|reason| NetworkError::Host { host: host.clone(), reason })?;
        Ok(answers.into_iter().map(|answer| answer.map_err(String::from)).collect())
    }

    /// What a job has written to its standard output so far (the seed's
    /// `GetStdout`).
    ///
    /// # Errors
    /// When the job was not launched, or its host can't be asked.
    pub fn get_stdout(&mut self, job: &Job) -> Result<Vec<u8>, NetworkError> {
        let mut output = Vec::new();
        self.copy_output(job, Stream::Stdout, &mut output)?;
        Ok(output)
    }

    /// What a job has written to its standard error so far (the seed's
    /// `GetStderr`).
    ///
    /// # Errors
    /// When the job was not launched, or its host can't be asked.
    pub fn get_stderr(&mut self, job: &Job) -> Result<Vec<u8>, NetworkError> {
        let mut output = Vec::new();
        self.copy_output(job, Stream::Stderr, &mut output)?;
        Ok(output)
    }

    /// Copies what a job has written so far, piece by piece, whatever its size.
    /// Returns the number of bytes.
    ///
    /// # Errors
    /// When the job was not launched, its host can't be asked, or `to` fails.
    pub fn copy_output(
        &mut self,
        job: &Job,
        stream: Stream,
        to: &mut dyn Write,
    ) -> Result<u64, NetworkError> {
        self.copy_from(job, stream, 0, to)
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
        self.follow_outputs(job, &mut [Followed { stream, from: 0, to }])
    }

    /// The same with several streams, each to a place of its own.
    ///
    /// # Errors
    /// As [`Network::follow_output`].
    pub fn follow_outputs(
        &mut self,
        job: &Job,
        streams: &mut [Followed<'_>],
    ) -> Result<(), NetworkError> {
        loop {
            // The state first: what was written before a job's end is then here.
            let ended = self.get_job_status(std::slice::from_ref(job))? != [State::Busy];
            let mut has_grown = false;
            for Followed { stream, from, to } in &mut *streams {
                let more = self.copy_from(job, *stream, *from, *to)?;
                *from += more;
                has_grown |= more > 0;
            }
            if ended {
                return Ok(());
            }
            if !has_grown {
                std::thread::sleep(FOLLOW_INTERVAL);
            }
        }
    }

    /// Copies an output from a byte on, up to its length when the first piece was
    /// read. Returns the number of bytes.
    fn copy_from(
        &mut self,
        job: &Job,
        stream: Stream,
        from: u64,
        to: &mut dyn Write,
    ) -> Result<u64, NetworkError> {
        let (mut offset, mut end) = (from, None);
        while end.is_none_or(|end| offset < end) {
            let most = end.map_or(u64::MAX, |end| end - offset);
            let Piece { bytes, size } = self.read_piece(job, stream, offset, most)?;
            if bytes.is_empty() {
                break;
            }
            end = end.or(Some(size));
            offset += bytes.len() as u64;
            to.write_all(&bytes).map_err(NetworkError::Copy)?;
        }
        to.flush().map_err(NetworkError::Copy)?;
        Ok(offset - from)
    }

    /// One piece of an output, over whatever connection there is.
    fn read_piece(
        &mut self,
        job: &Job,
        stream: Stream,
        offset: u64,
        most: u64,
    ) -> Result<Piece, NetworkError> {
        let (Some(id), Some(host)) = (job.id(), job.host()) else {
            return Err(NetworkError::NotLaunched);
        };
        let at = self.find(host)?;
        let open = self.open_to_ask()?;
        let link = open.link(at);
        let read = ReadOutput { id: id.clone(), stream, offset, most };
        let answer = open.block_on(async {
            loop {
                link.up(Some(READ_ONLY_TIMEOUT)).await?;
                // An error says that the connection ended.
                if let Ok(answer) = link.call(&read).await {
                    return Ok(answer);
                }
            }
        });
        let fail = |reason| NetworkError::Output { id: id.clone(), host: host.clone(), reason };
        let answer = answer.map_err(|error| unreachable(host, error))?;
        answer.map_err(|reason| fail(reason.into()))
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
            Report::Records { records, end, skipped } => {
                records.iter().find_map(fate).ok_or(Report::Records { records, end, skipped })
            }
            Report::Recorded(record) => fate(&record).ok_or(Report::Recorded(record)),
            Report::Unsent(record) => fate(&record).ok_or(Report::Unsent(record)),
            other => Err(other),
        })?;
        started.map_err(|reason| NetworkError::Launch { host: host.clone(), reason })
    }

    fn find(&self, host: &HostLabel) -> Result<HostIx, NetworkError> {
        self.position(host).ok_or_else(|| NetworkError::UnknownHost(host.clone()))
    }

    /// The network opened to launch jobs in a run of its own.
    fn open_to_launch(&mut self) -> Result<&mut Open, NetworkError> {
        let open = match self.open.take() {
            Some(open) if open.purpose == Use::Direct => open,
            Some(open) if open.purpose == Use::Managed => {
                self.open = Some(open);
                return Err(NetworkError::Managed);
            }
            other => {
                self.open = other;
                self.close();
                let dir = StateDir::from_env()?.create_run(now())?;
                let run = dir.run().identified(fastrand::u64(..));
                // Hosts know it by its identity; nothing is recorded of it here.
                dir.discard();
                Open::new(self, Use::Direct, Some(&run), Epoch(1), &[], Inputs::default())?
            }
        };
        Ok(self.open.insert(open))
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
        let mut deadline = Instant::now() + READ_ONLY_TIMEOUT;
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
                Report::Down { reason } | Report::Slow { reason } => last = reason,
                Report::Staging { .. } | Report::Uploading { .. } | Report::Connecting(_) => {
                    deadline = Instant::now() + READ_ONLY_TIMEOUT;
                }
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

fn unreachable(host: &HostLabel, error: Unreachable) -> NetworkError {
    NetworkError::Host { host: host.clone(), reason: error.reason }
}
