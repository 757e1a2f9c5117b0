//! What goes over a link: a magic line, then frames both ways.
//!
//! The agent prints [`MAGIC`] and [`PROTOCOL`] on one line; everything before
//! it is noise of the host's start-up files. From then on there is nothing but
//! frames: a little-endian `u32` length and that many bytes of one
//! postcard-encoded message, [`ToAgent`] one way and [`FromAgent`] the other.
//! With the length's highest bit set the bytes are compressed: their plain
//! length as another `u32`, and one LZ4 block.
//! Both ends run the same protocol version exactly; there is no negotiation.

mod blob;
mod frame;
mod from_agent;
#[cfg(test)]
mod tests;
mod to_agent;

pub use blob::{BlobHash, Input, InputKind, ParseBlobHashError};
pub use frame::{DecodeError, Encoder, FrameBuffer, MAX_AGENT_FRAME, MAX_FRAME, decode, encode};
pub use from_agent::{
    ByHandAnswer, Damage, DiskUsage, FromAgent, HostDescription, MAX_RUNS, OutputPart, RunUsage,
    Sharing, Welcome,
};
pub use to_agent::{Attach, ByHand, Launch, ManagedAt, Resume, Stream, ToAgent, WITHIN};

/// The most bytes of file content in one message.
pub const CHUNK: usize = 256 * 1024;

/// The version of the protocol: it changes with any change to a message.
pub const PROTOCOL: u32 = 8;

/// What an agent says to a manager that comes after a later one: it has been followed, as the
/// original is by a copy of its run that was resumed.
pub const TAKEN_OVER: &str = "another gjob process has taken over the run";

/// What the agent's first line begins with; the version follows in decimal.
pub const MAGIC: &str = "gjob-agent protocol ";

/// The agent's first line, with its newline.
#[must_use]
pub fn magic_line() -> String {
    format!("{MAGIC}{PROTOCOL}\n")
}
