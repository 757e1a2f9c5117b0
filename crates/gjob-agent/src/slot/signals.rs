//! The slot's signals, made readable: SIGCHLD wakes it, SIGUSR1 announces an order, or
//! a new lease. They are handled, not blocked: a handler is reset when a
//! job is started, whereas a blocked signal would stay blocked in the job.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGUSR1};

/// The slot's signals.
#[derive(Debug)]
pub(crate) struct Signals {
    wake: OwnedFd,
    control: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to catch them.
    pub(crate) fn catch() -> io::Result<Self> {
        let (wake, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let control = Arc::new(AtomicBool::new(false));
        // The flag first: it is set when the pipe wakes the slot.
        signal_hook::flag::register(SIGUSR1, Arc::clone(&control))?;
        signal_hook::low_level::pipe::register(SIGUSR1, write.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGCHLD, write)?;
        // Not ignored, as it is otherwise: new kernels stop timers whose signal is.
        signal_hook::flag::register(SIGCONT, Arc::default())?;
        Ok(Signals { wake, control })
    }

    /// Waits for a signal, no longer than `limit`. May return early.
    pub(crate) fn wait(&self, limit: Option<Duration>) {
        self.wait_with(limit, []);
    }

    /// The same; also returns when one of `others` becomes readable.
    pub(crate) fn wait_with<'a>(
        &self,
        limit: Option<Duration>,
        others: impl IntoIterator<Item = BorrowedFd<'a>>,
    ) {
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let others = others.into_iter();
        fds.extend(others.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)));
        if poll(&mut fds, limit.as_ref()).is_ok() && !fds[0].revents().is_empty() {
            // Non-blocking, and its content says nothing.
            let _ = rustix::io::read(&self.wake, &mut [0; 64]);
        }
    }

    /// True once for each time that an order was announced.
    pub(crate) fn take_control(&self) -> bool {
        self.control.swap(false, Ordering::SeqCst)
    }
}
