//! Hosts whose results directory takes nothing more.

use super::*;

const H1: HostIx = HostIx(1);

fn no_space(key: Key) -> Record {
    let (reason, scope, at) = ("full".into(), Scope::Space, Timestamp(0));
    Record::Refused { key, reason, scope, at }
}

fn too_busy(key: Key) -> Record {
    let (reason, scope, at) = ("busy".into(), Scope::Load, Timestamp(0));
    Record::Refused { key, reason, scope, at }
}

#[test]
fn job_without_space_goes_to_another_host_under_the_same_number() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    let [(host, key)] = launches(&mut scheduler)[..] else { panic!() };
    scheduler.handle_record(NOW, host, no_space(key));
    let other = if host == H0 { H1 } else { H0 };
    assert_eq!(launches(&mut scheduler), [(other, key)]);
    assert_eq!(scheduler.run().hosts()[host.at()].status, HostStatus::Paused);
    assert_eq!(scheduler.run().hosts()[host.at()].totals.host_failures, 0);
}

#[test]
fn job_that_no_host_had_space_for_goes_to_the_next_that_answers() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let [(H0, key)] = launches(&mut scheduler)[..] else { panic!() };
    scheduler.handle_record(NOW, H0, no_space(key));
    assert_eq!(launches(&mut scheduler), []);
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert_eq!(launches(&mut scheduler), [], "it has none, though it answers again");
    scheduler.handle_host_up(NOW, H1, facts(1));
    assert_eq!(launches(&mut scheduler), [(H1, key)]);
}

/// Runs on for `length` of virtual time with a host that has no space for job 0, or for
/// any; gives how often a job was launched, and the scheduler.
fn crowded(length: Duration, jobs: usize, fits: fn(u32) -> bool) -> (Vec<u32>, Scheduler) {
    let mut scheduler = scheduler(Config::default(), 1, &vec![Init::new(0); jobs]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let (mut now, mut launched) = (NOW, Vec::new());
    loop {
        for (host, key) in launches(&mut scheduler) {
            assert_eq!(key.attempt, 1, "people see no attempt that never began");
            launched.push(key.index);
            let record = match fits(key.index) {
                true => finished(key, Ending::Exit(0), None),
                false => no_space(key),
            };
            scheduler.handle_record(now, host, record);
        }
        match scheduler.poll_timeout() {
            Some(due) if due <= NOW + length => now = now.max(due),
            _ => return (launched, scheduler),
        }
        scheduler.handle_timeout(now);
    }
}

#[test]
fn job_that_fits_nowhere_does_not_keep_others_from_their_host() {
    let (launched, scheduler) = crowded(Duration::from_secs(3600), 20, |index| index > 0);
    let tally = scheduler.run().tally();
    assert_eq!((tally.done, tally.left()), (19, 1));
    // It is tried every two minutes, and fails for it as little as its host does.
    let tries = launched.iter().filter(|index| **index == 0).count();
    assert!((25..40).contains(&tries), "{tries}");
    assert_eq!(scheduler.run().ended(), None);
}

#[test]
fn run_whose_hosts_never_have_space_for_a_job_ends_and_keeps_its_jobs() {
    let (launched, scheduler) = crowded(Duration::from_secs(3600), 20, |_| false);
    assert_eq!(scheduler.run().ended(), Some(RunEnd::NoHosts));
    assert_eq!(scheduler.run().tally().left(), 20);
    assert!(launched.len() < 10, "{launched:?}");
}

#[test]
fn run_never_ends_for_busy_hosts_and_goes_on_when_they_are_idle() {
    let mut scheduler = scheduler(Config::default(), 1, &vec![Init::new(0); 3]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let idle_at = NOW + Duration::from_secs(3600);
    let (mut now, mut refused) = (NOW, 0);
    while scheduler.run().ended().is_none() {
        for (host, key) in launches(&mut scheduler) {
            assert_eq!(key.attempt, 1, "people see no attempt that never began");
            let is_busy = now < idle_at;
            refused += u32::from(is_busy);
            let record = if is_busy { too_busy(key) } else { finished(key, Ending::Exit(0), None) };
            scheduler.handle_record(now, host, record);
        }
        now = now.max(scheduler.poll_timeout().unwrap_or(now));
        scheduler.handle_timeout(now);
    }
    assert_eq!(scheduler.run().tally().done, 3);
    assert!((300..400).contains(&refused), "{refused}");
    assert_eq!(scheduler.run().hosts()[0].totals.host_failures, 0);
}

#[test]
fn job_leaves_a_busy_host_for_another() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    let [(host, key)] = launches(&mut scheduler)[..] else { panic!() };
    scheduler.handle_record(NOW, host, too_busy(key));
    let other = if host == H0 { H1 } else { H0 };
    assert_eq!(launches(&mut scheduler), [(other, key)]);
    let left = &scheduler.run().hosts()[host.at()];
    assert_eq!((left.status, left.reason.as_deref()), (HostStatus::Paused, Some("busy")));
}
