//! Long work that the manager asks for: sending outputs, removing job directories,
//! forgetting runs, working on job directories by hand. Requests of one kind are served one after the other.

use std::collections::HashMap;
use std::time::Duration;

use gjob_core::wire::{FromAgent, ToAgent};

use super::background::{Background, CancelToken, Kind, Report, Reporter, TaskHandle};
use super::by_hand::by_hand;
use super::collect::{CollectRequest, collect};
use super::describe::describe;
use super::disk_usage::disk_usage;
use super::error::{AgentError, check_count};
use super::forget::forget;
use super::link::Link;
use super::probe::{end_probe, start_probe};
use super::purge::purge;
use super::remove::{RemoveRequest, remove};
use crate::jobdir::Layout;

/// The most requests that wait to be served.
const MAX_REQUESTS: usize = 100_000;

/// The requests that were not answered yet.
#[derive(Debug)]
pub(super) struct Tasks {
    layout: Layout,
    /// Those for outputs.
    collects: HashMap<u32, TaskHandle>,
    /// How many others.
    cleanups: usize,
}

impl Tasks {
    /// No request yet.
    pub(super) fn new(layout: Layout) -> Self {
        Tasks { layout, collects: HashMap::new(), cleanups: 0 }
    }

    /// Takes a request for long work; gives back any other message.
    pub(super) fn submit(
        &mut self,
        message: ToAgent,
        background: &mut Background,
    ) -> Result<Option<ToAgent>, AgentError> {
        if self.collects.len() + self.cleanups >= MAX_REQUESTS {
            return Err(AgentError::Protocol("too many requests wait to be served"));
        }
        let layout = self.layout.clone();
        match message {
            ToAgent::Collect { request, id, patterns, all, resume } => {
                check_count(patterns.len())?;
                let (handle, token) = TaskHandle::new();
                self.collects.insert(request, handle);
                let wanted = CollectRequest { id, patterns, all, resume };
                background.submit(Kind::Outputs, move |reporter| {
                    collect(&layout, wanted, &Outlet { request, token, reporter });
                })?;
            }
            ToAgent::CollectStop { request } => drop(self.collects.remove(&request)),
            ToAgent::Remove { request, run, host, jobs } => {
                check_count(jobs.len())?;
                self.cleanups += 1;
                background.submit(Kind::Cleanup, move |reporter| {
                    let (gone, kept) = remove(&layout, RemoveRequest { run, host, jobs });
                    let answer = FromAgent::Removed { request, gone, kept };
                    reporter.send(Report::Answer(answer));
                })?;
            }
            ToAgent::Forget { request, run, host } => {
                self.cleanups += 1;
                background.submit(Kind::Cleanup, move |reporter| {
                    let result = forget(&layout, &layout.run_dir(&run, &host));
                    reporter.send(Report::Answer(FromAgent::Forgotten { request, result }));
                })?;
            }
            ToAgent::Purge { request, runs } => {
                check_count(runs.len())?;
                self.cleanups += 1;
                background.submit(Kind::Cleanup, move |reporter| {
                    let kept = purge(&layout, runs);
                    reporter.send(Report::Answer(FromAgent::Purged { request, kept }));
                })?;
            }
            ToAgent::ByHand { request, id, work } => {
                self.cleanups += 1;
                background.submit(Kind::ByHand, move |reporter| {
                    let result = by_hand(&layout, &id, work);
                    reporter.send(Report::Answer(FromAgent::ByHand { request, result }));
                })?;
            }
            ToAgent::Describe { request } => {
                self.cleanups += 1;
                // It looks at many files.
                background.submit(Kind::Cleanup, move |reporter| {
                    let description = Box::new(describe(&layout));
                    reporter.send(Report::Answer(FromAgent::Description { request, description }));
                })?;
            }
            ToAgent::Usage { request } => {
                self.cleanups += 1;
                background.submit(Kind::Cleanup, move |reporter| {
                    let usage = Box::new(disk_usage(&layout));
                    reporter.send(Report::Answer(FromAgent::Usage { request, usage }));
                })?;
            }
            ToAgent::StartProbe { request, seconds } => {
                self.cleanups += 1;
                background.submit(Kind::ByHand, move |reporter| {
                    let result = start_probe(&layout, Duration::from_secs(seconds.into()));
                    reporter.send(Report::Answer(FromAgent::ProbeStarted { request, result }));
                })?;
            }
            ToAgent::EndProbe { request, id } => {
                self.cleanups += 1;
                background.submit(Kind::ByHand, move |reporter| {
                    let result = end_probe(&layout, &id);
                    reporter.send(Report::Answer(FromAgent::ProbeEnded { request, result }));
                })?;
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Sends what a task has reported; gives back reports that are none of these.
    pub(super) fn answer(&mut self, report: Report, link: &mut Link) -> Option<Report> {
        match report {
            Report::Answer(answer) => {
                self.cleanups -= 1;
                link.send(&answer);
            }
            Report::Outputs { request, message, is_last } => {
                // A request that was stopped is not answered any more.
                if self.collects.contains_key(&request) {
                    link.send(&message);
                }
                if is_last {
                    self.collects.remove(&request);
                }
            }
            other => return Some(other),
        }
        None
    }
}

/// Where the answer to a request for outputs goes.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    /// The request.
    pub(super) request: u32,
    /// Tells that it was stopped.
    pub(super) token: CancelToken,
    reporter: &'a Reporter,
}

impl Outlet<'_> {
    /// Queues a message; waits for the link to take those before it.
    pub(super) fn send(&self, message: FromAgent) {
        self.reporter.send(Report::Outputs { request: self.request, message, is_last: false });
    }

    /// Queues the last one.
    pub(super) fn end(&self, message: FromAgent) {
        self.reporter.send(Report::Outputs { request: self.request, message, is_last: true });
    }
}
