//! Hosts that say of jobs, or of themselves, what nobody has asked for: what it
//! costs the run is bounded, and another host does the jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob::settings::RunSettings;
use gjob::store::StateDir;
use gjob::{Manager, ManagerError};
use gjob_core::event::RunEnd;
use gjob_core::run::HostStatus;
use gjob_core::{JobSpec, Run, State};

use super::{HONEST, PATIENCE, ROGUE, Scene};

/// Runs so many jobs on a rogue and an honest host.
fn run(role: &str, list: &str, jobs: usize) -> Run {
    let scene = Scene::of(role, list);
    let state = StateDir::new(scene.dir.path().join("state"));
    let network = scene.network.settings().clone();
    let lost_after = Some(Duration::from_secs(3));
    let settings = RunSettings { network, lost_after, ..RunSettings::default() };
    let spec = Arc::new(JobSpec::new(["true"]).unwrap());
    let mut manager = Manager::new(Duration::from_secs(1));
    manager.setup_with(&state, vec![spec; jobs], None, &settings).unwrap();
    let began = Instant::now();
    // No job is launched before both are there.
    while manager.run().unwrap().hosts().iter().any(|host| host.status != HostStatus::Up) {
        assert!(began.elapsed() < PATIENCE);
        manager.update_job_status().unwrap();
    }
    let end: Result<RunEnd, ManagerError> = manager.process_jobs();
    assert_eq!(end.unwrap(), RunEnd::Complete);
    assert!(began.elapsed() < PATIENCE);
    manager.run().unwrap().clone()
}

fn all_done(run: &Run) -> bool {
    run.jobs().iter().all(|job| job.state() == State::Done)
}

#[test]
fn a_host_that_ends_jobs_unasked_is_paused_and_another_does_them() {
    for role in ["interrupts", "supersedes", "withdraws", "restarts"] {
        let run = run(role, "h1,h2", 40);
        assert!(all_done(&run), "{role}");
        let attempts: u32 = run.jobs().iter().map(|job| job.last_attempt).sum();
        assert!(attempts <= 60, "{role}: {attempts}");
        let rogue = run.host(ROGUE).unwrap().totals;
        assert!((1..=20).contains(&rogue.host_failures), "{role}: {rogue:?}");
        assert_eq!(run.host(HONEST).unwrap().totals.succeeded, 40, "{role}");
    }
}

#[test]
fn a_host_gets_no_more_jobs_at_once_than_its_user_gave_it() {
    let run = run("greedy", "2/h1,2/h2", 20);
    assert!(all_done(&run));
    assert_eq!(run.host(ROGUE).unwrap().offer().cpus, 2);
    assert!(run.host(HONEST).unwrap().totals.succeeded > 0);
}

#[test]
fn a_host_that_begins_nothing_and_does_not_answer_is_out() {
    let run = run("mute", "h1,h2", 10);
    assert!(all_done(&run));
    let rogue = run.host(ROGUE).unwrap();
    let said = "it has not answered a withdrawal for 6 s";
    assert_eq!((rogue.status, rogue.reason.as_deref()), (HostStatus::Failed, Some(said)));
}

#[test]
fn numbers_without_bounds_are_cut() {
    let run = run("boundless", "h1,h2", 10);
    assert!(all_done(&run));
    let shown = run.jobs().iter().filter_map(|job| job.attempt.as_deref());
    assert!(shown.clone().all(|attempt| attempt.started.unwrap().to_string().len() == 24));
    for finish in shown.filter_map(|attempt| attempt.finish.as_deref()) {
        assert!(finish.stdout_bytes.checked_add(finish.stderr_bytes).is_some());
    }
}

#[test]
fn host_whose_jobs_take_what_its_agent_says_is_connected_again_and_stays() {
    let run = run("robbed", "h1", 3);
    assert!(all_done(&run));
    let host = run.host(ROGUE).unwrap();
    assert_eq!((host.status, host.totals.succeeded), (HostStatus::Up, 3));
    assert!(run.jobs().iter().all(|job| job.last_attempt == 1));
}
