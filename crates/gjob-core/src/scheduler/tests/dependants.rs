//! Jobs that wait for others.

use super::*;
use crate::dependency::After;

fn dependencies(after: &[&[After]]) -> Dependencies {
    let spec = |after: &&[After]| Arc::new(JobSpec::new(["true"]).unwrap().after(after.to_vec()));
    Dependencies::resolve(&after.iter().map(spec).collect::<Vec<_>>()).unwrap()
}

fn reason(scheduler: &mut Scheduler, of: u32) -> Option<String> {
    events(scheduler).into_iter().find_map(|event| match event {
        What::Job(JobEvent { key, change: JobChange::Ended { reason, .. } }) if key.index == of => {
            reason
        }
        _ => None,
    })
}

#[test]
fn a_held_job_that_waits_is_the_same_to_the_next_manager() {
    let held = Init { paused: true, ..Init::new(0) };
    for resumed_first in [true, false] {
        let failed = Init { retries: 0, ..init(Start::Running(H0)) };
        let mut scheduler = scheduler_with(
            Config::default(),
            1,
            &[failed, held],
            dependencies(&[&[], &[After::Job(0)]]),
        );
        scheduler.handle_host_up(NOW, H0, facts(4));
        if resumed_first {
            assert!(scheduler.handle_resume(1));
            scheduler.settle(NOW);
            assert_eq!(orders(&mut scheduler), [], "it waits for job 0 still");
        }
        scheduler.handle_record(NOW, H0, finished(Key::new(0, 1), Ending::Exit(1), None));
        let why = reason(&mut scheduler, 1);
        assert_eq!(why.as_deref(), Some("dependency: job 0 is not done"), "{resumed_first}");
    }
}

#[test]
fn what_was_held_until_its_dependency_had_failed_fails_with_it() {
    let (failed, held) = (init(Start::Ended(State::Error)), Init::new(0));
    let held = Init { paused: true, ..held };
    let mut scheduler = scheduler_with(
        Config::default(),
        1,
        &[failed, held],
        dependencies(&[&[], &[After::Job(0)]]),
    );
    scheduler.settle(NOW);
    assert_eq!(reason(&mut scheduler, 1).as_deref(), Some("dependency: job 0 is not done"));
}

#[test]
fn jobs_that_fail_with_what_they_wait_for_are_no_failures_of_their_own() {
    let config =
        || Config { halt: Some(crate::halt::Halt::after_failures(2)), ..Config::default() };
    let after = [After::Job(0)];
    let waits = dependencies(&[&[], &after, &after, &after, &[]]);
    let jobs = [init(Start::Running(H0)), Init::new(0), Init::new(0), Init::new(0)];
    let mut jobs = jobs.to_vec();
    jobs.push(Init::new(0));
    let mut first = scheduler_with(config(), 1, &jobs, waits.clone());
    first.handle_host_up(NOW, H0, facts(1));
    first.handle_record(NOW, H0, finished(Key::new(0, 1), Ending::Exit(1), None));
    assert_eq!(first.run().tally().error, 4);
    let launch = Action::Launch { host: H0, key: Key::new(4, 1) };
    assert_eq!(orders(&mut first), std::slice::from_ref(&launch));
    // The next manager counts likewise.
    jobs[0] = init(Start::Ended(State::Error));
    (1..4).for_each(|index| jobs[index].start = Start::Ended(State::Error));
    let mut second = scheduler_with(config(), 1, &jobs, waits);
    second.handle_host_up(NOW, H0, facts(1));
    assert_eq!(orders(&mut second), [launch]);
    // Tried again and failed again, they count no more than before.
    assert_eq!(second.handle_retry(0), [0, 1, 2, 3], "those that wait for it are retried with it");
    second.settle(NOW);
    second.handle_record(NOW, H0, finished(Key::new(4, 1), Ending::Exit(1), None));
    assert_eq!(orders(&mut second), [Action::Launch { host: H0, key: Key::new(0, 2) }]);
    second.handle_record(NOW, H0, finished(Key::new(0, 2), Ending::Exit(1), None));
    assert_eq!(orders(&mut second), [Action::Stop(RunEnd::Complete)]);
}

#[test]
fn a_retried_dependency_that_has_failed_first_is_not_named_for_others() {
    let failed = init(Start::Ended(State::Error));
    let waits = dependencies(&[&[], &[], &[After::Jobs(0, 1)]]);
    let mut scheduler = scheduler_with(Config::default(), 1, &[failed, failed, failed], waits);
    assert_eq!((scheduler.handle_retry(0), scheduler.handle_retry(2)), (vec![0], vec![2]));
    scheduler.settle(NOW);
    assert_eq!(reason(&mut scheduler, 2).as_deref(), Some("dependency: job 1 is not done"));
    assert_eq!((scheduler.handle_retry(1), scheduler.handle_retry(2)), (vec![1], vec![2]));
    scheduler.settle(NOW);
    assert_eq!(scheduler.run().jobs()[2].state(), State::Free);
}

/// 100,000 jobs, each of which waits for the one before.
#[test]
fn a_long_chain_fails_or_passes_as_a_whole() {
    const JOBS: u32 = 100_000;
    let after: Vec<Vec<After>> =
        (0..JOBS).map(|job| job.checked_sub(1).map(After::Job).into_iter().collect()).collect();
    let after: Vec<&[After]> = after.iter().map(Vec::as_slice).collect();
    for exit in [0, 1] {
        let mut scheduler = scheduler_with(
            Config::default(),
            1,
            &vec![Init::new(0); JOBS as usize],
            dependencies(&after),
        );
        scheduler.handle_host_up(NOW, H0, facts(4));
        for index in 0..if exit == 0 { JOBS } else { 1 } {
            scheduler.handle_record(
                NOW,
                H0,
                finished(Key::new(index, 1), Ending::Exit(exit), None),
            );
        }
        let tally = scheduler.run().tally();
        assert_eq!((tally.done, tally.error), if exit == 0 { (JOBS, 0) } else { (0, JOBS) });
    }
}

/// 20,000 jobs, for all of which 20,000 others wait.
#[test]
fn a_wide_group_fails_as_a_whole() {
    const HALF: u32 = 20_000;
    let (first, second): (Vec<After>, _) = (Vec::new(), [After::Jobs(0, HALF - 1)]);
    let mut after: Vec<&[After]> = vec![&first; HALF as usize];
    after.extend(vec![&second[..]; HALF as usize]);
    let jobs = vec![Init::new(0); 2 * HALF as usize];
    let mut scheduler = scheduler_with(Config::default(), 1, &jobs, dependencies(&after));
    scheduler.hold();
    scheduler.handle_host_up(NOW, H0, facts(4));
    // All at once, the last one first.
    assert!((0..HALF).rev().all(|index| scheduler.handle_kill(index)));
    scheduler.settle(NOW);
    assert_eq!(scheduler.run().tally().error, 2 * HALF);
    let why = format!("dependency: job {} is not done", HALF - 1);
    assert_eq!(reason(&mut scheduler, HALF), Some(why));
}
