//! Jobs that ask for more than a slot.

use super::*;
use crate::resources::{Ask, Cpus};

fn asks(cpus: u32) -> Init {
    let ask = Ask { cpus: Cpus::Count(cpus), ..Ask::default() };
    Init { ask, ..Init::new(0) }
}

fn launches(scheduler: &mut Scheduler) -> Vec<u32> {
    let launched = |action| match action {
        Action::Launch { key, .. } => Some(key.index),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(launched).collect()
}

fn ends(scheduler: &mut Scheduler, now: Duration, index: u32, ending: Ending) {
    let attempt = scheduler.run.jobs()[index as usize].last_attempt;
    let mut record = finished(Key::new(index, attempt), ending, None);
    if let Record::Finished(finish) = &mut record {
        // So long that nothing is handed ahead.
        finish.ended.0 = finish.started.0 + 60_000;
    }
    scheduler.handle_record(now, H0, record);
}

#[test]
fn a_big_job_that_may_go_on_is_not_locked_out_by_one_that_a_host_is_kept_for() {
    let held = Init { paused: true, ..asks(4) };
    let mut scheduler = scheduler(Config::default(), 1, &[held, asks(1), asks(4)]);
    scheduler.handle_host_up(NOW, H0, facts(4));
    assert_eq!(launches(&mut scheduler), [1], "the host is kept for job 2");
    assert!(scheduler.handle_resume(0));
    scheduler.settle(NOW);
    ends(&mut scheduler, NOW, 1, Ending::Exit(0));
    assert_eq!(launches(&mut scheduler), [2]);
    ends(&mut scheduler, NOW, 2, Ending::Exit(0));
    assert_eq!(launches(&mut scheduler), [0]);
}

#[test]
fn a_big_job_that_is_tried_again_is_not_starved_by_small_ones() {
    let big = Init { retries: 1, ..asks(4) };
    let mut jobs = vec![big];
    jobs.extend([Init::new(0); 40]);
    let mut scheduler = scheduler(Config::default(), 1, &jobs);
    scheduler.handle_host_up(NOW, H0, facts(4));
    assert_eq!(launches(&mut scheduler), [0]);
    ends(&mut scheduler, NOW, 0, Ending::Exit(1));
    assert_eq!(launches(&mut scheduler), [1, 2, 3, 4]);
    let due = scheduler.poll_timeout().unwrap();
    scheduler.handle_timeout(due);
    for index in 1..=4 {
        assert_eq!(launches(&mut scheduler), [0; 0], "the host is kept for job 0");
        ends(&mut scheduler, due, index, Ending::Exit(0));
    }
    assert_eq!(launches(&mut scheduler), [0]);
}

#[test]
fn a_job_that_waits_for_room_wakes_nobody_up() {
    let big = Init { retries: 1, ..asks(4) };
    let mut scheduler = scheduler(Config::default(), 1, &[big, asks(3)]);
    scheduler.handle_host_up(NOW, H0, facts(4));
    ends(&mut scheduler, NOW, 0, Ending::Exit(1));
    assert_eq!(launches(&mut scheduler), [0, 1]);
    let (key, id) = (Key::new(1, 1), "h/2026-11-22-1".parse().unwrap());
    scheduler.handle_record(
        NOW,
        H0,
        Record::Started { key, id, pid: 1, at: Timestamp(3), processors: Vec::new() },
    );
    let mut now = NOW;
    for _ in 0..20 {
        let Some(due) = scheduler.poll_timeout() else { return };
        assert!(due >= now, "{due:?} was due before {now:?}");
        now = due + Duration::from_secs(1);
        scheduler.handle_timeout(now);
    }
    panic!("it is woken up on and on");
}

#[test]
fn what_jobs_wait_for_in_vain_is_known_though_they_wait_for_others_first() {
    let mut second = crate::JobSpec::new(["true"]).unwrap();
    second.after = vec![crate::dependency::After::Job(0)];
    let specs = [crate::JobSpec::new(["true"]).unwrap().into(), second.into()];
    let waits = crate::dependency::Dependencies::resolve(&specs).unwrap();
    let mut scheduler = scheduler_with(Config::default(), 1, &[asks(1), asks(9)], waits);
    scheduler.hold();
    scheduler.handle_host_up(NOW, H0, facts(4));
    let unfit: Vec<u32> = scheduler.unfit_jobs().iter().map(|unfit| unfit.index).collect();
    assert_eq!(unfit, [1]);
}

#[test]
fn each_of_70_000_jobs_has_what_it_asks_for_itself() {
    let job = |mem| Init { ask: Ask { mem, ..Ask::default() }, ..Init::new(0) };
    let mut jobs: Vec<Init> = (1..70_000).map(job).collect();
    jobs.push(job(u64::MAX));
    let mut scheduler = scheduler(Config::default(), 2, &jobs);
    let offer = Offer { cpus: 4, mem: 1 << 40, gpus: 0 };
    scheduler.handle_host_up(NOW, H0, offers(offer));
    scheduler.handle_host_up(NOW, HostIx(1), offers(offer));
    let mut ended = 0;
    loop {
        let mut launched = Vec::new();
        while let Some(action) = scheduler.poll_action() {
            if let Action::Launch { host, key } = action {
                launched.push((host, key));
            }
        }
        if launched.is_empty() {
            break;
        }
        for (host, key) in launched {
            scheduler.handle_record(NOW, host, finished(key, Ending::Exit(0), None));
            ended += 1;
        }
    }
    assert_eq!(ended, 69_999);
    assert_eq!(scheduler.run().jobs()[69_999].state(), State::Error, "no host offers that much");
}

#[test]
fn hosts_that_say_they_have_everything_are_given_no_more_than_that() {
    let ask = Ask { mem: u64::MAX - 1, gpus: u32::MAX, cpus: Cpus::Count(u32::MAX) };
    let huge = Init { ask, ..Init::new(0) };
    let small = Init { ask: Ask { mem: 2, ..Ask::default() }, ..Init::new(0) };
    let running = Init { start: Start::Running(H0), attempt: 1, ..huge };
    let mut scheduler = scheduler(Config::default(), 1, &[running, running, small, huge, asks(1)]);
    let all = Offer { cpus: u32::MAX, mem: u64::MAX, gpus: u32::MAX };
    scheduler.handle_host_up(NOW, H0, offers(all));
    assert_eq!(launches(&mut scheduler), [0; 0]);
    // Both were given to it by another manager, when it said it had more.
    ends(&mut scheduler, NOW, 0, Ending::Exit(0));
    assert_eq!(launches(&mut scheduler), [0; 0]);
    ends(&mut scheduler, NOW, 1, Ending::Exit(0));
    assert!(launches(&mut scheduler).contains(&2));
}

#[test]
fn a_host_whose_slots_have_shrunk_gives_back_what_it_can_not_begin() {
    let mut scheduler = scheduler(Config::default(), 2, &[asks(4), asks(4), asks(4)]);
    scheduler.handle_host_up(NOW, H0, facts(4));
    assert_eq!(launches(&mut scheduler), [0]);
    scheduler.handle_host_unreachable(NOW, H0, "cut");
    scheduler.handle_host_up(NOW, H0, facts(2));
    assert_eq!(launches(&mut scheduler), [0], "sent again");
    let (reason, at) = ("too small".into(), crate::time::Timestamp(0));
    let (key, scope) = (Key::new(0, 1), Scope::Host);
    scheduler.handle_record(NOW, H0, Record::Refused { key, reason, scope, at });
    assert_eq!(launches(&mut scheduler), [0; 0]);
    assert_eq!(scheduler.run().jobs()[0].state(), State::Free, "the other host may take it");
    scheduler.handle_host_up(NOW, HostIx(1), facts(3));
    let ended = (0..3).map(|index| scheduler.run().jobs()[index].state());
    assert!(ended.eq([State::Error; 3]), "neither of them offers that");
}

#[test]
fn of_hosts_that_were_never_reached_nobody_knows_what_they_offer() {
    let mut scheduler = scheduler(Config::default(), 1, &[asks(9)]);
    scheduler.handle_host_failed(NOW, H0, "no such host");
    assert!(scheduler.unfit_jobs().is_empty());
    let last = events(&mut scheduler).pop();
    assert_eq!(last, Some(run_ended(RunEnd::NoHosts, Tally { free: 1, ..Tally::default() })));
}
