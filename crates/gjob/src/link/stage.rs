//! How far a connection is that is being opened. Each stage has a limit of its own,
//! so whoever waits for a host goes by these: as long as one follows another, it is
//! not that nobody answers.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::sync::watch;

use super::inbox::Inbox;
use super::{LinkEvent, LinkState};

/// After how long the owner of a link is told where it stands. Most connections are
/// open sooner.
const FIRST_REPORT: Duration = Duration::from_secs(15);

/// How often it is told again, if the link has got any further.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectStage {
    /// This machine has too many files open.
    NoFiles,
    /// Others log in at the same place.
    LoginTurn,
    /// The far side says nothing yet.
    LoggingIn,
    /// The login was accepted, and no shell has answered yet.
    Accepted,
    /// The far side looks for the program.
    LoggedIn,
    /// Others get the program.
    UploadTurn,
    /// So much of the program was sent, percent.
    Uploading(u8),
    /// The program does not run yet, or takes up the run.
    Starting,
}

impl ConnectStage {
    /// True when the host has been heard, or this side is what it waits for.
    #[must_use]
    pub fn is_progress(self) -> bool {
        match self {
            ConnectStage::LoggingIn => false,
            ConnectStage::NoFiles
            | ConnectStage::LoginTurn
            | ConnectStage::Accepted
            | ConnectStage::LoggedIn
            | ConnectStage::UploadTurn
            | ConnectStage::Uploading(_)
            | ConnectStage::Starting => true,
        }
    }
}

impl fmt::Display for ConnectStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectStage::NoFiles => f.write_str("waiting, since too many files are open here"),
            ConnectStage::LoginTurn => f.write_str("waiting for other logins"),
            ConnectStage::LoggingIn => f.write_str("still logging in"),
            ConnectStage::Accepted => f.write_str("logged in, waiting for its shell"),
            ConnectStage::LoggedIn => f.write_str("logged in, looking for the agent"),
            ConnectStage::UploadTurn => f.write_str("waiting while other hosts get the agent"),
            ConnectStage::Uploading(percent) => write!(f, "sending the agent, {percent} %"),
            ConnectStage::Starting => f.write_str("starting the agent"),
        }
    }
}

/// Tells the owner of a link where its connection stands, now and then.
pub(super) async fn report(states: watch::Receiver<LinkState>, inbox: Inbox) {
    let mut reported = None;
    tokio::time::sleep(FIRST_REPORT - REPORT_INTERVAL).await;
    loop {
        tokio::time::sleep(REPORT_INTERVAL).await;
        let stage = match &*states.borrow() {
            LinkState::Connecting { stage, .. } => *stage,
            LinkState::Down { .. } | LinkState::Up | LinkState::Failed { .. } => continue,
        };
        if reported.replace(stage) != Some(stage) {
            inbox.put(LinkEvent::Connecting { stage }).await;
        }
    }
}

/// Counts what is written, once it is said how much is to be.
pub(super) struct Counted<'a, W> {
    to: &'a mut W,
    state: &'a watch::Sender<LinkState>,
    written: u64,
}

impl<'a, W> Counted<'a, W> {
    pub(super) fn new(to: &'a mut W, state: &'a watch::Sender<LinkState>) -> Self {
        Counted { to, state, written: 0 }
    }

    /// Of the bytes of a program that is being sent.
    fn count(&mut self, bytes: usize) {
        self.state.send_if_modified(|state| {
            let LinkState::Connecting { stage, upload, .. } = state else { return false };
            let ConnectStage::Uploading(before) = *stage else { return false };
            self.written += bytes as u64;
            let percent = (self.written.saturating_mul(100) / (*upload).max(1)).min(100) as u8;
            *stage = ConnectStage::Uploading(percent);
            percent != before
        });
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Counted<'_, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.to).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.count(count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.to).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.to).poll_shutdown(context)
    }
}
