//! Answers about jobs' directories: their output, and their state.

use std::io;
use std::os::unix::fs::FileExt as _;

use gjob_core::jobdir::OwnFile;
use gjob_core::record::one_line;
use gjob_core::wire::{CHUNK, FromAgent, Stream, ToAgent};
use gjob_core::{JobId, State};

use super::{AgentError, check_asked};
use crate::host;
use crate::jobdir::{JobDir, Layout};
use crate::local;

/// Answers a question that any attachment may ask.
pub(super) fn answer(layout: &Layout, question: ToAgent) -> Result<FromAgent, AgentError> {
    match question {
        ToAgent::Read { request, id, stream, offset, max } => {
            Ok(read(layout, request, &id, stream, offset, max))
        }
        ToAgent::Status { request, ids } => {
            check_asked(ids.len())?;
            Ok(statuses(layout, request, &ids))
        }
        ToAgent::Ping { nonce, echo_ms: _ } => {
            let (at_ms, clock_ms) = (host::since_boot_ms(), host::now().0);
            Ok(FromAgent::Pong { nonce, at_ms, clock_ms })
        }
        ToAgent::Echo { request } => Ok(FromAgent::Echo { request }),
        _ => Err(AgentError::Protocol("it asks what can't be asked now")),
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
            reason: one_line(&format!("read the output of job {id}: {error}")),
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
    let name = match stream {
        Stream::Stdout => OwnFile::Stdout.name(),
        Stream::Stderr => OwnFile::Stderr.name(),
    };
    let file = JobDir::open_below(layout.results(), id)?
        .open_file(name)?
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
