//! Two managers of one run, as where the lock of a run does not show: the first one
//! stops, and no job is started twice.

mod support;

use std::time::Duration;

use support::{Place, eventually, lines};

#[test]
fn manager_whose_run_is_taken_up_elsewhere_stops_and_no_job_runs_twice() {
    let place = Place::new();
    let ledger = place.path("here/ledger");
    let job = format!("echo $GJOB_INDEX >> {}; sleep 0.5\n", ledger.display());
    place.file("jobs.txt", &job.repeat(16));
    let first = place.gjob(&["run", "-j", "2", "jobs.txt"]).start();
    eventually("a job runs", || !lines(&ledger).is_empty());
    let run = std::fs::read_dir(place.path("state/runs")).unwrap().next().unwrap().unwrap().path();
    // With them gone, nothing tells another process of the first one.
    for name in ["lock", "control"] {
        std::fs::remove_file(run.join(name)).unwrap();
    }
    let second = place.gjob(&["attach"]).output();
    assert_eq!(second.code, 0, "{second:?}");
    let first = first.output_within(Duration::from_secs(30));
    assert_eq!(first.code, 3, "{first:?}");
    assert!(first.stderr.contains(": another gjob process has taken the run up "), "{first:?}");
    let mut began: Vec<u32> = lines(&ledger).iter().map(|line| line.parse().unwrap()).collect();
    began.sort_unstable();
    assert_eq!(began, (0..16).collect::<Vec<u32>>());
}
