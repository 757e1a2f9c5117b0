//! Jobs that are bound to some of the run's hosts.

use super::*;

const H1: HostIx = HostIx(1);
const H2: HostIx = HostIx(2);

fn bound(hosts: &[&str]) -> JobSpec {
    JobSpec::new(["true"]).unwrap().hosts(hosts.iter().copied())
}

fn free() -> JobSpec {
    bound(&[])
}

fn scheduler_of(config: Config, hosts: u32, specs: Vec<JobSpec>) -> Scheduler {
    let specs: Vec<Arc<JobSpec>> = specs.into_iter().map(Arc::new).collect();
    let dependencies = Dependencies::resolve(&specs).unwrap();
    let hosts = (0..hosts).map(|host| label(HostIx(host)));
    Scheduler::new(config, Run::new(hosts, specs, dependencies))
}

fn launches(scheduler: &mut Scheduler) -> Vec<(u32, u32)> {
    let launch = |action| match action {
        Action::Launch { host, key } => Some((host.0, key.index)),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(launch).collect()
}

fn reason(scheduler: &Scheduler, index: u32) -> (State, String) {
    let job = scheduler.run().job(index).unwrap();
    (job.state(), job.reason.clone().unwrap_or_default())
}

fn done(scheduler: &mut Scheduler, host: HostIx, index: u32) {
    let key = scheduler.run().job(index).unwrap().last_key();
    assert!(scheduler.handle_record(NOW, host, finished(key, Ending::Exit(0), None)));
}

#[test]
fn bound_job_runs_on_its_hosts_alone_and_hides_no_other() {
    let specs = vec![bound(&["h1"]), bound(&["h1"]), bound(&["h[1-2]"]), free()];
    let mut scheduler = scheduler_of(Config::default(), 3, specs);
    scheduler.handle_host_up(NOW, H1, facts(1));
    assert_eq!(launches(&mut scheduler), [(1, 0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert_eq!(launches(&mut scheduler), [(0, 3)], "those before it may not run there");
    scheduler.handle_host_up(NOW, H2, facts(1));
    assert_eq!(launches(&mut scheduler), [(2, 2)]);
    done(&mut scheduler, H1, 0);
    assert_eq!(launches(&mut scheduler), [(1, 1)]);
}

#[test]
fn labels_count_as_names_do() {
    let specs = vec![JobSpec::new(["true"]).unwrap().labels(["a100"]), bound(&["@a100"]), free()];
    let specs: Vec<Arc<JobSpec>> = specs.into_iter().map(Arc::new).collect();
    let run = Run::new([H0, H1].map(label), specs, Dependencies::default());
    let run = run.with_labels([vec![], vec!["a100".to_owned()]]);
    assert_eq!(run.bounds().sets(), [[H1]]);
    let mut scheduler = Scheduler::new(Config::default(), run);
    scheduler.handle_host_up(NOW, H0, facts(4));
    assert_eq!(launches(&mut scheduler), [(0, 2)]);
    scheduler.handle_host_up(NOW, H1, facts(4));
    assert_eq!(launches(&mut scheduler), [(1, 0), (1, 1)]);
}

/// More classes than are looked at in one decision.
#[test]
fn thousands_of_jobs_each_bound_to_a_host_of_its_own_hide_nothing_behind_them() {
    let mut specs: Vec<JobSpec> = (0..6000).map(|host| bound(&[&format!("h{host}")])).collect();
    specs.extend([bound(&["h6000"]), free()]);
    let mut scheduler = scheduler_of(Config::default(), 6001, specs);
    scheduler.handle_host_up(NOW, HostIx(6000), facts(2));
    assert_eq!(launches(&mut scheduler), [(6000, 6000), (6000, 6001)]);
    scheduler.handle_host_up(NOW, HostIx(5999), facts(2));
    assert_eq!(launches(&mut scheduler), [(5999, 5999)]);
}

/// A scheduler that has handed jobs ahead of need to h1, since they were short.
fn ahead(mut specs: Vec<JobSpec>) -> Scheduler {
    specs.insert(0, bound(&["h1"]));
    let mut scheduler = scheduler_of(Config::default(), 3, specs);
    scheduler.handle_host_up(NOW, H1, facts(1));
    done(&mut scheduler, H1, 0);
    assert!(launches(&mut scheduler).len() > 2);
    scheduler
}

fn withdrawn(scheduler: &mut Scheduler) -> Vec<u32> {
    let later = NOW + Duration::from_secs(1);
    scheduler.handle_timeout(later);
    let withdraw = |action| match action {
        Action::Withdraw { key, .. } => Some(key.index),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(withdraw).collect()
}

#[test]
fn bound_job_is_taken_back_only_for_a_host_that_may_run_it() {
    let mut only_h1 = ahead(vec![bound(&["h1"]); 4]);
    only_h1.handle_host_up(NOW, H0, facts(2));
    assert_eq!(withdrawn(&mut only_h1), [0; 0]);
    assert_eq!(only_h1.poll_timeout().filter(|due| *due < NOW + Duration::from_secs(60)), None);

    let mut either = ahead(vec![bound(&["h1", "h2"]); 4]);
    either.handle_host_up(NOW, H0, facts(2));
    assert_eq!(withdrawn(&mut either), [0; 0]);
    either.handle_host_up(NOW, H2, facts(1));
    assert_eq!(withdrawn(&mut either), [4], "as many as it has slots");

    let mut mixed = ahead(vec![free(), free(), bound(&["h1"]), bound(&["h1"])]);
    mixed.handle_host_up(NOW, H0, facts(1));
    assert_eq!(withdrawn(&mut mixed), [2], "the last that is free to go");
}

#[test]
fn job_fails_whose_hosts_are_out_once_others_answer() {
    let specs = vec![bound(&["h1", "h2"]), bound(&["h1"]), free()];
    let mut scheduler = scheduler_of(Config::default(), 3, specs);
    scheduler.handle_host_failed(NOW, H1, "no such name");
    assert_eq!(reason(&scheduler, 1).0, State::Free, "nobody answers yet");
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert_eq!(
        reason(&scheduler, 1),
        (State::Error, "bound to h1, which is out of the run: no such name".into())
    );
    assert_eq!(reason(&scheduler, 0).0, State::Free, "h2 may come");
    scheduler.handle_host_failed(NOW, H2, "refused");
    let why = "bound to 2 hosts, none of which can be used; h1 is out of the run: no such name; h2 is \
               out of the run: refused";
    assert_eq!(reason(&scheduler, 0), (State::Error, why.into()));
    assert!(!scheduler.handle_retry(1).is_empty());
    scheduler.settle(NOW);
    assert_eq!(reason(&scheduler, 1).0, State::Error, "it is still out");
    done(&mut scheduler, H0, 2);
    assert_eq!(scheduler.run().ended(), Some(RunEnd::Complete));
}

#[test]
fn job_fails_whose_host_is_not_reached_while_others_are() {
    let specs = vec![bound(&["h1"]), free()];
    let mut scheduler = scheduler_of(Config::default(), 2, specs);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_unreachable(NOW, H1, "connection refused");
    let due = NOW + Duration::from_secs(30);
    assert_eq!(scheduler.unserved.next_due(), Some(due));
    scheduler.handle_timeout(due - Duration::from_millis(1));
    assert_eq!(reason(&scheduler, 0).0, State::Free);
    scheduler.handle_timeout(due);
    let why = "bound to h1, which was not reached within 30 s: connection refused";
    assert_eq!(reason(&scheduler, 0), (State::Error, why.into()));
    assert_eq!(scheduler.unserved.next_due(), None);
}

#[test]
fn host_that_was_reached_is_waited_for() {
    let specs = vec![bound(&["h1"]), bound(&["h1"]), free()];
    let config = Config { lost_after: Duration::from_secs(60), ..Config::default() };
    let mut scheduler = scheduler_of(config, 2, specs);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    scheduler.handle_host_unreachable(NOW, H1, "cut");
    let later = NOW + Duration::from_secs(3600);
    scheduler.handle_timeout(later);
    done(&mut scheduler, H0, 2);
    assert_eq!((reason(&scheduler, 0).0, reason(&scheduler, 1).0), (State::Busy, State::Free));
    assert_eq!(scheduler.run().job(0).unwrap().phase, Phase::Assigned, "nobody else may run it");
    assert_eq!(scheduler.run().ended(), None);
    scheduler.handle_host_up(later, H1, facts(1));
    assert!(launches(&mut scheduler).contains(&(1, 0)));
    scheduler.handle_host_failed(later, H1, "its key has changed");
    let end = later + Duration::from_secs(3600);
    scheduler.handle_timeout(end);
    assert_eq!(reason(&scheduler, 1).0, State::Error);
    assert_eq!(scheduler.run().ended(), Some(RunEnd::NoHosts), "0 may live there");
}

#[test]
fn lost_job_goes_to_another_host_that_it_is_bound_to() {
    let config = Config { lost_after: Duration::from_secs(60), ..Config::default() };
    let mut scheduler = scheduler_of(config, 3, vec![bound(&["h1", "h2"])]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    scheduler.handle_host_unreachable(NOW, H1, "cut");
    let later = NOW + Duration::from_secs(3600);
    scheduler.handle_timeout(later);
    assert_eq!(launches(&mut scheduler), [(1, 0)]);
    scheduler.handle_host_up(later, H2, facts(1));
    scheduler.handle_timeout(later + Duration::from_secs(10));
    assert_eq!(launches(&mut scheduler), [(2, 0)]);
}

#[test]
fn retried_job_does_not_wait_for_a_host_that_it_may_not_run_on() {
    let specs = vec![bound(&["h1"]).retries(1)];
    let mut scheduler = scheduler_of(Config::default(), 2, specs);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    launches(&mut scheduler);
    scheduler.handle_record(NOW, H1, finished(Key::new(0, 1), Ending::Exit(1), None));
    scheduler.handle_timeout(NOW + Duration::from_secs(1));
    assert_eq!(launches(&mut scheduler), [(1, 0)]);
}

#[test]
fn what_no_host_of_the_set_offers_is_unfit() {
    let spec = bound(&["h1"]).cpus(Cpus::Count(4));
    let mut scheduler = scheduler_of(Config::default(), 2, vec![spec, bound(&["h1"])]);
    scheduler.handle_host_up(NOW, H0, facts(8));
    scheduler.handle_host_up(NOW, H1, facts(2));
    let why = "asks for 4 CPUs: no host that it is bound to offers that; the closest is h1 with 2 ";
    assert!(reason(&scheduler, 0).1.starts_with(why), "{:?}", reason(&scheduler, 0));
    assert_eq!(launches(&mut scheduler), [(1, 1)]);
}

#[test]
fn host_is_kept_for_a_big_job_that_is_bound_to_it() {
    let big = || bound(&["h1"]).cpus(Cpus::Count(2));
    let specs = vec![bound(&["h1"]), big(), bound(&["h1"]), free(), free()];
    let mut scheduler = scheduler_of(Config::default(), 2, specs);
    scheduler.handle_host_up(NOW, H1, facts(2));
    assert_eq!(launches(&mut scheduler), [(1, 0)], "h1 is kept for 1");
    scheduler.handle_host_up(NOW, H0, facts(2));
    assert_eq!(launches(&mut scheduler), [(0, 3), (0, 4)]);
    done(&mut scheduler, H1, 0);
    assert_eq!(launches(&mut scheduler)[0], (1, 1));
}

#[test]
fn taken_over_run_keeps_what_is_bound_where_it_may_run() {
    let specs: Vec<Arc<JobSpec>> = [bound(&["h1"]), bound(&["h0"])].map(Arc::new).to_vec();
    let mut run = Run::new([H0, H1].map(label), specs, Dependencies::default());
    let key = Key::new(0, 1);
    let change = AttemptChange::Assigned;
    let what = What::Attempt(AttemptEvent { key, host: label(H1), change });
    run.apply(&Event { seq: 1, at: Timestamp(0), what });
    let mut scheduler = Scheduler::new(Config::default(), run);
    scheduler.handle_host_up(NOW, H0, facts(2));
    assert_eq!(launches(&mut scheduler), [(0, 1)]);
    scheduler.handle_host_up(NOW, H1, facts(2));
    assert_eq!(launches(&mut scheduler), [(1, 0)]);
}

#[test]
fn host_of_just_the_name_is_meant_before_those_with_a_user_or_port() {
    let specs = [bound(&["h1"]), bound(&["me@h1:22"]), bound(&["h2"])].map(Arc::new);
    let hosts = ["h1", "me@h1:22", "h2:22", "me@h2"].map(|host| host.parse().unwrap());
    let run = Run::new(hosts, specs, Dependencies::default());
    assert_eq!(run.bounds().sets(), [vec![H0], vec![H1], vec![H2, HostIx(3)]]);
}
