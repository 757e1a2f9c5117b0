//! Runs whose managers, agents, connections, slots and hosts are killed, frozen
//! and cut off all the time, by a schedule that follows from a seed. Every job
//! ends with one outcome, its own.
//!
//! Here in short. `make chaos` is the long form: `GJOB_CHAOS_JOBS`,
//! `GJOB_CHAOS_KILLS` (freezes and cuts come on top), `GJOB_CHAOS_LONGEST_MS`, and
//! `GJOB_CHAOS_SEED` to have one again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]
#![expect(clippy::print_stderr, reason = "the seed is said, whatever comes of it")]

#[path = "chaos/comings.rs"]
mod comings;
#[path = "chaos/duty.rs"]
mod duty;
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
use storm::{Plan, Policy, rage};

fn is_long() -> bool {
    setting("GJOB_CHAOS_JOBS").is_some()
}

fn plan() -> Plan {
    let size = |name, short: u32| setting(name).map_or(short, |size| size as u32);
    Plan {
        jobs: size("GJOB_CHAOS_JOBS", 150),
        longest_job_ms: size("GJOB_CHAOS_LONGEST_MS", 300),
        kills: size("GJOB_CHAOS_KILLS", 15),
        seed: seed(),
        policy: Policy::Patience,
        longest_cut: Duration::from_secs(if is_long() { 20 } else { 3 }),
    }
}

#[test]
fn each_job_ends_once_whatever_is_killed() {
    rage(&Field::Loopback(Bed::start(4)), &plan());
}

#[test]
fn each_job_ends_once_whatever_is_killed_cut_off_or_crashes() {
    let Some(bed) = NetBed::start(4) else { return };
    rage(&Field::Net(bed), &plan());
}

/// A lease is 30 s: in the long form, cuts and some jobs outlast it.
#[test]
fn each_job_ends_once_on_hosts_with_a_lease() {
    let Some(bed) = NetBed::start(4) else { return };
    let (cut, slow_ms) = if is_long() { (45, 40_000) } else { (3, 0) };
    let (longest_cut, policy) = (Duration::from_secs(cut), Policy::Lease { slow_ms });
    rage(&Field::Net(bed), &Plan { longest_cut, policy, ..plan() });
}

#[test]
fn each_job_ends_once_while_hosts_come_and_go() {
    let Some(bed) = NetBed::start(4) else { return };
    let Plan { jobs, longest_job_ms, seed, .. } = plan();
    let jobs = if is_long() { jobs } else { 60 };
    comings::rage(bed, jobs, longest_job_ms, seed);
}
