//! When a host that is silent, or whose connection has broken, counts as lost.

use super::*;

const H1: HostIx = HostIx(1);

/// Job 0 runs on H0, and H1 is up. H0 is heard last at 100 s; it is said to be silent
/// 12 s later, and its connection is given up 30 s later.
fn silent(on_lost: OnLost, lost_after: u64) -> Scheduler {
    let config = Config { lost_after: at(lost_after), on_lost, ..Config::default() };
    let mut scheduler = scheduler(config, 2, &[Init::new(0)]);
    scheduler.handle_host_up(at(0), H0, facts(1));
    scheduler.handle_host_up(at(0), H1, facts(1));
    scheduler.handle_silence(at(112), H0, at(12), false);
    scheduler.handle_host_unreachable(at(130), H0, "no answer");
    actions(&mut scheduler);
    scheduler
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// When the host is lost, and what is said then.
fn loss(mut scheduler: Scheduler) -> (u64, String) {
    for seconds in 130..1000 {
        scheduler.handle_timeout(at(seconds));
        for what in events(&mut scheduler) {
            if let What::Attempt(AttemptEvent {
                change: AttemptChange::Abandoned { reason }, ..
            }) = what
            {
                return (seconds, reason);
            }
        }
    }
    panic!("the host was never lost");
}

#[test]
fn time_until_a_host_is_lost_counts_from_its_last_word() {
    let (lost, reason) = loss(silent(OnLost::Rerun, 300));
    assert_eq!((lost, reason.as_str()), (400, "no contact for 300 s"));
}

#[test]
fn host_whose_connection_breaks_has_time_to_be_connected_again() {
    let (lost, reason) = loss(silent(OnLost::Rerun, 30));
    assert_eq!((lost, reason.as_str()), (140, "no contact for 40 s"));
}

#[test]
fn lease_counts_from_the_end_of_the_connection() {
    // Until then the host may have heard this side, and prolonged its lease.
    assert_eq!(loss(silent(OnLost::Lease, 300)).0, 430);
}

#[test]
fn silence_that_has_ended_does_not_count() {
    let config = Config { lost_after: at(300), ..Config::default() };
    let mut scheduler = scheduler(config, 2, &[Init::new(0)]);
    scheduler.handle_host_up(at(0), H0, facts(1));
    scheduler.handle_host_up(at(0), H1, facts(1));
    scheduler.handle_silence(at(112), H0, at(12), false);
    scheduler.handle_silence(at(113), H0, at(13), true);
    scheduler.handle_host_unreachable(at(130), H0, "the connection was closed");
    actions(&mut scheduler);
    assert_eq!(loss(scheduler).0, 430);
}
