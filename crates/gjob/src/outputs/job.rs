//! One order, and what has come of it so far.

use std::io;

use gjob_core::output::check_path;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{OutputPart, Resume};

use super::CollectOrder;
use super::commit::Waiting;
use super::dir::Destination;
use super::incoming::{FileProgress, IncomingOutputs};
use super::refusal::Refusal;

#[derive(Debug)]
pub(super) struct OutputsJob {
    pub(super) order: CollectOrder,
    incoming: Option<IncomingOutputs>,
    /// All of it was asked for anew once.
    is_anew: bool,
}

/// How the writing of some parts went.
#[derive(Debug)]
pub(super) enum Written {
    /// More may come.
    More(OutputsJob),
    /// It is to be asked for again.
    Again(OutputsJob),
    /// It won't be taken; what had come is removed.
    Refused(Refusal),
}

/// What all that has come of an order amounts to.
#[derive(Debug)]
pub(super) enum Finished {
    /// What was wanted.
    Complete(Waiting),
    /// Nothing: it is to be asked for again from its beginning.
    Again(Box<OutputsJob>),
    /// Nothing, and it won't be taken; what had come is removed.
    Refused(Refusal),
}

impl OutputsJob {
    pub(super) fn new(order: CollectOrder) -> Self {
        OutputsJob { order, incoming: None, is_anew: false }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.incoming.is_some()
    }

    /// No more comes in answer to this request: what is here, if it has begun.
    pub(super) fn interrupt(&mut self) -> Option<Resume> {
        self.incoming.as_mut().map(IncomingOutputs::interrupt)
    }

    pub(super) fn progress(&self) -> Option<FileProgress> {
        self.incoming.as_ref()?.progress()
    }

    /// Writes what has come.
    pub(super) fn write(mut self, place: &Destination, parts: Vec<OutputPart>) -> Written {
        let mut incoming = match self.take_incoming(place) {
            Ok(incoming) => incoming,
            Err(refusal) => return Written::Refused(refusal),
        };
        let taken = incoming.take(parts);
        self.incoming = Some(incoming);
        match taken {
            Ok(()) => Written::More(self),
            Err(Refusal::Changed { .. }) => Written::Again(self),
            Err(refusal) => Written::Refused(refusal),
        }
    }

    /// All has come, of that many files.
    pub(super) fn finish(mut self, place: &Destination, host: HostIx, files: u64) -> Finished {
        if files == 0 && self.incoming.is_none() && self.order.merge {
            return Finished::Refused(self.no_match());
        }
        let merge = self.order.merge;
        let finished = self.take_incoming(place).and_then(|incoming| incoming.finish(files));
        match finished {
            Ok(complete) if complete.is_empty && merge => Finished::Refused(self.no_match()),
            Ok(complete) => {
                let CollectOrder { key, dir_name, .. } = self.order;
                Finished::Complete(Waiting { host, key, dir_name, merge, complete })
            }
            Err(Refusal::Altered) if !self.is_anew => Finished::Again(Box::new(OutputsJob {
                order: self.order,
                incoming: None,
                is_anew: true,
            })),
            Err(refusal) => Finished::Refused(refusal),
        }
    }

    fn no_match(&self) -> Refusal {
        Refusal::Nothing { patterns: self.order.patterns.join(", ") }
    }

    /// What has come, or the beginning of it.
    fn take_incoming(&mut self, place: &Destination) -> Result<IncomingOutputs, Refusal> {
        if let Some(incoming) = self.incoming.take() {
            return Ok(incoming);
        }
        let here = |source| Refusal::Here { what: format!("to {}", place.shown()), source };
        let CollectOrder { key, dir_name, recorded, .. } = &self.order;
        if check_path(dir_name).is_err() || dir_name.contains('/') {
            let error = format!("{dir_name:?} cannot be a directory's name");
            return Err(here(io::Error::other(error)));
        }
        let dir = place.open().map_err(here)?;
        dir.check_name(dir_name)?;
        let (part, dir) = dir.begin(*key).map_err(here)?;
        Ok(IncomingOutputs::new(part, dir, place.max_bytes()).only(recorded))
    }
}
