//! Bringing jobs' output here: in pieces, a few outputs at a time per host,
//! kept in memory while small and in an unnamed file when not.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Seek, Write};

use gjob_core::JobId;
use gjob_core::wire::{CHUNK, Stream, ToAgent};
use tempfile::SpooledTempFile;

/// Outputs asked for at once from one host.
const AT_ONCE: usize = 8;

/// An output larger than this is kept in a file, bytes.
const IN_MEMORY: usize = 64 * 1024;

/// What was fetched.
pub struct Output(SpooledTempFile);

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

impl Read for Output {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// An output that was asked for.
#[derive(Debug)]
pub struct Fetched {
    /// The job.
    pub id: JobId,
    /// Which of its outputs.
    pub stream: Stream,
    /// The output from the byte asked for, or why it can't be had.
    pub output: Result<Output, String>,
}

/// The fetches of one host.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    next_request: u32,
    active: BTreeMap<u32, Active>,
    waiting: VecDeque<Wish>,
}

/// An output that is wanted, from this byte on.
#[derive(Debug)]
struct Wish {
    id: JobId,
    stream: Stream,
    from: u64,
}

#[derive(Debug)]
struct Active {
    wish: Wish,
    /// Bytes of the whole output that are accounted for.
    got: u64,
    spool: SpooledTempFile,
}

impl Fetches {
    pub(super) fn add(&mut self, id: JobId, stream: Stream, from: u64) {
        self.waiting.push_back(Wish { id, stream, from });
    }

    /// Requests to be sent now.
    pub(super) fn requests(&mut self) -> Vec<ToAgent> {
        let mut requests = Vec::new();
        while self.active.len() < AT_ONCE {
            let Some(wish) = self.waiting.pop_front() else { break };
            let spool = SpooledTempFile::new(IN_MEMORY);
            let active = Active { got: wish.from, wish, spool };
            requests.push(self.activate(active));
        }
        requests
    }

    fn activate(&mut self, active: Active) -> ToAgent {
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        let message = ToAgent::Read {
            request,
            id: active.wish.id.clone(),
            stream: active.wish.stream,
            offset: active.got,
            max: CHUNK as u32,
        };
        self.active.insert(request, active);
        message
    }

    /// A piece has come: the next request, or the whole output.
    pub(super) fn data(
        &mut self,
        request: u32,
        bytes: &[u8],
        size: u64,
    ) -> Option<Result<ToAgent, Fetched>> {
        let mut active = self.active.remove(&request)?;
        if let Err(error) = active.spool.write_all(bytes) {
            let output = Err(format!("can't be kept here: {error}"));
            return Some(Err(active.into_fetched(output)));
        }
        active.got += bytes.len() as u64;
        if !bytes.is_empty() && active.got < size {
            return Some(Ok(self.activate(active)));
        }
        Some(Err(active.complete()))
    }

    /// An output can't be had.
    pub(super) fn failed(&mut self, request: u32, reason: &str) -> Option<Fetched> {
        let active = self.active.remove(&request)?;
        Some(active.into_fetched(Err(reason.to_owned())))
    }

    /// The link broke: what was under way is asked for again over the next one.
    pub(super) fn interrupt(&mut self) {
        for (_, active) in std::mem::take(&mut self.active).into_iter().rev() {
            self.waiting.push_front(active.wish);
        }
    }

    /// The host is gone for good.
    pub(super) fn give_up(&mut self, reason: &str) -> Vec<Fetched> {
        self.interrupt();
        let gone = |Wish { id, stream, .. }| Fetched { id, stream, output: Err(reason.to_owned()) };
        self.waiting.drain(..).map(gone).collect()
    }
}

impl Active {
    fn complete(mut self) -> Fetched {
        let rewound = self.spool.rewind().map_err(|e| format!("can't be kept here: {e}"));
        let spool = std::mem::replace(&mut self.spool, SpooledTempFile::new(0));
        self.into_fetched(rewound.map(|()| Output(spool)))
    }

    fn into_fetched(self, output: Result<Output, String>) -> Fetched {
        Fetched { id: self.wish.id, stream: self.wish.stream, output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> JobId {
        format!("h/2026-11-22-{number}").parse().unwrap()
    }

    fn request_of(message: &ToAgent) -> (u32, u64) {
        match message {
            ToAgent::Read { request, offset, .. } => (*request, *offset),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_output_comes_in_pieces_and_whole() {
        let mut fetches = Fetches::default();
        fetches.add(id(1), Stream::Stdout, 0);
        let first = request_of(&fetches.requests()[0]);
        let second = fetches.data(first.0, b"abc", 5).unwrap().unwrap();
        assert_eq!(request_of(&second).1, 3);
        let fetched = fetches.data(request_of(&second).0, b"de", 5).unwrap().unwrap_err();
        let mut text = String::new();
        fetched.output.unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcde");
    }

    #[test]
    fn a_broken_link_starts_an_output_over() {
        let mut fetches = Fetches::default();
        fetches.add(id(1), Stream::Stdout, 0);
        let (old, _) = request_of(&fetches.requests()[0]);
        fetches.interrupt();
        let (new, offset) = request_of(&fetches.requests()[0]);
        assert_eq!(offset, 0);
        assert!(fetches.data(old, b"late", 4).is_none());
        assert!(fetches.data(new, b"", 0).unwrap().is_err());
    }

    #[test]
    fn only_a_few_outputs_are_under_way_at_once() {
        let mut fetches = Fetches::default();
        (1..=20).for_each(|number| fetches.add(id(number), Stream::Stderr, 0));
        assert_eq!(fetches.requests().len(), AT_ONCE);
        assert!(fetches.requests().is_empty());
        assert_eq!(fetches.give_up("gone").len(), 20);
    }
}
