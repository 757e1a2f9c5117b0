//! The slim agents that are part of this build; see `build.rs`.

include!(concat!(env!("OUT_DIR"), "/agents.rs"));

/// The agent for a platform written `OS-ARCH`, if the build has it.
pub(super) fn agent(platform: &str) -> Option<&'static [u8]> {
    AGENTS.iter().find(|(name, _)| *name == platform).map(|(_, bytes)| *bytes)
}
