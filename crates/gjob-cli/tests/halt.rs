//! Runs that are ended before all of their jobs have: `--halt`.

mod support;

use snapbox::str;
use support::{Place, lines};

/// A job that only a signal ends, and that says so.
fn endless(place: &Place, name: &str) -> String {
    let ended = place.path(name);
    format!("trap 'echo > {}; exit 1' TERM; while :; do sleep 0.05; done\n", ended.display())
}

#[test]
fn first_success_is_enough_and_the_others_are_killed_at_once() {
    let place = Place::new();
    let jobs = [endless(&place, "a"), endless(&place, "b"), "sleep 0.2\n".into(), "true\n".into()];
    place.file("jobs.txt", &jobs.concat());
    let args = ["run", "-j", "3", "--halt", "now,success=1", "--events", "events", "jobs.txt"];
    let answer = place.gjob(&args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let said = "ending the run: enough jobs are done; killing ";
    assert!(answer.stderr.contains(said), "{}", answer.stderr);
    let last = answer.stderr.lines().last().unwrap_or_default();
    assert!(last.contains("1 done, 3 left") && last.contains("enough jobs are done"), "{last}");
    assert_eq!(place.of_jobs("state"), ["free", "free", "done", "free"]);
    let status = place.status();
    assert_eq!((&status["ended"], &status["managed"]), (&"enough".into(), &false.into()));
    let events = lines(&place.path("here/events"));
    let is_halting = |line: &&String| line.contains(r#""event":"run-halting","end":"enough""#);
    assert_eq!(events.iter().filter(is_halting).count(), 1);
    place
        .gjob(&["attach"])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-1: 1 job done (--halt now,success=1): no more jobs would start
help: to go on, `gjob attach [DATE]-1 --halt never`, or with another limit

"#]])
        .run();
}

#[test]
fn first_failure_kills_what_runs_and_attach_goes_on_without_the_limit() {
    let place = Place::new();
    let go = place.path("go");
    let job = format!("test -e {} || sleep 1000\n", go.display());
    place.file("jobs.txt", &format!("{job}exit 3\n{job}"));
    let answer = place.gjob(&["run", "-j", "2", "--halt", "now,fail=1", "jobs.txt"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let said = "ending the run: too many failures; killing 1 running job";
    assert!(answer.stderr.contains(said), "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["free", "error", "free"]);
    place
        .gjob(&["attach"])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-1: 1 failure (--halt now,fail=1): no more jobs would start
help: to go on, `gjob attach [DATE]-1 --halt never`, or with another limit
help: to retry failed jobs first, `gjob retry -R [DATE]-1`

"#]])
        .run();
    std::fs::write(&go, "").expect("the directory is there");
    assert_eq!(place.gjob(&["attach", "--halt", "never"]).output().code, 1);
    assert_eq!(place.of_jobs("state"), ["done", "error", "done"]);
}

#[test]
fn limit_that_lets_running_jobs_end_stops_the_start_of_others() {
    let place = Place::new();
    place.file("jobs.txt", &"true\n".repeat(10));
    let args = ["run", "-q", "-j", "1", "--halt", "soon,success=25%", "jobs.txt"];
    place
        .gjob(&args)
        .stderr(str![[r#"
run [DATE]-1: 3 done, 7 left in [ELAPSED] (stopped: enough jobs are done; resume with `gjob attach [DATE]-1 --halt never`)

"#]])
        .run();
}

#[test]
fn nothing_is_said_to_start_once_the_run_is_being_ended() {
    let place = Place::new();
    place.file("jobs.txt", &("true\n".to_owned() + &"sleep 1000\n".repeat(9)));
    let run = ["run", "-j", "10", "--halt", "now,success=1", "jobs.txt"];
    let answer = place.gjob(&run).output();
    let (_, after) = answer.stderr.split_once("ending the run").expect("it is said");
    assert!(!after.contains("start #"), "{}", answer.stderr);
}

#[test]
fn run_that_its_own_limit_has_ended_can_be_cleaned() {
    let place = Place::new();
    place.file("jobs.txt", &"true\n".repeat(4));
    let run = ["run", "-q", "-j", "1", "--halt", "now,success=1", "jobs.txt"];
    assert_eq!(place.gjob(&run).output().code, 0);
    assert_eq!(place.of_jobs("state"), ["done", "free", "free", "free"]);
    let answer = place.gjob(&["clean", "--all"]).output();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
    assert!(answer.stdout.contains("1 job director"), "{answer:?}");
}

#[test]
fn invalid_limits_are_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    for text in ["soon", "now,fail=0", "now,success=101%", "2"] {
        let answer = place.gjob(&["run", "--halt", text, "jobs.txt"]).output();
        assert_eq!(answer.code, 2);
        let expected = format!("invalid {text:?}: expected soon or now, then fail or success");
        assert!(answer.stderr.contains(&expected), "{}", answer.stderr);
    }
    let both = ["run", "--halt", "now,fail=1", "--max-fails", "1", "jobs.txt"];
    assert_eq!(place.gjob(&both).output().code, 2);
    assert!(!place.has_run());
}
