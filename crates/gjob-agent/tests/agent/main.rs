//! The worker's side as a whole: real agents, slots and bash, no mocks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod by_hand;
mod control;
mod driver;
mod launching;
mod recovery;
mod staging;
