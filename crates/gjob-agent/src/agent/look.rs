//! Serves a manager that takes up no run: it only looks, brings back outputs, and
//! cleans up after runs that are over.

use std::time::Duration;

use gjob_core::wire::ToAgent;
use rustix::event::{PollFd, PollFlags};

use super::errands::{Errands, Pace};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::{AgentError, LOOK, listens, poll_for, reads};
use crate::jobdir::Layout;

/// Serves until the manager leaves or the link ends.
pub(super) fn look(layout: &Layout, inbox: &mut Inbox, out: &mut Outbox) -> Result<(), AgentError> {
    let mut errands = Errands::new(layout.clone());
    loop {
        while !out.is_full()
            && let Some(message) = inbox.next()?
        {
            match errands.take(message)? {
                None => {}
                Some(ToAgent::Detach) => return Ok(()),
                Some(question) => out.send(&answer(layout, question)?),
            }
        }
        errands.work(out);
        if out.flush().is_err() || inbox.is_over() {
            return Ok(());
        }
        let limit = match errands.pace(out) {
            Pace::Now => Duration::ZERO,
            Pace::Soon => LOOK,
            Pace::Idle => Duration::MAX,
        };
        wait_for_input(inbox, out, limit)?;
    }
}

fn answer(layout: &Layout, question: ToAgent) -> Result<gjob_core::wire::FromAgent, AgentError> {
    match question {
        ToAgent::Attach(_)
        | ToAgent::Launch(_)
        | ToAgent::Withdraw { .. }
        | ToAgent::Order { .. }
        | ToAgent::AskBlobs { .. }
        | ToAgent::Blob { .. }
        | ToAgent::BlobData { .. }
        | ToAgent::BlobAbort => Err(AgentError::Protocol("it has taken up no run to do this in")),
        question => reads::answer(layout, question),
    }
}

/// Waits for what the manager says, or for it to listen, so long at most.
pub(super) fn wait_for_input(
    inbox: &mut Inbox,
    out: &Outbox,
    limit: Duration,
) -> Result<(), AgentError> {
    let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let mut fds = vec![PollFd::new(&stdin, listens(out))];
    if !out.is_empty() {
        fds.push(PollFd::new(&stdout, PollFlags::OUT));
    }
    poll_for(&mut fds, limit.min(inbox.time_left()))?;
    if !fds[0].revents().is_empty() && !out.is_full() {
        inbox.read();
    }
    Ok(())
}
