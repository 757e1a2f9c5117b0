//! What a slot and its shim say to each other, and the stream that carries it with open
//! descriptors. Both ends are the same executable.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use gjob_core::wire::{FrameBuffer, encode};
use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::reap::Reaped;

/// How many descriptors a message has at most.
const DESCRIPTORS: usize = 3;

/// A command to be started, with text as in `gjob_core::os_text`.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::slot) struct Start {
    /// What is executed.
    pub(in crate::slot) program: String,
    /// Its words, the first one its name.
    pub(in crate::slot) words: Vec<String>,
    /// The job's directory.
    pub(in crate::slot) dir: String,
    /// All of its environment.
    pub(in crate::slot) environment: Vec<(String, String)>,
}

impl Start {
    /// Its length in bytes, about.
    pub(in crate::slot) fn len(&self) -> usize {
        let environment = self.environment.iter().map(|(name, value)| name.len() + value.len());
        self.words.iter().map(String::len).chain(environment).sum()
    }
}

/// How a shim's command has ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::slot) struct Ended {
    /// Its end.
    pub(in crate::slot) child: Reaped,
    /// True when it has left nothing behind.
    pub(in crate::slot) is_all: bool,
    /// True when the shim was interrupted (SIGINT) meanwhile.
    pub(in crate::slot) is_interrupted: bool,
}

/// A message from a shim.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromShim {
    /// The command runs.
    Started { pid: u32 },
    /// It cannot be started; a shell says why.
    NotStarted,
    /// It has ended.
    Ended(Ended),
}

/// One end of the stream between a slot and its shim.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    buffer: FrameBuffer,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Channel { stream, buffer: FrameBuffer::new() }
    }

    /// Sends a message, with descriptors behind it.
    pub(super) fn send<M: Serialize>(
        &mut self,
        message: &M,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let frame = encode(message);
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(descriptors));
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(&self.stream, &[IoSlice::new(&frame)], &mut control, SendFlags::NOSIGNAL)
        })?;
        self.stream.write_all(&frame[sent..])
    }

    /// The next message, if one is there; an error at the end of the stream.
    pub(super) fn receive<M: DeserializeOwned>(&mut self) -> io::Result<Option<M>> {
        self.receive_with(RecvFlags::DONTWAIT, &mut Vec::new())
    }

    /// Waits for the next message, and takes the descriptors that come with it.
    pub(super) fn wait<M: DeserializeOwned>(&mut self) -> io::Result<(M, Vec<OwnedFd>)> {
        let mut descriptors = Vec::new();
        let message = self.receive_with(RecvFlags::empty(), &mut descriptors)?;
        message.map(|message| (message, descriptors)).ok_or(io::ErrorKind::WouldBlock.into())
    }

    fn receive_with<M: DeserializeOwned>(
        &mut self,
        flags: RecvFlags,
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<Option<M>> {
        loop {
            if let Some(message) = self.buffer.next().map_err(io::Error::other)? {
                return Ok(Some(message));
            }
            let mut bytes = [0; 16 * 1024];
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = flags | RecvFlags::CMSG_CLOEXEC;
            let received =
                recvmsg(&self.stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags);
            match received {
                Ok(received) if received.bytes == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(received) => self.buffer.extend(&bytes[..received.bytes]),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    descriptors.extend(received);
                }
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
