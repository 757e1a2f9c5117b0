//! The other end of a control socket: a process that asks the manager of a run.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gjob_core::{Event, RunId};
use serde::de::DeserializeOwned;

use super::protocol::{
    self, Act, Answer, CONTROL_VERSION, Change, Changed, Fault, Hello, MAGIC, MAX_JOBS, Request,
    Snapshot,
};
use super::{server, socket};
use crate::store::RunDir;

/// How long a manager may take to greet.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take: longer than a manager waits for a host.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The manager of a run cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The socket.
    #[error("manager of run {run}: {source}")]
    Io {
        /// The run.
        run: RunId,
        /// What went wrong.
        source: io::Error,
    },
    /// It speaks another version.
    #[error("manager of run {run} speaks control version {found}, this gjob {CONTROL_VERSION}")]
    Version {
        /// The run.
        run: RunId,
        /// Its version.
        found: u32,
    },
    /// What it says makes no sense.
    #[error("manager of run {run} sent an invalid message: {said}")]
    Nonsense {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        said: String,
    },
    /// It did not understand, or has too many clients.
    #[error("manager of run {run}: {said}")]
    Fault {
        /// The run.
        run: RunId,
        /// What it said.
        said: String,
    },
}

/// A connection to the manager of a run.
#[derive(Debug)]
pub struct ControlClient {
    run: RunId,
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    /// A line that is not whole yet.
    partial: Vec<u8>,
}

/// What comes next from a manager that is followed.
#[derive(Debug)]
pub enum Received {
    /// Something has happened.
    Event(Box<Event>),
    /// Nothing, for as long as was waited.
    Nothing,
    /// It is gone, or has cut this client off.
    End,
}

impl ControlClient {
    /// Connects to the manager of a run; none when nobody listens.
    ///
    /// # Errors
    /// When the socket cannot be used, or something else listens there.
    pub fn connect(dir: &RunDir) -> Result<Option<Self>, ControlError> {
        let run = dir.run().clone();
        let opened = socket::connect(dir.path()).and_then(|stream| {
            let Some(stream) = stream else { return Ok(None) };
            stream.set_read_timeout(Some(HELLO_TIMEOUT))?;
            stream.set_write_timeout(Some(HELLO_TIMEOUT))?;
            Ok(Some((stream.try_clone()?, stream)))
        });
        let opened = opened.map_err(|source| ControlError::Io { run: run.clone(), source })?;
        let Some((reader, stream)) = opened else { return Ok(None) };
        let reader = BufReader::new(reader);
        let mut client = ControlClient { run, stream, reader, partial: Vec::new() };
        let Some(hello) = client.line()? else { return Ok(None) };
        let hello: Hello = client.parsed(&hello)?;
        if hello.version != CONTROL_VERSION {
            return Err(ControlError::Version { run: client.run, found: hello.version });
        }
        if hello.gjob != MAGIC || hello.run != client.run {
            return Err(client.nonsense("its first line is another run's"));
        }
        Ok(Some(client))
    }

    /// Acts on jobs. None when the manager exited without an answer: then what
    /// was not done yet will not be.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    pub fn act(&mut self, act: Act, jobs: &[u32]) -> Result<Option<Answer>, ControlError> {
        self.act_with(act, jobs, None, None)
    }

    /// The same; jobs that are retried get the files that this file of the run's directory
    /// names, and so many bytes of memory.
    pub(in crate::manager) fn act_with(
        &mut self,
        act: Act,
        jobs: &[u32],
        mut new_files: Option<String>,
        new_mem: Option<u64>,
    ) -> Result<Option<Answer>, ControlError> {
        self.read_within(ANSWER_TIMEOUT)?;
        // All at once, so that ending one part lets no job of the next begin.
        let parts = || jobs.chunks(MAX_JOBS).chain(jobs.is_empty().then_some(jobs));
        for part in parts() {
            let mut request = Request::of(act, part.to_vec());
            if let Request::Retry { files, mem, .. } = &mut request {
                (*files, *mem) = (new_files.take(), new_mem);
            }
            if !self.send(&request)? {
                return Ok(None);
            }
        }
        let mut all = Answer::default();
        for _ in parts() {
            match self.line()? {
                Some(line) => all.add(self.parsed(&line)?),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Changes the run. None when the manager exited without an answer: then the changes may
    /// be recorded, or not.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    pub fn change(&mut self, changes: &[Change]) -> Result<Option<Changed>, ControlError> {
        self.read_within(ANSWER_TIMEOUT)?;
        if !self.send(&Request::Change { changes: changes.to_vec() })? {
            return Ok(None);
        }
        let Some(line) = self.line()? else { return Ok(None) };
        self.parsed(&line).map(Some)
    }

    /// Ends the run as Ctrl-C does. False when the manager is gone.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    pub fn interrupt(&mut self) -> Result<bool, ControlError> {
        self.read_within(ANSWER_TIMEOUT)?;
        if !self.send(&Request::Interrupt {})? {
            return Ok(false);
        }
        let Some(line) = self.line()? else { return Ok(false) };
        self.parsed::<Answer>(&line).map(|_| true)
    }

    /// Begins to watch. None when the manager is gone.
    ///
    /// # Errors
    /// When the manager cannot be asked.
    pub fn watch(&mut self) -> Result<Option<Snapshot>, ControlError> {
        self.read_within(ANSWER_TIMEOUT)?;
        if !self.send(&Request::Watch {})? {
            return Ok(None);
        }
        let Some(line) = self.line()? else { return Ok(None) };
        self.parsed(&line).map(Some)
    }

    /// What a watched manager says next, within `wait`.
    ///
    /// # Errors
    /// When its message is invalid.
    pub fn next(&mut self, wait: Duration) -> Result<Received, ControlError> {
        self.read_within(wait)?;
        match self.reader.read_until(b'\n', &mut self.partial) {
            Ok(_) if self.partial.ends_with(b"\n") => {
                let line = std::mem::take(&mut self.partial);
                let event = protocol::event(&line).map_err(|e| self.nonsense(&e.to_string()))?;
                Ok(Received::Event(Box::new(event)))
            }
            Err(error) if is_timeout(&error) => Ok(Received::Nothing),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Received::Nothing),
            Ok(_) | Err(_) => Ok(Received::End),
        }
    }

    fn read_within(&self, time: Duration) -> Result<(), ControlError> {
        self.stream.set_read_timeout(Some(time)).map_err(|source| self.io(source))
    }

    /// False when nobody reads any more.
    fn send(&mut self, request: &Request) -> Result<bool, ControlError> {
        let line = protocol::line(request).map_err(|error| self.nonsense(&error.to_string()))?;
        match self.stream.write_all(&line) {
            Ok(()) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(source) => Err(self.io(source)),
        }
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, ControlError> {
        match server::read_line(&mut self.reader) {
            Ok(line) => Ok(line),
            Err(error) if is_gone(&error) => Ok(None),
            Err(source) => Err(self.io(source)),
        }
    }

    fn parsed<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, ControlError> {
        serde_json::from_slice(line).map_err(|error| match serde_json::from_slice(line) {
            Ok(Fault { error }) => ControlError::Fault { run: self.run.clone(), said: error },
            Err(_) => self.nonsense(&error.to_string()),
        })
    }

    fn io(&self, source: io::Error) -> ControlError {
        ControlError::Io { run: self.run.clone(), source }
    }

    fn nonsense(&self, said: &str) -> ControlError {
        ControlError::Nonsense { run: self.run.clone(), said: said.to_owned() }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
