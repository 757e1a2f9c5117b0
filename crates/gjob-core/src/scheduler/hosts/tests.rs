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
            6 => drop(scheduler.handle_record(now, host, Record::Started { key, id, pid: 1, at })),
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
        let capacity = plan.capacity(host.slots(), true);
        sums.replace(&mut Totals::default(), plan.count(host, capacity));
    }
    sums
}
