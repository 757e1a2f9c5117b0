//! Runs whose managers, agents, connections, slots and hosts are killed, frozen
//! and cut off all the time, by a schedule that follows from a seed. Every job
//! ends with one outcome, its own.
//!
//! Here in short. `make chaos` is the long form: `GJOB_CHAOS_JOBS`,
//! `GJOB_CHAOS_KILLS`, `GJOB_CHAOS_LONGEST_MS`, and `GJOB_CHAOS_SEED` to have one
//! again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]
#![expect(clippy::print_stderr, reason = "the seed is said, whatever comes of it")]

#[path = "chaos/field.rs"]
mod field;
#[path = "chaos/frozen.rs"]
mod frozen;
#[path = "chaos/judge.rs"]
mod judge;
#[path = "chaos/judged.rs"]
mod judged;
#[path = "chaos/ledger.rs"]
mod ledger;
#[path = "chaos/listeners.rs"]
mod listeners;
#[path = "chaos/reign.rs"]
mod reign;
#[path = "chaos/schedule.rs"]
mod schedule;
#[path = "chaos/seed.rs"]
mod seed;
#[path = "chaos/storm.rs"]
mod storm;
mod support;

use std::time::Duration;

use field::Field;
use gjob_testbed::{Bed, NetBed};
use seed::{seed, setting};
use storm::{Plan, rage};

fn plan(jobs: u32, blows: u32) -> Plan {
    let long = setting("GJOB_CHAOS_JOBS").is_some();
    let size = |name, short: u32| setting(name).map_or(short, |size| size as u32);
    Plan {
        jobs: size("GJOB_CHAOS_JOBS", jobs),
        longest_job_ms: size("GJOB_CHAOS_LONGEST_MS", 300),
        blows: size("GJOB_CHAOS_KILLS", blows),
        seed: seed(),
        longest_cut: Duration::from_secs(if long { 20 } else { 3 }),
    }
}

#[test]
fn each_job_ends_once_whatever_is_killed() {
    rage(&Field::Loopback(Bed::start(4)), &plan(150, 15));
}

#[test]
fn each_job_ends_once_whatever_is_killed_cut_off_or_crashes() {
    let Some(bed) = NetBed::start(4) else { return };
    rage(&Field::Net(bed), &plan(150, 15));
}
