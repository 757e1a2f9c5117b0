use super::*;

const NOW: Duration = Duration::from_secs(1);

fn scheduler(config: Config, hosts: u32, jobs: &[JobInit]) -> Scheduler {
    let labels = (0..hosts).map(|host| format!("h{host}").parse().unwrap());
    Scheduler::new(config, labels, jobs.iter().copied())
}

fn init(start: JobStart) -> JobInit {
    JobInit { attempt: 1, start, ..JobInit::new(0) }
}

fn actions(scheduler: &mut Scheduler) -> Vec<Action> {
    std::iter::from_fn(|| scheduler.poll_action()).collect()
}

fn events(scheduler: &mut Scheduler) -> Vec<EventKind> {
    let kind = |action| match action {
        Action::Emit(kind) => Some(kind),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(kind).collect()
}

/// What is sent to hosts.
fn orders(scheduler: &mut Scheduler) -> Vec<Action> {
    let mut all = actions(scheduler);
    all.retain(|action| !matches!(action, Action::Emit(_)));
    all
}

const H0: HostIx = HostIx(0);

#[test]
fn a_run_does_not_end_between_two_jobs_of_one_retry() {
    let failed = init(JobStart::Ended(State::Error));
    let config = Config { max_fails: Some(1), ..Config::default() };
    let mut scheduler = scheduler(config, 1, &[failed, failed]);
    assert!(scheduler.handle_retry(0) && scheduler.handle_retry(1));
    scheduler.settle(NOW);
    let reopened = |index| EventKind::JobReopened { key: Key::new(index, 1) };
    assert_eq!(events(&mut scheduler), [reopened(0), reopened(1)]);
    scheduler.handle_host_up(NOW, H0, "h", 4);
    let launch = |index| Action::Launch { host: H0, key: Key::new(index, 2) };
    assert_eq!(orders(&mut scheduler), [launch(0), launch(1)]);
}
