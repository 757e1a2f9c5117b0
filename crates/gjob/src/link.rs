//! The one pipe to each host: opened over the user's own ssh, kept alive,
//! opened again when it breaks.
//!
//! Each link is a task that owns its child process. The manager tells it what
//! to send and hears in its inbox what came and how the link fares; the inbox
//! is bounded in messages and in bytes, so that no host can fill the manager's
//! memory. What the messages mean is not this module's business.
//!
//! # Theory of operation
//!
//! 1. A permit is taken from [`Handshakes`], and the transport's command is
//!    started in a process group of its own.
//! 2. Over ssh, or a user's command, the far end is a shell: `bootstrap.sh`
//!    gets the program there, if it is not, and starts it. The local transport
//!    starts the program itself.
//! 3. The agent prints its magic line; [`Attach`](gjob_core::wire::Attach)
//!    goes out with a new epoch and the offset committed so far; its welcome
//!    makes the link [`Up`](LinkEvent::Up).
//! 4. Frames flow. A silence of 30 s, or the pipe's end, takes the link
//!    [`Down`](LinkEvent::Down); it pauses, and begins anew. What can't be
//!    mended by trying again is [`Failed`](LinkEvent::Failed), said once.

mod backoff;
mod blob;
mod bootstrap;
mod calls;
mod clock;
mod diagnose;
mod error;
mod handshakes;
mod heartbeat;
mod inbox;
mod lines;
mod pipe;
mod plan;
mod requests;
mod sender;
mod session;
mod stage;
mod task;
mod text;
mod transport;
mod window;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gjob_core::RunId;
use gjob_core::wire::{BlobHash, FromAgent, ManagedAt, ToAgent, Welcome};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

pub(crate) use calls::{Call, OutputStream, Request, StreamPart};
pub use calls::{LinkAnswer, NewCall};
pub use diagnose::{Diagnosis, Trouble, diagnose, diagnose_command, diagnose_login};
pub use gjob_core::event::ClockOffset;
pub use handshakes::Handshakes;
use inbox::Inbox;
pub use inbox::{Arrival, Channels, MemoryBudget};
pub use plan::{DEFAULT_BLOB_BUDGET, DEFAULT_RESULTS_DIR, HostPlan, HostPlanError};
pub(crate) use requests::{
    DescribeHost, EndProbe, ForgetRun, MeasureUsage, Piece, PurgeRuns, QueryStates, ReadOutput,
    RemoveJobs, RequestEcho, StartProbe, WorkByHand,
};
pub(crate) use sender::Unreachable;
#[cfg(test)]
pub(crate) use sender::played;
pub use sender::{LinkHandle, LinkSender};
pub use stage::ConnectStage;
pub(crate) use text::last_lines;
pub(crate) use transport::Connection as SshConnection;
pub use transport::Transport;
pub(crate) use transport::{learn_unknown, scp_options, ssh_options, ssh_program};

use crate::inputs::Content;
use crate::program::Programs;

/// What a link is to.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The host.
    pub plan: Arc<HostPlan>,
    /// The run that is taken up; none only looks.
    pub run: Option<RunId>,
    /// Where that is managed.
    pub managed: ManagedAt,
    /// The programs that may be sent.
    pub programs: Arc<Programs>,
    /// The n-th connection's epoch, from 1, is this plus n.
    pub epoch_base: u64,
    /// How many connections there were: of this link, and of those to the host before it.
    pub connections: Arc<AtomicU64>,
    /// Bytes of the host's run log that are committed; read at each connection.
    pub offset: Arc<AtomicU64>,
}

/// What a link tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// A connection is being opened, and takes a while.
    Connecting {
        /// What it waits for.
        stage: ConnectStage,
    },
    /// The program is not on the host and is being sent.
    Uploading {
        /// How many bytes that takes.
        bytes: u64,
    },
    /// The agent has taken up the run. Nothing said before was sent to it.
    Up(Box<Welcome>),
    /// From the agent.
    Message(FromAgent),
    /// The answer to a request, to be delivered to whoever asked.
    Answer(LinkAnswer),
    /// How far the host's clock is from this one's: measured when the link has
    /// come up, and again when that can be told better.
    Clock(ClockOffset),
    /// How long a message and its answer take: measured when the link has come up, and
    /// again when that has changed much.
    RoundTrip(Duration),
    /// How much of a larger blob has come there; about once a second, and at
    /// its end.
    Sending {
        /// The blob.
        hash: BlobHash,
        /// Bytes that are there.
        sent: u64,
        /// Its size, bytes.
        size: u64,
    },
    /// A file could not be sent; its blob is abandoned, the link goes on.
    BlobSourceFailed {
        /// The blob.
        hash: BlobHash,
        /// Why, in one line that names the file.
        reason: String,
    },
    /// A connection takes long to be made, and is still waited for.
    Slow {
        /// For what, in one line.
        reason: String,
    },
    /// The agent has said nothing for a while, though the connection stands; or says
    /// something again.
    Silence {
        /// For how long it has said nothing.
        silence: Duration,
        /// True when it says something again.
        is_over: bool,
    },
    /// There is no connection, or none any more.
    Down {
        /// Why, in one line.
        reason: String,
        /// When it will be tried again.
        retry_in: Duration,
    },
    /// Trying again can't help. The last event of a link.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}

/// Whether there is a connection, for those who ask over the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// There is none now, and why, in one line.
    Down {
        reason: String,
        /// False for what others must mend first: whoever asks once does not wait for it.
        may_pass_soon: bool,
    },
    /// One is being opened.
    Connecting {
        stage: ConnectStage,
        /// Why there is none any more, if there was, or an attempt to open one.
        last: Option<String>,
        /// How large the program is that is being sent, bytes.
        upload: u64,
    },
    /// There is one.
    Up,
    /// There will be none, and why, in one line.
    Failed { reason: String },
}

/// A command to a link.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkCommand {
    /// Send a message.
    Send(ToAgent),
    /// Send a request, and deliver its answer.
    #[doc(hidden)]
    Call(NewCall),
    /// Send a blob, after those asked for before.
    SendBlob {
        /// What is sent.
        content: Content,
        /// Bytes of it that are there, at most its size.
        from: u64,
        /// Make sure on the way that it is still what it was; from 0 only.
        verify: bool,
    },
    /// Break the connection, and open it again: some of what the agent said is missing.
    Reopen,
    /// Send what is queued (files excepted), detach, and end.
    Close,
}

/// Waits until the link is to be closed, or its handle is gone.
async fn close_asked(closing: &mut watch::Receiver<Option<String>>) {
    // Closed or dropped: both mean the same.
    let _ = closing.wait_for(Option::is_some).await;
}

/// Starts a link; its events come to `channels` under the number `host`.
#[must_use]
pub fn spawn(
    handle: &Handle,
    host: usize,
    config: LinkConfig,
    limits: Arc<Handshakes>,
    channels: Channels,
) -> LinkHandle {
    let (commands, queued) = mpsc::unbounded_channel();
    let (closing, close_asked) = watch::channel(None);
    let stage = ConnectStage::LoginTurn;
    let (state, states) = watch::channel(LinkState::Connecting { stage, last: None, upload: 0 });
    let link = task::Link {
        config,
        limits,
        inbox: Inbox { host, channels },
        state,
        commands: queued,
        closing: close_asked,
        hop: None,
        was_up: false,
        trust: true,
        connection: SshConnection::Own,
    };
    let sender = LinkSender::new(commands, states);
    LinkHandle { sender, closing, task: handle.spawn(link.run(fastrand::u64(..))) }
}

#[cfg(test)]
mod tests;
