//! Jobs that run out of memory.

use super::*;

const GIB: u64 = 1 << 30;

fn asks(mem: u64) -> Init {
    Init { ask: Ask { mem, ..Ask::default() }, retry_mem: Some(2.0), ..Init::new(1) }
}

fn host_with(mem: u64) -> HostFacts {
    offers(Offer { cpus: 4, mem, gpus: 0 })
}

/// The attempt that is under way runs out of memory; what becomes of the job, and which
/// attempt is launched next.
fn runs_out(scheduler: &mut Scheduler, now: &mut Duration, peak_kib: u64) -> Option<Key> {
    let key = scheduler.run().jobs()[0].last_key();
    let mut record = finished(key, Ending::Signal(15), Some(Cause::Memory));
    if let Record::Finished(finish) = &mut record {
        finish.max_rss_kib = peak_kib;
    }
    scheduler.handle_record(*now, H0, record);
    if let Some(due) = scheduler.poll_timeout() {
        *now = due;
        scheduler.handle_timeout(due);
    }
    actions(scheduler).into_iter().find_map(|action| match action {
        Action::Launch { key, .. } => Some(key),
        _ => None,
    })
}

#[test]
fn job_out_of_memory_is_retried_with_more_while_a_host_offers_it() {
    let mut scheduler = scheduler(Config::default(), 1, &[asks(GIB)]);
    scheduler.handle_host_up(NOW, H0, host_with(6 * GIB));
    actions(&mut scheduler);
    let mut now = NOW;
    let mem = |scheduler: &Scheduler| scheduler.run().jobs()[0].spec.mem;
    assert_eq!(runs_out(&mut scheduler, &mut now, 0), Some(Key::new(0, 2)));
    assert_eq!(mem(&scheduler), Some(2 * GIB));
    // It used more than it had been given.
    assert_eq!(runs_out(&mut scheduler, &mut now, 3 << 20), Some(Key::new(0, 3)));
    assert_eq!((mem(&scheduler), scheduler.run().jobs()[0].failures), (Some(6 * GIB), 0));
    // Nobody offers 12 GiB: that is a failure, and uses its one retry.
    assert_eq!(runs_out(&mut scheduler, &mut now, 0), Some(Key::new(0, 4)));
    assert_eq!(runs_out(&mut scheduler, &mut now, 0), None);
    assert_eq!(scheduler.state(0), JobState::Ended(State::Error));
    assert_eq!(scheduler.run().jobs()[0].reason.as_deref(), Some("out of memory"));
}

#[test]
fn job_with_raised_memory_does_not_share_a_host_that_has_too_little_for_both() {
    let mut scheduler = scheduler(Config::default(), 1, &[asks(2 * GIB), asks(2 * GIB)]);
    scheduler.handle_host_up(NOW, H0, host_with(5 * GIB));
    let mut now = NOW;
    actions(&mut scheduler);
    // 4 GiB for job 0 are not free while job 1 has 2.
    assert_eq!(runs_out(&mut scheduler, &mut now, 0), None);
    assert_eq!(scheduler.run().jobs()[0].spec.mem, Some(4 * GIB));
    let ended = finished(Key::new(1, 1), Ending::Exit(0), None);
    scheduler.handle_record(now, H0, ended);
    let launch = Action::Launch { host: H0, key: Key::new(0, 2) };
    assert_eq!(orders(&mut scheduler), [launch]);
}
