//! The worker's side as a whole: real agents, slots and bash, no mocks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod answers;
mod blobs;
mod by_hand;
mod cleaning;
mod collecting;
mod control;
mod damaged_log;
mod disobedient;
mod driver;
mod full_disk;
mod identity;
mod inputs;
mod launching;
mod lease;
mod machines;
mod orphans;
mod places;
mod recovery;
mod spoiled;
mod staging;
mod survivors;
mod taking;
mod trust;
