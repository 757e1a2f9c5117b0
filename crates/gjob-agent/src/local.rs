//! One job directory by hand: make it, start its script, ask for its state,
//! end it, pause it, delete it (`gjob local …`). No agent, no run: everything
//! is in the directory.

mod directory;
mod orders;
mod start;
mod state;
mod wait;

pub use directory::{DeleteError, MkdirError, delete, job_id, mkdir};
pub use orders::{ControlError, kill, pause, unpause};
pub use start::{StartError, StartOptions, start};
pub(crate) use state::state_of;
pub use state::{StatusError, is_paused, status};
