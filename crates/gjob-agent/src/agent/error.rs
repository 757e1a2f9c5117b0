//! Why an agent ends its link, as the manager is told in a fault.

use std::io;

use gjob_core::wire::DecodeError;

use super::attach::AttachError;
use super::tail::TailError;

/// The most hashes, ids or patterns in one message.
pub(super) const MAX_COUNT: usize = 4096;

/// Why an agent cannot continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum AgentError {
    #[error("attach to the run: {0}")]
    Attach(#[from] AttachError),
    #[error("follow the run: {0}")]
    Tail(#[from] TailError),
    /// The next agent settles what was lost with them.
    #[error("start a job: the claims of the run's attempts were removed")]
    Claims,
    #[error("read the manager's messages: {0}")]
    Decode(#[from] DecodeError),
    #[error("serve the manager: {0}")]
    Protocol(&'static str),
    #[error("wait, or start a thread: {0}")]
    System(#[from] io::Error),
}

impl AgentError {
    /// True when trying again cannot help.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            AgentError::Attach(error) => error.is_permanent(),
            AgentError::Decode(_) | AgentError::Protocol(_) => true,
            // The next agent puts a fresh log in place.
            AgentError::Tail(_) | AgentError::Claims | AgentError::System(_) => false,
        }
    }
}

/// Refuses a message that names more than it may.
pub(super) fn check_count(count: usize) -> Result<(), AgentError> {
    if count <= MAX_COUNT {
        Ok(())
    } else {
        Err(AgentError::Protocol("a message names more than it may"))
    }
}
