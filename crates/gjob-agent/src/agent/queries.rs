//! Questions about jobs' directories, which need no run: what they wrote, and their
//! state. And an agent that has taken up no run and answers only these; it also
//! cleans up after runs that are over.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use gjob_core::jobdir::OwnFile;
use gjob_core::record::one_line;
use gjob_core::wire::{CHUNK, FromAgent, Stream, ToAgent};
use gjob_core::{JobId, State};
use rustix::event::{PollFd, PollFlags};

use super::background::Background;
use super::error::{AgentError, check_count};
use super::link::Link;
use super::tasks::Tasks;
use crate::host;
use crate::jobdir::{JobDir, Layout};
use crate::local;

/// Serves without a run until the manager leaves or the link ends.
pub(super) fn serve(layout: &Layout, link: &mut Link) -> Result<(), AgentError> {
    let mut tasks = Tasks::new(layout.clone());
    let mut background = Background::new()?;
    loop {
        while let Some(message) = link.next()? {
            match tasks.submit(message, &mut background)? {
                None => {}
                Some(ToAgent::Detach) => return Ok(()),
                Some(question) => {
                    let answer = answer(layout, question)?;
                    link.send(&answer);
                }
            }
        }
        while let Some(report) = background.next(link.has_room_for_outputs()) {
            // Without a run, there is nothing else to be reported.
            let _ = tasks.answer(report, link);
        }
        if link.flush().is_err() || link.is_over() {
            return Ok(());
        }
        let reports = background.pollable(link.has_room_for_outputs());
        let fds = reports.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        link.wait(fds, Duration::MAX)?;
    }
}

/// Answers a question that any attachment may ask.
pub(super) fn answer(layout: &Layout, question: ToAgent) -> Result<FromAgent, AgentError> {
    match question {
        ToAgent::Read { request, id, stream, offset, max } => {
            Ok(read(layout, request, &id, stream, offset, max))
        }
        ToAgent::Status { request, ids } => {
            check_count(ids.len())?;
            Ok(statuses(layout, request, &ids))
        }
        ToAgent::Ping { nonce, echo_ms: _ } => {
            let (at_ms, clock_ms) = (host::since_boot_ms(), host::now().0);
            Ok(FromAgent::Pong { nonce, at_ms, clock_ms })
        }
        ToAgent::Echo { request } => Ok(FromAgent::Echo { request }),
        ToAgent::Attach(_) => Err(AgentError::Protocol("attached a second time")),
        ToAgent::Launch(_)
        | ToAgent::Withdraw { .. }
        | ToAgent::Tell
        | ToAgent::HostCount { .. }
        | ToAgent::Order { .. }
        | ToAgent::AskBlobs { .. }
        | ToAgent::Blob { .. }
        | ToAgent::BlobData { .. }
        | ToAgent::BlobAbort
        | ToAgent::TakeBlob { .. } => {
            Err(AgentError::Protocol("no run was attached for this message"))
        }
        ToAgent::Collect { .. }
        | ToAgent::CollectStop { .. }
        | ToAgent::Remove { .. }
        | ToAgent::Forget { .. }
        | ToAgent::Purge { .. }
        | ToAgent::ByHand { .. }
        | ToAgent::Describe { .. }
        | ToAgent::Usage { .. }
        | ToAgent::StartProbe { .. }
        | ToAgent::EndProbe { .. }
        | ToAgent::Detach => Err(AgentError::Protocol("this message is no question")),
    }
}

/// Reads a part of a job's output.
fn read(
    layout: &Layout,
    request: u32,
    id: &JobId,
    stream: Stream,
    offset: u64,
    max: u32,
) -> FromAgent {
    match read_output(layout, id, stream, offset, max) {
        Ok((bytes, size)) => FromAgent::Data { request, bytes, size },
        Err(error) => FromAgent::ReadFailed {
            request,
            reason: one_line(&match error.kind() {
                io::ErrorKind::NotFound => format!("the output of job {id} was removed there"),
                _ => format!("read the output of job {id}: {error}"),
            }),
        },
    }
}

fn read_output(
    layout: &Layout,
    id: &JobId,
    stream: Stream,
    offset: u64,
    max: u32,
) -> io::Result<(Vec<u8>, u64)> {
    let file = match stream {
        Stream::Stdout => OwnFile::Stdout,
        Stream::Stderr => OwnFile::Stderr,
    };
    let file = JobDir::open_below(layout.results(), id)?
        .open_file(file.name())?
        .ok_or(io::ErrorKind::NotFound)?;
    let mut bytes = vec![0; CHUNK.min(max as usize)];
    let length = file.read_at(&mut bytes, offset)?;
    bytes.truncate(length);
    Ok((bytes, file.metadata()?.len()))
}

/// What the jobs' directories say.
fn statuses(layout: &Layout, request: u32, ids: &[JobId]) -> FromAgent {
    let state = |id| {
        let dir = JobDir::open_below(layout.results(), id);
        dir.and_then(|dir| local::state_of(&dir)).unwrap_or(State::Unknown)
    };
    FromAgent::Statuses { request, states: ids.iter().map(state).collect() }
}
