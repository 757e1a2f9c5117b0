//! The agents that are part of this build, compressed. `build/build.rs` makes them; this
//! crate does nothing with them.

/// The worker program for hosts of one platform.
#[derive(Debug)]
pub struct Agent {
    /// `OS-ARCH`.
    pub platform: &'static str,
    /// The executable file as a gzip file.
    pub gzip: &'static [u8],
    /// The blake3 hash of the executable file.
    pub hash: [u8; 32],
    /// How long the executable file is, bytes.
    pub length: u64,
}

include!(concat!(env!("OUT_DIR"), "/agents.rs"));

/// All agents of this build, in the order of their platforms.
#[must_use]
pub fn agents() -> &'static [Agent] {
    AGENTS
}
