//! Managers that are killed and hosts that are lost between stages.

use gjob_testbed::Bed;
use serde_json::{Value, json};

use super::support::{Place, eventually, lines};
use super::{run_on, write_jobs};

/// The jobs of three stages: many parts, sums of some of them, and a sum of these. Each says
/// what it has found wrong.
fn pyramid(place: &Place, parts: u32) {
    let mut jobs = Vec::new();
    for part in 0..parts {
        jobs.push(json!({"name": format!("part-{part}"), "outputs": "d",
            "cmds": format!("mkdir d; seq {part}000 > d/numbers; echo {part} > d/which")}));
    }
    for digit in 0..10.min(parts) {
        jobs.push(json!({"name": format!("sum-{digit}"), "outputs": "sum", "files": [format!("@part-*{digit}/d")],
            "cmds": ["for dir in part-*; do n=$(cat $dir/d/which); test part-$n = $dir; \
                seq ${n}000 | cmp - $dir/d/numbers; cat $dir/d/numbers; done | wc -l > sum"]}));
    }
    jobs.push(
        json!({"name": "all", "cmds": "cat sum-*/sum | paste -sd+ | bc", "files": "@sum-*/sum"}),
    );
    write_jobs(place, &jobs);
}

#[test]
fn manager_that_is_killed_again_and_again_hands_on_the_right_outputs() {
    let place = Place::new();
    let bed = Bed::start(2);
    pyramid(&place, 10);
    let mut running = run_on(&place, &bed, &["-j", "2"]).start();
    for stop in 0..2 {
        let ended = move |states: Vec<Value>| states.iter().filter(|s| **s == "done").count();
        eventually("some jobs are done", || {
            place.has_run() && ended(place.of_jobs("state")) > stop * 9
        });
        bed.host(1 + stop % 2).kill_connections();
        running.kill_9();
        running = place.gjob(&["attach"]).start();
    }
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    place.gjob(&["logs", "all"]).stdout("45000\n").run();
    let attempts = place.of_jobs("attempts");
    let again = attempts.iter().filter(|attempts| {
        let attempts = attempts.as_array().unwrap().iter();
        attempts.filter(|attempt| !attempt["started"].is_null()).count() > 1
    });
    assert_eq!(again.collect::<Vec<_>>(), [&json!(null); 0], "no job was started twice");
}

#[test]
fn consumer_on_a_lost_host_runs_on_another_with_the_same_inputs() {
    let bed = Bed::start(2);
    let place = Place::new();
    let ledger = place.path("ledger");
    let hold = format!(
        "cat fit/out; echo $GJOB_DIR >> {}; test $GJOB_ATTEMPT = 2 || exec sleep 60",
        ledger.display()
    );
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "outputs": "out", "host": "h1", "cmds": "seq 100000 > out"}),
            json!({"name": "sum", "cmds": hold, "files": "@fit/out"}),
        ],
    );
    let running = run_on(&place, &bed, &["-q", "-j1", "--lost-after", "1s"]).start();
    eventually("the second job runs", || lines(&ledger).len() == 1);
    let lost = place.of_jobs("host")[1].clone();
    let host = bed.host(if lost == "h1" { 1 } else { 2 });
    host.stop();
    host.kill_connections();
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_ne!(place.of_jobs("host")[1], lost);
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    place.gjob(&["logs", "sum"]).stdout(expected).run();
}
