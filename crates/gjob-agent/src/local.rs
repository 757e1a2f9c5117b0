//! One job directory by hand: make it, start its script, show its state, kill it,
//! pause it, delete it (`gjob local …`). There is no agent and no run: everything is
//! in the directory.

mod directory;
mod orders;
mod start;
mod state;

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use directory::{DeleteError, MkdirError, delete, job_id, mkdir};
pub use orders::{ControlError, kill, pause, unpause};
pub use start::{StartError, StartOptions, start};
pub(crate) use state::state_of;
pub use state::{StatusError, is_paused, status};

/// Waits until there is something to read; false at the deadline.
fn is_readable(fd: &impl AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
