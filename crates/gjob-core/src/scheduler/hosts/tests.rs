use super::*;
use crate::id::Key;
use crate::outcome::Ending;
use crate::record::{Record, Scope};
use crate::scheduler::job::JobState;
use crate::scheduler::stop::Mode;
use crate::scheduler::tests::{Init, NOW, facts, finished, scheduler};
use crate::scheduler::{Config, Scheduler};

#[test]
fn the_totals_are_the_sums_over_all_hosts() {
    let mut jobs = [Init::new(0); 40];
    jobs[..20].iter_mut().for_each(|job| job.collects = true);
    let mut scheduler = scheduler(Config::default(), 4, &jobs);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut now = NOW;
    for _ in 0..4000 {
        now += Duration::from_millis(rng.u64(..100));
        let (host, index) = (HostIx(rng.u32(..4)), rng.u32(..40));
        let key = Key::new(index, scheduler.run.jobs()[index as usize].last_attempt);
        let (id, at) = ("h/2026-11-22-1".parse().unwrap(), crate::time::Timestamp(0));
        let ending = Ending::Exit(u8::from(index >= 20));
        let refused = Err((Scope::Job, "no output".to_owned()));
        match rng.u32(..10) {
            0 => scheduler.handle_host_up(now, host, facts(rng.u32(1..4))),
            1 => scheduler.handle_host_unreachable(now, host, "cut"),
            2 if rng.u32(..4) == 0 => scheduler.handle_host_failed(now, host, "out"),
            3..6 => drop(scheduler.handle_record(now, host, finished(key, ending, None))),
            6 => drop(scheduler.handle_record(
                now,
                host,
                Record::Started { key, id, pid: 1, at, processors: Vec::new() },
            )),
            7 => drop(scheduler.handle_record(now, host, Record::Withdrawn { key, at })),
            8 => scheduler.handle_outputs(now, host, key, refused),
            _ => scheduler.handle_timeout(now),
        }
        for index in 0..40 {
            scheduler.handle_retry(index);
        }
        if !matches!(scheduler.mode, Mode::Stopped) {
            scheduler.settle(now);
        }
        scheduler.mode = Mode::Running;
        assert_eq!(*scheduler.hosts.totals(), sums(&scheduler));
    }
}

/// The totals, counted anew.
fn sums(scheduler: &Scheduler) -> Totals {
    let mut sums = Totals::default();
    for (host, plan) in scheduler.run.hosts().iter().zip(&scheduler.hosts.plans) {
        let withdrawing = host
            .in_flight()
            .filter(|index| matches!(scheduler.state(*index), JobState::Withdrawing { .. }));
        assert_eq!(plan.withdrawing, withdrawing.count() as u32);
        let room_for = plan.capacity(host.slots(), true).min(host.slots());
        sums.replace(&mut Totals::default(), plan.count(host, room_for, host.slots()));
    }
    sums
}

/// A host of two slots whose jobs take `length`, at the other end of `round_trip`.
fn plan(length: f64, round_trip: u64) -> HostPlan {
    let round_trip = Duration::from_millis(round_trip);
    HostPlan { mean_length: Some(length), round_trip, ..HostPlan::default() }
}

#[test]
fn jobs_ahead_cover_the_way_to_the_manager_and_back() {
    // 130 ms of 50 ms jobs on two slots.
    assert_eq!(plan(0.05, 100).capacity(2, true), 2 + 6);
    // Without a round trip to speak of, the manager's own share.
    assert_eq!(plan(0.05, 0).capacity(2, true), 2 + 2);
    assert_eq!(plan(0.05, 0).capacity(2, false), 2);
    // A slot that is idle for 1 % of the time needs none.
    assert_eq!(plan(13.0, 100).capacity(2, true), 2);
    assert_eq!(plan(1.0, 100).capacity(2, true), 2 + 1);
    assert_eq!(HostPlan::default().capacity(2, true), 2);
}

#[test]
fn jobs_ahead_are_bounded_and_fewer_after_a_failure() {
    let mut plan = plan(0.0, 60_000);
    assert_eq!(plan.capacity(2, true), 2 + 2 * MAX_AHEAD);
    plan.note_failure(0);
    assert_eq!(plan.capacity(2, true), 2 + 2 * MAX_AHEAD_OF_FAILURE);
    plan.on_probation = true;
    assert_eq!(plan.capacity(2, true), 1);
}

#[test]
fn launches_can_wait_while_half_of_the_jobs_ahead_are_there() {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0); 40]);
    scheduler.handle_host_up(NOW, HostIx(0), facts(2));
    // Its slots are idle without them.
    assert!(!scheduler.is_supplied_without(HostIx(0), 1));
    assert!(scheduler.is_supplied_without(HostIx(0), 0));
    scheduler.handle_round_trip(HostIx(0), Duration::from_millis(100));
    let run = scheduler.run.clone();
    scheduler.hosts.note_length(&run, HostIx(0), Duration::from_millis(50));
    scheduler.settle(NOW);
    assert_eq!(scheduler.run().hosts()[0].load(), 8);
    assert!(scheduler.is_supplied_without(HostIx(0), 3));
    assert!(!scheduler.is_supplied_without(HostIx(0), 4));
}
