//! Hosts that users add, drain and remove, and other limits for a run that goes on.

use super::*;
use crate::halt::Halt;
use crate::run::{HostDuty, TaskSpecs};

const H1: HostIx = HostIx(1);

fn launch(host: HostIx, key: Key) -> Action {
    Action::Launch { host, key }
}

fn kill(host: HostIx, key: Key) -> Action {
    Action::Order { host, key, order: Order::kill(Cause::Interrupted) }
}

fn started(key: Key) -> Record {
    Record::Started {
        key,
        id: "h/2026-11-22-1".parse().unwrap(),
        pid: 1,
        at: Timestamp(5),
        processors: Vec::new(),
    }
}

fn job(index: u32) -> Key {
    Key::new(index, 1)
}

fn leaving(scheduler: &Scheduler, host: HostIx) -> Option<&'static str> {
    scheduler.run().hosts()[host.at()].leaving()
}

/// Host 0 has begun job 0, and has got job 1, which it has not begun.
fn one_of_two_begun(hosts: u32) -> Scheduler {
    let mut scheduler = scheduler(Config::default(), hosts, &[Init::new(0); 2]);
    scheduler.handle_host_up(NOW, H0, facts(2));
    assert_eq!(orders(&mut scheduler), [launch(H0, job(0)), launch(H0, job(1))]);
    scheduler.handle_record(NOW, H0, started(job(0)));
    scheduler
}

#[test]
fn drained_host_ends_what_it_has_begun_and_gets_nothing_more() {
    let mut scheduler = one_of_two_begun(2);
    scheduler.handle_host_up(NOW, H1, facts(1));
    scheduler.handle_drain(NOW, H0);
    assert_eq!(orders(&mut scheduler), [Action::Withdraw { host: H0, key: job(1) }]);
    scheduler.handle_record(NOW, H0, Record::Withdrawn { key: job(1), at: Timestamp(5) });
    assert_eq!(orders(&mut scheduler), [launch(H1, job(1))]);
    assert_eq!(leaving(&scheduler, H0), Some("draining"));
    scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(0), None));
    assert_eq!(leaving(&scheduler, H0), Some("drained"));
    assert_eq!(scheduler.state(0), JobState::Ended(State::Done));
}

#[test]
fn run_whose_hosts_are_all_drained_ends_with_its_last_running_job() {
    let mut scheduler = one_of_two_begun(1);
    scheduler.handle_drain(NOW, H0);
    scheduler.handle_record(NOW, H0, Record::Withdrawn { key: job(1), at: Timestamp(5) });
    assert!(!orders(&mut scheduler).contains(&Action::Stop(RunEnd::NoHosts)));
    scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(0), None));
    assert_eq!(orders(&mut scheduler), [Action::Stop(RunEnd::NoHosts)]);
}

#[test]
fn what_runs_on_a_removed_host_is_killed_and_runs_again_elsewhere() {
    let mut scheduler = one_of_two_begun(2);
    scheduler.handle_host_up(NOW, H1, facts(2));
    scheduler.handle_remove(NOW, H0);
    let withdraw = Action::Withdraw { host: H0, key: job(1) };
    assert_eq!(orders(&mut scheduler), [withdraw, kill(H0, job(0))]);
    // What was withdrawn had begun.
    scheduler.handle_record(NOW, H0, started(job(1)));
    assert_eq!(orders(&mut scheduler), [kill(H0, job(1))]);
    let end = |key| finished(key, Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW, H0, end(job(0)));
    assert_eq!(orders(&mut scheduler), [launch(H1, Key::new(0, 2))]);
    assert_eq!(leaving(&scheduler, H0), Some("removing"));
    scheduler.handle_record(NOW, H0, end(job(1)));
    let release = Action::Release { host: H0 };
    assert_eq!(orders(&mut scheduler), [launch(H1, Key::new(1, 2)), release]);
    assert_eq!(leaving(&scheduler, H0), Some("removed"));
}

#[test]
fn job_that_ended_before_its_removed_host_could_kill_it_has_that_outcome() {
    let mut scheduler = one_of_two_begun(2);
    scheduler.handle_remove(NOW, H0);
    scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(0), None));
    assert_eq!(scheduler.state(0), JobState::Ended(State::Done));
}

#[test]
fn another_manager_goes_on_with_what_users_want_of_hosts() {
    let mut before = one_of_two_begun(2);
    before.handle_remove(NOW, H0);
    let mut scheduler = Scheduler::new(Config::default(), before.run().clone());
    scheduler.handle_start("2026-11-22-1".parse().unwrap(), true);
    scheduler.handle_host_up(NOW, H1, facts(2));
    assert_eq!(orders(&mut scheduler), []);
    scheduler.handle_host_up(NOW, H0, facts(2));
    let withdraw = Action::Withdraw { host: H0, key: job(1) };
    assert_eq!(orders(&mut scheduler), [kill(H0, job(0)), withdraw, kill(H0, job(1))]);
    // One that was returned to service meanwhile still ends what it was told to end.
    let (ix, opens) =
        scheduler.handle_host_added(NOW, &label(H0), Vec::new(), TaskSpecs::default());
    assert_eq!((ix, opens), (H0, false));
    let end = finished(job(0), Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW, H0, end);
    let hosts = scheduler.run().hosts();
    assert_eq!((hosts[0].duty, hosts[0].totals.host_failures), (HostDuty::Serving, 0));
}

#[test]
fn added_host_gets_jobs_and_labels_count_for_it() {
    let spec = |spec: JobSpec| Arc::new(spec);
    let free = JobSpec::new(["true"]).unwrap();
    let specs = vec![spec(free.clone().hosts(["h0"])), spec(free.labels(["big"]))];
    let run = Run::new([label(H0)], specs, Dependencies::default());
    let run = run.with_labels([vec!["big".to_owned()]]);
    let mut scheduler = Scheduler::new(Config::default(), run);
    let (ix, opens) =
        scheduler.handle_host_added(NOW, &label(H1), vec!["big".to_owned()], TaskSpecs::default());
    assert_eq!((ix, opens), (H1, true));
    scheduler.handle_host_up(NOW, H1, facts(4));
    // Job 0 could run on every host before.
    assert_eq!(orders(&mut scheduler), [launch(H1, job(1))]);
    scheduler.handle_host_up(NOW, H0, facts(4));
    assert_eq!(orders(&mut scheduler), [launch(H0, job(0))]);
}

#[test]
fn bound_job_fails_with_its_removed_host_and_waits_for_a_drained_one() {
    let spec = |host: &str| Arc::new(JobSpec::new(["true"]).unwrap().hosts([host]));
    let specs = vec![spec("h0"), spec("h1")];
    let run = Run::new([H0, H1, HostIx(2)].map(label), specs, Dependencies::default());
    let mut scheduler = Scheduler::new(Config::default(), run);
    scheduler.handle_host_up(NOW, HostIx(2), facts(1));
    scheduler.handle_drain(NOW, H0);
    scheduler.handle_remove(NOW, H1);
    let waits = scheduler.run().wait_in_words(0, true);
    assert_eq!(waits.as_deref(), Some("every host that it is bound to is drained"));
    let reason = scheduler.run().jobs()[1].reason.clone();
    assert_eq!(reason.as_deref(), Some("bound to h1, which was removed from the run"));
}

#[test]
fn other_slots_count_once_their_host_is_connected_to_anew() {
    // With a limit, nothing is dispatched ahead of need.
    let config = Config { halt: Some(Halt::after_failures(9)), ..Config::default() };
    let mut scheduler = scheduler(config, 1, &[Init::new(0); 4]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert_eq!(orders(&mut scheduler), [launch(H0, job(0))]);
    scheduler.handle_new_slots(NOW, H0, 3);
    assert_eq!(orders(&mut scheduler), [], "it is connected to anew");
    scheduler.handle_host_up(NOW, H0, facts(3));
    let again = [launch(H0, job(0)), launch(H0, job(1)), launch(H0, job(2))];
    assert_eq!(orders(&mut scheduler), again);
    scheduler.handle_new_slots(NOW, H0, 1);
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert_eq!(orders(&mut scheduler), again);
    scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(0), None));
    scheduler.handle_record(NOW, H0, finished(job(1), Ending::Exit(0), None));
    assert_eq!(orders(&mut scheduler), []);
    scheduler.handle_record(NOW, H0, finished(job(2), Ending::Exit(0), None));
    assert_eq!(orders(&mut scheduler), [launch(H0, job(3))]);
}

#[test]
fn run_that_ends_for_its_limit_goes_on_with_another() {
    let halt = Some(Halt::after_failures(1));
    let config = Config { halt, ..Config::default() };
    let mut scheduler = scheduler(config, 1, &[Init::new(0); 3]);
    scheduler.handle_host_up(NOW, H0, facts(2));
    orders(&mut scheduler);
    scheduler.handle_record(NOW, H0, started(job(1)));
    scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(1), None));
    assert_eq!(orders(&mut scheduler), []);
    scheduler.handle_new_halt(NOW, Some(Halt::after_failures(2)));
    assert_eq!(orders(&mut scheduler), [launch(H0, job(2))]);
    scheduler.handle_new_halt(NOW, halt);
    assert_eq!(orders(&mut scheduler), [Action::Withdraw { host: H0, key: job(2) }]);
}

#[test]
fn job_that_asks_for_more_than_a_slot_waits_when_every_host_was_removed() {
    let ask = Ask { cpus: Cpus::Count(2), ..Ask::default() };
    let mut scheduler = scheduler(Config::default(), 1, &[Init { ask, ..Init::new(0) }; 2]);
    scheduler.handle_host_up(NOW, H0, facts(2));
    scheduler.handle_record(NOW, H0, started(job(0)));
    scheduler.handle_remove(NOW, H0);
    let end = finished(job(0), Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW, H0, end);
    assert_eq!(scheduler.run().tally(), Tally { free: 2, ..Tally::default() });
    assert!(orders(&mut scheduler).contains(&Action::Stop(RunEnd::NoHosts)));
}

/// A run of one host, which is busy with one of its two jobs when another one is added.
fn with_added_host() -> Scheduler {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0); 2]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_record(NOW, H0, started(job(0)));
    assert_eq!(all_actions(&mut scheduler).len(), 4, "a single host is told nothing");
    scheduler.handle_host_added(NOW, &label(H1), Vec::new(), TaskSpecs::default());
    scheduler
}

#[test]
fn added_host_begins_no_job_before_another_one_has_kept_how_many_there_are() {
    let mut scheduler = with_added_host();
    let tell = |host| Action::TellHostCount { host, hosts: 2 };
    assert!(all_actions(&mut scheduler).contains(&tell(H0)));
    scheduler.handle_host_up(NOW, H1, facts(1));
    let said = all_actions(&mut scheduler);
    assert!(said.contains(&tell(H1)) && !said.contains(&launch(H1, job(1))), "{said:?}");
    // That it knows itself of is of no use to a copy which does not know it.
    scheduler.handle_host_count(NOW, H1, 2);
    // Without space, the other one keeps what it has.
    assert_eq!(orders(&mut scheduler), []);
    scheduler.handle_host_count(NOW, H0, 2);
    assert_eq!(orders(&mut scheduler), [launch(H1, job(1))]);
}

#[test]
fn added_host_begins_jobs_when_no_other_can_be_told() {
    let away: [&dyn Fn(&mut Scheduler); 4] = [
        &|it| it.handle_host_unreachable(NOW, H0, "gone"),
        &|it| it.handle_drain(NOW, H0),
        // It has no space for it.
        &|it| it.handle_host_count(NOW, H0, 0),
        &|it| {
            let due = NOW + Config::default().lost_after;
            assert_eq!(it.poll_timeout(), Some(due));
            it.handle_timeout(due);
        },
    ];
    for be_away in away {
        let mut scheduler = with_added_host();
        scheduler.handle_host_up(NOW, H1, facts(1));
        assert_eq!(orders(&mut scheduler), []);
        be_away(&mut scheduler);
        assert_eq!(orders(&mut scheduler), [launch(H1, job(1))]);
    }
}

#[test]
fn next_manager_tells_of_the_added_host_before_that_begins_a_job() {
    let run = with_added_host().run().clone();
    let mut scheduler = Scheduler::new(Config::default(), run);
    scheduler.handle_start("2026-11-22-1".parse().unwrap(), true);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    assert_eq!(orders(&mut scheduler), []);
    scheduler.handle_host_count(NOW, H0, 2);
    assert_eq!(orders(&mut scheduler), [launch(H1, job(1))]);
}

#[test]
fn host_that_is_connected_to_anew_gets_no_job_before_it_is_up() {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0); 2]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_record(NOW, H0, started(job(0)));
    actions(&mut scheduler);
    scheduler.handle_new_slots(NOW, H0, 2);
    assert_eq!(orders(&mut scheduler), []);
    // What runs there is killed before an interrupted run ends.
    scheduler.handle_interrupt(NOW);
    let stop = Action::Stop(RunEnd::Interrupted);
    assert!(!orders(&mut scheduler).contains(&stop));
    scheduler.handle_host_up(NOW, H0, facts(2));
    assert_eq!(orders(&mut scheduler), [kill(H0, job(0))]);
}

#[test]
fn removed_host_that_is_drained_stays_removed_and_can_be_returned_to_service() {
    let mut scheduler = one_of_two_begun(2);
    scheduler.handle_remove(NOW, H1);
    scheduler.handle_drain(NOW, H1);
    assert_eq!(leaving(&scheduler, H1), Some("removed"));
    let added = scheduler.handle_host_added(NOW, &label(H1), Vec::new(), TaskSpecs::default());
    assert_eq!(added, (H1, true), "its link is opened anew");
}

#[test]
fn run_that_ends_without_hosts_or_for_its_limit_goes_on_once_that_is_changed() {
    for end in [RunEnd::NoHosts, RunEnd::MaxFails] {
        let config = Config { halt: Some(Halt::after_failures(1)), ..Config::default() };
        let mut scheduler = scheduler(config, 1, &[Init::new(0); 2]);
        let teardown = TaskSpecs { setup: None, teardown: Some(scheduler.job(0).spec.clone()) };
        scheduler.handle_host_added(NOW, &label(H0), Vec::new(), teardown);
        scheduler.handle_host_up(NOW, H0, facts(1));
        scheduler.handle_record(NOW, H0, started(job(0)));
        if end == RunEnd::NoHosts {
            scheduler.handle_drain(NOW, H0);
            scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(0), None));
        } else {
            scheduler.handle_record(NOW, H0, finished(job(0), Ending::Exit(1), None));
        }
        let torn_down = Key::new(3, 1);
        assert!(orders(&mut scheduler).contains(&launch(H0, torn_down)), "{end:?}");
        if end == RunEnd::NoHosts {
            scheduler.handle_host_added(NOW, &label(H1), Vec::new(), TaskSpecs::default());
        } else {
            scheduler.handle_new_halt(NOW, None);
        }
        scheduler.handle_record(NOW, H0, started(torn_down));
        scheduler.handle_record(NOW, H0, finished(torn_down, Ending::Exit(0), None));
        scheduler.handle_host_up(NOW, H1, facts(1));
        let host = if end == RunEnd::NoHosts { H1 } else { H0 };
        let sent = orders(&mut scheduler);
        assert!(sent.contains(&launch(host, job(1))), "{end:?}: {sent:?}");
        assert!(!sent.contains(&Action::Stop(end)));
    }
}
