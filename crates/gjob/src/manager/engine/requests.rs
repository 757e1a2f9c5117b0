//! What other processes ask of the engine: done between two batches of
//! reports, answered when it is committed and has come about.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gjob_core::State;
use gjob_core::scheduler::HostIx;

use super::Engine;
use crate::manager::control::{Act, Answer, ClientId, Counts, HostSnapshot, Request, Snapshot};
use crate::manager::{Handler, ManagerError};

/// How long jobs are waited for that are to be gone.
const KILL_TIME: Duration = Duration::from_secs(60);

/// The same, when their hosts can't be asked.
const OUT_OF_REACH: Duration = Duration::from_secs(10);

/// Requests served at once.
const REQUESTS: usize = 256;

/// A request under way.
#[derive(Debug)]
pub(in crate::manager) struct Acting {
    pub(in crate::manager) answer: Answer,
    /// Jobs that are to be gone.
    awaited: BTreeSet<u32>,
    /// Jobs whose hosts are told to stop them or to let them go on.
    told: BTreeSet<u32>,
    /// What shows that those hosts have heard it; none before it was sent.
    echoes: Option<BTreeSet<(HostIx, u32)>>,
    since: Instant,
}

/// Who waits for what.
#[derive(Debug)]
pub(super) struct Waiter {
    client: ClientId,
    acting: Acting,
}

impl Engine {
    /// Does what other processes ask for.
    pub(super) fn heed_requests(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        for _ in 0..REQUESTS {
            let Some((client, request)) = self.control.next() else { return Ok(()) };
            // Whether the run is over is known when all is settled.
            self.settle(handler)?;
            self.heed(client, request);
        }
        Ok(())
    }

    fn heed(&mut self, client: ClientId, request: Request) {
        let (act, jobs) = match request {
            Request::Watch {} => return self.control.watch(client, &self.snapshot()),
            Request::Interrupt {} => {
                self.scheduler.handle_interrupt(self.now());
                return self.control.answer(client, &Answer::default());
            }
            Request::Kill { jobs } => (Act::Kill, jobs),
            Request::Pause { jobs } => (Act::Pause, jobs),
            Request::Resume { jobs } => (Act::Resume, jobs),
            Request::Retry { jobs } => (Act::Retry, jobs),
        };
        if self.stopped.is_some() {
            return self.control.dismiss(client);
        }
        let acting = self.begin_to(act, &jobs);
        self.waiters.push(Waiter { client, acting });
    }

    /// Answers those whose request has come about; all is committed.
    pub(super) fn answer_requests(&mut self) {
        for mut waiter in std::mem::take(&mut self.waiters) {
            if self.has_come_about(&mut waiter.acting, OUT_OF_REACH) {
                self.control.answer(waiter.client, &waiter.acting.answer);
            } else if self.stopped.is_some() {
                self.control.dismiss(waiter.client);
            } else {
                self.waiters.push(waiter);
            }
        }
    }

    /// When a request has waited for long enough.
    pub(super) fn requests_due(&self) -> Option<Duration> {
        (!self.waiters.is_empty()).then_some(Duration::from_secs(1))
    }

    /// Tells the scheduler what is wanted of jobs: of all of them at once.
    pub(in crate::manager) fn begin_to(&mut self, act: Act, jobs: &[u32]) -> Acting {
        let mut acting = Acting {
            answer: Answer::default(),
            awaited: BTreeSet::new(),
            told: BTreeSet::new(),
            echoes: None,
            since: Instant::now(),
        };
        for index in jobs {
            match self.act_on(act, *index) {
                Err(why) => acting.answer.refuse(*index, why),
                Ok(()) if act == Act::Kill => drop(acting.awaited.insert(*index)),
                Ok(()) if act != Act::Retry && self.jobs[*index].state == State::Busy => {
                    acting.told.insert(*index);
                }
                Ok(()) => acting.answer.ok.push(*index),
            }
        }
        self.scheduler.settle(self.now());
        acting
    }

    fn act_on(&mut self, act: Act, index: u32) -> Result<(), String> {
        let Some(job) = self.jobs.all().get(index as usize) else {
            return Err("the run has no such job".into());
        };
        let (state, name) = (job.state, job.host.clone());
        let away = state == State::Busy && !self.host_answers(index);
        let host = name.map(|host| format!("host {host}")).unwrap_or_default();
        match act {
            Act::Kill => self
                .scheduler
                .handle_kill(index)
                .then_some(())
                .ok_or_else(|| format!("it has its outcome already: {state}")),
            Act::Pause if self.scheduler.handle_pause(index) => match away {
                true => Err(format!("{host} can't be asked now: it is stopped as soon as it can")),
                false => Ok(()),
            },
            Act::Pause if self.jobs.has_outcome(index) => {
                Err(format!("it has its outcome already: {state}"))
            }
            Act::Pause => Err("it is paused already".into()),
            Act::Resume if away => Err(format!("{host} can't be asked now: it stays as it is")),
            Act::Resume if self.scheduler.handle_resume(index) => Ok(()),
            Act::Resume => Err("it is not paused".into()),
            Act::Retry => self.retry(index),
        }
    }

    fn retry(&mut self, index: u32) -> Result<(), String> {
        let job = &self.jobs[index];
        match job.state {
            State::Done => return Err("it is done".into()),
            State::Free | State::Busy => return Err("it has no outcome yet".into()),
            State::Error | State::Unknown => {}
        }
        match self.scheduler.handle_retry(index) {
            true => Ok(()),
            false => Err("it has no outcome yet".into()),
        }
    }

    /// True when the host that a job was given to can be asked now.
    pub(in crate::manager) fn host_answers(&self, index: u32) -> bool {
        let state = self.host_of(index).and_then(|host| self.scheduler.host_state(host));
        matches!(state, Some(State::Free | State::Busy))
    }

    /// True when a job's host does not answer and still may.
    pub(in crate::manager) fn host_is_awaited(&self, index: u32) -> bool {
        let busy = self.jobs.all().get(index as usize).is_some_and(|job| job.state == State::Busy);
        let state = self.host_of(index).and_then(|host| self.scheduler.host_state(host));
        busy && state == Some(State::Unknown)
    }

    /// The host that a job was given to.
    fn host_of(&self, index: u32) -> Option<HostIx> {
        let job = self.jobs.all().get(index as usize)?;
        self.network.position(job.host.as_ref()?)
    }

    /// True once nothing more is to be waited for, at the latest when hosts
    /// have been out of reach for so long.
    pub(in crate::manager) fn has_come_about(
        &mut self,
        acting: &mut Acting,
        out_of_reach: Duration,
    ) -> bool {
        self.await_echoes(acting);
        let answer = &mut acting.answer;
        acting.awaited.retain(|index| match self.jobs[*index].state {
            State::Free | State::Busy => true,
            State::Error | State::Unknown => {
                answer.ok.push(*index);
                false
            }
            State::Done => {
                answer.refuse(*index, "it was done before it could be ended");
                false
            }
        });
        let waited = acting.since.elapsed();
        let mut left = acting.awaited.iter().chain(&acting.told);
        let mut hopeless = || left.all(|index| !self.host_answers(*index));
        let gives_up = waited >= KILL_TIME || (waited >= out_of_reach && hopeless());
        if gives_up {
            self.name_the_rest(acting);
        }
        acting.awaited.is_empty() && acting.told.is_empty()
    }

    /// Asks the hosts of jobs that were told something for an echo, and takes
    /// those jobs as done whose host has sent it.
    fn await_echoes(&mut self, acting: &mut Acting) {
        if acting.told.is_empty() {
            return;
        }
        let echoes = acting.echoes.get_or_insert_with(|| {
            let hosts: BTreeSet<HostIx> =
                acting.told.iter().filter_map(|index| self.host_of(*index)).collect();
            let asked: BTreeSet<(HostIx, u32)> =
                hosts.into_iter().map(|host| (host, self.network.ask_echo(host))).collect();
            self.echoes.extend(&asked);
            asked
        });
        echoes.retain(|echo| self.echoes.contains(echo));
        let silent: BTreeSet<HostIx> = echoes.iter().map(|(host, _)| *host).collect();
        let heard = |index: &u32| self.host_of(*index).is_none_or(|host| !silent.contains(&host));
        let (heard, left): (BTreeSet<u32>, _) =
            std::mem::take(&mut acting.told).into_iter().partition(heard);
        acting.told = left;
        acting.answer.ok.extend(heard);
    }

    /// Those that are not gone, with the reason so far as it is known.
    pub(in crate::manager) fn name_the_rest(&mut self, acting: &mut Acting) {
        for index in std::mem::take(&mut acting.awaited) {
            let host = self.jobs[index].host.as_ref().map(ToString::to_string).unwrap_or_default();
            let why = match self.host_answers(index) {
                true => format!("host {host} has not ended it yet"),
                false if self.acts_alone => format!("host {host} can't be reached: it may run on"),
                false => format!("host {host} can't be asked now: it is ended as soon as it can"),
            };
            acting.answer.refuse(index, why);
        }
        for index in std::mem::take(&mut acting.told) {
            let host = self.jobs[index].host.as_ref().map(ToString::to_string).unwrap_or_default();
            acting.answer.refuse(index, format!("host {host} has not said that it has heard it"));
        }
        for echo in acting.echoes.take().into_iter().flatten() {
            self.echoes.remove(&echo);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let tally = self.scheduler.tally();
        let host = |(at, label): (u32, &gjob_core::HostLabel)| HostSnapshot {
            host: label.clone(),
            state: self.scheduler.host_state(HostIx(at)).unwrap_or(State::Unknown),
        };
        Snapshot {
            counts: Counts {
                free: tally.free,
                busy: tally.busy,
                done: tally.done,
                unknown: tally.unknown,
                error: tally.error,
            },
            hosts: (0..).zip(&self.labels).map(host).collect(),
            ended: self.stopped.map(|(end, _)| end),
        }
    }
}
