//! Following what several jobs print, on all their hosts at once: each host is asked by
//! itself, so that none waits for another.

use std::collections::BTreeSet;
use std::time::Duration;

use gjob_core::scheduler::HostIx;
use gjob_core::wire::Stream;
use gjob_core::{JobId, State};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Network, NetworkError, READ_ONLY_TIMEOUT};
use crate::link::{LinkSender, QueryStates, ReadOutput};

/// What is to be read of a job.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The job directory.
    pub id: JobId,
    /// Each stream with the byte to begin with.
    pub streams: Vec<(Stream, u64)>,
}

/// What a job has printed meanwhile.
#[derive(Debug)]
pub struct Printed {
    /// The job directory.
    pub id: JobId,
    /// False when it had ended before it was read.
    pub is_running: bool,
    /// The next bytes of each stream that was asked for, or why they cannot be read. None
    /// at the stream's end.
    pub pieces: Result<Vec<(Stream, Vec<u8>)>, String>,
}

/// The questions whose answers have not come yet: one a host at most.
#[derive(Debug, Default)]
pub struct Following {
    questions: JoinSet<(HostIx, Result<Vec<Printed>, String>)>,
    asked: BTreeSet<HostIx>,
}

impl Following {
    /// True while an answer of the host has not come.
    #[must_use]
    pub fn is_asked(&self, host: HostIx) -> bool {
        self.asked.contains(&host)
    }
}

impl Network {
    /// Asks a host what some of its jobs have printed, without waiting for the answer.
    ///
    /// # Errors
    /// When the network can't be opened.
    pub fn ask_printed(
        &mut self,
        following: &mut Following,
        host: HostIx,
        jobs: Vec<Wanted>,
    ) -> Result<(), NetworkError> {
        let open = self.open_to_ask()?;
        let link = open.link(host);
        let ask = async move { (host, ask(&link, jobs).await) };
        following.asked.insert(host);
        following.questions.spawn_on(ask, open.runtime.handle());
        Ok(())
    }

    /// The next answer, or why a host can't be asked; none if no answer comes for so long.
    ///
    /// # Errors
    /// When the network can't be opened.
    #[expect(clippy::type_complexity, reason = "as `Answers` has it, one of them")]
    pub fn next_printed(
        &mut self,
        following: &mut Following,
        wait: Duration,
    ) -> Result<Option<(HostIx, Result<Vec<Printed>, String>)>, NetworkError> {
        let open = self.open_to_ask()?;
        let questions = &mut following.questions;
        let next = async {
            match questions.is_empty() {
                true => std::future::pending().await,
                false => questions.join_next().await.and_then(Result::ok),
            }
        };
        let answer = open.block_on(async { timeout(wait, next).await.ok().flatten() });
        if let Some((host, _)) = &answer {
            following.asked.remove(host);
        }
        Ok(answer)
    }
}

async fn ask(link: &LinkSender, jobs: Vec<Wanted>) -> Result<Vec<Printed>, String> {
    let limit = Some(READ_ONLY_TIMEOUT);
    // The states first: what was written before a job's end is then there.
    let states = QueryStates { ids: jobs.iter().map(|job| job.id.clone()).collect() };
    let states = link.ask(&states, limit).await.map_err(|error| error.reason)?;
    let mut answers = Vec::new();
    for (nth, Wanted { id, streams }) in jobs.into_iter().enumerate() {
        let mut pieces = Ok(Vec::new());
        for (stream, offset) in streams {
            let read = ReadOutput { id: id.clone(), stream, offset, most: u64::MAX };
            let piece = link.ask(&read, limit).await.map_err(|error| error.reason)?;
            pieces = match (pieces, piece) {
                (Ok(mut pieces), Ok(piece)) => {
                    pieces.push((stream, piece.bytes));
                    Ok(pieces)
                }
                (Ok(_), Err(reason)) => Err(String::from(reason)),
                (Err(reason), _) => Err(reason),
            };
        }
        let is_running = states.get(nth) == Some(&State::Busy);
        answers.push(Printed { id, is_running, pieces });
    }
    Ok(answers)
}
